//! `trainyard plan` and `trainyard crds`.

use std::path::Path;

use anyhow::Result;
use serde_json::{Value, json};
use trainyard_tests::ROOT;
use trainyard_tests::generated::up_to_date;

use super::program::{Ended, Running, job, master, replicas, trainyard};

fn plan(arguments: &[&str], job: &Value) -> Result<Ended> {
    Running::start(&[&["plan", "-f", "-"], arguments].concat(), &job.to_string())?.end()
}

fn small() -> Value {
    let mut job =
        job(json!({"Master": replicas(1, "OnFailure", "train"), "Worker": replicas(2, "OnFailure", "train")}));
    for replica_type in ["Master", "Worker"] {
        let container = &mut job["spec"]["pytorchReplicaSpecs"][replica_type]["template"]["spec"]["containers"][0];
        container["resources"] = json!({"limits": {"nvidia.com/gpu": 4}});
    }
    job
}

#[test]
fn a_plan_is_what_the_operator_would_send() -> Result<()> {
    let ended = plan(&[], &small())?;
    let expected = "plan: PyTorchJob default/train: 3 pods (1 master, 2 worker), 12 GPUs, a gang of 3\n";
    assert_eq!((ended.code, ended.err.as_str()), (Some(0), expected));
    up_to_date(&Path::new(ROOT).join("tests/tests/all/run/plan.yaml"), &ended.out)
}

#[test]
fn as_json_a_plan_is_a_list_in_the_order_of_creation() -> Result<()> {
    let list: Value = serde_json::from_str(&plan(&["-o", "json"], &small())?.out)?;
    assert_eq!(list["kind"], "List");
    let names = list["items"].as_array().unwrap().iter();
    let names: Vec<_> =
        names.map(|item| format!("{} {}", item["kind"], item["metadata"]["name"]).replace('"', "")).collect();
    let expected = [
        "Pod train-master-0",
        "Service train-master-0",
        "Pod train-worker-0",
        "Pod train-worker-1",
        "Service train-worker-0",
        "Service train-worker-1",
    ];
    assert_eq!(names, expected);
    Ok(())
}

#[test]
fn settings_reach_the_plugin() -> Result<()> {
    let ended = plan(&["--set", "pytorch.init-container-image=busybox:1"], &small())?;
    assert!(ended.out.contains("image: busybox:1\n"), "{ended:?}");
    Ok(())
}

#[test]
fn several_jobs_are_planned_together_or_not_at_all() -> Result<()> {
    let mut other = master("Never", "train");
    other["metadata"]["name"] = json!("other");
    let mut bad = master("Never", "train");
    bad["metadata"]["name"] = json!("Bad");
    let planned = |text: String| Running::start(&["plan", "-f", "-"], &text)?.end();
    let ended = planned(format!("{}\n---\n{other}\n", small()))?;
    assert_eq!((ended.code, ended.err.lines().count()), (Some(0), 2), "{ended:?}");
    let ended = planned(format!("{}\n---\n{bad}\n", small()))?;
    assert_eq!((ended.code, ended.out.as_str()), (Some(2), ""), "{ended:?}");
    assert!(ended.err.contains("error: PyTorchJob default/Bad: metadata.name: Invalid value: \"Bad\""), "{ended:?}");
    Ok(())
}

#[test]
fn definitions_are_printed_by_kind() -> Result<()> {
    let one = trainyard(&["crds", "pytorchjobs"])?;
    assert_eq!(one.code, Some(0), "{:?}", one.err);
    assert!(one.out.contains("\n  name: pytorchjobs.kubeflow.org\n") && !one.out.contains("\n---\n"));
    let own = trainyard(&["crds", "fwp"])?;
    assert!(own.out.contains("\n  name: frameworkplugins.trainyard.dev\n") && !own.out.contains("\n---\n"));
    let both = trainyard(&["crds", "FrameworkPlugin", "pytorchjobs"])?;
    assert_eq!(both.out, format!("{}---\n{}", own.out, one.out));
    assert!(trainyard(&["crds"])?.out.starts_with(&format!("{}---\n", own.out)));
    Ok(())
}

#[test]
fn completions_know_the_commands() -> Result<()> {
    for shell in ["bash", "zsh", "fish"] {
        let ended = trainyard(&["completion", shell])?;
        assert!(ended.out.contains("crds") && !ended.out.contains("__replica"), "{shell}");
    }
    Ok(())
}
