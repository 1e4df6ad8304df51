//! The examples that train: on this machine, each with its real framework, where that is installed.

use std::env;
use std::io::{self, Write};
use std::process::Command;

use anyhow::{Context, Result};
use trainyard_tests::{ROOT, binary, python};

use super::program::Running;

#[test]
fn pytorch_trains() -> Result<()> {
    trains("pytorch")
}

#[test]
fn xgboost_trains() -> Result<()> {
    trains("xgboost")
}

#[test]
fn tensorflow_trains() -> Result<()> {
    trains("tensorflow")
}

#[test]
fn paddle_trains() -> Result<()> {
    trains("paddle")
}

#[test]
fn jax_trains() -> Result<()> {
    trains("jax")
}

/// The script itself fails unless every replica was there, all ended with the same model, and the model is a good one.
fn trains(framework: &str) -> Result<()> {
    let Some(python) = python::installed(framework)? else {
        // Past the test harness, which shows what a passing test prints to nobody.
        writeln!(io::stderr(), "LEFT OUT: {framework} trains nothing, it is not installed; make frameworks does that")?;
        return Ok(());
    };
    let folder = python.parent().context("python3 is in no folder")?.to_owned();
    let path = env::var_os("PATH").unwrap_or_default();
    let path = env::join_paths([folder].into_iter().chain(env::split_paths(&path)))?;
    let mut command = Command::new(binary::trainyard()?);
    command.args(["run", "-f", &format!("examples/{framework}/digits.yaml")]).current_dir(ROOT).env("PATH", path);
    let ended = Running::of(command, "")?.end_within(600)?;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.out.contains("| done: test accuracy 9"), "{ended:?}");
    Ok(())
}
