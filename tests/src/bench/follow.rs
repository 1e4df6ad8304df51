//! Jobs as a watch shows them: what became of them and when, and how often each was written.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use futures::StreamExt as _;
use jiff::Timestamp;
use kube::api::{Api, ApiResource, DynamicObject, GroupVersionKind};
use kube::runtime::watcher::{self, Event, watcher};
use serde_json::Value;
use tokio::task::JoinHandle;

use super::job::Kind;
use super::say;
use crate::Client;

/// How long nothing may happen to any job before it is given up.
const PATIENCE: Duration = Duration::from_mins(5);

/// The jobs of a kind in a namespace, from the first on.
pub(super) struct Following {
    seen: Arc<Mutex<Seen>>,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct Seen {
    /// How often the watch began: what happened before a second time is not known.
    begun: u32,
    jobs: BTreeMap<String, Job>,
}

/// What was seen of a job.
#[derive(Default)]
pub(super) struct Job {
    versions: BTreeSet<Option<String>>,
    status: Value,
    /// When it was first seen to have succeeded.
    pub(super) succeeded: Option<Timestamp>,
}

impl Job {
    /// Whether it has this condition.
    pub(super) fn is(&self, condition: &str) -> bool {
        let conditions = self.status.get("conditions").and_then(Value::as_array).into_iter().flatten();
        let text = |value: &Value, field| value.get(field).and_then(Value::as_str).map(str::to_owned);
        conditions.into_iter().any(|each| {
            text(each, "type").as_deref() == Some(condition) && text(each, "status").as_deref() == Some("True")
        })
    }

    /// How many of its pods run.
    pub(super) fn active(&self) -> u64 {
        let replicas = self.status.get("replicaStatuses").and_then(Value::as_object).into_iter().flatten();
        replicas.filter_map(|(_, count)| count.get("active")?.as_u64()).sum()
    }
}

impl Following {
    /// Answers when the watch has begun, in a namespace without jobs.
    pub(super) fn start(client: &Client, kind: &Kind, namespace: &str) -> Result<Self> {
        let gvk = GroupVersionKind::gvk("kubeflow.org", "v1", kind.name);
        let resource = ApiResource::from_gvk_with_plural(&gvk, kind.plural);
        let api = Api::<DynamicObject>::namespaced_with(client.client.clone(), namespace, &resource);
        let seen = Arc::<Mutex<Seen>>::default();
        let task = client.runtime.spawn(follow(api, seen.clone()));
        let following = Self { seen, task };
        crate::wait_until(60, "a watch of the jobs", || {
            ensure!(following.seen().begun == 1, "it has not begun");
            Ok(())
        })?;
        Ok(following)
    }

    /// Waits until so many jobs are `done`, while `check` finds nothing wrong.
    pub(super) fn wait(
        &self,
        count: u32,
        what: &str,
        done: impl Fn(&Job) -> bool,
        mut check: impl FnMut() -> Result<()>,
    ) -> Result<()> {
        let (mut last, mut since, mut said) = ((0, 0), Instant::now(), 0);
        loop {
            check()?;
            let seen = self.seen();
            ensure!(seen.begun == 1, "the watch of the jobs broke off");
            if let Some((name, job)) = seen.jobs.iter().find(|(_, job)| job.is("Failed")) {
                bail!("job {name} failed: {}", job.status);
            }
            let now = (seen.jobs.values().filter(|job| done(job)).count(), writes(&seen));
            let missing =
                seen.jobs.iter().find(|(_, job)| !done(job)).map(|(name, job)| format!("{name}: {}", job.status));
            drop(seen);
            if now != last {
                (last, since) = (now, Instant::now());
            }
            if now.0 == usize::try_from(count)? {
                return Ok(());
            }
            ensure!(since.elapsed() < PATIENCE, "{} of {count} jobs {what}, then nothing happened; {missing:?}", now.0);
            if now.0 * 4 / usize::try_from(count)? > said {
                said = now.0 * 4 / usize::try_from(count)?;
                say(&format!("{} of {count} jobs {what}", now.0));
            }
            thread::sleep(Duration::from_millis(100));
        }
    }

    /// How often jobs were written after their creation: each write that changes something makes a new version.
    pub(super) fn writes(&self) -> usize {
        writes(&self.seen())
    }

    /// When the last job that has succeeded did.
    pub(super) fn last_success(&self) -> Option<Timestamp> {
        self.seen().jobs.values().filter_map(|job| job.succeeded).max()
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn writes(seen: &Seen) -> usize {
    seen.jobs.values().map(|job| job.versions.len() - 1).sum()
}

async fn follow(api: Api<DynamicObject>, seen: Arc<Mutex<Seen>>) {
    let mut events = std::pin::pin!(watcher(api, watcher::Config::default()));
    while let Some(event) = events.next().await {
        let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
        match event {
            Ok(Event::InitDone) => seen.begun += 1,
            Ok(Event::Apply(object) | Event::InitApply(object)) => {
                let job = seen.jobs.entry(object.metadata.name.unwrap_or_default()).or_default();
                job.versions.insert(object.metadata.resource_version);
                job.status = object.data.get("status").cloned().unwrap_or_default();
                if job.succeeded.is_none() && job.is("Succeeded") {
                    job.succeeded = Some(Timestamp::now());
                }
            }
            Ok(Event::Init | Event::Delete(_)) => {}
            Err(error) => say(&format!("the watch of the jobs: {error}")),
        }
    }
}
