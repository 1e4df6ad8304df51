//! The child's parent: starts it, feeds it, listens, and ends it.

use std::io::{Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};
use std::{fs, thread};

use rustix::process::{DumpableBehavior, Signal, set_dumpable_behavior};

use super::child::{COMPILE, UNFIT, header};
use super::{Code, CompileLimit, CompileLimits};
use crate::plugin::{LoadError, log::one_line};

/// This program, even if its file has been replaced since.
const OURSELVES: &str = "/proc/self/exe";
/// How often it is looked how much memory it takes.
const LOOK: Duration = Duration::from_millis(50);
/// Bytes of what a compiler says before it fails.
const WORDS: u64 = 4 << 10;

/// Where a container reads how much memory it may use, in bytes.
const MEMORY_MAX: &str = "/sys/fs/cgroup/memory.max";
/// Less address space than this compiles hardly anything.
const LEAST: u64 = 512 << 20;

/// A child that does not outlive this, be it that it is done with or that it cannot be listened to.
pub(super) struct Running(pub(super) Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It has ended already, and left its status.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What a child made of its input.
pub(super) struct Ended {
    pub(super) code: Vec<u8>,
    pub(super) said: String,
    /// It did not end by itself in time.
    pub(super) is_late: bool,
    pub(super) status: ExitStatus,
    /// Bytes, as far as it was seen.
    pub(super) memory: u64,
}

/// The machine code of a component. Set `stop`, and nobody wants it any more.
pub(super) fn compile(limits: &CompileLimits, bytes: &[u8], stop: &AtomicBool) -> Result<Code, LoadError> {
    let room = fs::read_to_string(MEMORY_MAX).ok().and_then(|text| text.trim().parse().ok());
    let limits = CompileLimits { memory: share(limits.memory, room), ..*limits };
    let ended = start().and_then(|child| watch(child, &limits, bytes, stop));
    let ended = ended.map_err(|error| LoadError::NoCompiler(error.to_string()))?;
    judge(ended, &limits)
}

/// Of what the container has in all, so that the operator has the rest.
pub(super) fn share(memory: u64, room: Option<u64>) -> u64 {
    room.map_or(memory, |room| memory.min((room / 4 * 3).max(LEAST)))
}

/// Without an environment, in which there may be secrets; and what runs as the same user cannot look into ours.
pub(super) fn start() -> std::io::Result<Running> {
    set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    let mut command = Command::new(OURSELVES);
    command.arg(COMPILE).env_clear().current_dir("/");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().map(Running)
}

fn watch(mut child: Running, limits: &CompileLimits, bytes: &[u8], stop: &AtomicBool) -> std::io::Result<Ended> {
    let (stdin, stdout, stderr) = (child.0.stdin.take(), child.0.stdout.take(), child.0.stderr.take());
    // If a thread is refused, the child goes first: those that there are wait for its end.
    thread::scope(move |scope| {
        let thread = || thread::Builder::new().name("plugin-compile".into());
        let (open, ends) = mpsc::channel::<()>();
        thread().spawn_scoped(scope, move || {
            // If it stops reading, it says why.
            stdin.map(|mut stdin| stdin.write_all(&header(limits)).and_then(|()| stdin.write_all(bytes)))
        })?;
        let stderr_open = open.clone();
        let code = thread().spawn_scoped(scope, move || read(stdout, limits.output, open))?;
        let said = thread().spawn_scoped(scope, move || read(stderr, WORDS, stderr_open))?;
        let (until, mut memory) = (Instant::now() + limits.wall, 0);
        let is_late = loop {
            let left = until.saturating_duration_since(Instant::now());
            let waited = ends.recv_timeout(left.min(LOOK));
            memory = high_water(child.0.id()).unwrap_or(memory);
            match waited {
                Err(RecvTimeoutError::Timeout) if left > LOOK && !stop.load(Relaxed) => {}
                Err(RecvTimeoutError::Timeout) => break true,
                Ok(()) | Err(RecvTimeoutError::Disconnected) => break false,
            }
        };
        // Who has closed both is ending, and keeps its status; or it wants to stay, and does not.
        child.0.kill()?;
        let status = child.0.wait()?;
        let [code, said] = [code, said].map(|thread| thread.join().unwrap_or_default());
        Ok(Ended { code, said: one_line(&String::from_utf8_lossy(&said)), is_late, status, memory })
    })
}

/// The most bytes of memory that a process has had; None once it has let go of it.
fn high_water(process: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.split_whitespace().next()?.parse::<u64>().ok().map(|kibibytes| kibibytes << 10)
}

/// One byte more than the limit shows that there is more. `open` is dropped at the end.
fn read(from: Option<impl Read>, limit: u64, open: Sender<()>) -> Vec<u8> {
    let mut bytes = Vec::new();
    // What cannot be read is missing, and the status says why.
    let _ = from.map(|from| from.take(limit + 1).read_to_end(&mut bytes));
    drop(open);
    bytes
}

pub(super) fn judge(ended: Ended, limits: &CompileLimits) -> Result<Code, LoadError> {
    let Ended { code, said, is_late, status, memory } = ended;
    let is_out_of_memory = || {
        // The words of Rust, of the system and of wasmtime.
        let words = ["memory allocation of", "Cannot allocate memory", "out of memory"];
        words.iter().any(|words| said.contains(words))
    };
    let limit = if is_late {
        CompileLimit::Time { limit: limits.wall }
    } else if code.len() as u64 > limits.output {
        CompileLimit::Output { bytes: limits.output }
    } else if status.success() {
        return Ok(Code { bytes: code, memory });
    } else if status.signal() == Some(Signal::XCPU.as_raw()) {
        CompileLimit::Cpu { seconds: limits.cpu }
    } else if status.code() == Some(UNFIT.into()) {
        return Err(LoadError::NoCompiler(said));
    } else if is_out_of_memory() {
        CompileLimit::Memory { bytes: limits.memory }
    } else if said.is_empty() {
        return Err(LoadError::NoCompiler(format!("it ended without a word: {status}")));
    } else {
        return Err(LoadError::Compile(said));
    };
    Err(limit.into())
}
