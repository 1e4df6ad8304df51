//! Programs in Python under test.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Context, Result, bail, ensure};

use crate::ROOT;

/// The python3 that has what a purpose of `setup/python` needs; what is missing is installed.
pub fn having(purpose: &str) -> Result<PathBuf> {
    let found = setup(&[purpose])?;
    ensure!(found.status.success(), "no Python for {purpose}: {}", String::from_utf8_lossy(&found.stderr));
    path(found)
}

/// The same where nothing is missing.
pub fn installed(purpose: &str) -> Result<Option<PathBuf>> {
    let found = setup(&["--installed", purpose])?;
    match found.status.code() {
        Some(0) => path(found).map(Some),
        Some(1) => Ok(None),
        _ => bail!("setup/python --installed {purpose}: {}", String::from_utf8_lossy(&found.stderr)),
    }
}

fn setup(arguments: &[&str]) -> Result<Output> {
    let script = Path::new(ROOT).join("setup/python");
    Command::new(script).args(arguments).output().context("cannot run setup/python")
}

fn path(found: Output) -> Result<PathBuf> {
    Ok(PathBuf::from(String::from_utf8(found.stdout)?.trim()))
}
