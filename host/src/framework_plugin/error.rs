//! What is wrong with a `FrameworkPlugin`.

/// Why a spec cannot be followed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SpecError {
    /// It cannot work, whatever else there is: nothing to be tried before it is changed.
    #[error("{field}: {why}")]
    Invalid {
        /// `spec.limits.memory`
        field: String,
        /// What is wrong, with the value.
        why: String,
    },
    /// It names something that is not there, or has not in it what it should: it may come.
    #[error("{field}: {why}")]
    Absent {
        /// `spec.source.configMap.key`
        field: String,
        /// What is not there.
        why: String,
    },
}

impl SpecError {
    pub(super) fn invalid(field: impl Into<String>, why: impl ToString) -> Self {
        Self::Invalid { field: field.into(), why: why.to_string() }
    }

    pub(super) fn absent(field: impl Into<String>, why: impl ToString) -> Self {
        Self::Absent { field: field.into(), why: why.to_string() }
    }

    /// For conditions.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Invalid { .. } => "InvalidSpec",
            Self::Absent { .. } => "NotFound",
        }
    }
}
