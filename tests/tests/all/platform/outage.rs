//! What works goes on: with a candidate that cannot, with the registry down, and after a restart of the operator.

use std::fs;
use std::time::Instant;

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use trainyard::plugin::Digest;
use trainyard_tests::registry::{Door, Registry};

use super::place::{Place, ROLE, ring};
use super::story::{job, runs};
use crate::operator::place::{text, trainyard};

/// Pushes a version, and answers its digest.
pub(super) fn push(registry: &Registry, tag: &str) -> Result<String> {
    let (file, component) = (tempfile::NamedTempFile::new()?, ring(tag)?);
    fs::write(&file, &component)?;
    let reference = format!("{}/ring:{tag}", registry.host());
    trainyard(&["plugin", "push", &file.path().display().to_string(), &reference, "--plain-http"])?;
    Ok(Digest::of(&component).to_string())
}

/// Waits for that event on a plugin.
pub(super) fn told(place: &Place, reason: &str) -> Result<()> {
    place.cluster.wait_until(30, &format!("the event {reason}"), || {
        let events = place.cluster.get("default", "events")?;
        let is_meant =
            |event: &Value| event["reason"] == reason && event["involvedObject"]["kind"] == "FrameworkPlugin";
        ensure!(events["items"].as_array().into_iter().flatten().any(is_meant), "there is none");
        Ok(())
    })
}

/// A job that runs until it is deleted.
pub(super) fn endless(name: &str) -> Result<Value> {
    let mut job = job(name)?;
    for replica_type in ["Leader", "Member"] {
        job["spec"]["replicaSpecs"][replica_type]["template"]["metadata"]["annotations"] = json!({});
    }
    Ok(job)
}

#[test]
fn what_works_goes_on() -> Result<()> {
    let Some(place) = Place::new()? else { return Ok(()) };
    let operator = place.operator()?;
    place.cluster.apply(ROLE)?;
    let registry = Registry::start(Door::Open)?;
    let host = registry.host().to_owned();
    let source = |tag: &str| json!({"oci": {"reference": format!("{host}/ring:{tag}"), "plainHttp": true}});
    let (first, second) = (push(&registry, "1")?, push(&registry, "2")?);
    place.plugin("ring", &json!({"source": source("1")}))?;
    place.wait_until_active("ring", &first)?;

    // A setting that there is none of: what planned before goes on.
    place.plugin("ring", &json!({"source": source("1"), "settings": {"colour": "red"}}))?;
    place.wait_for("ring", "Degraded", "True")?;
    assert_eq!(text(&place.status("ring")?["lastError"]).split(':').next(), Some("InvalidSpec"));
    runs(&place.cluster, "despite-settings")?;
    place.plugin("ring", &json!({"source": source("2"), "settings": {}}))?;
    place.wait_until_active("ring", &second)?;

    // The registry goes: what was here comes back without it, and what was not is waited for.
    drop(registry);
    let began = Instant::now();
    place.plugin("ring", &json!({"source": source("2"), "digest": first}))?;
    place.wait_until_active("ring", &first)?;
    println!("rolled back, with the registry down, {} ms after the apply", began.elapsed().as_millis());
    told(&place, "RolledBack")?;
    place.plugin("ring", &json!({"source": source("3"), "digest": null}))?;
    place.wait_for("ring", "Fetched", "False")?;
    assert_eq!(place.wait_for("ring", "Ready", "True")?, "Loaded");

    // The operator is started again.
    place.cluster.apply(&endless("endless")?.to_string())?;
    place.cluster.kubectl(&["wait", "--for=condition=Running", "ringjob/endless", "--timeout=60s"])?;
    drop(operator);
    let operator = place.operator()?;
    runs(&place.cluster, "despite-restart")?;
    assert_eq!(place.wait_for("ring", "Ready", "True")?, "Loaded");
    assert_eq!(place.wait_for("ring", "Fetched", "False")?, "Unavailable");
    assert_eq!(text(&place.cluster.get("default", "ringjob/despite-restart")?["status"]["pluginDigest"]), first);

    // And again, while the plugin is being deleted: it stays as long as it is needed.
    place.cluster.kubectl(&["delete", "frameworkplugin", "ring", "--wait=false"])?;
    told(&place, "InUse")?;
    drop(operator);
    let _operator = place.operator()?;
    runs(&place.cluster, "despite-deletion")?;
    ensure!(
        place.cluster.get("", "frameworkplugin/ring")?["metadata"]["deletionTimestamp"].is_string(),
        "it is not deleted"
    );
    place.cluster.kubectl(&["delete", "ringjob", "endless"])?;
    place.cluster.kubectl(&["wait", "--for=delete", "frameworkplugin/ring", "--timeout=60s"])?;
    Ok(())
}
