//! Random jobs, from what a kind says of itself: its replica types, its container, the schema of its own fields.

use std::collections::BTreeMap;
use std::fmt;

use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use serde_json::{Map, Value, json};
use trainyard::catalog::LoadedKind;
use trainyard::crd;
use trainyard_core::json::merge;
use trainyard_core::validate;

/// A job as its user wrote it; shown as YAML.
#[derive(Clone)]
pub(super) struct UserJob(pub(super) Value);

impl fmt::Debug for UserJob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\n{}", serde_saphyr::to_string(&self.0).unwrap_or_default())
    }
}

/// Random fields with names of their own.
type Fields = BoxedStrategy<Map<String, Value>>;

/// A job that nobody refuses.
pub(super) fn job(kind: &LoadedKind) -> BoxedStrategy<UserJob> {
    let (group, version) = (kind.api_version(), kind.kind.kind.clone());
    let name = "[a-z]([-a-z0-9]{0,40}[a-z0-9])?";
    let job = (name, replica_specs(kind), fields_of(kind), option::of(run_policy()));
    let job = job.prop_map(move |(name, replicas, fields, run_policy)| {
        let metadata = json!({"name": name, "namespace": "ml", "uid": "job-uid", "labels": {"team": "a"}});
        let mut job = json!({"apiVersion": group, "kind": version, "metadata": metadata, "spec": fields});
        merge(&mut job, &json!({"spec": replicas}));
        merge(&mut job, &json!({"spec": {"runPolicy": run_policy}}));
        UserJob(job)
    });
    let (kind, plugin, settings) = (kind.kind.clone(), kind.plugin.clone(), kind.settings.clone());
    let is_valid = move |job: &UserJob| {
        validate::of(&kind, &job.0, None, &plugin, &settings).is_ok_and(|findings| findings.errors.is_empty())
    };
    job.prop_filter("valid", is_valid).boxed()
}

/// Some of the replica types, mostly one of each.
fn replica_specs(kind: &LoadedKind) -> BoxedStrategy<Value> {
    let types: Vec<_> = kind.kind.replica_types.iter().map(|known| known.name.clone()).collect();
    let (count, map, container) = (types.len(), kind.kind.replica_specs.clone(), kind.kind.container.clone());
    let port = kind.kind.port.as_ref().map(|port| port.name.clone());
    let some = subsequence(types, 1..=count);
    let specs = some.prop_flat_map(move |types| {
        let specs: Vec<_> =
            types.into_iter().map(|name| (Just(name), replica_spec(&container, port.as_deref()))).collect();
        specs
    });
    specs.prop_map(move |specs| json!({map.as_str(): specs.into_iter().collect::<BTreeMap<_, _>>()})).boxed()
}

fn replica_spec(container: &str, port: Option<&str>) -> BoxedStrategy<Value> {
    let replicas = prop_oneof![8 => Just(Some(1)), 3 => (2..6_u32).prop_map(Some), 1 => Just(Some(0)), 1 => Just(None), 1 => (20..80_u32).prop_map(Some)];
    let policy = option::of(select(vec!["Never", "OnFailure", "Always", "ExitCode"]));
    let spec = (replicas, policy, template(container, port));
    spec.prop_map(|(replicas, policy, template)| {
        let mut spec = json!({"template": template});
        merge(&mut spec, &json!({"replicas": replicas, "restartPolicy": policy}));
        spec
    })
    .boxed()
}

fn template(container: &str, port: Option<&str>) -> BoxedStrategy<Value> {
    let sidecars = vec(self::container("sidecar", None), 0..3);
    let metadata = optional([
        ("labels", texts("example.com/[a-z]{1,8}").boxed()),
        ("annotations", texts("[a-z]{1,8}").boxed()),
        ("finalizers", Just(json!(["example.com/wait"])).boxed()),
    ]);
    let init = vec(self::container("init", None), 0..2);
    let all = (metadata, self::container(container, port), sidecars, init, pod_fields(), any::<prop::sample::Index>());
    let template = all.prop_map(|(metadata, main, mut containers, mut init, fields, position)| {
        number(&mut containers);
        number(&mut init);
        containers.insert(position.index(containers.len() + 1), main);
        let volumes = json!([{"name": "data", "emptyDir": {}}, {"name": "config", "configMap": {"name": "users"}}]);
        let mut spec = json!({"containers": containers, "volumes": volumes});
        if !init.is_empty() {
            merge(&mut spec, &json!({"initContainers": init}));
        }
        merge(&mut spec, &fields.into());
        json!({"metadata": metadata, "spec": spec})
    });
    template.boxed()
}

/// Names of one pod are not the same.
fn number(containers: &mut [Value]) {
    for (index, container) in containers.iter_mut().enumerate() {
        let name = format!("{}-{index}", container["name"].as_str().unwrap_or_default());
        container["name"] = name.into();
    }
}

/// What a pod has beside containers, what only later versions of Kubernetes know among it.
fn pod_fields() -> Fields {
    let toleration = json!({"key": "gpu", "operator": "Exists", "futureField": {"deep": [1, {"er": 2}]}});
    optional([
        ("restartPolicy", select(vec!["Never", "OnFailure", "Always"]).prop_map(Value::from).boxed()),
        ("nodeSelector", texts("[a-z]{1,8}").boxed()),
        ("tolerations", Just(json!([toleration])).boxed()),
        ("serviceAccountName", Just("users".into()).boxed()),
        ("schedulerName", Just("users".into()).boxed()),
        ("hostNetwork", Just(true.into()).boxed()),
        ("hostname", Just("users".into()).boxed()),
        ("futureField", Just(json!({"list": [{"a": null}, []], "text": "x"})).boxed()),
    ])
}

fn container(name: &str, port: Option<&str>) -> BoxedStrategy<Value> {
    let name = name.to_owned();
    let more = optional([
        ("command", vec("[a-z$()]{1,8}", 1..3).prop_map(Value::from).boxed()),
        ("args", vec("[a-z ]{0,8}", 0..3).prop_map(Value::from).boxed()),
        ("env", env().boxed()),
        ("ports", ports(port).boxed()),
        ("volumeMounts", Just(json!([{"name": "data", "mountPath": "/data", "futureField": 1}])).boxed()),
        ("resources", Just(json!({"limits": {"nvidia.com/gpu": 1, "cpu": "500m"}})).boxed()),
        ("futureField", Just(json!({"deep": {"er": [true]}})).boxed()),
    ]);
    more.prop_map(move |fields| {
        let mut container = json!({"name": name, "image": "train:1.0"});
        merge(&mut container, &fields.into());
        container
    })
    .boxed()
}

/// Each name once, as the API server wants it; some of them are frameworks' own.
fn env() -> impl Strategy<Value = Value> {
    let names = vec!["WORLD_SIZE", "RANK", "TF_CONFIG", "I_MPI_HYDRA_BOOTSTRAP", "PADDLE_MASTER", "LEVEL", "DATA"];
    let count = names.len();
    let variables = (subsequence(names, 0..=count), vec("[ -~]{0,12}", count), any::<bool>());
    variables.prop_map(|(names, values, from_field)| {
        let variable = |(name, value): (_, String)| {
            if from_field && name == "DATA" {
                return json!({"name": name, "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}});
            }
            json!({"name": name, "value": value})
        };
        names.into_iter().zip(values).map(variable).collect()
    })
}

/// Named, without a name, or of the name that the framework looks for.
fn ports(wanted: Option<&str>) -> impl Strategy<Value = Value> + use<> {
    let mut names = vec![None, None, Some("http".to_owned()), Some("metrics".to_owned())];
    names.extend(wanted.map(|name| Some(name.to_owned())));
    let count = names.len();
    let numbers = proptest::collection::btree_set(1..65_536_u32, count);
    (subsequence(names, 0..=count).prop_shuffle(), numbers, any::<bool>()).prop_map(|(names, numbers, udp)| {
        let port = |(name, number): (Option<String>, u32)| {
            let mut port = json!({"containerPort": number});
            merge(&mut port, &json!({"name": name, "protocol": (udp && name.is_none()).then_some("UDP")}));
            port
        };
        names.into_iter().zip(numbers).map(port).collect()
    })
}

fn run_policy() -> impl Strategy<Value = Value> {
    let scheduling = optional([
        ("minAvailable", (1..4).prop_map(Value::from).boxed()),
        ("queue", Just("batch".into()).boxed()),
        ("priorityClass", Just("high".into()).boxed()),
        ("minResources", Just(json!({"cpu": 1})).boxed()),
        ("scheduleTimeoutSeconds", Just(60.into()).boxed()),
    ]);
    let policy = optional([
        ("cleanPodPolicy", select(vec!["All", "Running", "None"]).prop_map(Value::from).boxed()),
        ("ttlSecondsAfterFinished", (0..9).prop_map(Value::from).boxed()),
        ("activeDeadlineSeconds", (1..9).prop_map(Value::from).boxed()),
        ("backoffLimit", (0..9).prop_map(Value::from).boxed()),
        ("suspend", Just(false.into()).boxed()),
        ("managedBy", Just("kubeflow.org/training-operator".into()).boxed()),
        ("schedulingPolicy", scheduling.prop_map(Value::from).boxed()),
    ]);
    policy.prop_map(Value::from)
}

/// Some of the framework's own fields, with values that the definition of the kind allows.
fn fields_of(kind: &LoadedKind) -> Fields {
    let definition = crd::of(&kind.kind).unwrap_or_default();
    let properties = definition.pointer("/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties");
    let properties = properties.and_then(Value::as_object).cloned().unwrap_or_default();
    let own = properties.into_iter().filter(|(name, _)| *name != "runPolicy" && *name != kind.kind.replica_specs);
    optional(own.map(|(name, schema)| (name, of_schema(&schema))))
}

fn of_schema(schema: &Value) -> BoxedStrategy<Value> {
    if schema["x-kubernetes-int-or-string"] == true {
        return select(vec![json!(2), json!("500m"), json!("1Gi")]).boxed();
    }
    match schema["type"].as_str().unwrap_or_default() {
        "string" => prop_oneof!["[a-z]{1,8}", "[1-8]"].prop_map(Value::from).boxed(),
        "integer" => (1..9).prop_map(Value::from).boxed(),
        "boolean" => any::<bool>().prop_map(Value::from).boxed(),
        "array" => vec(of_schema(&schema["items"]), 0..3).prop_map(Value::from).boxed(),
        "object" => of_object(schema),
        other => panic!("a schema of type {other:?}: {schema}"),
    }
}

fn of_object(schema: &Value) -> BoxedStrategy<Value> {
    let Some(properties) = schema["properties"].as_object() else {
        return btree_map("[a-z]{1,4}", of_schema(&schema["additionalProperties"]), 0..3)
            .prop_map(|map| json!(map))
            .boxed();
    };
    let is_required = |name: &String| schema["required"].as_array().is_some_and(|all| all.contains(&json!(name)));
    let (required, others): (Vec<_>, Vec<_>) = properties
        .iter()
        .map(|(name, schema)| (name.clone(), of_schema(schema)))
        .partition(|(name, _)| is_required(name));
    let required = required.into_iter().map(|(name, value)| (Just(name), value)).collect::<Vec<_>>();
    (required, optional(others))
        .prop_map(|(required, others)| required.into_iter().chain(others).collect::<Map<_, _>>().into())
        .boxed()
}

/// Each field there, or more often not.
fn optional(fields: impl IntoIterator<Item = (impl Into<String>, BoxedStrategy<Value>)>) -> Fields {
    let fields = fields.into_iter().map(|(name, value)| (Just(name.into()), option::weighted(0.3, value)));
    let some = fields
        .collect::<Vec<_>>()
        .prop_map(|fields| fields.into_iter().filter_map(|(name, value)| Some((name, value?))).collect::<Map<_, _>>());
    some.boxed()
}

/// A map of names to texts.
fn texts(name: &'static str) -> impl Strategy<Value = Value> {
    btree_map(name, "[a-z0-9]{1,8}", 0..3).prop_map(|map| json!(map))
}
