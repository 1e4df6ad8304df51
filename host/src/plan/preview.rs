//! A job's whole life in the mind: all goes well, so whatever waits for something gets its turn.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::Value;
use trainyard_core::action::Action;
use trainyard_core::gang;
use trainyard_core::json;
use trainyard_core::label;
use trainyard_core::observed::{
    ContainerState, ContainerStatus, Meta, Observed, Pod, PodCondition, PodStatus, Terminated,
};
use trainyard_core::status::{ConditionType, JobStatus};
use trainyard_core::think::{Framework, think};

use super::planner;
use crate::failure::Failure;

/// What a job would create.
pub struct Preview {
    /// Whole objects, in the order of creation.
    pub objects: Vec<Value>,
    /// How many of the pods come at once; others wait for them.
    pub at_once: usize,
}

/// More passes than any plan has gates: then something makes objects for ever.
const MOST_PASSES: usize = 100;

impl Preview {
    /// Thinks about the job until nothing new comes.
    pub fn of(framework: &Framework<'_>, object: &Value) -> Result<Self, Failure> {
        let mut job = object.clone();
        let mut seen = Seen::default();
        let mut preview = Self { objects: Vec::new(), at_once: 0 };
        for _ in 0..MOST_PASSES {
            let thought = think(framework, &job, &seen.observed(framework)).map_err(planner)?;
            if let Some(fault) = thought.events.iter().find(|event| event.reason == "PluginFailed") {
                return Err(Failure { problems: vec![fault.message.clone()], code: 1 });
            }
            if let Some(status) = thought.status {
                let failed = status.condition(&ConditionType::Failed).filter(|_| status.start_time.is_none());
                if let Some(refused) = failed {
                    return Err(Failure::input(&refused.message));
                }
                set_status(&mut job, &status);
            }
            let before = preview.objects.len();
            preview.objects.extend(thought.batches.into_iter().flatten().filter_map(|action| seen.take(action)));
            let is_new = preview.objects.len() > before;
            if preview.at_once == 0 {
                preview.at_once = seen.pods.len();
            }
            match (is_new, seen.succeeded) {
                (true, _) => seen.succeeded = false,
                (false, false) => seen.succeeded = true,
                (false, true) => break,
            }
        }
        preview.objects.iter_mut().for_each(forget_uid);
        Ok(preview)
    }

    /// The pods among the objects.
    pub fn pods(&self) -> impl Iterator<Item = &Value> {
        self.objects.iter().filter(|object| json::text(object, "/kind") == "Pod")
    }
}

/// What would be in the cluster.
#[derive(Default)]
struct Seen {
    pods: Vec<Meta>,
    services: Vec<Arc<Meta>>,
    objects: Vec<Arc<Value>>,
    secrets: Vec<Value>,
    /// All pods that there are; else they run and are ready.
    succeeded: bool,
}

impl Seen {
    fn observed(&self, framework: &Framework<'_>) -> Observed {
        let pods = self.pods.iter().map(|meta| Arc::new(pod(meta.clone(), &framework.kind.container, self.succeeded)));
        Observed {
            now: Timestamp::UNIX_EPOCH,
            pods: pods.collect(),
            services: self.services.clone(),
            objects: self.objects.clone(),
            gang: gang::Seen::default(),
            names: BTreeMap::new(),
        }
    }

    /// Carries an action out; the object that it creates.
    fn take(&mut self, action: Action) -> Option<Value> {
        match action {
            Action::CreatePod { pod, .. } => {
                self.pods.push(meta(&pod));
                Some(pod)
            }
            Action::CreateService(service) => {
                self.services.push(Arc::new(meta(&service)));
                Some(service)
            }
            Action::CreateObject { object, .. } => {
                self.objects.push(Arc::new(object.clone()));
                Some(object)
            }
            Action::CreateSshKey(secret) => {
                let is_new = !self.secrets.contains(&secret);
                self.secrets.push(secret.clone());
                is_new.then_some(secret)
            }
            // Nobody schedules gangs here. Of lists of running replicas the first is shown; what a job deletes in the end is not.
            Action::ReplaceObject(_)
            | Action::DeleteObject(_)
            | Action::DeletePod(_)
            | Action::DeleteService(_)
            | Action::CreatePodGroup(_)
            | Action::ReplacePodGroup(_)
            | Action::DeletePodGroup(_)
            | Action::DeleteJob => None,
        }
    }
}

/// What the core reads of metadata.
pub(crate) fn meta(object: &Value) -> Meta {
    let text = |pointer| json::text(object, pointer).to_owned();
    let labels = object.pointer("/metadata/labels").and_then(Value::as_object).into_iter().flatten();
    let labels = labels.filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())));
    Meta {
        name: text("/metadata/name"),
        uid: text("/metadata/uid"),
        labels: labels.collect(),
        created: None,
        deleting: false,
    }
}

/// In lower case, as pods carry it.
pub(crate) fn replica_type(pod: &Value) -> String {
    meta(pod).labels.remove(label::REPLICA_TYPE).unwrap_or_default()
}

fn pod(meta: Meta, container: &str, succeeded: bool) -> Pod {
    let terminated = succeeded.then(Terminated::default);
    let state = ContainerState { terminated, waiting: None };
    let ready = PodCondition { kind: "Ready".into(), status: "True".into(), ..PodCondition::default() };
    let status = PodStatus {
        phase: Some(if succeeded { "Succeeded" } else { "Running" }.to_owned()),
        conditions: vec![ready],
        container_statuses: vec![ContainerStatus { name: container.to_owned(), restart_count: 0, state }],
        ..PodStatus::default()
    };
    Pod { meta, node: None, status }
}

/// What an API server does with a status.
pub(crate) fn set_status(job: &mut Value, status: &JobStatus) {
    if let (Some(fields), Ok(status)) = (job.as_object_mut(), serde_json::to_value(status)) {
        fields.insert("status".to_owned(), status);
    }
}

/// A job gets its uid from the API server.
fn forget_uid(object: &mut Value) {
    let owners = object.pointer_mut("/metadata/ownerReferences").and_then(Value::as_array_mut);
    for owner in owners.into_iter().flatten().filter_map(Value::as_object_mut) {
        if owner.get("uid").is_some_and(|uid| uid == "") {
            owner.remove("uid");
        }
    }
}
