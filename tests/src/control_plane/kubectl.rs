//! kubectl, as an admin would type it.

use std::io::Write;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, anyhow, bail};

use super::ControlPlane;

impl ControlPlane {
    /// What it prints; when it fails, an error with what it complains of.
    pub fn kubectl(&self, arguments: &[&str]) -> Result<String> {
        self.kubectl_with(arguments, "")
    }

    /// The same, with an input: `["apply", "-f", "-"]`.
    pub fn kubectl_with(&self, arguments: &[&str], input: &str) -> Result<String> {
        let mut kubectl = Command::new(self.binaries.join("kubectl"))
            .args(arguments)
            .env("KUBECONFIG", self.kubeconfig())
            .env("KUBECACHEDIR", self.folder.join("kubectl-cache")) // never what another cluster answered
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .context("cannot start kubectl")?;
        let mut pipe = kubectl.stdin.take().context("kubectl has no input")?;
        let written = pipe.write_all(input.as_bytes());
        drop(pipe);
        let done = kubectl.wait_with_output()?;
        let complaint = String::from_utf8_lossy(&done.stderr);
        if !done.status.success() {
            bail!("kubectl {}: {}", arguments.join(" "), complaint.trim());
        }
        written.map_err(|error| anyhow!("kubectl {} did not read its input: {error}", arguments.join(" ")))?;
        Ok(String::from_utf8(done.stdout)?)
    }

    /// Applies a manifest that names its namespace.
    pub fn apply(&self, manifest: &str) -> Result<String> {
        self.kubectl_with(&["apply", "-f", "-"], manifest)
    }
}
