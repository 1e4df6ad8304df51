//! What the contract promises of every bundled plugin, on the real engine: the same answer each time, and as large and as
//! costly for ten thousand replicas as for one.

use std::num::NonZeroU32;

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::json;
use trainyard::bundled::BUNDLED;
use trainyard::plugin::{Compiler, Engine, Limits, Plugin};
use trainyard_core::contract::{Context, Kind};
use trainyard_core::job::Job;
use trainyard_core::json::merge;

/// Replicas of the largest type.
const SIZES: [u32; 5] = [1, 8, 64, 512, 10_000];
/// What digits alone may make of an answer, in bytes, and of its cost.
const DIGITS: usize = 64;
const FUEL: f64 = 0.05;

fn plugins() -> Result<Vec<Plugin>> {
    let engine = Engine::new(NonZeroU32::MIN, Compiler::Here)?;
    BUNDLED.iter().map(|bundled| Ok(Plugin::load(&engine, bundled.component, Limits::default())?)).collect()
}

/// Commands load a plugin by what `plugins/bundled` says of it.
#[test]
fn a_bundled_plugin_is_listed_with_its_kinds() -> Result<()> {
    for (bundled, plugin) in BUNDLED.iter().zip(plugins()?) {
        let description = plugin.description();
        let kinds = description.kinds.iter().map(|kind| format!("{}/{}/{}", kind.group, kind.version, kind.kind));
        assert_eq!(
            (bundled.name, bundled.kinds.to_vec()),
            (&*description.name, kinds.collect::<Vec<_>>().iter().map(String::as_str).collect())
        );
    }
    Ok(())
}

/// One replica of every type that users know, but for the last; without a type that has no place beside the others.
fn context(plugin: &Plugin, kind: &Kind, replicas: u32) -> Result<Context> {
    let all: Vec<_> = kind.replica_types.iter().map(|known| known.name.as_str()).collect();
    let without = |odd: &str| all.iter().copied().filter(|each| *each != odd).collect();
    let choices = [all.clone()].into_iter().chain(all.iter().map(|odd| without(odd)));
    for types in choices {
        let context = context_of(kind, &types, replicas)?;
        if plugin.validate(&context, None)?.is_empty() {
            return Ok(context);
        }
    }
    bail!("{} accepts no job", kind.kind)
}

fn context_of(kind: &Kind, types: &[&str], replicas: u32) -> Result<Context> {
    let containers = json!([{"name": kind.container, "image": "train:1.0"}]);
    let spec = |replicas| json!({"replicas": replicas, "template": {"spec": {"containers": containers}}});
    let mut types: Vec<_> = types.iter().map(|&name| (name.to_owned(), spec(1))).collect();
    types.last_mut().context("a kind without replica types")?.1 = spec(replicas);
    let types: serde_json::Map<_, _> = types.into_iter().collect();
    let mut object = json!({
        "apiVersion": format!("{}/{}", kind.group, kind.version),
        "kind": kind.kind,
        "metadata": {"name": "train", "namespace": "ml", "uid": "1"},
    });
    merge(&mut object, &json!({"spec": {&kind.replica_specs: types}}));
    Ok(Job::parse(kind, &object).map_err(|error| anyhow::anyhow!("{error}"))?.context(&json!({})))
}

#[test]
fn a_plan_is_the_same_each_time() -> Result<()> {
    let (one, other) = (plugins()?, plugins()?);
    for (one, other) in one.iter().zip(&other) {
        for kind in &one.description().kinds {
            let context = context(one, kind, 3)?;
            assert_eq!(one.plan(&context)?, other.plan(&context)?, "{}", kind.kind);
        }
    }
    Ok(())
}

#[test]
fn a_plan_does_not_grow_with_the_job() -> Result<()> {
    for plugin in plugins()? {
        for kind in &plugin.description().kinds {
            let mut first = None;
            for size in SIZES {
                let context = context(&plugin, kind, size)?;
                let before = plugin.counters().fuel();
                let bytes = serde_json::to_vec(&plugin.plan(&context)?)?.len();
                #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
                let fuel = (plugin.counters().fuel() - before) as f64;
                let (least, cost) = *first.get_or_insert((bytes, fuel));
                ensure!(bytes <= least + DIGITS, "{}: {bytes} bytes for {size}, {least} for 1", kind.kind);
                ensure!(fuel <= cost * (1.0 + FUEL), "{}: fuel {fuel} for {size}, {cost} for 1", kind.kind);
            }
        }
    }
    Ok(())
}
