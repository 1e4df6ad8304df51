use trainyard_plugin::serde_json::{Value, json};
use trainyard_plugin::testing::{defaulted, env as env_of, observed, submitted, told, total};
use trainyard_plugin::{Total, Verdict};

use super::*;

fn replicas(number: u32) -> Value {
    json!({"replicas": number, "template": {"spec": {"containers": [{"name": "jax", "image": "train:1.0"}]}}})
}

fn job(specs: Value) -> Value {
    json!({"kind": "JAXJob", "metadata": {"name": "train", "namespace": "ns"}, "spec": {"jaxReplicaSpecs": specs}})
}

fn with_workers(workers: u32, change: impl FnOnce(&mut Value)) -> Value {
    let mut worker = replicas(workers);
    change(&mut worker);
    job(json!({"Worker": worker}))
}

#[test]
fn the_environment_is_that_of_v1() {
    let own_port = |name: &str| {
        let ports = json!([{"name": name, "containerPort": 1234}]);
        with_workers(2, |worker| worker["template"]["spec"]["containers"][0]["ports"] = ports)
    };
    for (name, object, index, expected) in [
        ("alone", with_workers(1, |_| ()), 0, "COORDINATOR_PORT=6666 $AT NUM_PROCESSES=1 PROCESS_ID=0"),
        ("a worker", with_workers(3, |_| ()), 2, "COORDINATOR_PORT=6666 $AT NUM_PROCESSES=3 PROCESS_ID=2"),
        ("the user's port", own_port("jaxjob-port"), 1, "COORDINATOR_PORT=1234 $AT NUM_PROCESSES=2 PROCESS_ID=1"),
        ("another port", own_port("other"), 1, "COORDINATOR_PORT=6666 $AT NUM_PROCESSES=2 PROCESS_ID=1"),
    ] {
        let job = defaulted::<Jax>(&object, &json!({}));
        let plan = Jax::plan(&job).unwrap();
        let expected = expected.replace("$AT", "COORDINATOR_ADDRESS=train-worker-0");
        let found = env_of(&job, &plan, WORKER, index).join(" ");
        assert_eq!(found, format!("PYTHONUNBUFFERED=1 {expected}"), "{name}");
        assert_eq!(plan.replicas[0].leads, Which::First, "{name}");
    }
}

#[test]
fn each_rule_is_told_as_v1_tells_it() {
    let containers = |problem| format!("spec.jaxReplicaSpecs[Worker].template.spec.containers{problem}");
    let unnamed = containers(": Required value: must have at least one container with name jax");
    let with = |containers| with_workers(1, |worker| worker["template"]["spec"]["containers"] = containers);
    let none = "spec.jaxReplicaSpecs: Required value: must be required";
    let master = r#"spec.jaxReplicaSpecs[Master]: Unsupported value: "Master": supported values: "Worker""#;
    for (object, expected) in [
        (with_workers(1, |_| ()), vec![]),
        (with_workers(0, |_| ()), vec![]),
        (job(json!(null)), vec![none.into()]),
        (job(json!({})), vec![]), // the host sees to that
        (job(json!({"Master": replicas(1)})), vec![master.into()]),
        (with(json!([])), vec![containers(": Required value: must be specified"), unnamed.clone()]),
        (with(json!([{"name": "jax", "image": ""}])), vec![containers("[0].image: Required value: must be required")]),
        (with(json!([{"name": "", "image": "train:1.0"}])), vec![unnamed]),
    ] {
        assert_eq!(told(&Jax::validate(&submitted::<Jax>(&object, &json!({})), None)), expected, "{object}");
    }
}

#[test]
fn what_the_pods_mean() {
    let running = || Verdict::Running("JAXJob ns/train is running.".into());
    let done = || Verdict::Succeeded("JAXJob ns/train successfully completed.".into());
    let failed = || verdict::failed("JAXJob train is failed because 1 Worker replica(s) failed.".into());
    let restarting = || Verdict::Restarting("JAXJob train is restarting because 1 Worker replica(s) failed.".into());
    for (name, policy, [active, succeeded, failures], expected) in [
        ("all pending", "", [0, 0, 0], vec![]),
        ("one runs", "", [1, 0, 0], vec![running()]),
        ("one is done", "", [0, 1, 0], vec![]),
        ("one is done, one runs", "", [1, 1, 0], vec![running()]),
        ("all are done", "", [0, 2, 0], vec![done()]),
        ("one fails", "", [1, 0, 1], vec![running(), failed()]),
        ("one fails after the other is done", "", [0, 1, 1], vec![failed()]),
        ("one is evicted", "OnFailure", [1, 0, 1], vec![running(), restarting()]),
        ("one is killed", "ExitCode", [0, 0, 1], vec![restarting()]),
    ] {
        let object = with_workers(2, |worker| worker["restartPolicy"] = policy.into());
        let job = defaulted::<Jax>(&object, &json!({}));
        let workers = Total { active, succeeded, failed: failures, ..total(WORKER, 2) };
        assert_eq!(Jax::assess(&job, &observed([workers])), expected.into(), "{name}");
    }
}
