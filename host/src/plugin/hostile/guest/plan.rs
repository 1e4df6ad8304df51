//! Plans in the layout of the canonical ABI.

use trainyard_core::contract::{Containers, Fragment, JobPlan, Mount, Object, ReplicaPlan};

use super::Data;

/// `ok` of the result of `plan`.
pub(super) fn lower(data: &mut Data, plan: &JobPlan) -> Vec<u8> {
    [
        vec![0; 4],
        data.list(&plan.replicas, lower_replica),
        vec![plan.network as u8, 0, 0, 0],
        data.list(&plan.objects, lower_object),
        data.list(&plan.ssh_keys, |data, key| data.text(key)),
    ]
    .concat()
}

fn lower_replica(data: &mut Data, plan: &ReplicaPlan) -> Vec<u8> {
    let is_lowered = plan.env.is_empty() && plan.default_command.is_none() && plan.after.is_empty();
    assert!(is_lowered, "no guest answers these");
    let nothing = |data: &mut Data| data.list::<()>(&[], |_, ()| vec![]);
    [
        data.text(&plan.replica_type),
        vec![plan.leads as u8, 0, 0, 0],
        nothing(data),
        vec![0; 32],
        data.list(&plan.init_containers, lower_fragment),
        data.list(&plan.volumes, |data, volume| data.text(volume)),
        data.list(&plan.mounts, lower_mount),
        data.option(plan.service_account.as_ref(), 8, |data, name| data.text(name)),
        nothing(data),
    ]
    .concat()
}

fn lower_mount(data: &mut Data, mount: &Mount) -> Vec<u8> {
    let to = match &mount.to {
        Containers::All => vec![0; 12],
        Containers::First => vec![1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        Containers::Named(name) => [vec![2, 0, 0, 0], data.text(name)].concat(),
    };
    [to, data.text(&mount.mount)].concat()
}

fn lower_fragment(data: &mut Data, fragment: &Fragment) -> Vec<u8> {
    assert!(fragment.fills.is_empty(), "no guest answers these");
    [data.text(&fragment.json), data.list::<()>(&[], |_, ()| vec![])].concat()
}

fn lower_object(data: &mut Data, object: &Object) -> Vec<u8> {
    [lower_fragment(data, &object.object), vec![object.existing as u8, object.while_suspended as u8, 0, 0]].concat()
}
