//! The versions of one plugin that are loaded: fetched, checked, compiled, and kept for a while.

mod fetching;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use trainyard_core::contract::Kind;

use super::report::{Again, Failure};
use super::{Loader, Plugins, SOON, Version, back_off, lock};
use crate::framework_plugin::{FrameworkPlugin, FrameworkPluginSpec, FrameworkPluginStatus, Loaded, UpgradePolicy};
use crate::operator::metrics::Reload;
use crate::plugin::{Digest, Limits};
use crate::source::Freshness;

/// Versions that stay loaded: to come back to one of them takes no time.
const KEPT: usize = 3;
/// Digests that are known to have been active.
const PAST: usize = 16;

/// The versions of one plugin.
#[derive(Default)]
pub(super) struct Shelf {
    /// The newest first.
    versions: Vec<Version>,
    pub(super) active: Option<Active>,
    /// Those of the retained that are loaded.
    pub(super) former: Vec<Version>,
    /// Those that jobs may still be on, loaded or not: what was active last comes first.
    pub(super) retained: Vec<Loaded>,
    /// Digests of those that could not be had.
    absent: BTreeMap<String, Absent>,
    /// Which jobs a new version takes.
    pub(super) policy: UpgradePolicy,
    /// Of which plugin all this is: its uid and generation.
    of: (Option<String>, Option<i64>),
    /// Whether it is ours to say what is retained.
    is_ours: bool,
    /// What came of what was wanted last.
    pub(super) tried: Option<Tried>,
    /// What was found to have all that it needs: the plugin's generation and a digest.
    pub(super) approved: Option<(Option<i64>, String)>,
    /// What was active before, the last first.
    pub(super) past: Vec<String>,
    /// Whether it was deleted, and is not asked any more: it goes unless a job turns out to need it.
    pub(super) is_leaving: bool,
    /// Whether the status says that the active version is not called.
    pub(super) told_left_alone: bool,
    /// The status that was written last, and what the API server kept of it: less where its definition is older.
    pub(super) written: Option<[FrameworkPluginStatus; 2]>,
    /// Writes of the status that failed, in a row.
    pub(super) unwritten: u32,
}

/// A version that plans, with settings that it takes.
#[derive(Clone)]
pub(super) struct Active {
    pub(super) version: Version,
    pub(super) settings: Value,
}

/// A version that could not be had.
struct Absent {
    /// When to try again.
    again: Instant,
    /// In a row.
    failures: u32,
}

/// What came of what was wanted. It is not tried again at every look.
pub(super) struct Tried {
    /// What was wanted.
    key: String,
    outcome: Result<Version, Failure>,
    /// Of a tag whose registry did not answer.
    pub(super) freshness: Freshness,
    /// When it may come out differently.
    pub(super) again: Option<Instant>,
    /// In a row.
    failures: u32,
}

impl Shelf {
    fn get(&self, digest: Digest, limits: &Limits) -> Option<Version> {
        let fits = |version: &&Version| version.plugin.digest() == digest && version.plugin.limits() == limits;
        self.all().find(fits).cloned()
    }

    fn all(&self) -> impl Iterator<Item = &Version> {
        self.active.iter().map(|active| &active.version).chain(&self.former).chain(&self.versions)
    }

    fn keep(&mut self, version: &Version) {
        self.versions.retain(|kept| kept.plugin.digest() != version.plugin.digest());
        self.versions.insert(0, version.clone());
        self.versions.truncate(KEPT);
    }

    /// Digests of all that is loaded.
    pub(super) fn digests(&self) -> impl Iterator<Item = Digest> {
        self.all().map(|version| version.plugin.digest())
    }

    /// Answers what that is, if it is anything new.
    pub(super) fn activate(&mut self, new: Active) -> Option<Reload> {
        let digest = &new.version.about.digest;
        let reload = match &self.active {
            Some(old) if old.version.about.digest == *digest => None,
            Some(_) if self.past.contains(digest) => Some(Reload::RolledBack),
            Some(_) => Some(Reload::Replaced),
            None => Some(Reload::Loaded),
        };
        if reload.is_some() {
            self.withdraw();
        }
        self.active = Some(new);
        reload
    }

    /// What was active is not any more; its jobs are on it still.
    pub(super) fn withdraw(&mut self) {
        let Some(Active { version, .. }) = self.active.take() else { return };
        self.former.retain(|former| former.about.digest != version.about.digest);
        self.former.insert(0, version.clone());
        let digest = &version.about.digest;
        self.past.retain(|past| past != digest);
        self.past.insert(0, digest.clone());
        self.past.truncate(PAST);
        self.retained.retain(|about| about.digest != *digest);
        self.retained.insert(0, version.about);
    }

    /// Makes it that of this plugin. What is written down of it holds until it is ours to write.
    pub(super) fn read(&mut self, plugin: &FrameworkPlugin, is_ours: bool) {
        let of = (plugin.metadata.uid.clone(), plugin.metadata.generation);
        if self.of.0 != of.0 {
            *self = Self::default(); // another took its name
        }
        self.policy = plugin.spec.upgrade_policy;
        if self.of != of {
            self.absent.clear(); // they may be had now
            self.of = of;
        }
        if !std::mem::replace(&mut self.is_ours, is_ours) {
            let written = plugin.status.iter().flat_map(|status| status.active.iter().chain(&status.retained));
            self.retained = written.cloned().collect();
        }
    }

    /// Those that jobs may be on and that could not be had; when to try again.
    pub(super) fn missing(&self) -> impl Iterator<Item = (&Loaded, Option<Instant>)> {
        let is_loaded = |about: &Loaded| self.former.iter().any(|former| former.about.digest == about.digest);
        let missing = self.retained.iter().filter(move |about| !is_loaded(about));
        missing.map(|about| (about, self.absent.get(&about.digest).map(|absent| absent.again)))
    }
}

impl Tried {
    fn of(key: String, outcome: Result<(Version, Freshness), Failure>, before: u32, now: Instant) -> Self {
        let pause = pause(&outcome, before + 1);
        let freshness = outcome.as_ref().map_or(Freshness::Current, |(_, freshness)| *freshness);
        let failures = if pause.is_some() { before + 1 } else { 0 };
        Self {
            key,
            outcome: outcome.map(|(version, _)| version),
            freshness,
            again: pause.map(|pause| now + pause),
            failures,
        }
    }

    fn is_good(&self, key: &str, now: Instant) -> bool {
        self.key == key && self.again.is_none_or(|again| now < again)
    }
}

/// Until another try; None where only a change can help.
fn pause(outcome: &Result<(Version, Freshness), Failure>, failures: u32) -> Option<Duration> {
    let again = match outcome {
        Ok((_, Freshness::Current)) => Again::OnChange,
        Ok((_, Freshness::Remembered)) => Again::BackOff,
        Err(failure) => failure.again,
    };
    match again {
        Again::OnChange => None,
        Again::Soon => Some(SOON),
        Again::BackOff => Some(back_off(failures)),
    }
}

impl Loader {
    /// The version that is wanted now.
    pub(super) async fn wanted(
        &self,
        plugin: &FrameworkPlugin,
        all: &Plugins,
        shelf: &mut Shelf,
    ) -> Result<Version, Failure> {
        let key = self.key(&plugin.spec);
        let before = match &shelf.tried {
            Some(tried) if tried.is_good(&key, Instant::now()) => return tried.outcome.clone(),
            Some(tried) if tried.key == key => tried.failures,
            Some(_) | None => 0,
        };
        let outcome = match self.pinned(plugin, shelf).await {
            Some(version) => Ok((version, Freshness::Current)),
            None => self.fetch(&plugin.spec, shelf).await,
        };
        if let Err(failure) = &outcome {
            self.loads.failed(&failure.reason);
            self.loads.reloaded(Reload::Failed);
        }
        let tried = Tried::of(key, outcome, before, Instant::now());
        let outcome = tried.outcome.clone();
        shelf.tried = Some(tried);
        self.trim(all, shelf).await;
        outcome
    }

    /// The version with the digest that is demanded, if it was here before: nobody has to be asked for it.
    async fn pinned(&self, plugin: &FrameworkPlugin, shelf: &mut Shelf) -> Option<Version> {
        let spec = &plugin.spec;
        let digest = spec.digest.as_ref()?;
        let known = plugin.status.iter().flat_map(|status| status.active.iter().chain(&status.retained));
        let known =
            shelf.all().map(|version| &version.about).chain(known).find(|about| about.digest == *digest).cloned();
        let is_open = spec.signature.is_none();
        if is_open && let Some(version) = shelf.get(digest.parse().ok()?, &spec.limits().ok()?) {
            shelf.keep(&version);
            return Some(version);
        }
        // What is signed is fetched again, from the disk, and so its signature is checked again. What may be anybody's is
        // only not looked for where the admin says it is if it is here, whoever brought it.
        let unknown =
            || is_open.then(|| Loaded { digest: digest.clone(), source: "cache".into(), ..Loaded::default() });
        let about = known.or_else(unknown)?;
        self.stored(spec, &about, shelf).await
    }

    /// A version that was loaded before. None: it is not here any more, or not what is demanded now.
    pub(super) async fn again(&self, spec: &FrameworkPluginSpec, about: &Loaded, shelf: &mut Shelf) -> Option<Version> {
        let digest: Digest = about.digest.parse().ok()?;
        let same = |shelf: &Shelf| shelf.all().find(|version| version.plugin.digest() == digest).cloned();
        let Ok(limits) = spec.limits() else { return same(shelf) };
        if let Some(version) = shelf.get(digest, &limits) {
            return Some(version);
        }
        let failures = match shelf.absent.get(&about.digest) {
            Some(absent) if Instant::now() < absent.again => return same(shelf),
            Some(absent) => absent.failures.saturating_add(1),
            None => 1,
        };
        // Before it is tried: who waits for it may not do so to the end.
        let absent = Absent { again: Instant::now() + back_off(failures), failures };
        shelf.absent.insert(about.digest.clone(), absent);
        let stored = self.stored(spec, about, shelf).await;
        if stored.is_some() {
            shelf.absent.remove(&about.digest);
        }
        stored.or_else(|| same(shelf))
    }

    /// All that decides which bytes are loaded, and how.
    fn key(&self, spec: &FrameworkPluginSpec) -> String {
        let changes = lock(&self.changes);
        let maps: Vec<_> = spec.config_maps().into_iter().map(|map| changes.get(map).copied()).collect();
        let FrameworkPluginSpec { source, digest, signature, limits, .. } = spec;
        json!([source, digest, signature, limits, maps]).to_string()
    }
}

/// `example.com/v1 RingJob`
pub(super) fn named(kind: &Kind) -> String {
    format!("{}/{} {}", kind.group, kind.version, kind.kind)
}

#[cfg(test)]
mod tests;
