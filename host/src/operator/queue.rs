//! The work queue of a kind: each job at most once at a time, again when asked, later after a failure.

use std::collections::{HashMap, HashSet};
use std::future::Future;
use std::time::Duration;

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use kube::runtime::scheduler::{ScheduleRequest, scheduler};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};
use tokio::sync::watch::Receiver;
use tokio::time::Instant;
use tokio_stream::wrappers::UnboundedReceiverStream;

use super::wakers::JobKey;

/// When to look at a job.
pub(super) type Request = ScheduleRequest<JobKey>;

/// What became of a pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Look again when something changes.
    Done,
    /// Look again then, too.
    Again(Duration),
    /// Look again soon, and later with each failure in a row.
    Failed,
}

/// The first pause after a failure, doubled with each in a row up to the last: client-go's defaults, v1's too.
const FIRST_PAUSE: Duration = Duration::from_millis(5);
const LAST_PAUSE: Duration = Duration::from_secs(1000);

/// A request to look at a job now.
pub(super) fn now(key: JobKey) -> Request {
    ScheduleRequest { message: key, run_at: Instant::now() }
}

/// A request to look at a job after that time; one to look at it earlier goes before.
pub(super) fn after(moment: Duration, key: JobKey) -> Request {
    ScheduleRequest { message: key, run_at: Instant::now() + moment }
}

/// Works until `stop` is set and what is under way has come to its end.
pub(super) async fn run<F, W>(
    requests: UnboundedReceiver<Request>,
    again: UnboundedSender<Request>,
    workers: usize,
    mut stop: Receiver<bool>,
    work: W,
) where
    F: Future<Output = Outcome>,
    W: Fn(JobKey) -> F,
{
    let mut scheduler = std::pin::pin!(scheduler(UnboundedReceiverStream::new(requests)));
    let mut under_way = FuturesUnordered::new();
    let mut busy = HashSet::new();
    let mut failures = HashMap::<JobKey, u32>::new();
    loop {
        let has_room = under_way.len() < workers && !*stop.borrow();
        if *stop.borrow() && under_way.is_empty() {
            return;
        }
        // A job that is under way, or any when there is no room, stays in the queue.
        let mut next = scheduler.as_mut().hold_unless(|key| has_room && !busy.contains(key));
        tokio::select! {
            Some((key, outcome)) = under_way.next(), if !under_way.is_empty() => {
                let pause = match outcome {
                    Outcome::Failed => {
                        Some(pause(*failures.entry(JobKey::clone(&key)).and_modify(|count| *count += 1).or_default()))
                    },
                    Outcome::Done => { failures.remove(&key); None }
                    Outcome::Again(pause) => { failures.remove(&key); Some(pause) }
                };
                busy.remove(&key);
                if let Some(pause) = pause {
                    drop(again.send(ScheduleRequest { message: key, run_at: Instant::now() + pause }));
                }
            }
            Some(key) = next.next() => {
                busy.insert(key.clone());
                let pass = work(key.clone());
                under_way.push(async move { (key, pass.await) });
            }
            _ = stop.changed() => {}
        }
    }
}

fn pause(failures: u32) -> Duration {
    FIRST_PAUSE.saturating_mul(2_u32.saturating_pow(failures)).min(LAST_PAUSE)
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use tokio::sync::{mpsc, watch};

    use super::*;

    fn key(name: &str) -> JobKey {
        JobKey { namespace: "ns".into(), name: name.into() }
    }

    async fn run_for_a_second<F: Future<Output = Outcome>>(
        requests: UnboundedReceiver<Request>,
        again: UnboundedSender<Request>,
        workers: usize,
        work: impl Fn(JobKey) -> F,
    ) {
        let (stop, stopped) = watch::channel(false);
        let wait = async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            stop.send(true).unwrap();
        };
        tokio::join!(run(requests, again, workers, stopped, work), wait);
    }

    #[tokio::test(start_paused = true)]
    async fn failures_are_tried_again_with_growing_pauses() {
        let (send, receive) = mpsc::unbounded_channel();
        send.send(now(key("a"))).unwrap();
        let started = Instant::now();
        let passes = Mutex::new(Vec::new());
        let work = |_| {
            let mut passes = passes.lock().unwrap();
            passes.push(started.elapsed().as_millis());
            let outcome = if passes.len() < 4 { Outcome::Failed } else { Outcome::Done };
            async move { outcome }
        };
        run_for_a_second(receive, send, 1, work).await;
        let passes = passes.lock().unwrap().clone();
        assert_eq!(passes.len(), 4, "{passes:?}");
        let pauses: Vec<_> = passes.windows(2).map(|two| two[1] - two[0]).collect();
        assert!(pauses[0] >= 5 && pauses[1] >= 10 && pauses[2] >= 20, "{pauses:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_job_is_looked_at_once_at_a_time_and_once_for_many_requests() {
        let (send, receive) = mpsc::unbounded_channel();
        for name in ["a", "a", "b", "a"] {
            send.send(now(key(name))).unwrap();
        }
        let under_way = Mutex::new(HashSet::new());
        let passes = Mutex::new(Vec::new());
        let work = |key: JobKey| {
            assert!(under_way.lock().unwrap().insert(key.clone()), "{key:?} is under way already");
            passes.lock().unwrap().push(key.name.clone());
            let under_way = &under_way;
            async move {
                tokio::time::sleep(Duration::from_millis(100)).await;
                under_way.lock().unwrap().remove(&key);
                Outcome::Done
            }
        };
        run_for_a_second(receive, send, 8, work).await;
        let mut passes = passes.lock().unwrap().clone();
        passes.sort();
        assert_eq!(passes, ["a", "b"]);
    }
}
