//! An admin adds a framework that the operator has never heard of, and takes it away again.

use std::fs;
use std::time::Instant;

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use trainyard::plugin::Digest;
use trainyard_tests::registry::{Door, Registry};
use trainyard_tests::{ControlPlane, ROOT};

use super::place::{self, Place, ROLE, identity, ring};
use crate::operator::place::{text, trainyard};

pub(super) fn job(name: &str) -> Result<Value> {
    let yaml = fs::read_to_string(format!("{ROOT}/tests/guests/ring/job.yaml"))?;
    let mut job: Value = serde_saphyr::from_str(&yaml)?;
    job["metadata"]["name"] = name.into();
    Ok(job)
}

pub(super) fn runs(cluster: &ControlPlane, name: &str) -> Result<()> {
    cluster.apply(&job(name)?.to_string())?;
    cluster.kubectl(&["wait", "--for=condition=Succeeded", &format!("ringjob/{name}"), "--timeout=60s"]).map(drop)
}

#[test]
fn a_framework_that_nobody_heard_of_is_one_apply_away() -> Result<()> {
    let Some(place) = Place::new()? else { return Ok(()) };
    let operator = place.operator()?;
    let before = (identity(&operator)?, place.rights()?);

    // What is missing is said, with the rule to add.
    let component = ring("1")?;
    place.config_map("ring", &component)?;
    place.plugin("ring", &json!({"source": {"configMap": {"name": "ring"}}}))?;
    assert_eq!(place.wait_for("ring", "Ready", "False")?, "PermissionMissing");
    let status = place.status("ring")?.to_string();
    ensure!(status.contains("ringjobs/status"), "{status}");

    let began = Instant::now();
    place.cluster.apply(ROLE)?;
    place.wait_for("ring", "Ready", "True")?;
    place::print(&format!("from a ConfigMap: Ready {} ms after the permission", began.elapsed().as_millis()))?;
    place.cluster.kubectl(&["wait", "--for=condition=Established", "crd/ringjobs.example.com", "--timeout=10s"])?;
    runs(&place.cluster, "carousel")?;
    let planned = place.cluster.get("default", "ringjob/carousel")?;
    assert_eq!(text(&planned["status"]["pluginDigest"]), Digest::of(&component).to_string());
    assert_eq!(place.status("ring")?["kinds"], json!(["example.com/v1 RingJob"]));

    // The same kind, of another plugin, is the older one's.
    let registry = Registry::start(Door::Open)?;
    let (file, reference) = (tempfile::NamedTempFile::new()?, format!("{}/ring:1", registry.host()));
    let second = ring("2")?;
    fs::write(&file, &second)?;
    trainyard(&["plugin", "push", &file.path().display().to_string(), &reference, "--plain-http"])?;
    let from_registry = json!({"source": {"oci": {"reference": reference, "plainHttp": true}}});
    place.plugin("ring-2", &from_registry)?;
    assert_eq!(place.wait_for("ring-2", "Ready", "False")?, "KindConflict");

    // From the registry: the first goes, and the second takes its place.
    place.cluster.kubectl(&["delete", "frameworkplugin", "ring", "--timeout=60s"])?;
    place.wait_for("ring-2", "Ready", "True")?;
    place.cluster.kubectl(&["delete", "frameworkplugin", "ring-2", "--timeout=60s"])?;
    let began = Instant::now();
    place.plugin("ring-2", &from_registry)?;
    place.wait_for("ring-2", "Ready", "True")?;
    place::print(&format!("from a registry: Ready {} ms after the plugin", began.elapsed().as_millis()))?;
    runs(&place.cluster, "swing")?;

    // No more right than what was granted, and the same process.
    let after = (identity(&operator)?, place.rights()?);
    assert_eq!(after.0, before.0);
    let gained: Vec<_> = after.1.iter().filter(|right| !before.1.contains(right)).cloned().collect();
    let granted = [
        "ringjobs.example.com [] [] [list watch delete]",
        "ringjobs.example.com/finalizers [] [] [update]",
        "ringjobs.example.com/status [] [] [update]",
    ];
    assert_eq!(gained, granted);
    assert_eq!(before.1.iter().filter(|right| !after.1.contains(right)).count(), 0);
    Ok(())
}

#[test]
fn a_plugin_whose_jobs_run_stays() -> Result<()> {
    let Some(place) = Place::new()? else { return Ok(()) };
    let operator = place.operator()?;
    place.cluster.apply(ROLE)?;
    place.config_map("ring", &ring("1")?)?;
    place.plugin("ring", &json!({"source": {"configMap": {"name": "ring"}}}))?;
    place.wait_for("ring", "Ready", "True")?;
    let mut long = job("long")?;
    for replica_type in ["Leader", "Member"] {
        long["spec"]["replicaSpecs"][replica_type]["template"]["metadata"]["annotations"] = json!({});
    }
    place.cluster.apply(&long.to_string())?;
    place.cluster.kubectl(&["wait", "--for=condition=Running", "ringjob/long", "--timeout=60s"])?;

    place.cluster.kubectl(&["delete", "frameworkplugin", "ring", "--wait=false"])?;
    place.cluster.wait_until(60, "the plugin to name its jobs", || {
        let events = place.cluster.get("default", "events")?.to_string();
        ensure!(events.contains("default/long"), "{}", place.status("ring")?);
        Ok(())
    })?;
    let pods = place.cluster.get("default", "pods")?["items"].as_array().map_or(0, Vec::len);
    assert_eq!(pods, 3);

    place.cluster.kubectl(&["delete", "ringjob", "long"])?;
    place.cluster.kubectl(&["wait", "--for=delete", "frameworkplugin/ring", "--timeout=60s"])?;
    // What was there before anybody asked is not taken away.
    place.cluster.kubectl(&["get", "crd", "ringjobs.example.com"])?;
    drop(operator);
    Ok(())
}
