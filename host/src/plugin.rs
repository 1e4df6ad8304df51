//! Plugins: WebAssembly components that know one framework each, loaded, checked, and called in a sandbox.
//!
//! Every call gets a sandbox of its own, with limits on time, instructions, memory, stack, answer and log; nothing is
//! carried from one call to the next. A plugin can do nothing but answer and log. Whatever it does, the host gets a
//! value or a [`CallError`]. So a call is pure, and its answer is remembered.

mod answer;
mod breaker;
mod call;
mod compile;
mod component;
mod counters;
mod description;
mod digest;
mod distribution;
mod ending;
mod engine;
mod error;
mod gate;
mod limits;
mod load;
mod loaded;
mod log;
mod memo;
mod meter;
mod scan;
mod v0_1;

#[cfg(test)]
mod hostile;
#[cfg(test)]
mod sample;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use serde::{Serialize, de::DeserializeOwned};
use trainyard_core::contract::{Assessment, Context, Description, Issue, JobPlan, Json, Observed};

use self::loaded::Loaded;
pub(crate) use self::log::one_line;
pub use self::{
    breaker::Circuit,
    call::Function,
    compile::{COMPILE, CompileLimit, CompileLimits, Compiler, child},
    component::{Names, NotAComponent, TRACK, names},
    counters::Counters,
    description::DescriptionError,
    digest::{Digest, Digester, NotADigest},
    distribution::Buckets,
    ending::Ending,
    engine::{Engine, EngineError},
    error::CallError,
    limits::{COMPONENT, Limits},
    load::{Cost, LoadError},
    scan::{Cap, Excess, scan},
};

/// A loaded plugin; a cheap handle. Its functions block, and may be called from any thread with a stack of 2 MiB.
#[derive(Clone)]
pub struct Plugin(Arc<Loaded>);

impl Plugin {
    /// Checks and compiles a component, and asks it what it is.
    pub fn load(engine: &Engine, bytes: &[u8], limits: Limits) -> Result<Self, LoadError> {
        Self::load_unless(engine, bytes, limits, &AtomicBool::new(false))
    }

    /// Likewise; set `stop` meanwhile, and it ends soon, with an error that nobody reads.
    pub fn load_unless(engine: &Engine, bytes: &[u8], limits: Limits, stop: &AtomicBool) -> Result<Self, LoadError> {
        Ok(Self(Arc::new(Loaded::load(engine, bytes, limits, stop)?)))
    }

    /// What it said of itself when it was loaded.
    pub fn description(&self) -> &Description {
        &self.0.description
    }

    /// Of its bytes.
    pub fn digest(&self) -> Digest {
        self.0.digest
    }

    /// Whether both are handles of one.
    pub fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// What each of its calls may use.
    pub fn limits(&self) -> &Limits {
        &self.0.limits
    }

    /// What it has cost so far; kept by who wants to know it when the plugin is gone.
    pub fn counters(&self) -> &Arc<Counters> {
        &self.0.counters
    }

    /// What it took to load it.
    pub fn cost(&self) -> &Cost {
        &self.0.cost
    }

    /// Whether it is called, or fails too often for that.
    pub fn circuit(&self) -> Circuit {
        self.0.circuit(Instant::now())
    }

    /// Its calls that run.
    pub fn in_flight(&self) -> u64 {
        self.0.turns.inside()
    }

    /// What runs it.
    pub fn engine(&self) -> &Engine {
        &self.0.engine
    }

    /// A JSON merge patch with what the user left out.
    pub fn default(&self, ctx: &Context) -> Result<Json, CallError> {
        self.ask(Function::Default, ctx, ctx)
    }

    /// What is wrong with the job; `old` is the stored object on update.
    pub fn validate(&self, ctx: &Context, old: Option<&str>) -> Result<Vec<Issue>, CallError> {
        self.ask(Function::Validate, ctx, &(ctx, old))
    }

    /// What to add to the user's templates, and what else the job needs.
    pub fn plan(&self, ctx: &Context) -> Result<JobPlan, CallError> {
        self.ask(Function::Plan, ctx, ctx)
    }

    /// What the pods mean.
    pub fn assess(&self, ctx: &Context, seen: &Observed) -> Result<Assessment, CallError> {
        self.ask(Function::Assess, ctx, &(ctx, seen))
    }

    fn ask<T: DeserializeOwned>(
        &self,
        function: Function,
        Context { namespace, name, .. }: &Context,
        input: &impl Serialize,
    ) -> Result<T, CallError> {
        let job = Digest::of(format!("{namespace}/{name}").as_bytes());
        let bug = |error: serde_json::Error| CallError::HostBug(error.to_string());
        let input = serde_json::to_vec(input).map_err(bug)?;
        let answer = self.0.answer(function, job, &input)?;
        serde_json::from_slice(&answer).map_err(bug)
    }
}
