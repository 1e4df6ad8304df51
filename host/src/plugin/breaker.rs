//! A circuit breaker: a plugin that fails and fails again is left alone for a while.
//!
//! Pure: the time is an argument. It opens when five calls of a function in a row fail, or more than half of a minute's, and
//! for three jobs at least: a job that a plugin cannot plan is that job's trouble, however often it changes. When its pause is
//! over one call at a time tries, until that function answers; each time a call fails, the pause doubles.

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

/// Whether a plugin is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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

#[derive(Debug)]
pub(super) struct Breaker(State);

#[derive(Debug)]
enum State {
    Closed(HashMap<Function, Record>),
    /// `about` has failed.
    Open {
        about: Function,
        until: Instant,
        pause: Duration,
    },
    HalfOpen {
        about: Function,
        pause: Duration,
        is_tried: bool,
    },
}

/// Of a function: another that answers says nothing of it.
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
    pub(super) fn new() -> Self {
        Self(State::default())
    }

    /// Whether a call may start; if not, when to ask again. Who may start tells its [`Verdict`] when it has ended.
    pub(super) fn admit(&mut self, now: Instant) -> Result<(), Duration> {
        match &mut self.0 {
            State::Closed(_) => Ok(()),
            State::Open { until, .. } if now < *until => Err(*until - now),
            State::Open { about, pause, .. } => {
                self.0 = State::HalfOpen { about: *about, pause: *pause, is_tried: true };
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
        match (&mut self.0, verdict) {
            // What ends while it is open was started before.
            (State::Open { .. }, _) | (State::Closed(_), Verdict::Unknown) => {}
            (State::Closed(records), Verdict::Good | Verdict::Fault) => {
                let Record { row, minute } = records.entry(function).or_default();
                let minute = Minute::at(minute, now);
                minute.calls += 1;
                if verdict == Verdict::Good {
                    *row = Faults::default();
                } else {
                    row.add(job);
                    minute.faults.add(job);
                }
                if (row.count >= STREAK && row.are_many()) || minute.is_bad() {
                    self.0 = State::open(function, now, PAUSE);
                }
            }
            (State::HalfOpen { about, .. }, Verdict::Good) if *about == function => self.0 = State::default(),
            (State::HalfOpen { pause, .. }, Verdict::Fault) => {
                self.0 = State::open(function, now, (*pause * 2).min(LONGEST));
            }
            (State::HalfOpen { is_tried, .. }, Verdict::Good | Verdict::Unknown) => *is_tried = false,
        }
    }

    pub(super) fn circuit(&self, now: Instant) -> Circuit {
        match &self.0 {
            State::Closed(_) => Circuit::Closed,
            State::Open { until, .. } if now < *until => Circuit::Open { again: *until - now },
            State::Open { .. } | State::HalfOpen { .. } => Circuit::HalfOpen,
        }
    }
}

impl Default for State {
    fn default() -> Self {
        Self::Closed(HashMap::new())
    }
}

impl State {
    fn open(about: Function, now: Instant, pause: Duration) -> Self {
        Self::Open { about, until: now + pause, pause }
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
