//! What a plugin adds to a job.

use serde::{Deserialize, Serialize};

use super::Json;

/// What a plugin adds to a job: as large as the number of replica types.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct JobPlan {
    /// One for each replica type of the job, in order of creation.
    pub replicas: Vec<ReplicaPlan>,
    /// How peers are reached.
    pub network: Network,
    /// Made in this order, before pods.
    pub objects: Vec<Object>,
    /// Names of secrets with a key that the host makes.
    pub ssh_keys: Vec<String>,
}

/// What a plugin adds to the pods of one replica type.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ReplicaPlan {
    /// `Worker`.
    pub replica_type: String,
    /// Which carry the label `training.kubeflow.org/job-role: master`.
    pub leads: Which,
    /// Added after the user's.
    pub env: Vec<Env>,
    /// Only where the container has none.
    pub default_command: Option<Command>,
    /// Added after the user's.
    pub init_containers: Vec<Fragment>,
    /// Added after the user's.
    pub volumes: Vec<Json>,
    /// Added after the user's.
    pub mounts: Vec<Mount>,
    /// Unless the template names one.
    pub service_account: Option<String>,
    /// Create these pods only when all of these hold.
    pub after: Vec<Gate>,
}

/// Which replicas of a type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Which {
    /// No replica.
    None,
    /// Every replica.
    All,
    /// Index 0.
    First,
    /// All but index 0.
    Rest,
}

/// Which containers of a pod.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Containers {
    /// Every container.
    All,
    /// The first.
    First,
    /// The first of that name, if there is one.
    Named(String),
}

/// An environment variable.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Env {
    /// `MASTER_ADDR`.
    pub name: String,
    /// Literal, computed, or a field of the pod.
    pub value: Value,
    /// Which containers get it.
    pub to: Containers,
    /// Which replicas get it.
    pub replicas: Which,
    /// When the user set the same name.
    pub existing: Existing,
}

/// What to do when the user set the same name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Existing {
    /// Append all the same: Kubernetes takes the last.
    Append,
    /// Leave the user's.
    Keep,
}

/// The value of an environment variable.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Value {
    /// Pieces, joined.
    Text(Vec<Piece>),
    /// A field of the pod: `status.podIP`.
    Field(String),
}

/// A piece of text that the host completes for each replica.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Piece {
    /// As it is.
    Literal(String),
    /// Offset + index of this replica.
    Rank(u32),
    /// The address of a replica.
    Host(Endpoint),
    /// The port of a replica.
    Port(Replica),
    /// All replicas of a type.
    Each(Each),
}

/// The address of a replica.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoint {
    /// Whose.
    pub replica: Replica,
    /// How it is spelled.
    pub form: Form,
}

/// A replica, named.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Replica {
    /// The one whose text this is.
    This,
    /// Another one.
    At(ReplicaId),
}

/// Type and index.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ReplicaId {
    /// `Worker`.
    pub replica_type: String,
    /// From 0.
    pub index: u32,
}

/// How an address is spelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Form {
    /// Good inside the namespace.
    Short,
    /// With namespace, `svc` and the cluster's domain.
    Qualified,
}

/// All replicas of a type, joined.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Each {
    /// `Worker`.
    pub replica_type: String,
    /// Only those that run now.
    pub running_only: bool,
    /// Before each.
    pub before: String,
    /// What of each.
    pub what: EachWhat,
    /// After each.
    pub after: String,
    /// Between two.
    pub separator: String,
}

/// What is said of each replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum EachWhat {
    /// The pod's name.
    Name,
    /// Its address.
    Host(Form),
    /// `address:port`.
    HostAndPort(Form),
}

/// A command for containers that have none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Command {
    /// Which containers.
    pub to: Containers,
    /// Program and first arguments.
    pub command: Vec<String>,
    /// Replaces the container's.
    pub args: Vec<String>,
}

/// A volume mount.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mount {
    /// Which containers.
    pub to: Containers,
    /// A `VolumeMount`.
    pub mount: Json,
}

/// A condition on the pods of another type.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gate {
    /// `Worker`.
    pub replica_type: String,
    /// What all of them have to be.
    pub state: GateState,
}

/// What the pods of a [`Gate`] have to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum GateState {
    /// In phase Running, or done.
    Running,
    /// Ready, or done.
    Ready,
    /// In phase Succeeded.
    Succeeded,
}

/// How peers are reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Network {
    /// They are not: addresses and ports are refused.
    None,
    /// A headless service for each pod, of the pod's name.
    ServicePerReplica,
    /// One headless service of the job's name.
    SharedService,
}

/// JSON with holes that the host fills.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fragment {
    /// The text.
    pub json: Json,
    /// What is written into it.
    pub fills: Vec<Fill>,
}

/// One hole of a [`Fragment`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fill {
    /// JSON pointer: `/data/hostfile`.
    pub at: String,
    /// What goes there.
    pub content: Content,
}

/// What goes into a hole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Content {
    /// A string.
    Text(Vec<Piece>),
    /// An array, one string for each replica.
    Strings(Each),
}

/// An extra object of a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Object {
    /// Without namespace and owner.
    pub object: Fragment,
    /// When one of that name is there.
    pub existing: ObjectExisting,
    /// When the job is suspended.
    pub while_suspended: WhileSuspended,
}

/// What to do with an object that is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ObjectExisting {
    /// Whoever's it is, use it.
    UseAny,
    /// Refuse a foreign one, leave ours as it is.
    KeepOurs,
    /// Refuse a foreign one, update ours.
    UpdateOurs,
}

/// What to do with an object while the job is suspended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum WhileSuspended {
    /// Neither made nor changed nor deleted.
    Keep,
    /// Deleted.
    Delete,
}
