//! From a component to machine code: here, or in a child of this program.
//!
//! What compiles a stranger's bytes may take all memory and time there is. A child takes it with it when it goes: it has
//! limits, no environment, no files but its pipes, and answers machine code or a reason. It also leaves the parent
//! without the compiler's memory, which is more than all that the operator keeps.

use std::io::{self, Read as _, Write as _};
use std::process::{Command, ExitCode, Stdio};
use std::thread;

use rustix::process::{Resource, Rlimit, setrlimit};
use wasmtime::component::Component;

use super::engine::{self, Engine};
use super::{LoadError, log::one_line, scan::Cap};

/// Where components are compiled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compiler {
    /// In this process.
    Here,
    /// In a child of this program, which answers to [`COMPILE`].
    Child,
}

/// The argument by which this program knows that it is such a child.
pub const COMPILE: &str = "__compile";

/// This program, even if its file has been replaced since.
const OURSELVES: &str = "/proc/self/exe";

/// Seconds of processor time, and bytes of address space, that a child may take: for a component of
/// [`Cap::Bytes`] bytes, which is a whole interpreter, on a slow machine.
const SECONDS: u64 = 120;
const ADDRESSES: u64 = 8 << 30;

/// The component, ready to be linked.
pub(super) fn compile(engine: &Engine, bytes: &[u8]) -> Result<Component, LoadError> {
    let compiled = match engine.compiler {
        Compiler::Here => Component::from_binary(engine.wasmtime(), bytes),
        Compiler::Child => {
            let code = in_child(bytes).map_err(LoadError::Compile)?;
            #[expect(
                unsafe_code,
                reason = "machine code is believed: it comes from a child of this very program, which \
                                            got nothing but the component"
            )]
            // SAFETY: `code` is what `precompile_component` of this wasmtime answered.
            unsafe {
                Component::deserialize(engine.wasmtime(), code)
            }
        }
    };
    compiled.map_err(|error| LoadError::Compile(one_line(&format!("{error:#}"))))
}

/// The child: reads a component, writes machine code.
pub fn child() -> ExitCode {
    match precompile() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // The parent has gone: nobody listens.
            let _ = write!(io::stderr(), "{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn precompile() -> wasmtime::Result<()> {
    let limit = |most| Rlimit { current: Some(most), maximum: Some(most) };
    for (resource, most) in
        [(Resource::Cpu, SECONDS), (Resource::As, ADDRESSES), (Resource::Core, 0), (Resource::Fsize, 0)]
    {
        setrlimit(resource, limit(most))?;
    }
    let mut bytes = Vec::new();
    io::stdin().take(Cap::Bytes.limit() + 1).read_to_end(&mut bytes)?;
    let code = wasmtime::Engine::new(&engine::base())?.precompile_component(&bytes)?;
    Ok(io::stdout().write_all(&code)?)
}

fn in_child(bytes: &[u8]) -> Result<Vec<u8>, String> {
    let mut command = Command::new(OURSELVES);
    command.arg(COMPILE).env_clear().current_dir("/");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|error| format!("its compiler does not start: {error}"))?;
    let stdin = child.stdin.take();
    let done = thread::scope(|scope| {
        // Beside the reading of its answer, or both would wait for each other. If it stops reading, it says why.
        scope.spawn(move || stdin.map(|mut stdin| stdin.write_all(bytes)));
        child.wait_with_output()
    });
    let done = done.map_err(|error| format!("its compiler does not answer: {error}"))?;
    if done.status.success() {
        return Ok(done.stdout);
    }
    let said = one_line(&String::from_utf8_lossy(&done.stderr));
    Err(if said.is_empty() { format!("its compiler ended without a word: {}", done.status) } else { said })
}
