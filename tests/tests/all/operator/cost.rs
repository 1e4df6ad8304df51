//! What a job costs the API server: every request is counted, and has its reason.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::place::{PYTORCH, Place, resource};

const JOB: &str = "pytorchjob/mnist";

/// What an operator for one namespace asks before there is any job: a list and a watch for pods, for services, for the
/// jobs of each kind, and for each kind of object that a plugin may ask for.
const AT_START: [&str; 13] = [
    "configmaps",
    "horizontalpodautoscalers",
    "jaxjobs",
    "mpijobs",
    "paddlejobs",
    "pods",
    "pytorchjobs",
    "rolebindings",
    "roles",
    "serviceaccounts",
    "services",
    "tfjobs",
    "xgboostjobs",
];

/// What it writes for 1 master and 3 workers whose pods start and end one after the other: how often, what, and why.
const FROM_APPLY_TO_SUCCEEDED: [(usize, &str, &str, u64); 14] = [
    (1, "create", "pods", 201),               // the master's,
    (1, "create", "services", 201),           // and its address
    (3, "create", "pods", 201),               // the workers',
    (3, "create", "services", 201),           // and theirs
    (8, "create", "events", 201),             // SuccessfulCreatePod and SuccessfulCreateService for each replica
    (1, "update", "pytorchjobs/status", 200), // Created and the start time; no pod has started in the first moment
    (1, "update", "pytorchjobs/status", 200), // the master runs: Running, 1 master active
    (3, "update", "pytorchjobs/status", 200), // 1, 2, 3 workers active
    (1, "update", "pytorchjobs/status", 200), // 2 active, 1 succeeded,
    (1, "create", "events", 201),             // ExitedWithCode
    (1, "update", "pytorchjobs/status", 200), // 1 active, 2 succeeded,
    (1, "create", "events", 201),             // ExitedWithCode
    (1, "update", "pytorchjobs/status", 200), // 3 succeeded,
    (1, "create", "events", 201),             // ExitedWithCode
];

/// The master ends, and the job with it.
const END: [(usize, &str, &str, u64); 2] = [
    (1, "update", "pytorchjobs/status", 200), // Succeeded, the completion time
    (2, "create", "events", 201),             // ExitedWithCode and PyTorchJobSucceeded
];

#[test]
fn a_job_of_four_costs_thirty_requests() -> Result<()> {
    let Some(place) = Place::new("cost")? else { return Ok(()) };
    let operator = place.operator(&[], &[])?;
    place.apply(&PYTORCH.job("mnist", &[("Master", 1), ("Worker", 3)], json!({"test/stay": "Pending"})))?;
    place.wait("pod/mnist-worker-2", "create")?;
    place.wait_for(JOB, "Created")?;
    let workers = ["mnist-worker-0", "mnist-worker-1", "mnist-worker-2"];
    set_phase(&place, "mnist-master-0", "Running", &json!({"running": {}}))?;
    place.wait(JOB, "jsonpath={.status.replicaStatuses.Master.active}=1")?;
    for (pod, count) in workers.iter().zip(1..) {
        set_phase(&place, pod, "Running", &json!({"running": {}}))?;
        place.wait(JOB, &format!("jsonpath={{.status.replicaStatuses.Worker.active}}={count}"))?;
    }
    for (pod, count) in workers.iter().zip(1..) {
        set_phase(&place, pod, "Succeeded", &json!({"terminated": {"exitCode": 0}}))?;
        place.wait(JOB, &format!("jsonpath={{.status.replicaStatuses.Worker.succeeded}}={count}"))?;
    }
    set_phase(&place, "mnist-master-0", "Succeeded", &json!({"terminated": {"exitCode": 0}}))?;
    place.wait_for(JOB, "Succeeded")?;
    assert!(operator.terminate()?.success()); // what was under way has come to its end

    let lines = FROM_APPLY_TO_SUCCEEDED.into_iter().chain(END);
    let expected = lines.flat_map(|(times, verb, what, code)| vec![(verb.to_owned(), what.to_owned(), code); times]);
    let expected: Vec<_> = expected.collect();
    assert_eq!(place.changes()?, expected);
    assert_eq!(expected.len(), 30);

    let mut reads = place.requests()?;
    // Of a kind that was just installed the API server has a watch ask again: 429.
    reads.retain(|request| ["get", "list", "watch"].contains(&&*request.verb) && request.code != 429);
    let mut reads: Vec<_> = reads.into_iter().map(|read| (read.verb, resource(&read.uri), read.code)).collect();
    reads.sort();
    let expected =
        ["list", "watch"].into_iter().flat_map(|verb| AT_START.map(|what| (verb.to_owned(), what.to_owned(), 200)));
    assert_eq!(reads, expected.collect::<Vec<_>>());
    Ok(())
}

/// What a kubelet would say; the fake nodes leave these pods alone.
fn set_phase(place: &Place, pod: &str, phase: &str, state: &Value) -> Result<()> {
    let container = json!({
        "name": "pytorch", "image": "fake", "imageID": "", "ready": phase == "Running", "restartCount": 0, "state": state,
    });
    let patch = json!({"status": {"phase": phase, "containerStatuses": [container]}}).to_string();
    let arguments = ["patch", "pod", pod, "--subresource=status", "--type=merge", "--patch", &patch];
    place.kubectl(&arguments).map(drop)
}

/// Watches are renewed after 290 seconds, so that not even these cost a request in the first minute. The page of metrics
/// counts every pass and every call of a plugin.
#[test]
fn a_settled_job_costs_nothing_for_a_minute() -> Result<()> {
    let Some(place) = Place::new("settled")? else { return Ok(()) };
    let operator = place.operator(&[&PYTORCH], &[])?;
    place.apply(&PYTORCH.job("mnist", &[("Master", 1), ("Worker", 3)], json!({})))?;
    place.wait(JOB, "jsonpath={.status.replicaStatuses.Worker.active}=3")?;
    place.wait_for(JOB, "Running")?;
    let count = || {
        let page = operator.metrics()?;
        let goes_on = ["process_", "trainyard_plugin_clock_ticks_total"];
        let lines = page.lines().filter(|line| !goes_on.iter().any(|name| line.starts_with(name)));
        Ok::<_, anyhow::Error>((place.requests()?, lines.map(|line| format!("{line}\n")).collect::<String>()))
    };
    let (mut last, mut since) = (count()?, Instant::now());
    place.cluster.wait_until(60, "the job to settle", || {
        let now = count()?;
        if now != last {
            (last, since) = (now, Instant::now());
        }
        ensure!(since.elapsed() > Duration::from_secs(1), "something happens all the time");
        ensure!(!last.0.is_empty() && last.1.contains("\ntrainyard_passes_total{"), "nothing is counted: {last:?}");
        Ok(())
    })?;
    thread::sleep(Duration::from_mins(1));
    let (requests, page) = count()?;
    let more = requests.get(last.0.len()..).context("requests got fewer")?;
    assert!(more.is_empty(), "{more:#?}");
    assert_eq!(page, last.1, "passes were made");
    Ok(())
}
