//! Who is woken when something happens: the jobs of each kind, by the controller that there is for it now.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use kube::Resource;
use kube::api::ObjectMeta;
use tokio::sync::mpsc::UnboundedSender;

use super::store::Id;

/// A job of a kind.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct JobKey {
    pub(super) namespace: String,
    pub(super) name: String,
}

/// Which jobs to look at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Wake {
    /// This one, now.
    Job(JobKey),
    /// This one, and what else happens to it in a moment.
    JobSoon(JobKey),
    /// All of the kind: something went while nobody watched.
    All,
}

/// `apiVersion` and `kind`.
pub(super) type KindKey = (String, String);

/// Where to wake the jobs of each kind that there is now.
#[derive(Clone, Debug, Default)]
pub(super) struct Wakers(Arc<RwLock<BTreeMap<KindKey, UnboundedSender<Wake>>>>);

impl Wakers {
    pub(super) fn insert(&self, kind: KindKey, waker: UnboundedSender<Wake>) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).insert(kind, waker);
    }

    pub(super) fn remove(&self, kind: &KindKey) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).remove(kind);
    }

    pub(super) fn of(&self, kind: &KindKey) -> Option<UnboundedSender<Wake>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(kind).cloned()
    }

    /// Wakes all jobs of all kinds.
    pub(super) fn all(&self) {
        self.0.read().unwrap_or_else(PoisonError::into_inner).values().for_each(|waker| drop(waker.send(Wake::All)));
    }

    /// The job that controls an object, whose kind may be one that is yet to come.
    pub(super) fn owner<K: Resource>(&self, object: &K) -> Option<Woken> {
        let meta = object.meta();
        let owner = meta.owner_references.iter().flatten().find(|owner| owner.controller == Some(true))?;
        let waker = self.of(&(owner.api_version.clone(), owner.kind.clone()));
        let job = JobKey { namespace: meta.namespace.clone().unwrap_or_default(), name: owner.name.clone() };
        Some(Woken { id: id(meta, &owner.uid), waker, job })
    }
}

/// Which entry of a store an object is, and which job it wakes.
pub(super) struct Woken {
    pub(super) id: Id,
    /// None: nobody is there to be woken yet.
    pub(super) waker: Option<UnboundedSender<Wake>>,
    pub(super) job: JobKey,
}

impl Woken {
    pub(super) fn wake(waker: Option<UnboundedSender<Wake>>, wake: Wake) {
        drop(waker.map(|waker| waker.send(wake)));
    }
}

impl Id {
    /// Of an object that we wrote for a job.
    pub(super) fn written<K: Resource>(object: &K, owner: &str) -> Self {
        id(object.meta(), owner)
    }
}

fn id(meta: &ObjectMeta, owner: &str) -> Id {
    let text = |field: &Option<String>| field.clone().unwrap_or_default();
    Id { owner: owner.to_owned(), name: text(&meta.name), uid: text(&meta.uid) }
}
