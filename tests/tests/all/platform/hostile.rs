//! The table of hostile plugins once more, in the real operator: whatever they do, jobs of others train, and a good version
//! of each makes all well.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;
use std::{fs, thread};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Value, json};
use trainyard::plugin::Digest;
use trainyard_tests::binary;

use super::place::{self, Place, ROLE, identity, ring};
use super::reload::memory;
use super::story::job;
use crate::operator::place::text;

/// What an admin who knows no better grants.
const EVERY_KIND: &str = "
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata:
  name: hostile
  labels: {trainyard.dev/aggregate-to-operator: 'true'}
rules:
- {apiGroups: [example.com], resources: ['*'], verbs: [list, watch, delete, update]}
";

/// KiB that may stay.
const RESIDENT: u64 = 48 << 10;

/// The plugins of one kind, and where their files are.
struct Lane<'a> {
    place: &'a Place,
    folder: &'a Path,
    fuel: &'a Value,
    number: usize,
}

/// How one of them ended.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Row {
    place: usize,
    text: String,
    wrong: Option<String>,
}

#[test]
fn whatever_plugins_do_the_operator_goes_on() -> Result<()> {
    let Some(place) = Place::new()? else { return Ok(()) };
    let folder = tempfile::tempdir()?;
    binary::hostile_components(folder.path())?;
    let list: Value = serde_json::from_slice(&fs::read(folder.path().join("list.json"))?)?;
    let all = list["components"].as_array().context("no list")?;
    ensure!(all.len() > 50, "there are {} components", all.len());

    let operator = place.operator_with(&[&format!("--plugin-dir={}", folder.path().display())])?;
    place.cluster.apply(&format!("{ROLE}---{EVERY_KIND}"))?;
    place.config_map("ring", &ring("1")?)?;
    place.plugin("ring", &json!({"source": {"configMap": {"name": "ring"}}}))?;
    place.wait_for("ring", "Ready", "True")?;
    let lanes: Vec<_> =
        (0..3).map(|number| Lane { place: &place, folder: folder.path(), fuel: &list["fuel"], number }).collect();
    for lane in &lanes {
        lane.load_good()?;
    }
    let before = (identity(&operator)?, memory(&operator)?);

    let stop = AtomicBool::new(false);
    let healthy = thread::scope(|scope| {
        let healthy = scope.spawn(|| run_all_the_time(&place, &stop));
        let judging: Vec<_> = lanes.iter().map(|lane| scope.spawn(|| lane.judge(all))).collect();
        let judged: Vec<_> = judging.into_iter().map(thread::ScopedJoinHandle::join).collect();
        stop.store(true, Relaxed);
        let mut rows = Vec::new();
        for lane in judged {
            rows.extend(lane.map_err(|_| anyhow::anyhow!("a lane has panicked"))??);
        }
        rows.sort();
        // Past the test harness: the table is of interest when all is well, too.
        place::print(&rows.iter().map(|row| row.text.as_str()).collect::<Vec<_>>().join("\n"))?;
        let wrong: Vec<_> = rows.iter().filter_map(|row| row.wrong.as_ref()).collect();
        ensure!(wrong.is_empty(), "{wrong:#?}");
        healthy.join().map_err(|_| anyhow::anyhow!("the healthy jobs have panicked"))?
    })?;
    place.cluster.kubectl(&["wait", "--for=condition=Succeeded", "ringjobs", "--all", "--timeout=120s"])?;
    let page = operator.metrics()?;
    let failed = page.lines().filter(|line| {
        line.starts_with("trainyard_plugin_calls_total{")
            && line.contains("plugin=\"ring\"")
            && !line.contains("outcome=\"Answered\"")
    });
    assert_eq!(failed.collect::<Vec<_>>(), [""; 0]);
    let grown = memory(&operator)?.saturating_sub(before.1);
    place::print(&format!("{} hostile plugins, {healthy} healthy jobs, {grown} KiB more than before", all.len()))?;
    ensure!(grown < RESIDENT, "{grown} KiB are left");
    assert_eq!(identity(&operator)?, before.0);
    Ok(())
}

/// Jobs of a healthy plugin, one after the other; answers how many.
fn run_all_the_time(place: &Place, stop: &AtomicBool) -> Result<u32> {
    let mut jobs = 0;
    while !stop.load(Relaxed) {
        place.cluster.apply(&job(&format!("healthy-{jobs}"))?.to_string())?;
        jobs += 1;
        thread::sleep(Duration::from_millis(500));
    }
    Ok(jobs)
}

impl Lane<'_> {
    fn plugin(&self) -> String {
        format!("hostile-{}", self.number)
    }

    fn load(&self, file: &str) -> Result<String> {
        let path = self.folder.join(file);
        let spec = json!({"source": {"file": {"path": path}}, "limits": {"fuel": self.fuel}});
        self.place.plugin(&self.plugin(), &spec)?;
        Ok(Digest::of(&fs::read(path)?).to_string())
    }

    fn load_good(&self) -> Result<()> {
        let digest = self.load(&format!("good-{}.wasm", self.number))?;
        self.place.wait_until_active(&self.plugin(), &digest)?;
        self.place.wait_for(&self.plugin(), "Degraded", "False")?;
        self.place.wait_for(&self.plugin(), "Ready", "True").map(drop)
    }

    /// Each is loaded and called, and a good version after it.
    fn judge(&self, all: &[Value]) -> Result<Vec<Row>> {
        let mut rows = Vec::new();
        for (place, each) in all.iter().enumerate().filter(|(_, each)| each["kind"] == self.number) {
            let (number, name, word, message) =
                (text(&each["number"]), text(&each["name"]), text(&each["word"]), text(&each["message"]));
            let (expected, message) = match &*word {
                "Created" => ("Created", ""),
                "Answered" => ("PluginFailed", "the plan has replica types []"),
                _ if each["isLoaded"] == true => ("PluginFailed", &*message),
                // Of a file no more than that is read.
                "TooMuch" if name == "too many bytes" => ("TooLarge", "33554432 bytes"),
                word => (word, &*message),
            };
            let digest = self.load(&text(&each["file"]))?;
            let ended = if each["isLoaded"] == true { self.end_of_job(&digest) } else { self.end_of_load() };
            let (ending, said) = ended.with_context(|| name.clone())?;
            let wrong = (ending != expected || !said.contains(message))
                .then(|| format!("{number} {name}: {ending}: {said}; not {expected}: {message}"));
            rows.push(Row { place, text: format!("{number:<4} {name:<58} {ending}"), wrong });
            self.load_good().with_context(|| format!("after {name}"))?;
        }
        Ok(rows)
    }

    /// The reason and the message of the condition that says what is wrong with the candidate.
    fn end_of_load(&self) -> Result<(String, String)> {
        self.place.wait_for(&self.plugin(), "Degraded", "True")?;
        let status = self.place.status(&self.plugin())?;
        let conditions = status["conditions"].as_array().into_iter().flatten();
        let of_steps = |each: &&Value| ["Fetched", "Verified", "Compiled"].iter().any(|step| each["type"] == **step);
        let failed = conditions.filter(of_steps).find(|each| each["status"] == "False");
        let failed = failed.with_context(|| format!("its status is {status}"))?;
        Ok((text(&failed["reason"]), text(&failed["message"])))
    }

    /// The last condition of a job that it plans, and what is told of it.
    fn end_of_job(&self, digest: &str) -> Result<(String, String)> {
        self.place.wait_until_active(&self.plugin(), digest)?;
        let (kind, plural) = (format!("Hostile{}Job", self.number), format!("hostile{}jobs", self.number));
        let template = json!({"spec": {"containers": [{"name": "test", "image": "train:1"}]}});
        let job = json!({
            "apiVersion": "example.com/v1",
            "kind": kind,
            "metadata": {"name": "job"},
            "spec": {"testReplicaSpecs": {"Worker": {"replicas": 1, "template": template}}},
        });
        self.place.cluster.apply(&job.to_string())?;
        let ended = self.place.cluster.wait_until(60, &format!("an end of {kind}"), || {
            let job = self.place.cluster.get("default", &format!("{plural}/job"))?;
            let Some(last) = job["status"]["conditions"].as_array().and_then(|conditions| conditions.last()) else {
                bail!("it is {job}")
            };
            Ok((text(&last["reason"]).trim_start_matches(&kind).to_owned(), text(&last["message"])))
        })?;
        self.place.cluster.kubectl(&["delete", &plural, "job"])?;
        Ok(ended)
    }
}
