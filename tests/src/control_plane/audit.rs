//! What clients asked of the API server, from its audit log.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use jiff::Timestamp;
use serde_json::Value;

/// One request, of anybody but the control plane itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Who asked: a user's name, or `system:serviceaccount:<namespace>:<name>`.
    pub user: String,
    /// What the client calls itself.
    pub agent: String,
    /// `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`, …
    pub verb: String,
    /// Path and query.
    pub uri: String,
    /// The namespace, or nothing.
    pub namespace: String,
    /// `pods`, `pytorchjobs/status`; nothing where it is about no object.
    pub resource: String,
    /// The HTTP status of the answer.
    pub code: u64,
    /// When the API server got it.
    pub received: Timestamp,
    /// When it had answered; of a watch, when it began.
    pub answered: Timestamp,
}

/// In the order of their answers.
pub(super) fn read(log: &Path) -> Result<Vec<Request>> {
    let text = fs::read_to_string(log).with_context(|| format!("cannot read {}", log.display()))?;
    let mut seen = BTreeSet::new();
    let mut requests = Vec::new();
    // A last line without its end is still being written.
    for line in text.split_inclusive('\n').filter(|line| line.ends_with('\n')) {
        let entry: Value = serde_json::from_str(line).with_context(|| format!("no audit event: {line}"))?;
        if seen.insert(entry.get("auditID").map(Value::to_string)) {
            requests.push(request(&entry).with_context(|| format!("no times: {line}"))?);
        }
    }
    Ok(requests)
}

fn request(entry: &Value) -> Result<Request> {
    let text = |pointer| entry.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
    let resource = [text("/objectRef/resource"), text("/objectRef/subresource")];
    Ok(Request {
        user: text("/user/username"),
        agent: text("/userAgent"),
        verb: text("/verb"),
        uri: text("/requestURI"),
        namespace: text("/objectRef/namespace"),
        resource: resource.join("/").trim_end_matches('/').to_owned(),
        code: entry.pointer("/responseStatus/code").and_then(Value::as_u64).unwrap_or_default(),
        received: text("/requestReceivedTimestamp").parse()?,
        answered: text("/stageTimestamp").parse()?,
    })
}
