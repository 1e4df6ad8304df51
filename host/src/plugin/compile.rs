//! From a component to machine code: here, or in a child of this program.
//!
//! What compiles a stranger's bytes may take all memory and time there is. A child takes it with it when it goes: it has
//! limits, no files but its pipes, and answers machine code or a reason. It also leaves the parent without the compiler's
//! memory, which is more than all that the operator keeps.

mod child;
mod parent;

use std::time::Duration;

use wasmtime::component::Component;

pub use self::child::{COMPILE, child};
use super::{Engine, LoadError, error::is_of_system, log::one_line};

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

/// The component, ready to be linked.
pub(super) fn compile(engine: &Engine, bytes: &[u8]) -> Result<Component, LoadError> {
    let compiled = match engine.compiler {
        Compiler::Here => Component::from_binary(engine.wasmtime(), bytes),
        Compiler::Child(limits) => {
            let code = {
                let _turn = engine.compile_turn();
                parent::compile(&limits, bytes)?
            };
            if !matches!(wasmtime::Engine::detect_precompiled(&code), Some(wasmtime::Precompiled::Component)) {
                return Err(LoadError::NoCompiler("what it answers is no machine code".into()));
            }
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
    compiled.map_err(|error| {
        let why = one_line(&format!("{error:#}"));
        if is_of_system(&error) { LoadError::NoCompiler(why) } else { LoadError::Compile(why) }
    })
}

#[cfg(test)]
mod tests;
