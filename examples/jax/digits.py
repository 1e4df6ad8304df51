"""Trains a small network on scikit-learn's digits, each process on its share of the images, and checks itself.

Every replica runs this same file, and reads from COORDINATOR_ADDRESS, COORDINATOR_PORT, PROCESS_ID and NUM_PROCESSES which
one it is. The images are one array whose rows are shared out over all processes; a mean over rows is a sum over processes,
which JAX sees to. Tested with JAX 0.10.
"""

import os
import zlib

import jax
import numpy
from jax import numpy as jnp
from jax.experimental.multihost_utils import process_allgather
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

STEPS = 100
GOOD = 0.9  # of the test images, to be recognised at the end


def main():
    address, port = os.environ["COORDINATOR_ADDRESS"], os.environ["COORDINATOR_PORT"]
    rank, world = int(os.environ["PROCESS_ID"]), int(os.environ["NUM_PROCESSES"])
    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    jax.distributed.initialize(f"{address}:{port}", world, rank)
    if (jax.process_index(), jax.process_count()) != (rank, world):
        raise SystemExit(f"process is {jax.process_index()} of {jax.process_count()}, not {rank} of {world}")
    train(rank, world)
    jax.distributed.shutdown()


def train(rank, world):
    images, labels = load_digits(return_X_y=True)
    images = images.astype("float32") / 16
    train_x, test_x, train_y, test_y = train_test_split(images, labels, test_size=360, random_state=0, stratify=labels)
    count = len(train_y) // world  # every process has as many
    mesh = Mesh(numpy.array(jax.devices()), "processes")
    by_rows, everywhere = NamedSharding(mesh, PartitionSpec("processes")), NamedSharding(mesh, PartitionSpec())

    mine = slice(rank, count * world, world)
    x, y = (jax.make_array_from_process_local_data(by_rows, rows[mine]) for rows in (train_x, train_y.astype("int32")))
    print(f"process {rank} of {world}: {count} of {x.shape[0]} images, JAX {jax.__version__}", flush=True)

    step = jax.jit(descend, out_shardings=everywhere)
    state = jax.jit(first_state, out_shardings=everywhere)()
    for number in range(1, STEPS + 1):
        *state, loss = step(*state, x, y)
        if rank == 0 and number % 25 == 0:
            print(f"step {number:3}  loss {loss:.4f}  test accuracy {accuracy(state[0], test_x, test_y):.1%}", flush=True)

    check_weights(state[0])
    right = accuracy(state[0], test_x, test_y)
    if right < GOOD:
        raise SystemExit(f"test accuracy is {right:.1%}, less than {GOOD:.0%}")
    if rank == 0:
        print(f"done: test accuracy {right:.1%}, the same weights on all {world} replicas", flush=True)


def first_state():
    """Weights, and their velocity."""
    one, two = jax.random.split(jax.random.key(0))
    weights = {
        "in": jax.random.normal(one, (64, 128)) / 8,
        "in_bias": jnp.zeros(128),
        "out": jax.random.normal(two, (128, 10)) / 11,
        "out_bias": jnp.zeros(10),
    }
    return weights, jax.tree.map(jnp.zeros_like, weights)


def descend(weights, velocity, x, y):
    loss, gradient = jax.value_and_grad(cross_entropy)(weights, x, y)
    velocity = jax.tree.map(lambda speed, slope: 0.9 * speed - 0.2 * slope, velocity, gradient)
    return jax.tree.map(jnp.add, weights, velocity), velocity, loss


def cross_entropy(weights, x, y):
    chances = jax.nn.log_softmax(answers(weights, x))
    return -jnp.take_along_axis(chances, y[:, None], axis=1).mean()


def answers(weights, x):
    hidden = jax.nn.relu(x @ weights["in"] + weights["in_bias"])
    return hidden @ weights["out"] + weights["out_bias"]


def accuracy(weights, x, y):
    """The share of right answers; every process has all the weights."""
    return (numpy.asarray(answers(jax.device_get(weights), x)).argmax(axis=1) == y).mean()


def check_weights(weights):
    """Fails unless all processes have the same, bit by bit."""
    digest = zlib.crc32(b"".join(numpy.asarray(part).tobytes() for part in jax.tree.leaves(weights)))
    digests = process_allgather(numpy.array(digest, "uint32"))
    if len(set(digests.tolist())) != 1:
        raise SystemExit(f"weights differ between processes: {digests}")


if __name__ == "__main__":
    main()
