//! Everything Trainyard decides, and nothing it does: values in, values out.
//!
//! No client, no async runtime, no clock, no randomness, no WebAssembly engine. `tests/house.rs` checks that.

pub mod contract;
