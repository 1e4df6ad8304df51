//! What the operator keeps of a job.

use kube::api::DynamicObject;
use serde_json::Value;

use super::watch::Kept;

/// A job as text, which takes a fraction of the memory of a tree of values.
#[derive(Debug, PartialEq)]
pub(super) struct JobText(Box<str>);

impl JobText {
    /// Without managed fields, which nobody reads: a write of ours and its echo are the same text.
    pub(super) fn of(job: &Value) -> Self {
        let mut job = job.clone();
        if let Some(metadata) = job.get_mut("metadata").and_then(Value::as_object_mut) {
            metadata.remove("managedFields");
        }
        Self(job.to_string().into())
    }

    pub(super) fn read(&self) -> Value {
        serde_json::from_str(&self.0).unwrap_or_default()
    }
}

impl Kept<DynamicObject> for JobText {
    fn of(job: DynamicObject) -> Self {
        Self::of(&Kept::of(job))
    }
}
