//! The watches: one for pods and one for services whatever the kind of job, one for each kind of job and of extra object.
//! Each feeds a store and wakes the job that an object belongs to.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures::{Stream, StreamExt as _};
use jiff::Timestamp;
use k8s_openapi::api::core::v1;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{OwnerReference, Time};
use kube::api::{DynamicObject, ObjectMeta, PartialObjectMeta};
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Resource, ResourceExt as _};
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use tokio::sync::watch::Sender as Flag;
use tracing::{debug, warn};
use trainyard_core::contract::Phase;
use trainyard_core::label;
use trainyard_core::observed::{Meta, Pod, PodStatus};

use super::store::{Store, Version};
use super::wakers::{Wake, Wakers, Woken};

/// Something that a store keeps of a watched object.
pub(super) trait Kept<K>: PartialEq + Sized + Send + Sync + 'static {
    fn of(object: K) -> Self;

    /// Whether a job has to be looked at at once because of this. If not, what follows in a moment is one pass with it.
    fn is_urgent(&self) -> bool {
        true
    }
}

/// Where a watch leads.
pub(super) struct Feed<T> {
    /// For the log: `pods`.
    pub(super) what: String,
    /// What it has seen; of no other watch.
    pub(super) store: Arc<Store<T>>,
    pub(super) wakers: Wakers,
    /// Set once everything there is has been seen.
    pub(super) ready: Flag<bool>,
}

/// Follows a resource until the process ends. `whose` says which job an object wakes; objects of no job are not kept.
pub(super) async fn follow<K, T>(
    events: impl Stream<Item = watcher::Result<watcher::Event<K>>>,
    Feed { what, store, wakers, ready }: Feed<T>,
    whose: impl Fn(&K) -> Option<Woken>,
) where
    K: Resource,
    T: Kept<K>,
{
    let mut stream = std::pin::pin!(events.default_backoff());
    let take = |object: K| {
        let Woken { id, waker, job } = whose(&object)?;
        let version = version(&object);
        let kept = T::of(object);
        let wake = if kept.is_urgent() { Wake::Job(job) } else { Wake::JobSoon(job) };
        if store.put(id.clone(), version, kept) {
            Woken::wake(waker, wake);
        } else {
            debug!(name = id.name, "an event says nothing new");
        }
        Some(id)
    };
    let mut seen = BTreeSet::new();
    while let Some(event) = stream.next().await {
        match event {
            Ok(watcher::Event::Init) => seen.clear(),
            Ok(watcher::Event::InitApply(object)) => seen.extend(take(object)),
            Ok(watcher::Event::InitDone) => {
                if !store.retain(&std::mem::take(&mut seen)).is_empty() {
                    wakers.all();
                }
                ready.send_replace(true);
            }
            Ok(watcher::Event::Apply(object)) => drop(take(object)),
            Ok(watcher::Event::Delete(object)) => {
                if let Some(Woken { id, waker, job }) = whose(&object) {
                    store.remove(&id);
                    Woken::wake(waker, Wake::Job(job));
                }
            }
            Err(error) => warn!(what, %error, "a watch failed and begins anew"),
        }
    }
}

/// The HTTP status with which a watch could not begin.
pub(super) fn code(error: &watcher::Error) -> Option<u16> {
    match error {
        watcher::Error::InitialListFailed(kube::Error::Api(status))
        | watcher::Error::WatchStartFailed(kube::Error::Api(status)) => Some(status.code),
        watcher::Error::InitialListFailed(_)
        | watcher::Error::WatchStartFailed(_)
        | watcher::Error::WatchError(_)
        | watcher::Error::WatchFailed(_)
        | watcher::Error::NoResourceVersion => None,
    }
}

/// A pod as the API server sends it; serde drops what the host does not read, which is nearly all. Where it sends metadata
/// alone the pod is new.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct PodObject {
    #[serde(deserialize_with = "lean")]
    metadata: ObjectMeta,
    #[serde(default)]
    spec: PodSpec,
    #[serde(default = "new")]
    status: PodStatus,
}

/// What the API server gives to a pod that it creates.
fn new() -> PodStatus {
    PodStatus { phase: Some("Pending".into()), ..PodStatus::default() }
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct PodSpec {
    node_name: Option<String>,
}

impl Resource for PodObject {
    type DynamicType = ();
    type Scope = <v1::Pod as Resource>::Scope;

    fn kind((): &()) -> std::borrow::Cow<'_, str> {
        v1::Pod::kind(&())
    }

    fn group((): &()) -> std::borrow::Cow<'_, str> {
        v1::Pod::group(&())
    }

    fn version((): &()) -> std::borrow::Cow<'_, str> {
        v1::Pod::version(&())
    }

    fn plural((): &()) -> std::borrow::Cow<'_, str> {
        v1::Pod::plural(&())
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

impl Kept<PodObject> for Pod {
    fn of(pod: PodObject) -> Self {
        Self { meta: meta(pod.metadata), node: pod.spec.node_name, status: pod.status }
    }

    /// The end of one that leads may be the job's, and what has failed or goes is made again. Starts and other ends come
    /// in numbers, and each would be a status of its own.
    fn is_urgent(&self) -> bool {
        match self.phase() {
            _ if self.meta.deleting => true,
            Phase::Failed => true,
            Phase::Succeeded => self.meta.labels.contains_key(label::JOB_ROLE),
            Phase::Pending | Phase::Running | Phase::Unknown => false,
        }
    }
}

impl Kept<PartialObjectMeta<v1::Service>> for Meta {
    fn of(service: PartialObjectMeta<v1::Service>) -> Self {
        meta(service.metadata)
    }

    /// One that was made may be ours, and the answer that says so on its way.
    fn is_urgent(&self) -> bool {
        self.deleting
    }
}

impl Kept<DynamicObject> for Value {
    fn of(mut object: DynamicObject) -> Self {
        object.managed_fields_mut().clear();
        serde_json::to_value(object).unwrap_or_default()
    }
}

fn meta(meta: ObjectMeta) -> Meta {
    Meta {
        name: meta.name.unwrap_or_default(),
        uid: meta.uid.unwrap_or_default(),
        labels: meta.labels.unwrap_or_default(),
        created: meta.creation_timestamp.map(|time| time.0),
        deleting: meta.deletion_timestamp.is_some(),
    }
}

/// Metadata without managed fields, which are most of its bytes.
fn lean<'de, D: Deserializer<'de>>(deserializer: D) -> Result<ObjectMeta, D::Error> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Lean {
        name: Option<String>,
        namespace: Option<String>,
        uid: Option<String>,
        resource_version: Option<String>,
        labels: Option<BTreeMap<String, String>>,
        creation_timestamp: Option<Timestamp>,
        deletion_timestamp: Option<Timestamp>,
        owner_references: Option<Vec<OwnerReference>>,
    }
    let lean = Lean::deserialize(deserializer)?;
    Ok(ObjectMeta {
        name: lean.name,
        namespace: lean.namespace,
        uid: lean.uid,
        resource_version: lean.resource_version,
        labels: lean.labels,
        creation_timestamp: lean.creation_timestamp.map(Time),
        deletion_timestamp: lean.deletion_timestamp.map(Time),
        owner_references: lean.owner_references,
        ..ObjectMeta::default()
    })
}

/// The `resourceVersion` of an object.
pub(super) fn version<K: Resource>(object: &K) -> Version {
    Version::parse(object.resource_version().as_deref())
}
