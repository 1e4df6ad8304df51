//! MPI: a launcher starts processes in workers that sleep. It reaches them by `kubectl exec`, which takes a script, a list
//! of hosts and the right to do so, and no network.

use trainyard_plugin::plan::{env, literal, object, object_with, replica};
use trainyard_plugin::serde_json::{Value, json};
use trainyard_plugin::{
    Assessment, Command, Containers, Content, Description, Each, EachWhat, Env, Event, Existing, Failure, Framework,
    Gate, GateState, Issue, Job, JobPlan, Kind, Mount, Network, Object, ObjectExisting, Observed, Phase, Piece, Pod,
    Refusal, ReplicaId, ReplicaPlan, ReplicaType, Restart, RestartPolicy, RestartScope, Verdict, WORKER, Which, issue,
    template,
};

const LAUNCHER: &str = "Launcher";
/// What mpirun calls instead of ssh.
const SCRIPT: &str = "/etc/mpi/kubexec.sh";
const RBAC: &str = "rbac.authorization.k8s.io";
const RBAC_V1: &str = "rbac.authorization.k8s.io/v1";

/// The plugin.
pub struct Mpi;

trainyard_plugin::export!(Mpi);

impl Framework for Mpi {
    fn describe() -> Description {
        Description {
            name: "mpi".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            kinds: vec![Kind {
                group: "kubeflow.org".into(),
                kind: "MPIJob".into(),
                plural: "mpijobs".into(),
                replica_specs: "mpiReplicaSpecs".into(),
                replica_types: vec![
                    ReplicaType { single: true, ..LAUNCHER.into() },
                    ReplicaType { replicas: 0, ..WORKER.into() },
                ],
                container: "mpi".into(),
                restart_policy: RestartPolicy::Never,
                replace_failed: false,
                spec_properties: include_str!("spec-properties.json").into(),
                columns: vec![
                    ["Age", ".metadata.creationTimestamp", "date"].into(),
                    ["State", ".status.conditions[-1:].type", "string"].into(),
                ],
                ..Kind::default()
            }],
            objects: vec![
                ["v1", "ServiceAccount"].into(),
                ["v1", "ConfigMap"].into(),
                [RBAC_V1, "Role"].into(),
                [RBAC_V1, "RoleBinding"].into(),
            ],
            settings_schema: include_str!("settings-schema.json").into(),
        }
    }

    /// The clean-pod policy has an old place, which counts where the new one is empty.
    fn default(job: &Job) -> Result<Value, Refusal> {
        let old = job.text("/cleanPodPolicy").filter(|_| job.field("/runPolicy/cleanPodPolicy").is_none());
        Ok(old.map_or_else(|| json!({}), |policy| json!({"spec": {"runPolicy": {"cleanPodPolicy": policy}}})))
    }

    fn validate(job: &Job, _old: Option<&Job>) -> Vec<Issue> {
        if let Some(missing) = issue::replica_map(job) {
            return vec![missing];
        }
        let mut issues = Vec::new();
        for replica_type in job.replica_types() {
            issues.extend(issue::known_type(job, replica_type));
            issues.extend(containers(job, replica_type));
        }
        if !job.has(LAUNCHER) {
            issues.push(issue::required(job.path(LAUNCHER), "must be specified"));
        } else if job.replicas(LAUNCHER) != 1 {
            issues.extend(issue::exactly_one(job, LAUNCHER));
        }
        issues
    }

    fn plan(job: &Job) -> Result<JobPlan, Refusal> {
        let mut replicas = vec![launcher(job)?];
        if job.has(WORKER) {
            replicas.insert(0, worker(job));
        }
        let objects = vec![service_account(job), config(job), role(job), role_binding(job)];
        Ok(JobPlan { replicas, network: Network::None, objects, ssh_keys: Vec::new() })
    }

    /// The launcher decides. A worker sleeps, so if one has failed it was the node's doing.
    fn assess(job: &Job, seen: &Observed) -> Assessment {
        let launcher = seen.pods.iter().find(|pod| pod.replica_type == LAUNCHER);
        let mut answer = Assessment::from(Vec::new());
        match launcher.map_or(Phase::Pending, |launcher| launcher.phase) {
            Phase::Succeeded => {
                answer.verdicts.push(Verdict::Succeeded(format!("MPIJob {} is successfully completed.", job.name)));
            }
            Phase::Running => answer.verdicts.push(Verdict::Running(format!("MPIJob {} is running.", job.name))),
            Phase::Pending | Phase::Failed | Phase::Unknown => {}
        }
        for replica_type in [LAUNCHER, WORKER] {
            match failed(job, seen, replica_type) {
                Some(Err(failure)) => answer.verdicts.push(Verdict::Failed(failure)),
                Some(Ok(restart)) => answer.restart = answer.restart.or(Some(restart)),
                None => {}
            }
        }
        answer.events = events(job, seen, launcher, &answer.verdicts);
        answer
    }
}

/// A replica spec has containers, each with an image and a name, whatever that is.
fn containers(job: &Job, replica_type: &str) -> Vec<Issue> {
    let path = format!("{}.template.spec.containers", job.path(replica_type));
    let containers = job.containers(replica_type).iter().enumerate();
    let fields = containers.flat_map(|(index, container)| ["image", "name"].map(|field| (index, container, field)));
    let missing = fields.filter(|(_, container, field)| container[*field].as_str().is_none_or(str::is_empty));
    let missing =
        missing.map(|(index, _, field)| issue::required(format!("{path}[{index}].{field}"), "must be required"));
    let none = job.containers(replica_type).is_empty().then(|| issue::required(&path, "must be specified"));
    missing.chain(none).collect()
}

fn worker(job: &Job) -> ReplicaPlan {
    let sleep = Command { to: Containers::First, command: vec!["sleep".into()], args: vec!["365d".into()] };
    ReplicaPlan {
        default_command: Some(sleep),
        volumes: vec![config_volume(job, &[("kubexec.sh", 0o555)])],
        mounts: vec![mount("mpi-job-config", "/etc/mpi")],
        ..replica(WORKER)
    }
}

fn launcher(job: &Job) -> Result<ReplicaPlan, Refusal> {
    let keep = |name: &str, value: &str| Env { existing: Existing::Keep, ..env(name, value) };
    let mut table =
        vec![env("OMPI_MCA_plm_rsh_agent", SCRIPT), env("OMPI_MCA_orte_default_hostfile", "/etc/mpi/hostfile")];
    if !works_itself(job) {
        table.extend([env("NVIDIA_VISIBLE_DEVICES", ""), env("NVIDIA_DRIVER_CAPABILITIES", "")]);
    }
    table.extend([keep("I_MPI_HYDRA_BOOTSTRAP", "rsh"), keep("I_MPI_HYDRA_BOOTSTRAP_EXEC", SCRIPT)]);
    let files = [("kubexec.sh", 0o555), ("hostfile", 0o444), ("discover_hosts.sh", 0o555)];
    let image = job.setting("kubectl-delivery-image");
    let image = image.unwrap_or_else(|| "ghcr.io/kubeflow/training-v1/kubectl-delivery:latest".into());
    let values = [("Image", literal(image)), ("Namespace", literal(&job.namespace))];
    let waits = job.has(WORKER) && job.setting("launcher-waits").as_deref() == Some("true");
    let gate = Gate { replica_type: WORKER.into(), state: GateState::Running };
    Ok(ReplicaPlan {
        leads: Which::All,
        env: table.into_iter().map(|env| Env { to: Containers::First, ..env }).collect(),
        init_containers: template::fragments(include_str!("kubectl-delivery.yaml"), &values)
            .map_err(|reason| Refusal::Unsupported(format!("setting kubectl-delivery-image: {reason}")))?,
        volumes: vec![json!({"name": "mpi-job-kubectl", "emptyDir": {}}).to_string(), config_volume(job, &files)],
        mounts: vec![mount("mpi-job-kubectl", "/opt/kube"), mount("mpi-job-config", "/etc/mpi")],
        service_account: Some(launcher_name(job)),
        after: Vec::from_iter(waits.then_some(gate)),
        ..replica(LAUNCHER)
    })
}

/// A launcher with a GPU takes processes, too.
fn works_itself(job: &Job) -> bool {
    let limits = job.containers(LAUNCHER).iter().filter_map(|each| each.pointer("/resources/limits")?.as_object());
    limits.flatten().any(|(resource, _)| resource.contains("gpu"))
}

fn mount(volume: &str, path: &str) -> Mount {
    Mount { to: Containers::First, mount: json!({"name": volume, "mountPath": path}).to_string() }
}

fn config_volume(job: &Job, files: &[(&str, u32)]) -> String {
    let items: Vec<_> = files.iter().map(|(file, mode)| json!({"key": file, "path": file, "mode": mode})).collect();
    let config = json!({"name": format!("{}-config", job.name), "items": items});
    json!({"name": "mpi-job-config", "configMap": config}).to_string()
}

/// Of its pod, its role and its role binding; of its account unless the user chose one.
fn launcher_name(job: &Job) -> String {
    format!("{}-launcher", job.name)
}

fn account_name(job: &Job) -> String {
    let chosen = job.template(LAUNCHER).pointer("/spec/serviceAccountName").and_then(Value::as_str);
    chosen.filter(|name| !name.is_empty()).map_or_else(|| launcher_name(job), str::to_owned)
}

fn metadata(job: &Job, name: &str) -> Value {
    json!({"name": name, "labels": {"app": job.name}})
}

fn service_account(job: &Job) -> Object {
    let metadata = metadata(job, &account_name(job));
    let account = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata});
    Object { existing: ObjectExisting::UseAny, ..object(&account) }
}

/// The script; the hosts for mpirun; the hosts that run now, for elastic Horovod, which asks again and again.
fn config(job: &Job) -> Object {
    let container = job.text("/mainContainer").filter(|name| !name.is_empty());
    let container = container.map_or_else(String::new, |name| format!(" --container {name}"));
    let script = format!(
        "#!/bin/sh\nset -x\nPOD_NAME=$1\nshift\n/opt/kube/kubectl exec ${{POD_NAME}}{container} -- /bin/sh -c \"$*\""
    );
    let config = json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": metadata(job, &format!("{}-config", job.name)),
        "data": {"kubexec.sh": script},
    });
    let slots = job.number("/slotsPerWorker").unwrap_or(1);
    let in_file = |replica_type| each(replica_type, "", &format!(" slots={slots}\n"));
    let workers = Each { running_only: true, ..each(WORKER, "\necho ", &format!(":{slots}")) };
    let (mut all, mut running) = (vec![Piece::Each(in_file(WORKER))], vec![literal("#!/bin/sh")]);
    if works_itself(job) {
        all.insert(0, Piece::Each(in_file(LAUNCHER)));
        running.push(Piece::Each(each(LAUNCHER, "\necho ", &format!(":{slots}\n"))));
    }
    running.push(Piece::Each(workers));
    object_with(&config, [("/data/hostfile", Content::Text(all)), ("/data/discover_hosts.sh", Content::Text(running))])
}

/// The names of all replicas of a type.
fn each(replica_type: &str, before: &str, after: &str) -> Each {
    let [replica_type, before, after] = [replica_type, before, after].map(str::to_owned);
    Each { replica_type, running_only: false, before, what: EachWhat::Name, after, separator: String::new() }
}

/// The launcher may run commands in the workers. If there are none it may not: a rule without names is for all pods.
fn role(job: &Job) -> Object {
    let mut rules = vec![json!({"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list", "watch"]})];
    let mut names = None;
    if job.replicas(WORKER) > 0 {
        rules.push(json!({"apiGroups": [""], "resources": ["pods/exec"], "resourceNames": [], "verbs": ["create"]}));
        names = Some(("/rules/1/resourceNames", Content::Strings(each(WORKER, "", ""))));
    }
    let metadata = metadata(job, &launcher_name(job));
    object_with(&json!({"apiVersion": RBAC_V1, "kind": "Role", "metadata": metadata, "rules": rules}), names)
}

fn role_binding(job: &Job) -> Object {
    let binding = json!({
        "apiVersion": RBAC_V1,
        "kind": "RoleBinding",
        "metadata": metadata(job, &launcher_name(job)),
        "roleRef": {"apiGroup": RBAC, "kind": "Role", "name": launcher_name(job)},
        "subjects": [{"kind": "ServiceAccount", "name": account_name(job), "namespace": job.namespace}],
    });
    Object { existing: ObjectExisting::KeepOurs, ..object(&binding) }
}

/// Failed pods are made again, or fail the job, as their restart policy says: with `ExitCode` a code below 128 is final.
fn failed(job: &Job, seen: &Observed, replica_type: &str) -> Option<Result<Restart, Failure>> {
    let pods = seen.pods.iter().filter(|pod| pod.replica_type == replica_type && pod.phase == Phase::Failed);
    let pods: Vec<_> = pods.collect();
    let because = match pods.len() {
        0 => return None,
        count => format!("because {count} {replica_type} replica(s) failed."),
    };
    let is_final = |pod: &&Pod| match job.restart_policy(replica_type) {
        RestartPolicy::Never => true,
        RestartPolicy::OnFailure | RestartPolicy::Always => false,
        RestartPolicy::ExitCode => pod.exit_code.is_some_and(|code| code < 128),
    };
    if pods.iter().any(is_final) {
        let message = format!("MPIJob {} is failed {because}", job.name);
        return Some(Err(Failure { reason: Some("MPIJobFailed".into()), message }));
    }
    let again = pods.iter().map(|pod| ReplicaId { replica_type: replica_type.to_owned(), index: pod.index });
    let message = format!("MPIJob {} is restarting {because}", job.name);
    Some(Ok(Restart { scope: RestartScope::Replicas(again.collect()), counts: true, message }))
}

/// What only this kind tells, in v1's words.
fn events(job: &Job, seen: &Observed, launcher: Option<&Pod>, verdicts: &[Verdict]) -> Vec<Event> {
    let event = |warning, reason: &str, message| Event { warning, reason: reason.to_owned(), message };
    let name = format!("MPIJob {}/{}", job.namespace, job.name);
    let workers = seen.total(WORKER);
    let has_failed = verdicts.iter().any(|verdict| matches!(verdict, Verdict::Failed(_)));
    let of_launcher = launcher.and_then(|launcher| match launcher.phase {
        Phase::Succeeded => Some(event(false, "mpijobsSucceeded", format!("{name} successfully completed."))),
        Phase::Failed if has_failed => {
            let reason = if launcher.reason.is_empty() { "MPIJobFailed" } else { &launcher.reason };
            Some(event(true, reason, format!("{name} has failed")))
        }
        Phase::Running if workers.is_none_or(|workers| workers.active == workers.wanted) => {
            Some(event(false, "MPIJobRunning", format!("{name} is running")))
        }
        Phase::Pending | Phase::Running | Phase::Failed | Phase::Unknown => None,
    });
    let evicted = workers.filter(|workers| workers.evicted > 0);
    let evicted = evicted.map(|workers| format!("{}/{} workers are evicted", workers.evicted, workers.wanted));
    of_launcher.into_iter().chain(evicted.map(|message| event(true, "MPIJobEvicted", message))).collect()
}

#[cfg(test)]
mod tests;
