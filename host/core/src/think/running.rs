//! A job that is to run: limits, failed pods, verdicts, and what is missing.

use std::collections::BTreeSet;

use jiff::SignedDuration;

use super::{Count, Framework, Pass, Trouble};
use crate::action::Action;
use crate::census::{Census, Fate, Types};
use crate::check;
use crate::contract::{JobPlan, Phase, RestartPolicy};
use crate::diff;
use crate::event::{self, Event};
use crate::fill::Filler;
use crate::gang::Wait;
use crate::job::Job;
use crate::label;
use crate::line::Sentence;
use crate::run_policy::Failures;
use crate::status::{ConditionType, ReplicaStatus, Truth};
use crate::verdict;

impl Pass<'_> {
    pub(super) fn run(&mut self, job: &Job) -> Result<(), Trouble> {
        let Framework { kind, planner, settings, addresses, .. } = *self.framework;
        let census = Census::of(kind, job, &self.observed.pods);
        let active = self.observed.pods.iter().filter(|pod| pod.is_active());
        self.thought.events.extend(active.flat_map(|pod| event::abnormal(pod)));
        if let Some(message) = self.limit(job, &census) {
            let failed = self.reason("Failed");
            self.tell(Event::normal(failed.clone(), message.clone(), self.observed.now));
            self.finish(ConditionType::Failed, &failed, &message);
            return self.tidy(job);
        }
        let context = job.context(settings);
        let plan = planner.plan(&context)?;
        let running = self.observed.pods.iter().filter(|pod| pod.phase() == Phase::Running);
        let running: BTreeSet<_> = running.map(|pod| pod.meta.name.clone()).collect();
        let filler = Filler { kind, job, network: plan.network, addresses, running: &running };
        check::plan(&plan, &filler, self.framework.allowed()).map_err(Trouble::fault)?;
        if let Some(digest) = self.framework.digest {
            self.status.plugin_digest = Some(digest.to_owned());
        }
        let (changes, wait) = self.framework.gang.gather(&filler, &plan, &self.observed.gang);
        self.thought.batches.push(changes);
        if let Some(wait) = wait.filter(|_| self.has_no_pods()) {
            self.hold(wait);
            return Ok(());
        }
        self.status.start_time.get_or_insert(self.observed.now);
        self.count(job, &census);
        let doomed = self.replace_failed(job, &census);
        // As in v1 a job gets its pods before it can end for want of others: a decider scaled to 0 has succeeded at once.
        if !self.observed.pods.is_empty() || job.total_replicas() == 0 {
            let assessment = planner.assess(&context, &census.seen(self.status.restarts))?;
            verdict::apply(self, job, &census, &assessment, doomed);
        }
        self.mend(&filler, &plan, &census, wait)
    }

    /// What the run policy says against going on.
    fn limit(&mut self, job: &Job, census: &Census<'_>) -> Option<String> {
        let failures = self.failures(job, census);
        if job.run_policy.backoff_limit.is_some_and(|limit| failures.exceed(limit)) {
            return Some(verdict::backoff_message(self.name));
        }
        let deadline = job.run_policy.deadline(self.status.start_time.or(Some(self.observed.now)))?;
        let left = deadline.duration_since(self.observed.now);
        // As in v1 what has not begun is never too late, be the deadline 0.
        if left.is_positive() || self.status.start_time.is_none() {
            self.check_after(left.max(SignedDuration::from_secs(1)));
            return None;
        }
        Some(format!("Job {} has failed because it was active longer than specified deadline", self.name))
    }

    fn failures(&self, job: &Job, census: &Census<'_>) -> Failures {
        let count = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        let to_replace = census.pods().filter(|(types, _, pod)| types.fate(pod) == Fate::Replace && !pod.meta.deleting);
        let restarting = census.pods().filter(|(types, _, pod)| {
            types.spec.restart_policy != RestartPolicy::Never && pod.phase() == Phase::Running
        });
        let failed = count(self.observed.pods.iter().filter(|pod| pod.phase() == Phase::Failed).count());
        let active = count(self.observed.pods.iter().filter(|pod| pod.is_active()).count());
        let known = self.old.failed_pods();
        Failures {
            replaced: self.status.restarts,
            to_replace: count(to_replace.count()),
            in_place: restarting.map(|(_, _, pod)| pod.restarts()).sum(),
            unseen: failed > known && active != job.total_replicas(),
        }
    }

    fn count(&mut self, job: &Job, census: &Census<'_>) {
        let kind = self.framework.kind;
        let count = |types: &Types<'_>| {
            let total = types.total();
            let labels = label::of_type(kind, &job.name, &types.spec.name);
            let selector = kind.scales.as_ref().map_or_else(String::new, |_| label::selector(&labels));
            (
                total.replica_type,
                ReplicaStatus { active: total.active, succeeded: total.succeeded, failed: total.failed, selector },
            )
        };
        self.status.replica_statuses.extend(census.types().iter().map(count));
        let more = self.status.failed_pods().saturating_sub(self.old.failed_pods());
        self.thought.counts.extend((more > 0).then_some(Count::FailedPods(more)));
        if kind.replace_failed {
            self.thought.events.extend(census.pods().filter_map(|(_, _, pod)| event::exited(kind, job, pod)));
        }
    }

    /// Deletes what the restart policy wants to be made again; answers whether an exit code has failed the job for good.
    fn replace_failed(&mut self, job: &Job, census: &Census<'_>) -> bool {
        let mut doomed = false;
        for types in census.types() {
            let replica_type = &types.spec.name;
            let replaced = types.pods.values().filter(|pod| types.fate(pod) == Fate::Replace && !pod.meta.deleting);
            let replaced: Vec<_> = replaced.map(|pod| diff::target(&pod.meta)).collect();
            if types.pods.values().any(|pod| types.fate(pod) == Fate::Doom) {
                let message = format!("job \"{}\" is failing because \"{replica_type}\" replica(s) failed.", self.name);
                let failed = self.reason("Failed");
                self.tell(Event::warning(failed.clone(), message.clone(), self.observed.now));
                self.finish(ConditionType::Failed, &failed, &message);
                doomed = true;
            }
            if let Some(first) = replaced.first() {
                let message = format!("job {} is restarting because {replica_type} replica(s) failed.", self.name);
                self.restart(job, replaced.len(), &message.into(), &first.uid);
                self.thought.batches.push(replaced.into_iter().map(Action::DeletePod).collect());
            }
        }
        doomed
    }

    /// Says that pods are replaced and, where something looks at it, counts them: before they go, for after a crash
    /// they are no longer there.
    pub(crate) fn restart(&mut self, job: &Job, pods: usize, message: &Sentence, about: &str) {
        let reason = self.reason("Restarting");
        self.set(ConditionType::Restarting, Truth::True, &reason, message.as_str());
        self.tell(Event::warning(reason, message.in_event(), about));
        if !self.thought.counts.contains(&Count::Restarted) {
            self.thought.counts.push(Count::Restarted);
        }
        if job.run_policy.backoff_limit.is_some() {
            self.status.restarts = self.status.restarts.saturating_add(u32::try_from(pods).unwrap_or(u32::MAX));
        }
    }

    /// Whether there are none, and the status knows it.
    fn has_no_pods(&self) -> bool {
        let counts = |replicas: &ReplicaStatus| replicas.active + replicas.succeeded + replicas.failed;
        self.observed.pods.is_empty() && self.status.replica_statuses.values().all(|replicas| counts(replicas) == 0)
    }

    /// Says that pods are held back for their gang: once for each start, so that it does not wake the job again.
    fn hold(&mut self, wait: Wait) {
        if self.status.last_reconcile_time.is_none_or(|last| self.status.start_time.is_some_and(|start| last < start)) {
            self.status.last_reconcile_time = Some(self.observed.now);
        }
        if self.status.start_time.is_none() {
            self.thought.check_after = None; // a deadline that has not begun
        }
        let api_version = self.framework.gang.api_version().unwrap_or_default();
        match wait {
            Wait::NotServed => {
                let message = format!(
                    "Error creating: the kind PodGroup of {api_version} is not installed; pods wait until it is"
                );
                self.tell(Event::warning("FailedCreatePodGroup", message, ""));
            }
            Wait::ForGroup => {}
        }
    }

    /// Brings pods, services and objects in line with the plan, or cleans up if the job has just ended.
    fn mend(
        &mut self,
        filler: &Filler<'_>,
        plan: &JobPlan,
        census: &Census<'_>,
        wait: Option<Wait>,
    ) -> Result<(), Trouble> {
        let objects = diff::objects(filler, plan, self.observed).map_err(Trouble::fault)?;
        if self.status.is_finished() {
            // As in v1 the pass that ends the job deletes what has failed or is too much, whatever is cleaned up.
            let batches = std::mem::take(&mut self.thought.batches).into_iter().flatten();
            let replaced = batches.filter(|action| matches!(action, Action::DeletePod(_))).collect();
            self.thought.batches.extend([replaced, diff::surplus(filler, plan, census, self.observed)]);
            self.thought.batches.extend(objects.batches);
            return self.tidy(filler.job);
        }
        self.thought.batches.extend(objects.batches);
        self.thought.others = objects.others;
        if let Some(object) = objects.blocked {
            self.tell(event::not_ours(filler.kind, &object));
            return Ok(());
        }
        let mut replicas = diff::replicas(filler, plan, census, self.observed).map_err(Trouble::fault)?;
        check::pods(filler.job, &replicas).map_err(Trouble::fault)?;
        self.framework.gang.decorate(filler.job, &mut replicas);
        if let Some(wait) = wait.filter(|_| diff::withhold(&mut replicas)) {
            self.hold(wait);
        }
        let pods = replicas.iter().flatten().filter(|action| matches!(action, Action::CreatePod { .. })).count();
        if pods > 0 {
            self.thought.batches.push(diff::ssh_keys(filler, plan));
        }
        if pods == diff::pods_in_a_pass(filler.job) {
            self.check_after(SignedDuration::ZERO); // for the others
        }
        self.thought.batches.extend(replicas);
        Ok(())
    }
}
