//! Constructors that let a plan read as a table.
//!
//! ```
//! use trainyard_plugin::plan::{env, host, literal, port, rank};
//!
//! let env = [
//!     env("MASTER_ADDR", host("Master", 0)),
//!     env("MASTER_PORT", port("Master", 0)),
//!     env("ENDPOINT", [host("Worker", 0), literal(":"), port("Worker", 0)]),
//!     env("RANK", rank(1)),
//!     env("PYTHONUNBUFFERED", "1"),
//! ];
//! assert_eq!(env[0].name, "MASTER_ADDR");
//! ```

use serde_json::Value as Json;

use crate::types::{ReplicaId, Value};
use crate::{
    Containers, Content, Each, EachWhat, Endpoint, Env, Existing, Fill, Form, Fragment, Object, ObjectExisting, Piece,
    Replica, ReplicaPlan, Which, WhileSuspended,
};

/// A variable for every container of every replica, after the user's own.
pub fn env(name: &str, value: impl Into<Value>) -> Env {
    let (to, replicas, existing) = (Containers::All, Which::All, Existing::Append);
    Env { name: name.to_owned(), value: value.into(), to, replicas, existing }
}

/// Text as it is.
pub fn literal(text: impl ToString) -> Piece {
    Piece::Literal(text.to_string())
}

/// `offset` + index of the replica whose text this is.
pub const fn rank(offset: u32) -> Piece {
    Piece::Rank(offset)
}

/// The address of a replica, good inside the namespace.
pub fn host(replica_type: &str, index: u32) -> Piece {
    Piece::Host(Endpoint { replica: at(replica_type, index), form: Form::Short })
}

/// The port of a replica.
pub fn port(replica_type: &str, index: u32) -> Piece {
    Piece::Port(at(replica_type, index))
}

/// All replicas of a type, separated by commas.
pub fn each(replica_type: &str, what: EachWhat) -> Piece {
    let (before, after, separator) = (String::new(), String::new(), ",".to_owned());
    Piece::Each(Each { replica_type: replica_type.to_owned(), running_only: false, before, what, after, separator })
}

/// A field of the pod itself: `status.podIP`.
pub fn field(path: &str) -> Value {
    Value::Field(path.to_owned())
}

/// A replica by type and index.
pub fn at(replica_type: &str, index: u32) -> Replica {
    Replica::At(ReplicaId { replica_type: replica_type.to_owned(), index })
}

/// A replica type to which nothing is added, for `..replica("Worker")`.
pub fn replica(replica_type: &str) -> ReplicaPlan {
    ReplicaPlan {
        replica_type: replica_type.to_owned(),
        leads: Which::None,
        env: Vec::new(),
        default_command: None,
        init_containers: Vec::new(),
        volumes: Vec::new(),
        mounts: Vec::new(),
        service_account: None,
        after: Vec::new(),
    }
}

/// An object that is the job's alone: kept as the plan says, and left alone while the job is suspended.
pub fn object(object: &Json) -> Object {
    let (existing, while_suspended) = (ObjectExisting::UpdateOurs, WhileSuspended::Keep);
    Object { object: Fragment { json: object.to_string(), fills: Vec::new() }, existing, while_suspended }
}

/// The same with holes for the host to fill, by JSON pointer: `/data/hostfile`.
pub fn object_with(json: &Json, fills: impl IntoIterator<Item = (&'static str, Content)>) -> Object {
    let planned = object(json);
    let fills = fills.into_iter().map(|(at, content)| Fill { at: at.to_owned(), content }).collect();
    Object { object: Fragment { fills, ..planned.object }, ..planned }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        literal(text).into()
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Piece::Literal(text).into()
    }
}

impl From<Piece> for Value {
    fn from(piece: Piece) -> Self {
        Self::Text(vec![piece])
    }
}

impl<const N: usize> From<[Piece; N]> for Value {
    fn from(pieces: [Piece; N]) -> Self {
        Self::Text(pieces.into())
    }
}
