//! A job as a plugin reads it: no getter panics, and a field that is `null` or of another type is not there.

use serde_json::{Map, Value};

use crate::{Context, Description, Kind, RestartPolicy, log};

static NULL: Value = Value::Null;

/// A job, the kind it is of, and the admin's settings.
#[derive(Clone, Debug, PartialEq)]
pub struct Job {
    /// `metadata.name`.
    pub name: String,
    /// `metadata.namespace`.
    pub namespace: String,
    kind: Kind,
    object: Value,
    settings: Value,
}

impl Job {
    /// Reads what the host sent; `description` says where the replica map is.
    pub fn parse(context: &Context, description: &Description) -> Self {
        let object = json("job", &context.job);
        let kind =
            description.kinds.iter().find(|kind| object.get("kind").is_some_and(|name| name == kind.kind.as_str()));
        Self {
            name: context.name.clone(),
            namespace: context.namespace.clone(),
            kind: kind.or(description.kinds.first()).cloned().unwrap_or_default(),
            object,
            settings: json("settings", &context.settings),
        }
    }

    /// What the description says of the job's kind.
    pub const fn kind(&self) -> &Kind {
        &self.kind
    }

    /// The object as the host sent it: of its metadata name, namespace, uid, labels and annotations, and no status.
    pub const fn object(&self) -> &Value {
        &self.object
    }

    /// A field of `spec`, by JSON pointer: `/elasticPolicy/minReplicas`.
    pub fn field(&self, pointer: &str) -> Option<&Value> {
        self.spec().pointer(pointer).filter(|value| !value.is_null())
    }

    /// A string of `spec`.
    pub fn text(&self, pointer: &str) -> Option<&str> {
        self.field(pointer)?.as_str()
    }

    /// An integer of `spec`.
    pub fn number(&self, pointer: &str) -> Option<i64> {
        self.field(pointer)?.as_i64()
    }

    /// Whether a boolean of `spec` is there and true.
    pub fn flag(&self, pointer: &str) -> bool {
        self.field(pointer).and_then(Value::as_bool).unwrap_or_default()
    }

    /// A list of `spec`; empty when it is not there.
    pub fn list(&self, pointer: &str) -> &[Value] {
        self.field(pointer).and_then(Value::as_array).map_or(&[], Vec::as_slice)
    }

    /// A setting as text, be it a string, a number or a boolean.
    pub fn setting(&self, name: &str) -> Option<String> {
        match self.settings.get(name)? {
            Value::String(text) => Some(text.clone()),
            value @ (Value::Number(_) | Value::Bool(_)) => Some(value.to_string()),
            Value::Null | Value::Array(_) | Value::Object(_) => None,
        }
    }

    /// The replica types of the job: those of the kind in its order, then others by name.
    pub fn replica_types(&self) -> Vec<&str> {
        let known = self.kind.replica_types.iter().map(|known| known.name.as_str());
        let mut types: Vec<_> = known.filter(|known| self.has(known)).collect();
        let others: Vec<_> = self.replica_map().into_iter().flat_map(Map::keys).map(String::as_str).collect();
        types.extend(
            others.into_iter().filter(|other| !self.kind.replica_types.iter().any(|known| known.name == *other)),
        );
        types
    }

    /// Whether the job has this replica type, be it with no replica.
    pub fn has(&self, replica_type: &str) -> bool {
        self.replica_map().is_some_and(|map| map.contains_key(replica_type))
    }

    /// The replica map, if there is one.
    pub fn replica_map(&self) -> Option<&Map<String, Value>> {
        self.spec().get(&self.kind.replica_specs)?.as_object()
    }

    /// The replica spec of a type; `null` when there is none.
    pub fn replica_spec(&self, replica_type: &str) -> &Value {
        self.replica_map().and_then(|map| map.get(replica_type)).unwrap_or(&NULL)
    }

    /// The path of a replica spec, as Kubernetes writes it: `spec.pytorchReplicaSpecs[Worker]`.
    pub fn path(&self, replica_type: &str) -> String {
        format!("spec.{}[{replica_type}]", self.kind.replica_specs)
    }

    /// How many replicas there are of a type; the kind's default when the job does not say.
    pub fn replicas(&self, replica_type: &str) -> u32 {
        if !self.has(replica_type) {
            return 0;
        }
        let default = self.kind.replica_types.iter().find(|known| known.name == replica_type);
        let replicas = &self.replica_spec(replica_type)["replicas"];
        if replicas.is_null() {
            return default.map_or(1, |known| known.replicas);
        }
        replicas.as_u64().and_then(|replicas| u32::try_from(replicas).ok()).unwrap_or_default()
    }

    /// How many replicas there are of all types.
    pub fn total_replicas(&self) -> u32 {
        self.replica_types().into_iter().map(|each| self.replicas(each)).fold(0, u32::saturating_add)
    }

    /// The restart policy of a type; the kind's default when the job does not say.
    pub fn restart_policy(&self, replica_type: &str) -> RestartPolicy {
        match self.replica_spec(replica_type)["restartPolicy"].as_str() {
            Some("Never") => RestartPolicy::Never,
            Some("OnFailure") => RestartPolicy::OnFailure,
            Some("Always") => RestartPolicy::Always,
            Some("ExitCode") => RestartPolicy::ExitCode,
            Some(_) | None => self.kind.restart_policy,
        }
    }

    /// The pod template of a type; `null` when there is none.
    pub fn template(&self, replica_type: &str) -> &Value {
        &self.replica_spec(replica_type)["template"]
    }

    /// The containers of a type.
    pub fn containers(&self, replica_type: &str) -> &[Value] {
        self.template(replica_type).pointer("/spec/containers").and_then(Value::as_array).map_or(&[], Vec::as_slice)
    }

    fn spec(&self) -> &Value {
        self.object.get("spec").unwrap_or(&NULL)
    }
}

/// The host wrote it, so it is JSON; if it is not, the job reads as empty and an admin can see why.
fn json(what: &str, text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| {
        log::error(format!("the {what} that the host sent is not JSON: {error}"));
        Value::Null
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::Port;

    fn job(object: &str) -> Job {
        let kind = Kind {
            kind: "RingJob".into(),
            replica_specs: "ringReplicaSpecs".into(),
            replica_types: ["Head", "Worker"].map(Into::into).into(),
            port: Some(Port { name: "ring".into(), number: 7000 }),
            ..Kind::default()
        };
        let description = Description {
            name: "ring".into(),
            version: "1".into(),
            kinds: vec![kind],
            objects: vec![],
            settings_schema: "{}".into(),
        };
        let settings = json!({"text": "a", "number": 7, "flag": true, "list": []}).to_string();
        Job::parse(&Context { name: "x".into(), namespace: "ns".into(), job: object.into(), settings }, &description)
    }

    #[test]
    fn replica_types_come_in_the_order_of_the_kind_then_by_name() {
        let specs = json!({"Worker": {"replicas": 3}, "Zoo": {}, "Head": {}, "Ape": {"replicas": u32::MAX}});
        let job = job(&json!({"kind": "RingJob", "spec": {"ringReplicaSpecs": specs}}).to_string());
        assert_eq!(job.replica_types(), ["Head", "Worker", "Ape", "Zoo"]);
        assert_eq!(["Head", "Worker", "Ape", "Zoo", "Bee"].map(|each| job.replicas(each)), [1, 3, u32::MAX, 1, 0]);
        assert_eq!(job.total_replicas(), u32::MAX);
    }

    #[test]
    fn what_is_of_another_type_is_not_there() {
        for object in [
            "not JSON",
            "[]",
            r#"{"spec": 7}"#,
            r#"{"spec": {"ringReplicaSpecs": []}}"#,
            r#"{"spec": {"ringReplicaSpecs": {"Worker": 7}, "field": {}}}"#,
            r#"{"spec": {"ringReplicaSpecs": {"Worker": {"replicas": -1, "restartPolicy": 7, "template": []}}, "field": null}}"#,
        ] {
            let job = job(object);
            assert_eq!((job.text("/field"), job.number("/field"), job.flag("/field")), (None, None, false), "{object}");
            assert_eq!((job.list("/field"), job.containers("Worker")), (&[][..], &[][..]), "{object}");
            assert_eq!((job.replicas("Head"), job.restart_policy("Worker")), (0, RestartPolicy::Never), "{object}");
        }
    }

    #[test]
    fn a_setting_is_text_whatever_its_type() {
        let job = job("{}");
        let found = ["text", "number", "flag", "list", "other"].map(|name| job.setting(name));
        assert_eq!(found.each_ref().map(Option::as_deref), [Some("a"), Some("7"), Some("true"), None, None]);
    }
}
