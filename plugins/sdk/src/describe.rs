//! Defaults that keep a description short.

use crate::{Column, Kind, ObjectKind, ReplicaType, RestartPolicy};

impl Default for Kind {
    /// `v1`; nothing optional, no field of its own; `Never`, and the host replaces failed pods as the restart policy says.
    fn default() -> Self {
        Self {
            group: String::new(),
            version: "v1".to_owned(),
            kind: String::new(),
            plural: String::new(),
            short_names: Vec::new(),
            replica_specs: String::new(),
            replica_types: Vec::new(),
            container: String::new(),
            port: None,
            restart_policy: RestartPolicy::Never,
            replace_failed: true,
            spec_properties: "{}".to_owned(),
            scales: None,
            columns: Vec::new(),
        }
    }
}

impl From<&str> for ReplicaType {
    /// One indexed replica, unless the user says more.
    fn from(name: &str) -> Self {
        Self { name: name.to_owned(), replicas: 1, single: false }
    }
}

impl From<[&str; 2]> for ObjectKind {
    /// `["v1", "ConfigMap"]`.
    fn from([api_version, kind]: [&str; 2]) -> Self {
        Self { api_version: api_version.to_owned(), kind: kind.to_owned() }
    }
}

impl From<[&str; 3]> for Column {
    /// `["Age", ".metadata.creationTimestamp", "date"]`.
    fn from([name, json_path, kind]: [&str; 3]) -> Self {
        Self { name: name.to_owned(), json_path: json_path.to_owned(), kind: kind.to_owned() }
    }
}
