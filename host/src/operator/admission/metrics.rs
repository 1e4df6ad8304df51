//! Counters of reviews, named as controller-runtime names those of a webhook.

use std::time::Instant;

use prometheus::{HistogramVec, IntCounterVec, IntGaugeVec};

use crate::operator::metrics::Page;

/// What is counted of reviews; a cheap handle.
#[derive(Clone, Debug)]
pub(in crate::operator) struct Reviews {
    requests: IntCounterVec,
    latency: HistogramVec,
    in_flight: IntGaugeVec,
}

/// Prometheus' own defaults.
const SECONDS: [f64; 11] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

impl Reviews {
    pub(in crate::operator) fn new(page: &Page) -> Self {
        Self {
            requests: page.counters(
                "controller_runtime_webhook_requests_total",
                "Total number of admission requests by HTTP status code.",
                &["code", "webhook"],
            ),
            latency: page.histograms(
                "controller_runtime_webhook_latency_seconds",
                "Histogram of the latency of processing admission requests",
                &["webhook"],
                SECONDS.to_vec(),
            ),
            in_flight: page.gauges(
                "controller_runtime_webhook_requests_in_flight",
                "Current number of admission requests being served.",
                &["webhook"],
            ),
        }
    }

    /// Counts one review at this path, whose answer has this HTTP status.
    pub(super) fn count<T>(&self, webhook: &str, review: impl FnOnce() -> (u16, T)) -> T {
        let in_flight = self.in_flight.with_label_values(&[webhook]);
        in_flight.inc();
        let began = Instant::now();
        let (code, answer) = review();
        self.latency.with_label_values(&[webhook]).observe(began.elapsed().as_secs_f64());
        self.requests.with_label_values(&[&code.to_string(), webhook]).inc();
        in_flight.dec();
        answer
    }
}
