//! The controller of one kind: observes a job, thinks, acts.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;
use tokio::sync::{Semaphore, watch as flag};
use tracing::{error, info, warn};
use trainyard_core::contract::ObjectKind;
use trainyard_core::event::Event;
use trainyard_core::fill::Addresses;
use trainyard_core::json::text;
use trainyard_core::observed::Observed;
use trainyard_core::planner::PlannerError;
use trainyard_core::status::JobStatus;
use trainyard_core::think::{Count, Framework, Thought, think};

use super::act::{Actor, Stores};
use super::api::{Api, ApiError};
use super::events::Recorder;
use super::job_text::JobText;
use super::metrics::{Metrics, Outcome as Measured, Work};
use super::pace::Pace;
use super::queue::Outcome;
use super::roster::{Plans, Roster};
use super::store::{Id, Store, Version};
use super::wakers::{JobKey, KindKey};
use crate::catalog::LoadedKind;

/// All that a pass over a job of one kind needs.
pub(super) struct Controller {
    pub(super) kind: KindKey,
    /// Who plans, now.
    pub(super) plans: flag::Receiver<Arc<Plans>>,
    pub(super) roster: Arc<Roster>,
    pub(super) api: Api,
    pub(super) jobs: Arc<Store<JobText>>,
    pub(super) stores: Stores,
    pub(super) recorder: Recorder,
    pub(super) metrics: Arc<Metrics>,
    pub(super) work: Arc<Work>,
    pub(super) pace: Arc<Pace>,
    /// To think: who waits for a turn takes no thread, and a thread takes memory.
    pub(super) turns: Arc<Semaphore>,
    pub(super) addresses: Addresses,
}

/// Why a pass has to be made again.
#[derive(Debug, thiserror::Error)]
enum PassError {
    #[error(transparent)]
    Plugin(#[from] PlannerError),
    #[error(transparent)]
    Cluster(#[from] ApiError),
}

impl Controller {
    /// One pass.
    pub(super) async fn look(&self, key: JobKey) -> Outcome {
        self.work.begun(&key);
        let outcome = self.pass(&key).await;
        self.work.ended(&key, outcome);
        outcome
    }

    async fn pass(&self, key: &JobKey) -> Outcome {
        let owner = job_owner(key);
        let Some(job) = self.jobs.of(&owner).pop() else {
            self.wait_for(key, "", &[]);
            return Outcome::Done;
        };
        let job = job.read();
        let uid = text(&job, "/metadata/uid");
        let plans = self.plans.borrow().clone();
        let kind = match plans.of(&job) {
            Ok(kind) => kind,
            Err(digest) => return self.miss(&owner, &job, &digest).await,
        };
        let turn = self.turns.acquire().await; // never closed
        let mut observed = self.observe(kind, key, uid);
        let thought = tokio::task::block_in_place(|| {
            let framework = kind.framework(&self.addresses);
            think(&Framework { gang: &self.stores.gangs.scheduler, ..framework }, &job, &observed)
        });
        drop(turn);
        observed.names.clear(); // so that nobody copies them who has one to add
        let others = thought.as_ref().map_or(&[][..], |thought| &thought.others);
        let has_gone = !self.wait_for(key, uid, others);
        let is_settled = matches!(&thought, Ok(Thought { status: None, batches, .. }) if batches.is_empty());
        let changes = thought.as_ref().map_or(0, |thought| thought.batches.iter().map(Vec::len).sum::<usize>());
        let status = thought.as_ref().ok().and_then(|thought| thought.status.as_ref()?.conditions.last().cloned());
        let done = match thought {
            Ok(thought) => self.act(kind, &owner, &job, thought, &observed).await,
            Err(error) => Err(error.into()),
        };
        let framework = framework(kind);
        match done {
            Ok(outcome) => {
                self.metrics.pass(framework, if is_settled { Measured::Settled } else { Measured::Acted });
                if !is_settled {
                    let status = status.map(|last| last.reason);
                    info!(job = owner, kind = self.kind.1, pods = observed.pods.len(), changes, status, "reconciled");
                }
                if has_gone { Outcome::Again(Duration::ZERO) } else { outcome }
            }
            Err(error) => {
                self.metrics.pass(framework, Measured::Failed);
                error!(job = owner, kind = self.kind.1, %error, "a pass failed and is made again");
                Outcome::Failed
            }
        }
    }

    fn observe(&self, kind: &LoadedKind, key: &JobKey, uid: &str) -> Observed {
        Observed {
            now: now(),
            pods: self.stores.pods.of(uid),
            services: self.stores.services.of(uid),
            objects: self.stores.extras.of_job(uid),
            gang: self.stores.gangs.seen(uid),
            names: self.stores.names_of(&kind.announced, &key.namespace),
        }
    }

    /// The job is woken when one of these objects of others goes. Answers whether all are still there.
    fn wait_for(&self, key: &JobKey, uid: &str, others: &[(ObjectKind, String)]) -> bool {
        let named = others.iter().map(|(kind, name)| (kind.clone(), key.namespace.clone(), name.clone()));
        self.stores.waiting.set(self.kind.clone(), key.clone(), named.collect());
        let names = |kind: &ObjectKind| self.stores.extras.of(kind).map(|extra| extra.names.of(&key.namespace));
        others.iter().all(|(kind, name)| names(kind).is_some_and(|names| names.get(name).is_some_and(|by| by != uid)))
    }

    /// A job whose plugin is not loaded is left as it is: another version might plan something else. It is looked at again
    /// when the plugin is there.
    async fn miss(&self, owner: &str, job: &Value, digest: &str) -> Outcome {
        if self.roster.miss(&self.kind, digest) {
            warn!(job = owner, kind = self.kind.1, digest, "the plugin that planned this job is not loaded");
        }
        let message = format!("plugin {digest}, which planned this job, is not loaded; the job is left as it is");
        self.recorder.tell(job, vec![Event::warning("PluginMissing", message, digest)], now()).await;
        Outcome::Done
    }

    async fn act(
        &self,
        kind: &LoadedKind,
        owner: &str,
        job: &Value,
        mut thought: Thought,
        observed: &Observed,
    ) -> Result<Outcome, PassError> {
        let said = (thought.status.take(), std::mem::take(&mut thought.counts));
        let waits = thought.may_wait && (!thought.batches.is_empty() || self.pace.is_high());
        let (waiting, said) = if waits { (Some(said), (None, vec![])) } else { (None, said) };
        let Some(job) = self.remember(kind, owner, job, said).await? else { return Ok(Outcome::Again(SOON)) };
        let deletes_job =
            thought.batches.iter().flatten().any(|action| matches!(action, trainyard_core::action::Action::DeleteJob));
        let actor = Actor { api: &self.api, stores: &self.stores, metrics: &self.metrics, kind: &kind.kind, job: &job };
        self.pace.count(thought.batches.iter().map(Vec::len).sum());
        let (told, done) = actor.act(thought.batches).await;
        if deletes_job && done.is_ok() {
            self.metrics.deleted(framework(kind), text(&job, "/metadata/namespace"));
            // Its pods wake it while they go: the watch of jobs may be behind theirs, and it would be deleted twice.
            self.jobs.remove(&Self::id(owner, &job));
        }
        self.recorder.tell(&job, told.into_iter().chain(thought.events).collect(), observed.now).await;
        let checks = thought.check_after.map(|time| Duration::try_from(time).unwrap_or_default());
        let waits = waiting.as_ref().map(|_| self.pace.moment());
        if let (Err(_), Some(said)) = (&done, waiting) {
            // That pods cannot be made is no reason not to say that the job is there.
            self.remember(kind, owner, &job, said).await?;
        }
        done?;
        Ok(checks.into_iter().chain(waits).min().map_or(Outcome::Done, Outcome::Again))
    }

    /// Writes the status and counts what it says; answers the job as it is now, None where it is not what it was.
    async fn remember(
        &self,
        kind: &LoadedKind,
        owner: &str,
        job: &Value,
        (status, counts): (Option<JobStatus>, Vec<Count>),
    ) -> Result<Option<Value>, ApiError> {
        let mut job = job.clone();
        if let Some(status) = status {
            match self.api.replace_status(&job, serde_json::to_value(status).unwrap_or_default()).await {
                Ok(stored) => job = self.keep(owner, stored),
                // Somebody else was quicker, or the job has gone: the watch brings what is there now.
                Err(ApiError::Conflict(why) | ApiError::NotFound(why)) => {
                    warn!(job = owner, kind = self.kind.1, why, "the job is not what it was when it was read");
                    return Ok(None);
                }
                Err(error) => return Err(error),
            }
        }
        for count in counts {
            self.metrics.count(count, framework(kind), text(&job, "/metadata/namespace"));
        }
        Ok(Some(job))
    }

    /// The next pass sees what this one wrote, even if the watch is behind.
    fn keep(&self, owner: &str, job: Value) -> Value {
        let version = Version::parse(Some(text(&job, "/metadata/resourceVersion")));
        self.jobs.put(Self::id(owner, &job), version, JobText::of(&job));
        job
    }

    fn id(owner: &str, job: &Value) -> Id {
        let field = |pointer| text(job, pointer).to_owned();
        Id { owner: owner.to_owned(), name: field("/metadata/name"), uid: field("/metadata/uid") }
    }
}

/// Of the metrics: the plugin's name.
fn framework(kind: &LoadedKind) -> &str {
    &kind.plugin.description().name
}

/// When a job that somebody else changed is looked at again, should the watch not be quicker.
const SOON: Duration = Duration::from_secs(1);

/// Under which owner the store keeps a job.
pub(super) fn job_owner(key: &JobKey) -> String {
    format!("{}/{}", key.namespace, key.name)
}

/// The job of an owner.
pub(super) fn job_key(owner: &str) -> Option<JobKey> {
    let (namespace, name) = owner.split_once('/')?;
    Some(JobKey { namespace: namespace.to_owned(), name: name.to_owned() })
}

/// In whole seconds, as Kubernetes keeps times.
fn now() -> Timestamp {
    let now = Timestamp::now();
    Timestamp::from_second(now.as_second()).unwrap_or(now)
}
