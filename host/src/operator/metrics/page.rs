//! The page itself: families of metrics in order of their names, in the format that v1 serves.

use prometheus::core::Collector;
use prometheus::proto::{LabelPair, Metric, MetricFamily, MetricType};
use prometheus::{
    GaugeVec, HistogramOpts, HistogramVec, IntCounterVec, IntGaugeVec, Opts, Registry, TextEncoder, proto,
};

use super::plugins::float;
use crate::plugin::Buckets;

/// What is counted as it happens; the rest is read when somebody asks.
#[derive(Debug, Default)]
pub(in crate::operator) struct Page(Registry);

/// `text/plain; version=0.0.4`.
pub(in crate::operator) const CONTENT_TYPE: &str = prometheus::TEXT_FORMAT;

#[expect(clippy::expect_used, reason = "a name that cannot be, or that is there twice, is a bug that any test meets")]
impl Page {
    pub(in crate::operator) fn counters(&self, name: &str, help: &str, labels: &[&str]) -> IntCounterVec {
        self.add(IntCounterVec::new(Opts::new(name, help), labels).expect("a good name"))
    }

    pub(in crate::operator) fn gauges(&self, name: &str, help: &str, labels: &[&str]) -> IntGaugeVec {
        self.add(IntGaugeVec::new(Opts::new(name, help), labels).expect("a good name"))
    }

    /// Of seconds, not of things.
    pub(super) fn times(&self, name: &str, help: &str, labels: &[&str]) -> GaugeVec {
        self.add(GaugeVec::new(Opts::new(name, help), labels).expect("a good name"))
    }

    pub(in crate::operator) fn histograms(
        &self,
        name: &str,
        help: &str,
        labels: &[&str],
        buckets: Vec<f64>,
    ) -> HistogramVec {
        let options = HistogramOpts::new(name, help).buckets(buckets);
        self.add(HistogramVec::new(options, labels).expect("a good name"))
    }

    fn add<C: Collector + Clone + 'static>(&self, metrics: C) -> C {
        self.0.register(Box::new(metrics.clone())).expect("registered once");
        metrics
    }

    /// With `more`, which nobody counts as it happens.
    pub(super) fn text(&self, more: impl Iterator<Item = MetricFamily>) -> String {
        let more = more.filter(|family| !family.get_metric().is_empty());
        let mut families: Vec<_> = self.0.gather().into_iter().chain(more).collect();
        families.sort_by(|one, other| one.name().cmp(other.name()));
        TextEncoder::new().encode_to_string(&families).unwrap_or_default()
    }
}

/// A family of counters or gauges as they stand; the labels of each are in order of their names.
pub(super) fn family(
    name: &str,
    help: &str,
    kind: MetricType,
    rows: impl IntoIterator<Item = (Vec<(&'static str, String)>, f64)>,
) -> MetricFamily {
    let metric = |(labels, value): (Vec<(&str, String)>, f64)| {
        let mut metric = Metric::from_label(labels.into_iter().map(label).collect());
        if kind == MetricType::COUNTER {
            let mut counter = proto::Counter::default();
            counter.set_value(value);
            metric.set_counter(counter);
        } else {
            let mut gauge = proto::Gauge::default();
            gauge.set_value(value);
            metric.set_gauge(gauge);
        }
        metric
    };
    of_metrics(name, help, kind, rows.into_iter().map(metric).collect())
}

/// A family of histograms as they stand, of which so many units are one of what is shown.
pub(super) fn histogram(
    name: &str,
    help: &str,
    unit: f64,
    rows: impl IntoIterator<Item = (Vec<(&'static str, String)>, Buckets)>,
) -> MetricFamily {
    let metric = |(labels, buckets): (Vec<(&str, String)>, Buckets)| {
        let mut histogram = proto::Histogram::default();
        histogram.set_sample_count(buckets.count);
        histogram.set_sample_sum(float(buckets.sum) / unit);
        let bucket = |(bound, count): (u64, u64)| {
            let mut bucket = proto::Bucket::default();
            bucket.set_upper_bound(float(bound) / unit);
            bucket.set_cumulative_count(count);
            bucket
        };
        histogram.set_bucket(buckets.within.into_iter().map(bucket).collect());
        let mut metric = Metric::from_label(labels.into_iter().map(label).collect());
        metric.set_histogram(histogram);
        metric
    };
    let rows = rows.into_iter().filter(|(_, buckets)| buckets.count > 0);
    of_metrics(name, help, MetricType::HISTOGRAM, rows.map(metric).collect())
}

fn of_metrics(name: &str, help: &str, kind: MetricType, metrics: Vec<Metric>) -> MetricFamily {
    let mut family = MetricFamily::default();
    family.set_name(name.to_owned());
    family.set_help(help.to_owned());
    family.set_field_type(kind);
    family.set_metric(metrics);
    family
}

fn label((name, value): (&str, String)) -> LabelPair {
    let mut label = LabelPair::default();
    label.set_name(name.to_owned());
    label.set_value(value);
    label
}
