"""Who looks after a job."""

import pytest
from kinds import PYTORCH, SUCCEEDS, XGBOOST
from kubernetes import client

US, OTHERS, NOBODY = "kubeflow.org/training-operator", "kueue.x-k8s.io/multikueue", "somebody"


@pytest.fixture(params=[PYTORCH, XGBOOST], ids=lambda kind: kind.name)
def kind(request):
    return request.param


@pytest.fixture
def is_checked(cluster):
    """Whether jobs are checked before they are stored."""
    webhooks = client.AdmissionregistrationV1Api(cluster).list_validating_webhook_configuration().items
    return any("kubeflow" in str(webhook.webhooks) for webhook in webhooks)


def test_managed_by(training, kind, name, wait, is_checked):
    ours, theirs, invalid = (f"{name}-{who}" for who in ("ours", "theirs", "invalid"))
    training.create_job(kind.of(theirs, SUCCEEDS, managed_by=OTHERS))
    refused = kind.of(invalid, SUCCEEDS, managed_by=NOBODY)
    if is_checked:
        with pytest.raises(RuntimeError, match=f"Failed to create {kind.name}: {training.namespace}/{invalid}"):
            training.create_job(refused)
    else:
        training.create_job(refused)
    training.create_job(kind.of(ours, SUCCEEDS, managed_by=US))
    wait(ours, "Succeeded")
    stored = {job.metadata.name for job in training.list_jobs()} & {ours, theirs, invalid}
    assert stored == ({ours, theirs} if is_checked else {ours, theirs, invalid})
    assert training.get_job_conditions(theirs) == []
    if not is_checked:
        # Nobody refused it, so it says itself what is wrong.
        [failed] = [condition for condition in training.get_job_conditions(invalid) if condition.type == "Failed"]
        assert "spec.runPolicy.managedBy" in failed.message
    for other in stored - {ours}:
        assert training.get_job_pods(other) == []
