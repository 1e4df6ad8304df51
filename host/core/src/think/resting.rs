//! A job that has no pods to make: it has ended, or is suspended.

use std::collections::BTreeSet;

use serde_json::json;

use super::{Framework, Pass, Trouble};
use crate::action::Action;
use crate::check;
use crate::diff::{self, Batch};
use crate::event::Event;
use crate::fill::Filler;
use crate::gang::{self, PodGroup};
use crate::job::Job;
use crate::run_policy::CleanPodPolicy;
use crate::status::{ConditionType, Truth};

impl Pass<'_> {
    /// The job has ended: keep it clean, delete it in time.
    pub(super) fn tidy(&mut self, job: &Job) -> Result<(), Trouble> {
        self.fold();
        self.status.completion_time = self.status.completion_time.or(self.status.ended());
        let mut clean = diff::clean_up(job.run_policy.clean_pods(), self.observed);
        let goes: BTreeSet<_> = self.thought.batches.iter().flatten().filter_map(Action::deleted).collect();
        clean.retain(|action| action.deleted().is_none_or(|uid| !goes.contains(uid)));
        self.thought.batches.push(clean);
        self.withdraw_objects(job)?;
        self.dissolve(!self.old.is_finished());
        let expiry = job.run_policy.expiry(self.status.completion_time);
        if let Some(expiry) = expiry.filter(|_| !job.run_policy.is_suspended()) {
            let left = expiry.duration_since(self.observed.now);
            if left.is_positive() {
                self.check_after(left);
            } else {
                self.thought.batches.push(vec![Action::DeleteJob]);
            }
        }
        Ok(())
    }

    /// No pod, no service, whatever the clean-pod policy says.
    pub(super) fn suspend(&mut self, job: &Job) -> Result<(), Trouble> {
        let (reason, message) = (self.reason("Suspended"), self.message("is suspended."));
        if self.status.is(ConditionType::Running) {
            self.set(ConditionType::Running, Truth::False, &reason, &message);
        }
        self.status.drop(&ConditionType::Restarting);
        let is_new = !self.status.is(ConditionType::Suspended);
        if is_new {
            self.set(ConditionType::Suspended, Truth::True, &reason, &message);
            self.tell(Event::normal(reason, message, self.observed.now));
        }
        for replicas in self.status.replica_statuses.values_mut() {
            replicas.active = 0;
        }
        self.thought.batches.push(diff::clean_up(CleanPodPolicy::All, self.observed));
        self.withdraw_objects(job)?;
        self.dissolve(is_new);
        Ok(())
    }

    /// A job that makes no pods has no pod group. v1 says that it goes whether there is one or not.
    fn dissolve(&mut self, is_new: bool) {
        match &self.observed.gang.pod_group {
            PodGroup::There(group) if !gang::is_deleting(group) => {
                self.thought.batches.push(vec![Action::DeletePodGroup(group.as_ref().clone())]);
            }
            PodGroup::Missing if is_new => {
                let group = Action::DeletePodGroup(json!({"metadata": {"name": self.name}}));
                self.thought.events.extend(group.events(self.framework.kind, self.name, Ok("")));
            }
            PodGroup::There(_) | PodGroup::Missing | PodGroup::NotServed => {}
        }
    }

    /// Only objects that a plan made can have to go, so a job without any is not planned for. Where the plugin fails they
    /// stay: that keeps no job from its end.
    fn withdraw_objects(&mut self, job: &Job) -> Result<(), Trouble> {
        if self.observed.objects.is_empty() {
            return Ok(());
        }
        match self.withdrawn(job) {
            Ok(withdrawn) => self.thought.batches.push(withdrawn),
            Err(Trouble::Fault(fault)) => self.complain(&fault),
            Err(Trouble::Invalid(_)) => {}
            Err(unavailable @ Trouble::Unavailable(_)) => return Err(unavailable),
        }
        Ok(())
    }

    fn withdrawn(&self, job: &Job) -> Result<Batch, Trouble> {
        let Framework { kind, planner, settings, addresses, .. } = *self.framework;
        let plan = planner.plan(&job.context(settings))?;
        let filler = Filler { kind, job, network: plan.network, addresses, running: &BTreeSet::new() };
        check::plan(&plan, &filler, self.framework.allowed()).map_err(Trouble::fault)?;
        diff::withdrawn_objects(&filler, &plan, self.observed).map_err(Trouble::fault)
    }

    /// Of a job that has succeeded all that still runs counts as done.
    fn fold(&mut self) {
        if self.status.is(ConditionType::Succeeded) {
            for replicas in self.status.replica_statuses.values_mut() {
                replicas.succeeded += std::mem::take(&mut replicas.active);
            }
        }
    }
}
