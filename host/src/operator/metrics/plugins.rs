//! What plugins cost and how they fare, read when somebody asks. Two versions of a plugin are one row: the label is its
//! name.

use std::collections::{BTreeMap, BTreeSet};

use prometheus::proto::{MetricFamily, MetricType};

use super::page::{family, histogram};
use crate::plugin::{Buckets, Circuit, Counters, Ending, Function, Plugin};

type Labels = Vec<(&'static str, String)>;

/// Microseconds in a second.
const MICROS: f64 = 1e6;

pub(super) fn families(plugins: &[Plugin]) -> Vec<MetricFamily> {
    let plugins = Named::of(plugins);
    let calls = plugins.by_function(|name, function| {
        Ending::ALL.map(|ending| {
            let labels = vec![
                ("function", function.as_str().to_owned()),
                ("outcome", ending.as_str().to_owned()),
                ("plugin", name.to_owned()),
            ];
            (labels, plugins.sum(name, |plugin| plugin.counters().ended(function, ending)))
        })
    });
    // Most have never happened, and say nothing.
    let calls = calls.into_iter().flatten().filter(|(_, count)| *count > 0.0);
    let remembered = plugins.by_function(|name, function| {
        let count = plugins.sum(name, |plugin| plugin.counters().remembered(function));
        (labels(function, name), count)
    });
    let counter = |name, help, rows: Vec<(Labels, f64)>| family(name, help, MetricType::COUNTER, rows);
    let gauge = |name, help, rows: Vec<(Labels, f64)>| family(name, help, MetricType::GAUGE, rows);
    let each = |count: fn(&Plugin) -> u64| plugins.each(|name| (label(name), plugins.sum(name, count)));
    vec![
        counter("trainyard_plugin_calls_total", "Calls of a plugin, by how they ended", calls.collect()),
        counter("trainyard_plugin_remembered_total", "Calls that were answered from memory", remembered),
        counter(
            "trainyard_plugin_log_lines_dropped_total",
            "Lines that a plugin logged beyond its budget",
            each(|plugin| plugin.counters().dropped_lines()),
        ),
        gauge("trainyard_plugin_in_flight", "Calls of a plugin that run", each(Plugin::in_flight)),
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

/// Plugins by name.
struct Named<'a>(BTreeMap<&'a str, Vec<&'a Plugin>>);

impl<'a> Named<'a> {
    fn of(plugins: &'a [Plugin]) -> Self {
        let mut named: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for plugin in plugins {
            named.entry(plugin.description().name.as_str()).or_default().push(plugin);
        }
        Self(named)
    }

    fn each<T>(&self, row: impl Fn(&str) -> T) -> Vec<T> {
        self.0.keys().map(|name| row(name)).collect()
    }

    fn by_function<T>(&self, row: impl Fn(&str, Function) -> T) -> Vec<T> {
        self.0.keys().flat_map(|name| Function::ALL.map(|function| row(name, function))).collect()
    }

    fn of_name(&self, name: &str) -> impl Iterator<Item = &'a Plugin> {
        self.0.get(name).into_iter().flatten().copied()
    }

    fn sum(&self, name: &str, count: impl Fn(&Plugin) -> u64) -> f64 {
        float(self.of_name(name).map(count).sum())
    }

    fn most(&self, name: &str, state: impl Fn(&Plugin) -> u64) -> f64 {
        float(self.of_name(name).map(state).max().unwrap_or_default())
    }

    fn buckets(&self, name: &str, help: &str, unit: f64, of: fn(&Counters) -> Buckets) -> MetricFamily {
        let of = |name: &str| self.of_name(name).map(|plugin| of(plugin.counters())).sum();
        histogram(name, help, unit, self.each(|name| (label(name), of(name))))
    }

    fn by_function_buckets(
        &self,
        name: &str,
        help: &str,
        unit: f64,
        of: fn(&Counters, Function) -> Buckets,
    ) -> MetricFamily {
        let of = |name: &str, function| self.of_name(name).map(|plugin| of(plugin.counters(), function)).sum();
        let rows = self.by_function(|name, function| (labels(function, name), of(name, function)));
        histogram(name, help, unit, rows)
    }

    fn loaded(&self) -> Vec<(Labels, f64)> {
        let all = self.0.values().flatten();
        let row = |plugin: &Plugin| {
            let description = plugin.description();
            vec![
                ("digest", plugin.digest().to_string()),
                ("plugin", description.name.clone()),
                ("version", description.version.clone()),
            ]
        };
        all.map(|plugin| row(plugin)).collect::<BTreeSet<_>>().into_iter().map(|row| (row, 1.0)).collect()
    }

    /// All plugins have one engine.
    fn ticks(&self) -> Vec<(Labels, f64)> {
        let any = self.0.values().flatten().next();
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
