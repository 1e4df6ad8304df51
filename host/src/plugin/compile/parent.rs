//! The child's parent: starts it, feeds it, listens, and ends it.

use std::io::{Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread;

use rustix::process::Signal;

use super::child::{COMPILE, header};
use super::{CompileLimit, CompileLimits};
use crate::plugin::{LoadError, log::one_line};

/// This program, even if its file has been replaced since.
const OURSELVES: &str = "/proc/self/exe";
/// Bytes of what a compiler says before it fails.
const WORDS: u64 = 4 << 10;

/// What a child made of its input.
struct Ended {
    code: Vec<u8>,
    said: String,
    /// It did not end by itself in time.
    is_late: bool,
    status: ExitStatus,
}

/// The machine code of a component.
pub(super) fn compile(limits: &CompileLimits, bytes: &[u8]) -> Result<Vec<u8>, LoadError> {
    let ended = start().and_then(|child| watch(child, limits, bytes));
    let ended = ended.map_err(|error| LoadError::NoCompiler(error.to_string()))?;
    judge(ended, limits)
}

/// Without an environment, in which there may be secrets.
pub(super) fn start() -> std::io::Result<Child> {
    let mut command = Command::new(OURSELVES);
    command.arg(COMPILE).env_clear().current_dir("/");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()
}

fn watch(mut child: Child, limits: &CompileLimits, bytes: &[u8]) -> std::io::Result<Ended> {
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    thread::scope(|scope| {
        let (open, ends) = mpsc::channel::<()>();
        scope.spawn(move || {
            // If it stops reading, it says why.
            stdin.map(|mut stdin| stdin.write_all(&header(limits)).and_then(|()| stdin.write_all(bytes)))
        });
        let stderr_open = open.clone();
        let code = scope.spawn(move || read(stdout, limits.output, open));
        let said = scope.spawn(move || read(stderr, WORDS, stderr_open));
        let is_late = ends.recv_timeout(limits.wall) == Err(RecvTimeoutError::Timeout);
        // Who has closed both is ending, and keeps its status; or it wants to stay, and does not.
        child.kill()?;
        let status = child.wait()?;
        let [code, said] = [code, said].map(|thread| thread.join().unwrap_or_default());
        Ok(Ended { code, said: one_line(&String::from_utf8_lossy(&said)), is_late, status })
    })
}

/// One byte more than the limit shows that there is more. `open` is dropped at the end.
fn read(from: Option<impl Read>, limit: u64, open: Sender<()>) -> Vec<u8> {
    let mut bytes = Vec::new();
    // What cannot be read is missing, and the status says why.
    let _ = from.map(|from| from.take(limit + 1).read_to_end(&mut bytes));
    drop(open);
    bytes
}

fn judge(ended: Ended, limits: &CompileLimits) -> Result<Vec<u8>, LoadError> {
    let Ended { code, said, is_late, status } = ended;
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
        return Ok(code);
    } else if status.signal() == Some(Signal::XCPU.as_raw()) {
        CompileLimit::Cpu { seconds: limits.cpu }
    } else if is_out_of_memory() {
        CompileLimit::Memory { bytes: limits.memory }
    } else if said.is_empty() {
        return Err(LoadError::NoCompiler(format!("it ended without a word: {status}")));
    } else {
        return Err(LoadError::Compile(said));
    };
    Err(limit.into())
}
