//! Where a plugin stands, as the operator writes it.

pub use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::schema;

/// Where a plugin stands.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct FrameworkPluginStatus {
    /// Of which spec all this is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// What plans new jobs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub active: Option<Loaded>,
    /// What is to become active, and is not yet, or cannot be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub candidate: Option<Loaded>,
    /// What was active, and still plans the jobs that it planned.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["digest"]))]
    pub retained: Vec<Loaded>,
    /// What it runs the jobs of: `example.dev/v1 RingJob`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kinds: Vec<String>,
    /// Calls of the active component, of the operator that wrote this, until then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub calls: Option<u64>,
    /// What went wrong last, in a line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
    /// How far it is: Fetched, Verified, Compiled, Ready; and Degraded, while it fails too often to be called.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::conditions")]
    pub conditions: Vec<Condition>,
}

/// A component.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct Loaded {
    /// The SHA-256 of its bytes: to pin it, or to come back to it.
    pub digest: String,
    /// Where it came from, with what a tag was.
    pub source: String,
    /// The digest of its manifest, where it came from a registry.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub manifest: Option<String>,
    /// What it calls itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Which version it says it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The version of the contract that it keeps: `0.1`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub contract: Option<String>,
    /// What it needs of the host.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub imports: Vec<String>,
    /// Its size.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// The size of its machine code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub compiled_bytes: Option<u64>,
    /// How long it took to compile. Nothing where that was done before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub compile_milliseconds: Option<u64>,
    /// What it runs the jobs of: `example.dev/v1 RingJob`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kinds: Vec<String>,
}

impl Loaded {
    /// What it runs the jobs of: API version and kind.
    pub fn kind_keys(&self) -> impl Iterator<Item = (String, String)> {
        self.kinds.iter().filter_map(|kind| kind_key(kind))
    }
}

/// API version and kind, as a status names them: `example.dev/v1 RingJob`.
pub fn kind_key(kind: &str) -> Option<(String, String)> {
    kind.split_once(' ').map(|(api_version, kind)| (api_version.to_owned(), kind.to_owned()))
}
