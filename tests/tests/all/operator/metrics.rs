//! What an admin's dashboards and rules read: every name, help text and label of the page of metrics, and what counts.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde_json::json;
use trainyard_tests::{ROOT, generated};

use super::place::{PYTORCH, Place, counter};

/// A job that restarts, succeeds and is deleted in time, and one that fails.
#[test]
fn the_page_has_v1s_names_and_counts_what_happened() -> Result<()> {
    let Some(place) = Place::new("metrics")? else { return Ok(()) };
    let operator = place.operator(&[&PYTORCH], &[])?;
    let mut job = PYTORCH.job("good", &[("Master", 1), ("Worker", 2)], json!({}));
    job["spec"]["runPolicy"] = json!({"ttlSecondsAfterFinished": 0, "cleanPodPolicy": "All"});
    place.apply(&job)?;
    place.wait_for("pytorchjob/good", "Running")?;
    let first = place.pods()?;
    place.end("good-worker-0", 1)?;
    place.cluster.wait_until(60, "worker 0 to be made again", || {
        let pods = place.pods()?;
        ensure!(pods.len() == 3 && pods != first, "{pods:?}");
        Ok(())
    })?;
    place.end("good-master-0", 0)?;
    place.wait("pytorchjob/good", "delete")?;

    let mut job = PYTORCH.job("bad", &[("Master", 1)], json!({"test/exit-code": "1", "test/complete-after": "0s"}));
    job["spec"]["pytorchReplicaSpecs"]["Master"]["restartPolicy"] = "Never".into();
    place.apply(&job)?;
    place.wait_for("pytorchjob/bad", "Failed")?;

    let page = operator.metrics()?;
    let counts = |names: &[&str]| names.iter().map(|name| counter(&page, name)).collect::<Vec<_>>();
    let jobs = ["created", "deleted", "successful", "failed", "restarted"];
    let jobs = jobs.map(|word| format!("training_operator_jobs_{word}_total"));
    assert_eq!(counts(&jobs.each_ref().map(String::as_str)), [2, 1, 1, 1, 1], "{page}");
    let pods = ["created_pods_total", "failed_pods_total", "succeeded_service_creation_total"];
    assert_eq!(counts(&pods), [5, 2, 4], "{page}");
    let failures = ["failed_service_creation_total", "created_pod_groups_total", "deleted_pod_groups_total"];
    assert_eq!(counts(&failures), [0, 0, 0], "{page}");
    generated::up_to_date(&Path::new(ROOT).join("tests/golden/metrics.txt"), &families(&page)?)
}

/// A line for each family: name{labels}, type, help.
fn families(page: &str) -> Result<String> {
    let mut families = BTreeMap::<&str, [String; 3]>::new();
    let mut name = "";
    for line in page.lines() {
        let mut words = line.splitn(4, ' ');
        match (words.next(), words.next(), words.next(), words.next()) {
            (Some("#"), Some("HELP"), Some(of), Some(help)) => {
                name = of;
                families.entry(of).or_default()[2] = help.to_owned();
            }
            (Some("#"), Some("TYPE"), Some(of), Some(kind)) => families.entry(of).or_default()[1] = kind.to_owned(),
            _ => families.get_mut(name).with_context(|| format!("of no family: {line}"))?[0] = labels(line),
        }
    }
    let line = |(name, [labels, kind, help]): (&str, [String; 3])| format!("{name}{labels} {kind}: {help}\n");
    Ok(families.into_iter().map(line).collect())
}

/// `{a,b}` of a sample, without a histogram's own.
fn labels(sample: &str) -> String {
    let inside = sample.split_once('{').and_then(|(_, rest)| rest.split_once('}')).map_or("", |(inside, _)| inside);
    let names = inside.split(',').filter_map(|label| label.split('=').next());
    let names: Vec<_> = names.filter(|name| !name.is_empty() && *name != "le").collect();
    if names.is_empty() { String::new() } else { format!("{{{}}}", names.join(",")) }
}
