//! `spec.runPolicy`: what v1 lets users say about a job's life, whatever the framework.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::Value;

/// `spec.runPolicy`. Absent fields are `None`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RunPolicy {
    /// What to delete when the job ends. Absent: nothing.
    pub clean_pod_policy: Option<String>,
    /// Seconds after `completionTime` when the job is deleted.
    pub ttl_seconds_after_finished: Option<i32>,
    /// Seconds after `startTime` when the job fails.
    pub active_deadline_seconds: Option<i64>,
    /// How many restarts are too many. Absent: none is.
    pub backoff_limit: Option<i32>,
    /// No pods while it is true.
    pub suspend: Option<bool>,
    /// For the scheduler of gangs, where there is one.
    pub scheduling_policy: Option<SchedulingPolicy>,
}

/// `spec.runPolicy.schedulingPolicy`: what the job's pod group says.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SchedulingPolicy {
    /// How many pods have to fit at once. Absent: all.
    pub min_available: Option<i32>,
    /// The resources that have to be free at once. Absent: those that the pods request.
    pub min_resources: Option<BTreeMap<String, Value>>,
    /// The queue, of Volcano.
    pub queue: Option<String>,
    /// The priority class of the group, of Volcano.
    pub priority_class: Option<String>,
    /// How long pods wait for the rest of their gang, with scheduler-plugins.
    pub schedule_timeout_seconds: Option<i32>,
}

/// `managedBy`: this operator.
pub const OURSELVES: &str = "kubeflow.org/training-operator";
/// `managedBy`: Kueue, on another cluster.
pub const MULTIKUEUE: &str = "kueue.x-k8s.io/multikueue";

/// Whether somebody else runs the job. Any text but [`MULTIKUEUE`] and [`OURSELVES`] is a mistake of the user, who is told.
pub fn is_managed_elsewhere(job: &Value) -> bool {
    job.pointer("/spec/runPolicy/managedBy").is_some_and(|manager| manager == MULTIKUEUE)
}

/// Which pods go when a job has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CleanPodPolicy {
    /// None.
    None,
    /// Those that are running or pending.
    Running,
    /// All.
    All,
}

impl CleanPodPolicy {
    /// As users write them.
    pub const NAMES: [&str; 3] = ["All", "None", "Running"];

    /// None of a text that is none of [`Self::NAMES`].
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "All" => Some(Self::All),
            "None" => Some(Self::None),
            "Running" => Some(Self::Running),
            _ => None,
        }
    }
}

impl RunPolicy {
    /// v1 takes every other text, the empty one included, for `All`; jobs that are stored may have one.
    pub fn clean_pods(&self) -> CleanPodPolicy {
        let text = self.clean_pod_policy.as_deref().unwrap_or("None");
        CleanPodPolicy::parse(text).unwrap_or(CleanPodPolicy::All)
    }

    /// Whether the job shall have no pods now.
    pub fn is_suspended(&self) -> bool {
        self.suspend == Some(true)
    }

    /// When a job that started then is too old.
    pub fn deadline(&self, started: Option<Timestamp>) -> Option<Timestamp> {
        after(started?, self.active_deadline_seconds?)
    }

    /// When a job that ended then is to be deleted.
    pub fn expiry(&self, completed: Option<Timestamp>) -> Option<Timestamp> {
        after(completed?, self.ttl_seconds_after_finished?.into())
    }
}

/// None where the sum is beyond the calendar, that is never.
fn after(start: Timestamp, seconds: i64) -> Option<Timestamp> {
    start.checked_add(SignedDuration::from_secs(seconds)).ok()
}

/// What counts towards `backoffLimit`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Failures {
    /// Pods that were replaced so far.
    pub replaced: u32,
    /// Pods that this pass would replace.
    pub to_replace: u32,
    /// Restarts by kubelet in the pods that run, of types that restart.
    pub in_place: u32,
    /// Whether more pods are failed than the status knows of, and not all that were asked for are active.
    pub unseen: bool,
}

impl Failures {
    /// v1 counts kubelet's restarts and, for a limit of 0, any failed pod; we also count the pods that were replaced,
    /// as the field is documented (bug 2).
    pub fn exceed(self, limit: i32) -> bool {
        let limit = u32::try_from(limit).unwrap_or(0);
        let in_place = self.in_place > 0 && self.in_place + self.replaced >= limit;
        let replaced = self.to_replace > 0 && self.replaced + self.to_replace > limit;
        in_place || replaced || (limit == 0 && self.unseen)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn back_off_counts_restarts_of_both_kinds() {
        let failures = |replaced, to_replace, in_place| Failures { replaced, to_replace, in_place, unseen: false };
        for (name, failures, limit, expected) in [
            ("nothing failed, limit 0", failures(0, 0, 0), 0, false),
            ("kubelet restarted once, limit 0", failures(0, 0, 1), 0, true),
            ("kubelet restarted as often as the limit", failures(0, 0, 3), 3, true),
            ("kubelet restarted less often", failures(0, 0, 2), 3, false),
            ("the first pod to replace, limit 0", failures(0, 1, 0), 0, true),
            ("the third pod to replace, limit 3", failures(2, 1, 0), 3, false),
            ("the fourth pod to replace, limit 3", failures(3, 1, 0), 3, true),
            ("replaced up to the limit, and running", failures(3, 0, 0), 3, false),
            ("both kinds together", failures(1, 0, 2), 3, true),
            ("a pod under Never, limit 0", Failures { unseen: true, ..failures(0, 0, 0) }, 0, true),
            ("a pod under Never, limit 1", Failures { unseen: true, ..failures(0, 0, 0) }, 1, false),
            ("a negative limit is 0", failures(0, 0, 0), -1, false),
        ] {
            assert_eq!(failures.exceed(limit), expected, "{name}");
        }
    }

    #[test]
    fn clean_pod_policy_is_read_as_v1_reads_it() {
        for (text, expected) in [
            (None, CleanPodPolicy::None),
            (Some("None"), CleanPodPolicy::None),
            (Some("Running"), CleanPodPolicy::Running),
            (Some("All"), CleanPodPolicy::All),
            (Some(""), CleanPodPolicy::All),
        ] {
            let policy = RunPolicy { clean_pod_policy: text.map(str::to_owned), ..RunPolicy::default() };
            assert_eq!(policy.clean_pods(), expected, "{text:?}");
        }
    }

    #[test]
    fn a_job_is_ours_unless_it_names_the_other_manager() {
        for (manager, elsewhere) in
            [(json!(null), false), (json!("me"), false), (json!(OURSELVES), false), (json!(MULTIKUEUE), true)]
        {
            let job = json!({"spec": {"runPolicy": {"managedBy": manager}}});
            assert_eq!(is_managed_elsewhere(&job), elsewhere, "{manager}");
        }
        assert!(!is_managed_elsewhere(&json!({})));
    }
}
