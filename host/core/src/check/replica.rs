//! What a plan adds to the pods of one replica type.

use std::collections::BTreeSet;

use serde_json::Value;

use super::container::{self, is_downward, is_env_name};
use super::scope::Scope;
use super::{CLEAN, Checked, Fault, PlanFault, at, each, is_clean, not_granted, quoted, size, valid, volume, within};
use crate::contract::{Endpoint, Env, Mount, Piece, Replica, ReplicaPlan, Value as EnvValue};
use crate::json;
use crate::name;
use crate::render;

pub(super) fn check(plan: &ReplicaPlan, scope: &Scope<'_>) -> Checked {
    let template = scope.job.replica(&plan.replica_type).map_or(&Value::Null, |spec| &spec.template);
    each(&plan.env, "env", check_env)?;
    if let Some(command) = &plan.default_command {
        let words = |words: &[String], list| each(words, list, |word| valid(is_clean(word), word, CLEAN));
        within("default_command", words(&command.command, "command").and_then(|()| words(&command.args, "args")))?;
    }
    let added = parsed(plan.volumes.iter().map(String::as_str), "volumes")?;
    each(&added, "volumes", |added| volume::check(added, scope))?;
    let volumes = unique(json::items(template, "/spec/volumes"), &added, "volumes")?;
    check_mounts(&plan.mounts, template, &volumes)?;
    let added = parsed(plan.init_containers.iter().map(|container| container.json.as_str()), "init_containers")?;
    let containers = container::Containers { scope, volumes: &volumes, replica_type: Some(&plan.replica_type) };
    each(&added, "init_containers", |added| containers.check(added))?;
    each(&plan.init_containers, "init_containers", |container| each(&container.fills, "fills", container::check_fill))?;
    let theirs = ["/spec/containers", "/spec/initContainers"].map(|list| json::items(template, list));
    unique(&theirs.concat(), &added, "init_containers")?;
    // The user's own goes before it.
    let asked = plan.service_account.as_deref().filter(|_| json::text(template, "/spec/serviceAccountName").is_empty());
    match asked.filter(|account| !scope.has_service_account(account)) {
        Some(account) => within("service_account", Err(not_granted(&account.into()))),
        None => Ok(()),
    }
}

/// Gates lead to other types, and nobody waits for himself in the end: such a job would never have a pod.
pub(super) fn check_gates(plans: &[ReplicaPlan]) -> Checked {
    each(plans, "replicas", |plan| {
        each(&plan.after, "after", |gate| {
            let is_other = gate.replica_type != plan.replica_type;
            let is_other = is_other && plans.iter().any(|other| other.replica_type == gate.replica_type);
            within("replica_type", valid(is_other, &gate.replica_type, "another replica type of the job"))
        })
    })?;
    let mut waiting: Vec<&ReplicaPlan> = plans.iter().collect();
    loop {
        let names: BTreeSet<_> = waiting.iter().map(|plan| &plan.replica_type).collect();
        let before = waiting.len();
        waiting.retain(|plan| plan.after.iter().any(|gate| names.contains(&gate.replica_type)));
        match waiting.first() {
            None => return Ok(()),
            Some(plan) if waiting.len() == before => {
                let (value, expected) =
                    (quoted(&plan.replica_type), "a type whose gates can open: they lead in a circle");
                return Err(at("replicas", Fault::Invalid { value, expected }));
            }
            Some(_) => {}
        }
    }
}

fn check_env(env: &Env) -> Checked {
    within("name", valid(is_env_name(&env.name), &env.name, container::ENV_NAME))?;
    within(
        "value",
        match &env.value {
            EnvValue::Text(pieces) => each(pieces, "text", check_piece),
            EnvValue::Field(field) => valid(is_downward(field), field, container::FIELD),
        },
    )
}

pub(super) fn check_piece(piece: &Piece) -> Checked {
    let clean = |text: &str| valid(is_clean(text), text, CLEAN);
    match piece {
        Piece::Literal(text) => clean(text),
        Piece::Each(all) => [&all.before, &all.after, &all.separator].into_iter().try_for_each(|text| clean(text)),
        Piece::Host(Endpoint { replica: Replica::At(id), .. }) | Piece::Port(Replica::At(id)) => {
            valid(name::is_dns_label(&id.replica_type.to_lowercase()), &id.replica_type, "a replica type")
        }
        Piece::Rank(_) | Piece::Host(Endpoint { replica: Replica::This, .. }) | Piece::Port(Replica::This) => Ok(()),
    }
}

/// A mount is of a volume that the pod has, and where the container has none.
fn check_mounts(mounts: &[Mount], template: &Value, volumes: &BTreeSet<String>) -> Checked {
    let added = parsed(mounts.iter().map(|mount| mount.mount.as_str()), "mounts")?;
    each(&added, "mounts", |mount| within("mount", volume::check_mount(mount, volumes)))?;
    let containers = json::items(template, "/spec/containers");
    for (position, container) in containers.iter().enumerate() {
        let path = |mount: &Value| json::text(mount, "/mountPath").trim_end_matches('/').to_owned();
        let mut taken: BTreeSet<_> = json::items(container, "/volumeMounts").iter().map(path).collect();
        for (index, (mount, added)) in mounts.iter().zip(&added).enumerate() {
            if render::is_meant(&mount.to, containers, position) && !taken.insert(path(added)) {
                let path = json::text(added, "/mountPath");
                return Err(at(&format!("mounts[{index}].mount.mountPath"), Fault::Twice(quoted(path))));
            }
        }
    }
    Ok(())
}

fn parsed<'a>(texts: impl Iterator<Item = &'a str>, list: &str) -> Result<Vec<Value>, PlanFault> {
    let parse =
        |(index, text)| size::parse(text).map_err(|fault| PlanFault { path: format!("{list}[{index}]"), ..fault });
    texts.enumerate().map(parse).collect()
}

/// The names of what is there and of what is added; nothing that is added takes another's.
fn unique(there: &[Value], added: &[Value], list: &str) -> Result<BTreeSet<String>, PlanFault> {
    let name = |value: &Value| json::text(value, "/name").to_owned();
    let mut names: BTreeSet<_> = there.iter().map(name).collect();
    for (index, value) in added.iter().enumerate() {
        if !names.insert(name(value)) {
            return Err(at(&format!("{list}[{index}].name"), Fault::Twice(quoted(&name(value)))));
        }
    }
    Ok(names)
}
