//! A job that has no pods to make: it has ended, or is suspended.

use std::collections::BTreeSet;

use super::{Framework, Pass, Trouble};
use crate::action::Action;
use crate::check;
use crate::diff::{self, Batch};
use crate::event::Event;
use crate::fill::Filler;
use crate::gang;
use crate::job::Job;
use crate::run_policy::CleanPodPolicy;
use crate::status::{ConditionType, Truth};

impl Pass<'_> {
    /// The job has ended: keep it clean, delete it in time.
    pub(super) fn tidy(&mut self, job: &Job) -> Result<(), Trouble> {
        self.fold();
        self.status.completion_time = self.status.completion_time.or(self.status.ended());
        self.thought.batches.push(diff::clean_up(job.run_policy.clean_pods(), self.observed));
        self.withdraw_objects(job)?;
        self.thought.batches.push(gang::dissolve(&self.observed.gang));
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
        if !self.status.is(ConditionType::Suspended) {
            self.set(ConditionType::Suspended, Truth::True, &reason, &message);
            self.tell(Event::normal(reason, message, self.observed.now));
        }
        for replicas in self.status.replica_statuses.values_mut() {
            replicas.active = 0;
        }
        self.thought.batches.push(diff::clean_up(CleanPodPolicy::All, self.observed));
        self.withdraw_objects(job)?;
        self.thought.batches.push(gang::dissolve(&self.observed.gang));
        Ok(())
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
