//! Events on a job, with v1's reasons and messages.

use serde_json::Value;

use crate::contract::Kind;
use crate::job::Job;
use crate::json;
use crate::observed::{ContainerStatus, Pod};

/// An event on the job. Two with the same text and `about` are the same event, however often it is told.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Event {
    /// Else normal.
    pub warning: bool,
    /// `SuccessfulCreatePod`.
    pub reason: String,
    /// A sentence.
    pub message: String,
    /// What it is about, where its text does not say: the pod's uid, the time of a change.
    pub about: String,
}

impl Event {
    /// A normal event.
    pub fn normal(reason: impl Into<String>, message: impl Into<String>, about: impl ToString) -> Self {
        Self { warning: false, reason: reason.into(), message: message.into(), about: about.to_string() }
    }

    /// A warning.
    pub fn warning(reason: impl Into<String>, message: impl Into<String>, about: impl ToString) -> Self {
        Self { warning: true, ..Self::normal(reason, message, about) }
    }
}

/// That an extra object cannot be made because somebody else's has its name.
pub fn not_ours(kind: &Kind, object: &Value) -> Event {
    let [name, object] = ["/metadata/name", "/kind"].map(|pointer| json::text(object, pointer));
    let kind = &kind.kind;
    let message = format!("Resource {name:?} of {kind}Kind {object:?} already exists and is not managed by {kind}");
    Event::warning("ErrResourceExists", message, "")
}

/// That the container that trains has ended.
pub fn exited(kind: &Kind, job: &Job, pod: &Pod) -> Option<Event> {
    let code = pod.exit_code(&kind.container)?;
    let message = format!("Pod: {}.{} exited with code {code}", job.namespace, pod.meta.name);
    Some(Event::normal("ExitedWithCode", message, &pod.meta.uid))
}

/// What keeps an active pod from running: of its containers, else of its init containers, else of its last condition.
pub fn abnormal(pod: &Pod) -> Vec<Event> {
    let status = &pod.status;
    let containers = [&status.container_statuses, &status.init_container_statuses];
    if let Some(containers) = containers.into_iter().find(|containers| !containers.is_empty()) {
        return containers.iter().flat_map(|container| of_container(pod, container)).collect();
    }
    // Of several at once v1 takes the first, and `max_by_key` the last.
    let last = status.conditions.iter().rev().max_by_key(|condition| condition.last_transition_time);
    let bad = last.filter(|condition| condition.status != "True");
    let events = bad.map(|condition| {
        let message = condition.message.as_deref().unwrap_or_default();
        let message = format!("Error pod {} condition message: {message}", pod.meta.name);
        Event::warning(condition.reason.clone().unwrap_or_default(), message, &pod.meta.uid)
    });
    events.into_iter().collect()
}

fn of_container(pod: &Pod, container: &ContainerStatus) -> Vec<Event> {
    let subject = format!("Error pod {} container {}", pod.meta.name, container.name);
    let ended = container.state.terminated.as_ref().filter(|ended| ended.exit_code != 0).map(|ended| {
        let message = ended.message.as_deref().unwrap_or_default();
        let message = format!("{subject} exitCode: {} terminated message: {message}", ended.exit_code);
        Event::warning(ended.reason.clone().unwrap_or_default(), message, &pod.meta.uid)
    });
    let waiting = container.state.waiting.as_ref().and_then(|waiting| {
        let message = waiting.message.as_deref().filter(|message| !message.is_empty())?;
        let message = format!("{subject} waiting message: {message}");
        Some(Event::warning(waiting.reason.clone().unwrap_or_default(), message, &pod.meta.uid))
    });
    ended.into_iter().chain(waiting).collect()
}

#[cfg(test)]
mod tests;
