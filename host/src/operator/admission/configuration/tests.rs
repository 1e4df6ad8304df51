//! The webhooks that are there, and those that should be.

use trainyard_core::contract::{Port, RestartPolicy};

use super::*;

fn hook(kind: &str) -> Hook {
    Hook::of(&Kind {
        group: "kubeflow.org".into(),
        version: "v1".into(),
        kind: kind.into(),
        plural: format!("{}s", kind.to_lowercase()),
        short_names: vec![],
        replica_specs: "replicaSpecs".into(),
        replica_types: vec![],
        container: "c".into(),
        port: None::<Port>,
        restart_policy: RestartPolicy::Never,
        replace_failed: true,
        spec_properties: "{}".into(),
        scales: None,
        columns: vec![],
    })
}

fn service() -> Service {
    Service { name: "training-operator".into(), namespace: "kubeflow".into() }
}

fn wanted(stored: &[Value], hooks: &[Hook]) -> Vec<Value> {
    webhooks(stored, hooks, &clients(stored, hooks, &BTreeSet::new()), &service(), "CA")
}

/// As an API server stores it: more fields than anybody wrote.
fn entry(name: &str, client: Value) -> Value {
    json!({
        "name": format!("validator.{name}.training-operator.kubeflow.org"), "clientConfig": client,
        "failurePolicy": "Ignore", "matchPolicy": "Equivalent", "timeoutSeconds": 3, "namespaceSelector": {"a": "b"},
    })
}

/// `CA` in base64.
const BUNDLE: &str = "Q0E=";

#[test]
fn a_webhook_that_is_missing_is_v1s() {
    let found = wanted(&[], &[hook("FooJob")]);
    assert_eq!(
        found,
        [json!({
            "name": "validator.foojob.training-operator.kubeflow.org",
            "clientConfig": {
                "service": {
                    "name": "training-operator", "namespace": "kubeflow", "port": 443,
                    "path": "/validate-kubeflow-org-v1-foojob",
                },
                "caBundle": BUNDLE,
            },
            "rules": [{
                "apiGroups": ["kubeflow.org"], "apiVersions": ["v1"], "operations": ["CREATE", "UPDATE"],
                "resources": ["foojobs"],
            }],
            "failurePolicy": "Fail",
            "sideEffects": "None",
            "admissionReviewVersions": ["v1"],
        })]
    );
}

#[test]
fn what_an_admin_made_of_a_webhook_stays() {
    let service = json!({"service": {"name": "outside", "namespace": "ops", "port": 31443, "path": "/x"}});
    for (name, client) in [
        ("another service", service),
        ("a URL", json!({"url": "https://10.0.0.1:9443/validate-kubeflow-org-v1-foojob"})),
        ("an old bundle", json!({"url": "https://10.0.0.1:9443/x", "caBundle": "b2xk"})),
    ] {
        let mut expected = entry("foojob", client.clone());
        expected["clientConfig"]["caBundle"] = BUNDLE.into();
        let found = wanted(&[entry("foojob", client)], &[hook("FooJob")]);
        assert_eq!(found, [expected], "{name}");
        assert_eq!(wanted(&found, &[hook("FooJob")]), found, "{name}: settled");
    }
}

#[test]
fn webhooks_of_others_are_left_alone() {
    let others =
        [entry("barjob", json!({"url": "https://a/b", "caBundle": "b2xk"})), json!({"name": "their.own.hook"})];
    let found = wanted(&others, &[hook("FooJob")]);
    assert_eq!(found[..2], others);
    assert_eq!(found.len(), 3);
}

#[test]
fn a_webhook_is_added_where_the_others_are_reached() {
    let hooks = [hook("FooJob"), hook("BarJob")];
    let service = |path: &str| json!({"service": {"name": "outside", "namespace": "ops", "port": 31443, "path": path}});
    for (name, there, expected) in [
        ("a service", service("/validate-kubeflow-org-v1-foojob"), service("/validate-kubeflow-org-v1-barjob")),
        (
            "a URL",
            json!({"url": "https://proxy/op/validate-kubeflow-org-v1-foojob"}),
            json!({"url": "https://proxy/op/validate-kubeflow-org-v1-barjob"}),
        ),
        (
            "a path of its own says nothing of others",
            json!({"url": "https://proxy/x"}),
            json!({"service": {
                "name": "training-operator", "namespace": "kubeflow", "port": 443,
                "path": "/validate-kubeflow-org-v1-barjob",
            }}),
        ),
    ] {
        let found = wanted(&[entry("foojob", there)], &hooks);
        let mut client = found[1]["clientConfig"].clone();
        client.as_object_mut().unwrap().remove("caBundle");
        assert_eq!(client, expected, "{name}");
    }
}

#[test]
fn a_webhook_that_was_deleted_is_reached_as_before() {
    let hooks = [hook("FooJob")];
    let client = json!({"url": "https://10.0.0.1:9443/x", "caBundle": BUNDLE});
    let known = clients(&[entry("foojob", client.clone())], &hooks, &BTreeSet::new());
    let found = webhooks(&[], &hooks, &known, &service(), "CA");
    assert_eq!(found[0]["clientConfig"], client);
}

#[test]
fn the_certificate_is_for_every_name_by_which_we_are_called() {
    let hooks = [hook("FooJob"), hook("BarJob")];
    let service = service();
    for (client, expected) in [
        (json!({"service": {"name": "outside", "namespace": "ops"}}), Some("outside.ops.svc")),
        (json!({"url": "https://127.0.0.1:31443/x"}), Some("127.0.0.1")),
        (json!({"url": "https://[::1]:31443/x"}), Some("::1")),
        (json!({"url": "https://Hooks.Example.com/x"}), Some("hooks.example.com")),
        (json!({"url": "no url"}), None),
        (json!({}), None),
    ] {
        let found = names(&clients(&[entry("foojob", client.clone())], &hooks, &BTreeSet::new()), &service);
        let all = ["training-operator.kubeflow.svc"].into_iter().chain(expected).map(str::to_owned);
        assert_eq!(found, all.collect(), "{client}");
    }
}

#[test]
fn an_authority_is_carried_when_every_webhook_of_ours_knows_it() {
    let now = "2026-01-01T00:00:00Z".parse().unwrap();
    let bundle = || certificate::issue(&["a".to_owned()].into(), now).unwrap().ca_crt;
    let (old, new) = (bundle(), bundle());
    let [authority] = Authority::all(&new).try_into().unwrap();
    let hooks = [hook("FooJob"), hook("BarJob")];
    let stored = |bundles: &[&str]| {
        let entries = ["foojob", "barjob"].iter().zip(bundles);
        let client = |bundle: &str| json!({"caBundle": ByteString(bundle.into())});
        entries.map(|(name, bundle)| entry(name, client(bundle))).collect::<Vec<_>>()
    };
    let both = format!("{old}{new}");
    for (name, bundles, expected) in [
        ("both know it", vec![new.as_str(), &both], true),
        ("one knows another", vec![&new, &old], false),
        ("one is missing", vec![&new], false),
        ("one knows none", vec![&new, ""], false),
    ] {
        assert_eq!(carries(&stored(&bundles), &hooks, &BTreeSet::new(), &authority), expected, "{name}");
    }
    let held = [name("kubeflow.org", "BarJob")].into();
    for (bundles, expected) in [(vec![new.as_str(), &new], true), (vec![&new, &old], false), (vec![&new], true)] {
        let mut stored = stored(&bundles);
        assert_eq!(carries(&stored, &hooks[..1], &held, &authority), expected, "one is held");
        renew(&mut stored, &held, &new);
        assert!(carries(&stored, &hooks[..1], &held, &authority), "and is told of us where it is");
    }
}
