//! What is promised of a job's objects.

use std::collections::BTreeSet;

use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;
use serde_json::Value;
use trainyard::catalog::LoadedKind;
use trainyard_core::action::Action;
use trainyard_core::json::{items, text};
use trainyard_core::{label, name, validate};

use super::world::{World, created, key};

/// Looks at a job from its first pass to its scaling up.
pub(super) fn are_kept(kind: &LoadedKind, other: &LoadedKind, job: &Value) -> TestCaseResult {
    let mut world = World::new(kind, job);
    let first = world.pass("Pending");
    prop_assert_eq!(&first, &World::new(other, job).pass("Pending"), "another engine answers something else");
    let again = world.pass("Pending");
    prop_assert!(again.iter().all(|action| created(action).is_none()), "made twice: {:?}", again);
    world.settle();
    for object in &world.objects {
        names_are_valid(object)?;
        prop_assert_eq!(text(object, "/metadata/ownerReferences/0/uid"), "job-uid");
    }
    let unique: BTreeSet<_> = world.objects.iter().map(key).collect();
    prop_assert_eq!(unique.len(), world.objects.len(), "two objects have one name");
    services_select_their_pods(&world)?;
    accounts_and_roles_are_there(&world)?;
    for pod in world.of_kind("Pod") {
        volumes_are_there(&world, pod)?;
        hosts_are_there(&world, pod)?;
        nothing_of_the_template_is_lost(&world, pod)?;
    }
    pods_stay_when_a_job_grows(&world)
}

fn names_are_valid(object: &Value) -> TestCaseResult {
    let (kind, name) = key(object);
    match kind.as_str() {
        // A service's name is the stricter, and a pod has the same.
        "Pod" | "Service" => prop_assert_eq!(name::dns_1035_problems(&name), Vec::<String>::new(), "{} {}", kind, name),
        _ => prop_assert!(name.split('.').all(name::is_dns_label), "{} {:?}", kind, name),
    }
    for (label, value) in labels(object) {
        let is_valid =
            value.len() <= 63 && value.chars().all(|each| each.is_ascii_alphanumeric() || "-_.".contains(each));
        prop_assert!(is_valid, "{} {} has label {}: {}", kind, name, label, value);
    }
    Ok(())
}

/// The service of a pod selects that pod and no other, that of a job all its pods.
fn services_select_their_pods(world: &World<'_>) -> TestCaseResult {
    for service in world.of_kind("Service") {
        let (_, name) = key(service);
        let selector = service["spec"]["selector"].as_object().into_iter().flatten();
        let selector: BTreeSet<_> =
            selector.filter_map(|(label, value)| Some((label.as_str(), value.as_str()?))).collect();
        let selected = world.of_kind("Pod").filter(|pod| labels(pod).collect::<BTreeSet<_>>().is_superset(&selector));
        let selected: Vec<_> = selected.map(|pod| key(pod).1).collect();
        if name == text(&world.job, "/metadata/name") {
            prop_assert_eq!(selected.len(), world.of_kind("Pod").count(), "service {}", name);
        } else {
            prop_assert_eq!(selected, [name.as_str()], "service {}", name);
        }
        let ports: BTreeSet<_> = items(service, "/spec/ports").iter().map(|port| text(port, "/name")).collect();
        prop_assert!(!ports.contains("") && ports.len() == items(service, "/spec/ports").len(), "{}", service);
    }
    Ok(())
}

/// What roles are bound to, and what an autoscaler scales.
fn accounts_and_roles_are_there(world: &World<'_>) -> TestCaseResult {
    let there: BTreeSet<_> = world.objects.iter().map(key).collect();
    let is_there = |reference: &Value| {
        let named = (text(reference, "/kind").to_owned(), text(reference, "/name").to_owned());
        there.contains(&named) || named == (text(&world.job, "/kind").into(), text(&world.job, "/metadata/name").into())
    };
    for object in &world.objects {
        let references = ["/roleRef", "/spec/scaleTargetRef"].iter().filter_map(|pointer| object.pointer(pointer));
        // A user's account is none of ours.
        let subjects = items(object, "/subjects").iter().filter(|subject| text(subject, "/name") != "users");
        for reference in references.chain(subjects) {
            prop_assert!(is_there(reference), "{:?} refers to {}", key(object), reference);
        }
    }
    for pod in world.of_kind("Pod") {
        let account = text(pod, "/spec/serviceAccountName");
        let known = ["", "users"].contains(&account) || there.contains(&("ServiceAccount".into(), account.into()));
        prop_assert!(known, "{:?} has the service account {:?}", key(pod), account);
    }
    Ok(())
}

/// The volumes that containers mount, and the objects that volumes show.
fn volumes_are_there(world: &World<'_>, pod: &Value) -> TestCaseResult {
    let volumes: Vec<_> = items(pod, "/spec/volumes").iter().map(|volume| text(volume, "/name")).collect();
    prop_assert_eq!(volumes.iter().collect::<BTreeSet<_>>().len(), volumes.len(), "{:?}", volumes);
    for mount in containers(pod).flat_map(|container| items(container, "/volumeMounts")) {
        prop_assert!(volumes.contains(&text(mount, "/name")), "{:?} has no volume for {}", key(pod), mount);
    }
    for volume in items(pod, "/spec/volumes") {
        let shown = [("ConfigMap", "/configMap/name"), ("Secret", "/secret/secretName")];
        for (kind, pointer) in shown {
            let shown = text(volume, pointer);
            let is_there = ["", "users"].contains(&shown) || world.of_kind(kind).any(|object| key(object).1 == shown);
            prop_assert!(is_there, "{:?} shows the {} {:?}", key(pod), kind, shown);
        }
    }
    Ok(())
}

/// Every replica that a variable names has an address.
fn hosts_are_there(world: &World<'_>, pod: &Value) -> TestCaseResult {
    let prefix = format!("{}-", text(&world.job, "/metadata/name"));
    let there: BTreeSet<_> = world.of_kind("Service").map(|service| key(service).1).collect();
    for variable in containers(pod).flat_map(|container| items(container, "/env")) {
        let hosts = text(variable, "/value").split(|each: char| !each.is_ascii_alphanumeric() && each != '-');
        for host in hosts.filter(|word| word.starts_with(&prefix)) {
            prop_assert!(there.contains(host), "{:?} has {}", key(pod), variable);
        }
    }
    Ok(())
}

/// All that the user wrote is in the pod, in the user's order, but for the restart policy, which the replica spec names.
fn nothing_of_the_template_is_lost(world: &World<'_>, pod: &Value) -> TestCaseResult {
    let of = labels(pod).find(|(name, _)| *name == label::REPLICA_TYPE).map(|(_, value)| value).unwrap_or_default();
    let specs = world.job["spec"][&world.kind.kind.replica_specs].as_object().into_iter().flatten();
    let mut template = specs.filter(|(name, _)| name.to_lowercase() == of).map(|(_, spec)| spec["template"].clone());
    let mut template = template.next().unwrap_or_default();
    if let Some(spec) = template["spec"].as_object_mut() {
        spec.remove("restartPolicy");
    }
    for part in ["metadata", "spec"] {
        if let Err(lost) = is_in(&pod[part], &template[part], part) {
            prop_assert!(false, "{:?} lost {}", key(pod), lost);
        }
    }
    Ok(())
}

/// Fields may be added, and items at the end.
fn is_in(whole: &Value, part: &Value, path: &str) -> Result<(), String> {
    match (whole, part) {
        (Value::Object(whole), Value::Object(part)) => part.iter().try_for_each(|(name, part)| {
            let path = format!("{path}.{name}");
            is_in(whole.get(name).ok_or_else(|| path.clone())?, part, &path)
        }),
        (Value::Array(whole), Value::Array(part)) => part.iter().enumerate().try_for_each(|(index, part)| {
            let path = format!("{path}[{index}]");
            is_in(whole.get(index).ok_or_else(|| path.clone())?, part, &path)
        }),
        (whole, part) if whole == part => Ok(()),
        (whole, part) => Err(format!("{path}: {part} became {whole}")),
    }
}

/// A type that grows gets the pods that it lacks, and services for them. Nothing else is made or deleted: the pods that
/// are there keep what they were told of the job's size, as in v1.
fn pods_stay_when_a_job_grows(world: &World<'_>) -> TestCaseResult {
    let kind = &world.kind.kind;
    let types: Vec<_> = world.job["spec"][&kind.replica_specs].as_object().into_iter().flatten().collect();
    for (replica_type, spec) in types {
        let default = kind.replica_types.iter().find(|known| known.name == *replica_type).map(|known| known.replicas);
        let before = spec["replicas"].as_u64().unwrap_or_else(|| default.unwrap_or(1).into());
        let mut grown = World { kind: world.kind, job: world.job.clone(), objects: world.objects.clone() };
        grown.job["spec"][&kind.replica_specs][replica_type]["replicas"] = (before + 2).into();
        let findings = validate::of(kind, &grown.job, None, &world.kind.plugin, &world.kind.settings);
        let has_ended = items(&world.job, "/status/conditions")
            .iter()
            .any(|condition| ["Succeeded", "Failed"].contains(&text(condition, "/type")));
        if has_ended || findings.is_ok_and(|findings| !findings.errors.is_empty()) {
            continue;
        }
        let actions = grown.settle();
        let went = actions.iter().find(|action| {
            matches!(
                action,
                Action::DeletePod(_) | Action::DeleteService(_) | Action::DeleteObject(_) | Action::DeleteJob
            )
        });
        prop_assert_eq!(went, None, "{} {} grows", before, replica_type);
        let job = text(&world.job, "/metadata/name");
        let new: BTreeSet<_> =
            [before, before + 1].map(|index| format!("{job}-{}-{index}", replica_type.to_lowercase())).into();
        let made = |of_kind: &str| -> BTreeSet<_> {
            let made = actions.iter().filter_map(created).map(key).filter(|(kind, _)| kind == of_kind);
            made.map(|(_, name)| name).collect()
        };
        prop_assert_eq!(&made("Pod"), &new, "{} {} grows", before, replica_type);
        let services = made("Service");
        prop_assert!(services.is_empty() || services == new, "{} {} grows: {:?}", before, replica_type, services);
    }
    Ok(())
}

fn labels(object: &Value) -> impl Iterator<Item = (&str, &str)> {
    let labels = object["metadata"]["labels"].as_object().into_iter().flatten();
    labels.filter_map(|(name, value)| Some((name.as_str(), value.as_str()?)))
}

fn containers(pod: &Value) -> impl Iterator<Item = &Value> {
    items(pod, "/spec/initContainers").iter().chain(items(pod, "/spec/containers"))
}
