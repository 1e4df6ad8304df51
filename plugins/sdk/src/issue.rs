//! Constructors for what `validate` finds, and the rules that several kinds share.
//!
//! A rule answers with what is wrong, so that a plugin's `validate` reads as the list of its rules.

use std::ops::RangeInclusive;

use serde_json::Value;

use crate::types::{Problem, Severity};
use crate::{Issue, Job};

/// A value is missing.
pub fn required(path: impl Into<String>, detail: impl Into<String>) -> Issue {
    error(path, Problem::Required, detail)
}

/// A value will not do.
pub fn invalid(path: impl Into<String>, value: &Value, detail: impl Into<String>) -> Issue {
    error(path, Problem::Invalid(value.to_string()), detail)
}

/// A field may not be used so.
pub fn forbidden(path: impl Into<String>, detail: impl Into<String>) -> Issue {
    error(path, Problem::Forbidden, detail)
}

/// A value is none of those there are.
pub fn not_supported(path: impl Into<String>, value: &str, supported: impl IntoIterator<Item = String>) -> Issue {
    let value = Value::from(value).to_string();
    error(path, Problem::NotSupported((value, supported.into_iter().collect())), "")
}

/// The job is accepted, and its author told; the text is a sentence of its own.
pub fn warning(path: impl Into<String>, text: impl Into<String>) -> Issue {
    Issue { severity: Severity::Warning, ..error(path, Problem::Forbidden, text) }
}

fn error(path: impl Into<String>, problem: Problem, detail: impl Into<String>) -> Issue {
    Issue { severity: Severity::Error, path: path.into(), problem, detail: detail.into() }
}

/// A job has replica specs. An empty map the host refuses, of every kind.
pub fn replica_map(job: &Job) -> Option<Issue> {
    let missing = job.replica_map().is_none();
    missing.then(|| required(format!("spec.{}", job.kind().replica_specs), "must be required"))
}

/// A replica type is one of the kind's.
pub fn known_type(job: &Job, replica_type: &str) -> Option<Issue> {
    let mut known = job.kind().replica_types.iter().map(|known| known.name.clone());
    let unknown = !known.clone().any(|known| known == replica_type);
    unknown.then(|| not_supported(job.path(replica_type), replica_type, known.by_ref()))
}

/// A replica spec has containers, each has an image, and one is the kind's.
pub fn containers(job: &Job, replica_type: &str) -> Vec<Issue> {
    containers_called(job, replica_type, &job.kind().container)
}

/// The same, with words of one's own for the name of the kind's container.
pub fn containers_called(job: &Job, replica_type: &str, called: &str) -> Vec<Issue> {
    let containers = job.containers(replica_type);
    let path = format!("{}.template.spec.containers", job.path(replica_type));
    let name = job.kind().container.as_str();
    let none = containers.is_empty().then(|| required(&path, "must be specified"));
    let without_image =
        containers.iter().enumerate().filter(|(_, each)| each["image"].as_str().is_none_or(str::is_empty));
    let images = without_image.map(|(index, _)| required(format!("{path}[{index}].image"), "must be required"));
    let unnamed = !containers.iter().any(|each| each["name"] == name);
    let named = unnamed.then(|| required(&path, format!("must have at least one container with name {called}")));
    none.into_iter().chain(images).chain(named).collect()
}

/// A replica spec says one replica, in so many words.
pub fn exactly_one(job: &Job, replica_type: &str) -> Option<Issue> {
    let other = job.replica_spec(replica_type)["replicas"] != 1;
    other.then(|| forbidden(format!("{}.replicas", job.path(replica_type)), "must be 1"))
}

/// A replica spec says nothing of replicas, or more than none.
pub fn at_least_one(job: &Job, replica_type: &str) -> Option<Issue> {
    let replicas = job.replica_spec(replica_type)["replicas"].as_i64();
    let none = replicas.is_some_and(|replicas| replicas < 1);
    none.then(|| forbidden(format!("{}.replicas", job.path(replica_type)), "must be at least 1"))
}

/// A number of `spec`, by JSON pointer, is one of these; it need not be there.
pub fn within(job: &Job, pointer: &str, range: RangeInclusive<i64>) -> Option<Issue> {
    let number = job.number(pointer).filter(|number| !range.contains(number))?;
    let detail = format!("must be between {} and {}, inclusive", range.start(), range.end());
    Some(invalid(format!("spec{}", pointer.replace('/', ".")), &number.into(), detail))
}

/// The bounds of `spec.elasticPolicy` are positive, and in order.
pub fn elastic_bounds(job: &Job) -> Vec<Issue> {
    let fields = [("minReplicas", 1), ("maxReplicas", 1), ("maxRestarts", 0)].into_iter();
    let within = |(field, least)| within(job, &format!("/elasticPolicy/{field}"), least..=i32::MAX.into());
    let mut issues: Vec<_> = fields.filter_map(within).collect();
    let [min, max] = ["minReplicas", "maxReplicas"].map(|field| job.number(&format!("/elasticPolicy/{field}")));
    if let (Some(min), Some(max)) = (min, max) {
        let detail = format!("must not be greater than maxReplicas: {max}");
        issues.extend((min > max).then(|| invalid("spec.elasticPolicy.minReplicas", &min.into(), detail)));
    }
    issues
}
