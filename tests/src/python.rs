//! Programs in Python under test.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::ROOT;

/// The python3 that has what a purpose of `setup/python` needs; what is missing is installed.
pub fn having(purpose: &str) -> Result<PathBuf> {
    let script = Path::new(ROOT).join("setup/python");
    let found = Command::new(script).arg(purpose).output().context("cannot run setup/python")?;
    ensure!(found.status.success(), "no Python for {purpose}: {}", String::from_utf8_lossy(&found.stderr));
    Ok(PathBuf::from(String::from_utf8(found.stdout)?.trim()))
}
