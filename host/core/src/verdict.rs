//! What the plugin says the pods mean, turned into conditions, events, counters and restarts.

use std::collections::BTreeSet;

use jiff::SignedDuration;

use crate::action::Action;
use crate::census::Census;
use crate::contract::{Assessment, Failure, Restart, RestartScope, Verdict};
use crate::diff;
use crate::event::Event;
use crate::job::Job;
use crate::line::Sentence;
use crate::status::{ConditionType, Truth};
use crate::think::{Count, Pass};

/// Takes the verdicts in order, up to the first that ends the job. Once an exit code has doomed it only `failed` counts.
pub(crate) fn apply(pass: &mut Pass<'_>, job: &Job, census: &Census<'_>, assessment: &Assessment, doomed: bool) {
    for verdict in &assessment.verdicts {
        match verdict {
            Verdict::Failed(failure) => failed(pass, failure),
            Verdict::Running(_) | Verdict::Restarting(_) | Verdict::Succeeded(_) if doomed => {}
            Verdict::Running(message) => {
                let reason = pass.reason("Running");
                pass.set(ConditionType::Running, Truth::True, &reason, message.as_str());
            }
            Verdict::Restarting(message) => restarting(pass, message),
            Verdict::Succeeded(message) => {
                let reason = pass.reason("Succeeded");
                pass.tell(Event::normal(reason.clone(), message.in_event(), pass.observed.now));
                pass.finish(ConditionType::Succeeded, &reason, message.as_str());
            }
        }
        if pass.status.is_finished() && !doomed {
            break;
        }
    }
    for event in assessment.events.iter().take(MOST_EVENTS) {
        let (reason, message) = (event.reason.to_string(), event.message.in_event());
        pass.tell(Event { warning: event.warning, reason, message, about: String::new() });
    }
    if pass.status.is_finished() {
        return;
    }
    if let Some(seconds) = assessment.check_after {
        pass.check_after(SignedDuration::from_secs(seconds.max(1).into())); // at once would be for ever
    }
    if let Some(asked) = &assessment.restart {
        restart(pass, job, census, asked);
    }
}

/// Of one answer: a job has a budget of 25.
const MOST_EVENTS: usize = 64;

/// The failure of a job whose restarts are used up.
pub(crate) fn backoff_message(job: &str) -> String {
    format!("Job {job} has failed because it has reached the specified backoff limit")
}

fn failed(pass: &mut Pass<'_>, failure: &Failure) {
    let event = failure.reason.as_ref().map_or_else(|| pass.reason("Failed"), ToString::to_string);
    let reason = failure.reason.as_ref().map_or_else(|| event.clone(), |reason| pass.reason(reason.as_str()));
    pass.tell(Event::normal(event, failure.message.in_event(), pass.observed.now));
    pass.finish(ConditionType::Failed, &reason, failure.message.as_str());
}

/// Told when it begins, and with each pod that this pass replaces.
fn restarting(pass: &mut Pass<'_>, message: &Sentence) {
    let reason = pass.reason("Restarting");
    let is_new = !pass.old.is(ConditionType::Restarting);
    let replaces = pass.thought.counts.contains(&Count::Restarted);
    pass.set(ConditionType::Restarting, Truth::True, &reason, message.as_str());
    if is_new || replaces {
        pass.tell(Event::warning(reason, message.in_event(), pass.observed.now));
    }
    if is_new && !replaces {
        pass.thought.counts.push(Count::Restarted);
    }
}

/// Pods that already go are not counted again.
fn restart(pass: &mut Pass<'_>, job: &Job, census: &Census<'_>, asked: &Restart) {
    let gone: BTreeSet<_> = pass.thought.batches.iter().flatten().filter_map(deleted).collect();
    let meant = census.pods().filter(|(types, index, pod)| {
        let is_meant = match &asked.scope {
            RestartScope::All => true,
            RestartScope::ReplicaType(name) => *name == types.spec.name,
            RestartScope::Replicas(ids) => {
                ids.iter().any(|id| id.replica_type == types.spec.name && id.index == *index)
            }
        };
        is_meant && !pod.meta.deleting && !gone.contains(&pod.meta.uid)
    });
    let meant: Vec<_> = meant.map(|(_, _, pod)| diff::target(&pod.meta)).collect();
    let Some(first) = meant.first() else { return };
    let attempt = pass.status.restarts.saturating_add(u32::from(asked.counts));
    let limit = job.run_policy.backoff_limit.map(|limit| u32::try_from(limit).unwrap_or(0));
    if asked.counts && limit.is_some_and(|limit| attempt > limit) {
        return failed(pass, &Failure { reason: None, message: backoff_message(pass.name).into() });
    }
    let about = first.uid.clone();
    pass.restart(job, 0, &asked.message, &about);
    pass.status.restarts = attempt;
    pass.thought.batches.push(meant.into_iter().map(Action::DeletePod).collect());
}

fn deleted(action: &Action) -> Option<String> {
    match action {
        Action::DeletePod(target) => Some(target.uid.clone()),
        Action::CreatePod { .. }
        | Action::CreateService(_)
        | Action::DeleteService(_)
        | Action::CreateObject { .. }
        | Action::ReplaceObject(_)
        | Action::DeleteObject(_)
        | Action::CreateSshKey(_)
        | Action::CreatePodGroup(_)
        | Action::ReplacePodGroup(_)
        | Action::DeletePodGroup(_)
        | Action::DeleteJob => None,
    }
}
