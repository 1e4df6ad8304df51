//! Success, failure and restarts, as in a cluster.

use std::fs;

use anyhow::Result;
use serde_json::json;
use trainyard_tests::binary;

use super::program::{Running, job, master, memory, replicas, run};

#[test]
fn replicas_get_the_environment_of_their_pods() -> Result<()> {
    let script = "echo $HOSTNAME $RANK of $WORLD_SIZE at $MASTER_ADDR";
    let mut both = job(json!({"Master": replicas(1, "Never", script), "Worker": replicas(2, "Never", script)}));
    let container = "/spec/pytorchReplicaSpecs/Worker/template/spec/containers/0";
    let container = both.pointer_mut(container).unwrap();
    container["args"] = json!(["$(RANK)", "$(GREETING)", "$$(RANK)"]);
    container["command"] = json!(["echo"]);
    container["env"] = json!([{"name": "GREETING", "value": "hello"}]);
    let ended = run(&both)?;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(ended.of("master-0"), ["train-master-0 0 of 3 at 127.0.0.1"]);
    assert_eq!(ended.of("worker-1"), ["2 hello $(RANK)"]);
    assert!(
        ended.err.ends_with("PyTorchJob default/train Succeeded: PyTorchJob train is successfully completed.\n"),
        "{ended:?}"
    );
    Ok(())
}

#[test]
fn every_replica_has_a_port_of_its_own_and_finds_the_others() -> Result<()> {
    let script = "test $WORKER_PORT -gt 1023 && echo $WORKER_PORT $MASTER_PORT $WORKER_ADDRS";
    let replicas = |count| {
        let container = json!({"name": "xgboost", "image": "unused", "command": ["sh", "-c", script]});
        json!({"replicas": count, "template": {"spec": {"containers": [container]}}})
    };
    let ended = run(&json!({
        "apiVersion": "kubeflow.org/v1",
        "kind": "XGBoostJob",
        "metadata": {"name": "train"},
        "spec": {"xgbReplicaSpecs": {"Master": replicas(1), "Worker": replicas(2)}},
    }))?;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(ended.of("master-0"), ended.of("worker-1"), "{ended:?}");
    assert!(ended.of("worker-0")[0].ends_with(" 127.0.0.1,127.0.0.1"), "{ended:?}");
    let ports: Vec<_> = ended.of("worker-0")[0].split(' ').take(2).collect();
    assert_ne!(ports[0], ports[1], "{ended:?}");
    Ok(())
}

#[test]
fn a_job_fails_with_a_replica_that_may_not_restart() -> Result<()> {
    let ended =
        run(&job(json!({"Master": replicas(1, "Never", "sleep 60"), "Worker": replicas(1, "Never", "exit 3")})))?;
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert_eq!(ended.row("worker-0"), Some(("3".to_owned(), "0".to_owned())), "{ended:?}");
    assert_eq!(ended.row("master-0"), Some(("143".to_owned(), "0".to_owned())), "{ended:?}");
    assert!(ended.err.contains("PyTorchJob default/train Failed: "), "{ended:?}");
    Ok(())
}

#[test]
fn a_failed_replica_restarts_as_its_policy_says() -> Result<()> {
    for (policy, failure, restarts) in [
        ("OnFailure", "exit 1", true),
        ("ExitCode", "exit 137", true),
        // Kubernetes makes `$$` of it, for the shell.
        ("ExitCode", "kill -9 $$$$", true),
        ("ExitCode", "exit 1", false),
        ("Never", "exit 137", false),
    ] {
        let folder = tempfile::tempdir()?;
        let memory = memory(folder.path());
        let file = memory.display();
        let ended =
            run(&master(policy, &format!("test -e {file} || {{ touch {file}; {failure}; }}; echo second try")))?;
        let expected = if restarts { (Some(0), vec!["second try"]) } else { (Some(1), vec![]) };
        assert_eq!((ended.code, ended.of("master-0")), expected, "{policy}, {failure}: {ended:?}");
        let row = ended.row("master-0").map(|(_, restarts)| restarts);
        assert_eq!(row.as_deref(), Some(if restarts { "1" } else { "0" }), "{policy}, {failure}: {ended:?}");
    }
    Ok(())
}

#[test]
fn a_replica_restarts_though_the_program_was_replaced() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (program, memory) = (folder.path().join("trainyard"), memory(folder.path()));
    fs::copy(binary::trainyard()?, &program)?;
    let file = memory.display();
    let script = format!(
        "test -e {file} && exit; touch {file}; echo first; while test -e {}; do sleep 0.1; done; exit 1",
        program.display()
    );
    let running = Running::start_as(&program, &["run", "-f", "-"], &master("OnFailure", &script).to_string())?;
    running.said("first")?;
    fs::remove_file(&program)?;
    let ended = running.end()?;
    assert_eq!((ended.code, ended.row("master-0")), (Some(0), Some(("0".into(), "1".into()))), "{ended:?}");
    Ok(())
}

#[test]
fn the_back_off_limit_ends_a_job_that_keeps_failing() -> Result<()> {
    let mut failing = master("OnFailure", "sleep 0.1; exit 1");
    failing["spec"]["runPolicy"]["backoffLimit"] = json!(1);
    let ended = run(&failing)?;
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(
        ended.err.contains("Failed: Job train has failed because it has reached the specified backoff limit"),
        "{ended:?}"
    );
    Ok(())
}

#[test]
fn the_deadline_ends_a_job() -> Result<()> {
    let mut slow = master("Never", "sleep 60");
    slow["spec"]["runPolicy"]["activeDeadlineSeconds"] = json!(1);
    let ended = run(&slow)?;
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(
        ended.err.contains("Failed: Job train has failed because it was active longer than specified deadline"),
        "{ended:?}"
    );
    assert_eq!(ended.row("master-0"), Some(("143".to_owned(), "0".to_owned())), "{ended:?}");
    Ok(())
}

#[test]
fn what_keeps_only_an_operator_from_a_job_is_ignored() -> Result<()> {
    let mut suspended = master("Never", "echo runs");
    suspended["spec"]["runPolicy"] = json!({"suspend": true, "managedBy": "kueue.x-k8s.io/multikueue"});
    let ended = run(&suspended)?;
    assert_eq!((ended.code, ended.of("master-0")), (Some(0), vec!["runs"]), "{ended:?}");
    for field in ["suspend", "managedBy"] {
        let warning = format!("warning: spec.runPolicy.{field} keeps the operator from this job; it is ignored here\n");
        assert!(ended.err.contains(&warning), "{ended:?}");
    }
    Ok(())
}
