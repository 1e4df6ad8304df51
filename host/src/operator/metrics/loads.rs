//! What loading plugins takes, and what comes of it.

use std::time::Duration;

use prometheus::{HistogramVec, IntCounterVec, IntGaugeVec};

use super::page::Page;
use crate::plugin::Cost;
use crate::source::Cache;

/// What is counted of loading plugins; a cheap handle.
#[derive(Clone, Debug)]
pub(in crate::operator) struct Loads {
    durations: HistogramVec,
    failures: IntCounterVec,
    reloads: IntCounterVec,
    states: IntGaugeVec,
    compiler: IntGaugeVec,
    cached: IntGaugeVec,
    hits: IntCounterVec,
}

/// From a small component of a ConfigMap to an interpreter from a slow registry.
const SECONDS: [f64; 10] = [0.001, 0.005, 0.025, 0.1, 0.25, 1.0, 2.5, 10.0, 30.0, 120.0];

/// How a `FrameworkPlugin` is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::operator) enum State {
    /// It plans.
    Ready,
    /// It plans, and something is wrong.
    Degraded,
    /// It does not plan, and something is wrong.
    Failed,
    /// It does not plan, and should not.
    Suspended,
}

/// What became of a version that was wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::operator) enum Reload {
    /// There was none before.
    Loaded,
    /// It took the place of another.
    Replaced,
    /// It took its place again.
    RolledBack,
    /// It did not.
    Failed,
}

impl State {
    const ALL: [Self; 4] = [Self::Ready, Self::Degraded, Self::Failed, Self::Suspended];

    fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "Ready",
            Self::Degraded => "Degraded",
            Self::Failed => "Failed",
            Self::Suspended => "Suspended",
        }
    }
}

impl Reload {
    fn as_str(self) -> &'static str {
        match self {
            Self::Loaded => "Loaded",
            Self::Replaced => "Replaced",
            Self::RolledBack => "RolledBack",
            Self::Failed => "Failed",
        }
    }
}

impl Loads {
    pub(super) fn new(page: &Page) -> Self {
        Self {
            durations: page.histograms(
                "trainyard_plugin_load_duration_seconds",
                "How long it took to fetch a plugin, to compile it, and to ask it what it is",
                &["phase"],
                SECONDS.to_vec(),
            ),
            failures: page.counters(
                "trainyard_plugin_load_failures_total",
                "Versions of plugins that were wanted and not loaded, by the reason in their condition",
                &["reason"],
            ),
            reloads: page.counters(
                "trainyard_plugin_reloads_total",
                "Versions of plugins that were wanted, by what became of them",
                &["result"],
            ),
            states: page.gauges(
                "trainyard_plugin_state",
                "How a FrameworkPlugin is: 1 for its state, 0 for the others",
                &["plugin", "state"],
            ),
            compiler: page.gauges(
                "trainyard_plugin_compiler_memory_bytes",
                "Memory that the process took which compiled a plugin last",
                &[],
            ),
            cached: page.gauges("trainyard_plugin_cache_bytes", "Bytes that are kept of plugins", &[]),
            hits: page.counters(
                "trainyard_plugin_cache_hits_total",
                "Parts of plugins that were kept, and so not fetched",
                &[],
            ),
        }
    }

    pub(in crate::operator) fn fetched(&self, time: Duration) {
        self.phase("Fetch", time);
    }

    pub(in crate::operator) fn loaded(&self, cost: &Cost) {
        self.phase("Compile", cost.compile);
        self.phase("Probe", cost.probe);
        self.compiler.with_label_values::<&str>(&[]).set(cost.compiler.try_into().unwrap_or(i64::MAX));
    }

    fn phase(&self, phase: &str, time: Duration) {
        self.durations.with_label_values(&[phase]).observe(time.as_secs_f64());
    }

    pub(in crate::operator) fn failed(&self, reason: &str) {
        self.failures.with_label_values(&[reason]).inc();
    }

    pub(in crate::operator) fn reloaded(&self, result: Reload) {
        self.reloads.with_label_values(&[result.as_str()]).inc();
    }

    pub(in crate::operator) fn is(&self, plugin: &str, state: State) {
        for each in State::ALL {
            self.states.with_label_values(&[plugin, each.as_str()]).set((each == state).into());
        }
    }

    pub(in crate::operator) fn has_gone(&self, plugin: &str) {
        for each in State::ALL {
            let _ = self.states.remove_label_values(&[plugin, each.as_str()]); // it may never have been
        }
    }

    pub(in crate::operator) fn cached(&self, cache: &Cache, bytes: u64) {
        self.cached.with_label_values::<&str>(&[]).set(bytes.try_into().unwrap_or(i64::MAX));
        self.hits.with_label_values::<&str>(&[]).inc_by(cache.new_hits());
    }
}
