//! The conformance kit (`tests/conformance`) against our operator: does it do what the Training Operator v1.9.4 did?

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use crate::control_plane::Shape;
use crate::control_plane::admission::{by_service, webhook};
use crate::{ControlPlane, binary, pod_groups, python};

/// What cases require: the value of the kit's `--config`, the operator's gang scheduler, and the pod groups it needs.
pub(crate) const CONFIGURATIONS: [(&str, &str, Option<&str>); 3] = [
    ("none", "", None),
    ("volcano", "volcano", Some(pod_groups::VOLCANO)),
    ("scheduler-plugins", "scheduler-plugins", Some(pod_groups::SCHEDULER_PLUGINS)),
];

/// Runs the cases of these names (`pytorchjob/*`); those of the file `passing` when there are none. Each runs with an
/// operator of the configuration that it requires. The kit's own report goes to the terminal, as it comes.
pub fn check(cases: &[String]) -> Result<()> {
    let kit = Path::new(env!("CARGO_MANIFEST_DIR")).join("conformance");
    let cases = if cases.is_empty() { passing(&kit)? } else { named(&kit, cases)? };
    let python = python::having("conformance")?;
    let cluster = ControlPlane::start(Shape::Bare)?;
    install_kinds(&cluster, &binary::trainyard()?)?;
    let port = cluster.webhook_port()?;
    cluster.add_way_out()?;
    // The webhooks of the other kinds are the operator's to add.
    cluster.add_webhooks(&[webhook("PyTorchJob", &by_service("PyTorchJob", port))])?;
    let mut differing = Vec::new();
    for (config, scheduler, api_version) in CONFIGURATIONS {
        let required = cases.iter().filter(|(_, requires)| *requires == config).map(|(case, _)| case);
        let required: Vec<_> = required.collect();
        if required.is_empty() {
            continue;
        }
        api_version.map_or(Ok(()), |api_version| pod_groups::install(&cluster, api_version))?;
        let flags = [format!("--gang-scheduler-name={scheduler}"), format!("--webhook-server-port={port}")];
        let flags = [&flags[0], &flags[1], "--kube-api-qps=1000", "--kube-api-burst=2000"];
        let operator = cluster.operator(&cluster.kubeconfig(), &flags)?;
        let report = Command::new(&python)
            .arg("-B") // no bytecode in the clone
            .arg(kit.join("conformance"))
            // Beside other tests on few cores everything takes longer than the kit expects.
            .args(["check", "--config", config, "--parallel=8", "--quiet=1.5", "--silence=6"])
            .args(["--metrics", &operator.metrics_url(), "--kubeconfig"])
            .arg(cluster.kubeconfig())
            .args(required)
            .output()
            .context("cannot start the conformance kit")?;
        // Past the test harness: how many cases there were is of interest also when all passed.
        io::stdout().write_all(&report.stdout)?;
        io::stderr().write_all(&report.stderr)?;
        cluster.check()?;
        differing.extend((!report.status.success()).then_some(config));
    }
    ensure!(differing.is_empty(), "the operator differs from v1.9.4 with {differing:?}: the reports are above");
    Ok(())
}

/// The cases that have to pass, and what they require.
fn passing(kit: &Path) -> Result<BTreeMap<String, String>> {
    let list = fs::read_to_string(kit.join("passing"))?;
    let cases: Vec<String> = list.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect();
    named(kit, &cases).context("tests/conformance/passing")
}

/// The cases of these names, in which `*` is anything, and what they require.
pub(crate) fn named(kit: &Path, names: &[String]) -> Result<BTreeMap<String, String>> {
    let all = all(&kit.join("cases"))?;
    if let Some(name) = names.iter().find(|name| !all.keys().any(|case| matches(name, case))) {
        bail!("there is no case {name:?}");
    }
    Ok(all.into_iter().filter(|(case, _)| names.iter().any(|name| matches(name, case))).collect())
}

/// All cases, `<kind>/<name>`, and what they require.
fn all(folder: &Path) -> Result<BTreeMap<String, String>> {
    let mut cases = BTreeMap::new();
    for kind in fs::read_dir(folder)? {
        for case in fs::read_dir(kind?.path())? {
            let case = case?.path();
            let text = fs::read_to_string(case.join("case.yaml"))?;
            let requires = text.lines().find_map(|line| line.strip_prefix("requires:")).unwrap_or("none");
            let name = case.strip_prefix(folder)?.to_str().context("a case whose name is not UTF-8")?;
            cases.insert(name.to_owned(), requires.trim().to_owned());
        }
    }
    Ok(cases)
}

fn matches(pattern: &str, name: &str) -> bool {
    let Some((before, after)) = pattern.split_once('*') else { return pattern == name };
    let rest = name.strip_prefix(before);
    rest.is_some_and(|rest| (0..=rest.len()).any(|at| rest.get(at..).is_some_and(|rest| matches(after, rest))))
}

/// Answers when the API server serves the kinds that this trainyard knows.
pub(crate) fn install_kinds(cluster: &ControlPlane, trainyard: &Path) -> Result<()> {
    let printed = Command::new(trainyard).arg("crds").output()?;
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
