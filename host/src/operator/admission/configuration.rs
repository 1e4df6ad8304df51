//! The `ValidatingWebhookConfiguration`: which webhooks are in it, and by which names the API server finds them.
//!
//! An entry that is there stays what an admin made of it, but for the bundle of authorities. What is missing is added.

use std::collections::{BTreeMap, BTreeSet};

use http::Uri;
use k8s_openapi::ByteString;
use serde_json::{Value, json};
use trainyard_core::contract::Kind;
use trainyard_core::json::{merge, text};

use super::certificate::{self, Authority};

/// v1's name for the object.
pub(super) const NAME: &str = "validator.training-operator.kubeflow.org";

/// The webhook of one kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Hook {
    /// v1's are called `validator.<kind>.training-operator.kubeflow.org`: its group is `kubeflow.org`.
    pub(super) name: String,
    /// controller-runtime's pattern: `/validate-<group>-<version>-<kind>`.
    pub(super) path: String,
    group: String,
    version: String,
    plural: String,
}

/// How the API server reaches each webhook, as last seen: `clientConfig` by name.
pub(super) type Clients = BTreeMap<String, Value>;

/// The Service in front of us, unless an admin says otherwise.
#[derive(Clone, Debug)]
pub(super) struct Service {
    pub(super) name: String,
    pub(super) namespace: String,
}

impl Hook {
    pub(super) fn of(kind: &Kind) -> Self {
        Self {
            path: path(&kind.group, &kind.version, &kind.kind),
            name: name(&kind.group, &kind.kind),
            group: kind.group.clone(),
            version: kind.version.clone(),
            plural: kind.plural.clone(),
        }
    }

    fn entry(&self, client: &Value) -> Value {
        json!({
            "name": self.name,
            "clientConfig": client,
            "rules": [{
                "apiGroups": [self.group],
                "apiVersions": [self.version],
                "operations": ["CREATE", "UPDATE"],
                "resources": [self.plural],
            }],
            "failurePolicy": "Fail",
            "sideEffects": "None",
            "admissionReviewVersions": ["v1"],
        })
    }
}

/// Of the webhook of a kind.
pub(super) fn name(group: &str, kind: &str) -> String {
    format!("validator.{}.training-operator.{group}", kind.to_lowercase())
}

/// At which reviews of a kind are asked for.
pub(super) fn path(group: &str, version: &str, kind: &str) -> String {
    format!("/validate-{}-{version}-{}", group.replace('.', "-"), kind.to_lowercase())
}

/// The webhooks that should be there, given those that are.
pub(super) fn webhooks(
    stored: &[Value],
    hooks: &[Hook],
    clients: &Clients,
    service: &Service,
    bundle: &str,
) -> Vec<Value> {
    let bundle = json!({"caBundle": ByteString(bundle.into())});
    let mut all = stored.to_vec();
    for hook in hooks {
        if let Some(there) = all.iter_mut().find(|webhook| text(webhook, "/name") == hook.name) {
            merge(there, &json!({"clientConfig": bundle}));
        } else {
            let mut client = client(hook, hooks, clients, service);
            merge(&mut client, &bundle);
            all.push(hook.entry(&client));
        }
    }
    all
}

/// Lets the API server know us at those of these webhooks that are there.
pub(super) fn renew(webhooks: &mut [Value], names: &BTreeSet<String>, bundle: &str) {
    for webhook in webhooks.iter_mut().filter(|webhook| names.contains(text(webhook, "/name"))) {
        merge(webhook, &json!({"clientConfig": {"caBundle": ByteString(bundle.into())}}));
    }
}

/// How each of our webhooks that is there is reached.
pub(super) fn clients(stored: &[Value], hooks: &[Hook], held: &BTreeSet<String>) -> Clients {
    let is_ours = |name: &str| held.contains(name) || hooks.iter().any(|hook| name == hook.name);
    let ours = stored.iter().filter(|webhook| is_ours(text(webhook, "/name")));
    ours.filter_map(|webhook| Some((text(webhook, "/name").to_owned(), webhook.get("clientConfig")?.clone()))).collect()
}

/// As it was reached before, or as another of ours is, or by the Service.
fn client(hook: &Hook, hooks: &[Hook], clients: &Clients, service: &Service) -> Value {
    let by_service =
        || json!({"service": {"name": service.name, "namespace": service.namespace, "port": 443, "path": hook.path}});
    let before = || clients.get(&hook.name).cloned();
    let beside = || hooks.iter().find_map(|other| moved(clients.get(&other.name)?, &other.path, &hook.path));
    before().or_else(beside).unwrap_or_else(by_service)
}

/// The same, with another path at its end.
fn moved(client: &Value, from: &str, to: &str) -> Option<Value> {
    let mut client = client.clone();
    let path = match client.get("url") {
        Some(_) => client.get_mut("url"),
        None => client.pointer_mut("/service/path"),
    }?;
    *path = format!("{}{to}", path.as_str()?.strip_suffix(from)?).into();
    Some(client)
}

/// The names by which we are called: those that our certificate needs. One that it cannot have is left out.
pub(super) fn names(clients: &Clients, service: &Service) -> BTreeSet<String> {
    let of_service = |name: &str, namespace: &str| format!("{name}.{namespace}.svc");
    let called = clients.values().filter_map(|client| match client.get("url").and_then(Value::as_str) {
        Some(url) => host(url),
        None => Some(of_service(text(client, "/service/name"), text(client, "/service/namespace"))),
    });
    let names = called.chain([of_service(&service.name, &service.namespace)]);
    names.filter(|name| certificate::is_name(name)).collect()
}

/// Without the brackets of IPv6.
fn host(url: &str) -> Option<String> {
    let url: Uri = url.parse().ok()?;
    Some(url.host()?.trim_matches(['[', ']']).to_lowercase())
}

/// Whether each of our webhooks is there and known by this authority; of those that are held, each that is there.
pub(super) fn carries(stored: &[Value], hooks: &[Hook], held: &BTreeSet<String>, authority: &Authority) -> bool {
    let there = |name: &str| stored.iter().find(|webhook| text(webhook, "/name") == name);
    let is_known = |webhook: &Value| bundle(webhook).contains(authority);
    hooks.iter().all(|hook| there(&hook.name).is_some_and(is_known))
        && held.iter().filter_map(|name| there(name)).all(is_known)
}

fn bundle(webhook: &Value) -> Vec<Authority> {
    let bytes = webhook.pointer("/clientConfig/caBundle").cloned().map(serde_json::from_value::<ByteString>);
    let text = bytes.and_then(Result::ok).and_then(|bytes| String::from_utf8(bytes.0).ok());
    Authority::all(&text.unwrap_or_default())
}

#[cfg(test)]
mod tests;
