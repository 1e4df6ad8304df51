//! The conformance kit (`tests/conformance`) against our operator: does it do what the Training Operator v1.9.4 did?

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use crate::control_plane::Shape;
use crate::{ControlPlane, ROOT, binary};

/// Runs the cases of these names (`pytorchjob/*`); those of the file `passing` when there are none. The kit's own
/// report goes to the terminal, as it comes.
pub fn check(cases: &[String]) -> Result<()> {
    let kit = Path::new(env!("CARGO_MANIFEST_DIR")).join("conformance");
    let cases = if cases.is_empty() { passing(&kit)? } else { cases.to_vec() };
    let python = python()?;
    let cluster = ControlPlane::start(Shape::Bare)?;
    install_kinds(&cluster)?;
    let operator = cluster.operator(&cluster.kubeconfig(), &["--kube-api-qps=1000", "--kube-api-burst=2000"])?;
    let report = Command::new(python)
        .arg("-B") // no bytecode in the clone
        .arg(kit.join("conformance"))
        // Beside other tests on few cores everything takes longer than the kit expects.
        .args(["check", "--parallel=8", "--quiet=1.5", "--silence=6"])
        .args(["--metrics", &operator.metrics_url(), "--kubeconfig"])
        .arg(cluster.kubeconfig())
        .args(&cases)
        .output()
        .context("cannot start the conformance kit")?;
    // Past the test harness: how many cases there were is of interest also when all passed.
    io::stdout().write_all(&report.stdout)?;
    io::stderr().write_all(&report.stderr)?;
    cluster.check()?;
    ensure!(report.status.success(), "the operator differs from v1.9.4: the report is above");
    Ok(())
}

fn passing(kit: &Path) -> Result<Vec<String>> {
    let list = fs::read_to_string(kit.join("passing"))?;
    let cases: Vec<String> = list.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect();
    for case in &cases {
        ensure!(kit.join("cases").join(case).is_dir(), "tests/conformance/passing: there is no case {case:?}");
    }
    Ok(cases)
}

fn python() -> Result<PathBuf> {
    let script = Path::new(ROOT).join("setup/python");
    let found = Command::new(script).arg("conformance").output().context("cannot run setup/python")?;
    ensure!(found.status.success(), "no Python for the kit: {}", String::from_utf8_lossy(&found.stderr));
    Ok(PathBuf::from(String::from_utf8(found.stdout)?.trim()))
}

fn install_kinds(cluster: &ControlPlane) -> Result<()> {
    let printed = Command::new(binary::trainyard()?).arg("crds").output()?;
    if !printed.status.success() {
        bail!("trainyard crds: {}", String::from_utf8_lossy(&printed.stderr));
    }
    cluster.kubectl_with(&["apply", "--server-side", "-f", "-"], &String::from_utf8(printed.stdout)?)?;
    // kubectl itself fails where a definition has no status yet.
    let all = ["wait", "--for=condition=Established", "crd", "--all", "--timeout=10s"];
    cluster.wait_until(60, "the kinds to be established", || cluster.kubectl(&all))?;
    // The group of a new kind is served a moment later.
    let names = cluster.kubectl(&["get", "crd", "--output=name"])?;
    let kinds: Vec<_> = names.lines().filter_map(|name| name.split('/').nth(1)).collect();
    let list = ["get", &kinds.join(","), "--all-namespaces"];
    cluster.wait_until(60, "the kinds to be served", || cluster.kubectl(&list)).map(drop)
}
