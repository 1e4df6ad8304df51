//! What API servers want of a schema, and what only they know.

use schemars::{JsonSchema as _, Schema, SchemaGenerator, json_schema};
use serde_json::{Map, Value, json};

use super::Condition;

/// A name as Kubernetes has it.
pub(super) const NAME: &str = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$";
/// A key of a `ConfigMap`.
pub(super) const KEY: &str = "^[-._a-zA-Z0-9]+$";

/// An object of which nothing is known.
pub(super) fn anything(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "object", "x-kubernetes-preserve-unknown-fields": true})
}

/// Conditions, one of each type.
pub(super) fn conditions(generator: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "items": Condition::json_schema(generator),
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["type"],
    })
}

/// Of an enum whose variants are fields: an object with all the fields, of which there is one. What a schema itself can say
/// of that (`oneOf`) is answered with a riddle.
pub(super) fn exactly_one(schema: &mut Schema) {
    let Some(Value::Array(variants)) = schema.remove("oneOf") else { return };
    let mut properties = Map::new();
    for mut variant in variants {
        let description = variant.get("description").cloned().unwrap_or_default();
        for (name, property) in variant.get_mut("properties").and_then(Value::as_object_mut).into_iter().flatten() {
            trainyard_core::json::merge(property, &json!({"description": description}));
            properties.insert(name.clone(), property.take());
        }
    }
    let names: Vec<_> = properties.keys().map(String::as_str).collect();
    let given: Vec<_> = names.iter().map(|name| format!("has(self.{name})")).collect();
    let rule = json!({
        "rule": format!("[{}].exists_one(given, given)", given.join(", ")),
        "message": format!("give exactly one of: {}", names.join(", ")),
    });
    schema.insert("type".into(), "object".into());
    schema.insert("x-kubernetes-validations".into(), json!([rule]));
    schema.insert("properties".into(), properties.into());
}
