"""A job's life through the SDK, the same for every kind."""

import subprocess
import sys

import pytest
from kinds import FAILS, IS_KILLED, MPI, SUCCEEDS
from kubeflow.training import KubeflowOrgV1SchedulingPolicy

LOG = "the first line of a fake container\nand the last\n"


def truths(conditions):
    return {condition.type: condition.status for condition in conditions}


def test_runs(training, kind, name, wait, end):
    training.create_job(kind.of(name))
    wait(name, "Created")
    job = wait(name, "Running")
    assert isinstance(job, kind.job)
    assert training.is_job_created(name) and training.is_job_running(job=job)
    for pod in training.get_job_pod_names(name):
        end(pod)
    wait(name, "Succeeded")
    conditions = training.get_job_conditions(name)
    assert truths(conditions) == {"Created": "True", "Running": "False", "Succeeded": "True"}
    assert all(condition.reason and condition.message and condition.last_transition_time for condition in conditions)
    assert training.is_job_succeeded(name) and not training.is_job_running(name)
    assert not training.is_job_restarting(name) and not training.is_job_failed(name)


def test_fails(training, kind, name, wait):
    training.create_job(kind.of(name, FAILS, restart_policy="Never"))
    assert wait(name, "Failed").status.completion_time
    assert training.is_job_failed(name) and not training.is_job_succeeded(name)
    with pytest.raises(RuntimeError, match=f"{kind.name} {training.namespace}/{name} is Failed"):
        wait(name, "Succeeded")


def test_restarts(training, kind, name, wait):
    if kind is MPI:
        pytest.skip("the policy ExitCode restarts no pod of an MPIJob")
    training.create_job(kind.of(name, IS_KILLED, restart_policy="ExitCode"))
    assert not training.is_job_running(job=wait(name, "Restarting"))
    assert training.is_job_created(name) and not training.is_job_failed(name)
    training.delete_job(name)


def test_is_read_as_it_was_written(training, kind, name):
    written = kind.of(name, SUCCEEDS, active_deadline_seconds=3600, backoff_limit=3, ttl_seconds_after_finished=3600)
    training.create_job(written)
    read = training.get_job(name)
    listed = {job.metadata.name: job for job in training.list_jobs()}[name]
    for found in (read, listed):
        assert found.spec.run_policy.to_dict() == {**written.spec.run_policy.to_dict(), "suspend": False}
        assert getattr(found.spec, kind.replica_specs) == getattr(written.spec, kind.replica_specs)
    with pytest.raises(RuntimeError, match=f"Failed to create {kind.name}: {training.namespace}/{name}"):
        training.create_job(written)


def test_pods(training, kind, name, wait):
    training.create_job(kind.of(name))
    wait(name, "Running")
    assert pods(training, name) == {f"{name}-{pod}" for pod in kind.pods}
    masters = {f"{name}-{kind.master}"} if kind.master else set()
    assert pods(training, name, is_master=True) == masters
    for replica_type, count in kind.replicas.items():
        assert len(pods(training, name, replica_type=replica_type.lower())) == count
    for pod in kind.pods:
        replica_type, _, index = pod.partition("-")
        which = {"replica_index": int(index)} if index else {}  # there is one launcher, without a number
        (found,) = training.get_job_pods(name, replica_type=replica_type, **which)
        assert found.metadata.name == f"{name}-{pod}" and found.status.phase == "Running"
        assert found.metadata.labels["training.kubeflow.org/job-name"] == name
        assert found.spec.containers[0].name == kind.container
    with pytest.raises(ValueError):
        training.get_job_pods(name, replica_type="trainer")


def pods(training, name, **which):
    return set(training.get_job_pod_names(name, **which))


def test_logs_and_events(training, kind, name, wait, until):
    training.create_job(kind.of(name, SUCCEEDS))
    wait(name, "Succeeded")
    all_pods = {f"{name}-{pod}" for pod in kind.pods}
    masters = {f"{name}-{kind.master}"} if kind.master else set()
    assert training.get_job_logs(name) == (dict.fromkeys(masters, LOG), {})
    logs, _ = training.get_job_logs(name, is_master=False, replica_type="worker")
    assert logs == dict.fromkeys((pod for pod in all_pods if "-worker-" in pod), LOG)

    def told(about):
        logs, events = training.get_job_logs(name, is_master=False, verbose=True)
        assert logs == dict.fromkeys(all_pods, LOG)
        return {message.split(" ", 2)[2] for message in events.get(about, [])}  # after date and time

    created = {f"Created pod: {pod}" for pod in all_pods}
    until(lambda: told(f"{kind.name.lower()}/{name}") & created, created)
    for pod in all_pods:
        until(lambda: any("Successfully assigned" in message for message in told(f"pod/{pod}")), True)


FOLLOW = """
import sys
from kubeflow.training import TrainingClient

kind, name = sys.argv[1:]
TrainingClient(job_kind=kind).get_job_logs(name, is_master=False, replica_type="worker", replica_index=0, follow=True)
"""


def test_logs_are_followed(training, kind, name, wait):
    """At a terminal, until somebody presses Ctrl-C: the fake nodes end no log that is followed."""
    training.create_job(kind.of(name))
    wait(name, "Running")
    program = [sys.executable, "-u", "-c", FOLLOW, kind.name, name]
    with subprocess.Popen(program, stdout=subprocess.PIPE, text=True) as following:
        try:
            lines = [following.stdout.readline() for _ in LOG.splitlines()]
        finally:
            following.kill()
    assert lines == [f"[Pod {name}-worker-0]: {line}\n" for line in LOG.splitlines()]


def test_is_held_and_let_go(training, kind, name, wait, until):
    job = kind.of(name, suspend=True)
    training.create_job(job)
    until(lambda: truths(training.get_job_conditions(name)).get("Suspended"), "True")
    assert training.get_job_pods(name) == [] and not training.is_job_running(name)
    job.spec.run_policy.suspend = False
    training.update_job(job, name)
    wait(name, "Running")
    job.spec.run_policy.suspend = True
    training.update_job(job, name)
    until(lambda: training.get_job_pods(name), [])
    until(lambda: truths(training.get_job_conditions(name))["Running"], "False")


def test_is_updated(training, kind, name, wait):
    job = kind.of(name, scheduling_policy=KubeflowOrgV1SchedulingPolicy(min_available=10))
    training.create_job(job)
    wait(name, "Running")
    job.spec.run_policy.scheduling_policy.min_available = 2
    training.update_job(job, name)
    changed = training.get_job(name)
    assert changed.spec.run_policy.scheduling_policy.min_available == 2
    assert getattr(changed.spec, kind.replica_specs) == getattr(job.spec, kind.replica_specs)
    with pytest.raises(RuntimeError, match=f"Failed to update {kind.name}: {training.namespace}/nobody"):
        training.update_job(job, "nobody")


def test_is_deleted(training, kind, name, wait, until):
    training.create_job(kind.of(name))
    wait(name, "Running")
    training.delete_job(name)
    with pytest.raises(RuntimeError, match=f"Failed to get {kind.name}: {training.namespace}/{name}"):
        training.get_job(name)
    until(lambda: training.get_job_pods(name), [])
    with pytest.raises(RuntimeError, match=f"Failed to delete {kind.name}: {training.namespace}/{name}"):
        training.delete_job(name)


def test_needs_no_run_policy(training, custom, kind, name, wait):
    """As kubectl may write it. The SDK's models of five kinds cannot do without."""
    job = training.api_client.sanitize_for_serialization(kind.of(name, SUCCEEDS))
    del job["spec"]["runPolicy"]
    plural = f"{kind.name.lower()}s"
    custom.create_namespaced_custom_object("kubeflow.org", "v1", training.namespace, plural, job)
    try:
        assert wait(name, "Succeeded").metadata.name == name
        assert name in [job.metadata.name for job in training.list_jobs()]
    finally:
        training.delete_job(name)  # one that cannot be read spoils every list
