//! Tells how a plugin is: in its status and by events, and only where that is news.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use kube::ResourceExt as _;
use kube::api::PostParams;
use kube::runtime::controller::Action;
use serde_json::json;
use tracing::warn;
use trainyard_core::event::Event;

use super::report::{self, Again, Failure, Report};
use super::shelf::Shelf;
use super::{Loader, SOON, back_off};
use crate::framework_plugin::{Condition, FrameworkPlugin, FrameworkPluginStatus};
use crate::plugin::Function;
use crate::source::Freshness;

/// The shortest pause before another look.
const LEAST: Duration = Duration::from_secs(1);

impl Loader {
    /// Writes how the plugin is; answers when to look again.
    pub(super) async fn tell(&self, plugin: &FrameworkPlugin, shelf: &mut Shelf, failure: Option<Failure>) -> Action {
        shelf.told_left_alone = shelf.is_left_alone();
        let unwritten = self.report(plugin, shelf, failure.as_ref(), shelf.notice()).await;
        let tried = shelf.tried.as_ref().filter(|_| !plugin.spec.suspend).and_then(|tried| tried.again);
        let tried = tried.map(|again| again.saturating_duration_since(Instant::now()));
        let soon = failure.filter(|failure| failure.again == Again::Soon).map(|_| SOON);
        let missing = shelf.missing().filter(|_| !plugin.spec.suspend).filter_map(|(_, again)| again).min();
        let missing = missing.map(|again| again.saturating_duration_since(Instant::now()));
        let next = [unwritten, tried, soon, missing].into_iter().flatten().min();
        next.map_or_else(Action::await_change, |next| Action::requeue(next.max(LEAST)))
    }

    /// Answers after which time to try again, if it could not be written.
    pub(super) async fn report(
        &self,
        plugin: &FrameworkPlugin,
        shelf: &mut Shelf,
        failure: Option<&Failure>,
        notice: Option<(&'static str, String)>,
    ) -> Option<Duration> {
        let tried = shelf.tried.as_ref();
        let report = Report {
            generation: plugin.metadata.generation,
            active: shelf.active.as_ref().map(|active| &active.version),
            retained: &shelf.retained,
            failure,
            is_remembered: tried.is_some_and(|tried| tried.freshness == Freshness::Remembered),
            notice,
        };
        self.loads.is(&plugin.name_any(), report.state());
        let is_written = !self.leads() || self.write(plugin, &report, &shelf.past, &mut shelf.written).await;
        shelf.unwritten = if is_written { 0 } else { shelf.unwritten.saturating_add(1) };
        (!is_written).then(|| back_off(shelf.unwritten))
    }

    async fn write(
        &self,
        plugin: &FrameworkPlugin,
        report: &Report<'_>,
        past: &[String],
        written: &mut Option<[FrameworkPluginStatus; 2]>,
    ) -> bool {
        let before = plugin.status.as_ref();
        let now = Timestamp::now();
        let now = Timestamp::from_second(now.as_second()).unwrap_or(now); // as Kubernetes keeps it
        let status = report::status(report, before, now);
        let is_kept = |[written, kept]: &[FrameworkPluginStatus; 2]| *written == status && before == Some(kept);
        if before == Some(&status) || written.as_ref().is_some_and(is_kept) {
            return true;
        }
        let calls = report
            .active
            .map(|version| Function::ALL.into_iter().map(|function| version.plugin.counters().calls(function)).sum());
        let events = events(&status, before, past);
        let status = FrameworkPluginStatus { calls, ..status };
        let new = FrameworkPlugin { status: Some(status.clone()), ..plugin.clone() };
        match self.all.replace_status(&plugin.name_any(), &PostParams::default(), &new).await {
            Ok(stored) => {
                *written = stored.status.map(|kept| [FrameworkPluginStatus { calls: kept.calls, ..status }, kept]);
                let object = json!({
                    "apiVersion": "trainyard.dev/v1alpha1",
                    "kind": "FrameworkPlugin",
                    "metadata": {"name": plugin.name_any(), "uid": plugin.uid()},
                });
                self.recorder.tell(&object, events, now).await;
                true
            }
            // It has gone, or there is a newer one: the watch brings it.
            Err(kube::Error::Api(status)) if [404, 409].contains(&status.code) => true,
            Err(error) => {
                warn!(plugin = plugin.name_any(), %error, "the status of a plugin cannot be written");
                false
            }
        }
    }
}

impl Shelf {
    /// What an admin should know, though the active version is well.
    fn notice(&self) -> Option<(&'static str, String)> {
        self.active.as_ref()?;
        if self.told_left_alone {
            return Some(("CircuitOpen", "it failed too often, and is left alone for a while".to_owned()));
        }
        let missing: Vec<_> = self.missing().map(|(about, _)| about.digest.as_str()).collect();
        let message = || format!("jobs wait for versions that cannot be had for the moment: {}", missing.join(", "));
        (!missing.is_empty()).then(|| ("VersionMissing", message()))
    }
}

/// What an admin reads in `kubectl describe`.
fn events(now: &FrameworkPluginStatus, before: Option<&FrameworkPluginStatus>, past: &[String]) -> Vec<Event> {
    let generation = now.observed_generation.unwrap_or_default();
    let digest = |status: &FrameworkPluginStatus| status.active.as_ref().map(|active| active.digest.clone());
    let was_active = |digest: &String| {
        past.contains(digest)
            || before.is_some_and(|before| before.retained.iter().any(|former| former.digest == *digest))
    };
    let normal = |reason, message| Event::normal(reason, message, generation);
    let mut events = Vec::new();
    match (before.and_then(digest), digest(now)) {
        (None, Some(new)) => events.push(normal("Loaded", format!("{new} plans new jobs"))),
        (Some(old), Some(new)) if old != new => {
            let reason = if was_active(&new) { "RolledBack" } else { "Replaced" };
            events.push(normal(reason, format!("{new} plans new jobs in the place of {old}")));
        }
        (Some(old), None) => events.push(normal("Withdrawn", format!("{old} plans no jobs any more"))),
        (None, None) | (Some(_), Some(_)) => {}
    }
    // Ready tells why there is none, Degraded what is wrong although there is one.
    for (kind, bad) in [("Ready", "False"), ("Degraded", "True")] {
        let of = |status: &FrameworkPluginStatus| status.conditions.iter().find(|each| each.type_ == kind).cloned();
        let word = |condition: &Condition| (condition.status.clone(), condition.reason.clone());
        let said = before.and_then(of).map(|condition| word(&condition));
        let news = of(now).filter(|condition| condition.status == bad && said != Some(word(condition)));
        events.extend(news.map(|condition| {
            let Condition { reason, message, .. } = condition;
            Event { warning: reason != report::SUSPENDED, ..Event::normal(reason, message, generation) }
        }));
    }
    events
}

#[cfg(test)]
mod tests;
