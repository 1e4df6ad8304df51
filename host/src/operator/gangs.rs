//! What the operator knows of gang scheduling: whether there can be pod groups, those of our jobs, and priority classes.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use futures::{Stream, StreamExt as _};
use k8s_openapi::api::scheduling::v1::PriorityClass;
use kube::api::DynamicObject;
use kube::core::ApiResource;
use kube::runtime::{WatchStreamExt as _, reflector, watcher};
use serde_json::Value;
use tokio::sync::watch::Sender as Flag;
use tracing::{error, info, warn};
use trainyard_core::gang::{GangScheduler, PodGroup, Seen};

use super::api;
use super::store::Store;
use super::wakers::Wakers;
use super::watch::code;
use crate::cli::OperatorOptions;

/// Shared by all controllers.
#[derive(Default)]
pub(super) struct Gangs {
    pub(super) scheduler: GangScheduler,
    pub(super) pod_groups: Arc<Store<Value>>,
    /// Whether the kind is installed, once that is known.
    is_served: Mutex<Option<bool>>,
    priority_classes: OnceLock<reflector::Store<PriorityClass>>,
}

/// How long an operator that may not see priority classes waits until it tries again.
const FORBIDDEN: Duration = Duration::from_mins(10);

impl Gangs {
    pub(super) fn of(options: &OperatorOptions) -> Self {
        Self { scheduler: GangScheduler::of(&options.gang_scheduler_name), ..Self::default() }
    }

    /// The pod groups of the scheduler, if there is one.
    pub(super) fn resource(&self) -> Option<ApiResource> {
        self.scheduler.api_version().map(|api_version| api::resource(api_version, "PodGroup"))
    }

    /// What a pass over a job sees.
    pub(super) fn seen(&self, owner: &str) -> Seen {
        if self.scheduler == GangScheduler::Off {
            return Seen::default();
        }
        let pod_group = match (*self.is_served(), self.pod_groups.of(owner).pop()) {
            (Some(false) | None, _) => PodGroup::NotServed,
            (Some(true), None) => PodGroup::Missing,
            (Some(true), Some(group)) => PodGroup::There(group),
        };
        let classes = self.priority_classes.get().map(reflector::Store::state).unwrap_or_default();
        let named = |class: Arc<PriorityClass>| Some((class.metadata.name.clone()?, class.value?));
        Seen { pod_group, priorities: classes.into_iter().filter_map(named).collect() }
    }

    /// Tells from a watch of pod groups whether there can be any. Where there cannot, the operator works on: jobs wait
    /// and say so. A change wakes all jobs.
    pub(super) fn notice(
        self: Arc<Self>,
        events: impl Stream<Item = watcher::Result<watcher::Event<DynamicObject>>>,
        wakers: Wakers,
        ready: Flag<bool>,
    ) -> impl Stream<Item = watcher::Result<watcher::Event<DynamicObject>>> {
        let change = move |is_served| {
            let before = self.is_served().replace(is_served);
            if before != Some(is_served) {
                let api_version = self.scheduler.api_version().unwrap_or_default();
                if is_served {
                    info!(api_version, "pods are scheduled in gangs");
                } else {
                    error!(api_version, "the kind PodGroup is not installed: jobs wait until it is");
                }
                wakers.all();
            }
        };
        events.inspect(move |event| match event {
            Ok(watcher::Event::InitDone) => change(true),
            Err(error) if code(error) == Some(404) => {
                change(false);
                ready.send_replace(true);
            }
            Ok(
                watcher::Event::Init
                | watcher::Event::InitApply(_)
                | watcher::Event::Apply(_)
                | watcher::Event::Delete(_),
            )
            | Err(_) => {}
        })
    }

    /// Without them all priorities are 0, as they are for v1, and work goes on: who is granted one namespace only may
    /// not see what belongs to none.
    pub(super) async fn follow_priority_classes(self: Arc<Self>, api: kube::Api<PriorityClass>, ready: Flag<bool>) {
        let (classes, writer) = reflector::store();
        drop(self.priority_classes.set(classes));
        let events = reflector(writer, watcher(api, watcher::Config::default()).default_backoff());
        let mut events = std::pin::pin!(events);
        while let Some(event) = events.next().await {
            match event {
                Ok(watcher::Event::InitDone) => drop(ready.send_replace(true)),
                Ok(
                    watcher::Event::Init
                    | watcher::Event::InitApply(_)
                    | watcher::Event::Apply(_)
                    | watcher::Event::Delete(_),
                ) => {}
                Err(error) => {
                    warn!(%error, "priority classes cannot be seen; those unknown count as 0");
                    ready.send_replace(true);
                    if code(&error) == Some(403) {
                        tokio::time::sleep(FORBIDDEN).await;
                    }
                }
            }
        }
    }

    fn is_served(&self) -> std::sync::MutexGuard<'_, Option<bool>> {
        self.is_served.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
