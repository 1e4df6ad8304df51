//! The `CustomResourceDefinition` of `FrameworkPlugin`.

use kube::{CustomResourceExt as _, Resource as _};
use serde_json::{Value, json};

use super::FrameworkPlugin;

/// The whole definition, ready to be applied.
pub fn definition() -> Value {
    #[expect(clippy::expect_used, reason = "a constant, which a test writes out")]
    let mut definition = serde_json::to_value(FrameworkPlugin::crd()).expect("a definition is JSON");
    plain(&mut definition);
    definition
}

/// Whether that is what kubectl calls it: by kind, plural or short name, in any case.
pub fn is_called(name: &str) -> bool {
    let names = [FrameworkPlugin::kind(&()), FrameworkPlugin::plural(&())];
    let mut names = names.iter().map(AsRef::as_ref).chain(FrameworkPlugin::shortnames().iter().copied());
    names.any(|known: &str| known.eq_ignore_ascii_case(name))
}

/// Without what Kubernetes does not know, or takes for something else: unsigned numbers, and fields that may be null.
fn plain(schema: &mut Value) {
    match schema {
        Value::Object(fields) => {
            fields.retain(|name, value| name != "nullable" || !value.is_boolean());
            if fields.get("format").and_then(Value::as_str).is_some_and(|format| format.starts_with("uint")) {
                fields.insert("format".into(), json!("int64"));
            }
            fields.values_mut().for_each(plain);
        }
        Value::Array(items) => items.iter_mut().for_each(plain),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
