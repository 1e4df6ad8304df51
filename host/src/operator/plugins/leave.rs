//! A plugin that is deleted goes when no job needs it any more.

use std::collections::BTreeSet;
use std::time::Duration;

use kube::api::{ApiResource, DynamicObject, GroupVersionKind, ListParams, Patch, PatchParams};
use kube::runtime::controller::Action;
use kube::{Api, ResourceExt as _};
use serde_json::{Value, json};
use tracing::info;

use super::report::Failure;
use super::shelf::Shelf;
use super::{Loader, Plugins};
use crate::framework_plugin::{Definitions, FrameworkPlugin, FrameworkPluginStatus, Loaded, kind_key};
use crate::operator::roster::{Brought, LiveJob};
use crate::operator::wakers::KindKey;

/// Keeps a plugin there as long as jobs need it.
const FINALIZER: &str = "trainyard.dev/jobs";
/// While a plugin is deleted: how often it is looked whether its jobs have ended.
const LOOK: Duration = Duration::from_secs(5);
/// How often it is looked whether the passes under way have ended.
const ENDING: Duration = Duration::from_millis(250);
/// Jobs in an answer to a list.
const PAGE: u32 = 500;
/// Jobs that are named.
const NAMED: usize = 5;

impl Loader {
    /// Sees to it that the plugin does not go unnoticed. None: it was so already, or somebody else leads.
    pub(super) async fn hold(&self, plugin: &FrameworkPlugin) -> kube::Result<Option<FrameworkPlugin>> {
        if !self.leads() || is_held(plugin) {
            return Ok(None);
        }
        let finalizers: Vec<_> = plugin.finalizers().iter().map(String::as_str).chain([FINALIZER]).collect();
        self.patch(plugin, &json!(finalizers)).await.map(Some)
    }

    async fn patch(&self, plugin: &FrameworkPlugin, finalizers: &Value) -> kube::Result<FrameworkPlugin> {
        let metadata = json!({"finalizers": finalizers, "resourceVersion": plugin.resource_version()});
        let patch = Patch::Merge(json!({"metadata": metadata}));
        self.all.patch(&plugin.name_any(), &PatchParams::default(), &patch).await
    }

    /// A deleted plugin: it plans, and stays, while jobs that it planned have not ended.
    pub(super) async fn leave(&self, plugin: &FrameworkPlugin, all: &Plugins, shelf: &mut Shelf) -> Action {
        let name = plugin.name_any();
        let is_leaving = std::mem::take(&mut shelf.is_leaving);
        if !plugin.spec.suspend && !is_leaving {
            self.restore(plugin, all, shelf).await; // the operator was started since
            self.serve(plugin, all, shelf).await;
        }
        if !self.leads() || !is_held(plugin) {
            return Action::await_change();
        }
        if is_leaving && self.roster.is_ending(&all_kinds(plugin, shelf)) {
            shelf.is_leaving = true;
            return Action::requeue(ENDING);
        }
        let notice = match self.users(plugin, shelf).await {
            Ok(None) => None,
            Ok(Some(users)) if users.is_empty() && self.roster.has(&name) => {
                // It may be planning for a new one: it is asked no more, and then it is looked again.
                self.roster.offer(&name, Brought { held: all_kinds(plugin, shelf), ..Brought::default() });
                shelf.is_leaving = true;
                return Action::requeue(ENDING);
            }
            Ok(Some(users)) if users.is_empty() => match self.go(plugin, shelf).await {
                Ok(()) => {
                    info!(plugin = name, "a plugin has gone");
                    return Action::await_change();
                }
                Err(error) => Some(("Stuck", Failure::of_cluster(&error).message)),
            },
            Ok(Some(users)) => Some(("InUse", in_use(&users))),
            Err(error) => {
                Some(("InUse", format!("whether jobs need it is not known: {}", Failure::of_cluster(&error).message)))
            }
        };
        if notice.is_some() {
            self.report(plugin, shelf, None, notice).await;
        }
        Action::requeue(if is_leaving { Duration::ZERO } else { LOOK })
    }

    /// May be done twice: what has gone already is not missed.
    async fn go(&self, plugin: &FrameworkPlugin, shelf: &mut Shelf) -> kube::Result<()> {
        let name = plugin.name_any();
        if plugin.spec.definitions == Definitions::Delete {
            for resource in self.resources(&kinds(plugin)).await? {
                self.definitions.delete(&format!("{}.{}", resource.plural, resource.group), &name).await?;
            }
        }
        let others: Vec<_> = plugin.finalizers().iter().filter(|each| *each != FINALIZER).collect();
        self.patch(plugin, &json!(others)).await?;
        shelf.withdraw();
        self.loads.has_gone(&name);
        if self.roster.withdraw(&name) {
            let _ = self.again.send(());
        }
        Ok(())
    }

    /// Jobs that need the plugin; None while the jobs have not been seen.
    async fn users(&self, plugin: &FrameworkPlugin, shelf: &Shelf) -> kube::Result<Option<Vec<String>>> {
        let own: Vec<_> = shelf.retained.iter().map(|about| about.digest.as_str()).collect();
        let mut users = Vec::new();
        for kind in all_kinds(plugin, shelf) {
            let Some(jobs) = self.jobs_of(&BTreeSet::from([kind.clone()])).await? else { return Ok(None) };
            let is_others = self.roster.owner(&kind).is_some_and(|owner| owner != plugin.name_any());
            let is_of_it = |digest: &str| !is_others || own.contains(&digest);
            let needs = |job: &LiveJob| !job.has_ended && job.digest.as_deref().is_some_and(is_of_it);
            users.extend(jobs.into_iter().filter(needs).map(|job| job.name));
        }
        Ok(Some(users))
    }

    /// The jobs of these kinds; None while they have not been seen. The API server is asked for those of kinds that nobody
    /// serves, for their plugin is suspended, or cannot be loaded: nobody watches them.
    pub(super) async fn jobs_of(&self, kinds: &BTreeSet<KindKey>) -> kube::Result<Option<Vec<LiveJob>>> {
        let served = self.roster.kinds().borrow().clone();
        let (served, strange): (BTreeSet<_>, BTreeSet<_>) =
            kinds.iter().cloned().partition(|kind| served.contains_key(kind));
        let mut jobs = Vec::new();
        for (api_version, kind) in &served {
            let Some(found) = self.roster.jobs(api_version, kind) else { return Ok(None) };
            jobs.extend(found);
        }
        for resource in self.resources(&strange).await? {
            jobs.extend(self.list(&resource).await?);
        }
        Ok(Some(jobs))
    }

    async fn list(&self, resource: &ApiResource) -> kube::Result<Vec<LiveJob>> {
        let jobs: Api<DynamicObject> = match self.jobs.as_str() {
            "" => Api::all_with(self.client.clone(), resource),
            namespace => Api::namespaced_with(self.client.clone(), namespace, resource),
        };
        let named = |job: &DynamicObject| format!("{}/{}", job.namespace().unwrap_or_default(), job.name_any());
        let (mut live, mut page) = (Vec::new(), ListParams::default().limit(PAGE));
        loop {
            let found = jobs.list(&page).await?;
            live.extend(found.iter().map(|job| LiveJob::of(named(job), &job.data)));
            match found.metadata.continue_.filter(|token| !token.is_empty()) {
                Some(token) => page = page.continue_token(&token),
                None => return Ok(live),
            }
        }
    }

    /// Where the jobs of these kinds are, as far as their definitions are installed.
    async fn resources(&self, kinds: &BTreeSet<KindKey>) -> kube::Result<Vec<ApiResource>> {
        let mut resources = Vec::new();
        for (api_version, kind) in kinds {
            let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
            let kind = GroupVersionKind::gvk(group, version, kind);
            match kube::discovery::pinned_kind(&self.client, &kind).await {
                Ok((resource, _)) => resources.push(resource),
                Err(kube::Error::Discovery(_)) => {}
                Err(kube::Error::Api(status)) if status.code == 404 => {}
                Err(error) => return Err(error),
            }
        }
        Ok(resources)
    }
}

fn is_held(plugin: &FrameworkPlugin) -> bool {
    plugin.finalizers().iter().any(|each| each == FINALIZER)
}

/// All that a version of it runs the jobs of, or has run.
pub(super) fn kinds(plugin: &FrameworkPlugin) -> BTreeSet<KindKey> {
    let Some(FrameworkPluginStatus { kinds, retained, .. }) = &plugin.status else { return BTreeSet::new() };
    let kinds = kinds.iter().filter_map(|kind| kind_key(kind));
    kinds.chain(retained.iter().flat_map(Loaded::kind_keys)).collect()
}

/// Those, and what has not been written down yet.
fn all_kinds(plugin: &FrameworkPlugin, shelf: &Shelf) -> BTreeSet<KindKey> {
    let loaded = shelf.active.iter().map(|active| &active.version.about).chain(&shelf.retained);
    kinds(plugin).into_iter().chain(loaded.flat_map(Loaded::kind_keys)).collect()
}

fn in_use(users: &[String]) -> String {
    let named: Vec<_> = users.iter().take(NAMED).map(String::as_str).collect();
    let more = if users.len() > NAMED { format!(" and {} more", users.len() - NAMED) } else { String::new() };
    format!("it stays until these jobs have ended: {}{more}", named.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jobs_are_named_up_to_a_number() {
        let jobs: Vec<_> = (1..=7).map(|index| format!("ml/job-{index}")).collect();
        assert_eq!(in_use(&jobs[..1]), "it stays until these jobs have ended: ml/job-1");
        let all = "it stays until these jobs have ended: ml/job-1, ml/job-2, ml/job-3, ml/job-4, ml/job-5 and 2 more";
        assert_eq!(in_use(&jobs), all);
    }
}
