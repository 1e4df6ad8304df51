//! What is inside extra objects of kinds that the host does not know: pods, their metadata, and claims of volumes.

use serde_json::Value;

use super::container::{Containers, check_context};
use super::scope::Scope;
use super::volume::{self, reference};
use super::{Checked, each_item, forbidden, not_granted, object, within};
use crate::grants::HostNamespace;
use crate::json;

/// Everything below an object. Where there is a list of containers there is a pod.
pub(super) fn check(inside: &Value, scope: &Scope<'_>) -> Checked {
    match inside {
        Value::Object(fields) => {
            if fields.contains_key("containers") {
                check_pod(inside, scope)?;
            }
            fields.iter().try_for_each(|(field, value)| {
                within(field, check_field(field, value).and_then(|()| check(value, scope)))
            })
        }
        Value::Array(items) => {
            items.iter().enumerate().try_for_each(|(index, item)| within(&format!("[{index}]"), check(item, scope)))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Ok(()),
    }
}

/// What controllers make from a template has the metadata of it, and from a claim a volume.
fn check_field(field: &str, value: &Value) -> Checked {
    match field {
        "metadata" if value.is_object() => object::check_labels(value),
        "volumeClaimTemplate" => volume::check_claim(value),
        "volumeClaimTemplates" => json::items(value, "")
            .iter()
            .enumerate()
            .try_for_each(|(index, claim)| within(&format!("[{index}]"), volume::check_claim(claim))),
        _ => Ok(()),
    }
}

const NAMESPACES: [(&str, HostNamespace); 3] =
    [("hostNetwork", HostNamespace::Network), ("hostPID", HostNamespace::Pid), ("hostIPC", HostNamespace::Ipc)];

/// What a pod of an extra object may say. All else gives power over nodes or over others' pods.
const POD: [&str; 13] = [
    "activeDeadlineSeconds",
    "automountServiceAccountToken",
    "containers",
    "enableServiceLinks",
    "hostIPC",
    "hostNetwork",
    "hostPID",
    "initContainers",
    "restartPolicy",
    "securityContext",
    "serviceAccount",
    "serviceAccountName",
    "volumes",
];

fn check_pod(pod: &Value, scope: &Scope<'_>) -> Checked {
    let is_users = |(field, value): &(&String, &Value)| {
        scope.job.replicas.iter().any(|spec| spec.template.pointer(&format!("/spec/{field}")) == Some(*value))
    };
    let mut others = pod.as_object().into_iter().flatten().filter(|(field, _)| !POD.contains(&field.as_str()));
    if let Some((field, value)) = others.find(|other| !is_users(other)) {
        return within(field, Err(forbidden(value)));
    }
    if let Some(token) = pod.get("automountServiceAccountToken").filter(|value| **value != false) {
        return within("automountServiceAccountToken", Err(forbidden(token)));
    }
    for (field, namespace) in NAMESPACES {
        let is_granted = scope.allowed.grants.host_namespaces.contains(&namespace);
        if let Some(value) = pod.get(field).filter(|value| **value != false && !is_granted) {
            return within(field, Err(not_granted(value)));
        }
    }
    for field in ["serviceAccountName", "serviceAccount"].into_iter().filter(|field| pod.get(field).is_some()) {
        reference(pod, field, |name| scope.has_service_account(name))?;
    }
    within("securityContext", check_context(pod.get("securityContext").unwrap_or(&Value::Null), scope))?;
    each_item(pod, "volumes", |volume| volume::check(volume, scope))?;
    let volumes = json::items(pod, "/volumes").iter().map(|volume| json::text(volume, "/name").to_owned()).collect();
    let containers = Containers { scope, volumes: &volumes, replica_type: None };
    ["containers", "initContainers"]
        .into_iter()
        .try_for_each(|list| each_item(pod, list, |container| containers.check(container)))
}
