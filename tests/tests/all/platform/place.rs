//! A cluster as an admin has it: what `deploy/` says is installed, and the operator may do that and no more.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};
use trainyard_tests::control_plane::{Operator, Shape, is_skipped};
use trainyard_tests::{ControlPlane, ROOT};

use crate::operator::made_up;
use crate::operator::place::{install_kinds, text, trainyard};

/// As whom the operator acts: its service account in `deploy/`.
const ACCOUNT: &str = "system:serviceaccount:kubeflow:training-operator";

/// What an admin grants for the kind.
pub(super) const ROLE: &str = "
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata:
  name: ring
  labels: {trainyard.dev/aggregate-to-operator: 'true'}
rules:
- {apiGroups: [example.com], resources: [ringjobs], verbs: [list, watch, delete]}
- {apiGroups: [example.com], resources: [ringjobs/status, ringjobs/finalizers], verbs: [update]}
";

/// The one bundled kind beside those of `FrameworkPlugin`s: the API server and the operator are busy for seconds
/// with all of them.
const BUNDLED: &str = "XGBoostJob";

/// A cluster, and the files of its operator.
pub(super) struct Place {
    pub(super) cluster: ControlPlane,
    kubeconfig: PathBuf,
    cache: tempfile::TempDir,
}

impl Place {
    /// None on a laptop that cannot have a control plane.
    pub(super) fn new() -> Result<Option<Self>> {
        if is_skipped() {
            return Ok(None);
        }
        let cluster = ControlPlane::start(Shape::Full)?;
        cluster.add_nodes(4)?;
        install_kinds(&cluster, &trainyard(&["crds", "FrameworkPlugin", BUNDLED])?)?;
        cluster.kubectl(&["apply", "--server-side", "-k", &format!("{ROOT}/deploy")])?;
        let kubeconfig = cluster.kubeconfig_of(ACCOUNT, "system:serviceaccounts")?;
        Ok(Some(Self { cluster, kubeconfig, cache: tempfile::tempdir()? }))
    }

    pub(super) fn operator(&self) -> Result<Operator<'_>> {
        self.operator_with(&[])
    }

    pub(super) fn operator_with(&self, arguments: &[&str]) -> Result<Operator<'_>> {
        let cache = format!("--plugin-cache={}", self.cache.path().display());
        let kinds = format!("--enable-scheme={BUNDLED}");
        self.cluster.operator(&self.kubeconfig, &[&["--webhook=false", &*cache, &*kinds], arguments].concat())
    }

    /// What its operators keep on disk.
    pub(super) fn cache(&self) -> &Path {
        self.cache.path()
    }

    /// Applies a `FrameworkPlugin`.
    pub(super) fn plugin(&self, name: &str, spec: &Value) -> Result<()> {
        let plugin = json!({
            "apiVersion": "trainyard.dev/v1alpha1",
            "kind": "FrameworkPlugin",
            "metadata": {"name": name},
            "spec": spec,
        });
        self.cluster.apply(&plugin.to_string()).map(drop)
    }

    /// Puts a component into a ConfigMap beside the operator.
    pub(super) fn config_map(&self, name: &str, component: &[u8]) -> Result<()> {
        let map = json!({
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": name, "namespace": "kubeflow"},
            "binaryData": {"plugin.wasm": BASE64_STANDARD.encode(component)},
        });
        // Client-side apply would keep it twice.
        self.cluster
            .kubectl_with(&["apply", "--server-side", "--force-conflicts", "-f", "-"], &map.to_string())
            .map(drop)
    }

    /// Waits until a condition of a plugin is so, and answers its reason.
    pub(super) fn wait_for(&self, plugin: &str, condition: &str, status: &str) -> Result<String> {
        self.cluster.wait_until(60, &format!("{condition}={status} of {plugin}"), || {
            let found = self.status(plugin)?;
            let is_meant = |each: &&Value| each["type"] == condition && each["status"] == status;
            let is_meant = found["conditions"].as_array().into_iter().flatten().find(is_meant);
            Ok(text(&is_meant.with_context(|| format!("its status is {found}"))?["reason"]))
        })
    }

    /// Waits until that digest is the active one.
    pub(super) fn wait_until_active(&self, plugin: &str, digest: &str) -> Result<()> {
        self.cluster.wait_until(60, &format!("{digest} to be active"), || {
            let found = self.status(plugin)?;
            ensure!(found["active"]["digest"] == digest, "its status is {found}");
            Ok(())
        })
    }

    pub(super) fn status(&self, plugin: &str) -> Result<Value> {
        Ok(self.cluster.get("", &format!("frameworkplugin/{plugin}"))?["status"].clone())
    }

    /// What the operator may do, as it would be told.
    pub(super) fn rights(&self) -> Result<Vec<String>> {
        let list = self.cluster.kubectl(&["auth", "can-i", "--list", "--as", ACCOUNT, "--namespace=default"])?;
        let mut lines: Vec<_> =
            list.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
        lines.sort();
        Ok(lines)
    }
}

/// A figure for whoever runs the tests: what `println!` says is kept from them unless a test fails.
pub(super) fn print(figure: &str) -> Result<()> {
    Ok(std::io::stdout().write_all(format!("{figure}\n").as_bytes())?)
}

/// The component of a framework that nobody has heard of, whose bytes, but for a comment, are always the same.
pub(super) fn ring(comment: &str) -> Result<Vec<u8>> {
    let mut component = fs::read(made_up::ring()?)?;
    let mut section = vec![u8::try_from("comment".len())?];
    section.extend(b"comment");
    section.extend(comment.bytes());
    component.extend([0, u8::try_from(section.len()).context("a comment is short")?]); // less than 128: one byte of LEB128
    component.extend(section);
    Ok(component)
}

/// Whether the process is the one that it was: its id, and when it started.
pub(super) fn identity(operator: &Operator<'_>) -> Result<String> {
    let stat = fs::read_to_string(format!("/proc/{}/stat", operator.pid()))?;
    let started = stat.rsplit(") ").next().and_then(|fields| fields.split(' ').nth(19)).context("no start time")?;
    Ok(format!("{} since {started}", operator.pid()))
}
