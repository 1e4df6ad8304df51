//! One pass over a job, from what is seen to what is to be done. Pure and total: the same inputs, the same answer.
//!
//! The controller, `trainyard plan`, `trainyard run` and the tests all call this one function.

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use crate::action::Action;
use crate::check::Allowed;
use crate::contract::{Kind, ObjectKind};
use crate::diff::Batch;
use crate::event::Event;
use crate::fill::Addresses;
use crate::gang::GangScheduler;
use crate::grants::Grants;
use crate::job::Job;
use crate::json;
use crate::observed::Observed;
use crate::planner::{Planner, PlannerError};
use crate::run_policy;
use crate::status::{Condition, ConditionType, JobStatus, Truth};
use crate::validate;

pub(crate) use self::trouble::Trouble;
use self::trouble::{unreadable, without_blame};

/// What plans for a kind, and under which settings.
#[derive(Clone, Copy)]
pub struct Framework<'a> {
    /// The kind of the job.
    pub kind: &'a Kind,
    /// The plugin's name, for people.
    pub plugin: &'a str,
    /// Its digest, where the job has to stay with it whatever is loaded later.
    pub digest: Option<&'a str>,
    /// Kinds of extra object that the plugin announced.
    pub announced: &'a [ObjectKind],
    /// What its plans may do.
    pub grants: &'a Grants,
    /// The plugin.
    pub planner: &'a dyn Planner,
    /// The admin's settings for it.
    pub settings: &'a Value,
    /// Where replicas are.
    pub addresses: &'a Addresses,
    /// Who schedules gangs.
    pub gang: &'a GangScheduler,
}

/// What is to be done, in this order: the status is written, the batches are carried out, the events are told.
#[derive(Debug, Default, PartialEq)]
pub struct Thought {
    /// When it says something new.
    pub status: Option<JobStatus>,
    /// Whether the status may be left to a later pass: it is the job's first, all it says is that the job is there, and
    /// its pods are being made, or were within [`YOUNG`] and may run soon. One that says who planned goes before the pods.
    pub may_wait: bool,
    /// Changes to the cluster.
    pub batches: Vec<Batch>,
    /// For the user.
    pub events: Vec<Event>,
    /// For the metrics.
    pub counts: Vec<Count>,
    /// Objects of others that have names of the plan's: look again when one of them goes.
    pub others: Vec<(ObjectKind, String)>,
    /// Look again then, even if nothing changes.
    pub check_after: Option<SignedDuration>,
}

/// Since its creation. A job that is older has a status, however busy the operator is.
pub const YOUNG: SignedDuration = SignedDuration::from_secs(10);

/// Something that the metrics of v1 count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Count {
    /// The operator saw the job for the first time.
    Created,
    /// The job succeeded.
    Successful,
    /// The job failed.
    Failed,
    /// Failed pods are replaced.
    Restarted,
    /// So many pods have failed since the status was written.
    FailedPods(u32),
}

/// Looks at a job once.
pub fn think(framework: &Framework<'_>, object: &Value, observed: &Observed) -> Result<Thought, PlannerError> {
    let mut pass = match Pass::of(framework, object, observed) {
        Ok(Some(pass)) => pass,
        Ok(None) => return Ok(Thought::default()),
        Err(error) => return Ok(unreadable(&error)),
    };
    match pass.look(object) {
        Ok(()) => {}
        Err(Trouble::Invalid(errors)) => pass.refuse(&errors),
        Err(Trouble::Fault(fault)) => pass.blame(&fault),
        Err(Trouble::Unavailable(error)) => return Err(error),
    }
    Ok(pass.end())
}

/// A pass under way.
pub(crate) struct Pass<'a> {
    pub(crate) framework: &'a Framework<'a>,
    pub(crate) observed: &'a Observed,
    pub(crate) name: &'a str,
    pub(crate) old: JobStatus,
    pub(crate) status: JobStatus,
    is_young: bool,
    pub(crate) thought: Thought,
}

impl<'a> Framework<'a> {
    pub(crate) fn allowed(&self) -> Allowed<'a> {
        Allowed { announced: self.announced, grants: self.grants, settings: self.settings }
    }
}

impl<'a> Pass<'a> {
    /// None for a job that another controller runs, or that is being deleted: the garbage collector does the rest.
    fn of(
        framework: &'a Framework<'a>,
        object: &'a Value,
        observed: &'a Observed,
    ) -> Result<Option<Self>, serde_json::Error> {
        if object.pointer("/metadata/deletionTimestamp").is_some() || run_policy::is_managed_elsewhere(object) {
            return Ok(None);
        }
        let stored = object.get("status").filter(|status| !status.is_null());
        let old = stored.map_or_else(|| Ok(JobStatus::default()), JobStatus::read)?;
        let name = json::text(object, "/metadata/name");
        let created = json::text(object, "/metadata/creationTimestamp").parse::<Timestamp>();
        let is_young = created.is_ok_and(|created| observed.now.duration_since(created) < YOUNG);
        let status = without_blame(&old);
        Ok(Some(Self { framework, observed, name, status, old, is_young, thought: Thought::default() }))
    }

    fn look(&mut self, object: &Value) -> Result<(), Trouble> {
        let Framework { kind, planner, settings, .. } = *self.framework;
        let job = Job::parse(kind, object).map_err(|error| Trouble::Invalid(vec![error]))?;
        if self.old.is_finished() {
            // What is to go may be a default's to say; where nothing is left, there is nothing to ask.
            let Observed { pods, services, objects, .. } = self.observed;
            let is_clean = pods.is_empty() && services.is_empty() && objects.is_empty();
            return if is_clean { self.tidy(&job) } else { self.tidy(&self.at_rest(&job)?) };
        }
        self.acknowledge();
        // Later, a job that has become invalid behind the webhook's back (a scale to 0) goes on; but for one whose plugin
        // could not answer.
        let says = |condition| self.old.condition(&condition).is_some();
        let is_new = !says(ConditionType::Created) || says(ConditionType::PluginFailed);
        if is_new && self.old.start_time.is_none() && self.observed.pods.is_empty() {
            let findings = validate::of(kind, object, None, planner, settings)?;
            if !findings.errors.is_empty() {
                return Err(Trouble::Invalid(findings.errors));
            }
        }
        if job.run_policy.is_suspended() {
            return self.suspend(&self.at_rest(&job)?);
        }
        let job = self.with_defaults(&job)?;
        self.resume();
        self.run(&job)
    }

    /// A job that makes no pods does without defaults where the plugin fails.
    fn at_rest(&self, job: &Job) -> Result<Job, Trouble> {
        match self.with_defaults(job) {
            Err(Trouble::Fault(_)) => Ok(job.clone()),
            defaulted => defaulted,
        }
    }

    fn with_defaults(&self, job: &Job) -> Result<Job, Trouble> {
        let Framework { kind, planner, settings, .. } = *self.framework;
        let defaults = planner.defaults(&job.context(settings))?;
        let defaults = serde_json::from_str(&defaults).map_err(Trouble::defaults)?;
        job.with_defaults(kind, &defaults).map_err(Trouble::defaults)
    }

    fn resume(&mut self) {
        if self.status.is(ConditionType::Suspended) {
            let (reason, message) = (self.reason("Resumed"), self.message("is resumed."));
            self.set(ConditionType::Suspended, Truth::False, &reason, &message);
            self.status.start_time = Some(self.observed.now);
            self.tell(Event::normal(reason, message, self.observed.now));
        }
    }

    fn acknowledge(&mut self) {
        if self.status.condition(&ConditionType::Created).is_some() {
            return;
        }
        let is_others = |condition: &Condition| matches!(condition.kind, ConditionType::Other(_));
        let is_new = self.status.start_time.is_none() && self.status.conditions.iter().all(is_others);
        let (reason, message) = (self.reason("Created"), self.message("is created."));
        self.set(ConditionType::Created, Truth::True, &reason, &message);
        if is_new {
            self.thought.counts.push(Count::Created);
        } else {
            // v1 sometimes forgets to say so. What it said since comes after it, so that the last condition stays the last.
            self.status.conditions.rotate_right(1);
        }
    }

    /// Ends the job; only the first end counts.
    pub(crate) fn finish(&mut self, how: ConditionType, reason: &str, message: &str) {
        if self.status.is_finished() {
            return;
        }
        self.thought.counts.push(if how == ConditionType::Succeeded { Count::Successful } else { Count::Failed });
        self.set(how, Truth::True, reason, message);
        self.status.completion_time.get_or_insert(self.observed.now);
    }

    fn end(mut self) -> Thought {
        self.thought.batches.retain(|batch| !batch.is_empty());
        let makes_pods = self.thought.batches.iter().flatten().any(|action| matches!(action, Action::CreatePod { .. }));
        let says_little =
            self.old.conditions.is_empty() && self.status.conditions.len() == 1 && !self.status.is_finished();
        let says_who_planned = self.status.plugin_digest != self.old.plugin_digest;
        self.thought.may_wait = says_little && !says_who_planned && (makes_pods || self.is_young);
        self.thought.status = (!self.status.says_the_same_as(&self.old)).then_some(self.status);
        self.thought
    }

    pub(crate) fn set(&mut self, kind: ConditionType, status: Truth, reason: &str, message: &str) {
        self.status.set(kind, status, reason, message, self.observed.now);
    }

    pub(crate) fn tell(&mut self, event: Event) {
        self.thought.events.push(event);
    }

    pub(crate) fn check_after(&mut self, time: SignedDuration) {
        self.thought.check_after = Some(self.thought.check_after.map_or(time, |other| other.min(time)));
    }

    /// `PyTorchJobRunning`.
    pub(crate) fn reason(&self, word: &str) -> String {
        format!("{}{word}", self.framework.kind.kind)
    }

    fn message(&self, rest: &str) -> String {
        format!("{} {} {rest}", self.framework.kind.kind, self.name)
    }
}

mod resting;
mod running;
#[cfg(test)]
mod tests;
mod trouble;
