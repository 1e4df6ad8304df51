//! `make conformance`: the kit's cases against our operator. Arguments name the cases; none means those that must pass.

use std::env;

use anyhow::Result;
use trainyard_tests::conformance;

fn main() -> Result<()> {
    let cases: Vec<String> = env::args().skip(1).collect();
    conformance::check(&cases)
}
