//! The operator is started again where what it needs is not there: nothing that jobs need is forgotten.

use std::fs;
use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use trainyard_tests::registry::{Door, Registry};

use super::outage::{endless, push, told};
use super::place::{Place, ROLE};
use super::story::runs;
use crate::operator::place::text;

pub(super) fn start(place: &Place, name: &str) -> Result<()> {
    place.cluster.apply(&endless(name)?.to_string())?;
    place.cluster.kubectl(&["wait", "--for=condition=Running", &format!("ringjob/{name}"), "--timeout=60s"]).map(drop)
}

fn retained(status: &Value) -> Vec<String> {
    status["retained"].as_array().into_iter().flatten().map(|each| text(&each["digest"])).collect()
}

/// Deletes the files of these names.
fn lose(folder: &Path, is_lost: &dyn Fn(&str) -> bool) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            lose(&path, is_lost)?;
        } else if path.file_name().and_then(|name| name.to_str()).is_some_and(is_lost) {
            fs::remove_file(path)?;
        }
    }
    Ok(())
}

#[test]
fn what_cannot_be_had_for_the_moment_is_not_forgotten() -> Result<()> {
    let Some(place) = Place::new()? else { return Ok(()) };
    let operator = place.operator()?;
    place.cluster.apply(ROLE)?;
    let registry = Registry::start(Door::Open)?;
    let host = registry.host().to_owned();
    let spec = |tag: &str| json!({"source": {"oci": {"reference": format!("{host}/ring:{tag}"), "plainHttp": true}}});
    let (first, second) = (push(&registry, "1")?, push(&registry, "2")?);
    place.plugin("ring", &spec("1"))?;
    place.wait_until_active("ring", &first)?;
    start(&place, "on-the-first")?;
    place.plugin("ring", &spec("2"))?;
    place.wait_until_active("ring", &second)?;
    start(&place, "on-the-second")?;
    let before = place.status("ring")?;
    assert_eq!(retained(&before), std::slice::from_ref(&first));

    // Neither on this disk nor anywhere else.
    drop(operator);
    lose(place.cache(), &|_| true)?;
    registry.close()?;
    let operator = place.operator()?;
    assert_eq!(place.wait_for("ring", "Ready", "False")?, "Unavailable");
    let status = place.status("ring")?;
    assert_eq!((retained(&status), &status["kinds"]), (vec![second.clone(), first.clone()], &before["kinds"]));

    // It is still asked for by its jobs, so it does not go.
    drop(operator);
    let operator = place.operator()?;
    place.cluster.kubectl(&["delete", "frameworkplugin", "ring", "--wait=false"])?;
    told(&place, "InUse")?;
    assert_eq!(retained(&place.status("ring")?), [second.clone(), first.clone()]);

    // The registry is there again: the one that new jobs are for, and the one that is only known to have been.
    registry.reopen()?;
    place.wait_until_active("ring", &second)?;
    place.cluster.kubectl(&["delete", "pod", "on-the-first-member-0", "--wait=false"])?;
    for job in ["on-the-first", "on-the-second"] {
        place.cluster.wait_until(90, &format!("{job} to be looked after"), || {
            let pods = place.cluster.get("default", "pods")?;
            let of = |pod: &&Value| text(&pod["metadata"]["name"]).starts_with(job);
            let pods = pods["items"].as_array().into_iter().flatten().filter(of).count();
            ensure!(pods == 3, "{pods} pods");
            Ok(())
        })?;
    }
    place.cluster.kubectl(&["delete", "ringjob", "--all"])?;
    place.cluster.kubectl(&["wait", "--for=delete", "frameworkplugin/ring", "--timeout=60s"])?;
    drop(operator);
    Ok(())
}

#[test]
fn an_old_version_is_looked_for_until_it_is_there() -> Result<()> {
    let Some(place) = Place::new()? else { return Ok(()) };
    let operator = place.operator()?;
    place.cluster.apply(ROLE)?;
    let registry = Registry::start(Door::Open)?;
    let host = registry.host().to_owned();
    let activate = |tag: &str| -> Result<String> {
        let digest = push(&registry, tag)?;
        let oci = json!({"reference": format!("{host}/ring:{tag}"), "plainHttp": true});
        place.plugin("ring", &json!({"source": {"oci": oci}}))?;
        place.wait_until_active("ring", &digest)?;
        let (_, hash) = digest.split_once(':').context("it has no algorithm")?;
        Ok(hash.to_owned())
    };
    let first = activate("1")?;
    start(&place, "older")?;
    let second = activate("2")?;
    start(&place, "old")?;
    activate("3")?;

    // Of the three versions the old ones are lost.
    drop(operator);
    lose(place.cache(), &|file| file.contains(&first) || file.contains(&second))?;
    registry.close()?;
    let _operator = place.operator()?;
    // New jobs are planned, and it is told that old ones wait.
    runs(&place.cluster, "new")?;
    assert_eq!(place.wait_for("ring", "Degraded", "True")?, "VersionMissing");
    let wait_until_retained = |digests: &[String]| {
        place.cluster.wait_until(60, &format!("{digests:?} to be retained"), || {
            let status = place.status("ring")?;
            ensure!(retained(&status) == digests, "{status}");
            Ok(())
        })
    };
    place.cluster.kubectl(&["delete", "ringjob", "older"])?;
    wait_until_retained(&[format!("sha256:{second}")])?;
    registry.reopen()?;
    place.wait_for("ring", "Degraded", "False")?;
    place.cluster.kubectl(&["delete", "ringjob", "old"])?;
    wait_until_retained(&[])
}

#[test]
fn a_bundled_plugin_takes_no_jobs_of_one_that_is_suspended() -> Result<()> {
    let Some(place) = Place::new()? else { return Ok(()) };
    let operator = place.operator()?;
    place.plugin("own", &json!({"source": {"bundled": {"name": "xgboost"}}}))?;
    place.wait_for("own", "Ready", "True")?;
    let digest = text(&place.status("own")?["active"]["digest"]);
    let job = |name: &str| -> Result<()> {
        let job = include_str!("restart/job.yaml").replace("NAME", name);
        place.cluster.apply(&job).map(drop)
    };
    let planned_by = |name: &str| -> Result<String> {
        Ok(text(&place.cluster.get("default", &format!("xgboostjob/{name}"))?["status"]["pluginDigest"]))
    };
    let conditions = |name: &str| -> Result<Value> {
        Ok(place.cluster.get("default", &format!("xgboostjob/{name}"))?["status"]["conditions"].clone())
    };
    job("one")?;
    place.cluster.kubectl(&["wait", "--for=condition=Running", "xgboostjob/one", "--timeout=60s"])?;
    assert_eq!(planned_by("one")?, digest);

    place.plugin("own", &json!({"source": {"bundled": {"name": "xgboost"}}, "suspend": true}))?;
    assert_eq!(place.wait_for("own", "Ready", "False")?, "Suspended");
    job("two")?;
    // Nor does anybody else take them.
    place.plugin("other", &json!({"source": {"bundled": {"name": "xgboost"}}}))?;
    assert_eq!(place.wait_for("other", "Ready", "False")?, "KindConflict");
    drop(operator);
    let _operator = place.operator()?;
    sleep(Duration::from_secs(3)); // in which it would be planned
    assert_eq!(conditions("two")?, Value::Null);
    place.plugin("own", &json!({"source": {"bundled": {"name": "xgboost"}}, "suspend": false}))?;
    place.cluster.kubectl(&["wait", "--for=condition=Running", "xgboostjob/two", "--timeout=60s"])?;
    assert_eq!(planned_by("two").context("the second")?, digest);
    Ok(())
}
