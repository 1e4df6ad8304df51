//! `FrameworkPlugin`, by which an admin loads a framework into the running operator.
//!
//! What can be wrong in one is found by the API server where a schema can say it, and named with field and value by the
//! conversions here. What an object names in the cluster, their caller has read.
//!
//! An object of another release may have what this one cannot read: who lists and watches does so by
//! `kube::core::DeserializeGuard`, or one such object would hide all others.

mod definition;
mod error;
mod fetching;
mod limits;
mod schema;
mod settings;
mod source;
mod status;
#[cfg(test)]
mod tests;

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use trainyard_core::grants::Grants;

pub use self::definition::{definition, is_called};
pub use self::error::SpecError;
pub use self::fetching::{Found, provenance};
pub use self::limits::{Amount, LimitsSpec};
pub use self::source::{
    BundledSource, Ca, ConfigMapSource, FileSource, IdentitySpec, KeyOfConfigMap, Named, OciSource, SignatureSpec,
    SourceSpec, TrustedRootSource, TrustedRootSpec,
};
pub use self::status::{Condition, FrameworkPluginStatus, Loaded, kind_key};

/// What the admin wants.
#[derive(Clone, Debug, PartialEq, CustomResource, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "trainyard.dev",
    version = "v1alpha1",
    kind = "FrameworkPlugin",
    plural = "frameworkplugins",
    shortname = "fwp",
    status = "FrameworkPluginStatus",
    derive = "PartialEq",
    doc = "A framework for the operator: a WebAssembly component that knows how jobs of its kinds are run.",
    printcolumn = r#"{"name": "Ready", "jsonPath": ".status.conditions[?(@.type==\"Ready\")].status", "type": "string", "description": "Whether its kinds are served."}"#,
    printcolumn = r#"{"name": "Reason", "jsonPath": ".status.conditions[?(@.type==\"Ready\")].reason", "type": "string", "description": "Why they are, or are not."}"#,
    printcolumn = r#"{"name": "Kinds", "jsonPath": ".status.kinds", "type": "string", "description": "What it runs the jobs of."}"#,
    printcolumn = r#"{"name": "Version", "jsonPath": ".status.active.version", "type": "string", "description": "What the active component calls itself."}"#,
    printcolumn = r#"{"name": "Age", "jsonPath": ".metadata.creationTimestamp", "type": "date"}"#,
    printcolumn = r#"{"name": "Digest", "jsonPath": ".status.active.digest", "type": "string", "priority": 1, "description": "Of the active component."}"#,
    printcolumn = r#"{"name": "Source", "jsonPath": ".status.active.source", "type": "string", "priority": 1, "description": "Where it came from."}"#,
    printcolumn = r#"{"name": "Error", "jsonPath": ".status.lastError", "type": "string", "priority": 1, "description": "What went wrong last."}"#
)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("x-kubernetes-validations" = [{
    "rule": "!has(self.signature) || has(self.source.oci)",
    "message": "only artifacts of a registry can be signed; pin the digest of this one",
    "fieldPath": ".signature",
    "reason": "FieldValueForbidden",
}]))]
pub struct FrameworkPluginSpec {
    /// Where the component is: exactly one of these.
    pub source: SourceSpec,
    /// What the component has to be: the SHA-256 of its bytes. Nothing else is ever run.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = "^sha256:[0-9a-f]{64}$"))]
    pub digest: Option<String>,
    /// Whose signature it has to have. Artifacts of a registry only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signature: Option<SignatureSpec>,
    /// What one call of it may use.
    #[serde(default, skip_serializing_if = "is_default")]
    pub limits: LimitsSpec,
    /// What its plans may do beyond the safe set: environment, commands, volumes of the pod's own, config maps.
    #[serde(default, skip_serializing_if = "is_default")]
    pub grants: Grants,
    /// What the framework can be told, as the plugin itself says.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    #[schemars(schema_with = "schema::anything")]
    pub settings: Map<String, Value>,
    /// Which jobs a new component plans.
    #[serde(default)]
    pub upgrade_policy: UpgradePolicy,
    /// Whether its kinds are left alone: their jobs are neither started nor ended while this is true.
    #[serde(default)]
    pub suspend: bool,
    /// What becomes of the definitions of its kinds when it is deleted.
    #[serde(default)]
    pub definitions: Definitions,
}

/// Which jobs a new component plans.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub enum UpgradePolicy {
    /// Those that start after it is there; others stay with the one that planned them.
    #[default]
    NewJobs,
    /// All, also those that run.
    Immediate,
}

/// What becomes of definitions, and so of all jobs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub enum Definitions {
    /// They stay, and the jobs with them.
    #[default]
    Retain,
    /// Those that the plugin brought are deleted, and the jobs with them.
    Delete,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
