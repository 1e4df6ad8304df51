"""What the tests share: a client as users make one, and what an admin and the fake nodes do.

`KUBECONFIG` names the cluster; its current context the namespace, in which an operator runs.
"""

import time

import pytest
from kinds import KINDS
from kubeflow.training import TrainingClient
from kubernetes import client, config

# Between two looks. Nobody waits for a fake pod as long as for a real one.
POLL = 0.2


@pytest.fixture(params=KINDS, ids=lambda kind: kind.name)
def kind(request):
    """What the test is about."""
    return request.param


@pytest.fixture(scope="session")
def cluster():
    config.load_kube_config()
    return client.ApiClient()


@pytest.fixture(scope="session")
def core(cluster):
    return client.CoreV1Api(cluster)


@pytest.fixture(scope="session")
def custom(cluster):
    return client.CustomObjectsApi(cluster)


@pytest.fixture
def training(kind):
    """A client of that kind."""
    return TrainingClient(job_kind=kind.name)


@pytest.fixture
def name(request):
    """Of this test's job alone: `runs-pytorchjob`."""
    words = request.node.name.removeprefix("test_").replace("[", "-").strip("]").replace("_", "-")
    return words.lower()


@pytest.fixture
def until():
    """Waits until an answer is as expected, and returns it."""

    def until(ask, expected, seconds=60):
        end = time.monotonic() + seconds
        while (answer := ask()) != expected:
            assert time.monotonic() < end, f"after {seconds} s: {answer!r}, not {expected!r}"
            time.sleep(POLL)
        return answer

    return until


@pytest.fixture
def wait(training):
    """Waits for conditions of a job, as the SDK does."""

    def wait(name, *conditions):
        return training.wait_for_job_conditions(
            name, expected_conditions=set(conditions), wait_timeout=60, polling_interval=POLL
        )

    return wait


@pytest.fixture
def end(core, training):
    """Lets a running pod end well."""

    def end(pod):
        patch = {"metadata": {"annotations": {"test/complete-after": "0s"}}}
        core.patch_namespaced_pod(pod, training.namespace, patch)

    return end
