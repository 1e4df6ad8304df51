//! The contract with plugins as the host sees it: one model behind every compatibility track of `wit/`.
//!
//! Field by field it is `wit/framework.wit`; read the meaning there. Nothing here is a generated binding, so the core
//! can be built and tested without a WebAssembly engine.

use serde::{Deserialize, Serialize};

/// JSON text: Kubernetes objects and fragments cross the boundary in this form only.
pub type Json = String;

/// What a plugin says of itself, once for each digest.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Description {
    /// A DNS label: `pytorch`.
    pub name: String,
    /// The plugin's own version, for people.
    pub version: String,
    /// The job kinds it plans for.
    pub kinds: Vec<Kind>,
    /// Kinds of extra object a plan may ask for.
    pub objects: Vec<ObjectKind>,
    /// JSON schema of [`Context::settings`].
    pub settings_schema: Json,
}

/// A job kind.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Kind {
    /// `kubeflow.org`.
    pub group: String,
    /// `v1`.
    pub version: String,
    /// `PyTorchJob`.
    pub kind: String,
    /// `pytorchjobs`.
    pub plural: String,
    /// For `kubectl get`.
    pub short_names: Vec<String>,
    /// The field of `spec` that maps replica types to replica specs.
    pub replica_specs: String,
    /// The types that users know.
    pub replica_types: Vec<ReplicaType>,
    /// The container that trains.
    pub container: String,
    /// What that container gets when it has no port of this name.
    pub port: Option<Port>,
    /// When a replica spec names none.
    pub restart_policy: RestartPolicy,
    /// Whether the host replaces failed pods as the restart policy says.
    pub replace_failed: bool,
    /// `OpenAPI` v3 properties of the framework's own fields.
    pub spec_properties: Json,
    /// The replica type that the scale subresource scales.
    pub scales: Option<String>,
    /// All printer columns, in order. Empty: State, Age.
    pub columns: Vec<Column>,
}

/// A replica type of a kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplicaType {
    /// As users write it: `Worker`.
    pub name: String,
    /// When the replica spec has no number.
    pub replicas: u32,
    /// Its one pod carries no index.
    pub single: bool,
}

/// A named container port.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Port {
    /// `pytorchjob-port`.
    pub name: String,
    /// 1 to 65535.
    pub number: u16,
}

/// Restart policy of a replica type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RestartPolicy {
    /// A failed pod stays failed.
    Never,
    /// A failed pod is replaced.
    OnFailure,
    /// As [`Self::OnFailure`], and kubelet restarts containers that exit 0.
    Always,
    /// Exit codes of 128 and more are worth another try, others are final.
    ExitCode,
}

/// A printer column.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Column {
    /// The heading.
    pub name: String,
    /// Where the value is.
    pub json_path: String,
    /// `string`, `date`, …
    pub kind: String,
}

/// A kind of Kubernetes object.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ObjectKind {
    /// `autoscaling/v2`.
    pub api_version: String,
    /// `HorizontalPodAutoscaler`.
    pub kind: String,
}

/// What every function gets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Context {
    /// Of the job.
    pub name: String,
    /// Of the job.
    pub namespace: String,
    /// The object without status and with little metadata.
    pub job: Json,
    /// The admin's settings for this plugin.
    pub settings: Json,
}

/// Something `validate` found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Issue {
    /// Error or warning.
    pub severity: Severity,
    /// `spec.pytorchReplicaSpecs[Master].replicas`.
    pub path: String,
    /// What kind of problem.
    pub problem: Problem,
    /// For the user.
    pub detail: String,
}

/// How bad an [`Issue`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Severity {
    /// The job is refused.
    Error,
    /// The job is accepted, the user is told.
    Warning,
}

/// The kinds of field error that Kubernetes knows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Problem {
    /// A value is missing.
    Required,
    /// The offending value.
    Invalid(Json),
    /// The value that is there twice.
    Duplicate(Json),
    /// The field may not be used so.
    Forbidden,
    /// The offending value and those that would do.
    NotSupported((Json, Vec<String>)),
}

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
    Running(String),
    /// Replicas are being replaced.
    Restarting(String),
    /// The job is done.
    Succeeded(String),
    /// The job has failed.
    Failed(Failure),
}

/// Why a job failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// The event's reason; the condition's is the kind's name and this.
    pub reason: Option<String>,
    /// For the user.
    pub message: String,
}

/// Pods to replace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Restart {
    /// Which.
    pub scope: RestartScope,
    /// Whether it counts towards `backoffLimit`.
    pub counts: bool,
    /// For the user.
    pub message: String,
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
    pub reason: String,
    /// A sentence.
    pub message: String,
}

/// Why a plugin gives no answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Refusal {
    /// The job is at fault.
    Invalid(Vec<Issue>),
    /// The plugin cannot do this.
    Unsupported(String),
}
