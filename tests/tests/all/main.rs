//! Tests that cross crates: one binary, so one link; a module for each kind, cheapest first.
#![cfg(test)]

mod control_plane;
mod house;
