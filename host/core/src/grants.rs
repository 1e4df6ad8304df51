//! What an admin lets the plans of a plugin do beyond the safe set.
//!
//! The safe set needs no grant: environment, commands where there are none, volumes and mounts of the pod's own, of the plan's
//! own and of what the user names, init containers of images that the user or a setting names, and `ConfigMap`s. So a
//! plugin without grants can do no more to a cluster than the users whose jobs it plans.

use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Serialize};

use crate::contract::ObjectKind;

/// What plans of a plugin may do. Nothing is granted that is not written here.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
#[schemars(inline, transform = open)]
pub struct Grants {
    /// Kinds of extra object beside `ConfigMap`. The plugin has to announce them as well.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub objects: Vec<GrantedKind>,
    /// Rules that roles of a plan may have, beside reading pods and services and executing commands in the job's own pods.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<GrantedRule>,
    /// Images that init containers may run, or prefixes of them with `*` at the end.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub images: Vec<Pattern>,
    /// Service accounts that pods may run as, beside those that the plan makes, or prefixes of them with `*` at the end.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub service_accounts: Vec<Pattern>,
    /// Audiences for which pods may get tokens of their service account (`projected` volumes). The API server's is `""`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub token_audiences: Vec<Pattern>,
    /// Secrets that pods may read, beside those that the plan makes or the job names, or prefixes with `*` at the end.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub secrets: Vec<Pattern>,
    /// Config maps that pods may read, beside those that the plan makes or the job names, or prefixes with `*` at the end.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub config_maps: Vec<Pattern>,
    /// Claims of volumes that pods may mount, beside those that the job names, or prefixes with `*` at the end.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub volume_claims: Vec<Pattern>,
    /// Other kinds of volume, as a pod spells them: `csi`, `ephemeral`, `nfs`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub volumes: Vec<String>,
    /// Paths of the node that pods may mount, or prefixes of them with `*` at the end.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub host_paths: Vec<Pattern>,
    /// Namespaces of the node that pods of extra objects may join.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub host_namespaces: Vec<HostNamespace>,
    /// Capabilities that containers may add: `IPC_LOCK`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub capabilities: Vec<String>,
    /// Whether containers may be privileged, and have any security context.
    #[serde(skip_serializing_if = "is_false")]
    pub privileged: bool,
}

/// A kind of object that plans may ask for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(inline, transform = open)]
pub struct GrantedKind {
    /// `autoscaling/v2`.
    pub api_version: String,
    /// `HorizontalPodAutoscaler`.
    pub kind: String,
}

/// A rule of a role: each of these verbs on each of these resources. `*` is any.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(inline, transform = open)]
pub struct GrantedRule {
    /// `""` is the core group.
    pub api_groups: Vec<String>,
    /// `pods/log`.
    pub resources: Vec<String>,
    /// `get`.
    pub verbs: Vec<String>,
}

/// A namespace of the node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub enum HostNamespace {
    /// `hostNetwork`, and ports of the node.
    Network,
    /// `hostPID`.
    Pid,
    /// `hostIPC`.
    Ipc,
}

/// A text, or with `*` at the end all that begin with it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(inline)]
pub struct Pattern(pub String);

impl Pattern {
    /// Whether that text is meant.
    pub fn is_of(&self, text: &str) -> bool {
        self.0.strip_suffix('*').map_or(self.0 == text, |prefix| text.starts_with(prefix))
    }
}

impl Grants {
    /// Of the kinds that a plugin announces those that its plans may have.
    pub fn among(&self, announced: &[ObjectKind]) -> Vec<ObjectKind> {
        announced.iter().filter(|kind| self.has_kind(kind)).cloned().collect()
    }

    /// Whether plans may have objects of that kind.
    pub fn has_kind(&self, kind: &ObjectKind) -> bool {
        let same = |granted: &GrantedKind| granted.api_version == kind.api_version && granted.kind == kind.kind;
        (kind.api_version == "v1" && kind.kind == "ConfigMap") || self.objects.iter().any(same)
    }
}

impl GrantedRule {
    /// Whether a rule with these lists grants no more.
    pub fn covers(&self, api_groups: &[&str], resources: &[&str], verbs: &[&str]) -> bool {
        let has = |granted: &[String], asked: &[&str]| {
            asked.iter().all(|asked| granted.iter().any(|granted| granted == "*" || granted == asked))
        };
        has(&self.api_groups, api_groups) && has(&self.resources, resources) && has(&self.verbs, verbs)
    }
}

/// Whether one of the patterns means the text.
pub(crate) fn any(patterns: &[Pattern], text: &str) -> bool {
    patterns.iter().any(|pattern| pattern.is_of(text))
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_false(flag: &bool) -> bool {
    !flag
}

/// Definitions of kinds may not close an object that names its fields: the API server drops others by itself.
fn open(schema: &mut Schema) {
    schema.remove("additionalProperties");
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_pattern_is_a_text_or_a_prefix() {
        for (pattern, text, expected) in [
            ("alpine:3.10", "alpine:3.10", true),
            ("alpine:3.10", "alpine:3.100", false),
            ("registry/team/*", "registry/team/kubectl:1", true),
            ("registry/team/*", "registry/other", false),
            ("*", "anything", true),
            ("a*b", "a*b", true),
            ("a*b", "axb", false),
            ("", "", true),
            ("", "x", false),
        ] {
            assert_eq!(Pattern(pattern.into()).is_of(text), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn grants_are_read_as_an_admin_writes_them() {
        assert_eq!(serde_json::from_value::<Grants>(json!({})).unwrap(), Grants::default());
        let written = json!({
            "objects": [{"apiVersion": "v1", "kind": "ServiceAccount"}],
            "rules": [{"apiGroups": [""], "resources": ["pods/log"], "verbs": ["get"]}],
            "images": ["alpine:*"],
            "hostNamespaces": ["Network"],
            "privileged": true,
        });
        let grants: Grants = serde_json::from_value(written.clone()).unwrap();
        assert_eq!(serde_json::to_value(&grants).unwrap(), written);
        let error = serde_json::from_value::<Grants>(json!({"image": ["x"]})).unwrap_err().to_string();
        assert!(error.starts_with("unknown field `image`, expected one of `objects`"), "{error}");
    }

    #[test]
    fn only_config_maps_need_no_grant() {
        let kind = |api_version: &str, kind: &str| ObjectKind { api_version: api_version.into(), kind: kind.into() };
        let announced =
            [kind("v1", "ConfigMap"), kind("v1", "Secret"), kind("batch/v1", "Job"), kind("v2", "ConfigMap")];
        assert_eq!(Grants::default().among(&announced), announced[..1]);
        let objects = vec![GrantedKind { api_version: "batch/v1".into(), kind: "Job".into() }];
        let granted = Grants { objects, ..Grants::default() };
        assert_eq!(granted.among(&announced), [announced[0].clone(), announced[2].clone()]);
    }

    /// As definitions of kinds have to be.
    #[test]
    fn the_schema_refers_to_nothing_and_closes_nothing() {
        let schema = schemars::schema_for!(Grants).to_value().to_string();
        assert!(schema.contains(r#""tokenAudiences""#), "{schema}");
        for word in ["$ref", "$defs", "additionalProperties"] {
            assert!(!schema.contains(word), "{word} in {schema}");
        }
    }
}
