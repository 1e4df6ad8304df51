//! Why a plugin's bytes are not here.

use std::time::Duration;

use super::signature::SignatureError;
use crate::plugin::Digest;

/// Why a source gave nothing, and which.
#[derive(Debug, thiserror::Error)]
#[error("{from}: {fault}")]
pub struct SourceError {
    /// The reference, or what else names the source.
    pub from: String,
    /// Why.
    #[source]
    pub fault: Fault,
}

/// What is wrong with a source; each variant is a machine reason.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// There is nothing of that name.
    #[error("not found{}", after_colon(.0))]
    NotFound(String),
    /// No credentials, or wrong ones, or too few rights.
    #[error("unauthorized{}", after_colon(.0))]
    Unauthorized(String),
    /// The registry is down, or in trouble.
    #[error("unavailable: {0}")]
    Unavailable(String),
    /// Too slow.
    #[error("timeout: {what} took longer than {limit:?}")]
    Timeout {
        /// What.
        what: &'static str,
        /// How long it may take.
        limit: Duration,
    },
    /// Too many bytes.
    #[error("too large: {what} has more than {limit} bytes")]
    TooLarge {
        /// What.
        what: &'static str,
        /// How many it may have.
        limit: u64,
    },
    /// Other bytes than those that were named.
    #[error("digest mismatch: {what} is {found}, wanted {wanted}")]
    DigestMismatch {
        /// What.
        what: &'static str,
        /// What it should be.
        wanted: Digest,
        /// What it is.
        found: Digest,
    },
    /// Some other kind of artifact.
    #[error("not a plugin: {0}")]
    NotAPlugin(String),
    /// The registry breaks the protocol.
    #[error("the registry answers what it should not: {0}")]
    BadAnswer(String),
    /// What the caller gave cannot work: credentials, certificates, mirrors.
    #[error("{0}")]
    Configuration(String),
    /// Not signed by whom it should be.
    #[error("signature: {0}")]
    Signature(#[from] SignatureError),
    /// This machine's disk.
    #[error("{what}: {source}")]
    Disk {
        /// What was being done.
        what: String,
        /// Why it failed.
        #[source]
        source: std::io::Error,
    },
}

impl Fault {
    /// For conditions and metrics.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::NotFound(_) => "NotFound",
            Self::Unauthorized(_) => "Unauthorized",
            Self::Unavailable(_) => "Unavailable",
            Self::Timeout { .. } => "Timeout",
            Self::TooLarge { .. } => "TooLarge",
            Self::DigestMismatch { .. } => "DigestMismatch",
            Self::NotAPlugin(_) => "NotAPlugin",
            Self::BadAnswer(_) => "BadAnswer",
            Self::Configuration(_) => "Configuration",
            Self::Signature(_) => "Signature",
            Self::Disk { .. } => "Disk",
        }
    }

    /// Whether it may be gone in a moment, with nobody having done anything about it.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Unavailable(_) | Self::Timeout { .. } | Self::Disk { .. } => true,
            Self::NotFound(_)
            | Self::Unauthorized(_)
            | Self::TooLarge { .. }
            | Self::DigestMismatch { .. }
            | Self::NotAPlugin(_)
            | Self::BadAnswer(_)
            | Self::Configuration(_)
            | Self::Signature(_) => false,
        }
    }

    /// Whose fault it is.
    pub(super) fn of(self, from: impl ToString) -> SourceError {
        SourceError { from: from.to_string(), fault: self }
    }
}

fn after_colon(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!(": {text}") }
}
