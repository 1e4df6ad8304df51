//! What tests stand on: a real control plane, the programs under test, and a way to wait without sleeping.
//!
//! The tests themselves are in `tests/all`, one binary with a module for each kind.

pub mod bench;
pub mod binary;
mod client;
pub mod conformance;
pub mod control_plane;
pub mod generated;
pub mod pod_groups;
pub mod python;
pub mod registry;
pub mod sigstore;
pub mod takeover;
mod wait;

pub use client::Client;
pub use control_plane::ControlPlane;
pub use wait::wait_until;

/// The root of the clone.
pub const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
