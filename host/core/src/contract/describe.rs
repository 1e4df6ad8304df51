//! What a plugin says of itself.

use serde::{Deserialize, Serialize};

use super::Json;

/// What a plugin says of itself, once for each digest.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Description {
    /// A DNS label: `pytorch`.
    pub name: String,
    /// The plugin's own version, for people.
    pub version: String,
    /// The job kinds it plans for.
    pub kinds: Vec<Kind>,
    /// Kinds of extra object a plan may ask for.
    pub objects: Vec<ObjectKind>,
    /// JSON schema of [`Context::settings`].
    pub settings_schema: Json,
}

/// A job kind.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Kind {
    /// `kubeflow.org`.
    pub group: String,
    /// `v1`.
    pub version: String,
    /// `PyTorchJob`.
    pub kind: String,
    /// `pytorchjobs`.
    pub plural: String,
    /// For `kubectl get`.
    pub short_names: Vec<String>,
    /// The field of `spec` that maps replica types to replica specs.
    pub replica_specs: String,
    /// The types that users know.
    pub replica_types: Vec<ReplicaType>,
    /// The container that trains.
    pub container: String,
    /// What that container gets when it has no port of this name.
    pub port: Option<Port>,
    /// When a replica spec names none.
    pub restart_policy: RestartPolicy,
    /// Whether the host replaces failed pods as the restart policy says.
    pub replace_failed: bool,
    /// `OpenAPI` v3 properties of the framework's own fields.
    pub spec_properties: Json,
    /// The replica type that the scale subresource scales.
    pub scales: Option<String>,
    /// All printer columns, in order. Empty: State, Age.
    pub columns: Vec<Column>,
}

/// A replica type of a kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplicaType {
    /// As users write it: `Worker`.
    pub name: String,
    /// When the replica spec has no number.
    pub replicas: u32,
    /// Its one pod carries no index.
    pub single: bool,
}

/// A named container port.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Port {
    /// `pytorchjob-port`.
    pub name: String,
    /// 1 to 65535.
    pub number: u16,
}

/// Restart policy of a replica type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RestartPolicy {
    /// A failed pod stays failed.
    Never,
    /// A failed pod is replaced.
    OnFailure,
    /// As [`Self::OnFailure`], and kubelet restarts containers that exit 0.
    Always,
    /// Exit codes of 128 and more are worth another try, others are final.
    ExitCode,
}

/// A printer column.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Column {
    /// The heading.
    pub name: String,
    /// Where the value is.
    pub json_path: String,
    /// `string`, `date`, …
    pub kind: String,
}

/// A kind of Kubernetes object.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ObjectKind {
    /// `autoscaling/v2`.
    pub api_version: String,
    /// `HorizontalPodAutoscaler`.
    pub kind: String,
}
