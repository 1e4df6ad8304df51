//! What a Trainyard plugin is written with.
//!
//! A plugin implements [`Framework`] and ends with [`export!`]. It gets a [`Job`] and answers with values; the rest of
//! this crate makes those values short to write: [`plan`] for environments, [`issue`] for validation, [`verdict`] for
//! what pods mean, [`template`] for fragments that an admin supplies. `cargo test` runs a plugin natively, [`testing`]
//! shows what the host would make of its answers.
//!
//! The meaning of every record and field is in `wit/framework.wit`.

pub use serde_json;

pub use bindings::trainyard::framework::types::{
    self, Assessment, Column, Containers, Context, Description, Each, EachWhat, Endpoint, Env, Existing, Failure, Fill,
    Form, Fragment, Issue, JobPlan, Kind, Network, Object, ObjectExisting, ObjectKind, Observed, Phase, Piece, Pod,
    Port, Refusal, Replica, ReplicaPlan, ReplicaType, RestartPolicy, Total, Verdict, Which, WhileSuspended,
};
pub use job::Job;

#[doc(hidden)]
pub mod bindings;
mod describe;
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

/// Makes a [`Framework`] the one that the component exports.
///
/// ```ignore
/// trainyard_plugin::export!(PyTorch);
/// ```
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
