//! The `CustomResourceDefinition` of a kind, built from what a plugin says of it.
//!
//! A plugin brings names and the schemas of its framework's own fields; pod template, run policy
//! and status are the same for every kind. To be applied server-side: it is too large for the
//! annotation of client-side apply.

mod job;
mod pod_template;
mod schema;
#[cfg(test)]
mod tests;

use std::sync::LazyLock;

use k8s_openapi::api::autoscaling::v2::MetricSpec;
use k8s_openapi::api::core::v1::PodTemplateSpec;
use serde_json::{Map, Value, json};
use trainyard_core::contract::{Column, Kind};
use trainyard_core::json;

/// Why a kind has no definition: its plugin is at fault.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The text is something else.
    #[error("spec-properties of kind {kind} is not a JSON object")]
    NotAnObject {
        /// `PyTorchJob`.
        kind: String,
        /// What is wrong with it, and where.
        #[source]
        source: serde_json::Error,
    },
    /// A property is not a schema.
    #[error("spec-properties of kind {kind}: the schema of {field:?} is not an object: {found}")]
    NotASchema {
        /// `PyTorchJob`.
        kind: String,
        /// Of the spec.
        field: String,
        /// In its place.
        found: Value,
    },
    /// A reference to none of [`KNOWN`].
    #[error("spec-properties of kind {kind}: the schema of {field:?} refers to {found}, which is not known")]
    UnknownType {
        /// `PyTorchJob`.
        kind: String,
        /// Of the spec.
        field: String,
        /// What should be `#/$defs/` and a name.
        found: Value,
    },
    /// A property of that name is the host's.
    #[error("spec-properties of kind {kind}: {field:?} is the host's to define")]
    Redefined {
        /// `PyTorchJob`.
        kind: String,
        /// Of the spec.
        field: String,
    },
}

/// The whole definition of a kind, ready to be applied.
pub fn of(kind: &Kind) -> Result<Value, Error> {
    Ok(json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("{}.{}", kind.plural, kind.group), "annotations": {GENERATOR: GENERATOR_VERSION}},
        "spec": {
            "group": kind.group,
            "names": names(kind),
            "scope": "Namespaced",
            "versions": [{
                "name": kind.version,
                "served": true,
                "storage": true,
                "additionalPrinterColumns": columns(&kind.columns),
                "schema": {"openAPIV3Schema": job(kind)?},
                "subresources": subresources(kind),
            }],
        },
    }))
}

/// What v1's definitions carry: who replaces them by ours sees nothing go.
const GENERATOR: &str = "controller-gen.kubebuilder.io/version";
const GENERATOR_VERSION: &str = "v0.16.5";

fn names(kind: &Kind) -> Value {
    let mut names = json!({
        "kind": kind.kind,
        "listKind": format!("{}List", kind.kind),
        "plural": kind.plural,
        "singular": kind.kind.to_lowercase(),
    });
    if !kind.short_names.is_empty() {
        json::merge(&mut names, &json!({"shortNames": kind.short_names}));
    }
    names
}

fn job(kind: &Kind) -> Result<Value, Error> {
    Ok(json!({
        "description": format!("{} is a distributed training job.", kind.kind),
        "type": "object",
        "properties": {
            "apiVersion": {"description": "Group and version of this object.", "type": "string"},
            "kind": {"description": "The kind of this object.", "type": "string"},
            "metadata": {"type": "object"},
            "spec": {
                "description": "What the user wants.",
                "type": "object",
                "required": [kind.replica_specs],
                "properties": spec_properties(kind)?,
            },
            "status": job::status(),
        },
    }))
}

/// Types of Kubernetes that a plugin's schema may refer to: those of pod templates, and of an autoscaler's metrics.
static KNOWN: LazyLock<Map<String, Value>> =
    LazyLock::new(|| schema::definitions::<(PodTemplateSpec, MetricSpec)>(pod_template::complete));

/// The framework's own fields beside the host's two.
fn spec_properties(kind: &Kind) -> Result<Map<String, Value>, Error> {
    let mut properties: Map<String, Value> = serde_json::from_str(&kind.spec_properties)
        .map_err(|source| Error::NotAnObject { kind: kind.kind.clone(), source })?;
    if let Some((field, found)) = properties.iter().find(|(_, schema)| !schema.is_object()) {
        return Err(Error::NotASchema { kind: kind.kind.clone(), field: field.clone(), found: found.clone() });
    }
    for (field, property) in &mut properties {
        if let Some(found) = schema::dangling(property, &KNOWN) {
            return Err(Error::UnknownType { kind: kind.kind.clone(), field: field.clone(), found: found.clone() });
        }
        *property = schema::written_out(property, &KNOWN);
    }
    let replica_specs = (kind.replica_specs.as_str(), job::replica_specs());
    for (field, schema) in [replica_specs, ("runPolicy", job::run_policy())] {
        if properties.insert(field.to_owned(), schema).is_some() {
            return Err(Error::Redefined { kind: kind.kind.clone(), field: field.to_owned() });
        }
    }
    Ok(properties)
}

/// As the plugin wants them, or what a user asks first: how the job stands and how old it is.
fn columns(columns: &[Column]) -> Value {
    let column = |name: &str, path: &str, kind: &str| json!({"name": name, "jsonPath": path, "type": kind});
    if columns.is_empty() {
        return json!([
            column("State", ".status.conditions[-1:].type", "string"),
            column("Age", ".metadata.creationTimestamp", "date"),
        ]);
    }
    columns.iter().map(|it| column(&it.name, &it.json_path, &it.kind)).collect()
}

fn subresources(kind: &Kind) -> Value {
    let Some(scaled) = &kind.scales else {
        return json!({"status": {}});
    };
    json!({
        "status": {},
        "scale": {
            "specReplicasPath": format!(".spec.{}.{scaled}.replicas", kind.replica_specs),
            "statusReplicasPath": format!(".status.replicaStatuses.{scaled}.active"),
            "labelSelectorPath": format!(".status.replicaStatuses.{scaled}.selector"),
        },
    })
}
