//! A plugin that is deleted goes when no job needs it any more.

use std::time::Duration;

use kube::ResourceExt as _;
use kube::api::{Patch, PatchParams};
use kube::runtime::controller::Action;
use serde_json::{Value, json};
use tracing::{info, warn};

use super::Loader;
use super::report::Report;
use super::shelf::Shelf;
use crate::framework_plugin::{Definitions, FrameworkPlugin};

/// Keeps a plugin there as long as jobs need it.
const FINALIZER: &str = "trainyard.dev/jobs";
/// While a plugin is deleted: how often it is looked whether its jobs have ended.
const LOOK: Duration = Duration::from_secs(5);
/// Jobs that are named.
const NAMED: usize = 5;

impl Loader {
    /// Sees to it that the plugin does not go unnoticed. None: it was so already, or somebody else leads.
    pub(super) async fn hold(&self, plugin: &FrameworkPlugin) -> kube::Result<Option<FrameworkPlugin>> {
        if !*self.is_leading.borrow() || plugin.finalizers().iter().any(|each| each == FINALIZER) {
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

    /// A deleted plugin: it stays while jobs that it planned have not ended.
    pub(super) async fn leave(&self, plugin: &FrameworkPlugin, shelf: &mut Shelf) -> Action {
        if !*self.is_leading.borrow() || !plugin.finalizers().iter().any(|each| each == FINALIZER) {
            return Action::await_change();
        }
        let name = plugin.name_any();
        match self.users(plugin) {
            None => return Action::requeue(LOOK),
            Some(users) if !users.is_empty() => {
                let report = Report {
                    generation: plugin.metadata.generation,
                    active: shelf.active.as_ref(),
                    former: &[],
                    failure: None,
                    notice: Some(("InUse", in_use(&users))),
                };
                self.write(plugin, &report).await;
                return Action::requeue(LOOK);
            }
            Some(_) => {}
        }
        let kinds = shelf.active.as_ref().map(|version| version.plugin.description().kinds.clone()).unwrap_or_default();
        self.withdraw(&name, shelf);
        if plugin.spec.definitions == Definitions::Delete {
            for kind in &kinds {
                if let Err(error) = self.definitions.delete(kind, &name).await {
                    warn!(plugin = name, kind = kind.kind, %error, "the definition of a kind cannot be deleted");
                    return Action::requeue(LOOK);
                }
            }
        }
        let others: Vec<_> = plugin.finalizers().iter().filter(|each| *each != FINALIZER).collect();
        match self.patch(plugin, &json!(others)).await {
            Ok(_) => info!(plugin = name, "a plugin has gone"),
            Err(error) => {
                warn!(plugin = name, %error, "a plugin cannot go");
                return Action::requeue(LOOK);
            }
        }
        Action::await_change()
    }

    /// Jobs that need the plugin; None while that is not known.
    fn users(&self, plugin: &FrameworkPlugin) -> Option<Vec<String>> {
        let kinds = plugin.status.iter().flat_map(|status| &status.kinds);
        let jobs = kinds.filter_map(|kind| {
            let (api_version, kind) = kind.split_once(' ')?;
            // A kind that nobody serves has nobody's jobs.
            let key = (api_version.to_owned(), kind.to_owned());
            self.roster.kinds().borrow().contains_key(&key).then(|| self.roster.jobs(api_version, kind))
        });
        let jobs: Vec<_> = jobs.collect::<Option<Vec<_>>>()?.into_iter().flatten().collect();
        let needs = jobs.into_iter().filter(|job| job.digest.is_some() && !job.has_ended);
        Some(needs.map(|job| job.name).collect())
    }
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
