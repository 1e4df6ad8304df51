//! What is known of extra objects, by kind: those of jobs, and the names of all there are.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use serde_json::Value;
use trainyard_core::contract::ObjectKind;
use trainyard_core::json::text;

use super::names::Names;
use super::store::Store;

/// Of all kinds that some plugin may make; they come and go with plugins. A cheap handle.
#[derive(Clone, Default)]
pub(super) struct Extras(Arc<RwLock<BTreeMap<ObjectKind, Extra>>>);

/// Of one kind.
#[derive(Clone, Default)]
pub(super) struct Extra {
    /// Objects of jobs.
    pub(super) store: Arc<Store<Value>>,
    /// Of all objects, whosever they are.
    pub(super) names: Arc<Names>,
}

impl Extras {
    /// What is known of that kind, if it is watched.
    pub(super) fn of(&self, kind: &ObjectKind) -> Option<Extra> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(kind).cloned()
    }

    /// The same, to be filled by a watch that begins.
    pub(super) fn watched(&self, kind: &ObjectKind) -> Extra {
        self.0.write().unwrap_or_else(PoisonError::into_inner).entry(kind.clone()).or_default().clone()
    }

    /// No watch follows that kind any more.
    pub(super) fn forget(&self, kind: &ObjectKind) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).remove(kind);
    }

    /// Those of a job.
    pub(super) fn of_job(&self, uid: &str) -> Vec<Arc<Value>> {
        let all = self.0.read().unwrap_or_else(PoisonError::into_inner);
        all.values().flat_map(|extra| extra.store.of(uid)).collect()
    }

    /// Where objects of that kind are kept; nowhere, if none is watched.
    pub(super) fn like(&self, object: &Value) -> Arc<Store<Value>> {
        let field = |pointer| text(object, pointer).to_owned();
        let kind = ObjectKind { api_version: field("/apiVersion"), kind: field("/kind") };
        self.of(&kind).unwrap_or_default().store
    }
}
