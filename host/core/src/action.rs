//! Changes to the cluster, and the events they deserve.

use serde_json::Value;

use crate::contract::{Kind, ObjectExisting};
use crate::event::Event;
use crate::json;

/// One API request that changes something. Each is idempotent: it names its object, a deletion the object's uid as well.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Of a replica.
    CreatePod {
        /// The whole object.
        pod: Value,
        /// Whether the template named a restart policy, which the replica spec's overwrites.
        overwrites_restart_policy: bool,
        /// Whether a template of the job names another scheduler than that of its gang, which stays.
        keeps_scheduler: bool,
    },
    /// Of a replica, or of the job.
    CreateService(Value),
    /// A pod of the job.
    DeletePod(Target),
    /// A service of the job.
    DeleteService(Target),
    /// An extra object.
    CreateObject {
        /// The whole object.
        object: Value,
        /// When one of that name is there.
        existing: ObjectExisting,
    },
    /// An extra object of ours whose content is not what the plan says: the stored one with the plan's content.
    ReplaceObject(Value),
    /// An extra object of ours, as it is stored.
    DeleteObject(Value),
    /// A secret with a new ssh key, unless it is there: the object without its data.
    CreateSshKey(Value),
    /// The job's pod group.
    CreatePodGroup(Value),
    /// The job's pod group as it is stored, with what is ours as it should be.
    ReplacePodGroup(Value),
    /// The job's pod group, as it is stored.
    DeletePodGroup(Value),
    /// The job itself, after its time to live.
    DeleteJob,
}

/// An object that is to go, and no other of its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Of the object.
    pub name: String,
    /// Of the object.
    pub uid: String,
}

impl Action {
    /// The uid of the pod or service that it deletes.
    pub(crate) fn deleted(&self) -> Option<&str> {
        match self {
            Self::DeletePod(target) | Self::DeleteService(target) => Some(&target.uid),
            Self::CreatePod { .. }
            | Self::CreateService(_)
            | Self::CreateObject { .. }
            | Self::ReplaceObject(_)
            | Self::DeleteObject(_)
            | Self::CreateSshKey(_)
            | Self::CreatePodGroup(_)
            | Self::ReplacePodGroup(_)
            | Self::DeletePodGroup(_)
            | Self::DeleteJob => None,
        }
    }

    /// What to tell about it: the uid of the object that was made, or what went wrong.
    pub fn events(&self, kind: &Kind, job: &str, done: Result<&str, &str>) -> Vec<Event> {
        let name = |object: &Value| json::text(object, "/metadata/name").to_owned();
        let (verb, what, sentence, target) = match self {
            Self::CreatePod { pod, .. } => ("Create", "Pod", "Created pod", name(pod)),
            Self::CreateService(service) => ("Create", "Service", "Created service", name(service)),
            Self::DeletePod(target) => ("Delete", "Pod", "Deleted pod", target.name.clone()),
            Self::DeleteService(target) => ("Delete", "Service", "Deleted service", target.name.clone()),
            Self::CreatePodGroup(group) => ("Create", "PodGroup", "Created PodGroup", name(group)),
            Self::DeletePodGroup(group) => ("Delete", "PodGroup", "Deleted PodGroup", name(group)),
            // In v1 kinds with a scale subresource say that a pod was deleted.
            Self::DeleteJob if kind.scales.is_some() => ("Delete", "Pod", "Deleted job", job.to_owned()),
            Self::DeleteJob => ("Delete", "Job", "Deleted job", job.to_owned()),
            // v1 tells nothing of them, and nothing of what the API server has against them either.
            Self::CreateObject { object, .. } | Self::CreateSshKey(object) => return refused("Create", object, done),
            Self::ReplaceObject(object) | Self::ReplacePodGroup(object) => return refused("Update", object, done),
            Self::DeleteObject(object) => return refused("Delete", object, done),
        };
        let outcome = match done {
            Ok(uid) => Event::normal(format!("Successful{verb}{what}"), format!("{sentence}: {target}"), uid),
            Err(error) => failed(verb, what, error),
        };
        match (self, done) {
            // v1 says nothing of it.
            (Self::CreatePodGroup(_), Ok(_)) => vec![],
            (Self::DeletePodGroup(group), _) => {
                vec![Event::normal("JobTerminated", POD_GROUP_GOES, json::text(group, "/metadata/uid")), outcome]
            }
            (Self::CreatePod { overwrites_restart_policy, keeps_scheduler, .. }, Ok(uid)) => {
                // As v1 spells it of an `MPIJob`, whose plugin judges failures.
                let set = if kind.replace_failed { "Set" } else { "Setted" };
                let policy = (format!("{set}PodTemplateRestartPolicy"), RESTART_POLICY_OVERWRITTEN);
                let scheduler = (format!("{set}PodTemplateSchedulerName"), SCHEDULER_KEPT);
                let warnings = [(*overwrites_restart_policy, policy), (*keeps_scheduler, scheduler)];
                let warnings = warnings.into_iter().filter(|(deserved, _)| *deserved);
                let warnings = warnings.map(|(_, (reason, message))| Event::warning(reason, message, uid));
                std::iter::once(outcome).chain(warnings).collect()
            }
            (_, Ok(_) | Err(_)) => vec![outcome],
        }
    }
}

fn refused(verb: &str, object: &Value, done: Result<&str, &str>) -> Vec<Event> {
    done.err().map(|error| failed(verb, json::text(object, "/kind"), error)).into_iter().collect()
}

fn failed(verb: &str, what: &str, error: &str) -> Event {
    let doing = format!("{}ing", verb.trim_end_matches('e').to_lowercase());
    Event::warning(format!("Failed{verb}{what}"), format!("Error {doing}: {error}"), "")
}

const RESTART_POLICY_OVERWRITTEN: &str =
    "Restart policy in pod template will be overwritten by restart policy in replica spec";
const SCHEDULER_KEPT: &str =
    "Another scheduler is specified when gang-scheduling is enabled and it will not be overwritten";
const POD_GROUP_GOES: &str = "Job has been terminated. Deleting PodGroup";

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::fixture;

    #[test]
    fn an_extra_object_is_spoken_of_only_when_it_is_refused() {
        let object = json!({"kind": "ConfigMap"});
        for (action, expected) in [
            (
                Action::CreateObject { object: object.clone(), existing: ObjectExisting::UpdateOurs },
                ("FailedCreateConfigMap", "Error creating: data: Too long"),
            ),
            (Action::ReplaceObject(object.clone()), ("FailedUpdateConfigMap", "Error updating: data: Too long")),
            (Action::DeleteObject(object), ("FailedDeleteConfigMap", "Error deleting: data: Too long")),
        ] {
            assert_eq!(action.events(&fixture::kind(), "train", Ok("uid")), [], "{expected:?}");
            let (reason, message) = expected;
            let told = [Event::warning(reason, message, "")];
            assert_eq!(action.events(&fixture::kind(), "train", Err("data: Too long")), told);
        }
    }
}
