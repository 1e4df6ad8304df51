//! What the Training Operator v1.9.4 did with a corpus of jobs, and what ours does.

use anyhow::Result;
use trainyard_tests::conformance;
use trainyard_tests::control_plane::is_skipped;
use trainyard_tests::takeover;

#[test]
fn cases_pass() -> Result<()> {
    if is_skipped() {
        return Ok(());
    }
    conformance::check(&[])
}

/// Whatever v1 was at when it was replaced: nothing is made, deleted or changed of what it left.
#[test]
fn jobs_of_v1_go_on() -> Result<()> {
    if is_skipped() {
        return Ok(());
    }
    assert_eq!(takeover::take_over(&[])?, []);
    Ok(())
}
