//! v1's jobs in our operator's hands: the conformance kit rebuilds what v1 left, in the middle of each case.

use std::io::{self, BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde_json::json;

use crate::conformance::{CONFIGURATIONS, install_kinds, named};
use crate::control_plane::{ADMINS, Request, Shape};
use crate::{ControlPlane, binary, pod_groups, python};

/// Rebuilds what v1 left behind in these cases (all, when none is named), then starts our operator: nothing may happen to
/// what is there, and the jobs have to go on as v1 would have gone on. Answers the changes to pods and services that our
/// operator asked for as it took over.
pub fn take_over(cases: &[String]) -> Result<Vec<Request>> {
    let cluster = ControlPlane::start(Shape::Bare)?;
    install_kinds(&cluster, &binary::trainyard()?)?;
    wait_for_garbage_collector(&cluster)?;
    let mut changes = Vec::new();
    let cases = if cases.is_empty() { &["*".to_owned()] } else { cases };
    let cases = named(&Path::new(env!("CARGO_MANIFEST_DIR")).join("conformance"), cases)?;
    for (config, scheduler, api_version) in CONFIGURATIONS {
        let required = cases.iter().filter(|(_, requires)| *requires == config).map(|(case, _)| case.as_str());
        let required: Vec<_> = required.collect();
        if required.is_empty() {
            continue;
        }
        api_version.map_or(Ok(()), |api_version| pod_groups::install(&cluster, api_version))?;
        changes.extend(with(&cluster, config, scheduler, &required)?);
    }
    Ok(changes)
}

/// It looks for new kinds every half minute, and before it does, what a deleted job owned stays.
fn wait_for_garbage_collector(cluster: &ControlPlane) -> Result<()> {
    let owner = json!({"apiVersion": "kubeflow.org/v1", "kind": "PyTorchJob", "name": "gone", "uid": "gone"});
    let metadata = json!({"name": "orphan", "namespace": "default", "ownerReferences": [owner]});
    let orphan = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata});
    cluster.kubectl_with(&["create", "-f", "-"], &orphan.to_string())?;
    cluster.wait_until(90, "the garbage collector to know the kinds", || {
        ensure!(!cluster.get("default", "configmaps")?.to_string().contains("orphan"), "an orphan is still there");
        Ok(())
    })
}

fn with(cluster: &ControlPlane, config: &str, scheduler: &str, cases: &[&str]) -> Result<Vec<Request>> {
    let kit = Path::new(env!("CARGO_MANIFEST_DIR")).join("conformance/conformance");
    let mut run = Command::new(python::having("conformance")?)
        .arg("-B") // no bytecode in the clone
        .arg(kit)
        .args(["takeover", "--config", config, "--parallel=16", "--quiet=1.5", "--silence=6", "--kubeconfig"])
        .arg(cluster.kubeconfig())
        .args(cases)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot start the conformance kit")?;
    let mut go = run.stdin.take().context("the kit has no input")?;
    let mut said = BufReader::new(run.stdout.take().context("the kit has no output")?);
    let mut line = String::new();
    said.read_line(&mut line)?;
    ensure!(line.starts_with("rebuilt "), "the kit could not rebuild what v1 left: {line}");
    // By its own name, so that the audit log tells it from the kit.
    let user = format!("operator-{config}");
    let flags = ["--webhook=false", &format!("--gang-scheduler-name={scheduler}")];
    let operator = cluster.operator(&cluster.kubeconfig_of(&user, ADMINS)?, &flags)?;
    writeln!(go, "{}", operator.metrics_url())?;
    line.clear();
    said.read_line(&mut line)?;
    ensure!(line.starts_with("taken over"), "the kit saw no takeover: {line}");
    let mut changes = cluster.requests()?;
    changes.retain(|request| request.user == user && is_change(request));
    writeln!(go)?;
    // Past the test harness, as the report of `check`.
    io::copy(&mut said, &mut io::stdout())?;
    let done = run.wait()?;
    cluster.check()?;
    // The next operator is to find only what is rebuilt for it.
    let definitions = cluster.kubectl(&["get", "crd", "--output=name"])?;
    let kinds: Vec<_> =
        definitions.lines().filter_map(|name| name.split_once('/')?.1.strip_suffix(".kubeflow.org")).collect();
    cluster.kubectl(&["delete", &kinds.join(","), "--all", "--all-namespaces"])?;
    ensure!(done.success(), "v1's jobs did not go on as under v1, {config}: the report is above");
    Ok(changes)
}

fn is_change(request: &Request) -> bool {
    let is_theirs = ["/pods", "/services"].iter().any(|resource| request.uri.contains(resource));
    let is_done = request.code < 300; // what is in a job's way is asked for again and again
    is_theirs && is_done && ["create", "update", "patch", "delete"].contains(&request.verb.as_str())
}
