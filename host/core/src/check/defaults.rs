//! What a plugin fills in before it plans: fields that the user left out, and no others.

use serde_json::Value;

use super::{Checked, Fault, at, forbidden, invalid, only, within};
use crate::contract::Kind;

/// Compares a merge patch with the job whose defaults it says.
pub fn defaults(kind: &Kind, job: &Value, patch: &Value) -> Checked {
    only(patch, &["spec"], forbidden)?;
    let Some(spec) = patch.get("spec") else { return Ok(()) };
    let Some(fields) = spec.as_object() else { return within("spec", Err(invalid(spec, "an object"))) };
    if let Some(replicas) = fields.get(&kind.replica_specs) {
        // A plan says what is added to them.
        return within(&format!("spec.{}", kind.replica_specs), Err(forbidden(replicas)));
    }
    if let Some(policy) = fields.get("runPolicy") {
        // When a job ends and who goes before it are the user's to say.
        within("spec.runPolicy", only(policy, &["cleanPodPolicy"], forbidden))?;
    }
    within("spec", keeps(job.get("spec").unwrap_or(&Value::Null), spec, 0))
}

/// Whether the patch leaves what is there. An empty text is as good as none.
fn keeps(there: &Value, patch: &Value, depth: usize) -> Checked {
    const DEEPEST: usize = 64;
    match (there, patch) {
        _ if depth > DEEPEST => Err(at("", Fault::TooMuch { found: depth, most: DEEPEST, what: "levels" })),
        (Value::Null, Value::Object(fields)) => {
            fields.values().try_for_each(|value| keeps(&Value::Null, value, depth + 1))
        }
        (Value::Null, _) => Ok(()),
        (Value::String(text), _) if text.is_empty() => Ok(()),
        (Value::Object(there), Value::Object(patch)) => patch.iter().try_for_each(|(field, value)| {
            within(field, keeps(there.get(field).unwrap_or(&Value::Null), value, depth + 1))
        }),
        (there, patch) if there == patch => Ok(()),
        (_, patch) => Err(forbidden(patch)),
    }
}
