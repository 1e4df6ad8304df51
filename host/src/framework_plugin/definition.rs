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

/// As people write definitions. Without what Kubernetes does not know, or takes for something else: unsigned numbers, fields
/// that may be null. Bounds are whole numbers, and a description is a line.
fn plain(schema: &mut Value) {
    match schema {
        Value::Object(fields) => {
            fields.retain(|name, value| name != "nullable" || !value.is_boolean());
            for (name, value) in fields {
                match value.as_str() {
                    Some(format) if name == "format" && format.starts_with("uint") => *value = json!("int64"),
                    Some(text) if name == "description" => *value = text.replace('\n', " ").into(),
                    Some(_) | None => plain(value),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(plain),
        Value::Number(number) => {
            if let Some(whole) = number.as_f64().and_then(|number| format!("{number}").parse::<i64>().ok()) {
                *schema = whole.into();
            }
        }
        Value::Null | Value::Bool(_) | Value::String(_) => {}
    }
}
