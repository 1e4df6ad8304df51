//! Extra objects: of a kind that is announced and granted, and with nothing in them by which a plugin would get further.

use serde_json::Value;

use super::scope::Scope;
use super::{
    Checked, Fault, PlanFault, at, each_item, forbidden, invalid, no_twins, only, pod, quoted, rbac, size, valid,
    volume, within,
};
use crate::contract::{JobPlan, Object, ObjectExisting, ObjectKind};
use crate::fill::Filler;
use crate::json;
use crate::name;

/// The objects of a plan, completed: what is checked is what will be made.
pub(super) fn filled(plan: &JobPlan, filler: &Filler<'_>) -> Result<Vec<Value>, PlanFault> {
    let fill = |(index, planned): (usize, &Object)| {
        let path = format!("objects[{index}].object");
        size::parse(&planned.object.json).map_err(|fault| PlanFault { path: path.clone(), ..fault })?;
        filler.fragment(&planned.object, "it", None).map_err(|error| at(&path, Fault::Unfillable(error)))
    };
    plan.objects.iter().enumerate().map(fill).collect()
}

pub(super) fn check(scope: &Scope<'_>) -> Checked {
    let planned = scope.plan.objects.iter().zip(scope.objects).enumerate();
    for (index, (planned, object)) in planned {
        // They are made in this order, so one may lean on those before it.
        let before = Scope { objects: scope.objects.get(..index).unwrap_or_default(), ..*scope };
        within(&format!("objects[{index}]"), check_one(planned, object, &before))?;
    }
    let names = scope.objects.iter().map(|object| {
        let [api_version, kind, name] = ["/apiVersion", "/kind", "/metadata/name"].map(|at| json::text(object, at));
        let group = api_version.split_once('/').map_or("", |(group, _)| group);
        [group, kind, name].join("/")
    });
    let names: Vec<_> = names.collect();
    no_twins(names.iter().map(String::as_str), "objects")
}

fn check_one(planned: &Object, object: &Value, scope: &Scope<'_>) -> Checked {
    let [api_version, kind] = ["/apiVersion", "/kind"].map(|at| json::text(object, at).to_owned());
    let kind = ObjectKind { api_version, kind };
    let said = format!("{} {}", kind.api_version, kind.kind);
    let is_announced = scope.allowed.announced.contains(&kind);
    within("object.kind", valid(is_announced, &said, "a kind that the plugin announced"))?;
    if !scope.allowed.grants.has_kind(&kind) {
        return Err(at("object.kind", Fault::NotGranted(quoted(&said))));
    }
    within("object.metadata", check_metadata(object.get("metadata").unwrap_or(&Value::Null)))?;
    let name = json::text(object, "/metadata/name");
    // The host's own would be taken for made.
    if kind.api_version == "v1" && matches!(kind.kind.as_str(), "Pod" | "Service") && scope.is_hosts(name) {
        return within("object.metadata.name", Err(forbidden(&name.into())));
    }
    let is_jobs = scope.owns(name) || (kind.kind == "ServiceAccount" && scope.is_users_account(name));
    within("object.metadata.name", valid(is_jobs, name, OF_JOB))?;
    // Whoever uses another's role, secret or claim does not know what is in it. Accounts and config maps v1 shares, too.
    let is_shared = matches!(kind.kind.as_str(), "ConfigMap" | "ServiceAccount") && kind.api_version == "v1";
    if planned.existing == ObjectExisting::UseAny && !is_shared {
        return within("existing", Err(forbidden(&"UseAny".into())));
    }
    within("object", if rbac::is_of(&kind) { rbac::check(object, scope) } else { check_content(&kind, object, scope) })
}

fn check_content(kind: &ObjectKind, object: &Value, scope: &Scope<'_>) -> Checked {
    match (kind.api_version.as_str(), kind.kind.as_str()) {
        ("v1", "ConfigMap") => {
            only(object, &["apiVersion", "binaryData", "data", "immutable", "kind", "metadata"], forbidden)
        }
        ("v1", "ServiceAccount") => {
            // Clouds give rights to accounts by their annotations.
            within("metadata", only(object.get("metadata").unwrap_or(&Value::Null), &["labels", "name"], forbidden))?;
            only(object, &["apiVersion", "automountServiceAccountToken", "kind", "metadata"], forbidden)
        }
        ("v1", "Service") => {
            within("spec", check_service(object.get("spec").unwrap_or(&Value::Null)))?;
            only(object, &["apiVersion", "kind", "metadata", "spec"], forbidden)
        }
        ("v1", "PersistentVolumeClaim") => volume::check_claim(object),
        (_, "HorizontalPodAutoscaler") => {
            let at = "/spec/scaleTargetRef";
            let target = object.pointer(at).unwrap_or(&Value::Null);
            let api_version = format!("{}/{}", scope.kind.group, scope.kind.version);
            let job = [api_version.as_str(), &scope.kind.kind, &scope.job.name];
            let is_job = ["/apiVersion", "/kind", "/name"].map(|at| json::text(target, at)) == job;
            if is_job { Ok(()) } else { within("spec.scaleTargetRef", Err(invalid(target, "the job"))) }
        }
        _ => match object.get("status") {
            Some(status) => within("status", Err(forbidden(status))),
            None => pod::check(object, scope),
        },
    }
}

/// It is reached from within the cluster, at an address that the cluster gives it.
fn check_service(spec: &Value) -> Checked {
    const FIELDS: [&str; 9] = [
        "clusterIP",
        "internalTrafficPolicy",
        "ipFamilies",
        "ipFamilyPolicy",
        "ports",
        "publishNotReadyAddresses",
        "selector",
        "sessionAffinity",
        "type",
    ];
    only(spec, &FIELDS, forbidden)?;
    for (field, harmless) in [("type", "ClusterIP"), ("clusterIP", "None")] {
        if let Some(value) = spec.get(field).filter(|value| *value != harmless) {
            return within(field, Err(forbidden(value)));
        }
    }
    each_item(spec, "ports", |port| only(port, &["appProtocol", "name", "port", "protocol", "targetPort"], forbidden))
}

/// Of the metadata a plan says name, labels and annotations; the rest is the host's and the API server's.
fn check_metadata(metadata: &Value) -> Checked {
    let name = json::text(metadata, "/name");
    within("name", valid(name::is_dns_subdomain(name), name, "a name of an object"))?;
    check_labels(metadata)
}

/// Of labels and annotations each is a plain one.
pub(super) fn check_labels(metadata: &Value) -> Checked {
    only(metadata, &["annotations", "labels", "name"], forbidden)?;
    ["labels", "annotations"].into_iter().try_for_each(|map| {
        let value = metadata.get(map).unwrap_or(&Value::Null);
        match value {
            Value::Null => Ok(()),
            Value::Object(fields) => {
                let check = |(key, value): (&String, &Value)| check_entry(map, key, value);
                within(map, fields.iter().try_for_each(check))
            }
            Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
                within(map, Err(invalid(value, "an object")))
            }
        }
    })
}

fn check_entry(map: &str, key: &str, value: &Value) -> Checked {
    let (domain, name) = key.split_once('/').unwrap_or(("", key));
    let is_domain = key.len() == name.len() || name::is_dns_subdomain(domain);
    valid(is_domain && is_label(name) && !name.is_empty(), key, "a key of labels and annotations")?;
    // Who acts on labels and annotations of others has a domain: Kubernetes, this operator, what copies and injects.
    if !domain.is_empty() {
        return Err(at("", Fault::Forbidden(quoted(key))));
    }
    let is_value = value.as_str().is_some_and(|text| map == "annotations" || is_label(text));
    if is_value { Ok(()) } else { within(key, Err(invalid(value, "a value of a label or an annotation"))) }
}

fn is_label(text: &str) -> bool {
    let is_edge = |each: Option<char>| each.is_none_or(|each| each.is_ascii_alphanumeric());
    let is_inner = |each: char| each.is_ascii_alphanumeric() || matches!(each, '-' | '_' | '.');
    text.len() <= name::MAX_LABEL
        && text.chars().all(is_inner)
        && is_edge(text.chars().next())
        && is_edge(text.chars().last())
}

/// Any other may be somebody's, who would be kept from it, or be robbed of what is in it.
pub(super) const OF_JOB: &str = "the name of the job, or that with a dash and more";
