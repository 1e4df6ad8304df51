//! The unmodified Python SDK of v1.9.4 against the operator, as its users use it: `tests/sdk`.

use std::io::{self, Write};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use trainyard_tests::control_plane::ADMINS;
use trainyard_tests::{ROOT, python};

use crate::operator::Place;

#[test]
fn jobs_of_the_python_sdk_live_as_its_users_expect() -> Result<()> {
    let Some(place) = Place::new("sdk")? else { return Ok(()) };
    let _operator = place.operator(&[], &[])?;
    let kubeconfig = place.cluster.kubeconfig_of("data-scientist", ADMINS)?;
    let path = kubeconfig.to_str().context("the path is not UTF-8")?;
    // The SDK takes its namespace from here.
    place.kubectl(&["config", "set-context", "--current", "--kubeconfig", path])?;
    let report = Command::new(python::having("sdk")?)
        .args(["-B", "-m", "pytest"]) // no bytecode in the clone
        .current_dir(format!("{ROOT}/tests/sdk"))
        .env("KUBECONFIG", &kubeconfig)
        .output()
        .context("cannot start pytest")?;
    // Past the test harness: how many tests there were is of interest also when all passed.
    io::stdout().write_all(&report.stdout)?;
    io::stderr().write_all(&report.stderr)?;
    place.cluster.check()?;
    ensure!(report.status.success(), "the SDK's tests failed: the report is above");
    Ok(())
}
