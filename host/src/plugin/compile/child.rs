//! The child that compiles: reads its limits and a component, writes machine code or a reason.
//!
//! Before it reads a byte of the component it has given away all that it does not need: it dies with its parent, and before
//! it where memory is short, gains no privilege, opens nothing more (no file, no socket, so no token), starts nothing more,
//! and has an end in time and memory. What fails before it compiles is told apart by its status: it says nothing of the
//! component.

use std::fs;
use std::io::{self, Read, Write};
use std::num::NonZero;
use std::process::ExitCode;
use std::thread::available_parallelism;

use rustix::process::{Resource, Rlimit, Signal, nice, set_parent_process_death_signal, setrlimit};
use rustix::thread::set_no_new_privs;

use super::CompileLimits;
use crate::plugin::{engine, scan::Cap};

/// The argument by which this program knows that it is such a child.
pub const COMPILE: &str = "__compile";

/// Threads that compile, at most: each has a stack, and what it works on is in memory.
const THREADS: usize = 4;
/// The operator comes first.
const NICE: i32 = 10;

/// The status of a child that could not begin; 1 is that of one that cannot compile what it got.
pub(super) const UNFIT: u8 = 70;

/// Compiles what standard input has to standard output.
pub fn child() -> ExitCode {
    ExitCode::from(status())
}

/// What it ends with.
pub(super) fn status() -> u8 {
    let compiled = prepare().map_err(|error| (error, UNFIT)).and_then(|engine| {
        let code = precompile(&engine).map_err(|error| (error, 1))?;
        io::stdout().write_all(&code).map_err(|error| (error.into(), UNFIT))
    });
    match compiled {
        Ok(()) => 0,
        Err((error, status)) => {
            // The parent has gone: nobody listens.
            let _ = write!(io::stderr(), "{error:#}");
            status
        }
    }
}

/// All that has nothing to do with what the bytes are.
fn prepare() -> wasmtime::Result<wasmtime::Engine> {
    let mut header = [0; 16];
    io::stdin().read_exact(&mut header)?;
    confine(read_header(header))?;
    wasmtime::Engine::new(&engine::base())
}

/// Its bytes count, too: who has no room for them has none to compile them.
fn precompile(engine: &wasmtime::Engine) -> wasmtime::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    io::stdin().take(Cap::Bytes.limit() + 1).read_to_end(&mut bytes)?;
    engine.precompile_component(&bytes)
}

/// Seconds and bytes, for the child to confine itself.
pub(super) fn header(limits: &CompileLimits) -> [u8; 16] {
    (u128::from(limits.cpu) | u128::from(limits.memory) << 64).to_le_bytes()
}

fn read_header(header: [u8; 16]) -> (u64, u64) {
    let both = u128::from_le_bytes(header).to_le_bytes();
    let (seconds, bytes) = both.split_at(8);
    let number = |bytes: &[u8]| bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte));
    (number(seconds), number(bytes))
}

fn confine((seconds, bytes): (u64, u64)) -> wasmtime::Result<()> {
    set_parent_process_death_signal(Some(Signal::KILL))?;
    set_no_new_privs(true)?;
    nice(NICE)?;
    // Of all in its group it is missed least. Where this may not be written, the system chooses as it likes.
    let _ = fs::write("/proc/self/oom_score_adj", "1000");
    // They are there before the limit that allows no more.
    let threads = available_parallelism().map_or(1, NonZero::get).min(THREADS);
    rayon::ThreadPoolBuilder::new().num_threads(threads).build_global()?;
    for (resource, soft, hard) in [
        // The first second too many is told by a signal of its own, the next would be by one that could be anything.
        (Resource::Cpu, seconds, seconds + 1),
        (Resource::As, bytes, bytes),
        (Resource::Core, 0, 0),
        (Resource::Fsize, 0, 0),
        (Resource::Nofile, 0, 0),
        (Resource::Nproc, 0, 0),
    ] {
        setrlimit(resource, Rlimit { current: Some(soft), maximum: Some(hard) })?;
    }
    Ok(())
}
