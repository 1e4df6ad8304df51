//! What a plugin has cost so far, for metrics.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

use super::{Function, call::Outcome};

/// Counters of one loaded plugin. They only grow.
#[derive(Debug, Default)]
pub struct Counters {
    calls: [AtomicU64; Function::ALL.len()],
    remembered: [AtomicU64; Function::ALL.len()],
    fuel: AtomicU64,
    memory: AtomicUsize,
}

impl Counters {
    /// Calls that ran in the plugin.
    pub fn calls(&self, function: Function) -> u64 {
        of(&self.calls, function).load(Relaxed)
    }

    /// Calls that were answered from memory.
    pub fn remembered(&self, function: Function) -> u64 {
        of(&self.remembered, function).load(Relaxed)
    }

    /// Fuel of all calls.
    pub fn fuel(&self) -> u64 {
        self.fuel.load(Relaxed)
    }

    /// The most bytes that one call used.
    pub fn peak_memory(&self) -> usize {
        self.memory.load(Relaxed)
    }

    pub(super) fn ran(&self, function: Function, outcome: &Outcome) {
        of(&self.calls, function).fetch_add(1, Relaxed);
        self.fuel.fetch_add(outcome.fuel, Relaxed);
        self.memory.fetch_max(outcome.memory, Relaxed);
    }

    pub(super) fn was_remembered(&self, function: Function) {
        of(&self.remembered, function).fetch_add(1, Relaxed);
    }
}

#[expect(clippy::indexing_slicing, reason = "there is one counter for each function")]
fn of(counters: &[AtomicU64; Function::ALL.len()], function: Function) -> &AtomicU64 {
    &counters[function as usize]
}
