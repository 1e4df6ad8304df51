//! The cluster of a local run, in memory: the job, its pods with their processes, its other objects.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde_json::Value;
use trainyard_core::action::{Action, Target};
use trainyard_core::gang;
use trainyard_core::json;
use trainyard_core::observed::{Meta, Observed};

use super::local_pod::{LocalPod, NODE, State};
use super::output;
use super::ports::Ports;
use super::program::{Program, ProgramError};
use super::replica::{Identity, Replica, Stage};
use super::report::Tally;
use crate::plan::meta;
use crate::plugin::Digest;

/// All that there is.
pub(super) struct World {
    /// With its status.
    pub(super) job: Value,
    /// What has become of each replica, by pod name.
    pub(super) tallies: BTreeMap<String, Tally>,
    /// Since somebody last looked.
    pub(super) changed: bool,
    stage: Stage,
    /// The one that trains.
    container: String,
    ports: Ports,
    /// In the order in which they were made.
    pods: Vec<LocalPod>,
    services: Vec<Arc<Meta>>,
    objects: Vec<Arc<Value>>,
    /// Nothing starts any more.
    ends: bool,
    made: u64,
}

/// A replica that ran this long did not fail at its start: the next restart comes soon again.
const STEADY: Duration = Duration::from_mins(10);
/// Between a failure and a restart; doubled with each failure, up to 30 s.
const BACK_OFF: Duration = Duration::from_secs(1);
const LONGEST_BACK_OFF: Duration = Duration::from_secs(30);
/// What a shell says of a program that it cannot start.
const CANNOT_START: i32 = 126;

impl World {
    /// The job alone. `names` are those of its pods, in their order at the terminal.
    pub(super) fn of(job: Value, container: &str, names: Vec<String>, ports: Ports, stage: Stage) -> Self {
        let prefix = format!("{}-", json::text(&job, "/metadata/name"));
        let tally = |(number, name): (usize, String)| {
            let short = name.strip_prefix(&prefix).unwrap_or(&name).to_owned();
            (name, Tally { number, name: short, ..Tally::default() })
        };
        Self {
            job,
            tallies: names.into_iter().enumerate().map(tally).collect(),
            changed: true,
            stage,
            container: container.to_owned(),
            ports,
            pods: Vec::new(),
            services: Vec::new(),
            objects: Vec::new(),
            ends: false,
            made: 0,
        }
    }

    /// What a pass sees.
    pub(super) fn observed(&self, now: Timestamp) -> Observed {
        Observed {
            now,
            pods: self.pods.iter().map(|pod| Arc::new(pod.observed())).collect(),
            services: self.services.clone(),
            objects: self.objects.clone(),
            gang: gang::Seen::default(),
            names: BTreeMap::new(),
        }
    }

    /// Carries out what a pass wants.
    pub(super) fn act(&mut self, action: Action) -> Result<(), Vec<ProgramError>> {
        self.changed = true;
        match action {
            Action::CreatePod { pod, .. } => self.create_pod(pod)?,
            Action::DeletePod(Target { uid, .. }) => self.delete_pod(&uid),
            Action::CreateService(service) => self.services.push(Arc::new(meta(&service))),
            Action::DeleteService(Target { name, .. }) => self.services.retain(|service| service.name != name),
            Action::CreateObject { object, .. } => self.objects.push(Arc::new(object)),
            Action::ReplaceObject(object) => {
                self.objects.retain(|other| !is_same(other, &object));
                self.objects.push(Arc::new(object));
            }
            Action::DeleteObject(object) => self.objects.retain(|other| !is_same(other, &object)),
            // Jobs that need keys are refused; nobody schedules gangs; one that has ended is gone when we are.
            Action::CreateSshKey(_)
            | Action::CreatePodGroup(_)
            | Action::ReplacePodGroup(_)
            | Action::DeletePodGroup(_)
            | Action::DeleteJob => {}
        }
        Ok(())
    }

    /// All processes of a pod have ended.
    pub(super) fn ended(&mut self, uid: &str, code: i32) {
        self.changed = true;
        let Some(pod) = self.pods.iter_mut().find(|pod| pod.meta.uid == uid) else { return };
        let State::Running { since, .. } = pod.state else { return };
        let tally = self.tallies.entry(pod.meta.name.clone()).or_default();
        tally.exit = Some(code);
        tally.ran += since.elapsed();
        if pod.meta.deleting {
            output::note(&format!("{} ended with exit code {code}", tally.name));
            self.pods.retain(|pod| pod.meta.uid != uid);
            return;
        }
        tally.failures = match code {
            0 => 0,
            _ if since.elapsed() > STEADY => 1,
            _ => tally.failures + 1,
        };
        if self.ends || !pod.restarts_after(code) {
            output::note(&format!("{} ended with exit code {code}", tally.name));
            pod.state = State::Ended { code };
            return;
        }
        let wait = back_off(tally.failures.max(1));
        output::note(&format!("{} ended with exit code {code}, restarts in {} s", tally.name, wait.as_secs()));
        pod.state = State::Waiting { until: Instant::now() + wait, after: Some(code) };
    }

    /// Does what is due.
    pub(super) fn fire(&mut self) {
        let now = Instant::now();
        for pod in &mut self.pods {
            pod.fire(now);
            let State::Waiting { until, .. } = pod.state else { continue };
            if until > now {
                continue;
            }
            self.changed = true;
            let tally = self.tallies.entry(pod.meta.name.clone()).or_default();
            let again = if tally.starts == 0 { "starts" } else { "starts again" };
            output::note(&format!("{} {again}", tally.name));
            tally.starts += 1;
            self.ports.release(&pod.meta.name);
            match Replica::start(&self.stage, &pod.identity, &pod.program) {
                Ok(replica) => pod.started(replica),
                Err(error) => {
                    output::note(&format!("{} cannot start: {error}", tally.name));
                    tally.exit = Some(CANNOT_START);
                    tally.failures += 1;
                    pod.state = State::Ended { code: CANNOT_START };
                }
            }
        }
    }

    /// When something is due.
    pub(super) fn timer(&self) -> Option<Instant> {
        self.pods.iter().filter_map(LocalPod::timer).min()
    }

    /// Whether there is any process.
    pub(super) fn runs(&self) -> bool {
        self.pods.iter().any(LocalPod::runs)
    }

    /// Ends all replicas after that time; none starts any more.
    pub(super) fn end(&mut self, after: Duration) {
        self.ends = true;
        let then = Instant::now() + after;
        for pod in &mut self.pods {
            pod.end_at(then);
            if let State::Waiting { after, .. } = pod.state {
                pod.state = State::Ended { code: after.unwrap_or_default() };
            }
        }
    }

    /// Ends all replicas at once.
    pub(super) fn kill(&mut self) {
        self.pods.iter_mut().for_each(LocalPod::kill);
    }

    fn create_pod(&mut self, mut pod: Value) -> Result<(), Vec<ProgramError>> {
        self.made += 1;
        let name = json::text(&pod, "/metadata/name").to_owned();
        let uid = uid(&format!("{}/{name}/{}", json::text(&self.job, "/metadata/uid"), self.made));
        settle(&mut pod, &uid);
        let program = Program::of(&pod, &self.container)?;
        let tally = self.tallies.entry(name).or_default();
        let until = Instant::now() + back_off(tally.failures);
        let identity = Identity { uid, name: tally.name.clone(), number: tally.number };
        self.pods.push(LocalPod::of(&pod, &self.container, identity, program, until));
        Ok(())
    }

    fn delete_pod(&mut self, uid: &str) {
        for pod in self.pods.iter_mut().filter(|pod| pod.meta.uid == uid) {
            pod.meta.deleting = true;
            pod.end_at(Instant::now());
        }
        self.pods.retain(|pod| pod.runs() || pod.meta.uid != uid);
    }
}

/// What a pod gets when it is stored and scheduled.
pub(super) fn settle(pod: &mut Value, uid: &str) {
    json::merge(pod, &serde_json::json!({"metadata": {"uid": uid}, "spec": {"nodeName": NODE}}));
}

/// A uid that no other has.
pub(super) fn uid(seed: &str) -> String {
    let time = std::time::SystemTime::UNIX_EPOCH.elapsed().map_or(0, |time| time.as_nanos());
    let digest = Digest::of(format!("{seed}/{}/{time}", std::process::id()).as_bytes()).to_string();
    let hex: Vec<char> = digest.rsplit(':').next().unwrap_or_default().chars().collect();
    let lengths = [8, 4, 4, 4, 12];
    let mut rest = hex.into_iter();
    lengths.map(|length| rest.by_ref().take(length).collect::<String>()).join("-")
}

fn back_off(failures: u32) -> Duration {
    match failures {
        0 => Duration::ZERO,
        more => BACK_OFF.saturating_mul(1 << (more - 1).min(10)).min(LONGEST_BACK_OFF),
    }
}

fn is_same(one: &Value, other: &Value) -> bool {
    ["/apiVersion", "/kind", "/metadata/name"].iter().all(|field| one.pointer(field) == other.pointer(field))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn restarts_come_later_and_later() {
        let waits = [0, 1, 2, 3, 5, 6, 40].map(|failures| back_off(failures).as_secs());
        assert_eq!(waits, [0, 1, 2, 4, 16, 30, 30]);
    }

    #[test]
    fn uids_look_like_uids() {
        let lengths: Vec<_> = uid("a").split('-').map(str::len).collect();
        assert_eq!(lengths, [8, 4, 4, 4, 12]);
        assert_ne!(uid("a"), uid("b"));
    }
}
