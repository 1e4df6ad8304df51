//! Everything Trainyard decides, and nothing it does: values in, values out.
//!
//! No client, no async runtime, no clock, no randomness, no WebAssembly engine. `tests/` checks that. The way through it
//! is one straight line, [`think::think`].

pub mod action;
pub mod admission;
pub mod census;
pub mod check;
pub mod contract;
pub mod diff;
pub mod event;
pub mod field;
pub mod fill;
#[cfg(test)]
mod fixture;
pub mod gang;
pub mod grants;
pub mod job;
pub mod json;
pub mod label;
pub mod line;
pub mod name;
pub mod observed;
pub mod planner;
pub mod quantity;
pub mod render;
pub mod run_policy;
pub mod status;
pub mod think;
pub mod validate;
mod verdict;
