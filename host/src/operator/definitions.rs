//! Definitions of kinds that plugins bring: made where there is none, kept up to date where it is ours, and otherwise used
//! as it is.

use std::time::Duration;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{DeleteParams, PostParams, Preconditions};
use kube::{Api, Client, ResourceExt as _};
use serde_json::json;
use tokio::time::sleep;
use trainyard_core::contract::Kind;
use trainyard_core::json::merge;

use super::plugins::Failure;
use crate::crd;
use crate::plugin::Digest;

/// Who made it.
const MANAGER: (&str, &str) = ("app.kubernetes.io/managed-by", "trainyard");
/// For which plugin.
const PLUGIN: &str = "trainyard.dev/plugin";
/// Of what we wrote, so that what others added later is no difference.
const WRITTEN: &str = "trainyard.dev/definition";
/// How often, and how many times, it is looked whether the API server serves a new kind.
const LOOK: Duration = Duration::from_millis(100);
const LOOKS: usize = 100;

/// The definitions of a cluster.
pub(super) struct Definitions(Api<CustomResourceDefinition>);

/// What is to be done about a definition.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    Create,
    Replace,
    Use,
    Refuse(String),
}

impl Definitions {
    pub(super) fn new(client: Client) -> Self {
        Self(Api::all(client))
    }

    /// Answers when the kind is served.
    pub(super) async fn serve(&self, kind: &Kind, plugin: &str) -> Result<(), Failure> {
        let name = name(kind);
        let unserved = |why: String| Failure::ready("DefinitionMissing", format!("definition {name}: {why}")).soon();
        let wanted = wanted(kind, plugin)?;
        let there = match self.0.get_opt(&name).await {
            Ok(there) => there,
            // Who may not look has an admin who does it.
            Err(kube::Error::Api(status)) if status.code == 403 => return Ok(()),
            Err(error) => return Err(unserved(error.to_string())),
        };
        let written = match step(there.as_ref(), &wanted, kind) {
            Step::Use => Ok(()),
            Step::Refuse(why) => {
                return Err(Failure::ready("DefinitionConflict", format!("definition {name}: {why}")).soon());
            }
            Step::Create => self.0.create(&PostParams::default(), &wanted).await.map(drop),
            Step::Replace => {
                let mut new = wanted;
                new.metadata.resource_version =
                    there.as_ref().and_then(|there| there.metadata.resource_version.clone());
                self.0.replace(&name, &PostParams::default(), &new).await.map(drop)
            }
        };
        written.map_err(|error| unserved(error.to_string()))?;
        for _ in 0..LOOKS {
            let there = self.0.get_opt(&name).await.map_err(|error| unserved(error.to_string()))?;
            if there.as_ref().is_some_and(is_established) {
                return Ok(());
            }
            sleep(LOOK).await;
        }
        Err(unserved("the API server does not serve it yet".into()))
    }

    /// Deletes it, with all jobs, if a plugin of that name brought it.
    pub(super) async fn delete(&self, kind: &Kind, plugin: &str) -> kube::Result<()> {
        let Some(there) = self.0.get_opt(&name(kind)).await? else { return Ok(()) };
        if is_ours(&there) && there.annotations().get(PLUGIN).is_some_and(|whose| whose == plugin) {
            let preconditions = Preconditions { uid: there.uid(), resource_version: None };
            let params = DeleteParams { preconditions: Some(preconditions), ..DeleteParams::default() };
            self.0.delete(&name(kind), &params).await?;
        }
        Ok(())
    }
}

fn name(kind: &Kind) -> String {
    format!("{}.{}", kind.plural, kind.group)
}

fn wanted(kind: &Kind, plugin: &str) -> Result<CustomResourceDefinition, Failure> {
    let wrong = |why: String| Failure::ready("BadDefinition", why);
    let mut definition = crd::of(kind).map_err(|error| wrong(crate::failure::chain(&error)))?;
    let written = Digest::of(definition.to_string().as_bytes()).to_string();
    let marks =
        json!({"metadata": {"labels": {MANAGER.0: MANAGER.1}, "annotations": {PLUGIN: plugin, WRITTEN: written}}});
    merge(&mut definition, &marks);
    serde_json::from_value(definition).map_err(|error| wrong(error.to_string()))
}

fn step(there: Option<&CustomResourceDefinition>, wanted: &CustomResourceDefinition, kind: &Kind) -> Step {
    let Some(there) = there else { return Step::Create };
    if is_ours(there) {
        let same = there.annotations().get(WRITTEN) == wanted.annotations().get(WRITTEN);
        return if same { Step::Use } else { Step::Replace };
    }
    let version = there.spec.versions.iter().find(|version| version.name == kind.version && version.served);
    let is_fit = there.spec.names.kind == kind.kind && there.spec.scope == "Namespaced";
    let has_status = version.and_then(|version| version.subresources.as_ref()?.status.as_ref()).is_some();
    if is_fit && has_status {
        return Step::Use;
    }
    let mut managers = there.managed_fields().iter().filter_map(|entry| entry.manager.as_deref());
    let owner = there.labels().get(MANAGER.0).map(String::as_str).or(managers.next_back()).unwrap_or("somebody else");
    let kind = format!("{} {}", kind.version, kind.kind);
    Step::Refuse(format!("it is {owner}'s, and does not serve {kind} in namespaces with a status"))
}

fn is_ours(definition: &CustomResourceDefinition) -> bool {
    definition.labels().get(MANAGER.0).is_some_and(|manager| manager == MANAGER.1)
}

fn is_established(definition: &CustomResourceDefinition) -> bool {
    let conditions = definition.status.iter().flat_map(|status| status.conditions.iter().flatten());
    conditions.into_iter().any(|condition| condition.type_ == "Established" && condition.status == "True")
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn kind() -> Kind {
        let kind = json!({
            "group": "example.com", "version": "v1", "kind": "RingJob", "plural": "ringjobs", "short_names": [],
            "replica_specs": "replicaSpecs", "replica_types": [], "container": "ring", "port": null,
            "restart_policy": "Never", "replace_failed": false, "spec_properties": "{}", "scales": null, "columns": [],
        });
        serde_json::from_value(kind).unwrap()
    }

    #[test]
    fn a_foreign_definition_is_used_or_left_alone() {
        let kind = kind();
        let wanted = wanted(&kind, "ring").unwrap();
        let changed = |change: Value| {
            let mut there = serde_json::to_value(&wanted).unwrap();
            merge(&mut there, &change);
            serde_json::from_value::<CustomResourceDefinition>(there).unwrap()
        };
        let foreign = json!({"metadata": {"labels": {MANAGER.0: "vendor"}}});
        let with = |more: Value| {
            let mut all = foreign.clone();
            merge(&mut all, &more);
            changed(all)
        };
        assert_eq!(step(None, &wanted, &kind), Step::Create);
        assert_eq!(step(Some(&wanted), &wanted, &kind), Step::Use);
        let older = changed(json!({"metadata": {"annotations": {WRITTEN: "sha256:old"}}}));
        assert_eq!(step(Some(&older), &wanted, &kind), Step::Replace);
        assert_eq!(step(Some(&with(json!({}))), &wanted, &kind), Step::Use);
        let refusal = "it is vendor's, and does not serve v1 RingJob in namespaces with a status";
        for other in [
            json!({"spec": {"scope": "Cluster"}}),
            json!({"spec": {"names": {"kind": "Ring"}}}),
            json!({"spec": {"versions": []}}),
        ] {
            assert_eq!(step(Some(&with(other)), &wanted, &kind), Step::Refuse(refusal.into()));
        }
    }
}
