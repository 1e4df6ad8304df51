//! The operator on a real control plane: kubectl is the user, kwok plays the nodes, and the operator may do what `deploy/`
//! grants it, in a namespace of its own.

mod admission;
mod cost;
mod failure;
mod flags;
mod gang;
mod interrupted;
mod kueue;
pub(crate) mod made_up;
mod malformed;
mod many;
mod metrics;
mod mpi;
pub(crate) mod place;
mod preview;
mod role;
mod user;
mod whole_job;

pub(crate) use self::place::Place;
