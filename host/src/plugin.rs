//! Plugins: WebAssembly components that know one framework each, loaded, checked, and called in a sandbox.
//!
//! Every call gets a sandbox of its own, with limits on time, instructions, memory, stack, answer and log; nothing is
//! carried from one call to the next. A plugin can do nothing but answer and log. Whatever it does, the host gets a
//! value or a [`CallError`]. So a call is pure, and its answer is remembered.

mod answer;
mod call;
mod compile;
mod component;
mod counters;
mod description;
mod digest;
mod engine;
mod error;
mod gate;
mod limits;
mod load;
mod log;
mod memo;
mod scan;
mod v0_1;

#[cfg(test)]
mod hostile;
#[cfg(test)]
mod sample;

use std::sync::Arc;

use serde::{Serialize, de::DeserializeOwned};
use trainyard_core::contract::{Assessment, Context, Description, Issue, JobPlan, Json, Observed};

pub use self::{
    call::Function,
    compile::{COMPILE, CompileLimit, CompileLimits, Compiler, child},
    component::NotAComponent,
    counters::Counters,
    description::DescriptionError,
    digest::Digest,
    engine::{Engine, EngineError},
    error::CallError,
    limits::Limits,
    load::LoadError,
    scan::{Cap, Excess, scan},
};
use self::{memo::Memo, v0_1::Prepared};

/// A loaded plugin; a cheap handle. Its functions block, and may be called from any thread with a stack of 2 MiB.
#[derive(Clone)]
pub struct Plugin(Arc<Loaded>);

struct Loaded {
    prepared: Prepared,
    description: Description,
    digest: Digest,
    limits: Limits,
    memo: Memo,
    counters: Counters,
}

impl Plugin {
    /// Checks and compiles a component, and asks it what it is.
    pub fn load(engine: &Engine, bytes: &[u8], limits: Limits) -> Result<Self, LoadError> {
        let digest = Digest::of(bytes);
        // Until it has told its name it logs as what it is.
        let (prepared, description, probe) = load::load(engine, bytes, &limits, &digest.to_string())?;
        let counters = Counters::default();
        counters.ran(Function::Describe, &probe);
        let memo = Memo::new(limits.memo);
        Ok(Self(Arc::new(Loaded { prepared, description, digest, limits, memo, counters })))
    }

    /// What it said of itself when it was loaded.
    pub fn description(&self) -> &Description {
        &self.0.description
    }

    /// Of its bytes.
    pub fn digest(&self) -> Digest {
        self.0.digest
    }

    /// What each of its calls may use.
    pub fn limits(&self) -> &Limits {
        &self.0.limits
    }

    /// What it has cost so far.
    pub fn counters(&self) -> &Counters {
        &self.0.counters
    }

    /// A JSON merge patch with what the user left out.
    pub fn default(&self, ctx: &Context) -> Result<Json, CallError> {
        let patch: Json = self.ask(Function::Default, ctx)?;
        answer::check_patch(&patch)?;
        Ok(patch)
    }

    /// What is wrong with the job; `old` is the stored object on update.
    pub fn validate(&self, ctx: &Context, old: Option<&str>) -> Result<Vec<Issue>, CallError> {
        let issues: Vec<Issue> = self.ask(Function::Validate, &(ctx, old))?;
        answer::check_issues(&issues)?;
        Ok(issues)
    }

    /// What to add to the user's templates, and what else the job needs.
    pub fn plan(&self, ctx: &Context) -> Result<JobPlan, CallError> {
        let plan: JobPlan = self.ask(Function::Plan, ctx)?;
        answer::check_plan(&plan)?;
        Ok(plan)
    }

    /// What the pods mean.
    pub fn assess(&self, ctx: &Context, seen: &Observed) -> Result<Assessment, CallError> {
        self.ask(Function::Assess, &(ctx, seen))
    }

    fn ask<T: DeserializeOwned>(&self, function: Function, input: &impl Serialize) -> Result<T, CallError> {
        let bug = |error: serde_json::Error| CallError::HostBug(error.to_string());
        let input = serde_json::to_vec(input).map_err(bug)?;
        let answer = self.0.answer(function, &input)?;
        serde_json::from_slice(&answer).map_err(bug)
    }
}

impl Loaded {
    /// The remembered answer, or the one of a call.
    fn answer(&self, function: Function, input: &[u8]) -> memo::Answer {
        let key = Digest::of(input);
        if let Some(answer) = self.memo.get(function, key) {
            self.counters.was_remembered(function);
            return answer;
        }
        let outcome = call::call(&self.prepared, &self.limits, &self.description.name, function, input);
        self.counters.ran(function, &outcome);
        self.memo.put(function, key, &outcome.answer);
        outcome.answer
    }
}
