//! A limit on requests to the API server, for admins who ask for one. There is none by default: the API server's own
//! fairness (priority and fairness) knows better than a client what it can take.

use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::{Instant, sleep};

use crate::cli::OperatorOptions;

/// A token bucket shared by all requests.
#[derive(Debug)]
pub(super) struct Throttle {
    per_second: f64,
    burst: f64,
    bucket: Mutex<Bucket>,
}

#[derive(Debug)]
struct Bucket {
    tokens: f64,
    since: Instant,
}

impl Throttle {
    /// None where `--kube-api-qps` is not given, or not above 0.
    pub(super) fn of(options: &OperatorOptions) -> Option<Self> {
        let per_second = options.kube_api_qps.filter(|rate| *rate > 0.0)?;
        Some(Self::new(f64::from(per_second), f64::from(options.kube_api_burst.max(1))))
    }

    fn new(per_second: f64, burst: f64) -> Self {
        Self { per_second, burst, bucket: Mutex::new(Bucket { tokens: burst, since: Instant::now() }) }
    }

    /// Waits until there is a token; in turn.
    pub(super) async fn wait(&self) {
        let mut bucket = self.bucket.lock().await;
        let gained = bucket.since.elapsed().as_secs_f64() * self.per_second;
        bucket.tokens = self.burst.min(bucket.tokens + gained) - 1.0;
        bucket.since = Instant::now();
        if bucket.tokens < 0.0 {
            // Whoever comes next waits for the lock meanwhile.
            sleep(Duration::from_secs_f64(-bucket.tokens / self.per_second)).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_burst_is_free_and_the_rest_has_its_rate() {
        let throttle = Throttle::new(10.0, 5.0);
        let started = Instant::now();
        for _ in 0..5 {
            throttle.wait().await;
        }
        assert_eq!(started.elapsed(), Duration::ZERO);
        for _ in 0..10 {
            throttle.wait().await;
        }
        let seconds = started.elapsed().as_secs_f64();
        assert!((0.99..1.1).contains(&seconds), "{seconds}");
    }
}
