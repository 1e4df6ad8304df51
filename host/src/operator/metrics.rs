//! Counters in the names, labels and help texts of v1, and what Trainyard adds.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeLabelValue, EncodeMetric as _, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;
use trainyard_core::think::Count;

use super::admission::Reviews;
use crate::plugin::{Counters, Function, Plugin};

/// All that `/metrics` shows.
#[derive(Debug)]
pub(super) struct Metrics {
    registry: Registry,
    jobs: [(Counted, Jobs); 5],
    passes: Family<PassLabels, Counter>,
    /// What is asked at admission.
    pub(super) reviews: Reviews,
}

type Jobs = Family<JobLabels, Counter>;

/// What v1 counts of jobs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Counted {
    Created,
    Deleted,
    Successful,
    Failed,
    Restarted,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct JobLabels {
    framework: String,
    job_namespace: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PassLabels {
    framework: String,
    outcome: Outcome,
}

/// How a pass over a job ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelValue)]
pub(super) enum Outcome {
    /// There was nothing to do.
    Settled,
    /// Something was written.
    Acted,
    /// The cluster or the plugin failed us.
    Failed,
}

impl Metrics {
    /// With what these plugins cost.
    pub(super) fn new(plugins: Vec<Plugin>) -> Self {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(Plugins(plugins)));
        let jobs = [
            (Counted::Created, "created"),
            (Counted::Deleted, "deleted"),
            (Counted::Successful, "successful"),
            (Counted::Failed, "failed"),
            (Counted::Restarted, "restarted"),
        ]
        .map(|(counted, word)| {
            let family = Jobs::default();
            let name = format!("training_operator_jobs_{word}");
            registry.register(name, format!("Counts number of jobs {word}"), family.clone());
            (counted, family)
        });
        let passes = Family::default();
        registry.register("trainyard_passes", "Passes over jobs, by how they ended", passes.clone());
        let reviews = Reviews::new(&mut registry);
        Self { registry, jobs, passes, reviews }
    }

    pub(super) fn count(&self, counted: Counted, framework: &str, namespace: &str) {
        let labels = JobLabels { framework: framework.to_owned(), job_namespace: namespace.to_owned() };
        for (_, family) in self.jobs.iter().filter(|(each, _)| *each == counted) {
            family.get_or_create(&labels).inc();
        }
    }

    pub(super) fn pass(&self, framework: &str, outcome: Outcome) {
        self.passes.get_or_create(&PassLabels { framework: framework.to_owned(), outcome }).inc();
    }

    /// In the text format of `OpenMetrics`.
    pub(super) fn text(&self) -> String {
        let mut page = String::new();
        match text::encode(&mut page, &self.registry) {
            Ok(()) => page,
            Err(fmt::Error) => String::new(),
        }
    }
}

/// Read when somebody asks.
struct Plugins(Vec<Plugin>);

impl fmt::Debug for Plugins {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|plugin| &plugin.description().name)).finish()
    }
}

impl Collector for Plugins {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        self.by_function(&mut encoder, "trainyard_plugin_calls", "Calls that ran in a plugin", Counters::calls)?;
        let help = "Calls that were answered from memory";
        self.by_function(&mut encoder, "trainyard_plugin_remembered", help, Counters::remembered)?;
        let help = "Fuel that a plugin's calls have used";
        let mut fuel = encoder.encode_descriptor("trainyard_plugin_fuel", help, None, MetricType::Counter)?;
        for plugin in &self.0 {
            let labels = [("plugin", plugin.description().name.as_str())];
            ConstCounter::new(plugin.counters().fuel()).encode(fuel.encode_family(&labels)?)?;
        }
        Ok(())
    }
}

impl Plugins {
    fn by_function(
        &self,
        encoder: &mut DescriptorEncoder<'_>,
        name: &str,
        help: &str,
        count: impl Fn(&Counters, Function) -> u64,
    ) -> fmt::Result {
        let mut family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
        for (plugin, function) in self.0.iter().flat_map(|plugin| Function::ALL.map(|function| (plugin, function))) {
            let labels = [("plugin", plugin.description().name.as_str()), ("function", function.as_str())];
            ConstCounter::new(count(plugin.counters(), function)).encode(family.encode_family(&labels)?)?;
        }
        Ok(())
    }
}

impl From<Count> for Counted {
    fn from(count: Count) -> Self {
        match count {
            Count::Created => Self::Created,
            Count::Successful => Self::Successful,
            Count::Failed => Self::Failed,
            Count::Restarted => Self::Restarted,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_and_labels_are_v1s() {
        let metrics = Metrics::new(vec![]);
        metrics.count(Counted::Created, "pytorch", "ns");
        let page = metrics.text();
        assert!(
            page.contains("training_operator_jobs_created_total{framework=\"pytorch\",job_namespace=\"ns\"} 1\n"),
            "{page}"
        );
    }
}
