//! From a loaded version to kinds that are served: what they need, and which jobs stay with older versions.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use kube::ResourceExt as _;
use serde_json::Value;
use trainyard_core::contract::Kind;

use super::report::Failure;
use super::shelf::Shelf;
use super::{Loader, Version, leave};
use crate::catalog::LoadedKind;
use crate::framework_plugin::{FrameworkPlugin, FrameworkPluginSpec, Loaded, UpgradePolicy};
use crate::operator::permissions;
use crate::operator::roster::{Brought, LiveJob};
use crate::operator::wakers::KindKey;

/// How long new jobs wait for what plans older ones, when an operator has just begun.
const PATIENCE: Duration = Duration::from_secs(10);

impl Loader {
    /// Whether a version may become active; what its kinds lack is made, or named. Who does not lead follows who does.
    pub(super) async fn approve(
        &self,
        plugin: &FrameworkPlugin,
        version: &Version,
        shelf: &mut Shelf,
    ) -> Result<(), Failure> {
        let description = version.plugin.description();
        if !self.leads() {
            let status = plugin.status.as_ref();
            let is_chosen =
                status.and_then(|status| status.active.as_ref()).is_some_and(|it| it.digest == version.about.digest);
            return if is_chosen {
                Ok(())
            } else {
                Err(Failure::ready("NotChosen", "whoever leads has not chosen it yet"))
            };
        }
        let approved = Some((plugin.metadata.generation, version.about.digest.clone()));
        if self.roster.was_lost(version.about.kind_keys()) {
            shelf.approved = None; // somebody took a definition away, or a right
        }
        if shelf.approved == approved {
            return Ok(());
        }
        shelf.approved = None; // what follows may be done by half
        let kinds: Vec<_> = description.kinds.iter().collect();
        let objects = plugin.spec.grants.among(&description.objects);
        permissions::check(&self.client, &self.jobs, &kinds, &objects).await?;
        let name = plugin.name_any();
        for kind in &kinds {
            self.definitions.check(kind, &name).await?; // before any is written
        }
        for kind in kinds {
            self.definitions.serve(kind, &name).await?;
        }
        shelf.approved = approved;
        Ok(())
    }

    /// Lets everybody know what the plugin brings.
    pub(super) async fn offer(&self, plugin: &FrameworkPlugin, shelf: &mut Shelf) {
        let Some(active) = shelf.active.clone() else { return };
        let name = plugin.name_any();
        self.retain(plugin, &active.version, shelf).await;
        // Jobs of older versions are told at once that theirs is missing, so at first it is waited for; new jobs do not wait
        // for ever.
        let patience = if self.roster.has(&name) { Duration::MAX } else { PATIENCE };
        drop(tokio::time::timeout(patience, self.recall(&plugin.spec, shelf)).await);
        let Shelf { former, retained, .. } = &mut *shelf;
        former.retain(|former| retained.iter().any(|about| about.digest == former.about.digest));
        former.sort_by_key(|former| retained.iter().position(|about| about.digest == former.about.digest));
        let former =
            |version: &Version| kinds(plugin, version, &plugin.spec.fitting_settings(version.plugin.description()));
        let mut brought = Brought {
            kinds: kinds(plugin, &active.version, &active.settings),
            former: shelf.former.iter().flat_map(former).collect(),
            held: shelf.retained.iter().flat_map(Loaded::kind_keys).collect(),
            takes_all: plugin.spec.upgrade_policy == UpgradePolicy::Immediate,
        };
        for kind in brought.kinds.iter().chain(&brought.former) {
            brought.held.remove(&(kind.api_version(), kind.kind.kind.clone()));
        }
        if self.roster.offer(&name, brought) {
            let _ = self.again.send(()); // somebody else may have wanted these kinds, or may have them now
        }
    }

    /// Leaves the plugin's kinds alone, and everybody else does.
    pub(super) fn withdraw(&self, plugin: &FrameworkPlugin, shelf: &mut Shelf) {
        shelf.withdraw();
        let brought = Brought { held: held(plugin), ..Brought::default() };
        if self.roster.offer(&plugin.name_any(), brought) {
            let _ = self.again.send(());
        }
    }

    /// Which of the versions that are retained no job is on any more, as far as that is known without asking anybody.
    pub(super) fn idle(&self, policy: UpgradePolicy, active: &Version, retained: &[Loaded]) -> BTreeSet<String> {
        let is_idle = |about: &&Loaded| {
            let kinds = kinds_of(policy, active, about);
            let jobs: Option<Vec<_>> = kinds.iter().map(|(version, kind)| self.roster.jobs(version, kind)).collect();
            jobs.is_some_and(|jobs| !digests(jobs.into_iter().flatten()).contains(&about.digest))
        };
        retained.iter().filter(is_idle).map(|about| about.digest.clone()).collect()
    }

    /// Keeps the versions that jobs are on, be they loaded or not, and forgets the others.
    async fn retain(&self, plugin: &FrameworkPlugin, active: &Version, shelf: &mut Shelf) {
        shelf.retained.retain(|about| about.digest != active.about.digest);
        if !self.roster.has(&plugin.name_any()) {
            return; // nobody has seen its jobs yet
        }
        let (mut kept, mut named) = (Vec::new(), BTreeSet::new());
        let none = Loaded::default(); // of the active version's own kinds
        for about in shelf.retained.iter().chain([&none]) {
            let jobs = self.jobs_of(&kinds_of(plugin.spec.upgrade_policy, active, about)).await;
            let needed = jobs.ok().flatten().map(|jobs| digests(jobs.into_iter()));
            if needed.as_ref().is_none_or(|needed| needed.contains(&about.digest)) && !about.digest.is_empty() {
                kept.push(about.clone());
            }
            named.extend(needed.into_iter().flatten());
        }
        named.retain(|digest| *digest != active.about.digest && shelf.retained.iter().all(|it| it.digest != *digest));
        shelf.retained = kept;
        for digest in named {
            // The operator ended before it could write down what it had loaded. A job names it: that it is of this very
            // plugin has to be seen.
            let about = Loaded { digest, source: "cache".into(), ..Loaded::default() };
            let found = self.again(&plugin.spec, &about, shelf).await;
            let name = |version: &Version| version.plugin.description().name.clone();
            let found = found.filter(|found| name(found) == name(active));
            shelf.retained.extend(found.map(|found| found.about));
        }
    }

    /// Loads the versions that are retained, as far as they can be had.
    async fn recall(&self, spec: &FrameworkPluginSpec, shelf: &mut Shelf) {
        for about in shelf.retained.clone() {
            let version = self.again(spec, &about, shelf).await;
            shelf.former.retain(|former| former.about.digest != about.digest);
            shelf.former.extend(version);
        }
    }
}

/// Of which kinds jobs may be on a version that was active: its own, and whatever took their place.
fn kinds_of(policy: UpgradePolicy, active: &Version, about: &Loaded) -> BTreeSet<KindKey> {
    let own: BTreeSet<_> = active.about.kind_keys().collect();
    match policy {
        UpgradePolicy::NewJobs => about.kind_keys().chain(own).collect(),
        UpgradePolicy::Immediate => about.kind_keys().filter(|kind| !own.contains(kind)).collect(),
    }
}

/// What jobs are on that have not ended.
fn digests(jobs: impl Iterator<Item = LiveJob>) -> BTreeSet<String> {
    jobs.filter(|job| !job.has_ended).filter_map(|job| job.digest).collect()
}

/// What a plugin has, or has jobs of, loaded or not; nothing once somebody else has its kinds.
pub(super) fn held(plugin: &FrameworkPlugin) -> BTreeSet<KindKey> {
    let has_any = plugin.status.as_ref().is_some_and(|status| !status.kinds.is_empty());
    if has_any { leave::kinds(plugin) } else { BTreeSet::new() }
}

fn kinds(plugin: &FrameworkPlugin, version: &Version, settings: &Value) -> Vec<Arc<LoadedKind>> {
    let description = version.plugin.description();
    let kind = |kind: &Kind| {
        Arc::new(LoadedKind {
            kind: kind.clone(),
            announced: description.objects.clone(),
            plugin: version.plugin.clone(),
            settings: settings.clone(),
            grants: plugin.spec.grants.clone(),
            pin: Some(version.about.digest.clone()),
            is_file: false,
            owner: Some(plugin.name_any()),
        })
    };
    description.kinds.iter().map(kind).collect()
}
