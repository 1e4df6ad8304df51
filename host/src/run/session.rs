//! The loop of a local run: look, think, act, until the job has ended; then end what is left.

use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant, SystemTime};

use jiff::Timestamp;
use trainyard_core::status::{ConditionType, JobStatus, Truth};
use trainyard_core::think::{Framework, think};

use super::output::{note, say};
use super::replica::Event;
use super::report;
use super::world::World;
use crate::failure::chain;
use crate::plan::set_status;

/// A job on its way.
pub(super) struct Session {
    job: String,
    world: World,
    events: Receiver<Event>,
    status: JobStatus,
    /// When to think again though nothing has happened.
    again: Option<Instant>,
    /// In a row.
    troubles: u32,
    end: Option<End>,
    interrupted: bool,
}

/// How a session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The job did.
    Succeeded,
    /// The job did, or could not go on.
    Failed,
    /// Somebody wanted it to end.
    Interrupted,
}

/// What the others have to end by themselves when the job has succeeded.
const LINGER: Duration = Duration::from_secs(5);

/// A plugin that gives no answer in time may do so when the machine has less to do.
const BACK_OFF: Duration = Duration::from_secs(1);
const MOST_TROUBLES: u32 = 10;

impl Session {
    pub(super) fn of(job: String, world: World, events: Receiver<Event>) -> Self {
        Self {
            job,
            world,
            events,
            status: JobStatus::default(),
            again: None,
            troubles: 0,
            end: None,
            interrupted: false,
        }
    }

    /// Runs to the end, and leaves no process behind.
    pub(super) fn run(mut self, framework: &Framework<'_>) -> End {
        loop {
            let is_due = self.again.is_some_and(|time| time <= Instant::now());
            if self.end.is_none() && (std::mem::take(&mut self.world.changed) || is_due) {
                self.think(framework);
            }
            self.world.fire();
            match self.end {
                Some(end) if !self.world.runs() => return self.report(end),
                Some(_) => self.wait(self.world.timer()),
                None if self.world.changed => {}
                None => match [self.world.timer(), self.again].into_iter().flatten().min() {
                    None if !self.world.runs() => self.give_up("nothing runs any more, and the job has not ended"),
                    until => self.wait(until),
                },
            }
        }
    }

    fn wait(&mut self, until: Option<Instant>) {
        let event = match until.map(|until| until.saturating_duration_since(Instant::now())) {
            None => self.events.recv().map_err(|_| RecvTimeoutError::Disconnected),
            Some(time) => self.events.recv_timeout(time),
        };
        match event {
            Ok(Event::Ended { uid, code }) => self.world.ended(&uid, code),
            Ok(Event::Interrupted) => self.interrupt(),
            // The world holds a sender.
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {}
        }
    }

    fn interrupt(&mut self) {
        if std::mem::replace(&mut self.interrupted, true) {
            note("ending all replicas at once");
            self.world.kill();
        } else {
            note("interrupted: ending all replicas; once more ends them at once");
            self.end.get_or_insert(End::Interrupted);
            self.world.end(Duration::ZERO);
        }
    }

    fn think(&mut self, framework: &Framework<'_>) {
        let thought = match think(framework, &self.world.job, &self.world.observed(now())) {
            Ok(thought) => thought,
            Err(error) if self.troubles == MOST_TROUBLES => return self.give_up(&chain(&error)),
            Err(error) => {
                note(&format!("again in {} s: {}", BACK_OFF.as_secs(), chain(&error)));
                self.troubles += 1;
                self.again = Some(Instant::now() + BACK_OFF);
                return;
            }
        };
        self.troubles = 0;
        if let Some(status) = thought.status {
            self.tell(&status);
            set_status(&mut self.world.job, &status);
            self.status = status;
        }
        for action in thought.batches.into_iter().flatten() {
            if let Err(errors) = self.world.act(action) {
                for error in errors {
                    note(&format!("a replica cannot start: {error}"));
                }
                return self.give_up("the job cannot go on");
            }
        }
        if let Some(fault) = thought.events.iter().find(|event| event.reason == "PluginFailed") {
            return self.give_up(&fault.message);
        }
        let after = thought.check_after.map(|time| Duration::try_from(time).unwrap_or_default());
        self.again = after.map(|time| Instant::now() + time);
        if self.status.is(ConditionType::Succeeded) {
            self.end = Some(End::Succeeded);
            self.world.end(LINGER);
        } else if self.status.is(ConditionType::Failed) {
            self.end = Some(End::Failed);
            self.world.end(Duration::ZERO);
        }
    }

    fn give_up(&mut self, why: &str) {
        note(&format!("error: {why}"));
        self.end = Some(End::Failed);
        self.world.end(Duration::ZERO);
    }

    /// Conditions as they appear.
    fn tell(&self, status: &JobStatus) {
        let is_true = |status: &JobStatus, kind: &ConditionType, reason: &str| {
            status.condition(kind).is_some_and(|known| known.status == Truth::True && known.reason == reason)
        };
        for condition in status.conditions.iter().filter(|condition| condition.status == Truth::True) {
            if !is_true(&self.status, &condition.kind, &condition.reason) {
                note(&format!("{:?}: {}", condition.kind, condition.message));
            }
        }
    }

    fn report(&self, end: End) -> End {
        let conditions = [ConditionType::Succeeded, ConditionType::Failed];
        let last =
            conditions.iter().filter_map(|kind| self.status.condition(kind)).find(|last| last.status == Truth::True);
        let line = match (end, last) {
            (End::Succeeded | End::Failed, Some(last)) => format!("{} {:?}: {}", self.job, last.kind, last.message),
            (End::Succeeded | End::Failed, None) => format!("{} has not ended", self.job),
            (End::Interrupted, _) => format!("{} was interrupted", self.job),
        };
        let mut lines = report::table(self.world.tallies.values());
        lines.push(line);
        say(&lines);
        end
    }
}

/// In whole seconds, as Kubernetes keeps times.
fn now() -> Timestamp {
    let seconds = SystemTime::UNIX_EPOCH.elapsed().map_or(0, |time| time.as_secs());
    Timestamp::from_second(i64::try_from(seconds).unwrap_or_default()).unwrap_or_default()
}
