//! A replica that runs: its guard, its output, its end.

use std::io::{self, PipeReader, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use rustix::process::Signal;

use super::guard;
use super::output::{self, Stream, Style};
use super::process_tree;
use super::program::Program;

/// What a session waits for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// All processes of that pod have ended, and all their output is shown.
    Ended {
        /// Of the pod.
        uid: String,
        /// As kubelet reports it.
        code: i32,
    },
    /// Somebody wants the session to end.
    Interrupted,
}

/// What all replicas of a session share.
#[derive(Clone)]
pub(super) struct Stage {
    pub(super) style: Style,
    pub(super) events: Sender<Event>,
    /// Processes of guards.
    pub(super) guards: Arc<Mutex<Vec<u32>>>,
}

/// Who a replica is.
#[derive(Clone, Debug)]
pub(super) struct Identity {
    /// Of the pod.
    pub(super) uid: String,
    /// `worker-0`
    pub(super) name: String,
    /// For its colour.
    pub(super) number: usize,
}

/// A running replica. Dropped, it and all that it has started are killed; its end is told in any case.
pub(super) struct Replica {
    control: ChildStdin,
}

/// This program, even if its file has been replaced since: an upgrade must not end the jobs that run.
const OURSELVES: &str = "/proc/self/exe";

impl Replica {
    /// Starts a guard and has it start the program.
    pub(super) fn start(stage: &Stage, identity: &Identity, program: &Program) -> io::Result<Self> {
        let (out, their_out) = io::pipe()?;
        let (error, their_error) = io::pipe()?;
        let mut command = Command::new(OURSELVES);
        command.args([guard::REPLICA, &identity.name]).process_group(0);
        command.stdin(Stdio::piped()).stdout(their_out).stderr(their_error);
        let mut guard = {
            let mut guards = stage.guards.lock().unwrap_or_else(PoisonError::into_inner);
            let guard = command.spawn()?;
            guards.push(guard.id());
            guard
        };
        // The ends of the pipes that the guard has now.
        drop(command);
        let mut control = guard.stdin.take().ok_or(io::ErrorKind::BrokenPipe)?;
        let copies = [copy(stage, identity, Stream::Out, out), copy(stage, identity, Stream::Error, error)];
        let (stage, identity) = (stage.clone(), identity.clone());
        thread::spawn(move || {
            let code = wait(&stage, guard);
            for copy in copies {
                let _ = copy.join();
            }
            // Nobody waits: the session is over.
            let _ = stage.events.send(Event::Ended { uid: identity.uid, code });
        });
        let mut line = serde_json::to_vec(program)?;
        line.push(b'\n');
        // A guard that has ended already is told of by its end.
        let _ = control.write_all(&line);
        Ok(Self { control })
    }

    /// Asks it to end: SIGTERM.
    pub(super) fn terminate(&mut self) {
        let _ = self.control.write_all(b"t");
    }
}

/// Even when nobody listens any more the replica is read to its end, lest it wait for ever.
fn copy(stage: &Stage, identity: &Identity, stream: Stream, source: PipeReader) -> thread::JoinHandle<()> {
    let prefix = stage.style.prefix(stream, &identity.name, identity.number);
    let events = stage.events.clone();
    let mut is_heard = true;
    thread::spawn(move || {
        output::copy(prefix.as_bytes(), source, |lines| {
            if is_heard && stream.print(lines).is_err() {
                is_heard = false;
                let _ = events.send(Event::Interrupted);
            }
        });
    })
}

/// Waits for the end of a guard. Of one that was killed the replica is left, and has become ours to end.
fn wait(stage: &Stage, mut guard: Child) -> i32 {
    let status = guard.wait();
    let mut guards = stage.guards.lock().unwrap_or_else(PoisonError::into_inner);
    guards.retain(|pid| *pid != guard.id());
    match status {
        Ok(status) => status.code().unwrap_or_else(|| {
            while process_tree::signal_descendants(Signal::KILL, &guards) {
                thread::sleep(Duration::from_millis(10));
            }
            128 + status.signal().unwrap_or_default()
        }),
        Err(_) => 128 + Signal::KILL.as_raw(),
    }
}
