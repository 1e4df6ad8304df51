"""Trains boosted trees on scikit-learn's digits, each replica on its share of the images, and checks the result.

Every replica runs this same file, and reads from MASTER_ADDR, MASTER_PORT, RANK and WORLD_SIZE which one it is. Rank 0 runs
the tracker that brings them together. Tested with XGBoost 3.2.
"""

import os
import socket
import time
import zlib

import numpy
import xgboost
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from xgboost import collective
from xgboost.tracker import RabitTracker

ROUNDS = 20
GOOD = 0.9  # of the test images, to be recognised at the end
PATIENCE = 300  # seconds, for the master's address to be known


def main():
    address, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
    rank, world = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    tracker = RabitTracker(n_workers=world, host_ip="0.0.0.0", port=port, sortby="task") if rank == 0 else None
    if tracker:
        tracker.start()
    group = collective.CommunicatorContext(
        dmlc_tracker_uri=resolved(address), dmlc_tracker_port=port, dmlc_task_id=f"{rank:08}", dmlc_retry=60
    )
    with group:
        if (collective.get_rank(), collective.get_world_size()) != (rank, world):
            raise SystemExit(f"rank is {collective.get_rank()} of {collective.get_world_size()}, not {rank} of {world}")
        train(rank, world)
    if tracker:
        tracker.wait_for(60)


def train(rank, world):
    images, labels = load_digits(return_X_y=True)
    train_x, test_x, train_y, test_y = train_test_split(images, labels, test_size=360, random_state=0, stratify=labels)
    mine = xgboost.DMatrix(train_x[rank::world], train_y[rank::world])
    test = xgboost.DMatrix(test_x, test_y)
    print(f"rank {rank} of {world}: {mine.num_row()} of {len(train_y)} images, XGBoost {xgboost.__version__}", flush=True)

    parameters = {"objective": "multi:softmax", "num_class": 10, "max_depth": 4, "nthread": 1, "verbosity": 1}
    booster = xgboost.Booster(parameters, [mine])
    for number in range(ROUNDS):
        booster.update(mine, number)  # here the ranks add up their histograms
        if rank == 0 and number % 5 == 4:
            print(f"round {number + 1:2}  test accuracy {accuracy(booster, test):.1%}", flush=True)

    check_trees(booster)
    if accuracy(booster, test) < GOOD:
        raise SystemExit(f"test accuracy is {accuracy(booster, test):.1%}, less than {GOOD:.0%}")
    if rank == 0:
        print(f"done: test accuracy {accuracy(booster, test):.1%}, the same trees on all {world} replicas", flush=True)


def accuracy(booster, test):
    return (booster.predict(test) == test.get_label()).mean()


def check_trees(booster):
    """Fails unless all ranks have the same trees."""
    digest = numpy.array([zlib.crc32("".join(booster.get_dump()).encode())], dtype=numpy.int64)
    least, most = (collective.allreduce(digest, each)[0] for each in (collective.Op.MIN, collective.Op.MAX))
    if least != most:
        raise SystemExit("trees differ between ranks")


def resolved(name):
    """The address of a name: in a cluster it is known only when the pod is ready."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            return socket.gethostbyname(name)
        except OSError as error:
            if time.monotonic() > deadline:
                raise SystemExit(f"{name} has no address: {error}") from error
            time.sleep(1)


if __name__ == "__main__":
    main()
