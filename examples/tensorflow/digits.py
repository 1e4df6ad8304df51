"""Trains a small network on scikit-learn's digits with MultiWorkerMirroredStrategy, and checks itself.

Every replica runs this same file. Which one it is and where the others are, TensorFlow reads from TF_CONFIG. Each trains on
its share of 1437 images; all test on the same 360. Tested with TensorFlow 2.21.
"""

import json
import os
import zlib

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # no word on every step of finding each other
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")  # nor on how numbers may differ between machines
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")  # replicas on one machine would fight for its GPU

import tensorflow as tf
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

EPOCHS = 12
BATCH = 32  # on every replica
GOOD = 0.9  # of the test images, to be recognised at the end


def main():
    strategy = tf.distribute.MultiWorkerMirroredStrategy()
    world = strategy.num_replicas_in_sync
    config = json.loads(os.environ["TF_CONFIG"])
    wanted = sum(len(hosts) for hosts in config["cluster"].values())
    if world != wanted:
        raise SystemExit(f"{world} replicas train, TF_CONFIG has {wanted}")
    train(strategy, world, "{type} {index}".format(**config["task"]), strategy.cluster_resolver.task_type == "chief")


def train(strategy, world, me, is_chief):
    images, labels = load_digits(return_X_y=True)
    images = images.astype("float32") / 16
    train_x, test_x, train_y, test_y = train_test_split(images, labels, test_size=360, random_state=0, stratify=labels)

    def share(context):
        mine = slice(context.input_pipeline_id, None, context.num_input_pipelines)
        print(f"{me} of {world}: {len(train_y[mine])} of {len(train_y)} images, TensorFlow {tf.__version__}", flush=True)
        rows = tf.data.Dataset.from_tensor_slices((train_x[mine], train_y[mine]))
        return rows.shuffle(len(train_y), seed=0).repeat().batch(BATCH)

    batches = iter(strategy.distribute_datasets_from_function(share))
    with strategy.scope():  # every replica makes weights of its own, and gets those of the first
        weights = [tf.Variable(tf.random.normal(shape, stddev=shape[0] ** -0.5)) for shape in ([64, 128], [128, 10])]
    step = distributed(strategy, weights)
    for epoch in range(1, EPOCHS + 1):
        for _ in range(len(train_y) // BATCH // world):
            loss = step(next(batches))
        if is_chief:
            right = accuracy(weights, test_x, test_y)
            print(f"epoch {epoch:2}  loss {loss:.4f}  test accuracy {right:.1%}", flush=True)

    check_weights(strategy, weights)
    right = accuracy(weights, test_x, test_y)
    if right < GOOD:
        raise SystemExit(f"test accuracy is {right:.1%}, less than {GOOD:.0%}")
    if is_chief:
        print(f"done: test accuracy {right:.1%}, the same weights on all {world} replicas", flush=True)


def distributed(strategy, weights):
    """A step of all replicas together, which returns their mean loss."""

    def on_each(images, labels):
        with tf.GradientTape() as tape:
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, answers(weights, images))
            loss = tf.reduce_mean(losses)
        slopes = tape.gradient(loss, weights)
        slopes = tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.MEAN, slopes)
        for weight, slope in zip(weights, slopes):
            weight.assign_sub(0.5 * slope)
        return loss

    return tf.function(lambda batch: strategy.reduce("MEAN", strategy.run(on_each, args=batch), axis=None))


def answers(weights, images):
    hidden, out = weights
    return tf.nn.relu(images @ hidden) @ out


def accuracy(weights, images, labels):
    """The share of right answers of this replica's weights."""
    return (answers([weight.numpy() for weight in weights], images).numpy().argmax(axis=1) == labels).mean()


def check_weights(strategy, weights):
    """Fails unless all replicas have the same, bit by bit."""
    digest = tf.constant([zlib.crc32(b"".join(weight.numpy().tobytes() for weight in weights))], tf.int64)
    gather = tf.function(lambda: tf.distribute.get_replica_context().all_gather(digest, axis=0))
    digests = strategy.experimental_local_results(strategy.run(gather))[0].numpy().tolist()
    if len(digests) != strategy.num_replicas_in_sync or len(set(digests)) != 1:
        raise SystemExit(f"weights differ between replicas: {digests}")


if __name__ == "__main__":
    main()
