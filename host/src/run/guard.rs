//! `trainyard __replica`: a process around each replica, so that nothing the replica has started outlives it.
//!
//! It is told what to run by the first line of its standard input. A further byte asks the replica to end; the end of
//! input, which comes even when `trainyard run` is killed, ends everything at once. As with the first process of a
//! container, all that is left of a replica when its program has ended is ended, too, wherever it has hidden.

use std::io::{self, BufRead};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use rustix::process::{Pid, Signal};

use super::process_tree;
use super::program::Program;

/// The command that nobody types.
pub const REPLICA: &str = "__replica";

/// What a shell says of a program that it cannot start.
const CANNOT_START: u8 = 126;

/// Runs one replica to its end. The exit code is its, or 128 and the signal that ended it.
pub fn replica(name: &str) -> ExitCode {
    // So that `killall trainyard` does not take the guards together with whom they guard against.
    let _ = std::fs::write("/proc/self/comm", name);
    let mut control = io::BufReader::new(io::stdin());
    match process_tree::adopt_orphans().and_then(|()| start(&mut control)) {
        Ok(child) => ExitCode::from(guard(&child, control)),
        Err(error) => {
            super::output::note(&format!("{name}: cannot start: {error}"));
            ExitCode::from(CANNOT_START)
        }
    }
}

fn start(control: &mut impl BufRead) -> io::Result<Child> {
    let mut line = String::new();
    control.read_line(&mut line)?;
    let program: Program = serde_json::from_str(&line)?;
    let mut command = Command::new(&program.path);
    command.arg0(&program.name).args(program.arguments).envs(program.environment);
    if let Some(folder) = program.folder {
        command.current_dir(folder);
    }
    // A process group of its own: Ctrl-C at the terminal is `trainyard run`'s to pass on.
    command.stdin(Stdio::null()).process_group(0).spawn()
}

fn guard(child: &Child, control: impl BufRead + Send + 'static) -> u8 {
    let asked = Arc::new(Asked::default());
    let listener = asked.clone();
    thread::spawn(move || listener.listen(control));
    let program = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    let (mut code, mut has_ended) = (128 + Signal::KILL.as_raw(), false);
    while let Some((pid, exit)) = process_tree::wait_for_any() {
        if Some(pid) == program {
            (code, has_ended) = (exit, true);
        }
        // Asked to end, the others have the time that the program had: a shell is gone before what it has started.
        if asked.at_once.load(Ordering::SeqCst) || (has_ended && !asked.to_end.load(Ordering::SeqCst)) {
            process_tree::signal_descendants(Signal::KILL, &[]);
        }
    }
    u8::try_from(code).unwrap_or(u8::MAX)
}

/// What `trainyard run` wants.
#[derive(Default)]
struct Asked {
    to_end: AtomicBool,
    at_once: AtomicBool,
}

impl Asked {
    fn listen(&self, control: impl BufRead) {
        for byte in control.bytes() {
            if byte.is_err() {
                break;
            }
            self.to_end.store(true, Ordering::SeqCst);
            process_tree::signal_descendants(Signal::TERM, &[]);
        }
        self.at_once.store(true, Ordering::SeqCst);
        process_tree::signal_descendants(Signal::KILL, &[]);
    }
}
