use trainyard_plugin::serde_json::from_str;
use trainyard_plugin::testing::{defaulted, env as env_of, filled, observed, pod, submitted, told, total};
use trainyard_plugin::{Total, WhileSuspended};

use super::*;

fn replicas(number: u32) -> Value {
    json!({"replicas": number, "template": {"spec": {"containers": [{"name": "mpi", "image": "train:1.0"}]}}})
}

fn job(spec: Value) -> Value {
    json!({"kind": "MPIJob", "metadata": {"name": "train", "namespace": "ns"}, "spec": spec})
}

fn with_workers(workers: u32) -> Value {
    job(json!({"mpiReplicaSpecs": {"Launcher": replicas(1), "Worker": replicas(workers)}}))
}

fn changed(mut object: Value, change: impl FnOnce(&mut Value)) -> Value {
    change(&mut object);
    object
}

fn container<'a>(job: &'a mut Value, replica_type: &str) -> &'a mut Value {
    &mut job["spec"]["mpiReplicaSpecs"][replica_type]["template"]["spec"]["containers"][0]
}

fn with_gpu(resource: &str) -> Value {
    changed(with_workers(2), |job| container(job, LAUNCHER)["resources"] = json!({"limits": {resource: 1}}))
}

fn planned(object: &Value, settings: Value) -> (Job, JobPlan) {
    let job = defaulted::<Mpi>(object, &settings);
    let plan = Mpi::plan(&job).unwrap();
    (job, plan)
}

/// What the plan makes of that kind.
fn made(object: &Value, kind: &str) -> Value {
    let (job, plan) = planned(object, json!({}));
    let objects: Vec<_> = plan.objects.iter().map(|each| filled(&job, &each.object)).collect();
    objects.into_iter().find(|object| object["kind"] == kind).unwrap()
}

#[test]
fn the_launchers_environment_is_that_of_v1() {
    let ours = "OMPI_MCA_plm_rsh_agent=/etc/mpi/kubexec.sh OMPI_MCA_orte_default_hostfile=/etc/mpi/hostfile";
    let no_gpu = format!("{ours} NVIDIA_VISIBLE_DEVICES= NVIDIA_DRIVER_CAPABILITIES=");
    let intel = "I_MPI_HYDRA_BOOTSTRAP=rsh I_MPI_HYDRA_BOOTSTRAP_EXEC=/etc/mpi/kubexec.sh";
    let with_env = |names: &[&str]| {
        let env: Vec<_> = names.iter().map(|name| json!({"name": name, "value": "mine"})).collect();
        changed(with_workers(1), |job| container(job, LAUNCHER)["env"] = env.into())
    };
    for (name, object, expected) in [
        ("a CPU", with_workers(1), format!("{no_gpu} {intel}")),
        ("a GPU", with_gpu("nvidia.com/gpu"), format!("{ours} {intel}")),
        ("another vendor's GPU", with_gpu("vendor-domain/gpu"), format!("{ours} {intel}")),
        ("another resource", with_gpu("vendor-domain/resourcetype"), format!("{no_gpu} {intel}")),
        ("a variable that only sounds like it", with_env(&["X_MPI_HYDRA_BOOTSTRAP"]), format!("{no_gpu} {intel}")),
        (
            "the user's bootstrap",
            with_env(&["I_MPI_HYDRA_BOOTSTRAP"]),
            format!("{no_gpu} I_MPI_HYDRA_BOOTSTRAP_EXEC=/etc/mpi/kubexec.sh"),
        ),
        ("the user's script", with_env(&["I_MPI_HYDRA_BOOTSTRAP_EXEC"]), format!("{no_gpu} I_MPI_HYDRA_BOOTSTRAP=rsh")),
        ("both", with_env(&["I_MPI_HYDRA_BOOTSTRAP", "I_MPI_HYDRA_BOOTSTRAP_EXEC"]), no_gpu.clone()),
        ("Open MPI's is overruled", with_env(&["OMPI_MCA_plm_rsh_agent"]), format!("{no_gpu} {intel}")),
    ] {
        let (job, plan) = planned(&object, json!({}));
        assert_eq!(env_of(&job, &plan, LAUNCHER, 0).join(" "), expected, "{name}");
        assert_eq!(env_of(&job, &plan, WORKER, 0), [""; 0], "{name}");
    }
}

#[test]
fn the_config_map_says_where_to_go_and_how() {
    let data = |object: &Value| made(object, "ConfigMap")["data"].clone();
    let script = |container: &str| {
        format!(
            "#!/bin/sh\nset -x\nPOD_NAME=$1\nshift\n/opt/kube/kubectl exec ${{POD_NAME}}{container} -- /bin/sh -c \"$*\""
        )
    };
    let of_two = json!({
        "hostfile": "train-worker-0 slots=1\ntrain-worker-1 slots=1\n",
        "kubexec.sh": script(""),
        // A test's replicas all run.
        "discover_hosts.sh": "#!/bin/sh\necho train-worker-0:1\necho train-worker-1:1",
    });
    assert_eq!(data(&with_workers(2)), of_two);
    let named = changed(with_gpu("nvidia.com/gpu"), |job| {
        job["spec"]["slotsPerWorker"] = 4.into();
        job["spec"]["mainContainer"] = "main".into();
    });
    let (job, plan) = planned(&named, json!({}));
    let fills: Vec<_> = plan.objects.iter().flat_map(|each| &each.object.fills).collect();
    let running: Vec<_> = fills
        .iter()
        .flat_map(|fill| match &fill.content {
            Content::Text(pieces) => pieces.clone(),
            Content::Strings(each) => vec![Piece::Each(each.clone())],
        })
        .filter(|piece| matches!(piece, Piece::Each(each) if each.running_only))
        .collect();
    assert_eq!(running.len(), 1, "only the workers of discover_hosts.sh have to run: {running:?}");
    let config = filled(&job, &plan.objects[1].object);
    assert_eq!(config["metadata"], json!({"name": "train-config", "labels": {"app": "train"}}));
    assert_eq!(config["data"]["kubexec.sh"], script(" --container main"));
    let text = |key: &str| config["data"][key].as_str().unwrap();
    assert_eq!(text("hostfile"), "train-launcher slots=4\ntrain-worker-0 slots=4\ntrain-worker-1 slots=4\n");
    let hosts = "#!/bin/sh\necho train-launcher:4\n\necho train-worker-0:4\necho train-worker-1:4";
    assert_eq!(text("discover_hosts.sh"), hosts);
    assert_eq!(data(&with_workers(0))["hostfile"], "");
    assert_eq!(data(&with_workers(0))["discover_hosts.sh"], "#!/bin/sh");
}

#[test]
fn the_launcher_may_run_commands_in_the_workers_and_nowhere_else() {
    let look = json!({"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list", "watch"]});
    let exec = |names: Value| json!({"apiGroups": [""], "resources": ["pods/exec"], "resourceNames": names, "verbs": ["create"]});
    let launcher_only = job(json!({"mpiReplicaSpecs": {"Launcher": replicas(1)}}));
    for (object, expected) in [
        (with_workers(2), json!([look, exec(json!(["train-worker-0", "train-worker-1"]))])),
        (with_workers(0), json!([look])),
        (launcher_only, json!([look])),
    ] {
        assert_eq!(made(&object, "Role")["rules"], expected);
    }
}

#[test]
fn the_launcher_has_the_account_that_the_user_chose_or_its_own() {
    let chosen = |name: &str| {
        let account = name.into();
        changed(with_workers(1), |job| {
            job["spec"]["mpiReplicaSpecs"]["Launcher"]["template"]["spec"]["serviceAccountName"] = account;
        })
    };
    for (object, expected) in
        [(with_workers(1), "train-launcher"), (chosen("mine"), "mine"), (chosen(""), "train-launcher")]
    {
        assert_eq!(made(&object, "ServiceAccount")["metadata"]["name"], expected);
        let binding = made(&object, "RoleBinding");
        assert_eq!(binding["subjects"], json!([{"kind": "ServiceAccount", "name": expected, "namespace": "ns"}]));
        assert_eq!(
            binding["roleRef"],
            json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "train-launcher"})
        );
        let (_, plan) = planned(&object, json!({}));
        let existing: Vec<_> = plan.objects.iter().map(|each| (each.existing, each.while_suspended)).collect();
        let (use_any, ours, kept) = (ObjectExisting::UseAny, ObjectExisting::UpdateOurs, ObjectExisting::KeepOurs);
        let stays = WhileSuspended::Keep;
        assert_eq!(existing, [(use_any, stays), (ours, stays), (ours, stays), (kept, stays)]);
    }
}

#[test]
fn workers_come_first_and_sleep() {
    let (_, plan) = planned(&with_workers(2), json!({}));
    let order: Vec<_> = plan.replicas.iter().map(|each| (each.replica_type.as_str(), each.leads)).collect();
    assert_eq!(order, [(WORKER, Which::None), (LAUNCHER, Which::All)]);
    let sleep = Command { to: Containers::First, command: vec!["sleep".into()], args: vec!["365d".into()] };
    assert_eq!(plan.replicas[0].default_command, Some(sleep));
    assert_eq!(plan.network, Network::None);
    let script = json!({"key": "kubexec.sh", "path": "kubexec.sh", "mode": 365});
    let volume = json!({"name": "mpi-job-config", "configMap": {"name": "train-config", "items": [script]}});
    assert_eq!(plan.replicas[0].volumes.iter().map(|text| from_str(text).unwrap()).collect::<Vec<Value>>(), [volume]);
}

#[test]
fn kubectl_is_delivered() {
    let (job, plan) = planned(&with_workers(1), json!({"kubectl-delivery-image": "mirror/kubectl:1"}));
    let [container] = &plan.replicas[1].init_containers[..] else { panic!("one init container: {plan:?}") };
    let resources = json!({"cpu": "100m", "memory": "512Mi", "ephemeral-storage": "5Gi"});
    let expected = json!({
        "name": "kubectl-delivery",
        "image": "mirror/kubectl:1",
        "imagePullPolicy": "IfNotPresent",
        "env": [{"name": "TARGET_DIR", "value": "/opt/kube"}, {"name": "NAMESPACE", "value": "ns"}],
        "volumeMounts": [
            {"name": "mpi-job-kubectl", "mountPath": "/opt/kube"},
            {"name": "mpi-job-config", "mountPath": "/etc/mpi"},
        ],
        "resources": {"limits": resources, "requests": resources},
    });
    assert_eq!(filled(&job, container), expected);
    let (job, plan) = planned(&with_workers(1), json!({}));
    let schema: Value = from_str(include_str!("settings-schema.json")).unwrap();
    let image = &filled(&job, &plan.replicas[1].init_containers[0])["image"];
    assert_eq!(*image, schema["properties"]["kubectl-delivery-image"]["default"]);
}

#[test]
fn the_launcher_waits_where_the_admin_wants_it() {
    let gate = Gate { replica_type: WORKER.into(), state: GateState::Running };
    let launcher_only = job(json!({"mpiReplicaSpecs": {"Launcher": replicas(1)}}));
    for (object, settings, expected) in [
        (with_workers(1), json!({}), vec![]),
        (with_workers(1), json!({"launcher-waits": false}), vec![]),
        (with_workers(1), json!({"launcher-waits": true}), vec![gate]),
        (launcher_only, json!({"launcher-waits": true}), vec![]),
    ] {
        let (_, plan) = planned(&object, settings);
        assert_eq!(plan.replicas.last().map(|launcher| launcher.after.clone()), Some(expected));
    }
}

#[test]
fn the_clean_pod_policy_has_two_places() {
    for (old, new, expected) in [
        (Value::Null, Value::Null, json!({})),
        (json!("All"), Value::Null, json!({"spec": {"runPolicy": {"cleanPodPolicy": "All"}}})),
        (json!("All"), json!("Running"), json!({})),
        (Value::Null, json!("Running"), json!({})),
    ] {
        let object = changed(with_workers(1), |job| {
            job["spec"]["cleanPodPolicy"] = old.clone();
            job["spec"]["runPolicy"] = json!({"cleanPodPolicy": new});
        });
        assert_eq!(Mpi::default(&submitted::<Mpi>(&object, &json!({}))), Ok(expected), "{old} {new}");
    }
    let object = changed(with_workers(1), |job| job["spec"]["mpiReplicaSpecs"] = json!({"Launcher": {}, "Worker": {}}));
    let job = defaulted::<Mpi>(&object, &json!({}));
    assert_eq!([LAUNCHER, WORKER].map(|each| job.replicas(each)), [1, 0]);
    assert_eq!(job.restart_policy(WORKER), RestartPolicy::Never);
}

#[test]
fn what_v1_finds_while_it_works_is_found_before() {
    let broken = |change: fn(&mut Value)| {
        told(&Mpi::validate(&submitted::<Mpi>(&changed(with_workers(1), change), &json!({})), None))
    };
    let containers = "spec.mpiReplicaSpecs[Launcher].template.spec.containers";
    let other =
        "spec.mpiReplicaSpecs[worker]: Unsupported value: \"worker\": supported values: \"Launcher\", \"Worker\"";
    for (name, issues, expected) in [
        ("a good job", broken(|_| ()), vec![]),
        ("any name of a container", broken(|job| container(job, LAUNCHER)["name"] = "main".into()), vec![]),
        (
            "no number of launchers",
            broken(|job| job["spec"]["mpiReplicaSpecs"]["Launcher"]["replicas"] = Value::Null),
            vec![],
        ),
        (
            "no map",
            broken(|job| job["spec"]["mpiReplicaSpecs"] = Value::Null),
            vec!["spec.mpiReplicaSpecs: Required value: must be required".to_owned()],
        ),
        (
            "an empty launcher",
            broken(|job| job["spec"]["mpiReplicaSpecs"]["Launcher"] = Value::Null),
            vec![format!("{containers}: Required value: must be specified")],
        ),
        (
            "no container",
            broken(|job| job["spec"]["mpiReplicaSpecs"]["Launcher"]["template"]["spec"]["containers"] = json!([])),
            vec![format!("{containers}: Required value: must be specified")],
        ),
        ("another type", broken(|job| job["spec"]["mpiReplicaSpecs"]["worker"] = replicas(1)), vec![other.to_owned()]),
        (
            "no image and no name",
            broken(|job| *container(job, LAUNCHER) = json!({"image": "", "name": ""})),
            vec![
                format!("{containers}[0].image: Required value: must be required"),
                format!("{containers}[0].name: Required value: must be required"),
            ],
        ),
        (
            "two launchers",
            broken(|job| job["spec"]["mpiReplicaSpecs"]["Launcher"]["replicas"] = 2.into()),
            vec!["spec.mpiReplicaSpecs[Launcher].replicas: Forbidden: must be 1".to_owned()],
        ),
        (
            "no launcher",
            broken(|job| drop(job["spec"]["mpiReplicaSpecs"].as_object_mut().unwrap().remove("Launcher"))),
            vec!["spec.mpiReplicaSpecs[Launcher]: Required value: must be specified".to_owned()],
        ),
    ] {
        assert_eq!(issues, expected, "{name}");
    }
}

/// What is said of a job of two workers: verdicts and events, a line each.
fn said(policy: &str, pods: Vec<Pod>, workers: Total) -> Vec<String> {
    let object = changed(with_workers(2), |job| {
        for replica_type in [LAUNCHER, WORKER] {
            job["spec"]["mpiReplicaSpecs"][replica_type]["restartPolicy"] = policy.into();
        }
    });
    let seen = Observed { pods, ..observed([total(LAUNCHER, 1), workers]) };
    let answer = Mpi::assess(&defaulted::<Mpi>(&object, &json!({})), &seen);
    let verdicts = answer.verdicts.into_iter().map(|verdict| match verdict {
        Verdict::Running(message) => format!("running: {message}"),
        Verdict::Restarting(message) => format!("restarting: {message}"),
        Verdict::Succeeded(message) => format!("succeeded: {message}"),
        Verdict::Failed(Failure { reason, message }) => format!("failed: {}: {message}", reason.unwrap_or_default()),
    });
    let restart = answer.restart.into_iter().map(|restart| match restart.scope {
        RestartScope::Replicas(ids) => {
            let ids: Vec<_> = ids.iter().map(|id| format!("{} {}", id.replica_type, id.index)).collect();
            format!("again {}: {}", ids.join(", "), restart.message)
        }
        RestartScope::ReplicaType(_) | RestartScope::All => "again".to_owned(),
    });
    let events = answer.events.into_iter().map(|event| format!("{}: {}", event.reason, event.message));
    verdicts.chain(restart).chain(events).collect()
}

fn workers(active: u32, evicted: u32) -> Total {
    Total { active, evicted, ..total(WORKER, 2) }
}

fn evicted(replica_type: &str, index: u32) -> Pod {
    Pod { reason: "Evicted".into(), ..pod(replica_type, index, Phase::Failed) }
}

const RUNNING: &str = "running: MPIJob train is running.";
const ALL_RUNNING: &str = "MPIJobRunning: MPIJob ns/train is running";
const LAUNCHER_FAILED: &str = "failed: MPIJobFailed: MPIJob train is failed because 1 Launcher replica(s) failed.";
const HAS_FAILED: &str = "MPIJobFailed: MPIJob ns/train has failed";
const LAUNCHER_AGAIN: &str = "again Launcher 0: MPIJob train is restarting because 1 Launcher replica(s) failed.";

#[test]
fn the_launcher_decides() {
    let launcher = |phase| vec![pod(LAUNCHER, 0, phase)];
    let succeeded = [
        "succeeded: MPIJob train is successfully completed.",
        "mpijobsSucceeded: MPIJob ns/train successfully completed.",
    ];
    for (name, pods, active, expected) in [
        ("no pod yet", vec![], 0, vec![]),
        ("a launcher that waits", launcher(Phase::Pending), 2, vec![]),
        ("workers come up", launcher(Phase::Running), 1, vec![RUNNING]),
        ("all run", launcher(Phase::Running), 2, vec![RUNNING, ALL_RUNNING]),
        ("done", launcher(Phase::Succeeded), 2, succeeded.into()),
        ("failed", launcher(Phase::Failed), 2, vec![LAUNCHER_FAILED, HAS_FAILED]),
        ("evicted", vec![evicted(LAUNCHER, 0)], 2, vec![LAUNCHER_FAILED, "Evicted: MPIJob ns/train has failed"]),
    ] {
        assert_eq!(said("Never", pods, workers(active, 0)), expected, "{name}");
    }
}

#[test]
fn a_failed_pod_fails_the_job_or_is_made_again() {
    let running = || pod(LAUNCHER, 0, Phase::Running);
    let exited = |code| vec![Pod { exit_code: Some(code), ..pod(LAUNCHER, 0, Phase::Failed) }];
    let one = "1/2 workers are evicted";
    for (name, policy, pods, workers, expected) in [
        (
            "a worker",
            "Never",
            vec![running(), evicted(WORKER, 1)],
            workers(1, 1),
            vec![
                RUNNING.to_owned(),
                "failed: MPIJobFailed: MPIJob train is failed because 1 Worker replica(s) failed.".to_owned(),
                format!("MPIJobEvicted: {one}"),
            ],
        ),
        (
            "a worker under OnFailure",
            "OnFailure",
            vec![running(), evicted(WORKER, 1)],
            workers(1, 1),
            vec![
                RUNNING.to_owned(),
                "again Worker 1: MPIJob train is restarting because 1 Worker replica(s) failed.".to_owned(),
                format!("MPIJobEvicted: {one}"),
            ],
        ),
        (
            "a worker that somebody deletes has not failed",
            "Never",
            vec![running(), pod(WORKER, 1, Phase::Running)],
            Total { failed: 1, ..workers(1, 0) },
            vec![RUNNING.to_owned()],
        ),
        ("a signal", "ExitCode", exited(137), workers(2, 0), vec![LAUNCHER_AGAIN.to_owned()]),
        ("no exit code", "ExitCode", vec![evicted(LAUNCHER, 0)], workers(2, 0), vec![LAUNCHER_AGAIN.to_owned()]),
        (
            "an error of its own",
            "ExitCode",
            exited(1),
            workers(2, 0),
            vec![LAUNCHER_FAILED.to_owned(), HAS_FAILED.to_owned()],
        ),
    ] {
        assert_eq!(said(policy, pods, workers), expected, "{name}");
    }
}
