//! Containers that a plugin brings along: init containers, and those of the pods of extra objects.

use std::collections::BTreeSet;

use serde_json::Value;

use super::scope::Scope;
use super::volume::{self, reference};
use super::{CLEAN, Checked, each, each_item, forbidden, invalid, is_clean, not_granted, only, replica, valid, within};
use crate::contract::{Content, Fill};
use crate::grants::HostNamespace;
use crate::json;
use crate::name;
use crate::quantity::Quantity;

/// What a container may say; what it says is checked below. One that is restarted is a sidecar, and runs beside the user's.
const FIELDS: [&str; 14] = [
    "args",
    "command",
    "env",
    "envFrom",
    "image",
    "imagePullPolicy",
    "name",
    "ports",
    "resources",
    "securityContext",
    "terminationMessagePath",
    "terminationMessagePolicy",
    "volumeMounts",
    "workingDir",
];

/// What each may request. A pod gets as much as its largest init container, whatever its user asks for.
const RESOURCES: [(&str, &str); 3] = [("cpu", "4"), ("ephemeral-storage", "64Gi"), ("memory", "8Gi")];

/// Where containers are, and of whom.
pub(super) struct Containers<'a> {
    pub(super) scope: &'a Scope<'a>,
    /// Those that the pod has.
    pub(super) volumes: &'a BTreeSet<String>,
    /// Of an init container.
    pub(super) replica_type: Option<&'a str>,
}

impl Containers<'_> {
    pub(super) fn check(&self, container: &Value) -> Checked {
        only(container, &FIELDS, not_granted)?;
        let [name, image] = ["/name", "/image"].map(|at| json::text(container, at));
        within("name", valid(name::is_dns_label(name), name, "a DNS label"))?;
        if !self.scope.has_image(image, self.replica_type) {
            return within("image", Err(not_granted(&image.into())));
        }
        each_item(container, "command", is_word)?;
        each_item(container, "args", is_word)?;
        each_item(container, "env", |env| self.check_env(env))?;
        each_item(container, "envFrom", |from| {
            only(from, &["configMapRef", "prefix", "secretRef"], not_granted)?;
            self.check_references(from, "secretRef", "configMapRef")
        })?;
        each_item(container, "volumeMounts", |mount| volume::check_mount(mount, self.volumes))?;
        each_item(container, "ports", |port| self.check_port(port))?;
        within("resources", check_resources(container.get("resources").unwrap_or(&Value::Null)))?;
        let context = container.get("securityContext").unwrap_or(&Value::Null);
        within("securityContext", check_context(context, self.scope))
    }

    fn check_env(&self, env: &Value) -> Checked {
        only(env, &["name", "value", "valueFrom"], not_granted)?;
        let [name, value] = ["/name", "/value"].map(|at| json::text(env, at));
        within("name", valid(is_env_name(name), name, ENV_NAME))?;
        within("value", valid(is_clean(value), value, CLEAN))?;
        let Some(from) = env.get("valueFrom") else { return Ok(()) };
        within("valueFrom", {
            let field = json::text(from, "/fieldRef/fieldPath");
            only(from, &["configMapKeyRef", "fieldRef", "resourceFieldRef", "secretKeyRef"], not_granted)
                .and_then(|()| match from.get("fieldRef") {
                    Some(_) => within("fieldRef.fieldPath", valid(is_downward(field), field, FIELD)),
                    None => Ok(()),
                })
                .and_then(|()| self.check_references(from, "secretKeyRef", "configMapKeyRef"))
        })
    }

    fn check_references(&self, from: &Value, secret: &str, config_map: &str) -> Checked {
        if let Some(reference) = from.get(secret) {
            within(secret, self::reference(reference, "name", |name| self.scope.has_secret(name)))?;
        }
        match from.get(config_map) {
            Some(reference) => {
                within(config_map, self::reference(reference, "name", |name| self.scope.has_config_map(name)))
            }
            None => Ok(()),
        }
    }

    /// Ports of the node are the node's.
    fn check_port(&self, port: &Value) -> Checked {
        if self.scope.allowed.grants.host_namespaces.contains(&HostNamespace::Network) {
            return Ok(());
        }
        only(port, &["containerPort", "name", "protocol"], not_granted)
    }
}

/// What is filled in for each replica is no more than a word of a command or the value of a variable.
pub(super) fn check_fill(fill: &Fill) -> Checked {
    let steps: Vec<_> = fill.at.split('/').collect();
    let is_index = |text: &str| text.bytes().all(|digit| digit.is_ascii_digit());
    let is_word = match steps.as_slice() {
        ["", "args" | "command", index] | ["", "env", index, "value"] => is_index(index),
        _ => false,
    };
    if !is_word {
        return within("at", Err(forbidden(&fill.at.as_str().into())));
    }
    within(
        "content",
        match &fill.content {
            Content::Text(pieces) => each(pieces, "text", replica::check_piece),
            Content::Strings(each) => {
                Err(invalid(&each.replica_type.as_str().into(), "text: it is a list of replicas"))
            }
        },
    )
}

fn is_word(word: &Value) -> Checked {
    match word.as_str() {
        Some(text) => valid(is_clean(text), text, CLEAN),
        None => Err(invalid(word, "text")),
    }
}

fn check_resources(resources: &Value) -> Checked {
    if resources.is_null() {
        return Ok(());
    }
    only(resources, &["limits", "requests"], not_granted)?;
    ["limits", "requests"].into_iter().try_for_each(|list| {
        let mut amounts = resources.get(list).and_then(Value::as_object).into_iter().flatten();
        within(list, amounts.try_for_each(|(name, amount)| within(name, check_amount(name, amount))))
    })
}

fn check_amount(name: &str, amount: &Value) -> Checked {
    let most = RESOURCES.iter().find(|(known, _)| *known == name).and_then(|(_, most)| Quantity::of(&(*most).into()));
    let Some(most) = most else { return Err(not_granted(amount)) };
    match Quantity::of(amount) {
        Some(found) if found.is_at_most(most) => Ok(()),
        Some(_) => Err(not_granted(amount)),
        None => Err(invalid(amount, "a quantity")),
    }
}

/// A security context that is no weaker than none at all.
pub(super) fn check_context(context: &Value, scope: &Scope<'_>) -> Checked {
    if context.is_null() || scope.allowed.grants.privileged {
        return Ok(());
    }
    let Some(fields) = context.as_object() else { return Err(invalid(context, "an object")) };
    fields.iter().try_for_each(|(field, value)| {
        let is_harmless = match field.as_str() {
            "privileged" | "allowPrivilegeEscalation" => value == false,
            "runAsNonRoot" => value == true,
            "runAsUser" | "runAsGroup" | "fsGroup" => value.as_u64().is_some_and(|id| id > 0),
            "readOnlyRootFilesystem" | "fsGroupChangePolicy" => true,
            "seccompProfile" => json::text(value, "/type") == "RuntimeDefault",
            "capabilities" => return within(field, check_capabilities(value, scope)),
            _ => false,
        };
        if is_harmless { Ok(()) } else { within(field, Err(not_granted(value))) }
    })
}

fn check_capabilities(capabilities: &Value, scope: &Scope<'_>) -> Checked {
    only(capabilities, &["add", "drop"], not_granted)?;
    each_item(capabilities, "add", |added| {
        let is_granted = scope.allowed.grants.capabilities.iter().any(|granted| added == granted.as_str());
        if is_granted { Ok(()) } else { Err(not_granted(added)) }
    })
}

/// As Kubernetes has it: printable, and no `=`.
pub(super) fn is_env_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|each| (b' '..=b'~').contains(&each) && each != b'=')
}

pub(super) const ENV_NAME: &str = "the name of an environment variable";

/// Whether a variable may get that field of its pod.
pub(super) fn is_downward(path: &str) -> bool {
    const KNOWN: [&str; 9] = [
        "metadata.name",
        "metadata.namespace",
        "metadata.uid",
        "spec.nodeName",
        "spec.serviceAccountName",
        "status.hostIP",
        "status.hostIPs",
        "status.podIP",
        "status.podIPs",
    ];
    let of_map = |map: &str| path.strip_prefix(map).is_some_and(|rest| rest.starts_with("['") && rest.ends_with("']"));
    KNOWN.contains(&path) || ((of_map("metadata.labels") || of_map("metadata.annotations")) && is_clean(path))
}

pub(super) const FIELD: &str = "a field of the pod that its containers may read";
