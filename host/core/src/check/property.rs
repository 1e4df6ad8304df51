//! What holds for every plan: a good one, changed at random in several places, ends in a fault or in objects that are no
//! stronger than the job. `PROPTEST_CASES=100000` tries more, `PROPTEST_RNG_SEED=7` others.

use std::cell::Cell;
use std::collections::BTreeSet;

use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed, TestCaseResult, TestRunner, contextualize_config};
use serde_json::json;

use super::tests::{checked_by, good_and_rich, job};
use super::*;
use crate::action::Action;
use crate::fill::Addresses;
use crate::{diff, fixture, json, render};

/// Texts of which some are good in one place and bad in another.
const TEXTS: &[&str] = &[
    "",
    "-",
    "/",
    "..",
    "../..",
    "/etc",
    "*",
    "x",
    "data",
    "test",
    "train",
    "train-x",
    "users-hosts",
    "users-account",
    "default",
    "kube-system",
    "ns",
    "evil:1",
    "train:1",
    "Master",
    "Worker",
    "worker",
    "UseAny",
    "KeepOurs",
    "A=B",
    "\0",
    "\u{1b}[2J",
    "a\nb",
    "\u{202e}",
    "ConfigMap",
    "Secret",
    "v1",
    "/kind",
    "/image",
    "/metadata/namespace",
    "/args/0",
    "/env/0/value",
    "/securityContext",
    "spec.nodeName",
    "status.podIP",
    "metadata.labels['x']",
    "k8s.io/x",
    "{",
    "{}",
];
/// Fields that do harm where they are let through.
const FIELDS: &[&str] = &[
    "hostPath",
    "hostNetwork",
    "hostPID",
    "securityContext",
    "ports",
    "volumeDevices",
    "lifecycle",
    "ownerReferences",
    "namespace",
    "finalizers",
    "status",
    "spec",
    "nodeName",
    "csi",
    "secret",
    "projected",
    "mountPropagation",
    "serviceAccountName",
    "envFrom",
    "valueFrom",
    "name",
    "image",
    "labels",
    "annotations",
    "containers",
];
/// What such a field could say.
fn values() -> Vec<Value> {
    let mut values = vec![
        Value::Null,
        json!(true),
        json!(0),
        json!(4_294_967_295_u32),
        json!(-1),
        json!([]),
        json!({}),
        json!({"path": "/"}),
        json!({"privileged": true}),
        json!([{"hostPort": 22, "containerPort": 22}]),
        json!({"secretName": "admin"}),
        json!({"name": "admin"}),
        json!([{"secretRef": {"name": "admin"}}]),
        json!({"sources": [{"serviceAccountToken": {"path": "x"}}]}),
        json!({"driver": "d"}),
        json!({"fieldRef": {"fieldPath": "spec"}}),
        json!({"kubernetes.io/x": "y"}),
        json!("x".repeat(300)),
        json!("x".repeat(200_000)),
        json!({"template": {"spec": {"hostNetwork": true, "containers": []}}}),
    ];
    values.extend(TEXTS.iter().map(|text| Value::from(*text)));
    values
}

/// Where, what, and with which value or field.
type Change = (usize, u8, usize, usize);

fn changed(plan: &JobPlan, changes: &[Change], values: &[Value]) -> Option<JobPlan> {
    let mut plan = opened(serde_json::to_value(plan).unwrap());
    for (place, how, value, field) in changes {
        let mut places = Vec::new();
        pointers(&plan, String::new(), &mut places);
        let place = &places[place % places.len()];
        let kind = std::mem::discriminant(plan.pointer(place)?);
        // In the plan itself only what has the type of what was there makes a plan.
        let fits = |value: &&Value| place.contains("/text/") || std::mem::discriminant(*value) == kind;
        let value = values.iter().cycle().skip(value % values.len()).take(values.len()).find(fits).cloned()?;
        let field = FIELDS[field % FIELDS.len()];
        match (how % 4, plan.pointer_mut(place)?) {
            (0, Value::Object(fields)) => drop(fields.insert(field.to_owned(), value)),
            (1, Value::Array(items)) => items.extend(items.last().cloned()),
            (2, Value::Array(items)) => drop(items.pop()),
            (_, found) => *found = value,
        }
    }
    serde_json::from_value(closed(plan)).ok()
}

/// With the JSON in its texts as JSON.
fn opened(value: Value) -> Value {
    match value {
        Value::String(text) => match serde_json::from_str(&text) {
            Ok(inner @ Value::Object(_)) => json!({"text": opened(inner)}),
            _ => text.into(),
        },
        Value::Array(items) => items.into_iter().map(opened).collect(),
        Value::Object(fields) => fields.into_iter().map(|(name, field)| (name, opened(field))).collect(),
        other @ (Value::Null | Value::Bool(_) | Value::Number(_)) => other,
    }
}

fn closed(value: Value) -> Value {
    match value {
        Value::Array(items) => items.into_iter().map(closed).collect(),
        Value::Object(mut fields) => match fields.remove("text").filter(|_| fields.is_empty()) {
            Some(inner) => closed(inner).to_string().into(),
            None => fields.into_iter().map(|(name, field)| (name, closed(field))).collect(),
        },
        other @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_)) => other,
    }
}

fn pointers(value: &Value, at: String, found: &mut Vec<String>) {
    match value {
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                pointers(item, format!("{at}/{index}"), found);
            }
        }
        Value::Object(fields) => fields.iter().for_each(|(name, field)| {
            pointers(field, format!("{at}/{}", name.replace('~', "~0").replace('/', "~1")), found);
        }),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
    found.push(at);
}

/// What becomes of a plan that is believed.
fn is_harmless(plan: &JobPlan) -> TestCaseResult {
    let kind = fixture::kind();
    let job = Job::parse(&kind, &job()).unwrap();
    let (running, addresses) = (BTreeSet::new(), Addresses::Cluster { domain: None });
    let filler = Filler { kind: &kind, job: &job, network: plan.network, addresses: &addresses, running: &running };
    for planned in &plan.replicas {
        let spec = job.replica(&planned.replica_type).unwrap();
        let Ok(pod) = render::pod(&filler, spec, planned, 0) else { continue };
        let create = Action::CreatePod { pod: pod.clone(), overwrites_restart_policy: false, keeps_scheduler: false };
        prop_assert_eq!(pods(&job, &[vec![create]]), Ok(()));
        let lists = ["/spec/volumes", "/spec/containers", "/spec/initContainers"].map(|list| json::items(&pod, list));
        let parts = [&pod["spec"]].into_iter().chain(lists.into_iter().flatten());
        for part in parts {
            has_none(part, &["hostPath", "hostNetwork", "hostPID", "nodeName", "csi", "lifecycle", "volumeDevices"])?;
            let mut ports = json::items(part, "/ports").iter();
            prop_assert!(ports.all(|port| port.get("hostPort").is_none()), "{}", part);
        }
        for (list, names) in [
            ("/spec/volumes", &["/secret/secretName", "/configMap/name", "/persistentVolumeClaim/claimName"][..]),
            ("/spec/initContainers", &["/envFrom/0/secretRef/name", "/env/0/valueFrom/secretKeyRef/name"]),
        ] {
            let mut named =
                json::items(&pod, list).iter().flat_map(|item| names.iter().map(|name| json::text(item, name)));
            prop_assert!(named.all(|name| name != "admin"), "{}", pod);
        }
        for container in json::items(&pod, "/spec/initContainers") {
            let image = json::text(container, "/image");
            prop_assert!(["settings/image:1", "train:1"].contains(&image), "{}", image);
            prop_assert_ne!(container.pointer("/securityContext/privileged"), Some(&json!(true)));
        }
    }
    let observed = fixture::seen(0, vec![]);
    for action in diff::objects(&filler, plan, &observed).map(|objects| objects.batches.concat()).unwrap_or_default() {
        let Action::CreateObject { object, .. } = action else { continue };
        prop_assert_eq!(json::text(&object, "/kind"), "ConfigMap");
        prop_assert_eq!(json::text(&object, "/metadata/namespace"), "ns");
        prop_assert_eq!(json::items(&object, "/metadata/ownerReferences").len(), 1);
        prop_assert_eq!(json::text(&object, "/metadata/ownerReferences/0/uid"), "job-uid");
        has_none(&object, &["status", "spec", "containers"])?;
        has_none(&object["metadata"], &["finalizers", "generateName"])?;
    }
    Ok(())
}

fn has_none(object: &Value, fields: &[&str]) -> TestCaseResult {
    let found = fields.iter().find(|field| object.get(**field).is_some());
    prop_assert!(found.is_none(), "{:?} in {}", found, object);
    Ok(())
}

#[test]
fn whatever_a_plugin_answers_is_refused_or_harmless() {
    let config = Config { cases: 4000, rng_seed: RngSeed::Fixed(1), failure_persistence: None, ..Config::default() };
    let config = contextualize_config(config);
    let cases = config.cases;
    let (plan, values) = (good_and_rich(), values());
    assert_eq!(checked_by(&plan, &json!({})), Ok(()));
    let (refused, believed) = (Cell::new(0), Cell::new(0));
    let change = (any::<usize>(), any::<u8>(), any::<usize>(), any::<usize>());
    let done = TestRunner::new(config).run(&proptest::collection::vec(change, 1..5), |changes| {
        let Some(plan) = changed(&plan, &changes, &values) else { return Ok(()) };
        match checked_by(&plan, &json!({})) {
            Ok(()) => believed.set(believed.get() + 1),
            Err(fault) => {
                refused.set(refused.get() + 1);
                prop_assert!(fault.contains(": "), "{}", fault);
                return Ok(());
            }
        }
        is_harmless(&plan)
    });
    assert_eq!(done, Ok(()));
    let counts = (refused.get(), believed.get());
    assert!(counts.0 > cases / 10 && counts.1 > cases / 50, "most changes make no plan at all: {counts:?} of {cases}");
}
