//! A circuit breaker: a plugin that fails and fails again is left alone for a while.
//!
//! Pure: the time is an argument. It opens when five calls of a function in a row fail, or more than half of a minute's, and
//! for three jobs at least: a job that a plugin cannot plan is that job's trouble, however often it changes. When its pause is
//! over one call at a time tries; if that fails, the pause doubles. Other functions are called meanwhile: each has a circuit
//! of its own.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use super::{Digest, Function};

/// The first pause, and the longest.
const PAUSE: Duration = Duration::from_secs(30);
const LONGEST: Duration = Duration::from_mins(10);
/// Failures in a row, and for how many jobs.
const STREAK: u32 = 5;
const JOBS: usize = 3;
/// Calls of a minute of which a share says something.
const MINUTE: Duration = Duration::from_mins(1);
const SAMPLE: u32 = 10;
/// When to ask again while somebody else tries.
const TRIAL: Duration = Duration::from_secs(1);

/// What a call said of its plugin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It answered, be it with a no.
    Good,
    /// The plugin failed.
    Fault,
    /// It was not asked, or the fault is ours.
    Unknown,
}

/// Whether a plugin is called; what is worse is more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Circuit {
    /// It is.
    Closed,
    /// One call may try.
    HalfOpen,
    /// Not now.
    Open {
        /// When to ask again.
        again: Duration,
    },
}

/// The circuits of all functions.
#[derive(Debug, Default)]
pub(super) struct Breaker(HashMap<Function, State>);

#[derive(Debug)]
enum State {
    Closed(Record),
    Open { until: Instant, pause: Duration },
    HalfOpen { pause: Duration, is_tried: bool },
}

#[derive(Debug, Default)]
struct Record {
    row: Faults,
    minute: Option<(Instant, Minute)>,
}

#[derive(Debug, Default)]
struct Minute {
    calls: u32,
    faults: Faults,
}

/// How many, and the first few jobs of them.
#[derive(Debug, Default)]
struct Faults {
    count: u32,
    jobs: Vec<Digest>,
}

impl Faults {
    fn add(&mut self, job: Digest) {
        self.count += 1;
        if self.jobs.len() < JOBS && !self.jobs.contains(&job) {
            self.jobs.push(job);
        }
    }

    fn are_many(&self) -> bool {
        self.jobs.len() >= JOBS
    }
}

impl Breaker {
    /// Whether a call may start; if not, when to ask again. Who may start tells its [`Verdict`] when it has ended.
    pub(super) fn admit(&mut self, now: Instant, function: Function) -> Result<(), Duration> {
        let state = self.0.entry(function).or_default();
        match state {
            State::Closed(_) => Ok(()),
            State::Open { until, .. } if now < *until => Err(*until - now),
            State::Open { pause, .. } => {
                *state = State::HalfOpen { pause: *pause, is_tried: true };
                Ok(())
            }
            State::HalfOpen { is_tried: true, .. } => Err(TRIAL),
            State::HalfOpen { is_tried, .. } => {
                *is_tried = true;
                Ok(())
            }
        }
    }

    /// A call of that function for that job has ended.
    pub(super) fn tell(&mut self, now: Instant, function: Function, job: Digest, verdict: Verdict) {
        let state = self.0.entry(function).or_default();
        match (&mut *state, verdict) {
            // What ends while it is open was started before.
            (State::Open { .. }, _) | (State::Closed(_), Verdict::Unknown) => {}
            (State::Closed(Record { row, minute }), Verdict::Good | Verdict::Fault) => {
                let minute = Minute::at(minute, now);
                minute.calls += 1;
                if verdict == Verdict::Good {
                    *row = Faults::default();
                } else {
                    row.add(job);
                    minute.faults.add(job);
                }
                if (row.count >= STREAK && row.are_many()) || minute.is_bad() {
                    *state = State::open(now, PAUSE);
                }
            }
            (State::HalfOpen { .. }, Verdict::Good) => *state = State::default(),
            (State::HalfOpen { pause, .. }, Verdict::Fault) => *state = State::open(now, (*pause * 2).min(LONGEST)),
            (State::HalfOpen { is_tried, .. }, Verdict::Unknown) => *is_tried = false,
        }
    }

    /// Of the function of which it is worst.
    pub(super) fn circuit(&self, now: Instant) -> Circuit {
        self.0.values().map(|state| state.circuit(now)).max().unwrap_or(Circuit::Closed)
    }
}

impl Default for State {
    fn default() -> Self {
        Self::Closed(Record::default())
    }
}

impl State {
    fn open(now: Instant, pause: Duration) -> Self {
        Self::Open { until: now + pause, pause }
    }

    fn circuit(&self, now: Instant) -> Circuit {
        match self {
            Self::Closed(_) => Circuit::Closed,
            Self::Open { until, .. } if now < *until => Circuit::Open { again: *until - now },
            Self::Open { .. } | Self::HalfOpen { .. } => Circuit::HalfOpen,
        }
    }
}

impl Minute {
    /// The one that is going on, or a new one.
    fn at(minute: &mut Option<(Instant, Self)>, now: Instant) -> &mut Self {
        let is_over = minute.as_ref().is_some_and(|(since, _)| now.saturating_duration_since(*since) >= MINUTE);
        if is_over {
            *minute = None;
        }
        &mut minute.get_or_insert_with(|| (now, Self::default())).1
    }

    fn is_bad(&self) -> bool {
        self.calls >= SAMPLE && self.faults.count * 2 > self.calls && self.faults.are_many()
    }
}

#[cfg(test)]
mod tests;
