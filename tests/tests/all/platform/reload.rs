//! Versions come and go while jobs run.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use trainyard::plugin::Digest;
use trainyard_tests::ControlPlane;
use trainyard_tests::control_plane::Operator;

use super::place::{self, Place, ROLE, identity, ring};
use crate::operator::place::text;

/// Jobs that run all the time.
const JOBS: usize = 200;
/// How often a version takes the place of another, or fails to.
const RELOADS: usize = 50;

fn jobs() -> String {
    let job = |index| {
        let template = json!({"spec": {"containers": [{"name": "ring", "image": "fake"}]}});
        let specs =
            json!({"Leader": {"replicas": 1, "template": template}, "Member": {"replicas": 1, "template": template}});
        json!({
            "apiVersion": "example.com/v1",
            "kind": "RingJob",
            "metadata": {"name": format!("job-{index}")},
            "spec": {"replicaSpecs": specs},
        })
    };
    let jobs: Vec<_> = (0..JOBS).map(job).collect();
    json!({"apiVersion": "v1", "kind": "List", "items": jobs}).to_string()
}

/// Pods by name, and their uids.
fn pods(cluster: &ControlPlane) -> Result<BTreeMap<String, String>> {
    let pods = cluster.get("default", "pods")?;
    let pods = pods["items"].as_array().into_iter().flatten();
    Ok(pods.map(|pod| (text(&pod["metadata"]["name"]), text(&pod["metadata"]["uid"]))).collect())
}

/// Digests that jobs are on.
fn digests(cluster: &ControlPlane) -> Result<BTreeSet<String>> {
    let jobs = cluster.get("default", "ringjobs")?;
    let jobs = jobs["items"].as_array().into_iter().flatten();
    Ok(jobs.map(|job| text(&job["status"]["pluginDigest"])).collect())
}

/// Calls that did not end well.
fn failures(operator: &Operator<'_>) -> Result<Vec<String>> {
    let page = operator.metrics()?;
    let calls = page.lines().filter(|line| line.starts_with("trainyard_plugin_calls_total{"));
    let is_bad = |line: &&str| !line.contains("outcome=\"Answered\"") && !line.contains("function=\"describe\"");
    Ok(calls.filter(is_bad).map(str::to_owned).collect())
}

/// KiB of memory.
pub(super) fn memory(operator: &Operator<'_>) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", operator.pid()))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
    Ok(line.split_whitespace().next().context("no number")?.parse()?)
}

#[test]
fn fifty_reloads_touch_no_running_job() -> Result<()> {
    let Some(place) = Place::new()? else { return Ok(()) };
    let operator = place.operator()?;
    place.cluster.apply(ROLE)?;
    let first = ring("0")?;
    place.config_map("ring", &first)?;
    place.plugin("ring", &json!({"source": {"configMap": {"name": "ring"}}}))?;
    place.wait_for("ring", "Ready", "True")?;
    place.cluster.apply(&jobs())?;
    place.cluster.wait_until(120, "all jobs to run", || {
        let jobs = place.cluster.get("default", "ringjobs")?;
        let is_running = |job: &&Value| job["status"]["conditions"].to_string().contains("\"type\":\"Running\"");
        let running = jobs["items"].as_array().into_iter().flatten().filter(is_running).count();
        ensure!(running == JOBS, "{running} of {JOBS} run");
        Ok(())
    })?;
    let (before, planned_by) = (pods(&place.cluster)?, Digest::of(&first).to_string());
    assert_eq!((before.len(), digests(&place.cluster)?), (2 * JOBS, [planned_by.clone()].into()));
    let (who, mut memories) = (identity(&operator)?, vec![]);

    for reload in 1..=RELOADS {
        let good = ring(&reload.to_string())?;
        let is_good = reload % 2 == 0;
        place.config_map("ring", if is_good { &good } else { good.get(..good.len() / 2).context("it is short")? })?;
        if is_good {
            place.wait_until_active("ring", &Digest::of(&good).to_string())?;
            place.wait_for("ring", "Degraded", "False")?;
            memories.push(memory(&operator)?);
        } else {
            place.wait_for("ring", "Degraded", "True")?;
            assert_eq!(place.wait_for("ring", "Ready", "True")?, "Loaded");
        }
    }
    assert_eq!(pods(&place.cluster)?, before);
    assert_eq!(digests(&place.cluster)?, [planned_by.clone()].into());
    assert_eq!((failures(&operator)?, identity(&operator)?), (Vec::<String>::new(), who));
    place::print(&format!("memory after each good reload: {memories:?} KiB"))?;
    // The allocator gives back in its own time: what counts is what is left at the lowest.
    let lowest = |some: Option<&[u64]>| some.and_then(|some| some.iter().min()).copied().unwrap_or_default();
    let (early, late) =
        (lowest(memories.first_chunk::<8>().map(|it| &it[..])), lowest(memories.last_chunk::<8>().map(|it| &it[..])));
    ensure!(late < early + 16 * 1024, "{memories:?} KiB");

    // Back to the first: it is still loaded, for the jobs.
    let began = Instant::now();
    place.config_map("ring", &first)?;
    place.wait_until_active("ring", &planned_by)?;
    place::print(&format!("rolled back {} ms after the apply", began.elapsed().as_millis()))?;
    let compiled = |status: &Value| status["active"]["digest"] == json!(planned_by);
    ensure!(compiled(&place.status("ring")?), "{}", place.status("ring")?);
    Ok(())
}
