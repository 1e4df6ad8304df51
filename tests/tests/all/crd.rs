//! The definitions of all kinds as a cluster's users meet them: kubectl, and an API server of their own, without operator
//! and webhook.
//!
//! They are put over those of another operator, with jobs stored: all tests stand on what was adopted.

use std::sync::OnceLock;

use anyhow::{Context, Result, anyhow, ensure};
use serde_json::{Value, json};
use trainyard_core::json::{merge, text};
use trainyard_tests::ControlPlane;
use trainyard_tests::control_plane::{self, Shape};

use crate::operator::place::trainyard;

/// A kind, as its definition says.
struct Kind {
    definition: Value,
    name: String,
    plural: String,
    replica_specs: String,
    scales: bool,
}

impl Kind {
    fn of(definition: Value) -> Self {
        let field = |pointer| text(&definition, pointer).to_owned();
        let required = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/required/0";
        Self {
            name: field("/spec/names/kind"),
            plural: field("/spec/names/plural"),
            replica_specs: field(required),
            scales: definition.pointer("/spec/versions/0/subresources/scale").is_some(),
            definition,
        }
    }

    /// With one worker; `template` is merged into its pod template.
    fn job(&self, name: &str, template: &Value) -> Value {
        let mut worker = json!({"spec": {"containers": [{"name": "train", "image": "train:1.0"}]}});
        merge(&mut worker, template);
        json!({
            "apiVersion": "kubeflow.org/v1",
            "kind": self.name,
            "metadata": {"name": name, "namespace": "default"},
            "spec": {&self.replica_specs: {"Worker": {"replicas": 1, "template": worker}}},
        })
    }

    fn schema(&self) -> &Value {
        &self.definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    }
}

fn kinds() -> Result<&'static [Kind]> {
    static KINDS: OnceLock<Result<Vec<Kind>, String>> = OnceLock::new();
    let read = || -> Result<Vec<Kind>> {
        let definitions: Vec<Value> = serde_saphyr::from_multiple(&trainyard(&["crds"])?)?;
        let jobs = definitions.into_iter().filter(|definition| text(definition, "/spec/scope") == "Namespaced");
        Ok(jobs.map(Kind::of).collect())
    };
    let kinds = KINDS.get_or_init(|| read().map_err(|error| format!("{error:#}")));
    kinds.as_deref().map_err(|error| anyhow!(error.clone()))
}

/// An API server with the definitions. None on a laptop that cannot have one.
pub(crate) fn cluster() -> Result<Option<&'static ControlPlane>> {
    static CLUSTER: OnceLock<Result<ControlPlane, String>> = OnceLock::new();
    if control_plane::is_skipped() {
        return Ok(None);
    }
    let start = || -> Result<ControlPlane> {
        let cluster = ControlPlane::start(Shape::Bare)?;
        adopt(&cluster)?;
        Ok(cluster)
    };
    let cluster = CLUSTER.get_or_init(|| start().map_err(|error| format!("{error:#}")));
    cluster.as_ref().map(Some).map_err(|error| anyhow!(error.clone()))
}

/// Definitions as another operator has them, a job of each kind, then ours by the command that the README names.
fn adopt(cluster: &ControlPlane) -> Result<()> {
    let before: String = kinds()?.iter().map(|kind| format!("{}\n---\n", of_another(kind))).collect();
    let ours: String = kinds()?.iter().map(|kind| format!("{}\n---\n", kind.definition)).collect();
    let jobs: String = kinds()?.iter().map(|kind| format!("{}\n---\n", kind.job("old", &json!({})))).collect();
    cluster.kubectl_with(&["apply", "--server-side", "-f", "-"], &before)?;
    cluster.wait_until(60, "the kinds to be served", || cluster.apply(&jobs))?;
    cluster.kubectl_with(&["apply", "--server-side", "-f", "-"], &ours)?;
    // What a definition says is served a moment after it is stored.
    cluster.wait_until(60, "our definitions to be served", || {
        for kind in kinds()? {
            let stored = cluster.get("default", &format!("{}/old", kind.plural))?;
            ensure!(stored["spec"]["runPolicy"]["suspend"] == false, "{}: {}", kind.name, stored["spec"]);
            ensure!(explain(cluster, &format!("{}.status.restarts", kind.plural))?.contains("Restarts"), "old words");
        }
        Ok(())
    })
}

/// It knows less, says less and fills in less.
fn of_another(kind: &Kind) -> Value {
    let mut definition = kind.definition.clone();
    let schema = &mut definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
    merge(
        schema,
        &json!({"properties": {
            "spec": {"description": "Of another operator.", "properties": {"runPolicy": {"default": null}}},
            "status": {"properties": {"restarts": null}},
        }}),
    );
    definition
}

fn explain(cluster: &ControlPlane, path: &str) -> Result<String> {
    cluster.kubectl(&["explain", path, "--api-version=kubeflow.org/v1"])
}

/// What the API server makes of an object that it does not have to like.
fn stored(cluster: &ControlPlane, job: &Value) -> Result<Value> {
    let create = ["create", "--validate=ignore", "--output=json", "-f", "-"];
    Ok(serde_json::from_str(&cluster.kubectl_with(&create, &job.to_string())?)?)
}

#[test]
fn jobs_that_are_stored_stay_when_the_definitions_are_replaced() -> Result<()> {
    let Some(cluster) = cluster()? else { return Ok(()) };
    for kind in kinds()? {
        let job = cluster.get("default", &format!("{}/old", kind.plural))?;
        assert_eq!(job["metadata"]["generation"], 1, "{}", kind.name);
        let mut expected = kind.job("old", &json!({}))["spec"].clone();
        expected["runPolicy"] = json!({"suspend": false});
        assert_eq!(job["spec"], expected, "{}", kind.name);
    }
    Ok(())
}

#[test]
fn definitions_are_far_below_the_limits_of_requests_and_of_etcd() -> Result<()> {
    let Some(cluster) = cluster()? else { return Ok(()) };
    for kind in kinds()? {
        let name = text(&kind.definition, "/metadata/name");
        let stored = cluster.kubectl(&["get", "crd", name, "--output=json", "--show-managed-fields"])?;
        let sizes = [kind.definition.to_string().len(), serde_json::from_str::<Value>(&stored)?.to_string().len()];
        assert!(sizes.iter().all(|size| *size < 1_000_000), "{name}: {sizes:?} bytes; etcd takes 1.5 MiB");
    }
    Ok(())
}

/// v1 has none either: what is allowed is the webhook's to say.
#[test]
fn the_jobs_own_fields_have_no_bounds() -> Result<()> {
    for kind in kinds()? {
        let mut found = Vec::new();
        bounds(&kind.schema()["properties"], "", &mut found);
        assert_eq!(found, [""; 0], "{}", kind.name);
        assert_eq!(kind.definition["spec"].get("preserveUnknownFields"), None);
    }
    Ok(())
}

/// Of all but pod templates and what Kubernetes itself defines.
fn bounds(schema: &Value, path: &str, found: &mut Vec<String>) {
    const BOUNDS: [&str; 8] = [
        "enum",
        "minimum",
        "maximum",
        "minLength",
        "maxLength",
        "minItems",
        "maxItems",
        "x-kubernetes-preserve-unknown-fields",
    ];
    for (name, value) in schema.as_object().into_iter().flatten() {
        let path = format!("{path}.{name}");
        if BOUNDS.contains(&name.as_str()) && !value.is_object() {
            found.push(path);
        } else if !["template", "metrics"].contains(&name.as_str()) {
            bounds(value, &path, found);
        }
    }
}

#[test]
fn kubectl_explains_every_kind() -> Result<()> {
    let Some(cluster) = cluster()? else { return Ok(()) };
    for kind in kinds()? {
        for (path, field, sentence) in [
            ("spec.runPolicy.schedulingPolicy.queue", "FIELD: queue <string>", "The queue of the pod group."),
            ("spec.MAP.replicas", "FIELD: replicas <integer>", "How many pods of this type the job has."),
            ("spec.MAP.template.spec.containers.env.valueFrom", "FIELD: valueFrom <Object>", "Source for the"),
            ("status.conditions.reason", "FIELD: reason <string>", "Why, in a word."),
        ] {
            let path = format!("{}.{}", kind.plural, path.replace("MAP", &kind.replica_specs));
            let words = explain(cluster, &path)?;
            assert!(words.contains(field) && words.contains(sentence), "{path}: {words}");
        }
        let plain = explain(cluster, &format!("{}.spec", kind.plural))?;
        assert!(!plain.contains("<no description>"), "{plain}");
        assert!(plain.contains(&format!("{}\t<map[string]Object> -required-", kind.replica_specs)), "{plain}");
    }
    Ok(())
}

#[test]
fn a_job_is_stored_with_defaults_and_without_what_no_pod_has() -> Result<()> {
    let Some(cluster) = cluster()? else { return Ok(()) };
    for kind in kinds()? {
        let metadata =
            json!({"annotations": {"a": "1"}, "labels": {"l": "2"}, "finalizers": ["example.com/f"], "name": "n"});
        let mut template = json!({"metadata": metadata, "spec": {"containers": [{
            "name": "train",
            "image": "train:1.0",
            "ports": [{"containerPort": 80}],
            "env": [{"name": "A", "valueFrom": {"configMapKeyRef": {"key": "k"}}}],
        }]}});
        let mut given = kind.job("stored", &template);
        let worker = format!("/spec/{}/Worker/template", kind.replica_specs);
        let in_template = given.pointer_mut(&worker).context("no template")?;
        merge(in_template, &json!({"metadata": {"generateName": "x", "uid": "y"}, "spec": {"noSuchField": 1}}));
        merge(&mut given, &json!({"spec": {"noSuchField": 1}}));

        let job = stored(cluster, &given)?;
        merge(
            &mut template,
            &json!({"spec": {"containers": [{
                "name": "train",
                "image": "train:1.0",
                "ports": [{"containerPort": 80, "protocol": "TCP"}],
                "env": [{"name": "A", "valueFrom": {"configMapKeyRef": {"key": "k", "name": ""}}}],
            }]}}),
        );
        assert_eq!(job.pointer(&worker), Some(&template), "{}", kind.name);
        assert_eq!(job["spec"]["runPolicy"], json!({"suspend": false}), "{}", kind.name);
        assert_eq!(job["spec"].get("noSuchField"), None, "{}", kind.name);
    }
    Ok(())
}

/// A list whose items are told apart by `key`: where it is, an item, and what the API server says of a second one.
const UNIQUE: [(&str, &str, &str, &str); 12] = [
    ("containers", "containers", r#"{"name": "train"}"#, r#"{"name":"train"}"#),
    ("init", "initContainers", r#"{"name": "i"}"#, r#"{"name":"i"}"#),
    ("volumes", "volumes", r#"{"name": "v"}"#, r#"{"name":"v"}"#),
    ("pull", "imagePullSecrets", r#"{"name": "s"}"#, r#"{"name":"s"}"#),
    ("gates", "schedulingGates", r#"{"name": "g"}"#, r#"{"name":"g"}"#),
    ("aliases", "hostAliases", r#"{"ip": "10.0.0.1"}"#, r#"{"ip":"10.0.0.1"}"#),
    (
        "spread",
        "topologySpreadConstraints",
        r#"{"topologyKey": "t", "whenUnsatisfiable": "DoNotSchedule", "maxSkew": 1}"#,
        r#"{"topologyKey":"t","whenUnsatisfiable":"DoNotSchedule"}"#,
    ),
    ("env", "containers[0].env", r#"{"name": "A"}"#, r#"{"name":"A"}"#),
    ("ports", "containers[0].ports", r#"{"containerPort": 80}"#, r#"{"containerPort":80,"protocol":"TCP"}"#),
    ("mounts", "containers[0].volumeMounts", r#"{"name": "v", "mountPath": "/v"}"#, r#"{"mountPath":"/v"}"#),
    ("devices", "containers[0].volumeDevices", r#"{"name": "v", "devicePath": "/v"}"#, r#"{"devicePath":"/v"}"#),
    ("claims", "containers[0].resources.claims", r#"{"name": "c"}"#, r#"{"name":"c"}"#),
];

#[test]
fn lists_with_a_key_take_no_key_twice() -> Result<()> {
    let Some(cluster) = cluster()? else { return Ok(()) };
    for kind in kinds()? {
        let jobs = UNIQUE.map(|(name, list, item, _)| {
            let item: Value = serde_json::from_str(item).unwrap();
            let twice = [&item, &item];
            let spec = match list.strip_prefix("containers[0].") {
                None => json!({list: twice}),
                Some("resources.claims") => json!({"containers": [{"name": "train", "resources": {"claims": twice}}]}),
                Some(of_container) => json!({"containers": [{"name": "train", of_container: twice}]}),
            };
            kind.job(name, &json!({"spec": spec})).to_string()
        });
        let complaint = format!("{:#}\n", cluster.apply(&jobs.join("\n---\n")).unwrap_err());
        for (name, list, _, key) in UNIQUE {
            let expected = format!(
                "{}.kubeflow.org {name:?} is invalid: spec.{}[Worker].template.spec.{list}[1]: Duplicate value: {key}\n",
                kind.name, kind.replica_specs
            );
            assert!(complaint.contains(&expected), "{expected}\n{complaint}");
        }
    }
    Ok(())
}

#[test]
fn the_queue_of_a_job_cannot_be_changed() -> Result<()> {
    let Some(cluster) = cluster()? else { return Ok(()) };
    for kind in kinds()? {
        cluster.apply(&kind.job("queued", &json!({})).to_string())?;
        let patch = |queue: &Value| {
            let patch = json!({"spec": {"runPolicy": {"schedulingPolicy": {"queue": queue}}}}).to_string();
            cluster.kubectl(&["patch", &kind.plural, "queued", "--type=merge", "--patch", &patch])
        };
        patch(&"a".into())?;
        let refused = patch(&"b".into()).unwrap_err().to_string();
        assert!(refused.contains("spec.runPolicy.schedulingPolicy.queue is immutable"), "{}: {refused}", kind.name);
        patch(&Value::Null)?;
    }
    Ok(())
}

#[test]
fn a_misspelled_field_is_named() -> Result<()> {
    let Some(cluster) = cluster()? else { return Ok(()) };
    for kind in kinds()? {
        let mut job = kind.job("misspelled", &json!({"spec": {"restartpolicy": "Never"}}));
        merge(&mut job, &json!({"spec": {"runPolicy": {"backOffLimit": 1}}}));
        let refused = cluster.kubectl_with(&["apply", "--validate=strict", "-f", "-"], &job.to_string());
        let refused = refused.unwrap_err().to_string();
        let in_template = format!("spec.{}.Worker.template.spec.restartpolicy", kind.replica_specs);
        for field in ["spec.runPolicy.backOffLimit", &in_template] {
            assert!(refused.contains(&format!("unknown field {field:?}")), "{field}: {refused}");
        }
    }
    Ok(())
}

#[test]
fn who_applies_other_containers_leaves_those_of_others() -> Result<()> {
    let Some(cluster) = cluster()? else { return Ok(()) };
    for kind in kinds()? {
        let template = |container: &str| json!({"spec": {"containers": [{"name": container, "image": "i:1"}]}});
        for manager in ["one", "two"] {
            let arguments = ["apply", "--server-side", &format!("--field-manager={manager}"), "-f", "-"];
            cluster.kubectl_with(&arguments, &kind.job("shared", &template(manager)).to_string())?;
        }
        let job = cluster.get("default", &format!("{}/shared", kind.plural))?;
        let containers = &job["spec"][&kind.replica_specs]["Worker"]["template"]["spec"]["containers"];
        let names: Vec<_> =
            containers.as_array().into_iter().flatten().map(|container| text(container, "/name")).collect();
        assert_eq!(names, ["one", "two"], "{}", kind.name);
    }
    Ok(())
}

#[test]
fn kinds_that_scale_are_scaled_by_kubectl_and_others_are_not() -> Result<()> {
    let Some(cluster) = cluster()? else { return Ok(()) };
    ensure!(kinds()?.iter().any(|kind| kind.scales), "no kind scales");
    for kind in kinds()? {
        cluster.apply(&kind.job("scaled", &json!({})).to_string())?;
        let done = cluster.kubectl(&["scale", &kind.plural, "scaled", "--replicas=3"]);
        let refused = done.err().map(|error| error.to_string());
        let job = cluster.get("default", &format!("{}/scaled", kind.plural))?;
        let replicas = &job["spec"][&kind.replica_specs]["Worker"]["replicas"];
        match refused {
            None => assert!(kind.scales && replicas == 3, "{}: {replicas}", kind.name),
            Some(error) => assert!(!kind.scales && error.contains("(NotFound)") && replicas == 1, "{error}"),
        }
    }
    Ok(())
}

#[test]
fn kubectl_get_shows_the_last_condition_and_the_age() -> Result<()> {
    let Some(cluster) = cluster()? else { return Ok(()) };
    for kind in kinds()? {
        cluster.apply(&kind.job("shown", &json!({})).to_string())?;
        let condition = |name: &str| json!({"type": name, "status": "True"});
        let patch = json!({"status": {"conditions": [condition("Created"), condition("Running")]}}).to_string();
        let arguments = ["patch", &kind.plural, "shown", "--subresource=status", "--type=merge", "--patch", &patch];
        cluster.kubectl(&arguments)?;
        let shown = cluster.kubectl(&["get", &kind.plural, "shown"])?;
        let rows: Vec<Vec<_>> = shown.lines().map(|line| line.split_whitespace().collect()).collect();
        let [heading, row] = rows.as_slice() else { anyhow::bail!("{shown}") };
        let columns = kind.definition["spec"]["versions"][0]["additionalPrinterColumns"].as_array();
        let columns = columns.into_iter().flatten().map(|column| text(column, "/name").to_uppercase());
        let columns: Vec<_> = std::iter::once("NAME".to_owned()).chain(columns).collect();
        assert_eq!(*heading, columns, "{}", kind.name);
        let state = heading.iter().position(|name| *name == "STATE").context("no column STATE")?;
        assert_eq!(row.get(state), Some(&"Running"), "{shown}");
        assert!(heading.contains(&"AGE"), "{shown}");
    }
    Ok(())
}
