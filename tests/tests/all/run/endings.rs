//! However a run ends, no process stays behind.

use anyhow::Result;
use serde_json::json;

use super::program::{Running, all_gone, guard, job, kill, marker, master, replicas, run};

const RUN: [&str; 3] = ["run", "-f", "-"];

/// Prints `ready` when it, and what it has put into a session and out of sight of its own, is there.
fn hiding(marker: &str, trap: &str) -> String {
    let hidden = format!("setsid sh -c 'trap \"\" TERM; : {marker}; while :; do sleep 1; done'");
    format!("trap '{trap}' TERM INT; ({hidden} &) ; : {marker}; echo ready; while :; do sleep 0.1; done")
}

#[test]
fn an_interrupted_job_may_save_its_work() -> Result<()> {
    for signal in ["INT", "TERM", "HUP"] {
        let marker = marker(&format!("interrupt-{signal}"));
        let script = hiding(&marker, "echo saving; sleep 0.2; echo saved; exit 7");
        let mut replica = replicas(1, "Never", &script);
        // What hides is deaf, and would have the whole five seconds.
        replica["template"]["spec"]["terminationGracePeriodSeconds"] = json!(2);
        let running = Running::start(&RUN, &job(json!({"Master": replica})).to_string())?;
        running.said("ready")?;
        running.signal(signal)?;
        let ended = running.end()?;
        assert_eq!(
            (ended.code, ended.of("master-0")),
            (Some(130), vec!["ready", "saving", "saved"]),
            "{signal}: {ended:?}"
        );
        assert_eq!(ended.row("master-0"), Some(("7".to_owned(), "0".to_owned())), "{signal}: {ended:?}");
        all_gone(&marker)?;
    }
    Ok(())
}

#[test]
fn a_second_interrupt_ends_a_job_at_once() -> Result<()> {
    let marker = marker("twice");
    let running = Running::start(&RUN, &master("Never", &hiding(&marker, "echo deaf")).to_string())?;
    running.said("ready")?;
    running.signal("INT")?;
    running.said("deaf")?;
    running.signal("INT")?;
    let ended = running.end()?;
    assert_eq!(ended.code, Some(130), "{ended:?}");
    assert_eq!(ended.row("master-0"), Some(("137".to_owned(), "0".to_owned())), "{ended:?}");
    assert!(ended.err.contains("--- ending all replicas at once\n"), "{ended:?}");
    all_gone(&marker)
}

#[test]
fn a_killed_trainyard_takes_its_replicas_with_it() -> Result<()> {
    let marker = marker("killed");
    let script = hiding(&marker, "");
    let both = job(json!({"Master": replicas(1, "Never", &script), "Worker": replicas(2, "OnFailure", &script)}));
    let running = Running::start(&RUN, &both.to_string())?;
    for replica in ["master-0", "worker-0", "worker-1"] {
        running.said(&format!("{replica} | ready"))?;
    }
    running.signal("KILL")?;
    assert_eq!(running.end()?.code, None);
    all_gone(&marker)
}

#[test]
fn a_replica_whose_guard_is_killed_has_failed() -> Result<()> {
    let marker = marker("guard");
    let running = Running::start(&RUN, &master("Never", &hiding(&marker, "")).to_string())?;
    running.said("ready")?;
    kill("KILL", guard(&running)?)?;
    let ended = running.end()?;
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert_eq!(ended.row("master-0"), Some(("137".to_owned(), "0".to_owned())), "{ended:?}");
    all_gone(&marker)
}

#[test]
fn what_a_replica_leaves_behind_ends_with_it() -> Result<()> {
    let marker = marker("left");
    let ended = run(&master(
        "Never",
        &format!("(setsid sh -c ': {marker}; sleep 600' &); sh -c ': {marker}; sleep 600' & echo done"),
    ))?;
    assert_eq!((ended.code, ended.of("master-0")), (Some(0), vec!["done"]), "{ended:?}");
    all_gone(&marker)
}

#[test]
fn the_others_may_end_by_themselves_when_the_job_has_succeeded() -> Result<()> {
    let worker = replicas(1, "Never", "sleep 1; echo done");
    let ended = run(&job(json!({"Master": replicas(1, "Never", "sleep 0.2"), "Worker": worker})))?;
    assert_eq!((ended.code, ended.of("worker-0")), (Some(0), vec!["done"]), "{ended:?}");
    Ok(())
}

#[test]
fn nobody_listens_any_more() -> Result<()> {
    let marker = marker("pipe");
    let file = tempfile::NamedTempFile::new()?;
    std::fs::write(
        file.path(),
        master("Never", &format!(": {marker}; while :; do echo a; sleep 0.1; done")).to_string(),
    )?;
    let program = trainyard_tests::binary::trainyard()?;
    let script = format!("{} run -f {} 2>/dev/null | head -n 1", program.display(), file.path().display());
    let done = std::process::Command::new("sh").args(["-c", &script]).output()?;
    assert_eq!(String::from_utf8(done.stdout)?, "master-0 | a\n");
    all_gone(&marker)
}
