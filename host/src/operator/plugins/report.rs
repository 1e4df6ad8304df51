//! What the status of a `FrameworkPlugin` says of how far it is.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::Version;
use crate::framework_plugin::{Condition, FrameworkPluginStatus, Loaded, SpecError};
use crate::operator::metrics::State;
use crate::plugin::{LoadError, one_line};
use crate::source::{Fault, Source, SourceError};

/// Steps on the way, each with a condition. One that fails keeps what comes after it from being tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::operator) enum Step {
    Fetched,
    Verified,
    Compiled,
    Ready,
}

/// Why a plugin, or a new version of one, does not plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::operator) struct Failure {
    pub(super) step: Step,
    /// In a word, for machines.
    pub(super) reason: String,
    pub(super) message: String,
    pub(super) again: Again,
    /// What it was about, as far as that is known.
    pub(super) candidate: Option<Box<Loaded>>,
}

/// When to try again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Again {
    /// When the plugin, or what it names, has changed.
    OnChange,
    /// Every few seconds: somebody has to do something elsewhere.
    Soon,
    /// At once, and later with each failure in a row.
    BackOff,
}

/// All that a status follows from.
pub(super) struct Report<'a> {
    pub(super) generation: Option<i64>,
    pub(super) active: Option<&'a Version>,
    /// What jobs may still be on.
    pub(super) retained: &'a [Loaded],
    /// None: all is well.
    pub(super) failure: Option<&'a Failure>,
    /// Whether what was fetched is what a tag was when its registry last answered.
    pub(super) is_remembered: bool,
    /// What an admin should know, though all is well: a reason and a message.
    pub(super) notice: Option<(&'static str, String)>,
}

/// The reason of a plugin that is left alone because its admin wants it so.
pub(super) const SUSPENDED: &str = "Suspended";

/// The reason of a plugin whose kinds are somebody else's.
const KIND_CONFLICT: &str = "KindConflict";

/// Longest message of a condition, in bytes.
const LONGEST: usize = 1024;

impl Step {
    const ALL: [Self; 3] = [Self::Fetched, Self::Verified, Self::Compiled];

    fn as_str(self) -> &'static str {
        match self {
            Self::Fetched => "Fetched",
            Self::Verified => "Verified",
            Self::Compiled => "Compiled",
            Self::Ready => "Ready",
        }
    }
}

impl Failure {
    fn new(step: Step, reason: &str, message: impl ToString, again: Again) -> Self {
        let message = trainyard_core::line::of(&one_line(&message.to_string()), LONGEST);
        Self { step, reason: reason.to_owned(), message, again, candidate: None }
    }

    /// Before there was anything to check.
    pub(super) fn fetched(reason: &str, message: impl ToString) -> Self {
        Self::new(Step::Fetched, reason, message, Again::OnChange)
    }

    /// After it was compiled.
    pub(in crate::operator) fn ready(reason: &str, message: impl ToString) -> Self {
        Self::new(Step::Ready, reason, message, Again::OnChange)
    }

    /// Its kinds are somebody else's.
    pub(super) fn conflict(message: String) -> Self {
        Self::ready(KIND_CONFLICT, message)
    }

    /// Worth another try in a while.
    pub(in crate::operator) fn soon(self) -> Self {
        Self { again: Again::Soon, ..self }
    }

    pub(super) fn of_cluster(error: &kube::Error) -> Self {
        Self::new(Step::Fetched, "Unavailable", error, Again::BackOff)
    }

    pub(super) fn of_spec(error: &SpecError) -> Self {
        let again = match error {
            SpecError::Invalid { .. } => Again::OnChange,
            SpecError::Absent { .. } => Again::Soon,
        };
        Self::new(Step::Fetched, error.reason(), error, again)
    }

    /// Whatever is there, and not here, may be made right with nobody touching the plugin: pushed, signed, permitted.
    pub(super) fn of_source(error: &SourceError, source: &Source) -> Self {
        let is_other = matches!(error.fault, Fault::DigestMismatch { .. } | Fault::Signature(_));
        let step = if is_other { Step::Verified } else { Step::Fetched };
        let is_elsewhere = match source {
            Source::Oci(_) | Source::File { .. } => true,
            Source::Bundled(_) | Source::ConfigMap { .. } => false,
        };
        let is_hopeless = matches!(error.fault, Fault::TooLarge { .. } | Fault::NotAPlugin(_));
        let again = if is_elsewhere && !is_hopeless { Again::BackOff } else { Again::OnChange };
        Self::new(step, error.fault.reason(), error, again)
    }

    pub(super) fn of_load(error: &LoadError) -> Self {
        let again = if error.is_repeatable() { Again::OnChange } else { Again::BackOff };
        Self::new(Step::Compiled, error.reason(), crate::failure::chain(error), again)
    }

    pub(super) fn about(self, candidate: Loaded) -> Self {
        Self { candidate: Some(Box::new(candidate)), ..self }
    }
}

impl Report<'_> {
    pub(super) fn state(&self) -> State {
        match (self.active, self.failure, &self.notice) {
            (Some(_), None, None) => State::Ready,
            (Some(_), ..) => State::Degraded,
            (None, None, None) => State::Suspended,
            (None, ..) => State::Failed,
        }
    }
}

/// The status that says so; times are those of before where nothing else has changed.
pub(super) fn status(
    report: &Report<'_>,
    before: Option<&FrameworkPluginStatus>,
    now: Timestamp,
) -> FrameworkPluginStatus {
    let Report { generation, active, retained, failure, .. } = report;
    // What does not plan for the moment has jobs still, unless somebody else has the kinds of the version that had them.
    let had = |about: &Loaded| {
        let known = before.and_then(|before| before.active.as_ref()).into_iter().chain(*retained);
        known.into_iter().any(|known| known.digest == about.digest)
    };
    let lost = failure.filter(|failure| failure.reason == KIND_CONFLICT).and_then(|lost| lost.candidate.as_deref());
    let stays = before.filter(|_| !lost.is_some_and(had));
    let kinds = active.map(|version| &version.about.kinds).or(stays.map(|before| &before.kinds));
    let said = conditions(report);
    let old = before.map(|before| before.conditions.as_slice()).unwrap_or_default();
    let conditions = said.into_iter().map(|(kind, status, reason, message)| {
        let since = old.iter().find(|old| old.type_ == kind && old.status == status);
        Condition {
            type_: kind.to_owned(),
            status: status.to_owned(),
            reason,
            message,
            observed_generation: *generation,
            last_transition_time: since.map_or(Time(now), |old| old.last_transition_time.clone()),
        }
    });
    FrameworkPluginStatus {
        observed_generation: *generation,
        active: active.map(|version| version.about.clone()),
        candidate: failure.and_then(|failure| failure.candidate.as_deref().cloned()),
        retained: retained.to_vec(),
        kinds: kinds.cloned().unwrap_or_default(),
        calls: before.and_then(|before| before.calls),
        last_error: failure.map(|failure| format!("{}: {}", failure.reason, failure.message)),
        conditions: conditions.collect(),
    }
}

type Said = (&'static str, &'static str, String, String);

fn conditions(report: &Report<'_>) -> Vec<Said> {
    let Report { active, failure, notice, is_remembered, .. } = report;
    let said = |kind, status, reason: &str, message: &str| (kind, status, reason.to_owned(), message.to_owned());
    let of_step = |step: Step| match failure {
        Some(failure) if failure.step == step => said(step.as_str(), "False", &failure.reason, &failure.message),
        Some(failure) if failure.step < step => {
            said(step.as_str(), "Unknown", "NotTried", "an earlier step has failed")
        }
        None if active.is_none() => said(step.as_str(), "Unknown", "NotTried", "it is not loaded"),
        Some(_) | None if step == Step::Fetched && *is_remembered => said(
            step.as_str(),
            "True",
            "Remembered",
            "its registry does not answer: this is what the tag was when it last did",
        ),
        Some(_) | None => said(step.as_str(), "True", step.as_str(), ""),
    };
    let mut all: Vec<_> = Step::ALL.into_iter().map(of_step).collect();
    all.push(match (active, failure, notice) {
        (Some(version), ..) => {
            let kinds = version.about.kinds.join(", ");
            said("Ready", "True", "Loaded", &format!("{} plans for {kinds}", version.about.digest))
        }
        (None, Some(failure), _) => said("Ready", "False", &failure.reason, &failure.message),
        (None, None, Some((reason, message))) => said("Ready", "False", reason, message),
        (None, None, None) => said("Ready", "False", SUSPENDED, "its kinds are left alone"),
    });
    all.push(match (active, failure, notice) {
        (Some(_), Some(failure), _) => said("Degraded", "True", &failure.reason, &failure.message),
        (Some(_), None, Some((reason, message))) => said("Degraded", "True", reason, message),
        _ => said("Degraded", "False", "AsWanted", ""),
    });
    all
}

#[cfg(test)]
mod tests;
