//! Events on jobs, as core/v1 events whose names follow from what they say: telling one twice is harmless.

use std::sync::Mutex;

use jiff::{SignedDuration, Timestamp};
use quick_cache::unsync::Cache;
use serde::de::IgnoredAny;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tracing::warn;
use trainyard_core::event::Event;
use trainyard_core::json::text;

use super::api::{Api, ApiError};

/// Tells events, within v1's budget for each job.
pub(super) struct Recorder {
    api: Api,
    /// Who tells: `pytorchjob-controller`.
    component: String,
    memory: Mutex<Memory>,
}

struct Memory {
    /// Names of events that were told.
    told: Cache<String, ()>,
    /// By uid of the job, and type.
    budgets: Cache<String, Budget>,
}

/// Events of each type that a job may have at once, and how long until it may have one more: client-go's, and so v1's,
/// limits. A job of a thousand pods would otherwise cost a thousand requests more.
///
/// <https://github.com/kubernetes/client-go/blob/v0.34.4/tools/record/events_cache.go#L70>
const BURST: u32 = 25;
const REFILL: SignedDuration = SignedDuration::from_secs(300);

/// Events and jobs that are remembered; one that is forgotten costs a request that changes nothing.
const REMEMBERED: usize = 16_384;

#[derive(Clone, Copy, Debug, PartialEq)]
struct Budget {
    left: u32,
    since: Timestamp,
}

impl Recorder {
    pub(super) fn new(api: Api, component: String) -> Self {
        let memory = Memory { told: Cache::new(REMEMBERED), budgets: Cache::new(REMEMBERED) };
        Self { api, component, memory: Mutex::new(memory) }
    }

    /// Tells what was not told before. A failure is logged and no more: events are a courtesy.
    pub(super) async fn tell(&self, job: &Value, events: Vec<Event>, now: Timestamp) {
        let objects: Vec<_> = events.iter().map(|event| self.object(job, event, now)).collect();
        let objects = objects.into_iter().filter(|object| self.may_tell(job, object, now));
        let requests = objects.map(|object| async move {
            match self.api.create_for_metadata::<IgnoredAny>(&object).await {
                Ok(_) | Err(ApiError::AlreadyExists(_)) => {}
                Err(error) => {
                    let [namespace, name] = ["namespace", "name"].map(|field| text(job, &format!("/metadata/{field}")));
                    warn!(job = %format_args!("{namespace}/{name}"), %error, event = text(&object, "/reason"), "an event is lost");
                }
            }
        });
        futures::future::join_all(requests).await;
    }

    fn may_tell(&self, job: &Value, event: &Value, now: Timestamp) -> bool {
        let name = text(event, "/metadata/name");
        let mut memory = self.memory.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if memory.told.get(name).is_some() {
            return false;
        }
        let key = format!("{} {}", text(job, "/metadata/uid"), text(event, "/type"));
        let mut budget = memory.budgets.get(&key).copied().unwrap_or(Budget { left: BURST, since: now });
        let may = budget.spend(now);
        memory.budgets.insert(key, budget);
        memory.told.insert(name.to_owned(), ());
        may
    }

    fn object(&self, job: &Value, event: &Event, now: Timestamp) -> Value {
        let field = |pointer| text(job, pointer);
        json!({
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {
                "name": format!("{}.{}", field("/metadata/name"), digest(field("/metadata/uid"), event)),
                // Of what is in no namespace.
                "namespace": Some(field("/metadata/namespace")).filter(|it| !it.is_empty()).unwrap_or("default"),
            },
            "involvedObject": {
                "apiVersion": field("/apiVersion"),
                "kind": field("/kind"),
                "name": field("/metadata/name"),
                "namespace": field("/metadata/namespace"),
                "uid": field("/metadata/uid"),
                "resourceVersion": field("/metadata/resourceVersion"),
            },
            "type": if event.warning { "Warning" } else { "Normal" },
            "reason": event.reason,
            "message": message(&event.message),
            "source": {"component": self.component},
            "reportingComponent": self.component,
            "firstTimestamp": now,
            "lastTimestamp": now,
            "count": 1,
        })
    }
}

impl Budget {
    fn spend(&mut self, now: Timestamp) -> bool {
        let refills = now.duration_since(self.since).as_secs() / REFILL.as_secs();
        if refills > 0 {
            self.left = BURST.min(self.left.saturating_add(u32::try_from(refills).unwrap_or(BURST)));
            self.since = now;
        }
        let may = self.left > 0;
        self.left = self.left.saturating_sub(1);
        may
    }
}

/// Half of a SHA-256 in hexadecimal: the same for the same event.
fn digest(job: &str, event: &Event) -> String {
    let mut hash = Sha256::new();
    for part in [job, &event.reason, &event.message, &event.about] {
        hash.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_le_bytes());
        hash.update(part);
    }
    hash.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

/// The API server refuses messages of more than 1024 bytes.
fn message(text: &str) -> &str {
    let end = (0..=text.len().min(1024)).rev().find(|end| text.is_char_boundary(*end));
    end.and_then(|end| text.get(..end)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_may_tell_25_events_at_once_and_one_more_every_five_minutes() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let mut budget = Budget { left: BURST, since: at(0) };
        assert_eq!((0..30).filter(|_| budget.spend(at(1))).count(), 25);
        assert!(!budget.spend(at(299)));
        assert!(budget.spend(at(301)));
        assert!(!budget.spend(at(302)));
    }

    #[test]
    fn the_same_event_has_the_same_name_and_another_has_another() {
        let event = |message: &str, about: &str| Event::normal("Reason", message, about);
        let name = |event| digest("uid", &event);
        assert_eq!(name(event("a", "b")), name(event("a", "b")));
        assert_ne!(name(event("a", "b")), name(event("a", "c")));
        assert_ne!(name(event("ab", "")), name(event("a", "b")));
    }

    #[test]
    fn long_messages_are_cut_between_characters() {
        assert_eq!(message("short"), "short");
        assert_eq!(message(&"é".repeat(600)).len(), 1024);
        assert_eq!(message(&format!("a{}", "é".repeat(600))).len(), 1023);
    }
}
