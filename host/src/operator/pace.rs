//! How long news wait for more, so that what belongs together is one pass and one status.
//!
//! The pods of a job start one after the other, and kubelet itself is as late with its news. Where hundreds of jobs start
//! at once, their pods take longer, and the API server has better things to do than to store each step.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// While little happens.
const MOMENT: Duration = Duration::from_millis(700);
/// At most.
const LONGEST: Duration = Duration::from_secs(3);
/// News in about a second that are few, and what each above that adds.
const FEW: f64 = 100.0;
const EACH: Duration = Duration::from_millis(10);
/// At most this of what is made for a job at once.
const ONE_JOB: u8 = 10;

/// The news of the last second or so.
#[derive(Debug)]
pub(super) struct Pace(Mutex<Recent>);

#[derive(Clone, Copy, Debug)]
struct Recent {
    count: f64,
    at: Instant,
}

impl Pace {
    pub(super) fn new() -> Self {
        Self(Mutex::new(Recent { count: 0.0, at: Instant::now() }))
    }

    /// There are so many: what pods say, and what is made. One job alone is never many.
    pub(super) fn count(&self, news: usize) {
        let news = f64::from(u8::try_from(news).unwrap_or(ONE_JOB).min(ONE_JOB));
        let mut recent = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *recent = Recent { count: recent.now() + news, at: Instant::now() };
    }

    /// Whether there are many.
    pub(super) fn is_high(&self) -> bool {
        self.moment() > MOMENT
    }

    /// How long they wait.
    pub(super) fn moment(&self) -> Duration {
        let recent = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let many = (recent.now() - FEW).max(0.0);
        MOMENT.saturating_add(EACH.mul_f64(many)).min(LONGEST)
    }
}

impl Recent {
    fn now(self) -> f64 {
        self.count * (-self.at.elapsed().as_secs_f64()).exp()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn news_wait_longer_while_there_are_many() {
        let pace = Pace::new();
        let mut moments = Vec::new();
        for news in [1, 89, 100, 1000] {
            (0..news).for_each(|_| pace.count(1));
            moments.push(pace.moment().as_millis());
        }
        tokio::time::advance(Duration::from_secs(10)).await;
        moments.push(pace.moment().as_millis());
        assert_eq!(moments, [700, 700, 1600, 3000, 700]);
    }
}
