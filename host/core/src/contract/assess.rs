//! What a plugin sees of the pods, and what it makes of them.

use serde::{Deserialize, Serialize};

use super::ReplicaId;
use crate::line::{Sentence, Word};

/// What `assess` gets to see.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Observed {
    /// One for each replica type.
    pub totals: Vec<Total>,
    /// Rows for the replicas worth a look.
    pub pods: Vec<Pod>,
    /// Restarts of this job so far.
    pub attempt: u32,
}

/// The pods of one replica type, counted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Total {
    /// `Worker`.
    pub replica_type: String,
    /// Replicas of the job.
    pub wanted: u32,
    /// Running.
    pub active: u32,
    /// In phase Succeeded.
    pub succeeded: u32,
    /// Failed, or running and being deleted.
    pub failed: u32,
    /// Of the failed: those the host replaces.
    pub restarting: u32,
    /// Of the failed: those whose reason is Evicted.
    pub evicted: u32,
}

/// One pod, as much as a plugin may know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pod {
    /// `Worker`.
    pub replica_type: String,
    /// From 0.
    pub index: u32,
    /// Of the pod.
    pub phase: Phase,
    /// Condition Ready.
    pub ready: bool,
    /// Of the container that trains, when it has terminated.
    pub exit_code: Option<i32>,
    /// Of the pod.
    pub reason: String,
    /// Of the pod.
    pub message: String,
    /// In place, by kubelet.
    pub restarts: u32,
    /// Where it runs.
    pub node: Option<String>,
    /// Reason of the condition `DisruptionTarget`.
    pub disruption: Option<String>,
}

/// Phase of a pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Phase {
    /// Accepted, not yet running.
    Pending,
    /// At least one container runs.
    Running,
    /// All containers exited 0.
    Succeeded,
    /// All containers exited, one not 0.
    Failed,
    /// The node does not answer.
    Unknown,
}

/// What a plugin makes of the pods.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assessment {
    /// In order.
    pub verdicts: Vec<Verdict>,
    /// What the restart policy would not do by itself.
    pub restart: Option<Restart>,
    /// Beside those of the verdicts.
    pub events: Vec<Event>,
    /// Ask again after this many seconds.
    pub check_after: Option<u32>,
}

/// What the pods mean.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Verdict {
    /// The job runs.
    Running(Sentence),
    /// Replicas are being replaced.
    Restarting(Sentence),
    /// The job is done.
    Succeeded(Sentence),
    /// The job has failed.
    Failed(Failure),
}

/// Why a job failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// The event's reason; the condition's is the kind's name and this.
    pub reason: Option<Word>,
    /// For the user.
    pub message: Sentence,
}

/// Pods to replace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Restart {
    /// Which.
    pub scope: RestartScope,
    /// Whether it counts towards `backoffLimit`.
    pub counts: bool,
    /// For the user.
    pub message: Sentence,
}

/// Which pods to replace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RestartScope {
    /// These.
    Replicas(Vec<ReplicaId>),
    /// All of a type.
    ReplicaType(String),
    /// The whole job.
    All,
}

/// An event on the job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Else normal.
    pub warning: bool,
    /// `PascalCase`.
    pub reason: Word,
    /// A sentence.
    pub message: Sentence,
}
