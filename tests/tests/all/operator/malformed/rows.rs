//! What is wrong with each job, and what the answer has to name.
//!
//! In paths and answers MAP stands for the field with the replica specs, TYPE for a replica type, NAME for the
//! container, JOB for the job's name.

use serde_json::{Value, json};
use trainyard::catalog::LoadedKind;
use trainyard_core::json::text;

use crate::kinds;

/// One way to break a job.
pub(super) struct Row {
    pub(super) name: String,
    at: String,
    put: Put,
    /// Parts of the answer.
    pub(super) answer: Vec<String>,
}

/// What takes the place of what is at the path.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Put {
    /// This JSON.
    Json(&'static str),
    /// Nothing: it is taken out.
    Nothing,
    /// A text of so many characters.
    Text(usize),
    /// Objects in objects, so deep.
    Deep(usize),
    /// The whole body is these bytes.
    Bytes(&'static [u8]),
    /// The whole body, with a field twice.
    FieldTwice,
}

use Put::{Bytes, Deep, FieldTwice, Json, Nothing, Text};

const TEMPLATE: &str = "/spec/MAP/TYPE/template/spec";

const ROWS: &[(&str, &str, Put, &[&str])] = &[
    // wrong types
    ("a spec that is a list", "/spec", Json("[]"), &["spec", "array"]),
    ("a spec that is a text", "/spec", Json("\"x\""), &["spec", "string"]),
    ("a replica map that is a list", "/spec/MAP", Json("[]"), &["spec.MAP", "array"]),
    ("a replica map that is a number", "/spec/MAP", Json("7"), &["spec.MAP", "integer"]),
    ("a replica spec that is a list", "/spec/MAP/TYPE", Json("[1]"), &["spec.MAP.TYPE", "array"]),
    ("a replica spec that is a number", "/spec/MAP/TYPE", Json("7"), &["spec.MAP.TYPE", "integer"]),
    ("replicas in words", "/spec/MAP/TYPE/replicas", Json("\"two\""), &["spec.MAP.TYPE.replicas", "string"]),
    ("half a replica", "/spec/MAP/TYPE/replicas", Json("1.5"), &["spec.MAP.TYPE.replicas", "number"]),
    ("replicas that are true", "/spec/MAP/TYPE/replicas", Json("true"), &["spec.MAP.TYPE.replicas", "boolean"]),
    ("a restart policy that is a number", "/spec/MAP/TYPE/restartPolicy", Json("1"), &["restartPolicy", "integer"]),
    ("a template that is a text", "/spec/MAP/TYPE/template", Json("\"x\""), &["template", "string"]),
    ("a pod that is a list", TEMPLATE, Json("[]"), &["template.spec", "array"]),
    ("containers by name", "+containers", Json(r#"{"NAME": {}}"#), &["containers.NAME"]),
    ("a container that is a text", "+containers/0", Json("\"x\""), &["containers[0]", "string"]),
    ("an image that is a number", "+containers/0/image", Json("1"), &["image", "integer"]),
    ("a command that is a text", "+containers/0/command", Json("\"python\""), &["command", "string"]),
    ("variables by name", "+containers/0/env", Json(r#"{"A": "1"}"#), &["unknown field", "env.A"]),
    ("a variable that is a number", "+containers/0/env", Json(r#"[{"name": "A", "value": 1}]"#), &["value", "integer"]),
    ("a port in words", "+containers/0/ports", Json(r#"[{"containerPort": "http"}]"#), &["containerPort", "string"]),
    ("memory in words", "+containers/0/resources", Json(r#"{"limits": {"memory": "much"}}"#), &["memory", "much"]),
    ("a run policy that is a text", "/spec/runPolicy", Json("\"x\""), &["spec.runPolicy", "string"]),
    ("a run policy that is a list", "/spec/runPolicy", Json("[]"), &["spec.runPolicy", "array"]),
    ("suspend in words", "/spec/runPolicy/suspend", Json("\"yes\""), &["spec.runPolicy.suspend", "string"]),
    ("a limit in words", "/spec/runPolicy/backoffLimit", Json("\"3\""), &["spec.runPolicy.backoffLimit", "string"]),
    ("half a second", "/spec/runPolicy/ttlSecondsAfterFinished", Json("0.5"), &["ttlSecondsAfterFinished", "number"]),
    ("several policies", "/spec/runPolicy/cleanPodPolicy", Json(r#"["All"]"#), &["cleanPodPolicy", "array"]),
    ("a gang that is a text", "/spec/runPolicy/schedulingPolicy", Json("\"x\""), &["schedulingPolicy", "string"]),
    (
        "resources in words",
        "/spec/runPolicy/schedulingPolicy",
        Json(r#"{"minResources": {"cpu": "lots"}}"#),
        &["minResources", "cpu", "lots"],
    ),
    ("a name that is a number", "/metadata/name", Json("7"), &["name", "number"]),
    ("a label that is a number", "/metadata/labels", Json(r#"{"a": 1}"#), &["labels", "number"]),
    // huge
    ("all the replicas that fit", "/spec/MAP/TYPE/replicas", Json("2147483647"), &["replicas", "2147483647"]),
    ("more replicas than fit", "/spec/MAP/TYPE/replicas", Json("4294967296"), &["replicas", "4294967296"]),
    ("replicas beyond all numbers", "/spec/MAP/TYPE/replicas", Json("1e30"), &["MAP.TYPE.replicas", "number"]),
    (
        "a limit that does not fit",
        "/spec/runPolicy/backoffLimit",
        Json("99999999999"),
        &["backoffLimit", "99999999999"],
    ),
    (
        "a deadline beyond all numbers",
        "/spec/runPolicy/activeDeadlineSeconds",
        Json("1e20"),
        &["activeDeadlineSeconds", "number"],
    ),
    (
        "a port beyond all ports",
        "+containers/0/ports",
        Json(r#"[{"containerPort": 70000}]"#),
        &["containerPort", "70000"],
    ),
    ("a name that is too long", "/metadata/name", Text(64), &["metadata.name", "xxxx", "63"]),
    ("a name too long for its pods", "/metadata/name", Text(60), &["metadata.name", "xxxx", "63"]),
    (
        "a label that is too long",
        "/spec/MAP/TYPE/template/metadata/labels",
        Json(LONG_LABEL),
        &["labels", "0123456789"],
    ),
    ("a megabyte of annotation", "/metadata/annotations/a", Text(1 << 20), &["metadata.annotations", "262144"]),
    (
        "a megabyte in the pod",
        "/spec/MAP/TYPE/template/metadata/annotations/a",
        Text(1 << 20),
        &["annotations", "262144"],
    ),
    // negative
    ("less than no replicas", "/spec/MAP/TYPE/replicas", Json("-1"), &["spec.MAP", "replicas", "-1"]),
    ("a negative limit", "/spec/runPolicy/backoffLimit", Json("-1"), &["spec.runPolicy.backoffLimit", "-1"]),
    (
        "a negative time to live",
        "/spec/runPolicy/ttlSecondsAfterFinished",
        Json("-5"),
        &["ttlSecondsAfterFinished", "-5"],
    ),
    ("a deadline in the past", "/spec/runPolicy/activeDeadlineSeconds", Json("-5"), &["activeDeadlineSeconds", "-5"]),
    ("a negative gang", "/spec/runPolicy/schedulingPolicy", Json(r#"{"minAvailable": -2}"#), &["minAvailable", "-2"]),
    (
        "a negative wait",
        "/spec/runPolicy/schedulingPolicy",
        Json(r#"{"scheduleTimeoutSeconds": -2}"#),
        &["scheduleTimeoutSeconds", "-2"],
    ),
    ("a negative port", "+containers/0/ports", Json(r#"[{"containerPort": -80}]"#), &["containerPort", "-80"]),
    ("negative memory", "+containers/0/resources", Json(r#"{"limits": {"memory": "-1Gi"}}"#), &["memory", "-1Gi"]),
    // duplicate
    ("a container twice", "+containers/1", Json(r#"{"name": "NAME", "image": "i"}"#), &["containers[1]", "NAME"]),
    ("a variable twice", "+containers/0/env", Json(r#"[{"name": "A"}, {"name": "A"}]"#), &["env[1]", "A"]),
    (
        "a port twice",
        "+containers/0/ports",
        Json(r#"[{"containerPort": 80}, {"containerPort": 80}]"#),
        &["ports[1]", "80"],
    ),
    ("a volume twice", "+volumes", Json(r#"[{"name": "v"}, {"name": "v"}]"#), &["volumes[1]", "\"v\""]),
    (
        "a port's name twice",
        "+containers/0/ports",
        Json(r#"[{"containerPort": 80, "name": "web"}, {"containerPort": 81, "name": "web"}]"#),
        &["ports[1].name", "web"],
    ),
    ("a field twice", "", FieldTwice, &["duplicate field", "replicas"]),
    // unicode
    ("a name with an umlaut", "/metadata/name", Json("\"größe\""), &["metadata.name", "größe"]),
    (
        "a variable with an umlaut",
        "+containers/0/env",
        Json(r#"[{"name": "größe", "value": "1"}]"#),
        &["env[0].name", "größe"],
    ),
    ("a label with an emoji", "/spec/MAP/TYPE/template/metadata/labels", Json(r#"{"🦙": "1"}"#), &["labels", "🦙"]),
    ("a volume with an umlaut", "+volumes", Json(r#"[{"name": "daß"}]"#), &["volumes", "daß"]),
    ("what is no text", "", Bytes(b"{\"apiVersion\": \"\xff\xfe\"}"), &["unrecognized"]),
    ("what is no object", "", Bytes(b"[\"kind\"]"), &["array"]),
    // empty
    ("no spec", "/spec", Nothing, &["spec.MAP", "Required value"]),
    ("no replica map", "/spec/MAP", Nothing, &["spec.MAP", "Required value"]),
    ("no replica type", "/spec/MAP", Json("{}"), &["spec.MAP", "Required value"]),
    ("no template", "/spec/MAP/TYPE/template", Nothing, &["spec.MAP[TYPE].template.spec.containers", "Required value"]),
    ("no containers", "+containers", Json("[]"), &["spec.MAP[TYPE].template.spec.containers", "Required value"]),
    ("no image", "+containers/0/image", Nothing, &["containers[0].image", "Required value"]),
    ("an empty image", "+containers/0/image", Json("\"\""), &["containers[0].image", "Required value"]),
    ("no container's name", "+containers/0/name", Nothing, &["containers[0].name", "Required value"]),
    ("an empty container's name", "+containers/0/name", Json("\"\""), &["containers", "NAME"]),
    ("an empty name", "/metadata/name", Json("\"\""), &["name", "required"]),
    ("nothing", "", Bytes(b""), &["unexpected end of JSON input"]),
    ("an empty manager", "/spec/runPolicy/managedBy", Json("\"\""), &["spec.runPolicy.managedBy", "\"\""]),
    // deep
    ("a field a hundred deep", "/spec/deep", Deep(100), &["unknown field", "spec.deep"]),
    ("a field far too deep", "/spec/deep", Deep(20_000), &["exceeded max depth"]),
    ("a pod a hundred deep", "+deep", Deep(100), &["unknown field", "template.spec.deep"]),
    // unknown
    ("a field that nobody knows", "/spec/noSuchField", Json("1"), &["unknown field", "spec.noSuchField"]),
    (
        "a misspelled limit",
        "/spec/runPolicy/backOffLimit",
        Json("1"),
        &["unknown field", "spec.runPolicy.backOffLimit"],
    ),
    (
        "a misspelled field of a pod",
        "+restartpolicy",
        Json("\"Never\""),
        &["unknown field", "template.spec.restartpolicy"],
    ),
    ("a replica type that nobody knows", "/spec/MAP/Wörker", Json("{}"), &["Wörker"]),
    (
        "a restart policy that nobody knows",
        "/spec/MAP/TYPE/restartPolicy",
        Json("\"Sometimes\""),
        &["spec.MAP[TYPE].restartPolicy", "Sometimes"],
    ),
    (
        "a clean-pod policy that nobody knows",
        "/spec/runPolicy/cleanPodPolicy",
        Json("\"Sometimes\""),
        &["spec.runPolicy.cleanPodPolicy", "Sometimes"],
    ),
    (
        "a manager that nobody knows",
        "/spec/runPolicy/managedBy",
        Json("\"me\""),
        &["spec.runPolicy.managedBy", "\"me\""],
    ),
    (
        "a pull policy that nobody knows",
        "+containers/0/imagePullPolicy",
        Json("\"Sometimes\""),
        &["imagePullPolicy", "Sometimes"],
    ),
    (
        "a mount of nothing",
        "+containers/0/volumeMounts",
        Json(r#"[{"name": "none", "mountPath": "/x"}]"#),
        &["volumeMounts[0].name", "none"],
    ),
    ("a priority that nobody knows", "+priorityClassName", Json("\"highest\""), &["highest"]),
];

const LONG_LABEL: &str = r#"{"a": "0123456789012345678901234567890123456789012345678901234567890123456789"}"#;

/// What only one kind has.
const OWN: &[(&str, &str, &str, Put, &[&str])] = &[
    (
        "PyTorchJob",
        "a second master",
        "/spec/MAP/Master/replicas",
        Json("2"),
        &["spec.MAP[Master].replicas", "must be 1"],
    ),
    ("PyTorchJob", "an elastic text", "/spec/elasticPolicy", Json("\"x\""), &["spec.elasticPolicy", "string"]),
    (
        "PyTorchJob",
        "fewer than no workers",
        "/spec/elasticPolicy/minReplicas",
        Json("-1"),
        &["spec.elasticPolicy.minReplicas", "-1"],
    ),
    (
        "PyTorchJob",
        "the fewest above the most",
        "/spec/elasticPolicy",
        Json(r#"{"minReplicas": 5, "maxReplicas": 2}"#),
        &["spec.elasticPolicy.minReplicas", "5"],
    ),
    (
        "PyTorchJob",
        "a rendezvous at no port",
        "/spec/elasticPolicy/rdzvPort",
        Json("70000"),
        &["spec.elasticPolicy.rdzvPort", "70000"],
    ),
    ("PyTorchJob", "an option in words", "/spec/elasticPolicy/rdzvConf", Json("[\"a=b\"]"), &["rdzvConf[0]", "string"]),
    (
        "PyTorchJob",
        "a metric of no type",
        "/spec/elasticPolicy/metrics",
        Json("[{}]"),
        &["metrics[0].type", "Required value"],
    ),
    (
        "PyTorchJob",
        "a metric of no kind",
        "/spec/elasticPolicy/metrics",
        Json(r#"[{"type": "Resource"}]"#),
        &["metrics[0].resource", "Required value"],
    ),
    (
        "PyTorchJob",
        "a metric that nobody knows",
        "/spec/elasticPolicy/metrics",
        Json(r#"[{"type": "Sometimes"}]"#),
        &["metrics[0].type", "Sometimes"],
    ),
    ("PyTorchJob", "processes as a number", "/spec/nprocPerNode", Json("2"), &["spec.nprocPerNode", "integer"]),
    (
        "PaddleJob",
        "fewer than no workers",
        "/spec/elasticPolicy/minReplicas",
        Json("-1"),
        &["spec.elasticPolicy.minReplicas", "-1"],
    ),
    (
        "PaddleJob",
        "a metric of no type",
        "/spec/elasticPolicy/metrics",
        Json("[{}]"),
        &["metrics[0].type", "Required value"],
    ),
    (
        "TFJob",
        "a chief and a master",
        "/spec/MAP",
        Json(r#"{"Chief": {"template": {"spec": {"containers": []}}}, "Master": {}}"#),
        &["spec.MAP: Forbidden", "more than 1 Chief or Master"],
    ),
    ("TFJob", "dynamic in words", "/spec/enableDynamicWorker", Json("\"yes\""), &["enableDynamicWorker", "string"]),
    ("XGBoostJob", "no master", "/spec/MAP/Master", Nothing, &["spec.MAP[Master]", "must be present"]),
    (
        "XGBoostJob",
        "a second master",
        "/spec/MAP/Master/replicas",
        Json("2"),
        &["spec.MAP[Master].replicas", "must be 1"],
    ),
    ("MPIJob", "no launcher", "/spec/MAP/Launcher", Nothing, &["spec.MAP[Launcher]", "must be specified"]),
    (
        "MPIJob",
        "a second launcher",
        "/spec/MAP/Launcher/replicas",
        Json("2"),
        &["spec.MAP[Launcher].replicas", "must be 1"],
    ),
    (
        "MPIJob",
        "a launcher without an image",
        "/spec/MAP/Launcher/template/spec/containers",
        Json(r#"[{"name": "NAME"}]"#),
        &["spec.MAP[Launcher].template.spec.containers[0].image", "must be required"],
    ),
    ("MPIJob", "slots in words", "/spec/slotsPerWorker", Json("\"two\""), &["spec.slotsPerWorker", "string"]),
    ("MPIJob", "half a slot", "/spec/slotsPerWorker", Json("0.5"), &["spec.slotsPerWorker", "number"]),
    ("JAXJob", "a chief", "/spec/MAP/Chief", Json(r#"{"template": {}}"#), &["spec.MAP", "Chief"]),
    ("JAXJob", "a container of another name", "+containers/0/name", Json("\"main\""), &["spec.MAP", "jax"]),
];

/// The rows for a kind.
pub(super) fn rows(kind: &LoadedKind) -> Vec<Row> {
    let row = |&(name, at, put, answer): &(&str, &str, Put, &[&str])| Row {
        name: name.to_owned(),
        at: said(kind, &at.replace('+', &format!("{TEMPLATE}/"))),
        put,
        answer: answer.iter().map(|part| said(kind, part)).collect(),
    };
    let own = OWN.iter().filter(|(of, ..)| *of == kind.kind.kind);
    let own = own.map(|&(_, name, at, put, answer)| (name, at, put, answer));
    // As in v1 an MPIJob needs no services, and so no names for them.
    let has_services = |at: &str, put: Put| kind.kind.port.is_some() || (at, put) != ("/metadata/name", Text(60));
    let common = ROWS.iter().copied().filter(|&(_, at, put, _)| has_services(at, put));
    common.chain(own).map(|each| row(&each)).collect()
}

/// With the words of a kind.
fn said(kind: &LoadedKind, text: &str) -> String {
    let replica_type = kind.kind.replica_types.last().map(|known| known.name.as_str()).unwrap_or_default();
    text.replace("MAP", &kind.kind.replica_specs).replace("TYPE", replica_type).replace("NAME", &kind.kind.container)
}

impl Row {
    /// The name that a job has, wherever that is not what is wrong.
    pub(super) fn name_of_job(&self, kind: &LoadedKind, number: usize) -> String {
        let name = format!("{}-{number}", kind.kind.kind.to_lowercase());
        if self.at != "/metadata/name" {
            return name;
        }
        let mut holder = json!({});
        self.put.into_place(&mut holder, "/name", kind);
        text(&holder, "/name").to_owned()
    }

    pub(super) fn body(&self, kind: &LoadedKind, name: &str) -> Vec<u8> {
        let mut job = kinds::good_job(kind, "good", &json!({}));
        job["metadata"]["name"] = name.into();
        match self.put {
            Bytes(bytes) => bytes.to_vec(),
            FieldTwice => job.to_string().replacen("\"replicas\":1", "\"replicas\":1,\"replicas\":2", 1).into_bytes(),
            Json(_) | Nothing | Text(_) | Deep(_) => {
                self.put.into_place(&mut job, &self.at, kind);
                let text = job.to_string();
                match self.put {
                    // As text: so deep a value is more than a stack holds.
                    Deep(depth) => {
                        text.replace("\"DEEP\"", &format!("{}1{}", "{\"d\":".repeat(depth), "}".repeat(depth)))
                    }
                    Json(_) | Nothing | Text(_) | Bytes(_) | FieldTwice => text,
                }
                .into_bytes()
            }
        }
    }
}

impl Put {
    /// Objects on the way are made where there are none; a list gets an item at its end.
    fn into_place(self, job: &mut Value, at: &str, kind: &LoadedKind) {
        let Some((parent, field)) = at.rsplit_once('/') else { return };
        if job.pointer(parent).is_none() {
            Json("{}").into_place(job, parent, kind);
        }
        let value = match self {
            Json(text) => serde_json::from_str(&said(kind, text)).unwrap_or_else(|error| panic!("{text}: {error}")),
            Text(length) => "x".repeat(length).into(),
            Deep(_) => "DEEP".into(),
            Nothing | Bytes(_) | FieldTwice => Value::Null,
        };
        match job.pointer_mut(parent) {
            Some(Value::Array(list)) => match field.parse().ok().and_then(|index: usize| list.get_mut(index)) {
                Some(item) => *item = value,
                None => list.push(value),
            },
            Some(Value::Object(fields)) if value.is_null() => drop(fields.remove(field)),
            Some(Value::Object(fields)) => drop(fields.insert(field.to_owned(), value)),
            other => panic!("{at}: nothing to put it into: {other:?}"),
        }
    }
}
