//! Structural schemas, the only ones a `CustomResourceDefinition` may hold, from the JSON schemas
//! of Kubernetes' types.
//!
//! Such a schema is written out: no references, no definitions. What the generated types do
//! not say (list keys, defaults) the caller adds to each definition before it is written out.

use k8s_openapi::schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Map, Value, json};

/// In characters: enough for `kubectl explain`.
const MAX_DESCRIPTION: usize = 400;

const DEFINITIONS: &str = "#/$defs/";
const INT_OR_STRING: &str = "io.k8s.apimachinery.pkg.util.intstr.IntOrString";
const QUANTITY: &str = "io.k8s.apimachinery.pkg.api.resource.Quantity";

/// The structural schema of `T`; `complete` is given every definition that `T` refers to, by name.
pub(super) fn of<T: JsonSchema>(complete: impl Fn(&str, &mut Value)) -> Value {
    let (root, definitions) = defined::<T>(complete);
    written_out(&root, &definitions)
}

/// All that `T` refers to, by name.
pub(super) fn definitions<T: JsonSchema>(complete: impl Fn(&str, &mut Value)) -> Map<String, Value> {
    defined::<T>(complete).1
}

fn defined<T: JsonSchema>(complete: impl Fn(&str, &mut Value)) -> (Value, Map<String, Value>) {
    let mut generator = SchemaGenerator::default();
    let root = generator.subschema_for::<T>().to_value();
    let mut definitions = generator.take_definitions(false);
    for (name, definition) in &mut definitions {
        complete(name, definition);
    }
    definitions.insert(INT_OR_STRING.into(), int_or_string());
    definitions.insert(QUANTITY.into(), quantity());
    (root, definitions)
}

/// A quantity: `2`, `"500m"`, `"1Gi"`.
pub(super) fn quantity() -> Value {
    let number = r"(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))";
    let suffix = format!(r"([KMGTPE]i)|[numkMGTPE]|([eE](\+|-)?{number})");
    json!({
        "anyOf": [{"type": "integer"}, {"type": "string"}],
        "pattern": format!(r"^(\+|-)?{number}({suffix})?$"),
        "x-kubernetes-int-or-string": true,
    })
}

fn int_or_string() -> Value {
    json!({"anyOf": [{"type": "integer"}, {"type": "string"}], "x-kubernetes-int-or-string": true})
}

/// The schema without references. What stands beside one (a field's description) wins.
pub(super) fn written_out(schema: &Value, definitions: &Map<String, Value>) -> Value {
    match schema {
        Value::Object(fields) => {
            let own = fields.iter().filter(|(key, _)| *key != "$ref");
            let own = own.map(|(key, value)| match value.as_str() {
                Some(text) if key == "description" => (key.clone(), shortened(text).into()),
                _ => (key.clone(), written_out(value, definitions)),
            });
            let mut whole = referred(fields, definitions);
            whole.extend(own);
            Value::Object(whole)
        }
        Value::Array(items) => items.iter().map(|item| written_out(item, definitions)).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => schema.clone(),
    }
}

/// The first reference in a schema that stands for nothing.
pub(super) fn dangling<'a>(schema: &'a Value, definitions: &Map<String, Value>) -> Option<&'a Value> {
    match schema {
        Value::Object(fields) => match fields.get("$ref") {
            Some(reference) if referred_to(reference, definitions).is_none() => Some(reference),
            _ => fields.values().find_map(|value| dangling(value, definitions)),
        },
        Value::Array(items) => items.iter().find_map(|item| dangling(item, definitions)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
    }
}

fn referred_to<'a>(reference: &Value, definitions: &'a Map<String, Value>) -> Option<&'a Value> {
    reference.as_str()?.strip_prefix(DEFINITIONS).and_then(|name| definitions.get(name))
}

/// What a reference stands for; nothing where there is none.
fn referred(fields: &Map<String, Value>, definitions: &Map<String, Value>) -> Map<String, Value> {
    let definition = fields.get("$ref").and_then(|reference| referred_to(reference, definitions));
    match definition.map(|it| written_out(it, definitions)) {
        Some(Value::Object(definition)) => definition,
        _ => Map::new(),
    }
}

/// The whole sentences that fit; of a first sentence that does not, the words that do.
fn shortened(description: &str) -> &str {
    let Some((end, _)) = description.char_indices().nth(MAX_DESCRIPTION) else {
        return description;
    };
    let (head, _) = description.split_at(end);
    let cut = head.rfind(". ").map(|dot| dot + 1).or_else(|| head.rfind(char::is_whitespace));
    head.split_at(cut.unwrap_or(end)).0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_is_written_out() {
        let definitions = json!({
            "Inner": {"description": "The type.", "type": "string"},
            "Outer": {"type": "object", "properties": {"description": {"$ref": "#/$defs/Inner"}}},
        });
        let definitions = definitions.as_object().unwrap();
        let inner = json!({"description": "The type.", "type": "string"});
        for (name, schema, expected) in [
            ("alone", json!({"$ref": "#/$defs/Inner"}), inner.clone()),
            (
                "with the field's own description",
                json!({"$ref": "#/$defs/Inner", "description": "The field."}),
                json!({"description": "The field.", "type": "string"}),
            ),
            (
                "two deep, in a list, and a property that is called description",
                json!({"type": "array", "items": {"$ref": "#/$defs/Outer"}}),
                json!({
                    "type": "array",
                    "items": {"type": "object", "properties": {"description": inner}},
                }),
            ),
        ] {
            assert_eq!(written_out(&schema, definitions), expected, "{name}");
        }
    }

    #[test]
    fn a_long_description_ends_with_a_sentence_or_a_word() {
        let sentence = format!("{}. ", "x".repeat(298));
        for (name, text, expected) in [
            ("short", "Short. And whole".to_owned(), "Short. And whole".to_owned()),
            ("at the limit", "é".repeat(400), "é".repeat(400)),
            ("two sentences", sentence.repeat(2), sentence.trim_end().to_owned()),
            ("one sentence", format!("{} {}", "y".repeat(390), "z".repeat(20)), "y".repeat(390)),
            ("one word", "é".repeat(401), "é".repeat(400)),
        ] {
            assert_eq!(shortened(&text), expected, "{name}");
        }
    }
}
