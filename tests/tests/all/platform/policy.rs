//! What an admin may wish for beside the usual, and what others may do to a plugin that is well.

use std::fs;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use trainyard::plugin::Digest;
use trainyard_tests::binary;

use super::outage::told;
use super::place::{Place, ROLE, ring};
use super::restart::start;
use super::story::runs;
use crate::operator::place::text;

/// What `definitions: Delete` needs.
const MAY_DELETE: &str = "
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata:
  name: ring-definition
  labels: {trainyard.dev/aggregate-to-operator: 'true'}
rules:
- apiGroups: [apiextensions.k8s.io]
  resources: [customresourcedefinitions]
  resourceNames: [ringjobs.example.com]
  verbs: [delete]
";

#[test]
fn a_new_version_may_take_all_jobs_and_a_plugin_its_definitions() -> Result<()> {
    let Some(place) = Place::new()? else { return Ok(()) };
    let _operator = place.operator()?;
    place.cluster.apply(ROLE)?;
    place.config_map("ring", &ring("1")?)?;
    let spec =
        json!({"source": {"configMap": {"name": "ring"}}, "upgradePolicy": "Immediate", "definitions": "Delete"});
    place.plugin("ring", &spec)?;
    place.wait_for("ring", "Ready", "True")?;
    start(&place, "endless")?;

    let second = ring("2")?;
    place.config_map("ring", &second)?;
    let digest = Digest::of(&second).to_string();
    place.wait_until_active("ring", &digest)?;
    place.cluster.wait_until(30, "the job to be the new version's", || {
        let job = place.cluster.get("default", "ringjob/endless")?;
        ensure!(job["status"]["pluginDigest"] == digest, "{}", job["status"]);
        Ok(())
    })?;
    place.cluster.wait_until(30, "nothing to be retained", || {
        let status = place.status("ring")?;
        ensure!(status["retained"].is_null(), "{status}");
        Ok(())
    })?;
    let pods = place.cluster.get("default", "pods")?["items"].as_array().map_or(0, Vec::len);
    assert_eq!(pods, 3, "all of them go on");

    place.cluster.kubectl(&["delete", "ringjob", "endless"])?;
    // A definition takes all jobs with it: that has to be allowed.
    place.cluster.kubectl(&["delete", "frameworkplugin", "ring", "--wait=false"])?;
    told(&place, "Stuck")?;
    place.cluster.apply(MAY_DELETE)?;
    place.cluster.kubectl(&["wait", "--for=delete", "frameworkplugin/ring", "--timeout=60s"])?;
    place.cluster.kubectl(&["wait", "--for=delete", "crd/ringjobs.example.com", "--timeout=60s"])?;
    Ok(())
}

#[test]
fn a_definition_that_somebody_takes_away_comes_back() -> Result<()> {
    let Some(place) = Place::new()? else { return Ok(()) };
    let _operator = place.operator()?;
    place.cluster.apply(ROLE)?;
    place.config_map("ring", &ring("1")?)?;
    place.plugin("ring", &json!({"source": {"configMap": {"name": "ring"}}}))?;
    place.wait_for("ring", "Ready", "True")?;
    runs(&place.cluster, "before")?;
    place.cluster.kubectl(&["delete", "crd", "ringjobs.example.com"])?;
    place.cluster.wait_until(90, "the definition to be there again", || {
        place.cluster.kubectl(&["wait", "--for=condition=Established", "crd/ringjobs.example.com", "--timeout=1s"])
    })?;
    place.cluster.wait_until(60, "its jobs to run", || runs(&place.cluster, "after"))?;

    // A right that is taken away is missed, and the plugin says which.
    place.cluster.kubectl(&["delete", "clusterrole", "ring"])?;
    place.cluster.kubectl(&["delete", "crd", "ringjobs.example.com"])?;
    assert_eq!(place.wait_for("ring", "Degraded", "True")?, "PermissionMissing");
    place.cluster.apply(ROLE)?;
    place.wait_for("ring", "Degraded", "False")?;
    Ok(())
}

#[test]
fn a_plugin_that_fails_job_after_job_is_left_alone() -> Result<()> {
    let Some(place) = Place::new()? else { return Ok(()) };
    let folder = tempfile::tempdir()?;
    binary::hostile_components(folder.path())?;
    let list: Value = serde_json::from_slice(&fs::read(folder.path().join("list.json"))?)?;
    let mut all = list["components"].as_array().into_iter().flatten();
    let faulty = all.find(|each| each["kind"] == 0 && each["isLoaded"] == true && each["word"] == "OutOfFuel");
    let faulty = faulty.with_context(|| format!("none that runs for ever: {list}"))?;
    let operator = place.operator_with(&[&format!("--plugin-dir={}", folder.path().display())])?;
    place.cluster.apply(
        "
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata:
  name: hostile
  labels: {trainyard.dev/aggregate-to-operator: 'true'}
rules:
- {apiGroups: [example.com], resources: ['*'], verbs: [list, watch, delete, update]}
",
    )?;
    let load = |file: &str| {
        let spec = json!({"source": {"file": {"path": folder.path().join(file)}}, "limits": {"fuel": list["fuel"]}});
        place.plugin("hostile", &spec)
    };
    load(&text(&faulty["file"]))?;
    place.wait_for("hostile", "Ready", "True")?;
    let template = json!({"spec": {"containers": [{"name": "test", "image": "train:1"}]}});
    for index in 0..6 {
        let job = json!({
            "apiVersion": "example.com/v1",
            "kind": "Hostile0Job",
            "metadata": {"name": format!("job-{index}")},
            "spec": {"testReplicaSpecs": {"Worker": {"replicas": 1, "template": template}}},
        });
        place.cluster.apply(&job.to_string())?;
    }
    assert_eq!(place.wait_for("hostile", "Degraded", "True")?, "CircuitOpen");
    let page = operator.metrics()?;
    for row in [
        "trainyard_plugin_breaker_state{plugin=\"hostile\"} 2",
        "trainyard_plugin_state{plugin=\"hostile\",state=\"Degraded\"} 1",
        "trainyard_plugin_reloads_total{result=\"Loaded\"} 1",
        "trainyard_plugin_load_duration_seconds_count{phase=\"Compile\"} 1",
    ] {
        ensure!(page.contains(row), "{row} is not in\n{page}");
    }

    // A good version is called, and the jobs are planned.
    load("good-0.wasm")?;
    place.wait_for("hostile", "Degraded", "False")?;
    Ok(())
}
