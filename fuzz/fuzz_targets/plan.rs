//! Edits of a plan that asks for much: the checker always ends with the same answer, says what is wrong in a line, and lets
//! in nothing that was not granted.
#![no_main]

use std::collections::BTreeSet;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use serde_json::{Value, json};
use trainyard_core::check::{self, Allowed};
use trainyard_core::contract::{JobPlan, Kind, ObjectKind};
use trainyard_core::fill::{Addresses, Filler};
use trainyard_core::grants::Grants;
use trainyard_core::job::Job;
use trainyard_fuzz::assert_plain;

/// A kind, a job of it, what its plugin announces, and a good plan.
static WORLD: LazyLock<Value> =
    LazyLock::new(|| serde_json::from_str(include_str!("../plan.json")).expect("it is JSON"));
static KIND: LazyLock<Kind> = LazyLock::new(|| serde_json::from_value(WORLD["kind"].clone()).expect("a kind"));
static JOB: LazyLock<Job> = LazyLock::new(|| Job::parse(&KIND, &WORLD["job"]).expect("a job"));
static ANNOUNCED: LazyLock<Vec<ObjectKind>> =
    LazyLock::new(|| serde_json::from_value(WORLD["announced"].clone()).expect("kinds"));
/// What takes the place of anything.
static WORDS: LazyLock<Vec<Value>> = LazyLock::new(|| WORLD["words"].as_array().cloned().expect("a list"));

fuzz_target!(|data: &[u8]| {
    let mut edited = WORLD["plan"].clone();
    let (edits, text) = data.split_at(data.len().min(24));
    let text = String::from_utf8_lossy(text);
    for edit in edits.chunks_exact(3) {
        let &[place, how, word] = edit else { continue };
        let word = WORDS.get(usize::from(word)).cloned().unwrap_or_else(|| json!(text));
        let count = nodes(&mut edited, usize::MAX, &mut |_| ());
        nodes(&mut edited, usize::from(place) * 2 % count, &mut |node| replace(node, how, &word));
    }
    let Ok(plan) = serde_json::from_value::<JobPlan>(edited) else { return };
    let addresses = Addresses::Cluster { domain: None };
    let running = BTreeSet::from(["train-worker-0".to_owned()]);
    let filler = Filler { kind: &KIND, job: &JOB, network: plan.network, addresses: &addresses, running: &running };
    let (grants, settings) = (Grants::default(), json!({"image": "settings/image:1"}));
    let allowed = Allowed { announced: &ANNOUNCED, grants: &grants, settings: &settings };
    let checked = check::plan(&plan, &filler, allowed);
    assert_eq!(checked, check::plan(&plan, &filler, allowed), "the same twice");
    match checked {
        Err(fault) if edits.len() < 3 => panic!("the plan is good, and yet {fault}"),
        Err(fault) => assert_plain(&fault.to_string()),
        Ok(()) => assert_safe(&plan),
    }
});

/// Of all values in a tree, and in the JSON of its texts, acts on the one of that number. Answers how many there are.
fn nodes(tree: &mut Value, wanted: usize, act: &mut dyn FnMut(&mut Value)) -> usize {
    let mut seen = 1;
    match tree {
        Value::Array(items) => items.iter_mut().for_each(|item| seen += nodes(item, wanted.wrapping_sub(seen), act)),
        Value::Object(fields) => {
            fields.values_mut().for_each(|item| seen += nodes(item, wanted.wrapping_sub(seen), act))
        }
        Value::String(text) if text.starts_with('{') => {
            if let Ok(mut inner) = serde_json::from_str::<Value>(text) {
                seen += nodes(&mut inner, wanted.wrapping_sub(seen), act);
                *text = inner.to_string();
            }
        }
        _ => {}
    }
    if wanted == 0 {
        act(tree);
    }
    seen
}

/// Puts a word in its place, into it, or it in there twice.
fn replace(node: &mut Value, how: u8, word: &Value) {
    match (how % 3, &mut *node, word) {
        (1, Value::Object(fields), Value::Object(more)) => fields.extend(more.clone()),
        (1, Value::Array(items), _) => items.push(word.clone()),
        (2, Value::Array(items), _) => items.extend(items.clone()),
        _ => *node = word.clone(),
    }
}

/// What needs a grant is in nothing that was let in without one.
fn assert_safe(plan: &JobPlan) {
    for replica in &plan.replicas {
        for volume in &replica.volumes {
            let volume: Value = serde_json::from_str(volume).expect("it was read");
            assert!(volume.get("hostPath").is_none_or(Value::is_null), "{volume}");
        }
        for container in &replica.init_containers {
            let container: Value = serde_json::from_str(&container.json).expect("it was read");
            let context = &container["securityContext"];
            assert!(context["privileged"] != json!(true), "{container}");
            assert!(
                context.pointer("/capabilities/add").is_none_or(|add| add.is_null() || add == &json!([])),
                "{container}"
            );
        }
    }
    for object in &plan.objects {
        let object: Value = serde_json::from_str(&object.object.json).expect("it was read");
        assert!(object["kind"] == "ConfigMap", "{object}");
        assert!(object.pointer("/metadata/namespace").is_none_or(|it| it.is_null() || it == "ns"), "{object}");
        assert!(object.pointer("/metadata/ownerReferences").is_none_or(Value::is_null), "{object}");
    }
}
