//! `trainyard operator` beside a control plane.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, ExitStatus};
use std::time::Duration;
use std::{env, fs};

use anyhow::{Context, Result, ensure};
use rustix::process::{Pid, Signal, kill_process_group};

use super::programs::Program;
use super::{ControlPlane, flags};
use crate::binary;

/// A running operator; killed when dropped.
pub struct Operator<'a> {
    cluster: &'a ControlPlane,
    program: Program,
    metrics: u16,
    health: u16,
}

impl ControlPlane {
    /// Starts an operator and waits until it is ready. `kubeconfig` says as whom it acts.
    pub fn operator(&self, kubeconfig: &Path, arguments: &[&str]) -> Result<Operator<'_>> {
        let (metrics, health) = (flags::free_port()?, flags::free_port()?);
        let mut all = vec![
            "operator".to_owned(),
            format!("--kubeconfig={}", kubeconfig.display()),
            format!("--metrics-bind-address=127.0.0.1:{metrics}"),
            format!("--health-probe-bind-address=127.0.0.1:{health}"),
        ];
        all.extend(arguments.iter().map(|&argument| argument.to_owned()));
        let name = format!("operator-{health}");
        let program = self.programs.start_apart(&name, &binary::trainyard()?, &all)?;
        let mut operator = Operator { cluster: self, program, metrics, health };
        let ready = self.wait_until(60, "the operator to be ready", || match operator.check() {
            Ok(()) => get(operator.health, "/readyz").map(Ok),
            Err(ended) => Ok(Err(ended)),
        })?;
        ready.map(|_| operator)
    }

    /// Starts any operator, by a shell's words for one program, and does not wait. In them `{kubeconfig}` stands for a
    /// file, `{metrics}` and `{health}` for addresses, `{webhook}` for a port, all of this operator alone.
    pub fn operator_by(&self, command: &str, kubeconfig: &Path) -> Result<Operator<'_>> {
        let (metrics, health) = (flags::free_port()?, flags::free_port()?);
        let command = command
            .replace("{kubeconfig}", &kubeconfig.display().to_string())
            .replace("{metrics}", &format!("127.0.0.1:{metrics}"))
            .replace("{health}", &format!("127.0.0.1:{health}"))
            .replace("{webhook}", &flags::free_port()?.to_string());
        // Files are named from where we are; `exec`, so that the process is the operator and no shell.
        let arguments =
            ["-c".to_owned(), format!("cd \"$0\" && exec {command}"), env::current_dir()?.display().to_string()];
        let program = self.programs.start_apart(&format!("operator-{health}"), Path::new("sh"), &arguments)?;
        Ok(Operator { cluster: self, program, metrics, health })
    }
}

impl Operator<'_> {
    /// Its metrics, as Prometheus would read them.
    pub fn metrics(&self) -> Result<String> {
        get(self.metrics, "/metrics")
    }

    /// Where a client finds them.
    pub fn metrics_url(&self) -> String {
        format!("http://127.0.0.1:{}/metrics", self.metrics)
    }

    /// An error with the last lines of its log when it has ended.
    pub fn check(&mut self) -> Result<()> {
        self.program.check()
    }

    /// Its process, and the process group of all that it starts.
    pub fn pid(&self) -> u32 {
        self.program.child.id()
    }

    /// What it has logged so far.
    pub fn log(&self) -> Result<String> {
        fs::read_to_string(&self.program.log).context("the operator has no log")
    }

    /// Asks it to end, as a kubelet would, and waits until it has.
    pub fn terminate(mut self) -> Result<ExitStatus> {
        let pid = self.program.child.id().to_string();
        let sent = Command::new("kill").args(["-TERM", &pid]).status()?;
        ensure!(sent.success(), "the operator has ended before it was asked to");
        Ok(self.program.child.wait()?)
    }
}

impl Drop for Operator<'_> {
    fn drop(&mut self) {
        let _ = kill_process_group(Pid::from_child(&self.program.child), Signal::KILL);
        let _ = self.program.child.wait();
        let _ = self.cluster.programs.forget(self.program.child.id());
    }
}

/// An HTTP request by hand: a client library would be the largest dependency of the tests.
fn get(port: u16, path: &str) -> Result<String> {
    let mut stream =
        TcpStream::connect(("127.0.0.1", port)).with_context(|| format!("nobody listens on port {port}"))?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    write!(stream, "GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").with_context(|| format!("{path} has no answer"))?;
    let status = head.lines().next().unwrap_or_default();
    ensure!(status.split(' ').nth(1) == Some("200"), "{path} answers {status}");
    Ok(body.to_owned())
}
