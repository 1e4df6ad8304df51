//! Whose a kind is.

use std::cmp::Ordering;
use std::sync::Arc;

use kube::ResourceExt;
use trainyard_core::contract::Kind;

use super::offer::held;
use super::report::Failure;
use super::shelf::named;
use super::{Guarded, Loader, Plugins, Version, of};
use crate::framework_plugin::FrameworkPlugin;

impl Loader {
    /// Whether a plugin may have the kinds of a version.
    pub(super) fn claim(&self, plugin: &FrameworkPlugin, version: &Version, all: &Plugins) -> Result<(), Failure> {
        for kind in &version.plugin.description().kinds {
            check_group(kind)?;
            if self.roster.is_given(kind) {
                let why = format!("{} is of a plugin that the operator was started with", named(kind));
                return Err(Failure::conflict(why));
            }
            let others = self.roster.owners(kind).into_iter().filter_map(|other| all.get(&of(&other)));
            let has = |plugin: Option<&FrameworkPlugin>| {
                let key = (format!("{}/{}", kind.group, kind.version), kind.kind.clone());
                plugin.is_some_and(|plugin| held(plugin).contains(&key))
            };
            // Who has it already has jobs of it.
            let own = has(Some(plugin));
            let goes_before = |other: &Arc<Guarded>| {
                has(other.0.as_ref().ok()).cmp(&own).reverse().then_with(|| age(&**other, plugin)).is_lt()
            };
            if let Some(first) = others.filter(goes_before).min_by(|a, b| age(&**a, &**b)) {
                let why = format!("{} is of FrameworkPlugin {}, which had it first", named(kind), first.name_any());
                return Err(Failure::conflict(why));
            }
        }
        Ok(())
    }
}

/// Kinds of Kubernetes itself are nobody's to bring.
fn check_group(kind: &Kind) -> Result<(), Failure> {
    let is_below = |reserved: &str| kind.group == reserved || kind.group.ends_with(&format!(".{reserved}"));
    if kind.group.contains('.') && !["k8s.io", "kubernetes.io", "trainyard.dev"].into_iter().any(is_below) {
        return Ok(());
    }
    Err(Failure::conflict(format!("{}: kinds of {:?} are not for a plugin to bring", named(kind), kind.group)))
}

/// Who was there first has a kind; of two of the same second, the first by name.
fn age(one: &impl ResourceExt, other: &impl ResourceExt) -> Ordering {
    let since = |time: Option<k8s_openapi::apimachinery::pkg::apis::meta::v1::Time>| time.map(|time| time.0);
    let by_time = since(one.creation_timestamp()).cmp(&since(other.creation_timestamp()));
    by_time.then_with(|| one.name_any().cmp(&other.name_any()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::operator::definitions::sample;

    #[test]
    fn kinds_of_kubernetes_are_nobodys_to_bring() {
        for (group, is_fine) in [
            ("example.com", true),
            ("kubeflow.org", true),
            ("notk8s.io", true),
            ("", false),
            ("apps", false),
            ("batch.k8s.io", false),
            ("k8s.io", false),
            ("sub.kubernetes.io", false),
            ("trainyard.dev", false),
        ] {
            let answer = check_group(&Kind { group: group.into(), ..sample() });
            let why = format!("{group}/v1 RingJob: kinds of {group:?} are not for a plugin to bring");
            let expected = if is_fine { Ok(()) } else { Err(Failure::conflict(why)) };
            assert_eq!(answer, expected, "{group}");
        }
    }

    #[test]
    fn the_older_has_a_kind_and_of_two_of_an_age_the_first_by_name() {
        let plugin = |name: &str, since: Option<&str>| {
            let metadata = json!({"name": name, "creationTimestamp": since});
            let spec = json!({"source": {"bundled": {"name": "x"}}});
            let object = json!({"apiVersion": "trainyard.dev/v1alpha1", "kind": "FrameworkPlugin", "metadata": metadata, "spec": spec});
            serde_json::from_value::<FrameworkPlugin>(object).unwrap()
        };
        let (early, late) = (Some("2026-01-01T00:00:00Z"), Some("2026-01-01T00:00:01Z"));
        for (one, other, expected) in [
            (plugin("z", early), plugin("a", late), Ordering::Less),
            (plugin("a", late), plugin("z", early), Ordering::Greater),
            (plugin("a", early), plugin("b", early), Ordering::Less),
            (plugin("b", early), plugin("a", early), Ordering::Greater),
            (plugin("a", early), plugin("a", early), Ordering::Equal),
        ] {
            assert_eq!(age(&one, &other), expected, "{} and {}", one.name_any(), other.name_any());
        }
    }
}
