//! What holds for every job that is valid, of every bundled kind: random jobs, the real plugins, the real engine.
//!
//! The seed is fixed; `PROPTEST_CASES=1000` tries more jobs of each kind, `PROPTEST_RNG_SEED=7` others. A job that fails
//! is made as small as it goes and printed.

mod generate;
mod promises;
mod world;

use std::sync::Arc;

use proptest::test_runner::{Config, RngSeed, TestRunner, contextualize_config};
use trainyard::catalog::LoadedKind;

use crate::kinds;

/// Jobs of each kind.
const CASES: u32 = 30;

/// The other of each pair has never seen the job.
fn runs(kind: &LoadedKind, other: &LoadedKind) {
    let config = Config {
        cases: CASES,
        rng_seed: RngSeed::Fixed(1),
        failure_persistence: None,
        max_shrink_iters: 2000,
        ..Config::default()
    };
    let mut runner = TestRunner::new(contextualize_config(config));
    let failed = runner.run(&generate::job(kind), |job| promises::are_kept(kind, other, &job.0));
    if let Err(failure) = failed {
        panic!("{}: {failure}", kind.kind.kind);
    }
}

#[test]
fn promises_are_kept_to_every_job() {
    let others: Vec<Arc<LoadedKind>> = kinds::load();
    std::thread::scope(|scope| {
        for (kind, other) in kinds::all().iter().zip(&others) {
            scope.spawn(move || runs(kind, other));
        }
    });
}
