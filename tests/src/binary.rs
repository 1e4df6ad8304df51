//! The `trainyard` program under test.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::{env, fs};

use anyhow::{Context, Result, ensure};

/// Builds the program, once in this process, with the profile of this very program, and answers where it is.
///
/// Cargo tells a test only of the programs in its own package, and builds no others for it.
pub fn trainyard() -> Result<PathBuf> {
    static BUILT: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    BUILT.get_or_init(|| build().map_err(|error| format!("{error:#}"))).clone().map_err(anyhow::Error::msg)
}

/// Writes the hostile plugins that the program's own tests are made of into a folder, with a list of them.
pub fn hostile_components(folder: &Path) -> Result<()> {
    let (mut cargo, _) = cargo(&["test", "--lib"])?;
    let test = "plugin::hostile::table::components::as_files";
    cargo.args(["--", "--ignored", "--exact", test]).env("TRAINYARD_COMPONENTS", folder);
    let done = cargo.output().context("cannot run cargo")?;
    let said = String::from_utf8_lossy(&done.stderr);
    ensure!(done.status.success() && folder.join("list.json").exists(), "cargo wrote no hostile plugins: {said}");
    Ok(())
}

fn build() -> Result<PathBuf> {
    let (mut cargo, folder) = cargo(&["build", "--bin", "trainyard"])?;
    ensure!(cargo.status().context("cannot run cargo")?.success(), "cargo could not build trainyard");
    Ok(fs::canonicalize(folder.join("trainyard"))?)
}

/// Cargo, as this very program was built by it, and where it puts programs.
fn cargo(arguments: &[&str]) -> Result<(Command, PathBuf)> {
    let here = env::current_exe()?;
    // target/debug/deps/all-1234 or target/debug/control-plane
    let folder = here.ancestors().find(|folder| folder.join("deps").is_dir());
    let folder = folder.with_context(|| format!("{} is in no target folder", here.display()))?;
    let target = folder.parent().with_context(|| format!("{} has no parent", folder.display()))?;
    // The whole workspace, so that its features are those which the tests were built with: nothing is built twice.
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(arguments).args(["--quiet", "--locked", "--workspace", "--target-dir"]).arg(target);
    cargo.current_dir(crate::ROOT);
    if folder.ends_with("release") {
        cargo.arg("--release");
    }
    // Cargo tells a test of its package; build scripts that look at these variables would run again, and all above them.
    let told = env::vars_os().map(|(name, _)| name);
    for name in
        told.filter(|name| ["CARGO_PKG_", "CARGO_MANIFEST_"].iter().any(|of| name.to_string_lossy().starts_with(of)))
    {
        cargo.env_remove(name);
    }
    Ok((cargo, folder.to_owned()))
}
