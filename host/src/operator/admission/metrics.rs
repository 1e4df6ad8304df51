//! Counters of reviews, named as controller-runtime names those of a webhook.

use std::sync::Arc;
use std::time::Instant;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

/// What is counted of reviews; a cheap handle.
#[derive(Clone, Debug)]
pub(in crate::operator) struct Reviews {
    requests: Family<Answered, Counter>,
    latency: Family<Asked, Histogram, fn() -> Histogram>,
    in_flight: Family<Asked, Gauge>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Asked {
    webhook: Arc<str>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Answered {
    webhook: Arc<str>,
    code: u16,
}

/// Prometheus' own defaults.
const SECONDS: [f64; 11] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

impl Reviews {
    pub(in crate::operator) fn new(registry: &mut Registry) -> Self {
        let reviews = Self {
            requests: Family::default(),
            latency: Family::new_with_constructor(|| Histogram::new(SECONDS)),
            in_flight: Family::default(),
        };
        registry.register(
            "controller_runtime_webhook_requests",
            "Total number of admission requests by HTTP status code",
            reviews.requests.clone(),
        );
        registry.register(
            "controller_runtime_webhook_latency_seconds",
            "Histogram of the latency of processing admission requests",
            reviews.latency.clone(),
        );
        registry.register(
            "controller_runtime_webhook_requests_in_flight",
            "Current number of admission requests being served",
            reviews.in_flight.clone(),
        );
        reviews
    }

    /// Counts one review at this path, whose answer has this HTTP status.
    pub(super) fn count<T>(&self, webhook: &Arc<str>, review: impl FnOnce() -> (u16, T)) -> T {
        let asked = Asked { webhook: webhook.clone() };
        let in_flight = self.in_flight.get_or_create(&asked).clone();
        in_flight.inc();
        let began = Instant::now();
        let (code, answer) = review();
        self.latency.get_or_create(&asked).observe(began.elapsed().as_secs_f64());
        self.requests.get_or_create(&Answered { webhook: webhook.clone(), code }).inc();
        in_flight.dec();
        answer
    }
}
