//! Gang scheduling: a job's pods are placed all together or not at all, by a scheduler that looks at the job's pod group.
//!
//! A pod group has the job's name and is the job's. Of what is in it only what is written here is ours: fields that others
//! set, and the queue once there is one, stay as they are.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::action::Action;
use crate::contract::JobPlan;
use crate::diff::Batch;
use crate::fill::Filler;
use crate::job::Job;
use crate::json;
use crate::label;

/// Who schedules gangs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum GangScheduler {
    /// Nobody.
    #[default]
    Off,
    /// Volcano: pods may be made when their group is in the queue, and not before.
    Volcano,
    /// A scheduler of that name with the plugin for gangs of scheduler-plugins: pods may be made at once.
    SchedulerPlugins(String),
}

/// What a pass sees of gang scheduling.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// The job's.
    pub pod_group: PodGroup,
    /// The values of the priority classes, by name.
    pub priorities: BTreeMap<String, i32>,
}

/// The pod group of a job.
#[derive(Clone, Debug, Default)]
pub enum PodGroup {
    /// There cannot be any: the kind is not installed.
    #[default]
    NotServed,
    /// There is none.
    Missing,
    /// As it is stored.
    There(Arc<Value>),
}

/// Why pods have to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// The kind of their group is not installed.
    NotServed,
    /// The scheduler, or the end of an old group, is waited for.
    ForGroup,
}

impl GangScheduler {
    /// From `--gang-scheduler-name`.
    pub fn of(name: &str) -> Self {
        match name.to_ascii_lowercase().as_str() {
            "" | "none" => Self::Off,
            "volcano" => Self::Volcano,
            _ => Self::SchedulerPlugins(name.to_owned()),
        }
    }

    /// The `apiVersion` of its pod groups.
    pub const fn api_version(&self) -> Option<&'static str> {
        match self {
            Self::Off => None,
            Self::Volcano => Some("scheduling.volcano.sh/v1beta1"),
            Self::SchedulerPlugins(_) => Some("scheduling.x-k8s.io/v1alpha1"),
        }
    }

    /// The `schedulerName` of its pods.
    fn name(&self) -> &str {
        match self {
            Self::Off => "",
            Self::Volcano => "volcano",
            Self::SchedulerPlugins(name) => name,
        }
    }

    /// Makes the pods that are created members of the job's group. A scheduler that the user named stays.
    pub(crate) fn decorate(&self, job: &Job, batches: &mut [Batch]) {
        let (name, group) = (self.name(), job.name.as_str());
        let others = job.replicas.iter().map(|spec| json::text(&spec.template, "/spec/schedulerName"));
        let is_other_named = others.into_iter().any(|other| !other.is_empty() && other != name);
        for action in batches.iter_mut().flatten() {
            let Action::CreatePod { pod, keeps_scheduler, .. } = action else { continue };
            let task = pod.pointer("/metadata/labels").and_then(|labels| labels.get(label::REPLICA_TYPE)).cloned();
            let membership = match self {
                Self::Off => return,
                Self::Volcano => {
                    json!({"annotations": {"scheduling.k8s.io/group-name": group, "volcano.sh/task-spec": task}})
                }
                Self::SchedulerPlugins(_) => json!({"labels": {"scheduling.x-k8s.io/pod-group": group}}),
            };
            json::merge(pod, &json!({"metadata": membership}));
            if json::text(pod, "/spec/schedulerName").is_empty() {
                json::merge(pod, &json!({"spec": {"schedulerName": name}}));
            }
            *keeps_scheduler = is_other_named;
        }
    }

    /// What makes the job's pod group what it should be, and why its pods have to wait, if they do.
    pub(crate) fn gather(&self, filler: &Filler<'_>, plan: &JobPlan, seen: &Seen) -> (Batch, Option<Wait>) {
        let Some(api_version) = self.api_version() else { return (vec![], None) };
        let wanted = || pod_group::wanted(self, api_version, filler, plan, &seen.priorities);
        let waits = *self == Self::Volcano;
        match &seen.pod_group {
            PodGroup::NotServed => (vec![], Some(Wait::NotServed)),
            PodGroup::Missing => (vec![Action::CreatePodGroup(wanted())], waits.then_some(Wait::ForGroup)),
            PodGroup::There(group) if is_deleting(group) => (vec![], Some(Wait::ForGroup)),
            PodGroup::There(group) => {
                let waits = waits && matches!(json::text(group, "/status/phase"), "" | "Pending");
                let changed = pod_group::updated(group, &wanted()).map(Action::ReplacePodGroup);
                (changed.into_iter().collect(), waits.then_some(Wait::ForGroup))
            }
        }
    }
}

pub(crate) fn is_deleting(object: &Value) -> bool {
    object.pointer("/metadata/deletionTimestamp").is_some()
}

mod pod_group;
#[cfg(test)]
mod tests;
