//! Pods that fail, and jobs that cannot run.

use anyhow::Result;
use serde_json::{Value, json};

use super::place::{PYTORCH, Place, counter};

const JOB: &str = "pytorchjob/mnist";

/// 1 master and 2 workers that run to no end.
fn job(restart_policy: &str, run_policy: Value) -> Value {
    let mut job = PYTORCH.job("mnist", &[("Master", 1), ("Worker", 2)], json!({}));
    job["spec"]["pytorchReplicaSpecs"]["Worker"]["restartPolicy"] = restart_policy.into();
    job["spec"]["runPolicy"] = run_policy;
    job
}

#[test]
fn a_failed_worker_is_replaced_and_the_others_stay() -> Result<()> {
    for (name, policy, code) in [("on-failure", "OnFailure", 1), ("retryable", "ExitCode", 137)] {
        let Some(place) = Place::new(name)? else { return Ok(()) };
        let operator = place.operator(&[&PYTORCH], &[])?;
        place.apply(&job(policy, json!({"backoffLimit": 1})))?;
        place.wait(JOB, "jsonpath={.status.replicaStatuses.Worker.active}=2")?;
        let before = place.pods()?;
        place.end("mnist-worker-1", code)?;
        place.wait(JOB, "jsonpath={.status.restarts}=1")?;
        place.wait(JOB, "jsonpath={.status.replicaStatuses.Worker.active}=2")?;
        place.wait_for(JOB, "Running")?;
        let after = place.pods()?;
        assert!(before.keys().eq(after.keys()), "{name}: {after:?}");
        for (pod, uid) in &before {
            assert_eq!(after[pod] == *uid, pod != "mnist-worker-1", "{name}: {pod}");
        }
        place.end("mnist-master-0", 0)?;
        place.wait_for(JOB, "Succeeded")?;
        let page = operator.metrics()?;
        assert_eq!(counter(&page, "training_operator_jobs_restarted_total"), 1, "{name}");
        let message = "job mnist is restarting because Worker replica(s) failed.";
        let event = ["Warning", "PyTorchJobRestarting", message].map(str::to_owned);
        assert!(place.events(JOB)?.contains(&event), "{name}: {:#?}", place.events(JOB)?);
    }
    Ok(())
}

#[test]
fn a_failure_that_another_try_will_not_mend_fails_the_job() -> Result<()> {
    for (name, policy, limit, code, message) in [
        ("never", "Never", None, 137, "PyTorchJob mnist is failed because 1 Worker replica(s) failed."),
        ("permanent", "ExitCode", None, 1, r#"job "mnist" is failing because "Worker" replica(s) failed."#),
        ("limit", "OnFailure", Some(0), 1, "Job mnist has failed because it has reached the specified backoff limit"),
    ] {
        let Some(place) = Place::new(name)? else { return Ok(()) };
        let operator = place.operator(&[&PYTORCH], &[])?;
        place.apply(&job(policy, json!({"backoffLimit": limit})))?;
        place.wait(JOB, "jsonpath={.status.replicaStatuses.Worker.active}=2")?;
        place.wait_for(JOB, "Running")?;
        let before = place.pods()?;
        place.end("mnist-worker-1", code)?;
        place.wait_for(JOB, "Failed")?;
        let conditions = place.conditions(JOB)?;
        let last = conditions.last().map(|last| last.each_ref().map(String::as_str));
        assert_eq!(last, Some(["Failed", "True", "PyTorchJobFailed", message]), "{name}");
        assert_eq!(counter(&operator.metrics()?, "training_operator_jobs_failed_total"), 1, "{name}");
        assert!(operator.terminate()?.success());
        assert_eq!(place.pods()?, before, "{name}: pods are kept for their logs");
        let told = place.events(JOB)?;
        let failed = told.iter().filter(|[_, reason, text]| reason == "PyTorchJobFailed" && text == message);
        assert_eq!(failed.count(), 1, "{name}: {told:#?}");
    }
    Ok(())
}

/// There is no webhook here to refuse it.
#[test]
fn an_invalid_job_fails_before_anything_is_made() -> Result<()> {
    let Some(place) = Place::new("invalid")? else { return Ok(()) };
    let operator = place.operator(&[&PYTORCH], &[])?;
    place.apply(&PYTORCH.job("mnist", &[("Master", 2)], json!({})))?;
    place.wait_for(JOB, "Failed")?;
    assert!(operator.terminate()?.success());
    let message = "PyTorchJob failed validation because \
                   spec.pytorchReplicaSpecs[Master].replicas: Forbidden: must be 1";
    assert_eq!(
        place.conditions(JOB)?,
        [
            ["Created", "True", "PyTorchJobCreated", "PyTorchJob mnist is created."],
            ["Failed", "True", "PyTorchJobFailedValidation", message],
        ]
        .map(|condition| condition.map(str::to_owned))
    );
    assert_eq!(place.events(JOB)?, [["Warning", "PyTorchJobFailedValidation", message].map(str::to_owned)]);
    let [status, event] = [("update", "pytorchjobs/status", 200), ("create", "events", 201)];
    let changes = place.changes()?;
    let changes: Vec<_> =
        changes.iter().map(|(verb, resource, code)| (verb.as_str(), resource.as_str(), *code)).collect();
    assert_eq!(changes, [status, event]);
    Ok(())
}
