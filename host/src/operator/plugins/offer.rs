//! From a loaded version to kinds that are served: what they need, and which jobs stay with older versions.

use std::collections::BTreeSet;
use std::sync::Arc;

use kube::ResourceExt as _;
use serde_json::Value;
use trainyard_core::contract::Kind;

use super::report::Failure;
use super::shelf::Shelf;
use super::{Loader, Version};
use crate::catalog::LoadedKind;
use crate::framework_plugin::{FrameworkPlugin, Loaded, UpgradePolicy};
use crate::operator::permissions;
use crate::operator::roster::Brought;

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
        if shelf.approved == approved {
            return Ok(());
        }
        let kinds: Vec<_> = description.kinds.iter().collect();
        let objects = plugin.spec.grants.among(&description.objects);
        permissions::check(&self.client, &self.jobs, &kinds, &objects).await?;
        for kind in kinds {
            self.definitions.serve(kind, &plugin.name_any()).await?;
        }
        shelf.approved = approved;
        Ok(())
    }

    /// Lets everybody know what the plugin brings.
    pub(super) async fn offer(&self, plugin: &FrameworkPlugin, shelf: &mut Shelf) {
        let Some(active) = shelf.active.clone() else { return };
        shelf.former = match plugin.spec.upgrade_policy {
            UpgradePolicy::NewJobs => self.former(plugin, &active.version, shelf).await,
            UpgradePolicy::Immediate => vec![],
        };
        let former =
            |version: &Version| kinds(plugin, version, &plugin.spec.fitting_settings(version.plugin.description()));
        let brought = Brought {
            kinds: kinds(plugin, &active.version, &active.settings),
            former: shelf.former.iter().flat_map(former).collect(),
            takes_all: plugin.spec.upgrade_policy == UpgradePolicy::Immediate,
        };
        if self.roster.offer(&plugin.name_any(), brought) {
            let _ = self.again.send(()); // somebody else may have wanted these kinds, or may have them now
        }
    }

    pub(super) fn withdraw(&self, name: &str, shelf: &mut Shelf) {
        shelf.active = None;
        shelf.former.clear();
        if self.roster.withdraw(name) {
            let _ = self.again.send(());
        }
    }

    /// Digests that jobs of these kinds are on, or wait for; None as long as the jobs have not been seen.
    pub(super) fn digests(&self, active: &Version) -> Option<BTreeSet<String>> {
        let kinds = &active.plugin.description().kinds;
        let keys: BTreeSet<_> =
            kinds.iter().map(|kind| (format!("{}/{}", kind.group, kind.version), kind.kind.clone())).collect();
        let jobs: Option<Vec<_>> = keys.iter().map(|(api_version, kind)| self.roster.jobs(api_version, kind)).collect();
        let live = jobs?.into_iter().flatten().filter(|job| !job.has_ended).filter_map(|job| job.digest);
        let missing = self.roster.missing().borrow().clone();
        let awaited = missing.into_iter().filter(|(kind, _)| keys.contains(kind)).map(|(_, digest)| digest);
        Some(live.chain(awaited).collect())
    }

    /// The other versions that jobs are on, as far as they can be had.
    async fn former(&self, plugin: &FrameworkPlugin, active: &Version, shelf: &mut Shelf) -> Vec<Version> {
        let status = plugin.status.clone().unwrap_or_default();
        let held = shelf.former.iter().map(|version| version.about.clone());
        let known: Vec<_> = held.chain(status.retained).chain(status.active).collect();
        // Until the jobs have been seen: all that may be needed.
        let before = || known.iter().map(|about| about.digest.clone()).collect();
        let digests = self.digests(active).unwrap_or_else(before);
        let mut former = Vec::new();
        for digest in digests.into_iter().filter(|digest| *digest != active.about.digest) {
            if let Some(about) = known.iter().find(|known| known.digest == digest) {
                former.extend(self.again(&plugin.spec, about, shelf).await);
                continue;
            }
            // The operator ended before it could write down what it had loaded. A job names it: that it is of this very plugin
            // has to be seen.
            let about = Loaded { digest, source: "cache".into(), ..Loaded::default() };
            let found = self.again(&plugin.spec, &about, shelf).await;
            let name = |version: &Version| version.plugin.description().name.clone();
            former.extend(found.filter(|found| name(found) == name(active)));
        }
        former
    }
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
        })
    };
    description.kinds.iter().map(kind).collect()
}
