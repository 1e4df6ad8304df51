//! Field errors, spelled as Kubernetes spells them.
//!
//! <https://github.com/kubernetes/apimachinery/blob/v0.34.4/pkg/util/validation/field/errors.go>

use std::fmt;

use crate::contract::{Issue, Problem, Severity};
use crate::line;

/// What is wrong with one field of a job: `spec.x: Invalid value: -1: must not be negative`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldError(Issue);

impl FieldError {
    /// A value is missing.
    pub fn required(path: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::of(path, Problem::Required, detail)
    }

    /// A value will not do; `value` is JSON.
    pub fn invalid(path: impl Into<String>, value: &serde_json::Value, detail: impl Into<String>) -> Self {
        Self::of(path, Problem::Invalid(value.to_string()), detail)
    }

    /// A value is none of those there are.
    pub fn not_supported(path: impl Into<String>, value: &str, supported: &[&str]) -> Self {
        let supported = supported.iter().map(|&each| each.to_owned()).collect();
        Self::of(path, Problem::NotSupported((quoted(value), supported)), "")
    }

    /// A value is there already.
    pub fn duplicate(path: impl Into<String>, value: &str) -> Self {
        Self::of(path, Problem::Duplicate(quoted(value)), "")
    }

    /// The path alone.
    pub fn path(&self) -> &str {
        self.0.path.as_str()
    }

    fn of(path: impl Into<String>, problem: Problem, detail: impl Into<String>) -> Self {
        let (path, detail) = (path.into().into(), detail.into().into());
        Self(Issue { severity: Severity::Error, path, problem, detail })
    }
}

impl From<Issue> for FieldError {
    fn from(issue: Issue) -> Self {
        Self(issue)
    }
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Issue { path, problem, detail, .. } = &self.0;
        let problem = match problem {
            Problem::Required => "Required value".to_owned(),
            Problem::Invalid(value) => format!("Invalid value: {}", shown(value)),
            Problem::Duplicate(value) => format!("Duplicate value: {}", shown(value)),
            Problem::Forbidden => "Forbidden".to_owned(),
            Problem::NotSupported((value, supported)) => {
                let supported: Vec<_> = supported.iter().map(|each| quoted(each)).collect();
                let supported = format!("supported values: {}", supported.join(", "));
                return write!(f, "{path}: Unsupported value: {}: {}", shown(value), shown(&supported));
            }
        };
        write!(f, "{path}: {problem}")?;
        if detail.as_str().is_empty() { Ok(()) } else { write!(f, ": {detail}") }
    }
}

/// Several errors as one text: one as itself, more as `[e1, e2]`.
pub fn aggregate(errors: &[FieldError]) -> String {
    match errors {
        [one] => one.to_string(),
        more => format!("[{}]", more.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")),
    }
}

/// A plugin's or a user's, who may want to forge what others say.
fn shown(value: &str) -> String {
    line::of(value, LONGEST)
}

/// The longest value that is spelled: what is refused may be a whole object.
const LONGEST: usize = 1024;

fn quoted(value: &str) -> String {
    serde_json::Value::from(value).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_read_as_kubernetes_writes_them() {
        let forbidden = Issue {
            severity: Severity::Error,
            path: "spec.pytorchReplicaSpecs[Master].replicas".into(),
            problem: Problem::Forbidden,
            detail: "must be 1".into(),
        };
        for (error, text) in [
            (FieldError::required("spec.x", "must be required"), "spec.x: Required value: must be required"),
            (FieldError::required("spec.x", ""), "spec.x: Required value"),
            (FieldError::invalid("spec.x", &"a".into(), "no"), r#"spec.x: Invalid value: "a": no"#),
            (FieldError::duplicate("spec.x", "a"), r#"spec.x: Duplicate value: "a""#),
            (forbidden.into(), "spec.pytorchReplicaSpecs[Master].replicas: Forbidden: must be 1"),
            (
                FieldError::not_supported("spec.x", "c", &["a", "b"]),
                r#"spec.x: Unsupported value: "c": supported values: "a", "b""#,
            ),
        ] {
            assert_eq!(error.to_string(), text);
        }
    }

    #[test]
    fn several_errors_stand_in_brackets() {
        let [a, b] = ["a", "b"].map(|path| FieldError::required(path, ""));
        assert_eq!(aggregate(std::slice::from_ref(&a)), "a: Required value");
        assert_eq!(aggregate(&[a, b]), "[a: Required value, b: Required value]");
    }
}
