//! A loaded plugin, and the way of every call: remembered? left alone? its turn? then it runs.

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use trainyard_core::contract::Description;

use super::{
    CallError, Circuit, Cost, Counters, Digest, Ending, Engine, Function, Limits, LoadError,
    breaker::Breaker,
    call::{self, Allowance},
    gate::{Gate, Pass},
    limits, load,
    memo::{Answer, Memo, Recall},
    v0_1::Prepared,
};

/// A plugin that has answered once, and all that its calls share.
pub(super) struct Loaded {
    pub(super) engine: Engine,
    pub(super) prepared: Prepared,
    pub(super) description: Description,
    pub(super) digest: Digest,
    pub(super) limits: Limits,
    memo: Memo,
    pub(super) counters: Arc<Counters>,
    pub(super) cost: Cost,
    /// Its calls that run.
    pub(super) turns: Gate,
    /// The memory of its calls that run.
    share: Gate,
    breaker: Mutex<Breaker>,
}

impl Loaded {
    /// Checks and compiles a component, and asks it what it is.
    pub(super) fn load(engine: &Engine, bytes: &[u8], limits: Limits, stop: &AtomicBool) -> Result<Self, LoadError> {
        let digest = Digest::of(bytes);
        // Until it has told its name it logs as what it is.
        let load::Probed { prepared, description, outcome, cost } =
            load::load(engine, bytes, &limits, &digest.to_string(), stop)?;
        let counters = Arc::<Counters>::default();
        counters.ran(Function::Describe, &outcome);
        Ok(Self {
            engine: engine.clone(),
            prepared,
            description,
            digest,
            memo: Memo::new(limits.memo),
            turns: Gate::new(limits.concurrency.into()),
            share: Gate::new(limits::SHARE as u64),
            limits,
            counters,
            cost,
            breaker: Mutex::new(Breaker::default()),
        })
    }

    /// Whether it is called at that time.
    pub(super) fn circuit(&self, now: Instant) -> Circuit {
        self.breaker().circuit(now)
    }

    /// The remembered answer, or the one of a call for that job.
    pub(super) fn answer(&self, function: Function, job: Digest, input: &[u8]) -> Answer {
        let (start, key) = (Instant::now(), Digest::of(input));
        // So that a call has half of its time at least, however long it has waited.
        let until = start + self.limits.wall / 2;
        match self.memo.recall(function, key, until) {
            Recall::Known(answer) => {
                self.counters.was_remembered(function);
                answer
            }
            Recall::Unknown(blank) => {
                let answer = self.guarded(function, job, || self.run(function, input, start, until));
                blank.fill(&answer);
                answer
            }
            Recall::Late => self.not_run(function, CallError::Busy),
        }
    }

    /// The answer of `run`, unless the plugin has failed too often.
    fn guarded(&self, function: Function, job: Digest, run: impl FnOnce() -> Answer) -> Answer {
        let admitted = self.breaker().admit(Instant::now(), function);
        if let Err(again) = admitted {
            return self.not_run(function, CallError::Degraded { again });
        }
        let answer = run();
        self.breaker().tell(Instant::now(), function, job, Ending::of(&answer).verdict());
        answer
    }

    /// The answer of a call, when it is its turn.
    fn run(&self, function: Function, input: &[u8], start: Instant, until: Instant) -> Answer {
        let room = self.room(Some(until));
        let waited = start.elapsed();
        self.counters.waited(waited);
        if room.is_none() {
            return self.not_run(function, CallError::Busy);
        }
        let allowance = Allowance { limits: &self.limits, wall: self.limits.wall.saturating_sub(waited) };
        let outcome = call::call(&self.prepared, allowance, &self.description.name, function, input);
        self.counters.ran(function, &outcome);
        outcome.answer
    }

    /// Its own turn and share first: one plugin cannot fill the room of all.
    pub(super) fn room(&self, until: Option<Instant>) -> Option<[Pass<'_>; 4]> {
        let memory = self.limits.memory;
        let (turn, share) = (self.turns.enter(1, until)?, self.share.enter(memory as u64, until)?);
        let [call, room] = self.engine.room(memory, until)?;
        Some([turn, share, call, room])
    }

    fn not_run(&self, function: Function, error: CallError) -> Answer {
        self.counters.did_not_run(function, error.ending());
        Err(error)
    }

    // Nobody panics while holding it.
    fn breaker(&self) -> MutexGuard<'_, Breaker> {
        self.breaker.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
