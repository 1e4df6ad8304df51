//! What `deploy/rbac.yaml` grants is what an operator uses: all of it, and no more.

use std::collections::BTreeSet;

use anyhow::Result;
use serde_json::{Value, json};

use super::place::{JAX, Kind, PADDLE, PYTORCH, Place, TENSORFLOW, XGBOOST, resource, text};

/// Granted, but not asked for by the test below.
const REST: [(&str, &str, &str); 2] =
    [("create", "secrets", "no framework that is bundled starts its replicas by ssh"), ("get", "secrets", "likewise")];

/// Of each kind but `PyTorchJob` one job, of which the test asks that it gets its pod, and no more.
const OTHERS: [(&Kind, &str, &str); 4] = [
    (&JAX, "transformer", "Worker"),
    (&PADDLE, "detector", "Worker"),
    (&TENSORFLOW, "translator", "Chief"),
    (&XGBOOST, "trees", "Master"),
];

/// Granted for each kind, and not asked for: that objects may have owners is checked by Kubernetes when they are made, and
/// it is a `PyTorchJob` that is deleted; the code is the same.
fn rest_of_kinds() -> impl Iterator<Item = (String, String)> {
    let plural = |kind: &Kind| format!("{}s", kind.name.to_lowercase());
    let owners = OTHERS.iter().map(|(kind, ..)| *kind).chain([&PYTORCH]);
    let owners = owners.map(move |kind| ("update".to_owned(), format!("{}/finalizers", plural(kind))));
    owners.chain(OTHERS.iter().map(move |(kind, ..)| ("delete".to_owned(), plural(kind))))
}

#[test]
fn the_role_grants_what_is_used_and_no_more() -> Result<()> {
    let Some(place) = Place::new("role")? else { return Ok(()) };
    foreign(&place)?;
    let operator = place.operator(&["--leader-elect"])?;
    let mut job = PYTORCH.job("mnist", &[("Worker", 2)], json!({}));
    let resource_metric = json!({"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}});
    let metrics = json!([{"type": "Resource", "resource": resource_metric}]);
    job["spec"]["elasticPolicy"] = json!({"minReplicas": 1, "maxReplicas": 2, "metrics": metrics});
    place.apply(&job)?;
    for (kind, name, replica_type) in OTHERS {
        place.apply(&kind.job(name, &[(replica_type, 1)], json!({})))?;
    }

    // What is in the way is looked at: an autoscaler, then a pod, then a service.
    let ours = |object: &str| place.wait(object, "jsonpath={.metadata.ownerReferences[0].name}=mnist");
    for (object, event) in [
        ("hpa/mnist", "ErrResourceExists"),
        ("pod/mnist-worker-0", "FailedCreatePod"),
        ("service/mnist-worker-0", "FailedCreateService"),
    ] {
        place.cluster.wait_until(60, event, || {
            let told = place.events("pytorchjob/mnist")?;
            anyhow::ensure!(told.iter().any(|[_, reason, _]| reason == event), "{told:#?}");
            Ok(())
        })?;
        place.kubectl(&["delete", object])?;
        // On a slow machine the pauses between attempts have grown to minutes; a change of the job does not wait for them.
        place.kubectl(&["annotate", "pytorchjob/mnist", &format!("test/after={event}")])?;
        place.wait(object, "create")?;
        ours(object)?;
    }
    place.wait("pytorchjob/mnist", "jsonpath={.status.replicaStatuses.Worker.active}=2")?;
    change(&place, &json!({"elasticPolicy": {"maxReplicas": 3}}))?;
    place.wait("hpa/mnist", "jsonpath={.spec.maxReplicas}=3")?;
    change(&place, &json!({"runPolicy": {"suspend": true}}))?;
    let replica = |what| OTHERS.map(|(_, name, of)| format!("{what}/{name}-{}-0", of.to_lowercase()));
    let made = [replica("pod"), replica("service")].concat();
    place.wait_until_made(&made.iter().map(String::as_str).collect::<Vec<_>>())?;
    change(&place, &json!({"runPolicy": {"suspend": false, "ttlSecondsAfterFinished": 0}}))?;
    place.wait("pytorchjob/mnist", "jsonpath={.status.replicaStatuses.Worker.active}=2")?;
    place.end("mnist-worker-0", 0)?;
    place.wait("pytorchjob/mnist", "delete")?;
    assert!(operator.terminate()?.success());

    let requests = place.requests()?;
    let refused: Vec<_> = requests.iter().filter(|request| request.code == 403).collect();
    assert!(refused.is_empty(), "{refused:#?}");
    let used = requests.into_iter().map(|request| (request.verb, resource(&request.uri)));
    let rest = REST.map(|(verb, what, _)| (verb.to_owned(), what.to_owned()));
    assert_eq!(granted(&place)?, used.chain(rest).chain(rest_of_kinds()).collect());
    Ok(())
}

/// Objects of others with the names that the job's will want.
fn foreign(place: &Place) -> Result<()> {
    let target = json!({"apiVersion": "apps/v1", "kind": "Deployment", "name": "other"});
    for (api_version, kind, name, spec) in [
        ("autoscaling/v2", "HorizontalPodAutoscaler", "mnist", json!({"scaleTargetRef": target, "maxReplicas": 1})),
        ("v1", "Pod", "mnist-worker-0", json!({"containers": [{"name": "other", "image": "fake"}]})),
        ("v1", "Service", "mnist-worker-0", json!({"ports": [{"port": 80}]})),
    ] {
        let metadata = json!({"name": name});
        place.apply(&json!({"apiVersion": api_version, "kind": kind, "metadata": metadata, "spec": spec}))?;
    }
    Ok(())
}

fn change(place: &Place, spec: &Value) -> Result<()> {
    let patch = json!({"spec": spec}).to_string();
    place.kubectl(&["patch", "pytorchjob/mnist", "--type=merge", "--patch", &patch]).map(drop)
}

/// Verbs and resources.
fn granted(place: &Place) -> Result<BTreeSet<(String, String)>> {
    let role = place.get("clusterrole/training-operator")?;
    let mut granted = BTreeSet::new();
    for rule in role["rules"].as_array().into_iter().flatten() {
        let list = |field: &str| rule[field].as_array().into_iter().flatten().map(text).collect::<Vec<_>>();
        for what in list("resources") {
            granted.extend(list("verbs").into_iter().map(|verb| (verb, what.clone())));
        }
    }
    Ok(granted)
}
