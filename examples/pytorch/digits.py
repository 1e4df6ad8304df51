"""Trains a small network on scikit-learn's digits with DistributedDataParallel, and checks itself.

Every replica runs this same file. Which one it is and where the others are, it reads from MASTER_ADDR, MASTER_PORT, RANK
and WORLD_SIZE. Each trains on its share of 1437 images and tests on its share of 360 that no replica trains on.
"""

import os
import sys

os.environ.setdefault("USE_LIBUV", "0")  # some builds of PyTorch 2 are without libuv, the default of the rendezvous
os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")  # no warning for every IPv6 address that is not there

import torch
import torch.distributed as dist
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, DistributedSampler, TensorDataset

EPOCHS = 12
GOOD = 0.9  # of the test images, to be recognised at the end


def main():
    dist.init_process_group("gloo")
    problem = wrong_ranks() or train()
    dist.barrier()  # rank 0 holds the rendezvous: it may not leave before the others are done
    if problem:
        print(problem, file=sys.stderr)
    sys.stdout.flush()
    sys.stderr.flush()
    # No dist.destroy_process_group(): it holds Python's lock while it waits for threads that may be waiting for that lock.
    os._exit(1 if problem else 0)


def train():
    """Returns what is wrong with the result, or nothing."""
    rank, world = dist.get_rank(), dist.get_world_size()
    images, labels = load_digits(return_X_y=True)
    split = train_test_split(images / 16, labels, test_size=360, random_state=0, stratify=labels)
    train_x, test_x, train_y, test_y = map(torch.tensor, split)
    training = TensorDataset(train_x.float(), train_y)
    test = test_x.float()[rank::world], test_y[rank::world]
    sampler = DistributedSampler(training, world, rank)
    print(f"rank {rank} of {world}: {len(sampler)} of {len(training)} images, PyTorch {torch.__version__}", flush=True)

    torch.manual_seed(rank)  # other weights on every rank, until DistributedDataParallel sends those of rank 0 to all
    model = DistributedDataParallel(nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 10)))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.005)
    for epoch in range(1, EPOCHS + 1):
        sampler.set_epoch(epoch)
        loss = train_epoch(model, optimizer, DataLoader(training, batch_size=32, sampler=sampler))
        accuracy = test_accuracy(model, *test)
        if rank == 0:
            print(f"epoch {epoch:2}  loss {loss:.4f}  test accuracy {accuracy:.1%}", flush=True)

    problem = different_weights(model)
    if problem is None and accuracy < GOOD:
        problem = f"test accuracy is {accuracy:.1%}, less than {GOOD:.0%}"
    if problem is None and rank == 0:
        print(f"done: test accuracy {accuracy:.1%}, the same weights on all {world} replicas", flush=True)
    return problem


def train_epoch(model, optimizer, batches):
    """Returns the mean loss over all ranks."""
    total = torch.zeros(2)
    for images, labels in batches:
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(images), labels)
        loss.backward()  # here the ranks average their gradients
        optimizer.step()
        total += torch.tensor([loss.item(), 1])
    dist.all_reduce(total)
    return (total[0] / total[1]).item()


def test_accuracy(model, images, labels):
    """Returns the share of right answers over all ranks."""
    with torch.no_grad():
        right = (model.module(images).argmax(1) == labels).sum()
    counts = torch.stack([right, torch.tensor(len(labels))])
    dist.all_reduce(counts)
    return (counts[0] / counts[1]).item()


def wrong_ranks():
    """Says so unless every rank is there once."""
    world = dist.get_world_size()
    ranks = [torch.zeros(1, dtype=torch.long) for _ in range(world)]
    dist.all_gather(ranks, torch.tensor([dist.get_rank()]))
    found = [each.item() for each in ranks]
    if world != int(os.environ["WORLD_SIZE"]) or found != list(range(world)):
        return f"ranks are {found}, WORLD_SIZE is {os.environ['WORLD_SIZE']}"
    return None


def different_weights(model):
    """Says so unless all ranks have the same weights, bit by bit."""
    weights = nn.utils.parameters_to_vector(model.parameters()).detach()
    least, most = weights.clone(), weights.clone()
    dist.all_reduce(least, dist.ReduceOp.MIN)
    dist.all_reduce(most, dist.ReduceOp.MAX)
    if torch.equal(least, most):
        return None
    return f"weights differ between ranks by up to {(most - least).max().item()}"


if __name__ == "__main__":
    main()
