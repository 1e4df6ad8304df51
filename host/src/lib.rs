//! Everything Trainyard does: it runs plugins, reads and writes clusters, and asks `trainyard-core` what to decide.

pub mod bundled;
pub mod catalog;
pub mod cli;
pub mod crd;
pub mod failure;
pub mod framework_plugin;
pub mod job_file;
pub mod operator;
pub mod plan;
pub mod plugin;
pub mod plugin_command;
pub mod run;
pub mod source;
