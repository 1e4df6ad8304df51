//! Tests that cross crates: one binary, so one link; a module for each kind, cheapest first.
#![cfg(test)]

mod bench;
mod client_sdk;
mod conformance;
mod contract;
mod control_plane;
mod crd;
mod framework_plugin;
mod golden;
mod house;
mod kinds;
mod operator;
mod platform;
mod property;
mod run;
