//! Kueue and our jobs: it holds them, starts them with what it knows of the nodes, takes them back, and runs them elsewhere.
//! A test plays its part, as its integration of v1's kinds does it.

use anyhow::{Result, ensure};
use serde_json::{Map, Value, json};

use super::place::{Kind, PYTORCH, Place, XGBOOST};

/// What Kueue puts into the pod templates when it admits a job, and takes out when it evicts it.
struct Flavor {
    labels: Value,
    selector: Value,
    tolerations: Value,
}

impl Flavor {
    fn of(queue: &str, selector: Value) -> Self {
        let labels = json!({"kueue.x-k8s.io/podset": queue});
        Self { labels, selector, tolerations: json!([{"key": "spot", "operator": "Exists"}]) }
    }

    fn none() -> Self {
        Self { labels: json!(null), selector: json!(null), tolerations: json!(null) }
    }

    /// One update: the templates and the switch together.
    fn put(&self, place: &Place, kind: &Kind, job: &str, suspend: bool) -> Result<()> {
        let template = json!({
            "metadata": {"labels": self.labels},
            "spec": {"nodeSelector": self.selector, "tolerations": self.tolerations},
        });
        let types = ["Master", "Worker"].map(|each| (each.to_owned(), json!({"template": template})));
        let types: Map<_, _> = types.into_iter().collect();
        let patch = json!({"spec": {"runPolicy": {"suspend": suspend}, kind.replica_specs: types}}).to_string();
        place.kubectl(&["patch", job, "--type=merge", "--patch", &patch]).map(drop)
    }
}

#[test]
fn a_pytorch_job_waits_for_its_queue() -> Result<()> {
    waits_for_its_queue(&PYTORCH)
}

#[test]
fn an_xgboost_job_waits_for_its_queue() -> Result<()> {
    waits_for_its_queue(&XGBOOST)
}

fn waits_for_its_queue(kind: &Kind) -> Result<()> {
    let Some(place) = Place::new("queue")? else { return Ok(()) };
    let _operator = place.operator(&[kind], &[])?;
    let job = &format!("{}/mnist", kind.name.to_lowercase());
    let mut object = kind.job("mnist", &[("Master", 1), ("Worker", 2)], json!({}));
    object["metadata"]["labels"] = json!({"kueue.x-k8s.io/queue-name": "users"});
    object["spec"]["runPolicy"] = json!({"suspend": true});
    place.apply(&object)?;
    place.wait_for(job, "Suspended")?;
    assert_eq!(conditions(&place, job)?, ["Created=True", "Suspended=True"]);
    assert_eq!(place.get(job)?["status"]["startTime"], json!(null), "it has not begun");

    let first = Flavor::of("first", json!({"type": "kwok"}));
    first.put(&place, kind, job, false)?;
    place.wait(job, "jsonpath={.status.replicaStatuses.Worker.active}=2")?;
    place.wait_for(job, "Running")?;
    has_flavor(&place, &first)?;
    assert_eq!(conditions(&place, job)?, ["Created=True", "Suspended=False", "Running=True"]);
    let [pods, started] = [json!(place.pods()?), place.get(job)?["status"]["startTime"].clone()];

    Flavor::none().put(&place, kind, job, true)?;
    place.wait_for(job, "Suspended")?;
    place.wait_until_made(&[])?;
    let status = &place.get(job)?["status"];
    assert_eq!(active(status), 0, "by this Kueue knows that the quota is free");
    assert_eq!(conditions(&place, job)?, ["Created=True", "Running=False", "Suspended=True"]);
    assert_eq!(status["startTime"], started);

    let node = place.kubectl(&["get", "nodes", "--output", "jsonpath={.items[0].metadata.name}"])?;
    let second = Flavor::of("second", json!({"kubernetes.io/hostname": node}));
    second.put(&place, kind, job, false)?;
    place.wait(job, "jsonpath={.status.replicaStatuses.Worker.active}=2")?;
    place.wait_for(job, "Running")?;
    has_flavor(&place, &second)?;
    assert_ne!(json!(place.pods()?), pods, "all pods are new");
    place.end("mnist-master-0", 0)?;
    place.wait_for(job, "Succeeded")?;
    assert_eq!(active(&place.get(job)?["status"]), 0);
    Ok(())
}

fn has_flavor(place: &Place, flavor: &Flavor) -> Result<()> {
    let pods = place.get("pods")?;
    let pods = pods["items"].as_array().into_iter().flatten().collect::<Vec<_>>();
    assert_eq!(pods.len(), 3);
    for pod in pods {
        assert_eq!(pod["spec"]["nodeSelector"], flavor.selector);
        assert_eq!(pod["metadata"]["labels"]["kueue.x-k8s.io/podset"], flavor.labels["kueue.x-k8s.io/podset"]);
        let tolerations = pod["spec"]["tolerations"].as_array().into_iter().flatten();
        assert!(tolerations.into_iter().any(|each| *each == flavor.tolerations[0]), "{pod:#}");
    }
    Ok(())
}

/// Type and status, in order.
fn conditions(place: &Place, job: &str) -> Result<Vec<String>> {
    Ok(place.conditions(job)?.into_iter().map(|[kind, status, _, _]| format!("{kind}={status}")).collect())
}

/// What Kueue adds up: while it is above 0 the job counts as running.
fn active(status: &Value) -> u64 {
    let replicas = status["replicaStatuses"].as_object().into_iter().flatten();
    replicas.map(|(_, counts)| counts["active"].as_u64().unwrap_or_default()).sum()
}

/// `MultiKueue` runs a copy on another cluster, here another namespace, and copies the status back.
#[test]
fn a_job_that_runs_elsewhere_is_left_to_who_runs_it() -> Result<()> {
    let (Some(home), Some(away)) = (Place::new("home")?, Place::new("away")?) else { return Ok(()) };
    let operator = home.operator(&[&PYTORCH], &[])?;
    let _other = away.operator(&[&PYTORCH], &[])?;
    let job = "pytorchjob/mnist";
    let mut object = PYTORCH.job("mnist", &[("Master", 1), ("Worker", 2)], json!({}));
    object["spec"]["runPolicy"] = json!({"ttlSecondsAfterFinished": 0, "backoffLimit": 3});
    let mut local = object.clone();
    local["spec"]["runPolicy"]["managedBy"] = "kueue.x-k8s.io/multikueue".into();
    home.apply(&local)?;
    object["spec"]["runPolicy"]["ttlSecondsAfterFinished"] = json!(null);
    away.apply(&object)?;

    let copy = || -> Result<Value> {
        let mut local = home.get(job)?;
        local["status"] = away.get(job)?["status"].clone();
        home.cluster.kubectl_with(&["replace", "--subresource=status", "-f", "-"], &local.to_string())?;
        Ok(local["status"].clone())
    };
    away.wait_for(job, "Running")?;
    copy()?;
    away.end("mnist-worker-0", 137)?;
    away.wait(job, "jsonpath={.status.restarts}=1")?;
    away.end("mnist-master-0", 0)?;
    away.wait_for(job, "Succeeded")?;
    let status = copy()?;
    home.wait_for(job, "Succeeded")?;
    home.kubectl(&["patch", job, "--type=merge", "--patch", r#"{"spec":{"runPolicy":{"suspend":true}}}"#])?;
    // A job after it: when this one is done, whatever the other had to become it has become.
    home.apply(&PYTORCH.job("next", &[("Master", 1)], json!({"test/complete-after": "0s"})))?;
    home.wait_for("pytorchjob/next", "Succeeded")?;

    assert!(operator.terminate()?.success());
    assert_eq!(home.get(job)?["status"], status, "what another wrote stays");
    let (made, events) = (home.made()?, home.events(job)?);
    ensure!(!made.iter().any(|name| name.contains("mnist")) && events.is_empty(), "{made:?} {events:?}");
    let requests = home.requests()?.into_iter().map(|request| request.uri);
    assert_eq!(requests.filter(|uri| uri.contains("/mnist")).collect::<Vec<_>>(), [""; 0]);
    Ok(())
}
