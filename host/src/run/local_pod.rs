//! A pod of a local run: what kubelet would make of it.

use std::time::{Duration, Instant};

use serde_json::Value;
use trainyard_core::observed::{
    ContainerState, ContainerStatus, Meta, Pod, PodCondition, PodStatus, Terminated, Waiting,
};

use trainyard_core::json::text;

use super::program::{self, Program};
use super::replica::{Identity, Replica};
use crate::plan::meta;

/// A pod and its process.
pub(super) struct LocalPod {
    pub(super) meta: Meta,
    pub(super) identity: Identity,
    pub(super) program: Program,
    /// Between being asked to end and being killed.
    pub(super) grace: Duration,
    pub(super) state: State,
    container: String,
    in_place: InPlace,
    restarts: u32,
}

/// Where a pod is in its life.
pub(super) enum State {
    /// It starts then; with an exit code, it has run before.
    Waiting { until: Instant, after: Option<i32> },
    /// It runs. Without a replica it is being killed.
    Running { replica: Option<Replica>, since: Instant, terminate_at: Option<Instant>, kill_at: Option<Instant> },
    /// It is done.
    Ended { code: i32 },
}

/// When kubelet starts a container again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum InPlace {
    Never,
    OnFailure,
    Always,
}

/// The node of all pods.
pub(super) const NODE: &str = "localhost";

impl LocalPod {
    /// A pod that starts then.
    pub(super) fn of(pod: &Value, container: &str, identity: Identity, program: Program, until: Instant) -> Self {
        Self {
            meta: meta(pod),
            identity,
            program,
            grace: program::grace(pod),
            state: State::Waiting { until, after: None },
            container: program::container(pod, container).map_or("", |container| text(container, "/name")).to_owned(),
            in_place: match text(pod, "/spec/restartPolicy") {
                "Never" => InPlace::Never,
                "OnFailure" => InPlace::OnFailure,
                // The default of Kubernetes.
                _ => InPlace::Always,
            },
            restarts: 0,
        }
    }

    /// Its process has started.
    pub(super) fn started(&mut self, replica: Replica) {
        if matches!(self.state, State::Waiting { after: Some(_), .. }) {
            self.restarts += 1;
        }
        let since = Instant::now();
        self.state = State::Running { replica: Some(replica), since, terminate_at: None, kill_at: None };
    }

    /// Whether kubelet starts it again after that exit code.
    pub(super) fn restarts_after(&self, code: i32) -> bool {
        match self.in_place {
            InPlace::Never => false,
            InPlace::OnFailure => code != 0,
            InPlace::Always => true,
        }
    }

    /// Whether it has processes.
    pub(super) fn runs(&self) -> bool {
        matches!(self.state, State::Running { .. })
    }

    /// When something is to be done about it.
    pub(super) fn timer(&self) -> Option<Instant> {
        match self.state {
            State::Waiting { until, .. } => Some(until),
            State::Running { terminate_at, kill_at, .. } => [terminate_at, kill_at].into_iter().flatten().min(),
            State::Ended { .. } => None,
        }
    }

    /// Asks its process to end, then; and kills it when its time is up.
    pub(super) fn end_at(&mut self, time: Instant) {
        if let State::Running { terminate_at, kill_at: None, .. } = &mut self.state {
            *terminate_at = Some(terminate_at.map_or(time, |other| other.min(time)));
        }
    }

    /// Kills its processes.
    pub(super) fn kill(&mut self) {
        if let State::Running { replica, terminate_at, kill_at, .. } = &mut self.state {
            (*replica, *terminate_at, *kill_at) = (None, None, None);
        }
    }

    /// Does what is due for a running process.
    pub(super) fn fire(&mut self, now: Instant) {
        let grace = self.grace;
        let State::Running { replica, terminate_at, kill_at, .. } = &mut self.state else { return };
        if terminate_at.is_some_and(|time| time <= now) {
            replica.iter_mut().for_each(Replica::terminate);
            (*terminate_at, *kill_at) = (None, Some(now + grace));
        } else if kill_at.is_some_and(|time| time <= now) {
            self.kill();
        }
    }

    /// As the API server would show it.
    pub(super) fn observed(&self) -> Pod {
        let (phase, state) = match &self.state {
            State::Waiting { after: None, .. } => ("Pending", ContainerState::default()),
            State::Waiting { after: Some(_), .. } => ("Running", waiting()),
            State::Running { .. } => ("Running", ContainerState::default()),
            State::Ended { code } => (if *code == 0 { "Succeeded" } else { "Failed" }, terminated(*code)),
        };
        let is_ready = if self.runs() { "True" } else { "False" };
        let ready = PodCondition { kind: "Ready".into(), status: is_ready.into(), ..PodCondition::default() };
        let status = ContainerStatus { name: self.container.clone(), restart_count: self.restarts, state };
        let status = PodStatus {
            phase: Some(phase.to_owned()),
            conditions: vec![ready],
            container_statuses: vec![status],
            ..PodStatus::default()
        };
        Pod { meta: self.meta.clone(), node: Some(NODE.to_owned()), status }
    }
}

fn waiting() -> ContainerState {
    let waiting = Waiting { reason: Some("CrashLoopBackOff".to_owned()), message: None };
    ContainerState { waiting: Some(waiting), terminated: None }
}

fn terminated(exit_code: i32) -> ContainerState {
    let reason = if exit_code == 0 { "Completed" } else { "Error" };
    let terminated = Terminated { exit_code, reason: Some(reason.to_owned()), message: None };
    ContainerState { terminated: Some(terminated), waiting: None }
}
