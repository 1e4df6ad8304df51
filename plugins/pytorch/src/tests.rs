use trainyard_plugin::serde_json::from_str;
use trainyard_plugin::testing::{defaulted, env as env_of, filled, observed, submitted, told, total};
use trainyard_plugin::{Total, Verdict};

use super::*;

fn replicas(number: u32) -> Value {
    json!({"replicas": number, "template": {"spec": {"containers": [{"name": "pytorch", "image": "train:1.0"}]}}})
}

fn job(spec: Value) -> Value {
    json!({"kind": "PyTorchJob", "metadata": {"name": "train", "namespace": "ns"}, "spec": spec})
}

fn with_master(workers: u32) -> Value {
    job(json!({"pytorchReplicaSpecs": {"Master": replicas(1), "Worker": replicas(workers)}}))
}

fn with_policy(policy: Value) -> Value {
    job(json!({"elasticPolicy": policy, "pytorchReplicaSpecs": {"Worker": replicas(2)}}))
}

fn changed(mut object: Value, change: impl FnOnce(&mut Value)) -> Value {
    change(&mut object);
    object
}

#[test]
fn the_environment_is_that_of_v1() {
    let own_port = changed(with_master(1), |job| {
        let ports = json!([{"name": "pytorchjob-port", "containerPort": 29500}]);
        job["spec"]["pytorchReplicaSpecs"]["Master"]["template"]["spec"]["containers"][0]["ports"] = ports;
    });
    let nproc = |nproc: &str| changed(with_master(1), |job| job["spec"]["nprocPerNode"] = nproc.into());
    let all = json!({
        "minReplicas": 1, "maxReplicas": 4, "rdzvBackend": "etcd-v2", "rdzvHost": "store", "rdzvPort": 2379, "rdzvId": "run-1",
        "rdzvConf": [{"key": "timeout", "value": "30"}, {"key": "read_timeout", "value": "60"}],
        "standalone": true, "maxRestarts": 3,
    });
    let to_master = "PYTHONUNBUFFERED=1 MASTER_PORT=23456 PET_MASTER_PORT=23456 MASTER_ADDR=train-master-0 PET_MASTER_ADDR=train-master-0";
    for (name, object, (replica_type, index), expected) in [
        ("a master", with_master(2), (MASTER, 0), format!("{to_master} WORLD_SIZE=3 RANK=0 PET_NODE_RANK=0 PET_NPROC_PER_NODE=auto PET_NNODES=3")),
        ("a worker", with_master(2), (WORKER, 1), format!("{to_master} WORLD_SIZE=3 RANK=2 PET_NODE_RANK=2 PET_NPROC_PER_NODE=auto PET_NNODES=3")),
        ("no workers", with_master(0), (MASTER, 0), format!("{to_master} WORLD_SIZE=1 RANK=0 PET_NODE_RANK=0 PET_NPROC_PER_NODE=auto PET_NNODES=1")),
        ("a number of processes", nproc("4"), (WORKER, 0), format!("{to_master} WORLD_SIZE=8 RANK=1 PET_NODE_RANK=1 PET_NPROC_PER_NODE=4 PET_NNODES=2")),
        ("processes for each GPU", nproc("gpu"), (WORKER, 0), format!("{to_master} WORLD_SIZE=2 RANK=1 PET_NODE_RANK=1 PET_NPROC_PER_NODE=gpu PET_NNODES=2")),
        ("the user's port", own_port, (WORKER, 0), format!("{to_master} WORLD_SIZE=2 RANK=1 PET_NODE_RANK=1 PET_NPROC_PER_NODE=auto PET_NNODES=2").replace("23456", "29500")),
        ("workers only", job(json!({"pytorchReplicaSpecs": {"Worker": replicas(2)}})), (WORKER, 1), "PYTHONUNBUFFERED=1 PET_NPROC_PER_NODE=auto PET_NNODES=2".into()),
        ("an empty policy", with_policy(json!({"rdzvConf": []})), (WORKER, 1), "PYTHONUNBUFFERED=1 PET_NPROC_PER_NODE=auto PET_RDZV_ENDPOINT=train-worker-0:23456 PET_RDZV_BACKEND=c10d PET_NNODES=2:2".into()),
        ("the old place of processes", with_policy(json!({"nProcPerNode": 2})), (WORKER, 0), "PYTHONUNBUFFERED=1 PET_RDZV_ENDPOINT=train-worker-0:23456 PET_RDZV_BACKEND=c10d PET_NNODES=2:2 PET_NPROC_PER_NODE=2".into()),
        ("a full policy", with_policy(all), (WORKER, 0), "PYTHONUNBUFFERED=1 PET_NPROC_PER_NODE=auto PET_RDZV_ENDPOINT=store:2379 PET_RDZV_BACKEND=etcd-v2 PET_NNODES=1:4 PET_MAX_RESTARTS=3 PET_RDZV_ID=run-1 PET_RDZV_CONF=timeout=30,read_timeout=60 PET_STANDALONE=".into()),
    ] {
        let job = defaulted::<PyTorch>(&object, &json!({}));
        let plan = PyTorch::plan(&job).unwrap();
        assert_eq!(env_of(&job, &plan, replica_type, index).join(" "), expected, "{name}");
    }
}

#[test]
fn the_master_leads_and_else_worker_0() {
    for (object, expected) in [
        (with_master(1), vec![(MASTER, Which::All), (WORKER, Which::None)]),
        (with_policy(json!({})), vec![(WORKER, Which::First)]),
    ] {
        let plan = PyTorch::plan(&defaulted::<PyTorch>(&object, &json!({}))).unwrap();
        assert_eq!(
            plan.replicas.iter().map(|each| (each.replica_type.as_str(), each.leads)).collect::<Vec<_>>(),
            expected
        );
    }
}

#[test]
fn workers_wait_for_the_master() {
    let script = |tries| {
        format!(
            "err=1;for i in $(seq {tries}); do if nslookup train-master-0; then err=0 && break; fi;echo waiting for master; sleep 2; done; exit $err"
        )
    };
    let usual = |image: &str, tries| {
        json!({
            "name": "init-pytorch", "image": image, "imagePullPolicy": "IfNotPresent", "command": ["sh", "-c", script(tries)],
            "resources": {"limits": {"cpu": "100m", "memory": "20Mi"}, "requests": {"cpu": "50m", "memory": "10Mi"}},
        })
    };
    let template =
        "- {name: a, image: '{{.InitContainerImage}}', args: ['{{.MaxTries}}', a+{{.MasterAddr}}&b]}\n- name: b\n";
    for (name, settings, expected) in [
        ("by default", json!({}), vec![usual("alpine:3.10", 100)]),
        ("settings", json!({"init-container-image": "b+c", "init-container-max-tries": 7}), vec![usual("b+c", 7)]),
        (
            "a template",
            json!({"init-container-template-file": template}),
            vec![
                json!({"name": "a", "image": "alpine:3.10", "args": ["100", "a+train-master-0&b"]}),
                json!({"name": "b"}),
            ],
        ),
    ] {
        let job = defaulted::<PyTorch>(&with_master(1), &settings);
        let plan = PyTorch::plan(&job).unwrap();
        let added = plan.replicas.iter().map(|each| each.init_containers.iter().map(|each| filled(&job, each)));
        let added: Vec<Vec<_>> = added.map(Iterator::collect).collect();
        assert_eq!(added, [Vec::new(), expected], "{name}");
    }
    let job = defaulted::<PyTorch>(&with_master(1), &json!({"init-container-template-file": "- {{.Name}}"}));
    let reason = "setting init-container-template-file: unknown placeholder {{.Name}}, known are {{.MasterAddr}}, {{.InitContainerImage}}, {{.MaxTries}}";
    assert_eq!(PyTorch::plan(&job), Err(Refusal::Unsupported(reason.into())));
}

#[test]
fn metrics_make_an_autoscaler() {
    let metrics = json!([{"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}}}]);
    let job = defaulted::<PyTorch>(&with_policy(json!({"maxReplicas": 3, "metrics": metrics})), &json!({}));
    let [object] = PyTorch::plan(&job).unwrap().objects.try_into().unwrap();
    let expected = json!({
        "apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": {"name": "train"},
        "spec": {
            "scaleTargetRef": {"apiVersion": "kubeflow.org/v1", "kind": "PyTorchJob", "name": "train"},
            "minReplicas": 3, "maxReplicas": 3, "metrics": metrics,
        },
    });
    assert_eq!(filled(&job, &object.object), expected);
    assert_eq!(object.while_suspended, WhileSuspended::Delete);

    let without = defaulted::<PyTorch>(&with_policy(json!({"maxReplicas": 3})), &json!({}));
    assert_eq!(PyTorch::plan(&without).unwrap().objects, []);
}

#[test]
fn defaults_fill_in_what_is_missing() {
    let bounds = |min: u32, max: u32| json!({"minReplicas": min, "maxReplicas": max});
    for (object, expected) in [
        (with_master(1), json!({"nprocPerNode": "auto"})),
        (changed(with_master(1), |job| job["spec"]["nprocPerNode"] = "2".into()), json!({})),
        (with_policy(json!({})), json!({"nprocPerNode": "auto", "elasticPolicy": bounds(2, 2)})),
        (with_policy(json!({"minReplicas": 1})), json!({"nprocPerNode": "auto", "elasticPolicy": bounds(1, 1)})),
        (with_policy(json!({"maxReplicas": 4})), json!({"nprocPerNode": "auto", "elasticPolicy": bounds(4, 4)})),
        (with_policy(bounds(1, 4)), json!({"nprocPerNode": "auto", "elasticPolicy": bounds(1, 4)})),
        (with_policy(json!({"nProcPerNode": 2})), json!({"elasticPolicy": bounds(2, 2)})),
    ] {
        assert_eq!(
            PyTorch::default(&submitted::<PyTorch>(&object, &json!({}))),
            Ok(json!({"spec": expected})),
            "{object}"
        );
    }
}

fn told_of(object: &Value) -> Vec<String> {
    told(&PyTorch::validate(&submitted::<PyTorch>(object, &json!({})), None))
}

#[test]
fn each_rule_is_told_as_v1_tells_it() {
    let broken =
        |change: fn(&mut Value)| changed(with_master(1), |job| change(&mut job["spec"]["pytorchReplicaSpecs"]));
    let unknown =
        r#"spec.pytorchReplicaSpecs[Chief]: Unsupported value: "Chief": supported values: "Master", "Worker""#;
    let none = "spec.pytorchReplicaSpecs: Required value: must be required";
    let one_master = "spec.pytorchReplicaSpecs[Master].replicas: Forbidden: must be 1";
    let no_worker = "spec.pytorchReplicaSpecs[Worker].replicas: Forbidden: must be at least 1";
    let containers = |problem| format!("spec.pytorchReplicaSpecs[Worker].template.spec.containers{problem}");
    let unnamed = containers(": Required value: must have at least one container with name pytorch");
    for (object, expected) in [
        (with_master(1), vec![]),
        (job(json!({})), vec![none.into()]),
        (job(json!({"pytorchReplicaSpecs": {}})), vec![]), // the host sees to that
        (broken(|specs| specs["Chief"] = replicas(1)), vec![unknown.into()]),
        (
            broken(|specs| specs["Worker"]["template"]["spec"]["containers"] = json!([])),
            vec![containers(": Required value: must be specified"), unnamed.clone()],
        ),
        (
            broken(|specs| specs["Worker"]["template"]["spec"]["containers"][0]["image"] = "".into()),
            vec![containers("[0].image: Required value: must be required")],
        ),
        (broken(|specs| specs["Worker"]["template"]["spec"]["containers"][0]["name"] = "main".into()), vec![unnamed]),
        (broken(|specs| specs["Master"]["replicas"] = json!(2)), vec![one_master.into()]),
        (broken(|specs| specs["Master"]["replicas"] = json!(null)), vec![one_master.into()]),
        (broken(|specs| specs["Worker"]["replicas"] = json!(0)), vec![no_worker.into()]),
        (broken(|specs| specs["Worker"]["replicas"] = json!(null)), vec![]),
    ] {
        assert_eq!(told_of(&object), expected, "{object}");
    }
}

#[test]
fn each_rule_of_the_elastic_policy_is_told() {
    let old_place = with_policy(json!({"nProcPerNode": 1}));
    let both_places = changed(old_place.clone(), |job| job["spec"]["nprocPerNode"] = "1".into());
    let without_workers = job(json!({"elasticPolicy": {}, "pytorchReplicaSpecs": {"Master": replicas(1)}}));
    let deprecated = "warning: spec.elasticPolicy.nProcPerNode is deprecated, use spec.nprocPerNode instead";
    let both = "spec.elasticPolicy.nProcPerNode: Forbidden: must not be used with spec.nprocPerNode";
    let too_many = "spec.elasticPolicy.minReplicas: Invalid value: 3: must not be greater than maxReplicas: 2";
    let negative = "spec.elasticPolicy.minReplicas: Invalid value: -1: must be between 1 and 2147483647, inclusive";
    let no_port = "spec.elasticPolicy.rdzvPort: Invalid value: 65536: must be between 1 and 65535, inclusive";
    let workers = "spec.pytorchReplicaSpecs[Worker]: Required value: must be configured if elastic policy is used";
    for (object, expected) in [
        (with_policy(json!({"rdzvBackend": "c10d"})), vec![]),
        (without_workers, vec![workers]),
        (old_place, vec![deprecated]),
        (both_places, vec![deprecated, both]),
        (with_policy(json!({"minReplicas": 1, "maxReplicas": 1})), vec![]),
        (with_policy(json!({"minReplicas": 3, "maxReplicas": 2})), vec![too_many]),
        (with_policy(json!({"minReplicas": -1})), vec![negative]),
        (with_policy(json!({"rdzvPort": 65536})), vec![no_port]),
    ] {
        assert_eq!(told_of(&object), expected, "{object}");
    }
}

#[test]
fn what_the_pods_mean() {
    let running = |of: &str| Verdict::Running(format!("PyTorchJob {of} is running."));
    let restarting =
        |of: &str| Verdict::Restarting(format!("PyTorchJob train is restarting because 1 {of} replica(s) failed."));
    let failed = |of: &str| verdict::failed(format!("PyTorchJob train is failed because 1 {of} replica(s) failed."));
    let done = Verdict::Succeeded("PyTorchJob train is successfully completed.".into());
    let all_done = Verdict::Succeeded("PyTorchJob ns/train successfully completed.".into());
    let never = changed(with_master(2), |job| {
        for replica_type in [MASTER, WORKER] {
            job["spec"]["pytorchReplicaSpecs"][replica_type]["restartPolicy"] = "Never".into();
        }
    });
    let workers = job(json!({"pytorchReplicaSpecs": {"Worker": replicas(2)}}));
    let master = |active, succeeded, failed| Total { active, succeeded, failed, ..total(MASTER, 1) };
    let worker = |active, succeeded, failed| Total { active, succeeded, failed, ..total(WORKER, 2) };
    for (name, object, totals, expected) in [
        ("all pending", with_master(2), vec![worker(0, 0, 0), master(0, 0, 0)], vec![]),
        ("the master runs", with_master(2), vec![worker(0, 0, 0), master(1, 0, 0)], vec![running("train")]),
        ("only workers run", with_master(2), vec![worker(2, 0, 0), master(0, 0, 0)], vec![]),
        ("the master is done", with_master(2), vec![worker(1, 0, 1), master(0, 1, 0)], vec![done]),
        (
            "a worker fails",
            with_master(2),
            vec![worker(1, 0, 1), master(1, 0, 0)],
            vec![running("train"), restarting(WORKER)],
        ),
        (
            "both fail",
            with_master(2),
            vec![worker(1, 0, 1), master(0, 0, 1)],
            vec![restarting(MASTER), restarting(WORKER)],
        ),
        ("a surplus worker fails", with_master(2), vec![worker(2, 0, 1), master(0, 0, 0)], vec![]),
        ("for good", never.clone(), vec![worker(1, 0, 1), master(1, 0, 0)], vec![running("train"), failed(WORKER)]),
        ("both for good", never, vec![worker(1, 0, 1), master(0, 0, 1)], vec![failed(MASTER)]),
        ("a worker runs, without master", workers.clone(), vec![worker(1, 1, 0)], vec![running("ns/train")]),
        ("all workers are done", workers, vec![worker(0, 2, 0)], vec![all_done.clone()]),
        ("an elastic worker is done", with_policy(json!({})), vec![worker(0, 1, 1)], vec![all_done]),
        (
            "an elastic worker fails",
            with_policy(json!({})),
            vec![worker(1, 0, 1)],
            vec![running("ns/train"), restarting(WORKER)],
        ),
    ] {
        let job = defaulted::<PyTorch>(&object, &json!({}));
        assert_eq!(PyTorch::assess(&job, &observed(totals)), expected.into(), "{name}");
    }
}

#[test]
fn the_description_is_json_where_it_says_so() {
    let description = PyTorch::describe();
    let keys = |text: &str| from_str::<Map<String, Value>>(text).unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(keys(&description.kinds[0].spec_properties), ["elasticPolicy", "nprocPerNode"]);
    assert_eq!(keys(&description.settings_schema), ["properties", "type"]);
}
