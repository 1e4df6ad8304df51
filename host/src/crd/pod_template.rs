//! The schema of a replica's pod template: the whole of core/v1, with the list keys and defaults
//! that the generated types lack.
//!
//! The API server refuses duplicates by these keys, and fills in these defaults, in the job itself;
//! server-side apply merges by the keys. A list that is not named here is atomic.

use std::sync::LazyLock;

use k8s_openapi::api::core::v1::PodTemplateSpec;
use serde_json::{Value, json};

use super::schema;

/// Written out once: it is nearly all of a definition, and the same in every kind's.
pub(super) static POD_TEMPLATE: LazyLock<Value> = LazyLock::new(|| schema::of::<PodTemplateSpec>(complete));

const CORE: &str = "io.k8s.api.core.v1.";
const META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.";

/// Lists that are maps: type, field, and the fields of an item that make its key.
const LIST_KEYS: &[(&str, &str, &[&str])] = &[
    ("Container", "env", &["name"]),
    ("Container", "ports", &["containerPort", "protocol"]),
    ("Container", "volumeDevices", &["devicePath"]),
    ("Container", "volumeMounts", &["mountPath"]),
    ("EphemeralContainer", "env", &["name"]),
    ("EphemeralContainer", "ports", &["containerPort", "protocol"]),
    ("EphemeralContainer", "volumeDevices", &["devicePath"]),
    ("EphemeralContainer", "volumeMounts", &["mountPath"]),
    ("PodSpec", "containers", &["name"]),
    ("PodSpec", "ephemeralContainers", &["name"]),
    ("PodSpec", "hostAliases", &["ip"]),
    ("PodSpec", "imagePullSecrets", &["name"]),
    ("PodSpec", "initContainers", &["name"]),
    ("PodSpec", "resourceClaims", &["name"]),
    ("PodSpec", "schedulingGates", &["name"]),
    ("PodSpec", "topologySpreadConstraints", &["topologyKey", "whenUnsatisfiable"]),
    ("PodSpec", "volumes", &["name"]),
    ("ResourceRequirements", "claims", &["name"]),
];

/// Lists of values that may not repeat.
const SETS: &[(&str, &str)] = &[("ContainerRestartRuleOnExitCodes", "values")];

/// References to an object of the same namespace: the name is empty when it is left out.
const REFERENCES: &[&str] = &[
    "ConfigMapEnvSource",
    "ConfigMapKeySelector",
    "ConfigMapProjection",
    "ConfigMapVolumeSource",
    "LocalObjectReference",
    "SecretEnvSource",
    "SecretKeySelector",
    "SecretProjection",
];

/// Types that server-side apply replaces as a whole, beside [`REFERENCES`].
const ATOMIC: &[&str] = &[
    "FileKeySelector",
    "NodeSelector",
    "NodeSelectorTerm",
    "ObjectFieldSelector",
    "ResourceFieldSelector",
    "TypedLocalObjectReference",
];

/// Fields that the API server fills in, beside the names of [`REFERENCES`]: by type, by field.
static DEFAULTS: LazyLock<Value> = LazyLock::new(|| {
    json!({
        "AzureDiskVolumeSource": {"fsType": "ext4", "readOnly": false},
        "ContainerPort": {"protocol": "TCP"},
        "FileKeySelector": {"optional": false},
        "GRPCAction": {"service": ""},
        "ISCSIVolumeSource": {"iscsiInterface": "default"},
        "RBDVolumeSource": {"keyring": "/etc/ceph/keyring", "pool": "rbd", "user": "admin"},
        "ScaleIOVolumeSource": {"fsType": "xfs", "storageMode": "ThinProvisioned"},
    })
});

/// Adds to the definition of a type what the generated types do not say of it.
pub(super) fn complete(name: &str, definition: &mut Value) {
    match (name.strip_prefix(CORE), name.strip_prefix(META)) {
        (Some(kind), _) => complete_core(kind, definition),
        (_, Some("LabelSelector")) => set(definition, "", "x-kubernetes-map-type", "atomic".into()),
        (_, Some("ObjectMeta")) => *definition = embedded_metadata(),
        _ => {}
    }
}

fn complete_core(kind: &str, definition: &mut Value) {
    for (_, field, keys) in LIST_KEYS.iter().filter(|(of, ..)| *of == kind) {
        let list = format!("/properties/{field}");
        set(definition, &list, "x-kubernetes-list-type", "map".into());
        set(definition, &list, "x-kubernetes-list-map-keys", json!(keys));
    }
    for (_, field) in SETS.iter().filter(|(of, _)| *of == kind) {
        set(definition, &format!("/properties/{field}"), "x-kubernetes-list-type", "set".into());
    }
    for (field, value) in DEFAULTS.get(kind).and_then(Value::as_object).into_iter().flatten() {
        set(definition, &format!("/properties/{field}"), "default", value.clone());
    }
    if REFERENCES.contains(&kind) {
        set(definition, "/properties/name", "default", "".into());
    }
    if REFERENCES.contains(&kind) || ATOMIC.contains(&kind) {
        set(definition, "", "x-kubernetes-map-type", "atomic".into());
    }
    if kind == "PodSpec" {
        set(definition, "/properties/nodeSelector", "x-kubernetes-map-type", "atomic".into());
    }
}

fn set(definition: &mut Value, at: &str, keyword: &str, value: Value) {
    if let Some(Value::Object(schema)) = definition.pointer_mut(at) {
        schema.insert(keyword.to_owned(), value);
    }
}

/// Of a template's metadata only what a pod can take from it: everything else is pruned.
fn embedded_metadata() -> Value {
    let text_map = json!({"type": "object", "additionalProperties": {"type": "string"}});
    json!({
        "type": "object",
        "properties": {
            "annotations": text_map,
            "finalizers": {"type": "array", "items": {"type": "string"}},
            "labels": text_map,
            "name": {"type": "string"},
            "namespace": {"type": "string"},
        },
    })
}

#[cfg(test)]
mod tests;
