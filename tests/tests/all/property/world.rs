//! A cluster in the mind: what a job has made so far, as the stores would show it.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::Value;
use trainyard::catalog::LoadedKind;
use trainyard_core::action::Action;
use trainyard_core::fill::Addresses;
use trainyard_core::gang;
use trainyard_core::json::text;
use trainyard_core::observed::{Meta, Observed, Pod, PodCondition, PodStatus};
use trainyard_core::think::{Thought, think};

const ADDRESSES: Addresses = Addresses::Cluster { domain: None };

/// A job, its status included, and all objects it has made, in the order of creation.
pub(super) struct World<'a> {
    pub(super) kind: &'a LoadedKind,
    pub(super) job: Value,
    pub(super) objects: Vec<Value>,
}

impl<'a> World<'a> {
    pub(super) fn new(kind: &'a LoadedKind, job: &Value) -> Self {
        Self { kind, job: job.clone(), objects: Vec::new() }
    }

    /// One pass, in which all pods are of that phase; what it changes is changed.
    pub(super) fn pass(&mut self, phase: &str) -> Vec<Action> {
        let Thought { status, batches, events, .. } =
            think(&self.kind.framework(&ADDRESSES), &self.job, &self.observed(phase)).unwrap();
        let fault = events.iter().find(|event| event.reason == "PluginFailed");
        assert_eq!(fault, None, "the plugin is at fault");
        if let Some(status) = status {
            self.job["status"] = serde_json::to_value(status).unwrap();
        }
        let actions: Vec<_> = batches.into_iter().flatten().collect();
        self.objects.extend(actions.iter().filter_map(created).cloned());
        for action in &actions {
            if let Action::ReplaceObject(new) = action {
                *self.objects.iter_mut().find(|object| key(object) == key(new)).unwrap() = new.clone();
            }
        }
        actions
    }

    /// Passes while pods run and are ready, until nothing is made any more: all that was done.
    pub(super) fn settle(&mut self) -> Vec<Action> {
        let mut done = Vec::new();
        loop {
            let actions = self.pass("Running");
            if !actions.iter().any(|action| created(action).is_some()) {
                return done;
            }
            done.extend(actions);
            assert!(done.len() < 100_000, "there is no end to it");
        }
    }

    pub(super) fn of_kind(&self, kind: &str) -> impl Iterator<Item = &Value> {
        self.objects.iter().filter(move |object| text(object, "/kind") == kind)
    }

    fn observed(&self, phase: &str) -> Observed {
        let pod = |object: &Value| {
            let ready = PodCondition { kind: "Ready".into(), status: "True".into(), ..PodCondition::default() };
            let status = PodStatus { phase: Some(phase.into()), conditions: vec![ready], ..PodStatus::default() };
            Arc::new(Pod { meta: meta(object), node: None, status })
        };
        let others = self.objects.iter().filter(|object| !["Pod", "Service"].contains(&text(object, "/kind")));
        Observed {
            now: Timestamp::UNIX_EPOCH,
            pods: self.of_kind("Pod").map(pod).collect(),
            services: self.of_kind("Service").map(|service| Arc::new(meta(service))).collect(),
            objects: others.cloned().map(Arc::new).collect(),
            names: BTreeMap::new(),
            gang: gang::Seen::default(),
        }
    }
}

/// What an action makes.
pub(super) fn created(action: &Action) -> Option<&Value> {
    match action {
        Action::CreatePod { pod, .. } => Some(pod),
        Action::CreateService(object) | Action::CreateObject { object, .. } => Some(object),
        // Asked for in every pass that may need it.
        Action::CreateSshKey(_)
        | Action::ReplaceObject(_)
        | Action::DeleteObject(_)
        | Action::DeletePod(_)
        | Action::DeleteService(_)
        | Action::CreatePodGroup(_)
        | Action::ReplacePodGroup(_)
        | Action::DeletePodGroup(_)
        | Action::DeleteJob => None,
    }
}

/// Kind and name.
pub(super) fn key(object: &Value) -> (String, String) {
    (text(object, "/kind").to_owned(), text(object, "/metadata/name").to_owned())
}

fn meta(object: &Value) -> Meta {
    let labels = object["metadata"]["labels"].as_object().into_iter().flatten();
    let labels = labels.filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())));
    let name = text(object, "/metadata/name").to_owned();
    Meta { uid: name.clone(), name, labels: labels.collect(), created: None, deleting: false }
}
