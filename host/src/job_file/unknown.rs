//! Fields that the definition of a kind does not have: the API server drops them, a typo among them.

use serde_json::Value;

/// Their paths, as the API server warns of them: `spec.runPolicy.backOffLimit`.
pub fn unknown_fields(definition: &Value, object: &Value) -> Vec<String> {
    let schema = definition.pointer("/spec/versions/0/schema/openAPIV3Schema/properties/spec");
    let mut found = Vec::new();
    if let (Some(schema), Some(spec)) = (schema, object.get("spec")) {
        collect(schema, spec, "spec", &mut found);
    }
    found
}

fn collect(schema: &Value, value: &Value, path: &str, found: &mut Vec<String>) {
    if schema.get("x-kubernetes-preserve-unknown-fields").and_then(Value::as_bool) == Some(true) {
        return;
    }
    match value {
        Value::Object(fields) => {
            let properties = schema.get("properties").and_then(Value::as_object);
            let others = schema.get("additionalProperties");
            for (name, value) in fields {
                let known = properties.and_then(|properties| properties.get(name)).or(others);
                match known {
                    Some(known) => collect(known, value, &format!("{path}.{name}"), found),
                    None if properties.is_some() => found.push(format!("{path}.{name}")),
                    None => {}
                }
            }
        }
        Value::Array(items) => {
            let Some(schema) = schema.get("items") else { return };
            for (index, item) in items.iter().enumerate() {
                collect(schema, item, &format!("{path}[{index}]"), found);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_no_schema_names_is_unknown() {
        let text = json!({"type": "string"});
        let spec = json!({"properties": {
            "policy": {"properties": {"limit": text}},
            "replicas": {"additionalProperties": {"properties": {"count": text}}},
            "list": {"items": {"properties": {"name": text}}},
            "labels": {"additionalProperties": text},
            "any": {"x-kubernetes-preserve-unknown-fields": true, "properties": {}},
            "plain": {"type": "object"},
        }});
        let definition =
            json!({"spec": {"versions": [{"schema": {"openAPIV3Schema": {"properties": {"spec": spec}}}}]}});
        let object = json!({"spec": {
            "policy": {"limit": "1", "limits": "1"},
            "replicas": {"Worker": {"count": "1", "cuont": "1"}},
            "list": [{"name": "a"}, {"nam": "b"}],
            "labels": {"a": "b"}, "any": {"x": 1}, "plain": {"x": 1}, "more": 1,
        }});
        let expected = ["spec.list[1].nam", "spec.more", "spec.policy.limits", "spec.replicas.Worker.cuont"];
        assert_eq!(unknown_fields(&definition, &object), expected);
    }
}
