//! From a component to machine code: here, or in a child of this program.
//!
//! What compiles a stranger's bytes may take all memory and time there is. A child takes it with it when it goes: it has
//! limits, no files but its pipes, and answers machine code or a reason. It also leaves the parent without the compiler's
//! memory, which is more than all that the operator keeps.

mod child;
mod parent;

use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use wasmtime::component::Component;

pub use self::child::{COMPILE, child};
use super::{Cost, Engine, LoadError, error::is_of_system, log::one_line};

/// Where components are compiled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compiler {
    /// In this process.
    Here,
    /// In a child of this program, which answers to [`COMPILE`]; one at a time.
    Child(CompileLimits),
}

/// What compiling one component may use. The defaults are for a whole interpreter on a slow machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CompileLimits {
    /// Seconds of processor time; 60.
    pub cpu: u64,
    /// Bytes of address space; 1.5 GiB.
    pub memory: u64,
    /// Time; 90 s.
    pub wall: Duration,
    /// Bytes of machine code; 256 MiB.
    pub output: u64,
}

impl Default for CompileLimits {
    fn default() -> Self {
        Self { cpu: 60, memory: 3 << 29, wall: Duration::from_secs(90), output: 256 << 20 }
    }
}

/// Which of its limits a compiler has met.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CompileLimit {
    /// Processor time.
    #[error("{seconds} s of processor time")]
    Cpu {
        /// That it may take.
        seconds: u64,
    },
    /// Address space.
    #[error("{bytes} bytes of memory")]
    Memory {
        /// That it may take.
        bytes: u64,
    },
    /// Time, on a machine that is busy, or waiting for something.
    #[error("{limit:?} on the clock")]
    Time {
        /// That it may take.
        limit: Duration,
    },
    /// What it writes.
    #[error("{bytes} bytes of machine code")]
    Output {
        /// That it may write.
        bytes: u64,
    },
}

/// A component, ready to be linked.
pub(super) struct Compiled {
    pub(super) component: Component,
    pub(super) cost: Cost,
}

/// Machine code, and the bytes of memory that it took to make it.
#[derive(Debug)]
pub(super) struct Code {
    pub(super) bytes: Vec<u8>,
    pub(super) memory: u64,
}

/// Unless `stop` is set meanwhile.
pub(super) fn compile(engine: &Engine, bytes: &[u8], stop: &AtomicBool) -> Result<Compiled, LoadError> {
    let mut began = Instant::now();
    let mut memory = 0;
    let component = match engine.compiler {
        Compiler::Here => Component::from_binary(engine.wasmtime(), bytes),
        Compiler::Child(limits) => {
            let code = {
                let _turn = engine.compile_turn();
                began = Instant::now();
                parent::compile(&limits, bytes, stop)?
            };
            if !matches!(wasmtime::Engine::detect_precompiled(&code.bytes), Some(wasmtime::Precompiled::Component)) {
                return Err(LoadError::NoCompiler("what it answers is no machine code".into()));
            }
            #[expect(
                unsafe_code,
                reason = "machine code is believed: it comes from a child of this very program, which \
                                            got nothing but the component"
            )]
            // SAFETY: it is what `precompile_component` of this wasmtime answered.
            unsafe {
                memory = code.memory;
                Component::deserialize(engine.wasmtime(), code.bytes)
            }
        }
    };
    let component = component.map_err(|error| {
        let why = one_line(&format!("{error:#}"));
        if is_of_system(&error) { LoadError::NoCompiler(why) } else { LoadError::Compile(why) }
    })?;
    let code = component.image_range();
    let code = (code.end as usize).saturating_sub(code.start as usize) as u64;
    let cost = Cost { compile: began.elapsed(), code, compiler: memory, probe: Duration::ZERO };
    Ok(Compiled { component, cost })
}

#[cfg(test)]
mod tests;
