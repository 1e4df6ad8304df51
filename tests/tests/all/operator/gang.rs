//! Gang scheduling, with a test that plays the gang's scheduler.

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use trainyard_tests::control_plane::Operator;
use trainyard_tests::pod_groups::{self, VOLCANO};

use super::place::{PYTORCH, Place, counter, text};

const MADE: [&str; 4] =
    ["pod/mnist-master-0", "pod/mnist-worker-0", "service/mnist-master-0", "service/mnist-worker-0"];

/// A job whose pods the control plane's own scheduler takes, for there is no other.
fn job(name: &str) -> Value {
    let mut job = PYTORCH.job(name, &[("Master", 1), ("Worker", 1)], json!({}));
    for spec in job["spec"]["pytorchReplicaSpecs"].as_object_mut().into_iter().flatten().map(|(_, spec)| spec) {
        spec["template"]["spec"]["schedulerName"] = "default-scheduler".into();
        spec["template"]["spec"]["containers"][0]["resources"] = json!({"requests": {"cpu": "500m"}});
    }
    job
}

/// What a gang scheduler does.
fn set_phase(place: &Place, name: &str, phase: &str) -> Result<()> {
    let patch = json!({"status": {"phase": phase}}).to_string();
    let group = format!("{}/{name}", pod_groups::name(VOLCANO));
    place.kubectl(&["patch", &group, "--subresource=status", "--type=merge", "--patch", &patch]).map(drop)
}

fn patch(place: &Place, what: &str, patch: &Value) -> Result<()> {
    place.kubectl(&["patch", what, "--type=merge", "--patch", &patch.to_string()]).map(drop)
}

/// Waits until an event tells this of the job.
fn told(place: &Place, job: &str, kind: &str, reason: &str, message: &str) -> Result<()> {
    let event = [kind, reason, message].map(str::to_owned);
    place.cluster.wait_until(60, reason, || {
        let events = place.events(job)?;
        ensure!(events.contains(&event), "{events:#?}");
        Ok(())
    })
}

/// A job whose kind of pod group comes, serves it to its end, and goes again under another.
#[test]
fn jobs_wait_for_pod_groups_and_outlive_them() -> Result<()> {
    let Some(place) = Place::new("gang")? else { return Ok(()) };
    let group = format!("{}/mnist", pod_groups::name(VOLCANO));
    let operator = place.operator(&[&PYTORCH], &["--gang-scheduler-name=volcano"])?;
    place.apply(&job("mnist"))?;
    let message = format!("Error creating: the kind PodGroup of {VOLCANO} is not installed; pods wait until it is");
    told(&place, "pytorchjob/mnist", "Warning", "FailedCreatePodGroup", &message)?;
    let waiting = place.get("pytorchjob/mnist")?["status"].clone();
    assert_eq!(waiting["conditions"].as_array().map(Vec::len), Some(1), "{waiting}");
    assert!(waiting["lastReconcileTime"].is_string() && waiting["startTime"].is_null(), "{waiting}");
    assert_eq!(place.made()?, [].into());
    assert!(operator.log()?.contains("the kind PodGroup is not installed"), "{}", operator.log()?);

    pod_groups::install(place.cluster, VOLCANO)?;
    place.wait(&group, "create")?;
    assert_eq!(place.made()?, [].into());
    assert_eq!(place.get(&group)?["spec"], json!({"minMember": 2, "minResources": {"cpu": "1"}, "queue": "default"}));
    set_phase(&place, "mnist", "Inqueue")?;
    place.wait_until_made(&MADE)?;
    let pod = place.get("pod/mnist-worker-0")?;
    assert_eq!(pod["metadata"]["annotations"]["scheduling.k8s.io/group-name"], "mnist");
    assert_eq!(pod["metadata"]["annotations"]["volcano.sh/task-spec"], "worker");
    place.wait_for("pytorchjob/mnist", "Running")?;

    changes_of_others_stay(&place, &operator, &group)?;

    place.end("mnist-worker-0", 0)?;
    place.end("mnist-master-0", 0)?;
    place.wait_for("pytorchjob/mnist", "Succeeded")?;
    place.wait(&group, "delete")?;
    told(&place, "pytorchjob/mnist", "Normal", "SuccessfulDeletePodGroup", "Deleted PodGroup: mnist")?;
    let terminated = "Job has been terminated. Deleting PodGroup";
    told(&place, "pytorchjob/mnist", "Normal", "JobTerminated", terminated)?;
    let kept = "Another scheduler is specified when gang-scheduling is enabled and it will not be overwritten";
    told(&place, "pytorchjob/mnist", "Warning", "SetPodTemplateSchedulerName", kept)?;
    place.kubectl(&["delete", "pytorchjob/mnist"])?;
    place.wait_until_made(&[])?;
    runs_on_without(&place)
}

/// A pod group that says what it should, whatever else it says, is not written to.
fn changes_of_others_stay(place: &Place, operator: &Operator<'_>, group: &str) -> Result<()> {
    patch(place, group, &json!({"spec": {"minMember": 9, "queue": "research", "minTaskMember": {"worker": 1}}}))?;
    place.wait(group, "jsonpath={.spec.minMember}=2")?;
    let spec = place.get(group)?["spec"].clone();
    let expected = json!({
        "minMember": 2, "minResources": {"cpu": "1"}, "queue": "research", "minTaskMember": {"worker": 1},
    });
    assert_eq!(spec, expected);
    patch(place, "pytorchjob/mnist", &json!({"spec": {"runPolicy": {"schedulingPolicy": {"minAvailable": 1}}}}))?;
    place.wait(group, "jsonpath={.spec.minMember}=1")?;

    let passes = || Ok::<_, anyhow::Error>(counter(&operator.metrics()?, "trainyard_passes_total"));
    let (changes, before) = (place.changes()?, passes()?);
    set_phase(place, "mnist", "Running")?;
    place.cluster.wait_until(60, "a pass", || {
        ensure!(passes()? > before, "nobody looked");
        Ok(())
    })?;
    assert_eq!(place.changes()?, changes, "a pass that changes nothing asked for something");
    Ok(())
}

/// Somebody deletes the pod group of a job that runs, then the kind.
fn runs_on_without(place: &Place) -> Result<()> {
    let group = format!("{}/trees", pod_groups::name(VOLCANO));
    place.apply(&job("trees"))?;
    place.wait(&group, "create")?;
    set_phase(place, "trees", "Inqueue")?;
    place.wait_for("pytorchjob/trees", "Running")?;
    place.wait("pytorchjob/trees", "jsonpath={.status.replicaStatuses.Worker.active}=1")?;
    let pods = place.pods()?;
    let uid = text(&place.get(&group)?["metadata"]["uid"]);
    place.kubectl(&["delete", &group])?;
    place.cluster.wait_until(60, "another pod group", || {
        ensure!(text(&place.get(&group)?["metadata"]["uid"]) != uid, "it is the same");
        Ok(())
    })?;
    pod_groups::uninstall(place.cluster, VOLCANO)?;
    place.end("trees-worker-0", 0)?;
    place.wait("pytorchjob/trees", "jsonpath={.status.replicaStatuses.Worker.succeeded}=1")?;
    assert_eq!(place.pods()?, pods, "what runs goes on");
    place.end("trees-master-0", 0)?;
    place.wait_for("pytorchjob/trees", "Succeeded")?;
    let changes = place.changes()?;
    assert!(!changes.iter().any(|(verb, what, _)| verb == "delete" && what == "pods"), "{changes:?}");
    Ok(())
}
