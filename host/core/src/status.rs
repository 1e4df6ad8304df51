//! `status` of a job: conditions in v1's order, counters, times.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// `status` as the API server stores it. Fields we do not know are kept.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct JobStatus {
    /// The order counts: `kubectl get` shows the last one as State.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    /// Counters by replica type.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub replica_statuses: BTreeMap<String, ReplicaStatus>,
    /// The first pass that made pods; reset when the job is resumed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_time: Option<Timestamp>,
    /// When success or failure was decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub completion_time: Option<Timestamp>,
    /// When pods were first held back for their gang since the job started or was resumed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_reconcile_time: Option<Timestamp>,
    /// Pods replaced so far, where something counts them: a back-off limit or the plugin. v1 has no such field.
    #[serde(skip_serializing_if = "is_zero")]
    pub restarts: u32,
    /// Of the plugin that planned the pods, where several may be loaded for the kind. v1 has no such field.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plugin_digest: Option<String>,
    /// What we do not know.
    #[serde(flatten)]
    pub other: serde_json::Map<String, serde_json::Value>,
}

/// An entry of `status.conditions`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    /// Which.
    #[serde(rename = "type")]
    pub kind: ConditionType,
    /// `True` or `False`.
    pub status: Truth,
    /// `<Kind>` and a word.
    #[serde(default)]
    pub reason: String,
    /// A sentence.
    #[serde(default)]
    pub message: String,
    /// When it was last written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_update_time: Option<Timestamp>,
    /// When `status` last changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_transition_time: Option<Timestamp>,
}

/// The types of condition there are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ConditionType {
    /// The operator has seen the job.
    Created,
    /// The deciding replicas run.
    Running,
    /// Failed replicas are being replaced.
    Restarting,
    /// The job is done.
    Succeeded,
    /// The job has no pods because the user wants it so.
    Suspended,
    /// The job has failed.
    Failed,
    /// What the plugin answered cannot be used. Gone when it can.
    PluginFailed,
    /// Somebody else's, which stays where it is.
    #[serde(untagged)]
    Other(String),
}

/// A condition's status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Truth {
    /// It holds.
    True,
    /// It held.
    False,
    /// Never written by us.
    Unknown,
}

/// Counters of one replica type.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ReplicaStatus {
    /// Running.
    #[serde(skip_serializing_if = "is_zero")]
    pub active: u32,
    /// In phase Succeeded.
    #[serde(skip_serializing_if = "is_zero")]
    pub succeeded: u32,
    /// In phase Failed, or running and being deleted.
    #[serde(skip_serializing_if = "is_zero")]
    pub failed: u32,
    /// For the scale subresource.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub selector: String,
}

impl JobStatus {
    /// From JSON.
    pub fn read(status: &serde_json::Value) -> Result<Self, serde_json::Error> {
        Self::deserialize(status)
    }

    /// Whether the condition is there and true.
    pub fn is(&self, kind: ConditionType) -> bool {
        self.condition(&kind).is_some_and(|condition| condition.status == Truth::True)
    }

    /// Succeeded or failed.
    pub fn is_finished(&self) -> bool {
        self.is(ConditionType::Succeeded) || self.is(ConditionType::Failed)
    }

    /// Of all types together.
    pub fn failed_pods(&self) -> u32 {
        self.replica_statuses.values().map(|replicas| replicas.failed).sum()
    }

    /// The condition of that type.
    pub fn condition(&self, kind: &ConditionType) -> Option<&Condition> {
        self.conditions.iter().find(|condition| condition.kind == *kind)
    }

    /// Adds a condition by v1's rules: Failed is final; the same status and reason change nothing; Restarting and Running
    /// push each other out; an end turns Running to False where it stands; the new one goes last.
    pub fn set(&mut self, kind: ConditionType, status: Truth, reason: &str, message: &str, now: Timestamp) {
        use ConditionType::{Created, Failed, Other, PluginFailed, Restarting, Running, Succeeded, Suspended};
        let old = self.condition(&kind);
        if self.is(Failed) || old.is_some_and(|old| old.status == status && old.reason == reason) {
            return;
        }
        let since = old.filter(|old| old.status == status).and_then(|old| old.last_transition_time).unwrap_or(now);
        let pushed_out = match kind {
            Running => Some(Restarting),
            Restarting => Some(Running),
            Created | Succeeded | Suspended | Failed | PluginFailed | Other(_) => None,
        };
        self.conditions.retain(|other| other.kind != kind && Some(&other.kind) != pushed_out.as_ref());
        if matches!(kind, Failed | Succeeded) {
            for running in self.conditions.iter_mut().filter(|other| other.kind == Running) {
                running.status = Truth::False;
            }
        }
        self.conditions.push(Condition {
            kind,
            status,
            reason: reason.to_owned(),
            message: message.to_owned(),
            last_update_time: Some(now),
            last_transition_time: Some(since),
        });
    }

    /// Takes a condition off the list.
    pub fn drop(&mut self, kind: &ConditionType) {
        self.conditions.retain(|condition| condition.kind != *kind);
    }

    /// When the job ended, as far as its conditions tell: v1 leaves the completion time of some failures out.
    pub fn ended(&self) -> Option<Timestamp> {
        let ends = [ConditionType::Succeeded, ConditionType::Failed];
        let ended = ends.iter().filter_map(|kind| self.condition(kind)).filter(|end| end.status == Truth::True);
        ended.into_iter().find_map(|end| end.last_transition_time)
    }

    /// Whether both say the same, whenever they said it.
    pub fn says_the_same_as(&self, other: &Self) -> bool {
        self.without_times() == other.without_times()
    }

    fn without_times(&self) -> Self {
        let mut status = self.clone();
        for condition in &mut status.conditions {
            (condition.last_update_time, condition.last_transition_time) = (None, None);
        }
        status
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_zero(count: &u32) -> bool {
    *count == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn walk(steps: &[(ConditionType, Truth)]) -> Vec<(ConditionType, Truth)> {
        let mut status = JobStatus::default();
        for (second, (kind, truth)) in (0..).zip(steps) {
            status.set(kind.clone(), *truth, &format!("TestJob{kind:?}{truth:?}"), "", at(second));
        }
        status.conditions.into_iter().map(|condition| (condition.kind, condition.status)).collect()
    }

    #[test]
    fn conditions_follow_v1() {
        use ConditionType::{Created, Failed, Restarting, Running, Succeeded, Suspended};
        use Truth::{False, True};
        for (name, steps, expected) in [
            ("running", vec![(Created, True), (Running, True)], vec![(Created, True), (Running, True)]),
            (
                "restarting pushes running out",
                vec![(Created, True), (Running, True), (Restarting, True)],
                vec![(Created, True), (Restarting, True)],
            ),
            (
                "running pushes restarting out",
                vec![(Created, True), (Restarting, True), (Running, True)],
                vec![(Created, True), (Running, True)],
            ),
            (
                "an end turns running off where it stands",
                vec![(Created, True), (Running, True), (Succeeded, True)],
                vec![(Created, True), (Running, False), (Succeeded, True)],
            ),
            (
                "failed is final",
                vec![(Created, True), (Failed, True), (Running, True), (Succeeded, True)],
                vec![(Created, True), (Failed, True)],
            ),
            (
                "suspended moves to the end when resumed",
                vec![(Created, True), (Suspended, True), (Running, True), (Suspended, False)],
                vec![(Created, True), (Running, True), (Suspended, False)],
            ),
        ] {
            assert_eq!(walk(&steps), expected, "{name}");
        }
    }

    #[test]
    fn times_tell_when_status_changed_and_when_it_was_written() {
        let mut status = JobStatus::default();
        status.set(ConditionType::Running, Truth::True, "A", "a", at(1));
        status.set(ConditionType::Running, Truth::True, "A", "not looked at", at(2));
        assert_eq!(status.conditions[0].last_update_time, Some(at(1)), "the same reason changes nothing");
        status.set(ConditionType::Running, Truth::True, "B", "b", at(3));
        let condition = &status.conditions[0];
        assert_eq!((condition.last_transition_time, condition.last_update_time), (Some(at(1)), Some(at(3))));
    }

    #[test]
    fn a_status_survives_a_round_trip() {
        let stored = serde_json::json!({
            "conditions": [{
                "type": "Created", "status": "True", "reason": "R", "message": "m",
                "lastUpdateTime": "2026-01-02T03:04:05Z", "lastTransitionTime": "2026-01-02T03:04:05Z",
            }],
            "replicaStatuses": {"Master": {"active": 1}, "Worker": {}},
            "startTime": "2026-01-02T03:04:05Z",
            "lastReconcileTime": "2026-01-02T03:04:05Z",
        });
        let status: JobStatus = serde_json::from_value(stored.clone()).unwrap();
        assert_eq!(serde_json::to_value(&status).unwrap(), stored);
    }

    #[test]
    fn conditions_of_others_stay_where_they_are() {
        let other = serde_json::json!({"type": "QuotaReserved", "status": "True", "reason": "", "message": ""});
        let mut status = JobStatus::read(&serde_json::json!({"conditions": [other]})).unwrap();
        assert!(!status.is_finished());
        status.set(ConditionType::Running, Truth::True, "R", "m", at(1));
        assert_eq!(serde_json::to_value(&status).unwrap()["conditions"][0], other);
    }

    /// So that v1, which drops a field it does not know, can read it again when somebody goes back.
    #[test]
    fn a_status_has_the_fields_of_v1_and_one_more() {
        let mut status = JobStatus { start_time: Some(at(0)), completion_time: Some(at(1)), ..JobStatus::default() };
        status.set(ConditionType::Failed, Truth::True, "R", "m", at(1));
        let replicas = ReplicaStatus { active: 1, succeeded: 1, failed: 1, selector: "s".into() };
        status.replica_statuses.insert("Worker".into(), replicas);
        status.restarts = 1;
        let stored = serde_json::to_value(&status).unwrap();
        let fields =
            |value: &serde_json::Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>().join(" ");
        assert_eq!(fields(&stored), "completionTime conditions replicaStatuses restarts startTime");
        assert_eq!(fields(&stored["conditions"][0]), "lastTransitionTime lastUpdateTime message reason status type");
        assert_eq!(fields(&stored["replicaStatuses"]["Worker"]), "active failed selector succeeded");
    }
}
