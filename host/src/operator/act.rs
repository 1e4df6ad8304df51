//! Carries out what a pass decided: the status first, then the changes, then the events. Nothing else writes.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::StreamExt as _;
use kube::Resource;
use kube::api::{DynamicObject, PartialObjectMeta};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tracing::warn;
use trainyard_core::action::{Action, Target};
use trainyard_core::contract::{Kind, ObjectExisting, ObjectKind};
use trainyard_core::event::{self, Event};
use trainyard_core::json::{self, text};
use trainyard_core::observed::{self, Meta, Pod};

use super::api::{Api, ApiError};
use super::extras::Extras;
use super::gangs::Gangs;
use super::metrics::Metrics;
use super::names::Waiting;
use super::store::{Id, Store, Version};
use super::watch::{Kept, PodObject, version};

/// What is known of jobs and of the objects they control.
#[derive(Clone, Default)]
pub(super) struct Stores {
    pub(super) pods: Arc<Store<Pod>>,
    pub(super) services: Arc<Store<Meta>>,
    pub(super) extras: Extras,
    pub(super) gangs: Arc<Gangs>,
    /// Which jobs look at which objects of others.
    pub(super) waiting: Arc<Waiting>,
}

impl Stores {
    /// The names that are taken in a namespace, of those kinds.
    pub(super) fn names_of(&self, kinds: &[ObjectKind], namespace: &str) -> BTreeMap<ObjectKind, Arc<observed::Names>> {
        let known = kinds.iter().filter_map(|kind| Some((kind.clone(), self.extras.of(kind)?.names.of(namespace))));
        known.collect()
    }
}

/// Requests of one batch under way at once.
const PARALLEL: usize = 64;

/// Changes the cluster for one job; what it writes the stores show at once.
pub(super) struct Actor<'a> {
    pub(super) api: &'a Api,
    pub(super) stores: &'a Stores,
    pub(super) metrics: &'a Metrics,
    pub(super) kind: &'a Kind,
    pub(super) job: &'a Value,
}

impl Actor<'_> {
    /// Batch after batch, up to the first that fails; answers the events that are deserved, and whether all went well.
    pub(super) async fn act(&self, batches: Vec<Vec<Action>>) -> (Vec<Event>, Result<(), ApiError>) {
        let mut events = Vec::new();
        for batch in batches {
            let requests = batch.into_iter().map(|action| async move {
                let done = self.carry_out(&action).await;
                (self.events(&action, &done), done)
            });
            let results: Vec<_> = futures::stream::iter(requests).buffered(PARALLEL).collect().await;
            let mut failure = None;
            for (told, done) in results {
                events.extend(told);
                failure = failure.or(done.err());
            }
            if let Some(error) = failure {
                return (events, Err(error));
            }
        }
        (events, Ok(()))
    }

    /// Answers the uid of the object that was changed; None where there was nothing to do any more.
    async fn carry_out(&self, action: &Action) -> Result<Option<String>, ApiError> {
        match action {
            Action::CreatePod { pod, .. } => {
                let done = self.api.create_for_metadata::<PodObject>(pod).await;
                self.created(pod, done, &self.stores.pods).await
            }
            Action::CreateService(service) => {
                let done = self.api.create_for_metadata::<PartialObjectMeta<_>>(service).await;
                self.created(service, done, &self.stores.services).await
            }
            Action::CreateObject { object, existing } => {
                match self.create(object, &self.stores.extras.like(object)).await {
                    Err(ApiError::AlreadyExists(_)) if *existing == ObjectExisting::UseAny => Ok(None),
                    done => done,
                }
            }
            Action::CreateSshKey(secret) => {
                let mut secret = secret.clone();
                json::merge(&mut secret, &super::ssh::new_key());
                self.create(&secret, &self.stores.extras.like(&secret)).await
            }
            Action::ReplaceObject(object) => {
                let stored: DynamicObject = self.api.replace(object).await?;
                Ok(Some(self.keep(stored, &self.stores.extras.like(object))))
            }
            Action::DeletePod(target) => {
                let deleting = |pod: &Pod| Pod { meta: Meta { deleting: true, ..pod.meta.clone() }, ..pod.clone() };
                self.delete("Pod", target, &self.stores.pods, deleting).await
            }
            Action::DeleteService(target) => {
                let deleting = |meta: &Meta| Meta { deleting: true, ..meta.clone() };
                self.delete("Service", target, &self.stores.services, deleting).await
            }
            Action::DeleteObject(object) => {
                let gone = self.api.delete(object, &target(object)).await?;
                self.stores.extras.like(object).remove(&self.id(&target(object)));
                Ok(gone.map(|_| text(object, "/metadata/uid").to_owned()))
            }
            Action::CreatePodGroup(group) => self.create(group, &self.stores.gangs.pod_groups).await,
            Action::ReplacePodGroup(group) => {
                let stored: DynamicObject = self.api.replace(group).await?;
                Ok(Some(self.keep(stored, &self.stores.gangs.pod_groups)))
            }
            Action::DeletePodGroup(group) => {
                let gone = self.api.delete(group, &target(group)).await?;
                self.stores.gangs.pod_groups.remove(&self.id(&target(group)));
                Ok(gone.map(|_| text(group, "/metadata/uid").to_owned()))
            }
            Action::DeleteJob => {
                let gone = self.api.delete(self.job, &target(self.job)).await?;
                Ok(gone.map(|_| self.uid().to_owned()))
            }
        }
    }

    async fn create<T: Kept<DynamicObject>>(
        &self,
        object: &Value,
        store: &Store<T>,
    ) -> Result<Option<String>, ApiError> {
        self.created(object, self.api.create(object).await, store).await
    }

    /// "Already exists" is success when the owner is this job: an earlier try made it, or the store is behind.
    async fn created<K, T>(
        &self,
        object: &Value,
        done: Result<K, ApiError>,
        store: &Store<T>,
    ) -> Result<Option<String>, ApiError>
    where
        K: Resource + DeserializeOwned,
        T: Kept<K>,
    {
        let refusal = match done {
            Ok(stored) => return Ok(Some(self.keep(stored, store))),
            Err(ApiError::AlreadyExists(refusal)) => refusal,
            Err(error) => return Err(error),
        };
        let stored: K = self.api.get(object).await?;
        let owners = stored.meta().owner_references.iter().flatten();
        if !owners.into_iter().any(|owner| owner.controller == Some(true) && owner.uid == self.uid()) {
            return Err(ApiError::AlreadyExists(refusal));
        }
        self.keep(stored, store);
        Ok(None)
    }

    fn keep<K: Resource, T: Kept<K>>(&self, stored: K, store: &Store<T>) -> String {
        let (id, version) = (Id::written(&stored, self.uid()), version(&stored));
        let uid = id.uid.clone();
        store.put(id, version, T::of(stored));
        uid
    }

    async fn delete<T>(
        &self,
        kind: &str,
        target: &Target,
        store: &Store<T>,
        deleting: impl FnOnce(&T) -> T,
    ) -> Result<Option<String>, ApiError> {
        let like =
            json!({"apiVersion": "v1", "kind": kind, "metadata": {"namespace": text(self.job, "/metadata/namespace")}});
        let Some(answer) = self.api.delete(&like, target).await? else { return Ok(None) };
        let version = answer.pointer("/metadata/resourceVersion").and_then(Value::as_str);
        store.update(&self.id(target), version.map(|version| Version::parse(Some(version))), deleting);
        Ok(Some(target.uid.clone()))
    }

    fn events(&self, action: &Action, done: &Result<Option<String>, ApiError>) -> Vec<Event> {
        let name = text(self.job, "/metadata/name");
        if !matches!(done, Ok(None)) {
            self.metrics.acted(action, done.is_ok());
        }
        match done {
            Ok(None) => Vec::new(),
            Ok(Some(uid)) => action.events(self.kind, name, Ok(uid)),
            Err(error) => {
                let namespace = text(self.job, "/metadata/namespace");
                warn!(job = %format_args!("{namespace}/{name}"), kind = self.kind.kind, %error, "a request failed");
                match (action, error) {
                    // Our copy was old; the next pass has another.
                    (
                        Action::ReplaceObject(_) | Action::ReplacePodGroup(_),
                        ApiError::Conflict(_) | ApiError::NotFound(_),
                    ) => Vec::new(),
                    (
                        Action::CreateObject { object, .. } | Action::CreatePodGroup(object),
                        ApiError::AlreadyExists(_),
                    ) => {
                        vec![event::not_ours(self.kind, object)]
                    }
                    (action, error) => action.events(self.kind, name, Err(&error.to_string())),
                }
            }
        }
    }

    fn id(&self, target: &Target) -> Id {
        Id { owner: self.uid().to_owned(), name: target.name.clone(), uid: target.uid.clone() }
    }

    fn uid(&self) -> &str {
        text(self.job, "/metadata/uid")
    }
}

fn target(object: &Value) -> Target {
    Target { name: text(object, "/metadata/name").to_owned(), uid: text(object, "/metadata/uid").to_owned() }
}
