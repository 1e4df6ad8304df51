//! Whose names a plan may speak: those of what it makes, of what the user names, and of what an admin grants.

use serde_json::Value;

use super::Allowed;
use crate::contract::{JobPlan, Kind, Network};
use crate::grants;
use crate::job::{Job, ReplicaSpec};
use crate::json;

/// All that a plan is compared with.
#[derive(Clone, Copy)]
pub(super) struct Scope<'a> {
    pub(super) plan: &'a JobPlan,
    pub(super) job: &'a Job,
    pub(super) kind: &'a Kind,
    pub(super) allowed: Allowed<'a>,
    /// The extra objects of the plan, completed.
    pub(super) objects: &'a [Value],
}

impl Scope<'_> {
    pub(super) fn has_secret(&self, name: &str) -> bool {
        let is_made = self.plan.ssh_keys.iter().any(|key| key == name) || self.makes("v1", "Secret", name);
        is_made || self.job.spells(name) || grants::any(&self.allowed.grants.secrets, name)
    }

    pub(super) fn has_config_map(&self, name: &str) -> bool {
        let is_known = self.makes("v1", "ConfigMap", name) || self.job.spells(name);
        is_known || grants::any(&self.allowed.grants.config_maps, name)
    }

    pub(super) fn has_volume_claim(&self, name: &str) -> bool {
        let is_known = self.makes("v1", "PersistentVolumeClaim", name) || self.job.spells(name);
        is_known || grants::any(&self.allowed.grants.volume_claims, name)
    }

    pub(super) fn has_service_account(&self, name: &str) -> bool {
        let is_known = self.makes("v1", "ServiceAccount", name) || self.is_users_account(name);
        is_known || grants::any(&self.allowed.grants.service_accounts, name)
    }

    /// Whether it is a name for things of the job, as those of its pods are.
    pub(super) fn owns(&self, name: &str) -> bool {
        name.strip_prefix(self.job.name.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
    }

    /// Whether the user lets pods of the job run as that account.
    pub(super) fn is_users_account(&self, name: &str) -> bool {
        let accounts = ["/spec/serviceAccountName", "/spec/serviceAccount"];
        let is_in = |spec: &ReplicaSpec| accounts.iter().any(|at| json::text(&spec.template, at) == name);
        !name.is_empty() && self.job.replicas.iter().any(is_in)
    }

    /// Whether an init container of that type, or where none is named a container of an extra object, may run it.
    pub(super) fn has_image(&self, image: &str, replica_type: Option<&str>) -> bool {
        let mut specs = self.job.replicas.iter().filter(|spec| replica_type.is_none_or(|name| name == spec.name));
        let is_in = |spec: &ReplicaSpec| {
            let lists = ["/spec/containers", "/spec/initContainers"].map(|list| json::items(&spec.template, list));
            lists.into_iter().flatten().any(|container| json::text(container, "/image") == image)
        };
        let Allowed { grants, settings, .. } = self.allowed;
        specs.any(is_in) || names(settings, image) || grants::any(&grants.images, image)
    }

    /// Whether the plan makes the object.
    pub(super) fn makes(&self, api_version: &str, kind: &str, name: &str) -> bool {
        self.objects.iter().any(|object| {
            let found = ["/apiVersion", "/kind", "/metadata/name"].map(|at| json::text(object, at));
            found == [api_version, kind, name]
        })
    }

    /// Whether the host gives that name to pods or services of the job.
    pub(super) fn is_hosts(&self, name: &str) -> bool {
        let is_shared = self.plan.network == Network::SharedService && name == self.job.name;
        is_shared || self.has_pod(name)
    }

    /// Whether the job has, or may come to have, a pod of that name.
    pub(super) fn has_pod(&self, name: &str) -> bool {
        self.job.replicas.iter().any(|spec| {
            let index = name.rsplit_once('-').and_then(|(_, index)| index.parse().ok()).unwrap_or(0);
            index < spec.replicas && self.job.pod_name(spec, index) == name
        })
    }
}

/// Whether a text of the settings is that image, or names it as a YAML list of containers does.
fn names(settings: &Value, image: &str) -> bool {
    match settings {
        Value::String(text) => text == image || is_in_list(text, image),
        Value::Array(items) => items.iter().any(|item| names(item, image)),
        Value::Object(fields) => fields.values().any(|field| names(field, image)),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

/// `image: alpine`, in YAML's other spellings, too.
fn is_in_list(text: &str, image: &str) -> bool {
    let words = text.split(|each: char| each.is_whitespace() || "\"',[]{}".contains(each));
    let words: Vec<_> = words.filter(|word| !matches!(*word, "" | ":")).collect();
    words
        .windows(2)
        .any(|pair| matches!(pair, [field, found] if field.trim_end_matches(':') == "image" && *found == image))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_admin_names_images_in_settings() {
        for (settings, expected) in [
            (json!({"image": "alpine:3"}), true),
            (json!({"template": "- name: wait\n  image: alpine:3\n"}), true),
            (json!({"template": "[{'name': 'wait', 'image': 'alpine:3'}]"}), true),
            (json!({"template": r#"[{"image":"alpine:3"}]"#}), true),
            (json!({"template": "- name: alpine:3\n  image: other\n"}), false),
            (json!({"template": "- image: alpine:30"}), false),
            (json!({"image": "alpine:30", "tries": 3}), false),
            (json!({"alpine:3": "x"}), false),
        ] {
            assert_eq!(names(&settings, "alpine:3"), expected, "{settings}");
        }
    }
}
