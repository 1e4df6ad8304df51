//! What a plugin has cost so far, for metrics.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use super::distribution::{Buckets, Distribution};
use super::{Ending, Function, call::Outcome};

type ByFunction<T> = [T; Function::ALL.len()];

/// Counters of one loaded plugin. They only grow.
#[derive(Debug)]
pub struct Counters {
    endings: ByFunction<[AtomicU64; Ending::ALL.len()]>,
    remembered: ByFunction<AtomicU64>,
    time: ByFunction<Distribution>,
    fuel: ByFunction<Distribution>,
    wait: Distribution,
    memory: Distribution,
    output: Distribution,
    peak: AtomicUsize,
    dropped: AtomicU64,
}

/// Bounds: microseconds, fuel, bytes of memory and of answers.
const TIMES: &[u64] = &[50, 200, 1_000, 5_000, 25_000, 100_000, 500_000, 2_000_000];
const FUEL: &[u64] = &[10_000, 100_000, 1_000_000, 10_000_000, 100_000_000, 1_000_000_000];
const MEMORY: &[u64] = &[1 << 20, 4 << 20, 16 << 20, 64 << 20, 256 << 20, 1 << 30];
const OUTPUT: &[u64] = &[1 << 10, 16 << 10, 128 << 10, 1 << 20, 8 << 20];

impl Default for Counters {
    fn default() -> Self {
        let by_function = |bounds| std::array::from_fn(|_| Distribution::new(bounds));
        Self {
            endings: ByFunction::default(),
            remembered: ByFunction::default(),
            time: by_function(TIMES),
            fuel: by_function(FUEL),
            wait: Distribution::new(TIMES),
            memory: Distribution::new(MEMORY),
            output: Distribution::new(OUTPUT),
            peak: AtomicUsize::new(0),
            dropped: AtomicU64::new(0),
        }
    }
}

impl Counters {
    /// Calls that ran in the plugin.
    pub fn calls(&self, function: Function) -> u64 {
        let ran = Ending::ALL.into_iter().filter(|ending| ending.has_run());
        ran.map(|ending| self.ended(function, ending)).sum()
    }

    /// Calls that ended so.
    pub fn ended(&self, function: Function, ending: Ending) -> u64 {
        self.ending(function, ending).load(Relaxed)
    }

    /// Calls that were answered from memory.
    pub fn remembered(&self, function: Function) -> u64 {
        of(&self.remembered, function).load(Relaxed)
    }

    /// Fuel of all calls.
    pub fn fuel(&self) -> u64 {
        self.fuel.iter().map(|each| each.buckets().sum).sum()
    }

    /// The most bytes that one call used.
    pub fn peak_memory(&self) -> usize {
        self.peak.load(Relaxed)
    }

    /// Lines that the plugin logged and nobody saw.
    pub fn dropped_lines(&self) -> u64 {
        self.dropped.load(Relaxed)
    }

    /// Microseconds that calls ran.
    pub fn times(&self, function: Function) -> Buckets {
        of(&self.time, function).buckets()
    }

    /// Fuel of calls.
    pub fn fuels(&self, function: Function) -> Buckets {
        of(&self.fuel, function).buckets()
    }

    /// Microseconds that calls waited for their turn.
    pub fn waits(&self) -> Buckets {
        self.wait.buckets()
    }

    /// Bytes of memory that calls used.
    pub fn memories(&self) -> Buckets {
        self.memory.buckets()
    }

    /// Bytes of answers.
    pub fn outputs(&self) -> Buckets {
        self.output.buckets()
    }

    /// Adds what others have counted.
    pub(crate) fn absorb(&self, other: &Self) {
        let Self { endings, remembered, time, fuel, wait, memory, output, peak, dropped } = self;
        let add = |to: &AtomicU64, from: &AtomicU64| {
            to.fetch_add(from.load(Relaxed), Relaxed);
        };
        endings.iter().flatten().zip(other.endings.iter().flatten()).for_each(|(to, from)| add(to, from));
        remembered.iter().zip(&other.remembered).for_each(|(to, from)| add(to, from));
        time.iter().zip(&other.time).for_each(|(to, from)| to.absorb(from));
        fuel.iter().zip(&other.fuel).for_each(|(to, from)| to.absorb(from));
        [wait, memory, output].into_iter().zip([&other.wait, &other.memory, &other.output]).for_each(|(to, from)| {
            to.absorb(from);
        });
        peak.fetch_max(other.peak.load(Relaxed), Relaxed);
        add(dropped, &other.dropped);
    }

    pub(super) fn ran(&self, function: Function, outcome: &Outcome) {
        self.ending(function, Ending::of(&outcome.answer)).fetch_add(1, Relaxed);
        of(&self.time, function).add(micros(outcome.time));
        of(&self.fuel, function).add(outcome.fuel);
        self.memory.add(outcome.memory as u64);
        self.peak.fetch_max(outcome.memory, Relaxed);
        self.dropped.fetch_add(outcome.dropped, Relaxed);
        if let Ok(answer) = &outcome.answer {
            self.output.add(answer.len() as u64);
        }
    }

    pub(super) fn waited(&self, time: Duration) {
        self.wait.add(micros(time));
    }

    pub(super) fn did_not_run(&self, function: Function, ending: Ending) {
        self.ending(function, ending).fetch_add(1, Relaxed);
    }

    pub(crate) fn was_remembered(&self, function: Function) {
        of(&self.remembered, function).fetch_add(1, Relaxed);
    }

    #[expect(clippy::indexing_slicing, reason = "there is one counter for each ending")]
    fn ending(&self, function: Function, ending: Ending) -> &AtomicU64 {
        &of(&self.endings, function)[ending as usize]
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

#[expect(clippy::indexing_slicing, reason = "there is one for each function")]
fn of<T>(each: &ByFunction<T>, function: Function) -> &T {
    &each[function as usize]
}
