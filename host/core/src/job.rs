//! A job as the host reads it: JSON, with what the kind's description fills in, and a few fields by name.

use serde_json::{Map, Value, json};

use crate::check::{self, Fault, PlanFault};
use crate::contract::{Context, Kind, ReplicaType, RestartPolicy};
use crate::field::FieldError;
use crate::json;
use crate::line;
use crate::name;
use crate::run_policy::RunPolicy;

/// A job whose fields that the host reads are well formed.
#[derive(Clone, Debug)]
pub struct Job {
    /// `metadata.name`.
    pub name: String,
    /// `metadata.namespace`.
    pub namespace: String,
    /// `metadata.uid`; empty where there is no cluster.
    pub uid: String,
    /// `spec.runPolicy`.
    pub run_policy: RunPolicy,
    /// In the order of the kind's description, then others by name.
    pub replicas: Vec<ReplicaSpec>,
    object: Value,
    /// Before a plugin filled in what the user left out.
    written: Option<Box<Value>>,
}

/// One entry of the replica map.
#[derive(Clone, Debug)]
pub struct ReplicaSpec {
    /// As in the map: `Worker`.
    pub name: String,
    /// How many pods.
    pub replicas: u32,
    /// When a pod fails.
    pub restart_policy: RestartPolicy,
    /// The pod template.
    pub template: Value,
    single: bool,
}

/// Of one type. A pass holds all pods that it makes: a slip of the keyboard must not take the memory of all other jobs.
pub const MAX_REPLICAS: u32 = 10_000;

impl Job {
    /// Reads an object and fills in what the kind's description says: the spelling of replica types, replicas, restart
    /// policy, the default port.
    pub fn parse(kind: &Kind, object: &Value) -> Result<Self, FieldError> {
        let mut object = object.clone();
        let run_policy = match object.pointer("/spec/runPolicy").filter(|policy| !policy.is_null()) {
            Some(policy) => RunPolicy::deserialize_at("spec.runPolicy", policy)?,
            None => RunPolicy::default(),
        };
        let path = format!("spec.{}", kind.replica_specs);
        let mut replicas = Vec::new();
        if let Some(map) = object.pointer_mut(&format!("/spec/{}", kind.replica_specs)).filter(|map| !map.is_null()) {
            let value = map.clone();
            let map = map.as_object_mut().ok_or_else(|| FieldError::invalid(&path, &value, "must be an object"))?;
            respell(kind, map);
            for (name, spec) in map.iter_mut() {
                replicas.push(ReplicaSpec::parse(kind, name, spec, &format!("{path}[{name}]"))?);
            }
        }
        let rank = |spec: &ReplicaSpec| kind.replica_types.iter().position(|known| known.name == spec.name);
        replicas.sort_by_key(|spec| (rank(spec).unwrap_or(usize::MAX), spec.name.clone()));
        let text = |pointer| json::text(&object, pointer).to_owned();
        Ok(Self {
            name: text("/metadata/name"),
            namespace: text("/metadata/namespace"),
            uid: text("/metadata/uid"),
            run_policy,
            replicas,
            object,
            written: None,
        })
    }

    /// With what a plugin fills in: a JSON merge patch (RFC 7396).
    pub fn with_defaults(&self, kind: &Kind, patch: &Value) -> Result<Self, PlanFault> {
        if patch.as_object().is_some_and(Map::is_empty) {
            return Ok(self.clone());
        }
        check::defaults(kind, &self.object, patch)?;
        let mut object = self.object.clone();
        json::merge(&mut object, patch);
        // The user's part was read before, so the patch is at fault.
        let parsed = Self::parse(kind, &object).map_err(|error| {
            let at = format!("/{}", error.path().replace('.', "/"));
            let value = line::of(&object.pointer(&at).unwrap_or(&Value::Null).to_string(), 128);
            let fault = Fault::Invalid { value, expected: "what a job may say" };
            PlanFault { path: error.path().to_owned(), fault }
        })?;
        Ok(Self { written: Some(Box::new(self.object.clone())), ..parsed })
    }

    /// What the plugin's functions get.
    pub fn context(&self, settings: &Value) -> Context {
        context(&self.object, settings)
    }

    /// Whether that is the text of some field that the user wrote.
    pub fn spells(&self, text: &str) -> bool {
        let written = self.written.as_deref().unwrap_or(&self.object);
        written.get("spec").is_some_and(|spec| spells(spec, text))
    }

    /// `metadata.annotations`.
    pub fn annotations(&self) -> Option<&Value> {
        self.object.pointer("/metadata/annotations")
    }

    /// The replica spec of that name.
    pub fn replica(&self, replica_type: &str) -> Option<&ReplicaSpec> {
        self.replicas.iter().find(|spec| spec.name == replica_type)
    }

    /// The name of a pod and of its service.
    pub fn pod_name(&self, spec: &ReplicaSpec, index: u32) -> String {
        name::replica(&self.name, &spec.name, spec.index(index))
    }

    /// All replicas of all types.
    pub fn total_replicas(&self) -> u32 {
        self.replicas.iter().map(|spec| spec.replicas).sum()
    }
}

impl ReplicaSpec {
    fn parse(kind: &Kind, name: &str, spec: &mut Value, path: &str) -> Result<Self, FieldError> {
        if spec.is_null() {
            *spec = json!({});
        }
        let value = spec.clone();
        let fields = spec.as_object_mut().ok_or_else(|| FieldError::invalid(path, &value, "must be an object"))?;
        let known = kind.replica_types.iter().find(|known| known.name == name);
        if fields.get("replicas").is_none_or(Value::is_null) {
            fields.insert("replicas".into(), known.map_or(1, |known| known.replicas).into());
        }
        let replicas = fields.get("replicas").unwrap_or(&Value::Null);
        let count =
            replicas.as_u64().and_then(|count| u32::try_from(count).ok()).filter(|count| *count <= MAX_REPLICAS);
        let replicas = count.ok_or_else(|| {
            let detail = format!("must be an integer from 0 to {MAX_REPLICAS}");
            FieldError::invalid(format!("{path}.replicas"), replicas, detail)
        })?;
        let restart_policy = match fields.get("restartPolicy") {
            None | Some(Value::Null) => kind.restart_policy,
            Some(policy) if policy == "" => kind.restart_policy,
            Some(policy) => restart_policy(policy, &format!("{path}.restartPolicy"))?,
        };
        fields.insert("restartPolicy".into(), restart_policy.as_str().into());
        let template = fields.entry("template").or_insert_with(|| json!({}));
        add_port(kind, template);
        Ok(Self {
            name: name.to_owned(),
            replicas,
            restart_policy,
            template: template.clone(),
            single: known.is_some_and(|known| known.single),
        })
    }

    /// Whether its one pod carries no index.
    pub fn is_single(&self) -> bool {
        self.single
    }

    /// The index as label and name show it.
    pub fn index(&self, index: u32) -> Option<u32> {
        (!self.single).then_some(index)
    }

    /// The container of that name, else the first.
    pub fn container(&self, name: &str) -> Option<&Value> {
        let containers = json::items(&self.template, "/spec/containers");
        containers.iter().find(|container| json::text(container, "/name") == name).or(containers.first())
    }

    /// The number of a named port of the container that trains.
    pub fn port(&self, kind: &Kind) -> Option<u16> {
        let wanted = kind.port.as_ref()?;
        let ports = self.container(&kind.container).map_or(&[][..], |container| json::items(container, "/ports"));
        let port = ports.iter().find(|port| json::text(port, "/name") == wanted.name);
        let number = port.and_then(|port| port.get("containerPort")?.as_u64());
        number.and_then(|number| u16::try_from(number).ok()).or(Some(wanted.number))
    }
}

impl RestartPolicy {
    /// As users write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Never => "Never",
            Self::OnFailure => "OnFailure",
            Self::Always => "Always",
            Self::ExitCode => "ExitCode",
        }
    }

    /// As the pod gets it: with `ExitCode` the operator decides, not kubelet.
    pub const fn of_pod(self) -> &'static str {
        match self {
            Self::Never | Self::ExitCode => "Never",
            Self::OnFailure => "OnFailure",
            Self::Always => "Always",
        }
    }
}

impl RunPolicy {
    fn deserialize_at(path: &str, value: &Value) -> Result<Self, FieldError> {
        serde::Deserialize::deserialize(value)
            .map_err(|error: serde_json::Error| FieldError::invalid(path, value, error.to_string()))
    }
}

/// The context of an object as the user wrote it, for `validate`; of the metadata only what no status write changes.
pub fn context(object: &Value, settings: &Value) -> Context {
    let pick = |from: &Value, fields: &[&str]| {
        let fields = fields.iter().filter_map(|&field| Some((field.to_owned(), from.get(field)?.clone())));
        fields.collect::<Map<_, _>>()
    };
    let mut job = pick(object, &["apiVersion", "kind", "spec"]);
    let metadata = object.get("metadata").unwrap_or(&Value::Null);
    let metadata = pick(metadata, &["name", "namespace", "uid", "labels", "annotations"]);
    job.insert("metadata".into(), metadata.into());
    let text = |pointer| json::text(object, pointer).to_owned();
    Context {
        name: text("/metadata/name"),
        namespace: text("/metadata/namespace"),
        job: Value::from(job).to_string(),
        settings: settings.to_string(),
    }
}

fn spells(value: &Value, text: &str) -> bool {
    match value {
        Value::String(found) => found == text,
        Value::Array(items) => items.iter().any(|item| spells(item, text)),
        Value::Object(fields) => fields.values().any(|field| spells(field, text)),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

fn restart_policy(policy: &Value, path: &str) -> Result<RestartPolicy, FieldError> {
    use RestartPolicy::{Always, ExitCode, Never, OnFailure};
    let all = [Always, OnFailure, Never, ExitCode];
    let text = policy.as_str().unwrap_or_default();
    let found = all.into_iter().find(|each| each.as_str() == text);
    found.ok_or_else(|| FieldError::not_supported(path, text, &all.map(RestartPolicy::as_str)))
}

/// `WORKER` becomes `Worker`, unless there is a `Worker` already.
fn respell(kind: &Kind, map: &mut Map<String, Value>) {
    for ReplicaType { name, .. } in &kind.replica_types {
        let other = map.keys().find(|key| key.eq_ignore_ascii_case(name)).cloned();
        if let Some(other) = other.filter(|_| !map.contains_key(name)) {
            let spec = map.remove(&other).unwrap_or_default();
            map.insert(name.clone(), spec);
        }
    }
}

/// The container that trains, or else the first, gets the kind's port when it has none of that name.
fn add_port(kind: &Kind, template: &mut Value) {
    let Some(port) = &kind.port else { return };
    let Some(containers) = template.pointer_mut("/spec/containers").and_then(Value::as_array_mut) else { return };
    let index = containers.iter().position(|container| json::text(container, "/name") == kind.container).unwrap_or(0);
    let Some(container) = containers.get_mut(index).and_then(Value::as_object_mut) else { return };
    let ports = container.entry("ports").or_insert_with(|| json!([]));
    let Some(ports) = ports.as_array_mut() else { return };
    if !ports.iter().any(|each| json::text(each, "/name") == port.name) {
        ports.push(json!({"name": port.name, "containerPort": port.number}));
    }
}

#[cfg(test)]
mod tests;
