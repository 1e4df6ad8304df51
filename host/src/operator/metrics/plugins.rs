//! What plugins cost and how they fare, read when somebody asks. Two versions of a plugin are one row: the label is the name
//! of the `FrameworkPlugin`, or of what the program was started with. What a stranger's plugin calls itself is no label.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use prometheus::proto::{MetricFamily, MetricType};

use super::ledger::Ledger;
use super::page::{family, histogram};
use crate::plugin::{Buckets, Circuit, Counters, Ending, Function, Plugin};

type Labels = Vec<(&'static str, String)>;

/// Microseconds in a second.
const MICROS: f64 = 1e6;

pub(super) fn families(plugins: &[(String, Plugin)], ledger: &Ledger) -> Vec<MetricFamily> {
    let plugins = Named::of(plugins, ledger);
    let calls = plugins.by_function(|name, function| {
        Ending::ALL.map(|ending| {
            let labels = vec![
                ("function", function.as_str().to_owned()),
                ("outcome", ending.as_str().to_owned()),
                ("plugin", name.to_owned()),
            ];
            (labels, plugins.count(name, |counters| counters.ended(function, ending)))
        })
    });
    // Most have never happened, and say nothing.
    let calls = calls.into_iter().flatten().filter(|(_, count)| *count > 0.0);
    let remembered = plugins.by_function(|name, function| {
        let count = plugins.count(name, |counters| counters.remembered(function));
        (labels(function, name), count)
    });
    let counter = |name, help, rows: Vec<(Labels, f64)>| family(name, help, MetricType::COUNTER, rows);
    let gauge = |name, help, rows: Vec<(Labels, f64)>| family(name, help, MetricType::GAUGE, rows);
    vec![
        counter("trainyard_plugin_calls_total", "Calls of a plugin, by how they ended", calls.collect()),
        counter("trainyard_plugin_remembered_total", "Calls that were answered from memory", remembered),
        counter(
            "trainyard_plugin_log_lines_dropped_total",
            "Lines that a plugin logged beyond its budget",
            plugins.each(|name| (label(name), plugins.count(name, Counters::dropped_lines))),
        ),
        gauge(
            "trainyard_plugin_in_flight",
            "Calls of a plugin that run",
            plugins.each(|name| (label(name), plugins.sum(name, Plugin::in_flight))),
        ),
        gauge(
            "trainyard_plugin_breaker_state",
            "Whether a plugin is called (0), tried (1) or left alone (2)",
            plugins.each(|name| (label(name), plugins.most(name, |plugin| state(plugin.circuit())))),
        ),
        gauge("trainyard_plugin_loaded_info", "Plugins that are loaded", plugins.loaded()),
        plugins.by_function_buckets(
            "trainyard_plugin_call_duration_seconds",
            "How long calls ran",
            MICROS,
            Counters::times,
        ),
        plugins.by_function_buckets("trainyard_plugin_fuel", "Fuel that calls have used", 1.0, Counters::fuels),
        plugins.buckets(
            "trainyard_plugin_wait_seconds",
            "How long calls waited for their turn",
            MICROS,
            Counters::waits,
        ),
        plugins.buckets("trainyard_plugin_memory_bytes", "Memory that calls have used", 1.0, Counters::memories),
        plugins.buckets("trainyard_plugin_answer_bytes", "Bytes of answers", 1.0, Counters::outputs),
        counter("trainyard_plugin_clock_ticks_total", "Ticks of the clock that ends calls", plugins.ticks()),
    ]
}

/// Plugins by name, and what those of that name have counted.
struct Named<'a> {
    plugins: BTreeMap<&'a str, Vec<&'a Plugin>>,
    counters: BTreeMap<String, Vec<Arc<Counters>>>,
}

impl<'a> Named<'a> {
    fn of(plugins: &'a [(String, Plugin)], ledger: &Ledger) -> Self {
        let mut named: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for (name, plugin) in plugins {
            named.entry(name.as_str()).or_default().push(plugin);
        }
        let counters = plugins.iter().map(|(name, plugin)| (name.as_str(), plugin.counters()));
        Self { plugins: named, counters: ledger.of(counters) }
    }

    fn each<T>(&self, row: impl Fn(&str) -> T) -> Vec<T> {
        self.plugins.keys().map(|name| row(name)).collect()
    }

    fn by_function<T>(&self, row: impl Fn(&str, Function) -> T) -> Vec<T> {
        self.plugins.keys().flat_map(|name| Function::ALL.map(|function| row(name, function))).collect()
    }

    fn of_name(&self, name: &str) -> impl Iterator<Item = &'a Plugin> {
        self.plugins.get(name).into_iter().flatten().copied()
    }

    fn sum(&self, name: &str, count: impl Fn(&Plugin) -> u64) -> f64 {
        float(self.of_name(name).map(count).sum())
    }

    fn counters(&self, name: &str) -> impl Iterator<Item = &Counters> {
        self.counters.get(name).into_iter().flatten().map(Arc::as_ref)
    }

    fn count(&self, name: &str, count: impl Fn(&Counters) -> u64) -> f64 {
        float(self.counters(name).map(count).sum())
    }

    fn most(&self, name: &str, state: impl Fn(&Plugin) -> u64) -> f64 {
        float(self.of_name(name).map(state).max().unwrap_or_default())
    }

    fn buckets(&self, name: &str, help: &str, unit: f64, of: fn(&Counters) -> Buckets) -> MetricFamily {
        let of = |name: &str| self.counters(name).map(of).sum();
        histogram(name, help, unit, self.each(|name| (label(name), of(name))))
    }

    fn by_function_buckets(
        &self,
        name: &str,
        help: &str,
        unit: f64,
        of: fn(&Counters, Function) -> Buckets,
    ) -> MetricFamily {
        let of = |name: &str, function| self.counters(name).map(|counters| of(counters, function)).sum();
        let rows = self.by_function(|name, function| (labels(function, name), of(name, function)));
        histogram(name, help, unit, rows)
    }

    fn loaded(&self) -> Vec<(Labels, f64)> {
        let all = self.plugins.iter().flat_map(|(name, plugins)| plugins.iter().map(move |plugin| (name, plugin)));
        let row = |(name, plugin): (&&str, &&Plugin)| {
            vec![
                ("digest", plugin.digest().to_string()),
                ("plugin", (*name).to_owned()),
                ("version", plugin.description().version.clone()),
            ]
        };
        all.map(row).collect::<BTreeSet<_>>().into_iter().map(|row| (row, 1.0)).collect()
    }

    /// All plugins have one engine.
    fn ticks(&self) -> Vec<(Labels, f64)> {
        let any = self.plugins.values().flatten().next();
        any.map(|plugin| (vec![], float(plugin.engine().ticks()))).into_iter().collect()
    }
}

fn state(circuit: Circuit) -> u64 {
    match circuit {
        Circuit::Closed => 0,
        Circuit::HalfOpen => 1,
        Circuit::Open { .. } => 2,
    }
}

fn label(name: &str) -> Labels {
    vec![("plugin", name.to_owned())]
}

fn labels(function: Function, name: &str) -> Labels {
    vec![("function", function.as_str().to_owned()), ("plugin", name.to_owned())]
}

#[expect(clippy::cast_precision_loss, reason = "Prometheus has no other numbers")]
pub(super) fn float(count: u64) -> f64 {
    count as f64
}
