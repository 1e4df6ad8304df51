//! Jobs that are wrong in every way, of every kind: each gets an answer that names field and value, be it from the API
//! server, the webhook, a condition or an event, and good jobs go on.

mod client;
mod rows;

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Result, ensure};
use serde_json::json;
use trainyard::catalog::LoadedKind;
use trainyard_core::json::{items, text};

use self::client::Client;
use self::rows::{Row, rows};
use super::place::Place;
use crate::kinds;

/// Rows for each kind.
const AT_LEAST: usize = 60;
/// For each job that the API server took and whose pods it refuses: they are tried again, with growing pauses, for as long
/// as this test lasts.
const MOST_REFUSALS: usize = 30;

/// A malformed job that was sent.
struct Sent {
    kind: Arc<LoadedKind>,
    row: Row,
    name: String,
    /// What the API server said; None when it took the job.
    refused: Option<String>,
}

#[test]
fn every_malformed_job_gets_an_answer_and_good_ones_go_on() -> Result<()> {
    let Some(place) = Place::new("malformed")? else { return Ok(()) };
    let client = Client::new(&place)?;
    let operator = place.operator(&[], &[])?;
    let mut sent = Vec::new();
    let mut good = Vec::new();
    for kind in kinds::all() {
        let rows = rows(kind);
        ensure!(rows.len() >= AT_LEAST, "{}: only {} rows", kind.kind.kind, rows.len());
        good.push(apply_good(&place, kind, "before")?);
        let mut rows: Vec<_> = rows.into_iter().enumerate().collect();
        let rest = rows.split_off(rows.len() / 2);
        sent.extend(client.send_all(kind, rows)?);
        good.push(apply_good(&place, kind, "amid")?);
        sent.extend(client.send_all(kind, rest)?);
        good.push(apply_good(&place, kind, "after")?);
    }
    for job in good {
        place.wait_for(&job, "Succeeded")?;
    }
    let mut unanswered = Vec::new();
    let answered = place.cluster.wait_until(60, "answers", || {
        let answers = answers(&place)?;
        unanswered = sent.iter().filter_map(|job| job.is_unanswered(&answers)).collect();
        ensure!(unanswered.is_empty(), "{} jobs have no clear answer", unanswered.len());
        Ok(())
    });
    assert!(answered.is_ok(), "{}", unanswered.join("\n"));
    let log = operator.log()?;
    assert!(!log.contains("panicked"), "{log}");
    assert!(operator.terminate()?.success(), "it has ended before");

    let refused = place.requests()?.into_iter().filter(|request| request.code >= 400).count();
    let taken = sent.iter().filter(|job| job.refused.is_none()).count();
    assert!(refused <= taken * MOST_REFUSALS, "{refused} refusals for {taken} jobs");
    Ok(())
}

/// Its pods are done at once.
fn apply_good(place: &Place, kind: &LoadedKind, when: &str) -> Result<String> {
    let name = format!("good-{}-{when}", kind.kind.kind.to_lowercase());
    let ends = json!({"annotations": {"test/complete-after": "0s"}});
    place.apply(&kinds::good_job(kind, &name, &ends))?;
    Ok(format!("{}/{name}", kind.kind.kind.to_lowercase()))
}

/// By kind and name.
type Answers = BTreeMap<(String, String), String>;

/// What is said of each object: the messages of the conditions of jobs, and of events.
fn answers(place: &Place) -> Result<Answers> {
    let mut answers = Answers::new();
    let mut tell = |kind: &str, name: &str, message: &str| {
        *answers.entry((kind.to_owned(), name.to_owned())).or_default() += message;
    };
    for kind in kinds::all() {
        for job in items(&place.get(&kind.kind.plural)?, "/items") {
            for condition in items(job, "/status/conditions") {
                tell(&kind.kind.kind, text(job, "/metadata/name"), text(condition, "/message"));
            }
        }
    }
    for event in items(&place.get("events")?, "/items") {
        let field = |pointer| text(event, pointer);
        tell(field("/involvedObject/kind"), field("/involvedObject/name"), field("/message"));
    }
    Ok(answers)
}

impl Sent {
    /// None when the answer names what the row wants to hear.
    fn is_unanswered(&self, answers: &Answers) -> Option<String> {
        let told = answers.get(&(self.kind.kind.kind.clone(), self.name.clone()));
        let answer = self.refused.as_ref().or(told).map(String::as_str).unwrap_or_default();
        let missing = self.row.answer.iter().find(|part| !answer.contains(part.as_str()))?;
        let shown: String = answer.chars().take(600).collect();
        let taken = if self.refused.is_some() { "refused" } else { "taken" };
        Some(format!("{} {:?}: no {missing:?} in the answer ({taken}): {shown}", self.kind.kind.kind, self.row.name))
    }
}
