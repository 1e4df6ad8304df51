//! Starts `trainyard` and looks at what it has done.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tempfile::TempDir;
use trainyard_tests::{binary, wait_until};

/// What a program left.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) code: Option<i32>,
    pub(super) out: String,
    pub(super) err: String,
}

impl Ended {
    /// The lines of one replica, without its name.
    pub(super) fn of(&self, replica: &str) -> Vec<&str> {
        let mine = |line: &'_ str| line.split_once('|').is_some_and(|(name, _)| name.trim() == replica);
        self.out
            .lines()
            .filter(|line| mine(line))
            .filter_map(|line| line.split_once("| "))
            .map(|(_, text)| text)
            .collect()
    }

    /// Exit code and restarts in the table at the end.
    pub(super) fn row(&self, replica: &str) -> Option<(String, String)> {
        let row = self.err.lines().rev().find(|line| line.split_whitespace().next() == Some(replica))?;
        let mut cells = row.split_whitespace().skip(1).map(str::to_owned);
        Some((cells.next()?, cells.next()?))
    }
}

/// `trainyard` with those arguments, to its end.
pub(super) fn trainyard(arguments: &[&str]) -> Result<Ended> {
    Running::start(arguments, "")?.end()
}

/// `trainyard run` of a job, to its end.
pub(super) fn run(job: &Value) -> Result<Ended> {
    Running::start(&["run", "-f", "-"], &job.to_string())?.end()
}

/// A master, and what else `types` has.
pub(super) fn job(types: Value) -> Value {
    json!({
        "apiVersion": "kubeflow.org/v1",
        "kind": "PyTorchJob",
        "metadata": {"name": "train"},
        "spec": {"runPolicy": {}, "pytorchReplicaSpecs": types},
    })
}

/// Replicas that run a shell script.
pub(super) fn replicas(count: u32, policy: &str, script: &str) -> Value {
    let container = json!({"name": "pytorch", "image": "unused", "command": ["sh", "-c", script]});
    json!({"replicas": count, "restartPolicy": policy, "template": {"spec": {"containers": [container]}}})
}

/// A job of one replica.
pub(super) fn master(policy: &str, script: &str) -> Value {
    job(json!({"Master": replicas(1, policy, script)}))
}

/// A running `trainyard`, with its output in files.
pub(super) struct Running {
    child: Child,
    folder: TempDir,
}

impl Running {
    pub(super) fn start(arguments: &[&str], input: &str) -> Result<Self> {
        Self::start_as(&binary::trainyard()?, arguments, input)
    }

    /// Starts that copy of it.
    pub(super) fn start_as(program: &Path, arguments: &[&str], input: &str) -> Result<Self> {
        let mut command = Command::new(program);
        command.args(arguments);
        Self::of(command, input)
    }

    /// Starts that command.
    pub(super) fn of(mut command: Command, input: &str) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let path = |name| folder.path().join(name);
        fs::write(path("in"), input)?;
        command.stdin(File::open(path("in"))?);
        command.stdout(File::create(path("out"))?).stderr(File::create(path("err"))?);
        command.env_remove("RUST_LOG").env_remove("KUBEFLOW_NAMESPACE");
        let child = command.spawn()?;
        Ok(Self { child, folder })
    }

    /// Waits until a replica has said that.
    pub(super) fn said(&self, text: &str) -> Result<()> {
        wait_until(60, text, || {
            let out = self.read("out")?;
            ensure!(out.contains(text), "standard output is {out:?}, standard error is {:?}", self.read("err"));
            Ok(())
        })
    }

    pub(super) fn signal(&self, signal: &str) -> Result<()> {
        kill(signal, self.child.id())
    }

    /// Waits until it has ended.
    pub(super) fn end(self) -> Result<Ended> {
        self.end_within(60)
    }

    /// The same, with more or less patience.
    pub(super) fn end_within(mut self, seconds: u64) -> Result<Ended> {
        let status = wait_until(seconds, "trainyard to end", || self.status()?.context("it still runs"));
        if status.is_err() {
            let _ = self.child.kill();
        }
        let code = status.with_context(|| format!("{:?}", self.read("err")))?.code();
        Ok(Ended { code, out: self.read("out")?, err: self.read("err")? })
    }

    fn status(&mut self) -> Result<Option<ExitStatus>> {
        Ok(self.child.try_wait()?)
    }

    fn read(&self, name: &str) -> Result<String> {
        Ok(String::from_utf8_lossy(&fs::read(self.folder.path().join(name))?).into_owned())
    }
}

pub(super) fn kill(signal: &str, pid: u32) -> Result<()> {
    let done = Command::new("kill").args([&format!("-{signal}"), &pid.to_string()]).stderr(Stdio::null()).status()?;
    ensure!(done.success(), "there is no process {pid}");
    Ok(())
}

/// Waits until no process has that word among its arguments.
pub(super) fn all_gone(marker: &str) -> Result<()> {
    wait_until(20, "the processes of replicas to be gone", || {
        let left = processes(|arguments, _| arguments.contains(marker))?;
        ensure!(left.is_empty(), "there is {left:?} with {marker}");
        Ok(())
    })
}

/// Processes of that kind, by their arguments and their parent.
pub(super) fn processes(is_meant: impl Fn(&str, u32) -> bool) -> Result<Vec<u32>> {
    let mut found = Vec::new();
    for folder in fs::read_dir("/proc")?.flatten() {
        let Ok(pid) = folder.file_name().to_string_lossy().parse() else { continue };
        let read = |name| fs::read(folder.path().join(name)).map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        let (Ok(arguments), Ok(stat)) = (read("cmdline"), read("stat")) else { continue };
        let parent = stat.rsplit_once(") ").and_then(|(_, rest)| rest.split(' ').nth(1)?.parse().ok());
        if is_meant(&arguments, parent.unwrap_or_default()) {
            found.push(pid);
        }
    }
    Ok(found)
}

/// A word that no other process has among its arguments.
pub(super) fn marker(test: &str) -> String {
    format!("marker-{test}-{}", std::process::id())
}

/// The only guard of a running job, and the file in which a replica keeps what it remembers.
pub(super) fn guard(of: &Running) -> Result<u32> {
    let guards = processes(|arguments, parent| arguments.contains("__replica") && parent == of.child.id())?;
    guards.first().copied().context("there is no guard")
}

/// A file that a replica may use to remember that it has run before.
pub(super) fn memory(folder: &Path) -> PathBuf {
    folder.join("ran-before")
}
