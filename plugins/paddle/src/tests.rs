use trainyard_plugin::serde_json::{Map, from_str};
use trainyard_plugin::testing::{defaulted, env as env_of, observed, submitted, told, total};
use trainyard_plugin::{Total, Verdict};

use super::*;

fn replicas(number: u32) -> Value {
    json!({"replicas": number, "template": {"spec": {"containers": [{"name": "paddle", "image": "train:1.0"}]}}})
}

fn job(specs: Value) -> Value {
    json!({"kind": "PaddleJob", "metadata": {"name": "p", "namespace": "ns"}, "spec": {"paddleReplicaSpecs": specs}})
}

fn changed(mut object: Value, change: impl FnOnce(&mut Value)) -> Value {
    change(&mut object["spec"]);
    object
}

#[test]
fn the_environment_is_that_of_v1() {
    let workers = job(json!({"Worker": replicas(2)}));
    let servers = job(json!({"Master": replicas(2), "Worker": replicas(2)}));
    let own_port = |object: &Value, replica_type: &str, port: u16| {
        changed(object.clone(), |spec| {
            let ports = json!([{"name": "master", "containerPort": port}]);
            spec["paddleReplicaSpecs"][replica_type]["template"]["spec"]["containers"][0]["ports"] = ports;
        })
    };
    let own = |port: u16| format!("POD_IP_DUMMY<-status.podIP PADDLE_MASTER=$(POD_IP_DUMMY):{port}");
    let other_port = own_port(&workers, WORKER, 37777);
    for (name, object, (replica_type, index), count, expected) in [
        ("the first worker", &workers, (WORKER, 0), 2, own(36543)),
        ("another worker", &workers, (WORKER, 1), 2, "PADDLE_MASTER=p-worker-0:36543".into()),
        ("the first master", &servers, (MASTER, 0), 4, format!("{} PADDLE_SERVER_NUM=1", own(36543))),
        ("another master", &servers, (MASTER, 1), 4, "PADDLE_MASTER=p-master-0:36543 PADDLE_SERVER_NUM=1".into()),
        ("a trainer", &servers, (WORKER, 0), 4, "PADDLE_MASTER=p-master-0:36543 PADDLE_TRAINER_NUM=1".into()),
        ("the user's port", &other_port, (WORKER, 0), 2, own(37777)),
        ("the user's port, elsewhere", &other_port, (WORKER, 1), 2, "PADDLE_MASTER=p-worker-0:37777".into()),
        (
            "the port of the master counts",
            &own_port(&servers, WORKER, 1),
            (WORKER, 0),
            4,
            "PADDLE_MASTER=p-master-0:36543 PADDLE_TRAINER_NUM=1".into(),
        ),
    ] {
        let job = defaulted::<Paddle>(object, &json!({}));
        let plan = Paddle::plan(&job).unwrap();
        let expected = format!("PYTHONUNBUFFERED=1 PADDLE_JOB_ID=p PADDLE_NNODES={count} {expected}");
        assert_eq!(env_of(&job, &plan, replica_type, index).join(" "), expected, "{name}");
        let leads: Vec<_> = plan.replicas.iter().map(|each| (&*each.replica_type, each.leads)).collect();
        let expected = [(MASTER, Which::All), (WORKER, Which::None)];
        assert_eq!(leads, expected[2 - leads.len()..], "{name}");
    }
}

#[test]
fn an_elastic_policy_gets_its_bounds_and_changes_nothing() {
    let with = |policy: Value, specs: Value| changed(job(specs), |spec| spec["elasticPolicy"] = policy);
    let workers = || json!({"Worker": replicas(2)});
    let bounds = |min: u32, max: u32| json!({"spec": {"elasticPolicy": {"minReplicas": min, "maxReplicas": max}}});
    for (object, expected) in [
        (job(workers()), json!({})),
        (with(json!({}), workers()), bounds(2, 2)),
        (with(json!({"minReplicas": 1}), workers()), bounds(1, 1)),
        (with(json!({"maxReplicas": 4}), workers()), bounds(4, 4)),
        (with(json!({"minReplicas": 1, "maxReplicas": 4}), workers()), bounds(1, 4)),
        // v1 dies of this one.
        (with(json!({"maxRestarts": 3, "metrics": []}), json!({"Master": replicas(1)})), bounds(0, 0)),
    ] {
        assert_eq!(Paddle::default(&submitted::<Paddle>(&object, &json!({}))), Ok(expected), "{object}");
    }
    let plan = |object| Paddle::plan(&defaulted::<Paddle>(&object, &json!({})));
    assert_eq!(plan(with(json!({"minReplicas": 1, "metrics": [{"type": "Pods"}]}), workers())), plan(job(workers())));
}

#[test]
fn each_rule_is_told_as_v1_tells_it() {
    let containers = |problem| format!("spec.paddleReplicaSpecs[Worker].template.spec.containers{problem}");
    let unnamed = containers(r#": Required value: must have at least one container with name "paddle""#);
    let with = |containers: Value| {
        changed(job(json!({"Worker": replicas(2)})), |spec| {
            spec["paddleReplicaSpecs"]["Worker"]["template"]["spec"]["containers"] = containers;
        })
    };
    let none = "spec.paddleReplicaSpecs: Required value: must be required";
    let server =
        r#"spec.paddleReplicaSpecs[PS]: Unsupported value: "PS": supported values: "Master", "Worker""#.to_owned();
    for (object, expected) in [
        (job(json!({"Worker": replicas(2)})), vec![]),
        (job(json!({"Master": replicas(2), "Worker": replicas(0)})), vec![]),
        (job(json!(null)), vec![none.into()]),
        (job(json!({})), vec![]), // the host sees to that
        (job(json!({"PS": replicas(1)})), vec![server]),
        (with(json!([])), vec![containers(": Required value: must be specified"), unnamed.clone()]),
        (
            with(json!([{"name": "paddle", "image": ""}])),
            vec![containers("[0].image: Required value: must be required")],
        ),
        (with(json!([{"name": "main", "image": "train:1.0"}])), vec![unnamed]),
    ] {
        assert_eq!(told(&Paddle::validate(&submitted::<Paddle>(&object, &json!({})), None)), expected, "{object}");
    }
}

#[test]
fn what_the_pods_mean() {
    let running = |of: &str| Verdict::Running(format!("PaddleJob {of} is running."));
    let restarting =
        |of: &str| Verdict::Restarting(format!("PaddleJob p is restarting because 1 {of} replica(s) failed."));
    let failed = |of: &str| verdict::failed(format!("PaddleJob p is failed because 1 {of} replica(s) failed."));
    let workers = job(json!({"Worker": replicas(2)}));
    let servers = job(json!({"Master": replicas(2), "Worker": replicas(2)}));
    let never = changed(servers.clone(), |spec| {
        for replica_type in [MASTER, WORKER] {
            spec["paddleReplicaSpecs"][replica_type]["restartPolicy"] = "Never".into();
        }
    });
    let elastic = changed(workers.clone(), |spec| spec["elasticPolicy"] = json!({}));
    let master = |active, succeeded, failed| Total { active, succeeded, failed, ..total(MASTER, 2) };
    let worker = |active, succeeded, failed| Total { active, succeeded, failed, ..total(WORKER, 2) };
    let done = |words: &str| Verdict::Succeeded(format!("PaddleJob {words} successfully completed."));
    for (name, object, totals, expected) in [
        ("all pending", &servers, vec![master(0, 0, 0), worker(0, 0, 0)], vec![]),
        ("a master runs", &servers, vec![master(1, 0, 0), worker(0, 0, 0)], vec![running("p")]),
        ("only workers run", &servers, vec![master(0, 0, 0), worker(2, 0, 0)], vec![]),
        ("one master is done", &servers, vec![master(1, 1, 0), worker(0, 2, 0)], vec![running("p")]),
        ("the masters are done", &servers, vec![master(0, 2, 0), worker(1, 0, 1)], vec![done("p is")]),
        ("a worker fails", &servers, vec![master(2, 0, 0), worker(1, 0, 1)], vec![running("p"), restarting(WORKER)]),
        ("for good", &never, vec![master(2, 0, 0), worker(1, 0, 1)], vec![running("p"), failed(WORKER)]),
        ("both for good", &never, vec![master(1, 0, 1), worker(1, 0, 1)], vec![running("p"), failed(MASTER)]),
        ("a worker runs, without master", &workers, vec![worker(1, 1, 0)], vec![running("ns/p")]),
        ("all workers are done", &workers, vec![worker(0, 2, 0)], vec![done("ns/p")]),
        ("one elastic worker is done", &elastic, vec![worker(1, 1, 0)], vec![running("ns/p")]),
    ] {
        let job = defaulted::<Paddle>(object, &json!({}));
        assert_eq!(Paddle::assess(&job, &observed(totals)), expected.into(), "{name}");
    }
}

#[test]
fn the_description_is_json_where_it_says_so() {
    let properties: Map<String, Value> = from_str(&Paddle::describe().kinds[0].spec_properties).unwrap();
    let fields: Vec<_> = properties["elasticPolicy"]["properties"].as_object().unwrap().keys().collect();
    assert_eq!(fields, ["maxReplicas", "maxRestarts", "metrics", "minReplicas"]);
}
