"""Trains a small network on scikit-learn's digits with DataParallel, and checks itself.

Every replica runs this same file, which runs itself again under paddle.distributed.launch: the launchers meet at
PADDLE_MASTER, number the replicas and start the training with what Paddle wants to know. Tested with PaddlePaddle 3.3.
"""

import os
import subprocess
import sys
import tempfile
import zlib

if "PADDLE_TRAINER_ID" not in os.environ:
    os.environ.setdefault("PYTHONWARNINGS", "ignore")
    os.environ.setdefault("GLOG_minloglevel", "2")
    # The launcher shows what the training prints, and wants a folder to keep it in, too.
    with tempfile.TemporaryDirectory() as logs:
        options = ["--log_dir", logs, "--log_level", "ERROR"]
        sys.exit(subprocess.call([sys.executable, "-m", "paddle.distributed.launch", *options, __file__]))

import paddle
import paddle.distributed as dist
from paddle import nn
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

EPOCHS = 12
BATCH = 32  # on every replica
GOOD = 0.9  # of the test images, to be recognised at the end


def main():
    dist.init_parallel_env()
    rank, world = dist.get_rank(), dist.get_world_size()
    if world != int(os.environ["PADDLE_NNODES"]):
        raise SystemExit(f"{world} replicas train, PADDLE_NNODES is {os.environ['PADDLE_NNODES']}")
    train(rank, world)


def train(rank, world):
    images, labels = load_digits(return_X_y=True)
    images = images.astype("float32") / 16
    train_x, test_x, train_y, test_y = train_test_split(images, labels, test_size=360, random_state=0, stratify=labels)
    x, y, test_x = (paddle.to_tensor(rows) for rows in (train_x[rank::world], train_y[rank::world], test_x))
    print(f"rank {rank} of {world}: {len(y)} of {len(train_y)} images, PaddlePaddle {paddle.__version__}", flush=True)

    paddle.seed(rank)  # other weights on every rank, until DataParallel sends those of rank 0 to all
    model = paddle.DataParallel(nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 10)))
    optimizer = paddle.optimizer.Adam(0.005, parameters=model.parameters())
    for epoch in range(1, EPOCHS + 1):
        order = paddle.randperm(len(y))
        for batch in range(len(train_y) // BATCH // world):
            rows = order[batch * BATCH : (batch + 1) * BATCH]
            loss = nn.functional.cross_entropy(model(x[rows]), y[rows])
            loss.backward()  # here the ranks average their gradients
            optimizer.step()
            optimizer.clear_grad()
        right = accuracy(model, test_x, test_y)
        if rank == 0:
            print(f"epoch {epoch:2}  loss {float(loss):.4f}  test accuracy {right:.1%}", flush=True)

    check_weights(model)
    if right < GOOD:
        raise SystemExit(f"test accuracy is {right:.1%}, less than {GOOD:.0%}")
    if rank == 0:
        print(f"done: test accuracy {right:.1%}, the same weights on all {world} replicas", flush=True)


def accuracy(model, images, labels):
    """The share of right answers of this replica's weights."""
    with paddle.no_grad():
        return (model(images).argmax(axis=1).numpy() == labels).mean()


def check_weights(model):
    """Fails unless all ranks have the same, bit by bit."""
    digest = zlib.crc32(b"".join(weight.numpy().tobytes() for weight in model.parameters()))
    digests = []
    dist.all_gather(digests, paddle.to_tensor([digest], "int64"))
    digests = [each.item() for each in digests]
    if len(set(digests)) != 1:
        raise SystemExit(f"weights differ between ranks: {digests}")


if __name__ == "__main__":
    main()
