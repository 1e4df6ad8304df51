//! Jobs of MPI: what they need beside pods is made, follows the workers, and yields to what others have made.

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use trainyard_tests::control_plane::Operator;

use super::place::{MPI, Place, counter, text};

const JOB: &str = "mpijob/ring";

/// What the operator writes for a launcher and 2 workers that start one after the other: how often, what, and why. It reads
/// nothing: it knows that the account is there.
const FROM_APPLY_TO_SUCCEEDED: [(usize, &str, &str, u64); 16] = [
    (1, "create", "configmaps", 201),     // the script, the hosts
    (1, "create", "roles", 201),          // the right to run commands in the workers,
    (1, "create", "rolebindings", 201),   // for the user's account
    (2, "create", "pods", 201),           // the workers,
    (1, "create", "pods", 201),           // the launcher
    (3, "create", "events", 201),         // SuccessfulCreatePod for each
    (1, "update", "mpijobs/status", 200), // Created and the start time; no pod has started in the first moment
    (1, "update", "mpijobs/status", 200), // 1 worker active,
    (1, "update", "configmaps", 200),     // which discover_hosts.sh tells
    (1, "update", "mpijobs/status", 200), // 2 workers active,
    (1, "update", "configmaps", 200),     // likewise
    (1, "update", "mpijobs/status", 200), // Running, 1 launcher active,
    (1, "create", "events", 201),         // MPIJobRunning
    (1, "update", "mpijobs/status", 200), // Succeeded, the completion time,
    (1, "create", "events", 201),         // MPIJobSucceeded
    (1, "create", "events", 201),         // mpijobsSucceeded
];

/// Its pods wait for the test to let them run.
fn ring(workers: u32, account: Option<&str>) -> Value {
    let mut job = MPI.job("ring", &[("Launcher", 1), ("Worker", workers)], json!({"test/stay": "Pending"}));
    job["spec"]["mpiReplicaSpecs"]["Launcher"]["template"]["spec"]["serviceAccountName"] = account.into();
    job
}

/// What a kubelet would say.
fn set_phase(place: &Place, pod: &str, phase: &str) -> Result<()> {
    let patch = json!({"status": {"phase": phase}}).to_string();
    place.kubectl(&["patch", "pod", pod, "--subresource=status", "--type=merge", "--patch", &patch]).map(drop)
}

fn wait_for_event(place: &Place, reason: &str) -> Result<()> {
    place.cluster.wait_until(60, reason, || {
        let told = place.events(JOB)?;
        ensure!(told.iter().any(|[_, known, _]| known == reason), "{told:#?}");
        Ok(())
    })
}

/// Has the operator look at the job once more; answers what it has written up to then.
fn look_again(place: &Place, operator: &Operator<'_>) -> Result<Vec<(String, String, u64)>> {
    let passes = || Ok::<_, anyhow::Error>(counter(&operator.metrics()?, "trainyard_passes_total"));
    let before = passes()?;
    place.kubectl(&["annotate", JOB, "--overwrite", &format!("test/passes={before}")])?;
    place.cluster.wait_until(60, "another pass", || {
        ensure!(passes()? > before, "no pass was made");
        Ok(())
    })?;
    place.changes()
}

#[test]
fn a_job_whose_account_is_there_costs_its_own_writes_and_no_other() -> Result<()> {
    let Some(place) = Place::new("mpi-cost")? else { return Ok(()) };
    place.kubectl(&["create", "serviceaccount", "trainer"])?;
    let operator = place.operator(&[&MPI], &[])?;
    place.apply(&ring(2, Some("trainer")))?;
    place.wait("pod/ring-launcher", "create")?;
    place.wait_for(JOB, "Created")?;
    for (worker, hosts) in [("ring-worker-0", 1), ("ring-worker-1", 2)] {
        set_phase(&place, worker, "Running")?;
        place.cluster.wait_until(60, "the hosts that run", || {
            let config = place.get("configmap/ring-config")?;
            let script = text(&config["data"]["discover_hosts.sh"]);
            ensure!(script.matches("echo ring-worker-").count() == hosts, "{script}");
            Ok(())
        })?;
    }
    set_phase(&place, "ring-launcher", "Running")?;
    wait_for_event(&place, "MPIJobRunning")?;

    let settled = place.changes()?;
    assert_eq!(look_again(&place, &operator)?, settled);
    place.kubectl(&["annotate", "serviceaccount/trainer", "other=else"])?;
    assert_eq!(look_again(&place, &operator)?, settled);

    set_phase(&place, "ring-launcher", "Succeeded")?;
    place.wait_for(JOB, "Succeeded")?;
    assert!(operator.terminate()?.success()); // what was under way has come to its end
    let lines = FROM_APPLY_TO_SUCCEEDED.into_iter();
    let expected = lines.flat_map(|(times, verb, what, code)| vec![(verb.to_owned(), what.to_owned(), code); times]);
    let expected: Vec<_> = expected.collect();
    assert_eq!(place.changes()?, expected);

    Ok(())
}

#[test]
fn another_operator_finds_what_a_job_has() -> Result<()> {
    let Some(place) = Place::new("mpi-again")? else { return Ok(()) };
    let written = |mut changes: Vec<(String, String, u64)>| {
        changes.retain(|(_, what, _)| what != "events"); // who did not tell them may tell them again
        changes
    };
    let operator = place.operator(&[&MPI], &[])?;
    place.apply(&ring(1, None))?;
    place.wait("pod/ring-launcher", "create")?;
    place.wait_for(JOB, "Created")?;
    assert!(operator.terminate()?.success());
    let before = written(place.changes()?);
    assert_eq!(before.len(), 7, "{before:?}");
    let operator = place.operator(&[&MPI], &[])?;
    assert_eq!(written(look_again(&place, &operator)?), before);
    Ok(())
}

#[test]
fn what_is_in_the_way_is_told_once_and_waited_for() -> Result<()> {
    let Some(place) = Place::new("mpi-foreign")? else { return Ok(()) };
    place.kubectl(&["create", "serviceaccount", "trainer"])?;
    place.kubectl(&["create", "configmap", "ring-config", "--from-literal=a=b"])?;
    let operator = place.operator(&[&MPI], &[])?;
    place.apply(&ring(1, Some("trainer")))?;
    wait_for_event(&place, "ErrResourceExists")?;
    let message = r#"Resource "ring-config" of MPIJobKind "ConfigMap" already exists and is not managed by MPIJob"#;
    assert_eq!(place.events(JOB)?, [["Warning", "ErrResourceExists", message].map(str::to_owned)]);
    let [status, event] = [("update", "mpijobs/status", 200), ("create", "events", 201)];
    let expected = [status, event].map(|(verb, what, code)| (verb.to_owned(), what.to_owned(), code));
    for _ in 0..3 {
        assert_eq!(look_again(&place, &operator)?, expected);
    }

    place.kubectl(&["delete", "configmap/ring-config"])?;
    place.wait("pod/ring-launcher", "create")?;
    let ours = |object: &str| place.wait(object, "jsonpath={.metadata.ownerReferences[0].name}=ring");
    ours("configmap/ring-config")?;

    // The account, too, may go.
    place.kubectl(&["delete", "serviceaccount/trainer"])?;
    place.wait("serviceaccount/trainer", "create")?;
    ours("serviceaccount/trainer")?;
    let refused: Vec<_> = place.requests()?.into_iter().filter(|request| request.code == 409).collect();
    assert!(refused.is_empty(), "{refused:#?}");
    Ok(())
}

#[test]
fn an_object_that_is_taken_from_the_job_is_in_its_way() -> Result<()> {
    let Some(place) = Place::new("mpi-taken")? else { return Ok(()) };
    let operator = place.operator(&[&MPI], &[])?;
    place.apply(&ring(1, None))?;
    place.wait("pod/ring-launcher", "create")?;
    let orphan = json!({"metadata": {"ownerReferences": null}}).to_string();
    place.kubectl(&["patch", "role/ring-launcher", "--type=merge", "--patch", &orphan])?;
    wait_for_event(&place, "ErrResourceExists")?;
    let settled = look_again(&place, &operator)?;
    assert_eq!(look_again(&place, &operator)?, settled);
    place.kubectl(&["delete", "role/ring-launcher"])?;
    place.wait("role/ring-launcher", "jsonpath={.metadata.ownerReferences[0].name}=ring")
}

#[test]
fn hosts_and_rights_follow_the_workers_and_leave_what_is_not_theirs() -> Result<()> {
    let Some(place) = Place::new("mpi-scaled")? else { return Ok(()) };
    let _operator = place.operator(&[&MPI], &[])?;
    place.apply(&ring(1, None))?;
    let objects = ["configmap/ring-config", "role/ring-launcher"];
    for object in objects {
        place.wait(object, "create")?;
        place.kubectl(&["label", object, "team=vision"])?;
        place.kubectl(&["annotate", object, "note=kept"])?;
    }
    for workers in [3, 0, 2] {
        let patch = json!({"spec": {"mpiReplicaSpecs": {"Worker": {"replicas": workers}}}}).to_string();
        place.kubectl(&["patch", JOB, "--type=merge", "--patch", &patch])?;
        let names: Vec<_> = (0..workers).map(|index| format!("ring-worker-{index}")).collect();
        let hostfile: String = names.iter().map(|name| format!("{name} slots=1\n")).collect();
        let exec = json!({"apiGroups": [""], "resources": ["pods/exec"], "resourceNames": names, "verbs": ["create"]});
        let exec = Some(exec).filter(|_| workers > 0);
        place.cluster.wait_until(60, "hosts and rights", || {
            let [config, role] = [place.get(objects[0])?, place.get(objects[1])?];
            ensure!(config["data"]["hostfile"] == hostfile, "{config}");
            ensure!(role["rules"].get(1) == exec.as_ref(), "{role}");
            Ok(())
        })?;
    }
    for object in objects {
        let metadata = &place.get(object)?["metadata"];
        assert_eq!(metadata["labels"], json!({"app": "ring", "team": "vision"}));
        assert_eq!(metadata["annotations"]["note"], "kept");
    }
    Ok(())
}

#[test]
fn a_failed_worker_is_made_again_where_its_restart_policy_says_so() -> Result<()> {
    let Some(place) = Place::new("mpi-restart")? else { return Ok(()) };
    let _operator = place.operator(&[&MPI], &[])?;
    place.apply(&MPI.job("ring", &[("Launcher", 1), ("Worker", 2)], json!({})))?;
    place.wait(JOB, "jsonpath={.status.replicaStatuses.Worker.active}=2")?;
    place.wait_for(JOB, "Running")?;
    let before = place.pods()?;
    place.end("ring-worker-1", 1)?;
    place.wait(JOB, "jsonpath={.status.restarts}=1")?;
    place.wait(JOB, "jsonpath={.status.replicaStatuses.Worker.active}=2")?;
    place.wait_for(JOB, "Running")?;
    let after = place.pods()?;
    for (pod, uid) in &before {
        assert_eq!(after.get(pod) == Some(uid), pod != "ring-worker-1", "{pod}: {after:?}");
    }
    let message = "MPIJob ring is restarting because 1 Worker replica(s) failed.";
    let event = ["Warning", "MPIJobRestarting", message].map(str::to_owned);
    assert!(place.events(JOB)?.contains(&event), "{:#?}", place.events(JOB)?);
    place.end("ring-launcher", 0)?;
    place.wait_for(JOB, "Succeeded")
}
