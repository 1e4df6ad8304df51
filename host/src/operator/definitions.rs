//! Definitions of kinds that plugins bring: made where there is none, kept up to date where it is ours, and otherwise used
//! as it is.

use std::time::Duration;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{DeleteParams, PostParams, Preconditions};
use kube::{Api, Client, ResourceExt as _};
use serde_json::{Value, json};
use tokio::time::sleep;
use trainyard_core::contract::Kind;
use trainyard_core::json::merge;

use super::plugins::Failure;
use crate::plugin::Digest;
use crate::{crd, framework_plugin};

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

    /// Installs the definition of `FrameworkPlugin` where there is none, and brings up to date what was installed so.
    pub(super) async fn install(&self) -> kube::Result<()> {
        let wanted = marked(framework_plugin::definition(), None).map_err(kube::Error::SerdeError)?;
        let there = self.0.get_opt(&wanted.name_any()).await?;
        if there.as_ref().is_none_or(|there| is_ours(there) && !is_same(there, &wanted)) {
            self.write(there, wanted).await?;
        }
        Ok(())
    }

    /// Whether the kind is ours to serve.
    pub(super) async fn check(&self, kind: &Kind, plugin: &str) -> Result<(), Failure> {
        let wanted = wanted(kind, plugin)?;
        match self.0.get_opt(&wanted.name_any()).await.map(|there| step(there.as_ref(), &wanted, kind)) {
            Ok(Step::Refuse(why)) => Err(refused(&wanted.name_any(), &why)),
            Ok(Step::Create | Step::Replace | Step::Use) | Err(_) => Ok(()), // what fails will fail again
        }
    }

    /// Answers when the kind is served.
    pub(super) async fn serve(&self, kind: &Kind, plugin: &str) -> Result<(), Failure> {
        let wanted = wanted(kind, plugin)?;
        let name = wanted.name_any();
        let unserved = |why: String| Failure::ready("DefinitionMissing", format!("definition {name}: {why}")).soon();
        let mut there = match self.0.get_opt(&name).await {
            Ok(there) => there,
            // Who may not look has an admin who does it.
            Err(kube::Error::Api(status)) if status.code == 403 => return Ok(()),
            Err(error) => return Err(unserved(error.to_string())),
        };
        match step(there.as_ref(), &wanted, kind) {
            Step::Use => {}
            Step::Refuse(why) => {
                return Err(refused(&name, &why));
            }
            Step::Create | Step::Replace => {
                there = self.write(there, wanted).await.map(Some).map_err(|error| unserved(error.to_string()))?;
            }
        }
        for _ in 0..LOOKS {
            if there.as_ref().is_some_and(is_established) {
                return Ok(());
            }
            sleep(LOOK).await;
            there = self.0.get_opt(&name).await.map_err(|error| unserved(error.to_string()))?;
        }
        Err(unserved("the API server does not serve it yet".into()))
    }

    async fn write(
        &self,
        there: Option<CustomResourceDefinition>,
        mut wanted: CustomResourceDefinition,
    ) -> kube::Result<CustomResourceDefinition> {
        let params = PostParams::default();
        let Some(there) = there else { return self.0.create(&params, &wanted).await };
        wanted.metadata.resource_version = there.metadata.resource_version;
        self.0.replace(&wanted.name_any(), &params, &wanted).await
    }

    /// Deletes it, with all jobs, if a plugin of that name brought it.
    pub(super) async fn delete(&self, name: &str, plugin: &str) -> kube::Result<()> {
        let Some(there) = self.0.get_opt(name).await? else { return Ok(()) };
        if is_ours(&there) && there.annotations().get(PLUGIN).is_some_and(|whose| whose == plugin) {
            let preconditions = Preconditions { uid: there.uid(), resource_version: None };
            let params = DeleteParams { preconditions: Some(preconditions), ..DeleteParams::default() };
            self.0.delete(name, &params).await?;
        }
        Ok(())
    }
}

fn refused(name: &str, why: &str) -> Failure {
    Failure::ready("DefinitionConflict", format!("definition {name}: {why}")).soon()
}

fn wanted(kind: &Kind, plugin: &str) -> Result<CustomResourceDefinition, Failure> {
    let wrong = |why: String| Failure::ready("BadDefinition", why);
    let definition = crd::of(kind).map_err(|error| wrong(crate::failure::chain(&error)))?;
    marked(definition, Some(plugin)).map_err(|error| wrong(error.to_string()))
}

fn marked(mut definition: Value, plugin: Option<&str>) -> serde_json::Result<CustomResourceDefinition> {
    let written = Digest::of(definition.to_string().as_bytes()).to_string();
    let mut annotations = json!({WRITTEN: written});
    if let Some(plugin) = plugin {
        merge(&mut annotations, &json!({PLUGIN: plugin}));
    }
    merge(&mut definition, &json!({"metadata": {"labels": {MANAGER.0: MANAGER.1}, "annotations": annotations}}));
    serde_json::from_value(definition)
}

fn step(there: Option<&CustomResourceDefinition>, wanted: &CustomResourceDefinition, kind: &Kind) -> Step {
    let Some(there) = there else { return Step::Create };
    // The kind's name is never changed: https://github.com/kubernetes/apiextensions-apiserver/blob/v0.34.1/pkg/apis/apiextensions/validation/validation.go
    if is_ours(there) && there.spec.names.kind == kind.kind {
        return if is_same(there, wanted) { Step::Use } else { Step::Replace };
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

fn is_same(there: &CustomResourceDefinition, wanted: &CustomResourceDefinition) -> bool {
    there.annotations().get(WRITTEN) == wanted.annotations().get(WRITTEN)
}

fn is_established(definition: &CustomResourceDefinition) -> bool {
    let conditions = definition.status.iter().flat_map(|status| status.conditions.iter().flatten());
    conditions.into_iter().any(|condition| condition.type_ == "Established" && condition.status == "True")
}

#[cfg(test)]
pub(super) fn sample() -> Kind {
    serde_json::from_value(json!({
        "group": "example.com", "version": "v1", "kind": "RingJob", "plural": "ringjobs", "short_names": [],
        "replica_specs": "replicaSpecs", "replica_types": [], "container": "ring", "port": null,
        "restart_policy": "Never", "replace_failed": false, "spec_properties": "{}", "scales": null, "columns": [],
    }))
    .unwrap()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_foreign_definition_is_used_or_left_alone() {
        let kind = sample();
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
        let renamed = Kind { kind: "Ring".into(), ..kind.clone() };
        let ours = "it is trainyard's, and does not serve v1 Ring in namespaces with a status";
        assert_eq!(step(Some(&wanted), &wanted, &renamed), Step::Refuse(ours.into()));
        for other in [
            json!({"spec": {"scope": "Cluster"}}),
            json!({"spec": {"names": {"kind": "Ring"}}}),
            json!({"spec": {"versions": []}}),
        ] {
            assert_eq!(step(Some(&with(other)), &wanted, &kind), Step::Refuse(refusal.into()));
        }
    }
}
