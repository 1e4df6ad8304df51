//! A job, as far as its plugin is concerned.

use serde_json::Value;
use trainyard_core::json::text;
use trainyard_core::status::JobStatus;

/// A job, as far as its plugin is concerned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::operator) struct LiveJob {
    /// Namespace and name.
    pub(in crate::operator) name: String,
    /// Of the plugin that planned it.
    pub(in crate::operator) digest: Option<String>,
    /// Succeeded or failed.
    pub(in crate::operator) has_ended: bool,
}

impl LiveJob {
    pub(in crate::operator) fn of(name: String, job: &Value) -> Self {
        let digest = Some(text(job, "/status/pluginDigest").to_owned()).filter(|digest| !digest.is_empty());
        Self { name, digest, has_ended: job.get("status").is_some_and(has_ended) }
    }
}

pub(super) fn has_ended(status: &Value) -> bool {
    JobStatus::read(status).is_ok_and(|status| status.is_finished())
}
