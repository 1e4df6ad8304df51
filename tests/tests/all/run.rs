//! `trainyard run`, `plan`, `plugin` and the rest of the command line: the real program, real plugins, real processes.

mod endings;
mod examples;
mod input;
mod life;
mod output;
mod plan;
mod program;
pub(crate) mod registry;
