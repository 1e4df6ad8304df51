//! A pass that does not come to its end: who is at fault, and what becomes of the job.

use super::{Pass, Thought};
use crate::contract::Refusal;
use crate::event::Event;
use crate::field::{self, FieldError};
use crate::line::{self, Sentence};
use crate::planner::PlannerError;
use crate::status::{ConditionType, JobStatus, Truth};

/// Why a pass does not come to its end.
pub(crate) enum Trouble {
    /// The job is at fault.
    Invalid(Vec<FieldError>),
    /// The plugin is at fault, and will be again.
    Fault(String),
    /// It may go better next time.
    Unavailable(PlannerError),
}

impl From<PlannerError> for Trouble {
    fn from(error: PlannerError) -> Self {
        match error {
            PlannerError::Refused(Refusal::Invalid(issues)) => {
                Self::Invalid(issues.into_iter().map(FieldError::from).collect())
            }
            PlannerError::Refused(Refusal::Unsupported(_)) | PlannerError::Faulty(_) => Self::Fault(error.to_string()),
            PlannerError::Unavailable(_) => Self::Unavailable(error),
        }
    }
}

impl Trouble {
    pub(super) fn fault(error: impl std::error::Error) -> Self {
        Self::Fault(format!("the plan is not used: {error}"))
    }

    pub(super) fn defaults(error: impl std::error::Error) -> Self {
        Self::Fault(format!("the defaults are not used: {error}"))
    }
}

impl Pass<'_> {
    /// An invalid job has failed before it began, and nothing is made for it.
    pub(super) fn refuse(&mut self, errors: &[FieldError]) {
        let kind = &self.framework.kind.kind;
        let reason = self.reason("FailedValidation");
        // The API server keeps no status that is larger than a request.
        let message = line::of(&format!("{kind} failed validation because {}", field::aggregate(errors)), LONGEST);
        if self.old.is_finished() || self.old.start_time.is_some() {
            return self.stand_still(Event::warning(reason, message, ""));
        }
        self.acknowledge();
        self.thought = Thought { counts: std::mem::take(&mut self.thought.counts), ..Thought::default() };
        self.tell(Event::warning(reason.clone(), message.clone(), self.observed.now));
        self.finish(ConditionType::Failed, &reason, &message);
    }

    /// The plugin has failed, not the job: it goes on when the plugin, or the job, has changed.
    pub(super) fn blame(&mut self, fault: &str) {
        let message = self.accusation(fault);
        self.stand_still(plugin_failed(&message));
        if !self.old.is_finished() {
            let reason = self.reason("PluginFailed");
            let since = self.old.condition(&ConditionType::PluginFailed).and_then(|old| old.last_transition_time);
            self.status.set(ConditionType::PluginFailed, Truth::True, &reason, message.as_str(), self.observed.now);
            if let Some(condition) = self.status.conditions.last_mut().filter(|_| since.is_some()) {
                condition.last_transition_time = since;
            }
        }
    }

    /// Tells that the plugin has failed, and goes on without what it should have said.
    pub(super) fn complain(&mut self, fault: &str) {
        let failed = plugin_failed(&self.accusation(fault));
        self.tell(failed);
    }

    fn accusation(&self, fault: &str) -> Sentence {
        Sentence::from(format!("plugin {:?}: {fault}", self.framework.plugin))
    }

    /// What is there stays as it is until the job or the plugin changes, or a deadline passes.
    fn stand_still(&mut self, why: Event) {
        let check_after = self.thought.check_after;
        self.thought = Thought { events: vec![why], check_after, ..Thought::default() };
        self.status = without_blame(&self.old);
        self.acknowledge();
    }
}

fn plugin_failed(message: &Sentence) -> Event {
    Event::warning("PluginFailed", message.to_string(), "")
}

/// A job whose past is not known is left as it is: taken for a new one, it would run again.
pub(super) fn unreadable(error: &serde_json::Error) -> Thought {
    let message = format!("nothing is done for the job, for its status cannot be read: {error}");
    Thought { events: vec![Event::warning("StatusUnreadable", message, "")], ..Thought::default() }
}

/// What a plugin was blamed for is said again as long as it is so.
pub(super) fn without_blame(status: &JobStatus) -> JobStatus {
    let mut status = status.clone();
    status.drop(&ConditionType::PluginFailed);
    status
}

/// Of a message that lists errors.
const LONGEST: usize = 16_384;
