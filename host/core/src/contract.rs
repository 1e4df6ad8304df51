//! The contract with plugins as the host sees it: one model behind every compatibility track of `wit/`.
//!
//! Field by field it is `wit/framework.wit`; read the meaning there. Nothing here is a generated binding, so the core
//! can be built and tested without a WebAssembly engine.

mod ask;
mod assess;
mod describe;
mod plan;

pub use self::ask::{Context, Issue, Json, Problem, Refusal, Severity};
pub use self::assess::{Assessment, Event, Failure, Observed, Phase, Pod, Restart, RestartScope, Total, Verdict};
pub use self::describe::{Column, Description, Kind, ObjectKind, Port, ReplicaType, RestartPolicy};
pub use self::plan::{
    Command, Containers, Content, Each, EachWhat, Endpoint, Env, Existing, Fill, Form, Fragment, Gate, GateState,
    JobPlan, Mount, Network, Object, ObjectExisting, Piece, Replica, ReplicaId, ReplicaPlan, Value, Which,
    WhileSuspended,
};
