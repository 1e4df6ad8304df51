//! Volumes and mounts: what is the pod's own, the plan's own, named by the user, or granted.

use std::collections::BTreeSet;

use serde_json::Value;

use super::container::{FIELD, is_downward};
use super::scope::Scope;
use super::{Checked, each_item, forbidden, invalid, not_granted, only, valid, within};
use crate::grants;
use crate::json;
use crate::name;

pub(super) fn check(volume: &Value, scope: &Scope<'_>) -> Checked {
    let name = json::text(volume, "/name");
    within("name", valid(name::is_dns_label(name), name, "a DNS label"))?;
    let mut sources = volume.as_object().into_iter().flatten().filter(|(field, _)| *field != "name");
    sources.try_for_each(|(kind, source)| within(kind, check_source(kind, source, scope)))
}

fn check_source(kind: &str, source: &Value, scope: &Scope<'_>) -> Checked {
    let has = |fields: &[&str]| only(source, fields, not_granted);
    match kind {
        "emptyDir" => has(&["medium", "sizeLimit"]),
        "configMap" => has(&["defaultMode", "items", "name", "optional"])
            .and_then(|()| reference(source, "name", |name| scope.has_config_map(name))),
        "secret" => has(&["defaultMode", "items", "optional", "secretName"])
            .and_then(|()| reference(source, "secretName", |name| scope.has_secret(name))),
        "persistentVolumeClaim" => has(&["claimName", "readOnly"])
            .and_then(|()| reference(source, "claimName", |name| scope.has_volume_claim(name))),
        "hostPath" => reference(source, "path", |path| {
            let is_straight = path.starts_with('/') && !path.split('/').any(|step| matches!(step, "." | ".."));
            is_straight && grants::any(&scope.allowed.grants.host_paths, path)
        }),
        "downwardAPI" => each_item(source, "items", check_field),
        "projected" => each_item(source, "sources", |part| {
            let mut parts = part.as_object().into_iter().flatten();
            parts.try_for_each(|(kind, part)| within(kind, check_projected(kind, part, scope)))
        }),
        _ if scope.allowed.grants.volumes.iter().any(|granted| granted == kind) => {
            match source.get("volumeClaimTemplate") {
                Some(claim) => within("volumeClaimTemplate", check_claim(claim)),
                None => Ok(()),
            }
        }
        _ => Err(not_granted(source)),
    }
}

/// A claim, or the template of one: neither of a volume that is there nor of a copy, for what is in it is somebody's.
pub(super) fn check_claim(claim: &Value) -> Checked {
    only(claim, &["apiVersion", "kind", "metadata", "spec"], forbidden)?;
    let spec = claim.get("spec").unwrap_or(&Value::Null);
    within("spec", only(spec, &["accessModes", "resources", "storageClassName", "volumeMode"], forbidden))
}

fn check_projected(kind: &str, part: &Value, scope: &Scope<'_>) -> Checked {
    match kind {
        "configMap" => reference(part, "name", |name| scope.has_config_map(name)),
        "secret" => reference(part, "name", |name| scope.has_secret(name)),
        "downwardAPI" => each_item(part, "items", check_field),
        "serviceAccountToken" => {
            let audience = json::text(part, "/audience");
            let is_granted = grants::any(&scope.allowed.grants.token_audiences, audience);
            if is_granted { Ok(()) } else { Err(not_granted(part)) }
        }
        _ => Err(not_granted(part)),
    }
}

/// A field that names something, which has to be allowed.
pub(super) fn reference(object: &Value, field: &str, is_allowed: impl Fn(&str) -> bool) -> Checked {
    let value = object.get(field).unwrap_or(&Value::Null);
    match value.as_str() {
        Some(name) if is_allowed(name) => Ok(()),
        Some(_) | None => within(field, Err(not_granted(value))),
    }
}

/// A file of a downward volume.
fn check_field(item: &Value) -> Checked {
    match item.pointer("/fieldRef/fieldPath") {
        None => Ok(()),
        Some(Value::String(path))
            if is_downward(path) || matches!(path.as_str(), "metadata.labels" | "metadata.annotations") =>
        {
            Ok(())
        }
        Some(other) => within("fieldRef.fieldPath", Err(invalid(other, FIELD))),
    }
}

/// What a mount may say. It reaches the node, or past the volume, in no other way.
const MOUNT: [&str; 6] = ["mountPath", "name", "readOnly", "recursiveReadOnly", "subPath", "subPathExpr"];

pub(super) fn check_mount(mount: &Value, volumes: &BTreeSet<String>) -> Checked {
    only(mount, &MOUNT, not_granted)?;
    let name = json::text(mount, "/name");
    within("name", valid(volumes.contains(name), name, "a volume of the pod"))?;
    let path = json::text(mount, "/mountPath");
    let is_path = path.starts_with('/') && !path.contains(|each: char| each == ':' || each.is_control());
    within("mountPath", valid(is_path && !climbs(path), path, "an absolute path"))?;
    ["subPath", "subPathExpr"].into_iter().try_for_each(|field| {
        let path = json::text(mount, &format!("/{field}"));
        within(field, valid(!path.starts_with('/') && !climbs(path), path, "a path within the volume"))
    })
}

fn climbs(path: &str) -> bool {
    path.split('/').any(|step| step == "..")
}
