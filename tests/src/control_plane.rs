//! A real control plane on this machine: etcd, kube-apiserver and the controllers, with fake nodes by kwok.
//!
//! It lives in a folder of its own, on free loopback ports, and is gone with its owner: by `drop`, at the end of the
//! process, or when the process is killed.

pub mod admission;
mod audit;
mod certificates;
mod flags;
mod kubectl;
mod operator;
pub(crate) mod programs;
mod reader;

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::{env, fs};

use anyhow::{Context, Result, anyhow, ensure};

pub use self::audit::Request;
use self::certificates::Authority;
use self::flags::Ports;
pub use self::operator::Operator;
use self::programs::Programs;
use self::reader::Reader;
use crate::wait_until;

/// The group that may do everything.
pub const ADMINS: &str = "system:masters";

/// What runs beside etcd and the API server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// All controllers, the scheduler, and kwok, which plays the nodes.
    Full,
    /// The garbage collector and the namespace controller: nothing else touches a pod.
    Bare,
}

/// A running control plane.
pub struct ControlPlane {
    folder: PathBuf,
    binaries: PathBuf,
    server: String,
    authority: Authority,
    programs: Programs,
    reader: Reader,
    names: AtomicU32,
}

impl ControlPlane {
    /// The one that the tests of this process share, with four fake nodes, each test in namespaces of its own; it is
    /// started when first asked for.
    ///
    /// None on a laptop that cannot have one (`TRAINYARD_SKIP_CONTROL_PLANE=1`), and the terminal is told. Never in CI.
    pub fn shared() -> Result<Option<&'static Self>> {
        static SHARED: OnceLock<Result<ControlPlane, String>> = OnceLock::new();
        if is_skipped() {
            return Ok(None);
        }
        let start = || {
            let cluster = Self::start(Shape::Full)?;
            cluster.add_nodes(4)?;
            Ok(cluster)
        };
        let shared = SHARED.get_or_init(|| start().map_err(|error: anyhow::Error| format!("{error:#}")));
        shared.as_ref().map(Some).map_err(|error| anyhow!(error.clone()))
    }

    /// Answers when the API server is ready and pods can be created in the namespace `default`.
    pub fn start(shape: Shape) -> Result<Self> {
        let binaries = binaries()?;
        let folder = tempfile::Builder::new().prefix("trainyard-").tempdir()?.keep();
        let programs = Programs::new(&folder)?;
        let ports = Ports::free()?;
        let server = format!("https://127.0.0.1:{}", ports.server);
        let authority = Authority::new()?;
        let reader = Reader::new(&authority.kubeconfig(&server, "admin", ADMINS)?)?;
        let cluster = Self { folder, binaries, server, authority, programs, reader, names: AtomicU32::new(0) };
        cluster.write_files()?;
        cluster.start_programs(&ports, shape)?;
        Ok(cluster)
    }

    fn write_files(&self) -> Result<()> {
        self.authority.write_server(&self.folder)?;
        fs::write(self.folder.join("audit.yaml"), include_str!("control_plane/audit.yaml"))?;
        fs::write(self.folder.join("stages.yaml"), include_str!("control_plane/stages.yaml"))?;
        fs::write(self.folder.join("pod.log"), include_str!("control_plane/pod.log"))?;
        for user in ["admin", flags::CONTROLLERS, flags::SCHEDULER, flags::KWOK] {
            let config = self.authority.kubeconfig(&self.server, user, ADMINS)?;
            fs::write(self.folder.join(format!("{user}.kubeconfig")), config)?;
        }
        Ok(())
    }

    fn start_programs(&self, ports: &Ports, shape: Shape) -> Result<()> {
        let start = |name, flags: Vec<String>| self.programs.start(name, &self.binaries.join(name), &flags);
        start("etcd", flags::etcd(ports))?;
        start("kube-apiserver", flags::api_server(ports, shape))?;
        self.wait_until(120, "the API server", || self.reader.readyz())?;
        start("kube-controller-manager", flags::controller_manager(shape))?;
        match shape {
            Shape::Bare => Ok(()),
            Shape::Full => {
                start("kube-scheduler", flags::scheduler())?;
                start("kwok", flags::kwok(ports))?;
                self.wait_for_account("default")
            }
        }
    }

    /// Until it is there, pods are refused.
    fn wait_for_account(&self, namespace: &str) -> Result<()> {
        let account = || self.get(namespace, "serviceaccount/default");
        self.wait_until(60, "the service account `default`", account).map(drop)
    }

    /// As `wait_until` beside this module, but gives up when a program of the control plane has ended.
    pub fn wait_until<T>(&self, seconds: u64, what: &str, mut probe: impl FnMut() -> Result<T>) -> Result<T> {
        let answer = wait_until(seconds, what, || match self.programs.check() {
            Ok(()) => probe().map(Ok),
            Err(ended) => Ok(Err(ended)),
        })?;
        answer.with_context(|| format!("waiting for {what}"))
    }

    /// An error when a program of the control plane has ended.
    pub fn check(&self) -> Result<()> {
        self.programs.check()
    }

    /// A new namespace `<prefix>-<number>` in which pods can be created.
    pub fn namespace(&self, prefix: &str) -> Result<String> {
        let name = format!("{prefix}-{}", self.names.fetch_add(1, Ordering::Relaxed));
        self.kubectl(&["create", "namespace", &name])?;
        self.wait_for_account(&name)?;
        Ok(name)
    }

    /// Adds fake nodes of 64 CPUs, 512 GiB and 8 GPUs.
    pub fn add_nodes(&self, count: u32) -> Result<()> {
        let node = |_| {
            let name = format!("fake-{}", self.names.fetch_add(1, Ordering::Relaxed));
            include_str!("control_plane/node.yaml").replace("NAME", &name)
        };
        self.apply(&(0..count).map(node).collect::<String>()).map(drop)
    }

    /// The kubeconfig of a user who may do everything.
    pub fn kubeconfig(&self) -> PathBuf {
        self.folder.join("admin.kubeconfig")
    }

    /// A kubeconfig of a user in a group, who may do what role bindings say.
    pub fn kubeconfig_of(&self, user: &str, group: &str) -> Result<PathBuf> {
        let file = self.folder.join(format!("user-{}.kubeconfig", self.names.fetch_add(1, Ordering::Relaxed)));
        fs::write(&file, self.authority.kubeconfig(&self.server, user, group)?)?;
        Ok(file)
    }

    /// All requests so far but the control plane's own. One that was answered is there; a watch counts from its start.
    pub fn requests(&self) -> Result<Vec<Request>> {
        audit::read(&self.folder.join("audit.log"))
    }

    /// Where the programs are, kubectl among them.
    pub fn binaries(&self) -> &Path {
        &self.binaries
    }

    /// Where certificates, data and logs are.
    pub fn folder(&self) -> &Path {
        &self.folder
    }
}

/// Builds what is missing, which the script tells the terminal.
fn binaries() -> Result<PathBuf> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("control-plane/build");
    let built = Command::new(&script).stderr(Stdio::inherit()).output();
    let built = built.with_context(|| format!("cannot run {}", script.display()))?;
    ensure!(
        built.status.success(),
        "there is no control plane to test against: {} failed; TRAINYARD_SKIP_CONTROL_PLANE=1 leaves these tests out",
        script.display(),
    );
    Ok(PathBuf::from(String::from_utf8(built.stdout)?.trim()))
}

/// Whether tests do without a control plane here; says so, once.
pub fn is_skipped() -> bool {
    static TOLD: OnceLock<()> = OnceLock::new();
    let skipped = env::var("TRAINYARD_SKIP_CONTROL_PLANE").is_ok_and(|value| value == "1");
    if !skipped || env::var_os("CI").is_some() {
        return false;
    }
    // Past the test harness, which shows what a passing test prints to nobody.
    TOLD.get_or_init(|| {
        let _ = writeln!(io::stderr(), "SKIPPED: all tests on a control plane (TRAINYARD_SKIP_CONTROL_PLANE=1)");
    });
    true
}
