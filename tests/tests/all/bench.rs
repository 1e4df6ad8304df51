//! The bench measures: not how fast, for no test asserts a time, but that it counts what happens.

use std::process::Command;

use anyhow::{Context, Result, ensure};
use clap::Parser;
use trainyard_tests::bench::{self, Options};
use trainyard_tests::{binary, control_plane};

#[test]
fn a_small_bench_counts_what_happens() -> Result<()> {
    if control_plane::is_skipped() {
        return Ok(());
    }
    let mut options = Options::parse_from(["bench", "--jobs=3", "--workers=2", "--large=8", "--turns=1", "--quiet=1"]);
    options.trainyard = binary::trainyard()?;
    let report = bench::run(&options)?; // it ends well when every job has succeeded
    let table = report.markdown();
    let row = |name: &str| {
        let row = table.lines().map(|line| line.split('|').map(str::trim).collect::<Vec<_>>());
        let value = row.into_iter().find(|cells| cells.get(1) == Some(&name)).and_then(|cells| cells.get(2).copied());
        value.with_context(|| format!("there is no row {name:?} in {table}"))
    };
    assert_eq!(row("")?, "trainyard", "{table}");
    for (name, expected) in [
        ("create pods 201", "3"), // a job's, in the first table
        ("create services 201", "3"),
        ("requests refused otherwise", "0"),
    ] {
        assert_eq!(row(name)?, expected, "{name} in {table}");
    }
    for name in ["requests a job", "plugin calls a job", "passes a job", "update pytorchjobs/status 200"] {
        let count: f64 = row(name)?.parse().with_context(|| format!("{name} is no number"))?;
        assert!(count > 0.0, "{name} is {count} in {table}");
    }
    ensure!(table.contains("## One PyTorchJob of 8 pods"), "no large job: {table}");
    for name in ["CPU a job", "memory at the end", "pods created", "pods created by a plain client"] {
        assert!(row(name)?.starts_with(|digit: char| digit.is_ascii_digit()), "{name} is not told in {table}");
    }
    assert_eq!(report.svg().matches("<polyline").count(), 2 * table.matches("## One ").count(), "{}", report.svg());
    Ok(())
}

#[test]
fn its_command_line_is_clear() -> Result<()> {
    for (arguments, code, says) in [
        (["--help"], 0, "{kubeconfig}"),
        (["--jobs=0"], 2, "invalid value '0' for '--jobs <NUMBER>'"),
        (["--large=many"], 2, "invalid value 'many' for '--large <NUMBER>'"),
    ] {
        let done = Command::new(env!("CARGO_BIN_EXE_bench")).args(arguments).output()?;
        let said = [done.stdout, done.stderr].concat();
        let said = String::from_utf8(said)?;
        assert_eq!(done.status.code(), Some(code), "{arguments:?}: {said}");
        assert!(said.contains(says), "{arguments:?}: {said}");
    }
    Ok(())
}
