//! `make conformance`: the kit's cases against our operator.

use std::process::ExitCode;

use clap::Parser;
use trainyard_tests::{conformance, takeover};

/// Compares `trainyard operator` with what Training Operator v1.9.4 did, on a control plane of its own.
#[derive(Debug, Parser)]
struct Options {
    /// Start each case with what v1 left in the middle of it, and see whether our operator goes on from there
    #[arg(long)]
    takeover: bool,
    /// Cases, as `mpijob/*`; those that have to pass when there are none
    cases: Vec<String>,
}

fn main() -> ExitCode {
    let options = Options::parse();
    let done = if options.takeover {
        takeover::take_over(&options.cases).map(drop)
    } else {
        conformance::check(&options.cases)
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("conformance: {error:#}");
            ExitCode::FAILURE
        }
    }
}
