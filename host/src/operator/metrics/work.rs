//! What controllers have to do and how long it takes them, in the names of controller-runtime and its work queue.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use prometheus::{Gauge, GaugeVec, Histogram, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec};

use super::page::Page;
use crate::operator::queue::{Outcome, Request};
use crate::operator::wakers::JobKey;

/// The families, and the controllers whose work they show.
#[derive(Debug)]
pub(super) struct Works {
    reconciles: IntCounterVec,
    errors: IntCounterVec,
    time: HistogramVec,
    hands: IntGaugeVec,
    active: IntGaugeVec,
    depth: IntGaugeVec,
    adds: IntCounterVec,
    retries: IntCounterVec,
    waited: HistogramVec,
    worked: HistogramVec,
    unfinished: GaugeVec,
    longest: GaugeVec,
    all: Mutex<Vec<Arc<Work>>>,
}

/// The work of one controller: jobs that wait, jobs that are under way.
#[derive(Debug)]
pub(in crate::operator) struct Work {
    /// By how it ended: as controller-runtime says it.
    reconciles: [IntCounter; 3],
    errors: IntCounter,
    time: Histogram,
    active: IntGauge,
    depth: IntGauge,
    adds: IntCounter,
    retries: IntCounter,
    waited: Histogram,
    worked: Histogram,
    unfinished: Gauge,
    longest: Gauge,
    jobs: Mutex<Jobs>,
}

#[derive(Debug, Default)]
struct Jobs {
    waiting: HashMap<JobKey, Instant>,
    busy: HashMap<JobKey, Instant>,
}

/// controller-runtime's for the time of a pass, in seconds.
const RECONCILE_TIMES: [f64; 40] = [
    0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.25, 1.5,
    1.75, 2.0, 2.5, 3.0, 3.5, 4.0, 4.5, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0, 15.0, 20.0, 25.0, 30.0, 40.0, 50.0, 60.0,
];
const QUEUE_TIMES: [f64; 12] = [1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0, 100.0, 1000.0];

impl Works {
    pub(super) fn new(page: &Page) -> Self {
        let controller = &["controller"];
        let queue = &["controller", "name"];
        let name = |name: &str| format!("controller_runtime_{name}");
        let (times, queued) = (RECONCILE_TIMES.to_vec(), QUEUE_TIMES.to_vec());
        Self {
            reconciles: page.counters(
                &name("reconcile_total"),
                "Total number of reconciliations per controller",
                &["controller", "result"],
            ),
            errors: page.counters(
                &name("reconcile_errors_total"),
                "Total number of reconciliation errors per controller",
                controller,
            ),
            time: page.histograms(
                &name("reconcile_time_seconds"),
                "Length of time per reconciliation per controller",
                controller,
                times,
            ),
            hands: page.gauges(
                &name("max_concurrent_reconciles"),
                "Maximum number of concurrent reconciles per controller",
                controller,
            ),
            active: page.gauges(&name("active_workers"), "Number of currently used workers per controller", controller),
            depth: page.gauges("workqueue_depth", "Current depth of workqueue", queue),
            adds: page.counters("workqueue_adds_total", "Total number of adds handled by workqueue", queue),
            retries: page.counters("workqueue_retries_total", "Total number of retries handled by workqueue", queue),
            waited: page.histograms(
                "workqueue_queue_duration_seconds",
                "How long in seconds an item stays in workqueue before being requested",
                queue,
                queued.clone(),
            ),
            worked: page.histograms(
                "workqueue_work_duration_seconds",
                "How long in seconds processing an item from workqueue takes.",
                queue,
                queued,
            ),
            unfinished: page.times(
                "workqueue_unfinished_work_seconds",
                "How many seconds of work has been done that is in progress and hasn't been observed by work_duration. \
                 Large values indicate stuck threads. One can deduce the number of stuck threads by observing the rate \
                 at which this increases.",
                queue,
            ),
            longest: page.times(
                "workqueue_longest_running_processor_seconds",
                "How many seconds has the longest running processor for workqueue been running.",
                queue,
            ),
            all: Mutex::default(),
        }
    }

    pub(super) fn of(&self, controller: &str, hands: usize) -> Arc<Work> {
        let (one, two) = (&[controller], &[controller, controller]);
        self.hands.with_label_values(one).set(i64::try_from(hands).unwrap_or(i64::MAX));
        let result = |result| self.reconciles.with_label_values(&[controller, result]);
        let work = Arc::new(Work {
            reconciles: ["success", "requeue_after", "error"].map(result),
            errors: self.errors.with_label_values(one),
            time: self.time.with_label_values(one),
            active: self.active.with_label_values(one),
            depth: self.depth.with_label_values(two),
            adds: self.adds.with_label_values(two),
            retries: self.retries.with_label_values(two),
            waited: self.waited.with_label_values(two),
            worked: self.worked.with_label_values(two),
            unfinished: self.unfinished.with_label_values(two),
            longest: self.longest.with_label_values(two),
            jobs: Mutex::default(),
        });
        self.all.lock().unwrap_or_else(PoisonError::into_inner).push(work.clone());
        work
    }

    /// Brings the gauges up to now.
    pub(super) fn look(&self) {
        self.all.lock().unwrap_or_else(PoisonError::into_inner).iter().for_each(|work| work.look());
    }
}

impl Work {
    /// A job is to be looked at: it waits for its turn, unless its time is still to come.
    pub(in crate::operator) fn queued(&self, request: &Request) {
        let mut jobs = self.jobs();
        if request.run_at <= Instant::now().into() && !jobs.waiting.contains_key(&request.message) {
            jobs.waiting.insert(request.message.clone(), Instant::now());
            self.adds.inc();
        }
    }

    /// It is its turn; a job whose time has come by itself was not waiting.
    pub(in crate::operator) fn begun(&self, key: &JobKey) {
        let mut jobs = self.jobs();
        let waited = jobs.waiting.remove(key).map(|since| since.elapsed().as_secs_f64());
        jobs.busy.insert(key.clone(), Instant::now());
        self.active.inc();
        self.adds.inc_by(waited.is_none().into());
        self.waited.observe(waited.unwrap_or_default());
    }

    /// The pass has come to its end.
    pub(in crate::operator) fn ended(&self, key: &JobKey, outcome: Outcome) {
        let seconds = self.jobs().busy.remove(key).map_or(0.0, |since| since.elapsed().as_secs_f64());
        self.active.dec();
        self.time.observe(seconds);
        self.worked.observe(seconds);
        let [success, requeue_after, error] = &self.reconciles;
        match outcome {
            Outcome::Done => return success.inc(),
            Outcome::Again(_) => requeue_after.inc(),
            Outcome::Failed => {
                error.inc();
                self.errors.inc();
            }
        }
        self.retries.inc();
    }

    fn look(&self) {
        let jobs = self.jobs();
        let since: Vec<_> = jobs.busy.values().map(|since| since.elapsed().as_secs_f64()).collect();
        self.depth.set(i64::try_from(jobs.waiting.len()).unwrap_or(i64::MAX));
        self.unfinished.set(since.iter().sum());
        self.longest.set(since.into_iter().fold(0.0, f64::max));
    }

    fn jobs(&self) -> MutexGuard<'_, Jobs> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
