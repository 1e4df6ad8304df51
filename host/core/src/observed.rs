//! What the stores show of a job in one pass: the only things a decision may look at, the clock among them.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use crate::contract::{ObjectKind, Phase};
use crate::gang;

/// Everything a pass sees.
#[derive(Clone, Debug)]
pub struct Observed {
    /// In whole seconds, as Kubernetes keeps times.
    pub now: Timestamp,
    /// Pods the job controls.
    pub pods: Vec<Arc<Pod>>,
    /// Services the job controls.
    pub services: Vec<Arc<Meta>>,
    /// Other objects the job controls, of the kinds its plugin may ask for.
    pub objects: Vec<Arc<Value>>,
    /// Its pod group, and what that depends on.
    pub gang: gang::Seen,
    /// Of these kinds every object in the job's namespace, whosever it is.
    pub names: BTreeMap<ObjectKind, Arc<Names>>,
}

/// The names that are taken, each with the uid of the object's controller; empty where it has none.
pub type Names = BTreeMap<String, String>;

/// What the host reads of an object's metadata.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Meta {
    /// Of the object.
    pub name: String,
    /// Of the object.
    pub uid: String,
    /// Of the object.
    pub labels: BTreeMap<String, String>,
    /// When it was made.
    pub created: Option<Timestamp>,
    /// Whether it has a deletion time.
    pub deleting: bool,
}

/// What the host reads of a pod.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Pod {
    /// Of the pod.
    pub meta: Meta,
    /// `spec.nodeName`.
    pub node: Option<String>,
    /// `status`.
    pub status: PodStatus,
}

/// What the host reads of a pod's status; serde drops the rest, which is most of it.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PodStatus {
    /// `Pending` and so on.
    pub phase: Option<String>,
    /// Why the pod is in its phase: `Evicted`.
    pub reason: Option<String>,
    /// For people.
    pub message: Option<String>,
    /// `Ready`, `PodScheduled`, `DisruptionTarget`, …
    pub conditions: Vec<PodCondition>,
    /// Of `initContainers`.
    pub init_container_statuses: Vec<ContainerStatus>,
    /// Of `containers`.
    pub container_statuses: Vec<ContainerStatus>,
}

/// A condition of a pod.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PodCondition {
    /// `Ready`.
    #[serde(rename = "type")]
    pub kind: String,
    /// `True`, `False`, `Unknown`.
    pub status: String,
    /// One word.
    pub reason: Option<String>,
    /// A sentence.
    pub message: Option<String>,
    /// When it last changed.
    pub last_transition_time: Option<Timestamp>,
}

/// The state of one container.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ContainerStatus {
    /// Of the container.
    pub name: String,
    /// How often kubelet started it again.
    pub restart_count: u32,
    /// Waiting, running or terminated.
    pub state: ContainerState,
}

/// One of the two states the host looks at; neither while it runs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct ContainerState {
    /// Not started.
    pub waiting: Option<Waiting>,
    /// Ended.
    pub terminated: Option<Terminated>,
}

/// Why a container has not started.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Waiting {
    /// `ImagePullBackOff`.
    pub reason: Option<String>,
    /// For people.
    pub message: Option<String>,
}

/// How a container ended.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Terminated {
    /// 0 is success; 128 + n is signal n.
    pub exit_code: i32,
    /// `OOMKilled`.
    pub reason: Option<String>,
    /// For people.
    pub message: Option<String>,
}

impl Observed {
    /// Whether an object of that name is there, and not the job's.
    pub fn is_of_another(&self, kind: &ObjectKind, name: &str, job: &str) -> bool {
        self.names.get(kind).and_then(|names| names.get(name)).is_some_and(|controller| controller != job)
    }
}

impl Pod {
    /// Pending where there is none yet.
    pub fn phase(&self) -> Phase {
        match self.status.phase.as_deref() {
            Some("Running") => Phase::Running,
            Some("Succeeded") => Phase::Succeeded,
            Some("Failed") => Phase::Failed,
            Some("Unknown") => Phase::Unknown,
            Some(_) | None => Phase::Pending,
        }
    }

    /// Neither ended nor going away.
    pub fn is_active(&self) -> bool {
        !self.is_done() && !self.meta.deleting
    }

    /// Succeeded or failed.
    pub fn is_done(&self) -> bool {
        matches!(self.phase(), Phase::Succeeded | Phase::Failed)
    }

    /// Condition Ready.
    pub fn is_ready(&self) -> bool {
        self.condition("Ready").is_some_and(|condition| condition.status == "True")
    }

    /// The condition of that type.
    pub fn condition(&self, kind: &str) -> Option<&PodCondition> {
        self.status.conditions.iter().find(|condition| condition.kind == kind)
    }

    /// The exit code of that container, once it has ended.
    pub fn exit_code(&self, container: &str) -> Option<i32> {
        let status = self.status.container_statuses.iter().find(|status| status.name == container)?;
        status.state.terminated.as_ref().map(|terminated| terminated.exit_code)
    }

    /// Restarts by kubelet, of all containers.
    pub fn restarts(&self) -> u32 {
        let all = self.status.init_container_statuses.iter().chain(&self.status.container_statuses);
        all.map(|status| status.restart_count).sum()
    }
}
