//! From bytes to a plugin that has answered once: nothing runs before everything that can be read has been checked.

use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use trainyard_core::contract::Description;

use super::{
    CallError, Engine, Function, Limits, NotAComponent,
    call::{Allowance, Outcome, call},
    compile::{self, CompileLimit},
    component,
    description::{self, DescriptionError},
    log::one_line,
    scan::{self, Cap, Excess},
    v0_1,
};

/// How long a new plugin waits for its turn to be asked what it is.
const PATIENCE: Duration = Duration::from_mins(1);

/// Why a plugin is not loaded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LoadError {
    /// Some other file.
    #[error("not a component: {0}")]
    NotAComponent(#[from] NotAComponent),
    /// Compiling it would cost too much.
    #[error("the component is too much: {0}")]
    Excess(#[from] Excess),
    /// A component, but no plugin.
    #[error("not a plugin: it does not export trainyard:framework/framework, but {found:?}")]
    MissingExport {
        /// What it exports.
        found: Vec<String>,
    },
    /// A plugin for another host.
    #[error("the plugin is made for track {found} of the contract, this host supports {}", component::TRACK)]
    UnsupportedTrack {
        /// The plugin's.
        found: String,
    },
    /// A plugin gets nothing but a log.
    #[error("the plugin imports {import}, which no plugin is granted{hint}")]
    ForbiddenImport {
        /// What it asks for.
        import: String,
        /// What to do about it.
        hint: &'static str,
    },
    /// The machine's fault, or it is short of memory.
    #[error("the compiler does not run: {0}")]
    NoCompiler(String),
    /// Not valid, or larger than the pool allows.
    #[error("the component does not compile: {0}")]
    Compile(String),
    /// It would go on for too long, or take too much.
    #[error("the component takes more than {0} to compile")]
    CompileLimit(#[from] CompileLimit),
    /// The names are right, the types are not.
    #[error("the plugin does not fit the contract: {0}")]
    Mismatch(String),
    /// It does not answer.
    #[error("the plugin cannot describe itself: {0}")]
    Probe(#[source] CallError),
    /// It answers what cannot be.
    #[error("the description of the plugin is wrong: {0}")]
    Description(#[from] DescriptionError),
}

impl LoadError {
    /// Whether the same bytes will fail in the same way.
    pub fn is_repeatable(&self) -> bool {
        match self {
            Self::NotAComponent(_)
            | Self::Excess(_)
            | Self::MissingExport { .. }
            | Self::UnsupportedTrack { .. }
            | Self::ForbiddenImport { .. }
            | Self::Compile(_)
            | Self::CompileLimit(
                CompileLimit::Cpu { .. } | CompileLimit::Memory { .. } | CompileLimit::Output { .. },
            )
            | Self::Mismatch(_)
            | Self::Description(_) => true,
            Self::NoCompiler(_) | Self::CompileLimit(CompileLimit::Time { .. }) => false,
            Self::Probe(error) => error.is_repeatable(),
        }
    }

    /// In one word, for conditions and metrics.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::NotAComponent(_) => "NotAComponent",
            Self::Excess(_) => "TooMuch",
            Self::MissingExport { .. } => "MissingExport",
            Self::UnsupportedTrack { .. } => "UnsupportedTrack",
            Self::ForbiddenImport { .. } => "ForbiddenImport",
            Self::NoCompiler(_) => "NoCompiler",
            Self::Compile(_) => "CompileFailed",
            Self::CompileLimit(_) => "CompileLimit",
            Self::Mismatch(_) => "Mismatch",
            Self::Probe(_) => "ProbeFailed",
            Self::Description(_) => "BadDescription",
        }
    }
}

/// What it took to load a plugin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// To compile it, without the wait for a turn.
    pub compile: Duration,
    /// To ask it what it is.
    pub probe: Duration,
    /// Bytes of machine code.
    pub code: u64,
    /// Bytes of memory of the process that compiled it; 0 where that was this one.
    pub compiler: u64,
}

/// A component that has been asked what it is.
pub(super) struct Probed {
    pub(super) prepared: v0_1::Prepared,
    pub(super) description: Description,
    /// Of the call.
    pub(super) outcome: Outcome,
    pub(super) cost: Cost,
}

/// Compiles a component and asks it what it is.
pub(super) fn load(
    engine: &Engine,
    bytes: &[u8],
    limits: &Limits,
    name: &str,
    stop: &AtomicBool,
) -> Result<Probed, LoadError> {
    Cap::Bytes.allow(bytes.len() as u64)?;
    component::kind(bytes).map_err(|error| precompiled(bytes).unwrap_or(error))?;
    scan::scan(bytes)?;
    component::check(bytes)?;
    let compiled = compile::compile(engine, bytes, stop)?;
    let prepared = v0_1::Prepared::new(&compiled.component).map_err(|error| LoadError::Mismatch(cause(&error)))?;
    let Some(room) = engine.room(limits.memory, Some(Instant::now() + PATIENCE)) else {
        return Err(LoadError::Probe(CallError::Busy));
    };
    let outcome = call(&prepared, Allowance::whole(limits), name, Function::Describe, b"null");
    drop(room);
    let answer = outcome.answer.clone().map_err(LoadError::Probe)?;
    let description = serde_json::from_slice(&answer);
    let description = description.map_err(|error| LoadError::Probe(CallError::HostBug(error.to_string())))?;
    description::check(&description)?;
    let cost = Cost { probe: outcome.time, ..compiled.cost };
    Ok(Probed { prepared, description, outcome, cost })
}

/// Somebody may think that it is loaded faster.
fn precompiled(bytes: &[u8]) -> Option<NotAComponent> {
    wasmtime::Engine::detect_precompiled(bytes).map(|_| NotAComponent::Precompiled)
}

/// All that wasmtime says, in one line.
fn cause(error: &wasmtime::Error) -> String {
    one_line(&format!("{error:#}"))
}
