//! The pods of a job, sorted by replica and counted: what limits, verdicts and status look at.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::contract::{self, Kind, Phase, RestartPolicy, Total};
use crate::job::{Job, ReplicaSpec};
use crate::label;
use crate::observed::Pod;

/// The pods of every replica type, in the job's order.
#[derive(Debug)]
pub struct Census<'a> {
    types: Vec<Types<'a>>,
    /// Pods that stand for no replica: of an index that the job no longer has, or a second one of the same index.
    pub surplus: Vec<Arc<Pod>>,
}

/// The pods of one replica type.
#[derive(Debug)]
pub struct Types<'a> {
    /// Which.
    pub spec: &'a ReplicaSpec,
    /// By index.
    pub pods: BTreeMap<u32, Arc<Pod>>,
    container: &'a str,
    replaces: bool,
}

/// What the restart policy makes of a pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It stays as it is.
    Stay,
    /// It failed, and is made again.
    Replace,
    /// It failed in a way that another try will not mend, and the job fails with it.
    Doom,
}

/// From this exit code on a failure is worth another try: the container was ended by a signal.
const RETRYABLE: i32 = 128;
/// Rows in what `assess` sees, for each type.
const MAX_ROWS: usize = 64;

impl<'a> Census<'a> {
    /// Sorts the pods.
    pub fn of(kind: &'a Kind, job: &'a Job, pods: &[Arc<Pod>]) -> Self {
        let mut surplus = Vec::new();
        let types = job.replicas.iter().map(|spec| {
            let mut kept = BTreeMap::<u32, Arc<Pod>>::new();
            for pod in pods.iter().filter(|pod| is_of(pod, spec)) {
                let Some(index) = index(pod, spec) else { continue };
                let loser = match kept.get(&index) {
                    _ if index >= spec.replicas => Some(pod.clone()),
                    Some(other) if older(other, pod) => Some(pod.clone()),
                    Some(_) | None => kept.insert(index, pod.clone()),
                };
                surplus.extend(loser);
            }
            Types { spec, pods: kept, container: &kind.container, replaces: kind.replace_failed }
        });
        Self { types: types.collect(), surplus }
    }

    /// By replica type.
    pub fn types(&self) -> &[Types<'a>] {
        &self.types
    }

    /// Whether the job has a replica type whose label says that.
    pub fn has(&self, label: &str) -> bool {
        self.types.iter().any(|each| each.spec.name.to_lowercase() == label)
    }

    /// All pods that stand for a replica.
    pub fn pods(&self) -> impl Iterator<Item = (&Types<'a>, u32, &Arc<Pod>)> {
        self.types.iter().flat_map(|each| each.pods.iter().map(move |(index, pod)| (each, *index, pod)))
    }

    /// What `assess` gets.
    pub fn seen(&self, attempt: u32) -> contract::Observed {
        let totals = self.types.iter().map(Types::total).collect();
        let pods = self.types.iter().flat_map(Types::rows).collect();
        contract::Observed { totals, pods, attempt }
    }
}

impl Types<'_> {
    /// The pods in numbers.
    pub fn total(&self) -> Total {
        let count = |test: &dyn Fn(&Pod) -> bool| {
            u32::try_from(self.pods.values().filter(|pod| test(pod)).count()).unwrap_or(u32::MAX)
        };
        Total {
            replica_type: self.spec.name.clone(),
            wanted: self.spec.replicas,
            active: count(&|pod| pod.phase() == Phase::Running && !self.has_failed(pod)),
            succeeded: count(&|pod| pod.phase() == Phase::Succeeded),
            failed: count(&|pod| self.has_failed(pod)),
            restarting: count(&|pod| self.fate(pod) == Fate::Replace),
            evicted: count(&|pod| pod.phase() == Phase::Failed && pod.status.reason.as_deref() == Some("Evicted")),
        }
    }

    /// What the restart policy makes of a pod; one whose exit code is unknown is worth another try.
    pub fn fate(&self, pod: &Pod) -> Fate {
        if pod.phase() != Phase::Failed || !self.replaces {
            return Fate::Stay;
        }
        match self.spec.restart_policy {
            RestartPolicy::Never => Fate::Stay,
            RestartPolicy::OnFailure | RestartPolicy::Always => Fate::Replace,
            RestartPolicy::ExitCode => match pod.exit_code(self.container) {
                Some(code) if code < RETRYABLE => Fate::Doom,
                Some(_) | None => Fate::Replace,
            },
        }
    }

    /// A running pod that is being deleted counts as failed, as in v1: somebody else takes it away. Where the plugin judges
    /// failures it does not, as MPI's does not in v1.
    fn has_failed(&self, pod: &Pod) -> bool {
        match pod.phase() {
            Phase::Failed => true,
            Phase::Running => self.replaces && pod.meta.deleting,
            Phase::Pending | Phase::Succeeded | Phase::Unknown => false,
        }
    }

    fn rows(&self) -> Vec<contract::Pod> {
        let worth_a_look =
            |index: u32, pod: &Pod| index == 0 || self.has_failed(pod) || pod.condition("DisruptionTarget").is_some();
        let rows = self.pods.iter().filter(|(index, pod)| worth_a_look(**index, pod)).take(MAX_ROWS);
        rows.map(|(index, pod)| self.row(*index, pod)).collect()
    }

    fn row(&self, index: u32, pod: &Pod) -> contract::Pod {
        let disruption = pod.condition("DisruptionTarget").filter(|condition| condition.status == "True");
        contract::Pod {
            replica_type: self.spec.name.clone(),
            index,
            phase: pod.phase(),
            ready: pod.is_ready(),
            exit_code: pod.exit_code(self.container),
            reason: pod.status.reason.clone().unwrap_or_default(),
            message: pod.status.message.clone().unwrap_or_default(),
            restarts: pod.restarts(),
            node: pod.node.clone(),
            disruption: disruption.map(|condition| condition.reason.clone().unwrap_or_default()),
        }
    }
}

fn is_of(pod: &Pod, spec: &ReplicaSpec) -> bool {
    pod.meta.labels.get(label::REPLICA_TYPE).is_some_and(|name| *name == spec.name.to_lowercase())
}

/// None for a label that is no index: such a pod is not ours to judge.
fn index(pod: &Pod, spec: &ReplicaSpec) -> Option<u32> {
    if spec.is_single() {
        return Some(0);
    }
    pod.meta.labels.get(label::REPLICA_INDEX)?.parse().ok()
}

fn older(one: &Pod, other: &Pod) -> bool {
    (one.meta.created, &one.meta.uid) <= (other.meta.created, &other.meta.uid)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::fixture::{self, pod};

    fn total(pods: Vec<Pod>, policy: &str, replicas: u32) -> (Total, usize) {
        let worker = json!({"replicas": replicas, "restartPolicy": policy, "template": fixture::template()});
        let object = fixture::object(json!({"testReplicaSpecs": {"Worker": worker}}));
        let kind = fixture::kind();
        let job = Job::parse(&kind, &object).unwrap();
        let pods: Vec<_> = pods.into_iter().map(Arc::new).collect();
        let census = Census::of(&kind, &job, &pods);
        (census.types()[0].total(), census.surplus.len())
    }

    fn zero(wanted: u32) -> Total {
        Total { replica_type: "Worker".into(), wanted, active: 0, succeeded: 0, failed: 0, restarting: 0, evicted: 0 }
    }

    #[test]
    fn pods_are_counted_as_v1_counts_them() {
        let deleting = |mut pod: Pod| {
            pod.meta.deleting = true;
            pod
        };
        for (name, pods, policy, expected) in [
            ("none", vec![], "Never", zero(2)),
            ("pending counts nowhere", vec![pod("Worker", 0, "Pending", None)], "Never", zero(2)),
            ("running", vec![pod("Worker", 0, "Running", None)], "Never", Total { active: 1, ..zero(2) }),
            (
                "running, being deleted",
                vec![deleting(pod("Worker", 0, "Running", None))],
                "Never",
                Total { failed: 1, ..zero(2) },
            ),
            ("failed under Never", vec![pod("Worker", 0, "Failed", Some(1))], "Never", Total { failed: 1, ..zero(2) }),
            (
                "failed under OnFailure",
                vec![pod("Worker", 0, "Failed", Some(1))],
                "OnFailure",
                Total { failed: 1, restarting: 1, ..zero(2) },
            ),
            (
                "137 under ExitCode",
                vec![pod("Worker", 0, "Failed", Some(137))],
                "ExitCode",
                Total { failed: 1, restarting: 1, ..zero(2) },
            ),
            (
                "127 under ExitCode",
                vec![pod("Worker", 0, "Failed", Some(127))],
                "ExitCode",
                Total { failed: 1, ..zero(2) },
            ),
            (
                "no code under ExitCode",
                vec![pod("Worker", 0, "Failed", None)],
                "ExitCode",
                Total { failed: 1, restarting: 1, ..zero(2) },
            ),
            (
                "succeeded",
                vec![pod("Worker", 0, "Succeeded", Some(0)), pod("Worker", 1, "Succeeded", Some(0))],
                "Never",
                Total { succeeded: 2, ..zero(2) },
            ),
            ("another type", vec![pod("Master", 0, "Running", None)], "Never", zero(2)),
        ] {
            assert_eq!(total(pods, policy, 2), (expected, 0), "{name}");
        }
    }

    /// As of an `MPIJob` in v1: a launcher that somebody deletes is made again.
    #[test]
    fn where_the_plugin_judges_failures_a_pod_that_is_being_deleted_has_not_failed() {
        let kind = Kind { replace_failed: false, ..fixture::kind() };
        let job = Job::parse(&kind, &fixture::job()).unwrap();
        let mut going = pod("Worker", 0, "Running", None);
        going.meta.deleting = true;
        let pods = [Arc::new(going)];
        let total = Census::of(&kind, &job, &pods).types()[1].total();
        assert_eq!((total.active, total.failed), (1, 0));
    }

    #[test]
    fn pods_that_stand_for_no_replica_are_surplus_and_not_counted() {
        let mut second = pod("Worker", 0, "Failed", None);
        second.meta.uid = "zz".into();
        let pods = vec![pod("Worker", 0, "Running", None), second, pod("Worker", 1, "Running", None)];
        assert_eq!(total(pods, "Never", 1), (Total { active: 1, ..zero(1) }, 2));
    }
}
