//! What every function gets, and what it says of a job that is at fault.

use serde::{Deserialize, Serialize};

use crate::line::{Line, Sentence};

/// JSON text: Kubernetes objects and fragments cross the boundary in this form only.
pub type Json = String;

/// What every function gets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Context {
    /// Of the job.
    pub name: String,
    /// Of the job.
    pub namespace: String,
    /// The object without status and with little metadata.
    pub job: Json,
    /// The admin's settings for this plugin.
    pub settings: Json,
}

/// Something `validate` found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Issue {
    /// Error or warning.
    pub severity: Severity,
    /// `spec.pytorchReplicaSpecs[Master].replicas`.
    pub path: Line<512>,
    /// What kind of problem.
    pub problem: Problem,
    /// For the user.
    pub detail: Sentence,
}

/// How bad an [`Issue`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Severity {
    /// The job is refused.
    Error,
    /// The job is accepted, the user is told.
    Warning,
}

/// The kinds of field error that Kubernetes knows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Problem {
    /// A value is missing.
    Required,
    /// The offending value.
    Invalid(Json),
    /// The value that is there twice.
    Duplicate(Json),
    /// The field may not be used so.
    Forbidden,
    /// The offending value and those that would do.
    NotSupported((Json, Vec<String>)),
}

/// Why a plugin gives no answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Refusal {
    /// The job is at fault.
    Invalid(Vec<Issue>),
    /// The plugin cannot do this.
    Unsupported(Sentence),
}
