//! What users do with jobs: scale, suspend and resume, delete, or let them be deleted.

use anyhow::Result;
use serde_json::{Value, json};

use super::place::{PYTORCH, Place, text};

/// Workers that meet at the first of them, between one and four, and an autoscaler that has nothing to go by.
fn elastic(workers: u32) -> Value {
    let mut job = PYTORCH.job("elastic", &[("Worker", workers)], json!({}));
    let resource = json!({"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}});
    let metrics = json!([{"type": "Resource", "resource": resource}]);
    job["spec"]["elasticPolicy"] = json!({"minReplicas": 1, "maxReplicas": 4, "metrics": metrics});
    job
}

/// The pods and services of the first workers, and the autoscaler.
fn made(workers: u32) -> Vec<String> {
    let replicas =
        (0..workers).flat_map(|index| ["pod", "service"].map(|kind| format!("{kind}/elastic-worker-{index}")));
    replicas.chain(["horizontalpodautoscaler/elastic".to_owned()]).collect()
}

fn wait_until_made(place: &Place, workers: u32) -> Result<()> {
    let made = made(workers);
    place.wait_until_made(&made.iter().map(String::as_str).collect::<Vec<_>>())
}

#[test]
fn an_elastic_job_is_scaled_up_and_down() -> Result<()> {
    let Some(place) = Place::new("scaled")? else { return Ok(()) };
    let _operator = place.operator(&[&PYTORCH], &[])?;
    place.apply(&elastic(2))?;
    wait_until_made(&place, 2)?;
    let first = place.pods()?;

    let scaler = place.get("horizontalpodautoscaler/elastic")?;
    let target = json!({"apiVersion": "kubeflow.org/v1", "kind": "PyTorchJob", "name": "elastic"});
    assert_eq!(scaler["spec"]["scaleTargetRef"], target);
    assert_eq!([&scaler["spec"]["minReplicas"], &scaler["spec"]["maxReplicas"]], [&json!(1), &json!(4)]);
    assert_eq!(scaler["metadata"]["ownerReferences"][0]["uid"], place.get("pytorchjob/elastic")?["metadata"]["uid"]);

    for workers in [4, 1, 3] {
        place.kubectl(&["scale", "pytorchjob/elastic", &format!("--replicas={workers}")])?;
        wait_until_made(&place, workers)?;
        place.wait("pytorchjob/elastic", &format!("jsonpath={{.status.replicaStatuses.Worker.active}}={workers}"))?;
        let path = format!("/apis/kubeflow.org/v1/namespaces/{}/pytorchjobs/elastic/scale", place.namespace);
        let scale: Value = serde_json::from_str(&place.cluster.kubectl(&["get", "--raw", &path])?)?;
        let selector = text(&scale["status"]["selector"]);
        assert_eq!(scale["status"]["replicas"], workers);
        let selected = place.kubectl(&["get", "pods", "--selector", &selector, "--output", "name"])?;
        assert_eq!(selected.lines().count(), workers as usize, "{selector}");
    }
    let now = place.pods()?;
    assert_eq!(now["elastic-worker-0"], first["elastic-worker-0"], "a worker that may stay was made anew");
    assert_ne!(now["elastic-worker-1"], first["elastic-worker-1"]);
    Ok(())
}

#[test]
fn a_job_is_suspended_and_resumed() -> Result<()> {
    let Some(place) = Place::new("suspended")? else { return Ok(()) };
    let _operator = place.operator(&[&PYTORCH], &[])?;
    place.apply(&elastic(2))?;
    place.wait_for("pytorchjob/elastic", "Running")?;
    wait_until_made(&place, 2)?;
    let first = place.pods()?;
    let condition = |kind: &str, status: &str, word: &str, message: &str| {
        [kind.to_owned(), status.to_owned(), format!("PyTorchJob{word}"), format!("PyTorchJob {message}")]
    };
    let created = condition("Created", "True", "Created", "elastic is created.");

    suspend(&place, true)?;
    place.wait_for("pytorchjob/elastic", "Suspended")?;
    place.wait_until_made(&[])?;
    assert_eq!(
        place.conditions("pytorchjob/elastic")?,
        [
            created.clone(),
            condition("Running", "False", "Suspended", "elastic is suspended."),
            condition("Suspended", "True", "Suspended", "elastic is suspended."),
        ]
    );
    assert_eq!(place.get("pytorchjob/elastic")?["status"]["replicaStatuses"]["Worker"]["active"], Value::Null);

    suspend(&place, false)?;
    place.wait_for("pytorchjob/elastic", "Running")?;
    wait_until_made(&place, 2)?;
    let running = format!("{}/elastic is running.", place.namespace);
    assert_eq!(
        place.conditions("pytorchjob/elastic")?,
        [
            created,
            condition("Suspended", "False", "Resumed", "elastic is resumed."),
            condition("Running", "True", "Running", &running),
        ]
    );
    assert!(place.pods()?.values().all(|uid| !first.values().any(|old| old == uid)), "the old pods are still there");
    let told = place.events("pytorchjob/elastic")?;
    for (reason, message) in
        [("PyTorchJobSuspended", "elastic is suspended."), ("PyTorchJobResumed", "elastic is resumed.")]
    {
        let event = ["Normal".to_owned(), reason.to_owned(), format!("PyTorchJob {message}")];
        assert_eq!(told.iter().filter(|told| **told == event).count(), 1, "{told:#?}");
    }
    place.end("elastic-worker-0", 0)?;
    place.wait_for("pytorchjob/elastic", "Succeeded") // the first is enough
}

fn suspend(place: &Place, suspend: bool) -> Result<()> {
    let patch = json!({"spec": {"runPolicy": {"suspend": suspend}}}).to_string();
    place.kubectl(&["patch", "pytorchjob/elastic", "--type=merge", "--patch", &patch]).map(drop)
}

#[test]
fn a_job_and_all_it_made_goes_after_its_time_to_live() -> Result<()> {
    let Some(place) = Place::new("ttl")? else { return Ok(()) };
    let operator = place.operator(&[&PYTORCH], &[])?;
    let mut job = PYTORCH.job("short", &[("Master", 1), ("Worker", 1)], json!({"test/complete-after": "0s"}));
    job["spec"]["runPolicy"] = json!({"ttlSecondsAfterFinished": 1});
    place.apply(&job)?;
    place.wait("pytorchjob/short", "delete")?;
    place.wait_until_made(&[])?;
    let page = operator.metrics()?;
    for counted in ["created", "successful", "deleted"] {
        assert_eq!(super::place::counter(&page, &format!("training_operator_jobs_{counted}_total")), 1, "{counted}");
    }
    Ok(())
}

#[test]
fn a_deleted_job_leaves_nothing_behind() -> Result<()> {
    let Some(place) = Place::new("deleted")? else { return Ok(()) };
    let operator = place.operator(&[&PYTORCH], &[])?;
    place.apply(&elastic(3))?;
    place.wait_for("pytorchjob/elastic", "Running")?;
    wait_until_made(&place, 3)?;
    place.kubectl(&["delete", "pytorchjob/elastic"])?;
    place.wait_until_made(&[])?;
    assert!(operator.terminate()?.success());
    let changes = place.changes()?;
    let count =
        |verb: &str, resource: &str| changes.iter().filter(|(did, what, _)| did == verb && what == resource).count();
    assert_eq!(count("create", "pods"), 3, "pods of a job that goes were made anew");
    let deleted = ["pods", "services", "horizontalpodautoscalers"].map(|resource| count("delete", resource));
    assert_eq!(deleted, [0, 0, 0], "what the garbage collector deletes costs no request of ours");
    Ok(())
}
