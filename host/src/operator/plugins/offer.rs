//! From a loaded version to kinds that are served: whose they are, what they need, and which jobs stay with older versions.

use std::collections::BTreeSet;
use std::sync::Arc;

use kube::ResourceExt as _;
use kube::runtime::reflector::{ObjectRef, Store};
use trainyard_core::contract::Kind;

use super::report::Failure;
use super::shelf::{Shelf, named};
use super::{Loader, Version};
use crate::catalog::LoadedKind;
use crate::framework_plugin::{FrameworkPlugin, Loaded, UpgradePolicy};
use crate::operator::permissions;
use crate::operator::roster::{self, Brought};

impl Loader {
    /// Whether a version may serve its kinds; what they lack is made, or named.
    pub(super) async fn approve(
        &self,
        plugin: &FrameworkPlugin,
        version: &Version,
        all: &Store<FrameworkPlugin>,
        shelf: &mut Shelf,
    ) -> Result<(), Failure> {
        let name = plugin.name_any();
        let description = version.plugin.description();
        let failed = |failure: Failure| failure.about(version.about.clone());
        let kinds = loaded_kinds(plugin, version).map_err(failed)?;
        for kind in &kinds {
            check_group(&kind.kind).map_err(failed)?;
            if self.roster.is_given(kind) {
                let why = format!("{} is of a plugin that the operator was started with", named(&kind.kind));
                return Err(failed(Failure::conflict(why)));
            }
            let other = self.roster.owner(&roster::key(kind)).filter(|other| *other != name);
            if let Some(other) = other.and_then(|other| all.get(&ObjectRef::new(&other)))
                && is_older(&other, plugin)
            {
                let why = format!("{} is of FrameworkPlugin {}, which is older", named(&kind.kind), other.name_any());
                return Err(failed(Failure::conflict(why)));
            }
        }
        if !*self.is_leading.borrow() {
            return Ok(());
        }
        let kinds: Vec<_> = description.kinds.iter().collect();
        let objects = plugin.spec.grants.among(&description.objects);
        let asked = format!("{:?} {objects:?}", kinds.iter().map(|kind| named(kind)).collect::<Vec<_>>());
        if shelf.permitted.as_ref() != Some(&asked) {
            permissions::check(&self.client, &self.jobs, &kinds, &objects).await.map_err(failed)?;
        }
        shelf.permitted = Some(asked);
        for kind in kinds {
            self.definitions.serve(kind, &name).await.map_err(failed)?;
        }
        Ok(())
    }

    /// Lets everybody know what the plugin brings. Answers the versions that jobs are still on.
    pub(super) async fn offer(&self, plugin: &FrameworkPlugin, shelf: &mut Shelf) -> Vec<Version> {
        let Some(active) = shelf.active.clone() else { return vec![] };
        let former = match plugin.spec.upgrade_policy {
            UpgradePolicy::NewJobs => self.former(plugin, &active, shelf).await,
            UpgradePolicy::Immediate => vec![],
        };
        // Its settings were right when it became active.
        let kinds = |version: &Version| loaded_kinds(plugin, version).unwrap_or_default();
        let brought = Brought {
            kinds: kinds(&active),
            former: former.iter().flat_map(kinds).collect(),
            takes_all: plugin.spec.upgrade_policy == UpgradePolicy::Immediate,
        };
        if self.roster.offer(&plugin.name_any(), brought) {
            let _ = self.again.send(()); // somebody else may have wanted these kinds, or may have them now
        }
        former
    }

    pub(super) fn withdraw(&self, name: &str, shelf: &mut Shelf) {
        shelf.active = None;
        if self.roster.withdraw(name) {
            let _ = self.again.send(());
        }
    }

    /// The other versions that jobs are on, as far as they can be had.
    async fn former(&self, plugin: &FrameworkPlugin, active: &Version, shelf: &mut Shelf) -> Vec<Version> {
        let description = active.plugin.description();
        let keys: Vec<_> =
            description.kinds.iter().map(|kind| (format!("{}/{}", kind.group, kind.version), &kind.kind)).collect();
        let live = keys.iter().filter_map(|(api_version, kind)| self.roster.jobs(api_version, kind)).flatten();
        let mut digests: BTreeSet<_> = live.filter(|job| !job.has_ended).filter_map(|job| job.digest).collect();
        let is_ours =
            |(api_version, kind): &(String, String)| keys.iter().any(|key| (&key.0, key.1) == (api_version, kind));
        let missing = self.roster.missing().borrow().clone();
        digests.extend(missing.into_iter().filter(|(kind, _)| is_ours(kind)).map(|(_, digest)| digest));
        digests.remove(&active.about.digest);
        let status = plugin.status.clone().unwrap_or_default();
        let known: Vec<_> = status.retained.into_iter().chain(status.active).collect();
        let mut former = Vec::new();
        for digest in digests {
            let about = known.iter().find(|known| known.digest == digest).cloned();
            let about = about.unwrap_or_else(|| Loaded { digest, source: "cache".into(), ..Loaded::default() });
            former.extend(self.again(&plugin.spec, &about, shelf).await);
        }
        former
    }
}

fn loaded_kinds(plugin: &FrameworkPlugin, version: &Version) -> Result<Vec<Arc<LoadedKind>>, Failure> {
    let description = version.plugin.description();
    let settings = plugin.spec.settings(description).map_err(|error| Failure::ready(error.reason(), error))?;
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
    Ok(description.kinds.iter().map(kind).collect())
}

/// Kinds of Kubernetes itself are nobody's to bring.
fn check_group(kind: &Kind) -> Result<(), Failure> {
    let is_below = |reserved: &str| kind.group == reserved || kind.group.ends_with(&format!(".{reserved}"));
    if kind.group.contains('.') && !is_below("k8s.io") && !is_below("kubernetes.io") && !is_below("trainyard.dev") {
        return Ok(());
    }
    Err(Failure::conflict(format!("{}: kinds of {:?} are not for a plugin to bring", named(kind), kind.group)))
}

/// Who was there first has a kind; of two of the same second, the first by name.
fn is_older(one: &FrameworkPlugin, other: &FrameworkPlugin) -> bool {
    let age = |plugin: &FrameworkPlugin| (plugin.creation_timestamp().map(|time| time.0), plugin.name_any());
    age(one) < age(other)
}
