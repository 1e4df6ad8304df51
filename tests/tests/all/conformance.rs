//! What the Training Operator v1.9.4 did with a corpus of jobs, and what ours does.

use anyhow::Result;
use trainyard_tests::conformance;
use trainyard_tests::control_plane::is_skipped;

#[test]
fn cases_pass() -> Result<()> {
    if is_skipped() {
        return Ok(());
    }
    conformance::check(&[])
}
