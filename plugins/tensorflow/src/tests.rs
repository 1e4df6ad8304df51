use trainyard_plugin::Pod;
use trainyard_plugin::serde_json::{Map, Value, from_str, json};
use trainyard_plugin::testing::{defaulted, env as env_of, observed, pod, submitted, told, total};

use super::*;

fn replicas(number: u32) -> Value {
    json!({"replicas": number, "template": {"spec": {"containers": [{"name": "tensorflow", "image": "train:1.0"}]}}})
}

/// A job `train` with these numbers of replicas.
fn job(counts: &[(&str, u32)]) -> Value {
    let specs: Map<_, _> = counts.iter().map(|(name, count)| ((*name).to_owned(), replicas(*count))).collect();
    json!({"kind": "TFJob", "metadata": {"name": "train", "namespace": "ns"}, "spec": {"tfReplicaSpecs": specs}})
}

fn changed(mut object: Value, change: impl FnOnce(&mut Value)) -> Value {
    change(&mut object["spec"]);
    object
}

fn dynamic(counts: &[(&str, u32)]) -> Value {
    changed(job(counts), |spec| spec["enableDynamicWorker"] = true.into())
}

/// Of one replica; `@` begins an endpoint.
fn assert_tf_config(name: &str, object: &Value, (replica_type, index): (&str, u32), expected: &str) {
    let (begin, endpoints) = expected.split_once('@').unwrap_or((expected, ""));
    let endpoints = endpoints.split_terminator('@').map(|part| {
        let (endpoint, rest) = part.split_at(part.find([',', ']', '}']).unwrap());
        format!(r#""train-{endpoint}"{rest}"#)
    });
    let config = begin.to_owned() + &endpoints.collect::<String>();
    let job = defaulted::<TensorFlow>(object, &json!({}));
    let plan = TensorFlow::plan(&job).unwrap();
    assert_eq!(env_of(&job, &plan, replica_type, index), [format!("TF_CONFIG={config}")], "{name}");
    from_str::<Value>(&config).expect(name);
}

#[test]
fn tf_config_is_that_of_v1() {
    let own_port = changed(job(&[(PS, 1), (WORKER, 1)]), |spec| {
        let ports = json!([{"name": "tfjob-port", "containerPort": 3333}]);
        spec["tfReplicaSpecs"]["PS"]["template"]["spec"]["containers"][0]["ports"] = ports;
    });
    let workers = "@worker-0.ns.svc:2222,@worker-1.ns.svc:2222";
    let server = r#""ps":[@ps-0.ns.svc:2222]"#;
    for (name, object, replica, cluster, task) in [
        ("a worker", job(&[(PS, 1), (WORKER, 2)]), (WORKER, 1), format!(r#"{server},"worker":[{workers}]"#), "worker"),
        ("a server", job(&[(PS, 1), (WORKER, 2)]), (PS, 0), format!(r#"{server},"worker":[{workers}]"#), "ps"),
        ("workers only", job(&[(WORKER, 2)]), (WORKER, 0), format!(r#""worker":[{workers}]"#), "worker"),
        (
            "the port of each type",
            own_port,
            (WORKER, 0),
            r#""ps":[@ps-0.ns.svc:3333],"worker":[@worker-0.ns.svc:2222]"#.into(),
            "worker",
        ),
        (
            "an evaluator",
            job(&[(CHIEF, 1), (EVALUATOR, 1)]),
            (EVALUATOR, 0),
            r#""chief":[@chief-0.ns.svc:2222],"evaluator":[@evaluator-0.ns.svc:2222]"#.into(),
            "evaluator",
        ),
        (
            "no workers",
            job(&[(MASTER, 1), (PS, 1), (WORKER, 0)]),
            (MASTER, 0),
            format!(r#""master":[@master-0.ns.svc:2222],{server},"worker":[]"#),
            "master",
        ),
        (
            "a type of the user's own",
            job(&[(WORKER, 2), ("Reader", 1)]),
            ("Reader", 0),
            format!(r#""reader":[@reader-0.ns.svc:2222],"worker":[{workers}]"#),
            "reader",
        ),
    ] {
        let task = format!(r#"{{"type":"{task}","index":{}}}"#, replica.1);
        let expected = format!(r#"{{"cluster":{{{cluster}}},"task":{task},"environment":"cloud"}}"#);
        assert_tf_config(name, &object, replica, &expected);
    }
}

#[test]
fn workers_that_come_and_go_know_little() {
    let two = [(PS, 2), (WORKER, 2)];
    let worker = r#""worker":{"1":@worker-1.ns.svc:2222}"#;
    for (name, counts, replica, cluster, task) in [
        ("a worker", &two, (WORKER, 1), format!(r#"{worker},"ps":[@ps-0.ns.svc:2222,@ps-1.ns.svc:2222]"#), "worker"),
        ("a server", &two, (PS, 1), r#""worker":{},"ps":[@ps-1.ns.svc:2222]"#.into(), "ps"),
        ("a chief", &[(CHIEF, 1), (WORKER, 1)], (CHIEF, 0), r#""worker":{},"ps":[]"#.into(), "chief"),
        ("without servers", &[(CHIEF, 1), (WORKER, 2)], (WORKER, 1), format!(r#"{worker},"ps":null"#), "worker"),
    ] {
        let task = format!(r#"{{"type":"{task}","index":{}}}"#, replica.1);
        assert_tf_config(name, &dynamic(counts), replica, &format!(r#"{{"cluster":{{{cluster}}},"task":{task}}}"#));
    }
}

#[test]
fn a_replica_that_is_alone_gets_nothing() {
    for object in [job(&[(WORKER, 1)]), job(&[(PS, 1)]), job(&[(PS, 1), (WORKER, 0)]), dynamic(&[(WORKER, 1)])] {
        let plan = TensorFlow::plan(&defaulted::<TensorFlow>(&object, &json!({}))).unwrap();
        assert!(plan.replicas.iter().all(|each| each.env.is_empty()), "{object}: {plan:?}");
    }
}

#[test]
fn only_the_container_that_trains_gets_tf_config() {
    let object = changed(job(&[(WORKER, 2)]), |spec| {
        let containers = &mut spec["tfReplicaSpecs"]["Worker"]["template"]["spec"]["containers"];
        *containers = json!([{"name": "sidecar", "image": "a"}, containers[0]]);
    });
    let plan = TensorFlow::plan(&defaulted::<TensorFlow>(&object, &json!({}))).unwrap();
    assert_eq!(plan.replicas[0].env[0].to, Containers::Named("tensorflow".into()));
}

#[test]
fn the_chief_leads_and_else_worker_0() {
    for (counts, expected) in [
        (
            vec![(CHIEF, 1), (EVALUATOR, 1), (PS, 1), (WORKER, 1)],
            vec![Which::All, Which::None, Which::None, Which::None],
        ),
        (vec![(MASTER, 1), (WORKER, 1)], vec![Which::All, Which::None]),
        (vec![(PS, 1), (WORKER, 2)], vec![Which::None, Which::First]),
        (vec![(EVALUATOR, 1)], vec![Which::None]),
    ] {
        let plan = TensorFlow::plan(&defaulted::<TensorFlow>(&job(&counts), &json!({}))).unwrap();
        let found: Vec<_> = plan.replicas.iter().map(|each| (&*each.replica_type, each.leads)).collect();
        let expected: Vec<_> = counts.iter().map(|(name, _)| *name).zip(expected).collect();
        assert_eq!(found, expected);
    }
}

#[test]
fn each_rule_is_told_as_v1_tells_it() {
    let containers = |problem| format!("spec.tfReplicaSpecs[Worker].template.spec.containers{problem}");
    let unnamed = containers(": Required value: must have at least one container with name tensorflow");
    let with = |containers: Value| {
        changed(job(&[(WORKER, 2)]), |spec| {
            spec["tfReplicaSpecs"]["Worker"]["template"]["spec"]["containers"] = containers;
        })
    };
    let none = "spec.tfReplicaSpecs: Required value: must be required";
    let two = "spec.tfReplicaSpecs: Forbidden: must not have more than 1 Chief or Master role";
    let image = containers("[0].image: Required value: must be required");
    for (object, expected) in [
        (job(&[(WORKER, 2)]), vec![]),
        (job(&[(WORKER, 0), ("worker-of-mine", 1)]), vec![]),
        (job(&[]), vec![]), // the host sees to that
        (changed(job(&[]), |spec| *spec = json!({})), vec![none.into()]),
        (job(&[(CHIEF, 1), (MASTER, 1)]), vec![two.into()]),
        (with(json!([])), vec![containers(": Required value: must be specified"), unnamed.clone()]),
        (with(json!([{"name": "tensorflow", "image": ""}])), vec![image.clone()]),
        (with(json!([{"name": "", "image": "train:1.0"}])), vec![unnamed]),
        (
            changed(with(json!([{"name": "tensorflow"}])), |spec| {
                spec["tfReplicaSpecs"]["Chief"] = replicas(1);
                spec["tfReplicaSpecs"]["Master"] = replicas(1);
            }),
            vec![image, two.into()],
        ),
    ] {
        let found = TensorFlow::validate(&submitted::<TensorFlow>(&object, &json!({})), None);
        assert_eq!(told(&found), expected, "{object}");
    }
}

/// Failed, succeeded, active; as v1's own table of statuses has them.
fn counted(replica_type: &str, wanted: u32, [failed, succeeded, active]: [u32; 3]) -> Total {
    Total { failed, succeeded, active, ..total(replica_type, wanted) }
}

fn verdicts(object: &Value, seen: &Observed) -> Vec<String> {
    let told = TensorFlow::assess(&defaulted::<TensorFlow>(object, &json!({})), seen).verdicts;
    let told = told.into_iter().map(|verdict| match verdict {
        Verdict::Running(message) | Verdict::Succeeded(message) => message,
        Verdict::Failed(failure) => failure.message,
        Verdict::Restarting(message) => panic!("the host says that: {message}"),
    });
    told.map(|message| message.strip_prefix("TFJob ns/train ").unwrap().to_owned()).collect()
}

const RUNNING: &str = "is running.";
const DONE: &str = "successfully completed.";

fn failed(count: u32, replica_type: &str) -> String {
    format!("has failed because {count} {replica_type} replica(s) failed.")
}

#[test]
fn the_chief_decides() {
    for (row, worker, ps, chief, expected) in [
        ("the chief is done", [0, 4, 0], [0, 0, 2], [0, 1, 0], vec![DONE.into()]),
        ("the chief runs", [0, 0, 0], [0, 0, 0], [0, 0, 1], vec![RUNNING.into()]),
        ("the chief fails", [0, 4, 0], [0, 0, 2], [1, 0, 0], vec![failed(1, "Chief")]),
        ("workers fail", [4, 0, 0], [0, 0, 2], [0, 0, 1], vec![RUNNING.into(), failed(4, "Worker")]),
        ("all workers are done", [0, 4, 0], [0, 0, 2], [0, 0, 1], vec![RUNNING.into()]),
        ("a server fails", [0, 4, 0], [1, 0, 1], [0, 0, 1], vec![RUNNING.into(), failed(1, "PS")]),
        // v1 says in one breath that it has succeeded and that it has failed.
        ("the chief is done, workers fail", [4, 0, 0], [0, 0, 2], [0, 1, 0], vec![DONE.into()]),
    ] {
        for led_by in [CHIEF, MASTER] {
            let object = job(&[(led_by, 1), (PS, 2), (WORKER, 4)]);
            let totals = [counted(WORKER, 4, worker), counted(PS, 2, ps), counted(led_by, 1, chief)];
            let expected: Vec<String> = expected.iter().map(|each| each.replace("Chief", led_by)).collect();
            assert_eq!(verdicts(&object, &observed(totals)), expected, "{row}, {led_by}");
        }
    }
}

#[test]
fn worker_0_or_all_workers_decide() {
    let (usual, worker_0) = (false, true);
    for (row, policy, worker, ps, worker_0_is_done, expected) in [
        ("half are done", "", [0, 2, 2], [0, 0, 2], usual, vec![RUNNING.into()]),
        ("half fail", "", [2, 0, 2], [0, 0, 2], usual, vec![RUNNING.into(), failed(2, "Worker")]),
        ("half fail, half are done", "", [2, 2, 0], [0, 0, 2], usual, vec![failed(2, "Worker")]),
        ("all are done", "", [0, 4, 0], [0, 0, 2], usual, vec![DONE.into()]),
        ("worker 0 is done", "", [0, 1, 3], [0, 0, 2], worker_0, vec![DONE.into()]),
        ("worker 0 is done, another fails", "", [1, 1, 2], [0, 0, 2], worker_0, vec![DONE.into()]),
        ("a server fails first", "", [0, 1, 3], [1, 0, 1], worker_0, vec![failed(1, "PS")]),
        ("worker 0 of all is done", "AllWorkers", [0, 1, 3], [0, 0, 2], worker_0, vec![RUNNING.into()]),
        ("all of all are done", "AllWorkers", [0, 4, 0], [0, 0, 2], worker_0, vec![DONE.into()]),
        ("one of all fails", "AllWorkers", [1, 1, 2], [0, 0, 2], worker_0, vec![RUNNING.into(), failed(1, "Worker")]),
        ("only servers run", "", [0, 0, 0], [0, 0, 2], usual, vec![]),
    ] {
        let object = changed(job(&[(PS, 2), (WORKER, 4)]), |spec| spec["successPolicy"] = policy.into());
        let mut seen = observed([counted(PS, 2, ps), counted(WORKER, 4, worker)]);
        if worker_0_is_done {
            seen.pods = vec![Pod { exit_code: Some(0), ..pod(WORKER, 0, Phase::Succeeded) }];
        }
        assert_eq!(verdicts(&object, &seen), expected, "{row}");
    }
}

#[test]
fn worker_0_is_done_when_it_says_so() {
    let two = job(&[(WORKER, 2)]);
    for (name, row, expected) in [
        ("done", Pod { exit_code: Some(0), ..pod(WORKER, 0, Phase::Succeeded) }, DONE),
        ("another container ended well", pod(WORKER, 0, Phase::Succeeded), RUNNING),
        (
            "its container is done, a sidecar runs",
            Pod { exit_code: Some(0), ..pod(WORKER, 0, Phase::Running) },
            RUNNING,
        ),
        ("another server", Pod { exit_code: Some(0), ..pod(PS, 0, Phase::Succeeded) }, RUNNING),
        ("another worker", Pod { exit_code: Some(0), ..pod(WORKER, 1, Phase::Succeeded) }, RUNNING),
    ] {
        let seen = Observed { pods: vec![row], ..observed([counted(WORKER, 2, [0, 1, 1])]) };
        assert_eq!(verdicts(&two, &seen), [expected], "{name}");
    }
}

#[test]
fn jobs_without_chief_and_workers_never_succeed() {
    let seen = observed([counted(PS, 1, [0, 1, 0]), counted(EVALUATOR, 1, [0, 1, 0])]);
    assert_eq!(verdicts(&job(&[(PS, 1), (EVALUATOR, 1)]), &seen), [""; 0]);
    let seen = observed([counted(PS, 1, [0, 0, 1]), counted(WORKER, 0, [0, 0, 0])]);
    assert_eq!(verdicts(&job(&[(PS, 1), (WORKER, 0)]), &seen), [DONE], "none of none is missing");
}

#[test]
fn a_restart_is_no_failure_and_takes_running_back() {
    let restarting = |total: Total| Total { restarting: total.failed, ..total };
    let chief = || counted(CHIEF, 1, [0, 0, 1]);
    for (name, counts, totals, expected) in [
        ("a worker", vec![(WORKER, 2)], vec![restarting(counted(WORKER, 2, [1, 0, 1]))], vec![]),
        (
            "a worker, the chief runs",
            vec![(CHIEF, 1), (WORKER, 1)],
            vec![chief(), restarting(counted(WORKER, 1, [1, 0, 0]))],
            vec![],
        ),
        (
            "a server, before the workers are looked at",
            vec![(PS, 1), (WORKER, 1)],
            vec![restarting(counted(PS, 1, [1, 0, 0])), counted(WORKER, 1, [0, 0, 1])],
            vec![RUNNING.to_owned()],
        ),
        (
            "a server, and a worker has failed for good",
            vec![(PS, 1), (WORKER, 1)],
            vec![restarting(counted(PS, 1, [1, 0, 0])), counted(WORKER, 1, [1, 0, 0])],
            vec![failed(1, "Worker")],
        ),
    ] {
        assert_eq!(verdicts(&job(&counts), &observed(totals)), expected, "{name}");
    }
}

#[test]
fn dynamic_workers_may_fail() {
    let seen = observed([counted(PS, 1, [0, 0, 1]), counted(WORKER, 2, [1, 0, 1])]);
    assert_eq!(verdicts(&dynamic(&[(PS, 1), (WORKER, 2)]), &seen), [RUNNING]);
    let seen = observed([counted(PS, 1, [1, 0, 0]), counted(WORKER, 2, [1, 0, 1])]);
    assert_eq!(verdicts(&dynamic(&[(PS, 1), (WORKER, 2)]), &seen), [failed(1, "PS")]);
}

#[test]
fn the_description_is_json_where_it_says_so() {
    let properties: Map<String, Value> = from_str(&TensorFlow::describe().kinds[0].spec_properties).unwrap();
    assert_eq!(properties.keys().collect::<Vec<_>>(), ["enableDynamicWorker", "successPolicy"]);
}
