//! Roles and their bindings. The API server lets the operator grant no more than the operator may do itself. That is too
//! much for a job: it may read secrets and make pods in all namespaces. So a role of a plan is about the job, and bound to
//! the job.

use serde_json::Value;

use super::scope::Scope;
use super::{Checked, each_item, forbidden, invalid, not_granted, only, within};
use crate::contract::ObjectKind;
use crate::json;

const GROUP: &str = "rbac.authorization.k8s.io";

/// Whether objects of that kind grant rights.
pub(super) fn is_of(kind: &ObjectKind) -> bool {
    kind.api_version.split('/').next() == Some(GROUP)
}

pub(super) fn check(object: &Value, scope: &Scope<'_>) -> Checked {
    match json::text(object, "/kind") {
        "Role" => only(object, &["apiVersion", "kind", "metadata", "rules"], forbidden)
            .and_then(|()| each_item(object, "rules", |rule| check_rule(rule, scope))),
        "RoleBinding" => only(object, &["apiVersion", "kind", "metadata", "roleRef", "subjects"], forbidden)
            .and_then(|()| within("roleRef", check_role(object.get("roleRef").unwrap_or(&Value::Null), scope)))
            .and_then(|()| each_item(object, "subjects", |subject| check_subject(subject, scope))),
        // They are no job's: no namespace has them.
        _ => within("kind", Err(forbidden(object.get("kind").unwrap_or(&Value::Null)))),
    }
}

fn check_rule(rule: &Value, scope: &Scope<'_>) -> Checked {
    only(rule, &["apiGroups", "resourceNames", "resources", "verbs"], forbidden)?;
    for list in ["apiGroups", "resourceNames", "resources", "verbs"] {
        each_item(rule, list, |item| if item.is_string() { Ok(()) } else { Err(invalid(item, "text")) })?;
    }
    let [groups, resources, verbs, names] = ["apiGroups", "resources", "verbs", "resourceNames"].map(|list| {
        let items = json::items(rule, &format!("/{list}")).iter();
        items.filter_map(Value::as_str).collect::<Vec<_>>()
    });
    let among = |all: &[&str], some: &[&str]| all.iter().all(|each| some.contains(each));
    let reads = among(&resources, &["pods", "services"]) && among(&verbs, &["get", "list", "watch"]);
    // Without names it would be every pod of the namespace.
    let is_of_job = !names.is_empty() && names.iter().all(|name| scope.has_pod(name));
    let commands = among(&resources, &["pods/exec"]) && among(&verbs, &["create"]) && is_of_job;
    let is_harmless = among(&groups, &[""]) && (reads || commands);
    let mut granted = scope.allowed.grants.rules.iter();
    if is_harmless || granted.any(|granted| granted.covers(&groups, &resources, &verbs)) {
        return Ok(());
    }
    Err(not_granted(rule))
}

fn check_role(reference: &Value, scope: &Scope<'_>) -> Checked {
    only(reference, &["apiGroup", "kind", "name"], forbidden)?;
    let [group, kind, name] = ["/apiGroup", "/kind", "/name"].map(|at| json::text(reference, at));
    let is_made = scope.objects.iter().any(|object| {
        let api_version = json::text(object, "/apiVersion");
        let is_role = api_version.split('/').next() == Some(GROUP) && json::text(object, "/kind") == "Role";
        is_role && json::text(object, "/metadata/name") == name
    });
    if group == GROUP && kind == "Role" && is_made { Ok(()) } else { Err(invalid(reference, "a role of the plan")) }
}

fn check_subject(subject: &Value, scope: &Scope<'_>) -> Checked {
    only(subject, &["apiGroup", "kind", "name", "namespace"], forbidden)?;
    let [group, kind, name, namespace] =
        ["/apiGroup", "/kind", "/name", "/namespace"].map(|at| json::text(subject, at));
    let is_jobs = group.is_empty() && kind == "ServiceAccount" && namespace == scope.job.namespace;
    if is_jobs && scope.has_service_account(name) {
        Ok(())
    } else {
        Err(invalid(subject, "a service account of the job"))
    }
}
