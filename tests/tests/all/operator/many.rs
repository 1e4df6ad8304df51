//! Several jobs at a time.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use super::place::{PYTORCH, Place, XGBOOST, counter};

#[test]
fn jobs_of_one_kind_and_of_two_live_side_by_side() -> Result<()> {
    let Some(place) = Place::new("side-by-side")? else { return Ok(()) };
    let operator = place.operator(&[&PYTORCH, &XGBOOST], &[])?;
    let replicas = [("Master", 1), ("Worker", 2)];
    // The pods of `mnist` are no prefix of another's, its name is.
    let jobs =
        [("pytorchjob", &PYTORCH, "mnist"), ("pytorchjob", &PYTORCH, "mnist-2"), ("xgboostjob", &XGBOOST, "trees")];
    for (_, kind, name) in jobs {
        place.apply(&kind.job(name, &replicas, json!({})))?;
    }
    for (kind, _, name) in jobs {
        place.wait_for(&format!("{kind}/{name}"), "Running")?;
        place.wait(&format!("{kind}/{name}"), "jsonpath={.status.replicaStatuses.Worker.active}=2")?;
    }
    let before = place.pods()?;
    assert_eq!(before.len(), 9, "{before:#?}");

    place.kubectl(&["delete", "pytorchjob/mnist"])?;
    let rest = ["mnist-2", "trees"].map(|job| ["master-0", "worker-0", "worker-1"].map(|pod| format!("{job}-{pod}")));
    let made = rest.iter().flatten().flat_map(|pod| [format!("pod/{pod}"), format!("service/{pod}")]);
    let made: Vec<_> = made.collect();
    place.wait_until_made(&made.iter().map(String::as_str).collect::<Vec<_>>())?;
    let stay: BTreeMap<_, _> = before.into_iter().filter(|(pod, _)| rest.as_flattened().contains(pod)).collect();
    assert_eq!(place.pods()?, stay);

    place.end("mnist-2-master-0", 0)?;
    place.wait_for("pytorchjob/mnist-2", "Succeeded")?;
    place.wait_for("xgboostjob/trees", "Running")?;
    place.end("trees-master-0", 0)?;
    place.wait_for("xgboostjob/trees", "Succeeded")?;
    let page = operator.metrics()?;
    for (framework, count) in [("pytorch", 2), ("xgboost", 1)] {
        let line = format!(
            "training_operator_jobs_created_total{{framework=\"{framework}\",job_namespace=\"{}\"}} {count}",
            place.namespace
        );
        assert!(page.lines().any(|each| each == line), "{line} is not in {page}");
    }
    Ok(())
}

#[test]
fn a_hundred_jobs_at_once_succeed() -> Result<()> {
    let Some(place) = Place::new("hundred")? else { return Ok(()) };
    let operator = place.operator(&[&PYTORCH, &XGBOOST], &[])?;
    let job = |number| PYTORCH.job(&format!("job-{number}"), &[("Master", 1)], json!({"test/complete-after": "0s"}));
    let jobs: Vec<Value> = (0..100).map(job).collect();
    let list = json!({"apiVersion": "v1", "kind": "List", "items": jobs}).to_string();
    place.cluster.kubectl_with(&["create", "--namespace", &place.namespace, "-f", "-"], &list)?;
    place.kubectl(&["wait", "--for=condition=Succeeded", "pytorchjob", "--all", "--timeout=120s"])?;
    let page = place.cluster.wait_until(10, "the last count", || {
        let page = operator.metrics()?;
        ensure!(counter(&page, "training_operator_jobs_successful_total") >= 100, "{page}");
        Ok(page)
    })?;
    for (counted, count) in [("created", 100), ("successful", 100), ("failed", 0), ("restarted", 0), ("deleted", 0)] {
        assert_eq!(counter(&page, &format!("training_operator_jobs_{counted}_total")), count, "{counted}");
    }
    assert!(operator.terminate()?.success());
    let changes = place.changes()?;
    let refused: Vec<_> = changes.iter().filter(|(_, _, code)| *code >= 300).collect();
    assert!(refused.is_empty(), "{refused:?}");
    for resource in ["pods", "services"] {
        let made = changes.iter().filter(|(verb, what, _)| verb == "create" && what == resource);
        assert_eq!(made.count(), 100, "{resource}");
    }
    Ok(())
}
