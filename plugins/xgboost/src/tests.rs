use trainyard_plugin::Total;
use trainyard_plugin::serde_json::{Value, json};
use trainyard_plugin::testing::{defaulted, env as env_of, observed, submitted, told, total};

use super::*;

fn replicas(number: u32) -> Value {
    json!({"replicas": number, "template": {"spec": {"containers": [{"name": "xgboost", "image": "train:1.0"}]}}})
}

fn job(specs: Value) -> Value {
    json!({"kind": "XGBoostJob", "metadata": {"name": "train", "namespace": "ns"}, "spec": {"xgbReplicaSpecs": specs}})
}

fn with_workers(workers: u32) -> Value {
    job(json!({"Master": replicas(1), "Worker": replicas(workers)}))
}

fn changed(mut object: Value, change: impl FnOnce(&mut Value)) -> Value {
    change(&mut object["spec"]["xgbReplicaSpecs"]);
    object
}

#[test]
fn the_environment_is_that_of_v1() {
    let own_port = changed(with_workers(1), |specs| {
        let ports = json!([{"name": "xgboostjob-port", "containerPort": 9991}]);
        specs["Worker"]["template"]["spec"]["containers"][0]["ports"] = ports;
    });
    let to_master = "MASTER_PORT=9999 MASTER_ADDR=train-master-0";
    let two = "PYTHONUNBUFFERED=1 WORKER_PORT=9999 WORKER_ADDRS=train-worker-0,train-worker-1";
    for (name, object, (replica_type, index), expected) in [
        (
            "alone",
            job(json!({"Master": replicas(1)})),
            (MASTER, 0),
            format!("{to_master} WORLD_SIZE=1 RANK=0 PYTHONUNBUFFERED=1"),
        ),
        ("the master", with_workers(2), (MASTER, 0), format!("{to_master} WORLD_SIZE=3 RANK=0 {two}")),
        ("a worker", with_workers(2), (WORKER, 1), format!("{to_master} WORLD_SIZE=3 RANK=2 {two}")),
        (
            "the user's port",
            own_port,
            (WORKER, 0),
            format!("{to_master} WORLD_SIZE=2 RANK=1 PYTHONUNBUFFERED=1 WORKER_PORT=9991 WORKER_ADDRS=train-worker-0"),
        ),
    ] {
        let job = defaulted::<XGBoost>(&object, &json!({}));
        let plan = XGBoost::plan(&job).unwrap();
        assert_eq!(env_of(&job, &plan, replica_type, index).join(" "), expected, "{name}");
        let leads: Vec<_> = plan.replicas.iter().map(|each| each.leads).collect();
        assert_eq!(leads, [Which::All, Which::None][..leads.len()], "{name}");
    }
}

#[test]
fn each_rule_is_told_as_v1_tells_it() {
    let broken = |change: fn(&mut Value)| changed(with_workers(1), change);
    let master = "spec.xgbReplicaSpecs[Master]";
    for (object, expected) in [
        (with_workers(0), vec![]),
        (
            job(json!(null)),
            vec![
                "spec.xgbReplicaSpecs: Required value: must be required".into(),
                format!("{master}: Required value: must be present"),
            ],
        ),
        (job(json!({})), vec![format!("{master}: Required value: must be present")]),
        (job(json!({"Worker": replicas(1)})), vec![format!("{master}: Required value: must be present")]),
        (
            broken(|specs| specs["Chief"] = replicas(1)),
            vec![
                r#"spec.xgbReplicaSpecs[Chief]: Unsupported value: "Chief": supported values: "Master", "Worker""#
                    .into(),
            ],
        ),
        (
            broken(|specs| specs["Master"]["replicas"] = json!(null)),
            vec![format!("{master}.replicas: Forbidden: must be 1")],
        ),
        (
            broken(|specs| specs["Master"]["template"]["spec"]["containers"] = json!([])),
            vec![
                format!("{master}.template.spec.containers: Required value: must be specified"),
                format!(
                    "{master}.template.spec.containers: Required value: must have at least one container with name xgboost"
                ),
            ],
        ),
        (
            broken(|specs| specs["Master"]["template"]["spec"]["containers"][0]["image"] = json!("")),
            vec![format!("{master}.template.spec.containers[0].image: Required value: must be required")],
        ),
    ] {
        assert_eq!(told(&XGBoost::validate(&submitted::<XGBoost>(&object, &json!({})), None)), expected, "{object}");
    }
}

#[test]
fn what_the_pods_mean() {
    let running = || Verdict::Running("XGBoostJob train is running.".into());
    let restarting =
        |of: &str| Verdict::Restarting(format!("XGBoostJob train is restarting because 1 {of} replica(s) failed."));
    let failed = |of: &str| verdict::failed(format!("XGBoostJob train is failed because 1 {of} replica(s) failed."));
    let done = Verdict::Succeeded("XGBoostJob train is successfully completed.".into());
    let policy = |policy: &str| {
        changed(with_workers(2), |specs| {
            for replica_type in [MASTER, WORKER] {
                specs[replica_type]["restartPolicy"] = policy.into();
            }
        })
    };
    let master = |active, succeeded, failed| Total { active, succeeded, failed, ..total(MASTER, 1) };
    let worker = |active, succeeded, failed| Total { active, succeeded, failed, ..total(WORKER, 2) };
    for (name, object, totals, expected) in [
        ("all pending", with_workers(2), vec![worker(0, 0, 0), master(0, 0, 0)], vec![]),
        ("only workers run", with_workers(2), vec![worker(2, 0, 0), master(0, 0, 0)], vec![]),
        ("the master runs", with_workers(2), vec![worker(0, 1, 0), master(1, 0, 0)], vec![running()]),
        ("the master is done", with_workers(2), vec![worker(1, 0, 1), master(0, 1, 0)], vec![running(), done]),
        ("a worker fails", with_workers(2), vec![worker(1, 0, 1), master(0, 0, 0)], vec![running(), failed(WORKER)]),
        ("both fail", with_workers(2), vec![worker(1, 0, 1), master(0, 0, 1)], vec![running(), failed(MASTER)]),
        (
            "a worker is evicted",
            policy("OnFailure"),
            vec![worker(1, 0, 1), master(1, 0, 0)],
            vec![running(), restarting(WORKER)],
        ),
        (
            "both are killed",
            policy("ExitCode"),
            vec![worker(1, 0, 1), master(0, 0, 1)],
            vec![running(), restarting(MASTER), restarting(WORKER)],
        ),
    ] {
        let job = defaulted::<XGBoost>(&object, &json!({}));
        assert_eq!(XGBoost::assess(&job, &observed(totals)), expected.into(), "{name}");
    }
}
