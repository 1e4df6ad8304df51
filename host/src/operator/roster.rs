//! Which kinds are served now, and who plans for them: what the program was started with, and what `FrameworkPlugin`s bring
//! beside it or in its place. Controllers, admission and metrics follow.

mod brought;
mod live_job;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::Value;
use tokio::sync::watch as flag;
use trainyard_core::contract::{Kind, ObjectKind};
use trainyard_core::json::text;

pub(super) use self::brought::Brought;
pub(super) use self::live_job::LiveJob;
use self::live_job::has_ended;
use super::job_text::JobText;
use super::store::Store;
use super::wakers::KindKey;
use crate::catalog::{Catalog, LoadedKind};
use crate::plugin::Plugin;

/// All kinds that are served.
pub(super) type Kinds = BTreeMap<KindKey, Arc<Plans>>;

/// Which kinds are served now.
pub(super) struct Roster {
    given: Vec<Arc<LoadedKind>>,
    brought: Mutex<BTreeMap<String, Brought>>,
    kinds: flag::Sender<Arc<Kinds>>,
    jobs: Mutex<BTreeMap<KindKey, Seen>>,
    missing: flag::Sender<BTreeSet<(KindKey, String)>>,
    lost: flag::Sender<BTreeSet<KindKey>>,
}

/// The jobs of a kind, and whether they have all been seen.
type Seen = (Arc<Store<JobText>>, flag::Receiver<bool>);

/// Who plans for the jobs of a kind.
#[derive(Clone)]
pub(super) struct Plans {
    /// For new jobs.
    pub(super) active: Arc<LoadedKind>,
    former: Vec<Arc<LoadedKind>>,
    /// For those that nobody's digest is recorded of.
    given: Option<Arc<LoadedKind>>,
    takes_all: bool,
}

impl Roster {
    /// With what the program was started with.
    pub(super) fn new(catalog: &Catalog) -> Self {
        let given = catalog.kinds().to_vec();
        let kinds = flag::Sender::new(Arc::new(merged(&given, &BTreeMap::new())));
        Self {
            given,
            brought: Mutex::default(),
            kinds,
            jobs: Mutex::default(),
            missing: flag::Sender::default(),
            lost: flag::Sender::default(),
        }
    }

    /// All kinds, now and later.
    pub(super) fn kinds(&self) -> flag::Receiver<Arc<Kinds>> {
        self.kinds.subscribe()
    }

    /// What that plugin brings from now on, in the place of what it brought before.
    ///
    /// Answers whether other kinds are served now than before.
    pub(super) fn offer(&self, plugin: &str, brought: Brought) -> bool {
        self.change(|all| {
            let before = all.remove(plugin).unwrap_or_default();
            let known: Vec<_> = before.kinds.into_iter().chain(before.former).collect();
            let kept = |new: Arc<LoadedKind>| known.iter().find(|known| known.is_same(&new)).cloned().unwrap_or(new);
            let [kinds, former] = [brought.kinds, brought.former].map(|kinds| kinds.into_iter().map(kept).collect());
            all.insert(plugin.to_owned(), Brought { kinds, former, ..brought });
        })
    }

    /// Whether the kind, or one of its name, is of a file that the operator was started with: that is not replaced.
    pub(super) fn is_given(&self, kind: &Kind) -> bool {
        self.given.iter().any(|given| given.is_file && is_alike(&given.kind, kind))
    }

    /// Which `FrameworkPlugin`s bring that kind, or one of its name, or have jobs of it, or had it last.
    pub(super) fn owners(&self, kind: &Kind) -> Vec<String> {
        let is_held = |(api_version, name): &KindKey| {
            *name == kind.kind && api_version.split_once('/').is_some_and(|(group, _)| group == kind.group)
        };
        let brings = |it: &Brought| it.all().any(|each| is_alike(&each.kind, kind)) || it.held.iter().any(is_held);
        lock(&self.brought).iter().filter(|(_, brought)| brings(brought)).map(|(plugin, _)| plugin.clone()).collect()
    }

    /// Kinds whose plugins are not loaded, and that nobody else serves.
    pub(super) fn held(&self) -> BTreeSet<KindKey> {
        let served = self.kinds.borrow().clone();
        let held = lock(&self.brought).values().flat_map(|brought| brought.held.clone()).collect::<Vec<_>>();
        held.into_iter().filter(|kind| !served.contains_key(kind)).collect()
    }

    /// Whether that plugin brings a kind.
    pub(super) fn has(&self, plugin: &str) -> bool {
        lock(&self.brought).get(plugin).is_some_and(|brought| !brought.kinds.is_empty())
    }

    /// Plugins for which this is false have gone, whoever took them away. Answers whether there were any.
    pub(super) fn retain(&self, is_there: impl Fn(&str) -> bool) -> bool {
        let gone: Vec<_> = lock(&self.brought).keys().filter(|plugin| !is_there(plugin)).cloned().collect();
        for plugin in &gone {
            self.withdraw(plugin);
        }
        !gone.is_empty()
    }

    /// That plugin brings nothing any more.
    /// Answers whether it brought anything.
    pub(super) fn withdraw(&self, plugin: &str) -> bool {
        let is_known = lock(&self.brought).contains_key(plugin);
        if is_known {
            self.change(|all| drop(all.remove(plugin)));
        }
        is_known
    }

    fn change(&self, change: impl FnOnce(&mut BTreeMap<String, Brought>)) -> bool {
        let mut all = lock(&self.brought);
        let taken = |all: &BTreeMap<String, Brought>| all.values().map(Brought::taken).collect::<Vec<_>>();
        let before = taken(&all);
        change(&mut all);
        let after = taken(&all);
        let kinds = merged(&self.given, &all);
        self.missing.send_if_modified(|missing| {
            let before = missing.len();
            missing.retain(|(kind, digest)| kinds.get(kind).is_some_and(|plans| plans.pinned(digest).is_none()));
            missing.len() != before
        });
        self.kinds.send_if_modified(|served| {
            let is_same = |(one, other): (&Arc<Plans>, &Arc<Plans>)| one.is_same(other);
            let same = served.keys().eq(kinds.keys()) && served.values().zip(kinds.values()).all(is_same);
            *served = Arc::new(kinds);
            !same || before != after
        });
        before != after
    }

    /// Where the jobs of a kind are, once they have been seen.
    pub(super) fn follow(&self, kind: KindKey, jobs: Arc<Store<JobText>>, seen: flag::Receiver<bool>) {
        lock(&self.jobs).insert(kind, (jobs, seen));
    }

    /// Nobody looks at these jobs of that kind any more.
    pub(super) fn forget(&self, kind: &KindKey, jobs: &Arc<Store<JobText>>) {
        let mut all = lock(&self.jobs);
        if all.get(kind).is_some_and(|(known, _)| Arc::ptr_eq(known, jobs)) {
            all.remove(kind);
        }
    }

    /// Whether jobs of one of these kinds are still looked at although it is not served any more.
    pub(super) fn is_ending(&self, kinds: &BTreeSet<KindKey>) -> bool {
        let served = self.kinds.borrow().clone();
        lock(&self.jobs).keys().any(|kind| kinds.contains(kind) && !served.contains_key(kind))
    }

    /// The plugin that new jobs of a kind are for, if it is a `FrameworkPlugin`'s.
    pub(super) fn owner(&self, kind: &KindKey) -> Option<String> {
        self.kinds.borrow().get(kind).and_then(|plans| plans.active.owner.clone())
    }

    /// All jobs of a kind; None as long as they have not been seen.
    pub(super) fn jobs(&self, api_version: &str, kind: &str) -> Option<Vec<LiveJob>> {
        let (jobs, seen) = lock(&self.jobs).get(&(api_version.to_owned(), kind.to_owned())).cloned()?;
        let all = |owner: String| jobs.of(&owner).into_iter().map(move |job| LiveJob::of(owner.clone(), &job.read()));
        seen.borrow().then(|| jobs.owners().into_iter().flat_map(all).collect())
    }

    /// A job waits for the plugin with that digest. Answers whether that is news.
    pub(super) fn miss(&self, kind: &KindKey, digest: &str) -> bool {
        self.missing.send_if_modified(|missing| missing.insert((kind.clone(), digest.to_owned())))
    }

    /// The jobs of that kind may not be seen, or it is not installed: be it that it never was, or not any more.
    pub(super) fn lose(&self, kind: &KindKey) {
        self.lost.send_if_modified(|lost| lost.insert(kind.clone()));
    }

    /// Kinds that were lost.
    pub(super) fn lost(&self) -> flag::Receiver<BTreeSet<KindKey>> {
        self.lost.subscribe()
    }

    /// Whether one of these kinds was lost since this was asked last.
    pub(super) fn was_lost(&self, kinds: impl Iterator<Item = KindKey>) -> bool {
        let kinds: BTreeSet<_> = kinds.collect();
        let mut was_lost = false;
        self.lost.send_if_modified(|lost| {
            was_lost = !lost.is_disjoint(&kinds);
            lost.retain(|kind| !kinds.contains(kind));
            false // nobody waits for less
        });
        was_lost
    }

    /// Digests that jobs wait for.
    pub(super) fn missing(&self) -> flag::Receiver<BTreeSet<(KindKey, String)>> {
        self.missing.subscribe()
    }
}

impl Plans {
    /// Who plans for that job; the digest that is missing, if its plugin is not loaded.
    pub(super) fn of(&self, job: &Value) -> Result<&Arc<LoadedKind>, String> {
        let digest = text(job, "/status/pluginDigest");
        if self.takes_all || (digest.is_empty() && text(job, "/status/startTime").is_empty()) {
            return Ok(&self.active);
        }
        if digest.is_empty() {
            return Ok(self.given.as_ref().unwrap_or(&self.active));
        }
        let has_ended = || job.get("status").is_some_and(has_ended);
        // What is left to do for one that has ended any version can do.
        self.pinned(digest).or_else(|| has_ended().then_some(&self.active)).ok_or_else(|| digest.to_owned())
    }

    fn pinned(&self, digest: &str) -> Option<&Arc<LoadedKind>> {
        [&self.active].into_iter().chain(&self.former).find(|kind| kind.pin.as_deref() == Some(digest))
    }

    /// Kinds of extra object that jobs may have.
    pub(super) fn objects(&self) -> BTreeSet<ObjectKind> {
        self.all().flat_map(|kind| kind.objects()).collect()
    }

    /// Whether nothing at all is different.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.takes_all == other.takes_all
            && self.all().count() == other.all().count()
            && self.all().zip(other.all()).all(|(one, other)| Arc::ptr_eq(one, other))
    }

    fn all(&self) -> impl Iterator<Item = &Arc<LoadedKind>> {
        [&self.active].into_iter().chain(&self.former).chain(&self.given)
    }
}

/// The plugins of all kinds, each once, be they of the same bytes, with the names that admins know.
pub(super) fn plugins(kinds: &Kinds) -> Vec<(String, Plugin)> {
    let mut plugins: Vec<(String, Plugin)> = Vec::new();
    for kind in kinds.values().flat_map(|plans| plans.all()) {
        if !plugins.iter().any(|(_, known)| known.is(&kind.plugin)) {
            let name = kind.owner.as_ref().unwrap_or(&kind.plugin.description().name);
            plugins.push((name.clone(), kind.plugin.clone()));
        }
    }
    plugins
}

fn merged(given: &[Arc<LoadedKind>], brought: &BTreeMap<String, Brought>) -> Kinds {
    let is_held = |key: &KindKey| brought.values().any(|brought| brought.held.contains(key));
    let mut active: BTreeMap<_, _> = given.iter().map(|kind| (key(kind), (kind, false))).collect();
    active.retain(|key, (kind, _)| kind.is_file || !is_held(key));
    for Brought { kinds, takes_all, .. } in brought.values() {
        active.extend(kinds.iter().map(|kind| (key(kind), (kind, *takes_all))));
    }
    let former = || brought.values().flat_map(|brought| &brought.former);
    for kind in former() {
        active.entry(key(kind)).or_insert((kind, false)); // a newer version dropped it: its jobs go on
    }
    let plans = |(kind, (active, takes_all)): (KindKey, (&Arc<LoadedKind>, bool))| {
        let is_other = |other: &&Arc<LoadedKind>| key(other) == kind && !Arc::ptr_eq(other, active);
        let given = given.iter().find(is_other).cloned();
        let plans =
            Plans { active: active.clone(), former: former().filter(is_other).cloned().collect(), given, takes_all };
        (kind, Arc::new(plans))
    };
    active.into_iter().map(plans).collect()
}

/// Whether both have one definition, or go by one name.
fn is_alike(one: &Kind, other: &Kind) -> bool {
    one.group == other.group && (one.kind == other.kind || one.plural == other.plural)
}

fn key(kind: &LoadedKind) -> KindKey {
    (kind.api_version(), kind.kind.kind.clone())
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
