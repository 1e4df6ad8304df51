//! What an `AdmissionReview` is answered with: whether a job may be stored, and what its author should know.
//!
//! <https://kubernetes.io/docs/reference/access-authn-authz/extensible-admission-controllers/>

use serde_json::{Value, json};

use crate::contract::{Kind, Refusal};
use crate::field::{FieldError, aggregate};
use crate::json::text;
use crate::planner::{Planner, PlannerError};
use crate::validate;

/// The answer to one review.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    uid: String,
    /// Whether the job may be stored.
    pub verdict: Verdict,
    /// The user is told.
    pub warnings: Vec<String>,
}

/// Whether a job may be stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Yes.
    Allowed,
    /// No: it is invalid.
    Denied(String),
    /// Nobody can say, and will not be able to: the plugin is at fault. What is not known to be valid is not let in.
    Broken(String),
    /// Nobody can say now.
    Unavailable(String),
}

/// A request that asks for no review of a job of this kind.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAReview {
    /// Something else.
    #[error("expected admission.k8s.io/v1 AdmissionReview, found {api_version:?} {kind:?}")]
    OtherType {
        /// Its `apiVersion`.
        api_version: String,
        /// Its `kind`.
        kind: String,
    },
    /// A field without which there is no answer.
    #[error("{0}: Required value")]
    Missing(&'static str),
    /// Another kind's path was asked.
    #[error("request.kind: expected {expected}, found {found}")]
    OtherKind {
        /// Whose path it is.
        expected: String,
        /// Whose review it is.
        found: String,
    },
}

/// Answers a review of a job as the user wrote it. `plugin` is its name, for people.
pub fn review(
    kind: &Kind,
    review: &Value,
    plugin: &str,
    planner: &dyn Planner,
    settings: &Value,
) -> Result<Answer, NotAReview> {
    let uid = check([&kind.group, &kind.version, &kind.kind], review)?.to_owned();
    let at = |pointer| review.pointer(pointer).filter(|value: &&Value| value.is_object());
    let (object, old) = match text(review, "/request/operation") {
        // The status and the scale are nobody's job: v1 does not look at them, either.
        _ if !text(review, "/request/subResource").is_empty() => return Ok(allowed(uid)),
        "CREATE" => (at("/request/object"), None),
        "UPDATE" => (at("/request/object"), at("/request/oldObject")),
        _ => return Ok(allowed(uid)),
    };
    let object = object.ok_or(NotAReview::Missing("request.object"))?;
    if old.is_some_and(|old| is_as_valid_as_before(object, old)) {
        return Ok(allowed(uid));
    }
    let (verdict, warnings) = match validate::of(kind, object, old, planner, settings) {
        Ok(findings) if findings.errors.is_empty() => (Verdict::Allowed, findings.warnings),
        Ok(findings) => (Verdict::Denied(aggregate(&findings.errors)), findings.warnings),
        Err(error) => (unplanned(plugin, error), Vec::new()),
    };
    Ok(Answer { uid, verdict, warnings })
}

/// Answers a review of a job whose plugin is not loaded, of that group, version and kind: by what is the same for all kinds.
/// Whether it is valid otherwise is seen when there is a plugin, before anything is made for it.
pub fn unread(kind: [&str; 3], review: &Value) -> Result<Answer, NotAReview> {
    let uid = check(kind, review)?.to_owned();
    let told = format!("the plugin of {} is not loaded for the moment: the job waits, and was not looked at", kind[2]);
    let is_read = matches!(text(review, "/request/operation"), "CREATE" | "UPDATE")
        && text(review, "/request/subResource").is_empty();
    let object = review.pointer("/request/object").unwrap_or(&Value::Null);
    let old = review.pointer("/request/oldObject").filter(|old| old.is_object());
    if is_read && !old.is_some_and(|old| is_as_valid_as_before(object, old)) {
        let errors = validate::policies(object, old);
        if !errors.is_empty() {
            return Ok(Answer { verdict: Verdict::Denied(aggregate(&errors)), ..allowed(uid) });
        }
    }
    Ok(Answer { warnings: is_read.then_some(told).into_iter().collect(), ..allowed(uid) })
}

/// The uid of a review of a job of this group, version and kind.
fn check<'a>(kind: [&str; 3], review: &'a Value) -> Result<&'a str, NotAReview> {
    let field = |pointer| text(review, pointer);
    let (api_version, found) = (field("/apiVersion"), field("/kind"));
    if (api_version, found) != ("admission.k8s.io/v1", "AdmissionReview") {
        return Err(NotAReview::OtherType { api_version: api_version.to_owned(), kind: found.to_owned() });
    }
    if field("/request/uid").is_empty() {
        return Err(NotAReview::Missing("request.uid"));
    }
    let [group, version, name] = ["/request/kind/group", "/request/kind/version", "/request/kind/kind"].map(field);
    let is_of_a_job = field("/request/subResource").is_empty();
    if is_of_a_job && [group, version, name] != kind {
        let [of_group, of_version, of_name] = kind;
        let expected = format!("{of_group}/{of_version} {of_name}");
        return Err(NotAReview::OtherKind { expected, found: format!("{group}/{version} {name}") });
    }
    Ok(field("/request/uid"))
}

/// v1 looks at every update, so that a job stored before a rule was made can be neither labelled nor deleted (bug 49).
fn is_as_valid_as_before(object: &Value, old: &Value) -> bool {
    object.get("spec") == old.get("spec") || !text(object, "/metadata/deletionTimestamp").is_empty()
}

fn unplanned(plugin: &str, error: PlannerError) -> Verdict {
    match error {
        PlannerError::Refused(Refusal::Invalid(issues)) => {
            Verdict::Denied(aggregate(&issues.into_iter().map(FieldError::from).collect::<Vec<_>>()))
        }
        PlannerError::Refused(Refusal::Unsupported(why)) => Verdict::Denied(format!("unsupported: {why}")),
        PlannerError::Faulty(why) => {
            Verdict::Broken(format!("internal error: plugin {plugin} cannot tell whether the job is valid: {why}"))
        }
        PlannerError::Unavailable(why) => {
            Verdict::Unavailable(format!("plugin {plugin} could not look at the job, try again: {why}"))
        }
    }
}

fn allowed(uid: String) -> Answer {
    Answer { uid, verdict: Verdict::Allowed, warnings: Vec::new() }
}

impl Answer {
    /// The `AdmissionReview` to answer with. The API server adds which webhook it was.
    pub fn review(&self) -> Value {
        let no = |code: u16, reason: &str, message: &str| json!({"code": code, "reason": reason, "message": message});
        let status = match &self.verdict {
            Verdict::Allowed => Value::Null,
            Verdict::Denied(why) => no(403, "Forbidden", why),
            Verdict::Broken(why) => no(500, "InternalError", why),
            Verdict::Unavailable(why) => no(503, "ServiceUnavailable", why),
        };
        let response =
            json!({"uid": self.uid, "allowed": status.is_null(), "status": status, "warnings": self.warnings});
        json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response})
    }
}

#[cfg(test)]
mod tests;
