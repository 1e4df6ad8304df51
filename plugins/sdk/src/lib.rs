//! What a Trainyard plugin is written with.
//!
//! A plugin implements [`Framework`] and ends with [`export!`]. It gets a [`Job`] and answers with values; the rest of
//! this crate makes those values short to write: [`plan`] for environments, [`issue`] for validation, [`verdict`] for
//! what pods mean, [`elastic`] for elastic policies, [`template`] for fragments that an admin supplies. `cargo test` runs a plugin natively, [`testing`]
//! shows what the host would make of its answers.
//!
//! The meaning of every record and field is in `wit/framework.wit`. A whole plugin, for a framework whose replicas need
//! to know where the first of them is:
//!
//! ```
//! use trainyard_plugin::plan::{env, host, rank, replica};
//! use trainyard_plugin::{
//!     Assessment, Description, Framework, Issue, Job, JobPlan, Kind, Network, Observed, Port, Refusal, ReplicaPlan,
//!     Verdict, issue,
//! };
//!
//! struct Ring;
//!
//! trainyard_plugin::export!(Ring);
//!
//! impl Framework for Ring {
//!     fn describe() -> Description {
//!         Description {
//!             name: "ring".into(),
//!             version: env!("CARGO_PKG_VERSION").into(),
//!             kinds: vec![Kind {
//!                 group: "example.org".into(),
//!                 kind: "RingJob".into(),
//!                 plural: "ringjobs".into(),
//!                 replica_specs: "ringReplicaSpecs".into(),
//!                 replica_types: vec!["Worker".into()],
//!                 container: "ring".into(),
//!                 port: Some(Port { name: "ring".into(), number: 7000 }),
//!                 ..Kind::default()
//!             }],
//!             objects: vec![],
//!             settings_schema: "{}".into(),
//!         }
//!     }
//!
//!     fn validate(job: &Job, _old: Option<&Job>) -> Vec<Issue> {
//!         issue::replica_map(job).into_iter().chain(issue::containers(job, "Worker")).collect()
//!     }
//!
//!     fn plan(_job: &Job) -> Result<JobPlan, Refusal> {
//!         let env = vec![env("FIRST", host("Worker", 0)), env("ME", rank(0))];
//!         let replicas = vec![ReplicaPlan { env, ..replica("Worker") }];
//!         Ok(JobPlan { replicas, network: Network::ServicePerReplica, objects: vec![], ssh_keys: vec![] })
//!     }
//!
//!     fn assess(job: &Job, seen: &Observed) -> Assessment {
//!         let workers = seen.total("Worker").filter(|workers| workers.succeeded == workers.wanted);
//!         let done = workers.map(|_| Verdict::Succeeded(format!("RingJob {} has come round.", job.name)));
//!         Vec::from_iter(done).into()
//!     }
//! }
//! ```

pub use serde_json;

pub use bindings::trainyard::framework::types::{
    self, Assessment, Column, Command, Containers, Content, Context, Description, Each, EachWhat, Endpoint, Env, Event,
    Existing, Failure, Fill, Form, Fragment, Gate, GateState, Issue, JobPlan, Kind, Mount, Network, Object,
    ObjectExisting, ObjectKind, Observed, Phase, Piece, Pod, Port, Refusal, Replica, ReplicaId, ReplicaPlan,
    ReplicaType, Restart, RestartPolicy, RestartScope, Total, Verdict, Which, WhileSuspended,
};
pub use job::Job;

#[doc(hidden)]
pub mod bindings;
mod describe;
pub mod elastic;
mod guest;
pub mod issue;
mod job;
pub mod log;
pub mod plan;
pub mod template;
pub mod testing;
pub mod verdict;

#[doc(hidden)]
pub use guest::Component;

/// What most kinds call the replica type of which there is one.
pub const MASTER: &str = "Master";
/// And the one of which there are many.
pub const WORKER: &str = "Worker";

/// What a framework knows. Every function is pure: the same arguments give the same answer.
pub trait Framework {
    /// What the plugin is, once for each digest.
    fn describe() -> Description;

    /// A JSON merge patch with what the user left out and the kind does not say.
    fn default(_job: &Job) -> Result<serde_json::Value, Refusal> {
        Ok(serde_json::json!({}))
    }

    /// What is wrong with the job, as the user wrote it; `old` is the stored one on update.
    fn validate(job: &Job, old: Option<&Job>) -> Vec<Issue>;

    /// What to add to the user's templates, and what else the job needs.
    fn plan(job: &Job) -> Result<JobPlan, Refusal>;

    /// What the pods mean.
    fn assess(job: &Job, seen: &Observed) -> Assessment;
}

/// Makes a [`Framework`] the one that the component exports. In a native build, as for tests, it does nothing.
#[macro_export]
macro_rules! export {
    ($framework:ty) => {
        #[cfg(target_arch = "wasm32")]
        #[allow(unsafe_code, reason = "generated: this is where the host calls in")]
        mod component {
            use super::*;
            type Exported = $crate::Component<$framework>;
            $crate::bindings::export!(Exported with_types_in $crate::bindings);
        }
    };
}
