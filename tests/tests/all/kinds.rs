//! The kinds of the bundled plugins, loaded once for all tests of this process, and a good job of each.

use std::num::NonZeroU32;
use std::sync::{Arc, LazyLock};

use serde_json::{Map, Value, json};
use trainyard::catalog::{Catalog, LoadedKind, Needs};
use trainyard::plugin::{Compiler, Engine};
use trainyard_core::validate;

/// On an engine of its own.
pub(crate) fn load() -> Vec<Arc<LoadedKind>> {
    let engine = Engine::new(const { NonZeroU32::new(16).unwrap() }, Compiler::Here).unwrap();
    Catalog::load(&engine, &[], &[], &Needs::All).unwrap().kinds().to_vec()
}

/// The same for all who ask.
pub(crate) fn all() -> &'static [Arc<LoadedKind>] {
    static KINDS: LazyLock<Vec<Arc<LoadedKind>>> = LazyLock::new(load);
    &KINDS
}

/// One replica of as many types as nobody objects to; `metadata` is that of every template.
pub(crate) fn good_job(kind: &LoadedKind, name: &str, metadata: &Value) -> Value {
    let container = json!({"name": kind.kind.container, "image": "train:1.0"});
    let spec = json!({"replicas": 1, "template": {"metadata": metadata, "spec": {"containers": [container]}}});
    let types = &kind.kind.replica_types;
    let mut subsets: Vec<u32> = (1..1 << types.len()).collect();
    subsets.sort_by_key(|subset| std::cmp::Reverse(subset.count_ones()));
    let jobs = subsets.into_iter().map(|subset| {
        let chosen = types.iter().enumerate().filter(|(index, _)| subset & (1 << index) != 0);
        let specs: Map<_, _> = chosen.map(|(_, known)| (known.name.clone(), spec.clone())).collect();
        json!({
            "apiVersion": kind.api_version(),
            "kind": kind.kind.kind,
            "metadata": {"name": name},
            "spec": {&kind.kind.replica_specs: specs},
        })
    });
    let is_good = |job: &Value| {
        validate::of(&kind.kind, job, None, &kind.plugin, &kind.settings).is_ok_and(|found| found.errors.is_empty())
    };
    jobs.into_iter().find(is_good).unwrap_or_else(|| panic!("there is no good {}", kind.kind.kind))
}
