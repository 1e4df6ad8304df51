//! Operators that end while jobs run, and others that go on.

use std::fs;
use std::net::TcpListener;
use std::ops::RangeInclusive;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use trainyard_tests::control_plane::Operator;
use trainyard_tests::{binary, wait_until};

use super::place::{PYTORCH, Place, counter, text};

/// More than it takes to end what is under way, less than a kubelet waits before it kills.
const PROMPT: Duration = Duration::from_secs(5);

fn terminate(operator: Operator<'_>) -> Result<()> {
    let asked = Instant::now();
    let status = operator.terminate()?;
    ensure!(status.code() == Some(0), "the operator ended with {status}");
    ensure!(asked.elapsed() < PROMPT, "the operator took {:?} to end", asked.elapsed());
    Ok(())
}

#[test]
fn another_operator_goes_on_after_one_was_terminated() -> Result<()> {
    // All that was under way is done, and written down.
    goes_on_after("terminated", terminate, 31..=31)
}

#[test]
fn another_operator_goes_on_after_one_was_killed() -> Result<()> {
    let kill = |operator: Operator<'_>| {
        drop(operator);
        Ok(())
    };
    // The answer to a request of who is killed may be written down as another.
    goes_on_after("killed", kill, 0..=31)
}

#[test]
fn an_operator_whose_api_server_does_not_answer_ends_when_asked() -> Result<()> {
    let silent = TcpListener::bind("127.0.0.1:0")?;
    let folder = tempfile::tempdir()?;
    let kubeconfig = folder.path().join("kubeconfig");
    let config = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "silent", "cluster": {"server": format!("http://{}", silent.local_addr()?)}}],
        "users": [{"name": "nobody", "user": {}}],
        "contexts": [{"name": "silent", "context": {"cluster": "silent", "user": "nobody"}}],
        "current-context": "silent",
    });
    fs::write(&kubeconfig, config.to_string())?;
    let mut operator = Command::new(binary::trainyard()?)
        .args(["operator", "--enable-scheme=pytorchjob", "--metrics-bind-address=0", "--health-probe-bind-address=0"])
        .arg(format!("--kubeconfig={}", kubeconfig.display()))
        .stderr(Stdio::null())
        .spawn()?;
    silent.set_nonblocking(true)?;
    let asked = wait_until(60, "the operator to ask", || Ok(silent.accept()?));
    kill_process(Pid::from_child(&operator), Signal::TERM)?;
    let ended = wait_until(PROMPT.as_secs(), "the operator to end", || operator.try_wait()?.context("it has not"));
    if ended.is_err() {
        operator.kill()?;
    }
    asked?;
    assert_eq!(ended?.code(), Some(0));
    Ok(())
}

/// No pod is made twice, none is deleted. `made` says how many the API server may have written down as made.
fn goes_on_after(name: &str, end: fn(Operator<'_>) -> Result<()>, made: RangeInclusive<usize>) -> Result<()> {
    let Some(place) = Place::new(name)? else { return Ok(()) };

    // While pods are being made.
    let operator = place.operator(&[&PYTORCH], &[])?;
    place.apply(&PYTORCH.job("mnist", &[("Master", 1), ("Worker", 30)], json!({})))?;
    place.wait("pod/mnist-master-0", "create")?;
    end(operator)?;
    let first = place.pods()?;
    let operator = place.operator(&[&PYTORCH], &[])?;
    place.wait("pytorchjob/mnist", "jsonpath={.status.replicaStatuses.Worker.active}=30")?;
    place.wait_for("pytorchjob/mnist", "Running")?;
    let all = place.pods()?;
    assert_eq!(all.len(), 31);
    assert!(first.iter().all(|(pod, uid)| all[pod] == *uid), "{first:#?} {all:#?}");

    // While they run; the master ends while nobody looks.
    end(operator)?;
    place.end("mnist-master-0", 0)?;
    place.wait("pod/mnist-master-0", "jsonpath={.status.phase}=Succeeded")?;
    let operator = place.operator(&[&PYTORCH], &[])?;
    place.wait_for("pytorchjob/mnist", "Succeeded")?;
    assert_eq!(place.pods()?, all);
    assert_eq!(counter(&operator.metrics()?, "training_operator_jobs_created_total"), 0, "it was counted already");
    terminate(operator)?;
    let changes = place.changes()?;
    let count = |what: &str| changes.iter().filter(|change| **change == ("create".into(), what.into(), 201)).count();
    assert!(made.contains(&count("pods")) && made.contains(&count("services")), "{changes:?}");
    assert!(changes.iter().all(|(verb, _, _)| verb != "delete"), "{changes:?}");
    Ok(())
}

#[test]
fn one_of_two_operators_leads_and_the_other_takes_over() -> Result<()> {
    let Some(place) = Place::new("leases")? else { return Ok(()) };
    let elect = ["--leader-elect", "--leader-election-id=test"];
    let job = |name| PYTORCH.job(name, &[("Worker", 1)], json!({"test/complete-after": "0s"}));
    let created = |operator: &Operator<'_>| -> Result<u64> {
        Ok(counter(&operator.metrics()?, "training_operator_jobs_created_total"))
    };
    let holder = || Ok::<_, anyhow::Error>(text(&place.get("lease/test")?["spec"]["holderIdentity"]));

    let first = place.operator(&[&PYTORCH], &elect)?;
    place.wait("lease/test", "create")?;
    place.wait("lease/test", "jsonpath={.spec.holderIdentity}")?;
    let leader = holder()?;
    let second = place.operator(&[&PYTORCH], &elect)?;
    place.apply(&job("one"))?;
    place.wait_for("pytorchjob/one", "Succeeded")?;
    assert_eq!((created(&first)?, created(&second)?), (1, 0));
    assert_eq!(holder()?, leader);

    terminate(first)?;
    place.apply(&job("two"))?;
    place.wait_for("pytorchjob/two", "Succeeded")?;
    assert_eq!(created(&second)?, 1);
    assert_ne!(holder()?, leader);
    terminate(second)?;
    assert_eq!(holder()?, "", "who ends gives the lease back");
    Ok(())
}
