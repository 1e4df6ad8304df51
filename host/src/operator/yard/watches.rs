//! The watches that all controllers share.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures::TryStreamExt as _;
use k8s_openapi::api::core::v1::Service;
use kube::Client;
use kube::api::{DynamicObject, PartialObjectMeta, TypeMeta};
use kube::core::ApiResource;
use kube::runtime::{WatchStreamExt as _, watcher};
use tokio::sync::watch as flag;
use tokio::task::{AbortHandle, JoinSet};
use trainyard_core::contract::ObjectKind;
use trainyard_core::label;

use crate::catalog::LoadedKind;
use crate::operator::act::Stores;
use crate::operator::job_text::JobText;
use crate::operator::names::Registrar;
use crate::operator::store::{Id, Store};
use crate::operator::wakers::{JobKey, Wakers, Woken};
use crate::operator::watch::{self, Feed, PodObject};
use crate::operator::{api, controller};

/// Objects in an answer to a list of extra objects: some are large.
const PAGE: u32 = 100;

/// What is watched, and where that leads.
pub(super) struct Watches {
    client: Client,
    namespace: Option<String>,
    pub(super) stores: Stores,
    pub(super) wakers: Wakers,
    pub(super) tasks: JoinSet<()>,
    /// Set once they have seen everything: pods, services, pod groups.
    always: Vec<flag::Receiver<bool>>,
    extras: BTreeMap<ObjectKind, (AbortHandle, flag::Receiver<bool>)>,
}

/// The jobs of a kind.
pub(super) struct Jobs {
    pub(super) store: Arc<Store<JobText>>,
    /// Set once all have been seen.
    pub(super) seen: flag::Receiver<bool>,
    /// The status by which they were last refused: 404 where the kind is not installed.
    pub(super) refused: flag::Receiver<Option<u16>>,
}

impl Watches {
    /// Of all namespaces if none is named.
    pub(super) fn new(client: Client, namespace: &str, stores: Stores) -> Self {
        Self {
            client,
            namespace: Some(namespace.to_owned()).filter(|namespace| !namespace.is_empty()),
            stores,
            wakers: Wakers::default(),
            tasks: JoinSet::new(),
            always: vec![],
            extras: BTreeMap::new(),
        }
    }

    /// Watches what every kind of job has. Answers the flags of these watches.
    ///
    /// Pods and services are found by label, so that those of others cost nothing. Those of a job whose kind nobody serves
    /// are kept: its plugin may be on its way.
    pub(super) fn follow_all(&mut self) -> Vec<flag::Receiver<bool>> {
        let ours = watcher::Config::default().labels(label::JOB_NAME);
        let pods = watcher(self.namespaced::<PodObject>(), ours.clone());
        let services = watcher(self.namespaced::<PartialObjectMeta<Service>>(), ours);
        let (feed, pods_seen) = feed("pods", self.stores.pods.clone(), &self.wakers);
        self.tasks.spawn(watch::follow(pods, feed, controlled(&self.wakers)));
        let (feed, services_seen) = self::feed("services", self.stores.services.clone(), &self.wakers);
        self.tasks.spawn(watch::follow(services, feed, controlled(&self.wakers)));
        self.always = vec![pods_seen, services_seen];
        self.follow_gangs();
        self.always.clone()
    }

    /// Pod groups have no label of ours, so those of others are seen, too, and not kept.
    fn follow_gangs(&mut self) {
        let gangs = self.stores.gangs.clone();
        let Some(resource) = gangs.resource() else { return };
        let events = watcher(self.dynamic(&resource), watcher::Config::default());
        let (feed, groups_seen) = feed(&resource.plural, gangs.pod_groups.clone(), &self.wakers);
        let events = gangs.clone().notice(events, self.wakers.clone(), feed.ready.clone());
        self.tasks.spawn(watch::follow(events, feed, owned(&self.wakers)));
        let (ready, classes_seen) = flag::channel(false);
        self.tasks.spawn(gangs.follow_priority_classes(kube::Api::all(self.client.clone()), ready));
        self.always.extend([groups_seen, classes_seen]);
    }

    /// Watches these kinds of extra object and no others; those in `anew` from the beginning, since what belongs to a kind
    /// of job that nobody served was not kept.
    pub(super) fn follow_extras(&mut self, wanted: &BTreeSet<ObjectKind>, anew: &BTreeSet<ObjectKind>) {
        while self.tasks.try_join_next().is_some() {}
        let over = |kind: &ObjectKind| !wanted.contains(kind) || anew.contains(kind);
        for (kind, (task, _)) in self.extras.extract_if(.., |kind, _| over(kind)) {
            task.abort();
            if !wanted.contains(&kind) {
                self.stores.extras.forget(&kind);
            }
        }
        for kind in wanted {
            if !self.extras.contains_key(kind) {
                let watch = self.follow_extra(kind);
                self.extras.insert(kind.clone(), watch);
            }
        }
    }

    fn follow_extra(&mut self, kind: &ObjectKind) -> (AbortHandle, flag::Receiver<bool>) {
        let resource = api::resource(&kind.api_version, &kind.kind);
        let types = TypeMeta { api_version: kind.api_version.clone(), kind: kind.kind.clone() };
        let extra = self.stores.extras.watched(kind);
        let mut registrar = Registrar {
            kind: kind.clone(),
            names: extra.names,
            store: extra.store.clone(),
            waiting: self.stores.waiting.clone(),
            wakers: self.wakers.clone(),
            listed: BTreeSet::new(),
        };
        // Those of others are all there: their content comes and goes a page at a time.
        let events = watcher(self.dynamic(&resource), watcher::Config::default().page_size(PAGE))
            .modify(move |object| object.types = Some(types.clone())) // in a list they have none
            .inspect_ok(move |event| registrar.note(event));
        let (feed, seen) = feed(&resource.plural, extra.store, &self.wakers);
        (self.tasks.spawn(watch::follow::<DynamicObject, _>(events, feed, owned(&self.wakers))), seen)
    }

    /// The flags of what has to be seen before a job that may have such objects is looked at.
    pub(super) fn seen(&self, objects: impl IntoIterator<Item = ObjectKind>) -> Vec<flag::Receiver<bool>> {
        let extras = objects.into_iter().filter_map(|kind| Some(self.extras.get(&kind)?.1.clone()));
        self.always.iter().cloned().chain(extras).collect()
    }

    pub(super) fn follow_jobs(&mut self, kind: &LoadedKind) -> (Jobs, AbortHandle) {
        let store = Arc::<Store<_>>::default();
        let resource =
            ApiResource { plural: kind.kind.plural.clone(), ..api::resource(&kind.api_version(), &kind.kind.kind) };
        let (refuse, refused) = flag::channel(None);
        let events = watcher(self.dynamic(&resource), watcher::Config::default()).inspect_err(move |error| {
            if let Some(code @ (403 | 404)) = watch::code(error) {
                refuse.send_replace(Some(code));
            }
        });
        let waker = self.wakers.of(&(kind.api_version(), kind.kind.kind.clone()));
        let whose = move |job: &DynamicObject| {
            let text = |field: &Option<String>| field.clone().unwrap_or_default();
            let key = JobKey { namespace: text(&job.metadata.namespace), name: text(&job.metadata.name) };
            let id = Id { owner: controller::job_owner(&key), name: key.name.clone(), uid: text(&job.metadata.uid) };
            Some(Woken { id, waker: waker.clone(), job: key })
        };
        let (feed, seen) = feed(&kind.kind.plural, store.clone(), &self.wakers);
        let task = self.tasks.spawn(watch::follow(events, feed, whose));
        (Jobs { store, seen, refused }, task)
    }

    fn namespaced<K>(&self) -> kube::Api<K>
    where
        K: kube::Resource<Scope = kube::core::NamespaceResourceScope, DynamicType = ()>,
    {
        match &self.namespace {
            Some(namespace) => kube::Api::namespaced(self.client.clone(), namespace),
            None => kube::Api::all(self.client.clone()),
        }
    }

    fn dynamic(&self, resource: &ApiResource) -> kube::Api<DynamicObject> {
        match &self.namespace {
            Some(namespace) => kube::Api::namespaced_with(self.client.clone(), namespace, resource),
            None => kube::Api::all_with(self.client.clone(), resource),
        }
    }
}

/// Where a watch leads, and the flag that it sets.
fn feed<T>(what: &str, store: Arc<Store<T>>, wakers: &Wakers) -> (Feed<T>, flag::Receiver<bool>) {
    let (ready, seen) = flag::channel(false);
    (Feed { what: what.to_owned(), store, wakers: wakers.clone(), ready }, seen)
}

/// What something controls wakes that, if it is a job of a kind that is served.
fn controlled<K: kube::Resource>(wakers: &Wakers) -> impl Fn(&K) -> Option<Woken> + use<K> {
    let wakers = wakers.clone();
    move |object| wakers.owner(object)
}

/// The same, without what else is controlled.
fn owned<K: kube::Resource>(wakers: &Wakers) -> impl Fn(&K) -> Option<Woken> + use<K> {
    let wakers = wakers.clone();
    move |object| wakers.owner(object).filter(|woken| woken.waker.is_some())
}
