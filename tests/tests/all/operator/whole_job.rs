//! A job from `kubectl apply` to Succeeded: all that its user can see of it.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::place::{Kind, PYTORCH, Place, XGBOOST, counter, name, text};

/// What is particular to a kind.
struct Expected {
    kind: &'static Kind,
    /// As users and plugins call it.
    resource: &'static str,
    framework: &'static str,
    port: (&'static str, u16),
    done: &'static str,
    has_selectors: bool,
    /// Of the pods of the master and the two workers of the job `mnist`.
    environments: [(&'static str, &'static str); 3],
}

#[test]
fn a_pytorch_job_succeeds() -> Result<()> {
    succeeds(&Expected {
        kind: &PYTORCH,
        resource: "pytorchjob",
        framework: "pytorch",
        port: ("pytorchjob-port", 23456),
        done: "PyTorchJob mnist is successfully completed.",
        has_selectors: true,
        environments: [
            (
                "mnist-master-0",
                "PYTHONUNBUFFERED=1 MASTER_PORT=23456 PET_MASTER_PORT=23456 MASTER_ADDR=mnist-master-0 \
                 PET_MASTER_ADDR=mnist-master-0 WORLD_SIZE=3 RANK=0 PET_NODE_RANK=0 PET_NPROC_PER_NODE=auto PET_NNODES=3",
            ),
            (
                "mnist-worker-0",
                "PYTHONUNBUFFERED=1 MASTER_PORT=23456 PET_MASTER_PORT=23456 MASTER_ADDR=mnist-master-0 \
                 PET_MASTER_ADDR=mnist-master-0 WORLD_SIZE=3 RANK=1 PET_NODE_RANK=1 PET_NPROC_PER_NODE=auto PET_NNODES=3",
            ),
            (
                "mnist-worker-1",
                "PYTHONUNBUFFERED=1 MASTER_PORT=23456 PET_MASTER_PORT=23456 MASTER_ADDR=mnist-master-0 \
                 PET_MASTER_ADDR=mnist-master-0 WORLD_SIZE=3 RANK=2 PET_NODE_RANK=2 PET_NPROC_PER_NODE=auto PET_NNODES=3",
            ),
        ],
    })
}

#[test]
fn an_xgboost_job_succeeds() -> Result<()> {
    succeeds(&Expected {
        kind: &XGBOOST,
        resource: "xgboostjob",
        framework: "xgboost",
        port: ("xgboostjob-port", 9999),
        done: "XGBoostJob mnist is successfully completed.",
        has_selectors: false,
        environments: [
            (
                "mnist-master-0",
                "MASTER_PORT=9999 MASTER_ADDR=mnist-master-0 WORLD_SIZE=3 RANK=0 PYTHONUNBUFFERED=1 WORKER_PORT=9999 \
                 WORKER_ADDRS=mnist-worker-0,mnist-worker-1",
            ),
            (
                "mnist-worker-0",
                "MASTER_PORT=9999 MASTER_ADDR=mnist-master-0 WORLD_SIZE=3 RANK=1 PYTHONUNBUFFERED=1 WORKER_PORT=9999 \
                 WORKER_ADDRS=mnist-worker-0,mnist-worker-1",
            ),
            (
                "mnist-worker-1",
                "MASTER_PORT=9999 MASTER_ADDR=mnist-master-0 WORLD_SIZE=3 RANK=2 PYTHONUNBUFFERED=1 WORKER_PORT=9999 \
                 WORKER_ADDRS=mnist-worker-0,mnist-worker-1",
            ),
        ],
    })
}

fn succeeds(expected: &Expected) -> Result<()> {
    let Some(place) = Place::new(expected.framework)? else { return Ok(()) };
    let operator = place.operator(&[expected.kind], &[])?;
    place.apply(&expected.kind.job("mnist", &[("Master", 1), ("Worker", 2)], json!({})))?;
    let job = format!("{}/mnist", expected.resource);
    place.wait(&job, "jsonpath={.status.replicaStatuses.Worker.active}=2")?;
    place.wait_for(&job, "Running")?;
    columns(&place, expected, "Running")?;
    pods(&place, expected)?;
    services(&place, expected)?;
    for pod in ["mnist-worker-0", "mnist-worker-1", "mnist-master-0"] {
        place.end(pod, 0)?;
        place.wait(&format!("pod/{pod}"), "jsonpath={.status.phase}=Succeeded")?;
    }
    place.wait_for(&job, "Succeeded")?;
    columns(&place, expected, "Succeeded")?;
    status(&place, expected, &job)?;
    let page = operator.metrics()?;
    assert!(operator.terminate()?.success()); // by now all is told
    events(&place, expected, &job)?;
    for (counted, count) in [("created", 1), ("successful", 1), ("failed", 0), ("restarted", 0), ("deleted", 0)] {
        assert_eq!(counter(&page, &format!("training_operator_jobs_{counted}_total")), count, "{counted}: {page}");
    }
    let refused: Vec<_> = place.requests()?.into_iter().filter(|request| request.code >= 300).collect();
    assert_eq!(refused, []);
    Ok(())
}

/// NAME, STATE and AGE.
fn columns(place: &Place, expected: &Expected, state: &str) -> Result<()> {
    let table = place.kubectl(&["get", expected.resource])?;
    let rows: Vec<Vec<&str>> = table.lines().map(|line| line.split_whitespace().collect()).collect();
    let [head, row] = rows.as_slice() else { panic!("{table}") };
    assert_eq!(head, &["NAME", "STATE", "AGE"]);
    assert_eq!(row[..2], ["mnist", state]);
    Ok(())
}

fn pods(place: &Place, expected: &Expected) -> Result<()> {
    let pods = place.get("pods")?;
    let pods = pods["items"].as_array().context("no list")?;
    let environments: Vec<_> = pods.iter().map(|pod| (name(pod), environment(pod))).collect();
    let wanted: Vec<_> =
        expected.environments.iter().map(|(pod, env)| ((*pod).to_owned(), (*env).to_owned())).collect();
    assert_eq!(environments, wanted);
    for pod in pods {
        let name = name(pod);
        let mut labels = labels(expected, &name);
        if name == "mnist-master-0" {
            labels["training.kubeflow.org/job-role"] = json!("master");
        }
        assert_eq!(pod["metadata"]["labels"], labels, "{name}");
        assert_eq!(pod["metadata"]["ownerReferences"], owner(place, expected)?, "{name}");
        assert_eq!(pod["spec"]["restartPolicy"], "OnFailure", "{name}");
        let (port, number) = expected.port;
        let ports = json!([{"name": port, "containerPort": number, "protocol": "TCP"}]);
        assert_eq!(pod["spec"]["containers"][0]["ports"], ports, "{name}");
    }
    Ok(())
}

/// Of the container that trains: `NAME=value`, in order.
fn environment(pod: &Value) -> String {
    let variables = pod["spec"]["containers"][0]["env"].as_array().into_iter().flatten();
    variables.map(|each| format!("{}={}", text(&each["name"]), text(&each["value"]))).collect::<Vec<_>>().join(" ")
}

fn services(place: &Place, expected: &Expected) -> Result<()> {
    let services = place.get("services")?;
    let services = services["items"].as_array().context("no list")?;
    let names: Vec<_> = services.iter().map(name).collect();
    assert_eq!(names, expected.environments.map(|(pod, _)| pod));
    for service in services {
        let name = name(service);
        let labels = labels(expected, &name);
        assert_eq!(service["metadata"]["labels"], labels, "{name}");
        assert_eq!(service["metadata"]["ownerReferences"], owner(place, expected)?, "{name}");
        assert_eq!(service["spec"]["selector"], labels, "{name}");
        assert_eq!(service["spec"]["clusterIP"], "None", "{name}");
        let (port, number) = expected.port;
        let ports = json!([{"name": port, "port": number, "targetPort": number, "protocol": "TCP"}]);
        assert_eq!(service["spec"]["ports"], ports, "{name}");
    }
    Ok(())
}

/// Of a replica, by the name of its pod: `mnist-worker-1`.
fn labels(expected: &Expected, pod: &str) -> Value {
    let parts: Vec<&str> = pod.split('-').collect();
    json!({
        "training.kubeflow.org/job-name": parts[0],
        "training.kubeflow.org/operator-name": format!("{}-controller", expected.resource),
        "training.kubeflow.org/replica-index": parts[2],
        "training.kubeflow.org/replica-type": parts[1],
    })
}

fn owner(place: &Place, expected: &Expected) -> Result<Value> {
    let job = place.get(&format!("{}/mnist", expected.resource))?;
    Ok(json!([{
        "apiVersion": "kubeflow.org/v1",
        "kind": expected.kind.name,
        "name": "mnist",
        "uid": job["metadata"]["uid"],
        "controller": true,
        "blockOwnerDeletion": true,
    }]))
}

fn status(place: &Place, expected: &Expected, job: &str) -> Result<()> {
    let kind = expected.kind.name;
    let condition = |word: &str, status: &str, message: &str| {
        [word.to_owned(), status.to_owned(), format!("{kind}{word}"), message.to_owned()]
    };
    assert_eq!(
        place.conditions(job)?,
        [
            condition("Created", "True", &format!("{kind} mnist is created.")),
            condition("Running", "False", &format!("{kind} mnist is running.")),
            condition("Succeeded", "True", expected.done),
        ]
    );
    let status = &place.get(job)?["status"];
    let replicas = |replica_type: &str, succeeded: u32| {
        let selector = format!(
            "training.kubeflow.org/job-name=mnist,training.kubeflow.org/operator-name={}-controller,\
             training.kubeflow.org/replica-type={}",
            expected.resource,
            replica_type.to_lowercase()
        );
        let mut status = json!({"succeeded": succeeded});
        if expected.has_selectors {
            status["selector"] = selector.into();
        }
        status
    };
    assert_eq!(status["replicaStatuses"], json!({"Master": replicas("Master", 1), "Worker": replicas("Worker", 2)}));
    let [started, completed] = ["startTime", "completionTime"].map(|time| text(&status[time]));
    assert!(!started.is_empty() && started <= completed, "{status}"); // RFC 3339 in UTC sorts by time
    Ok(())
}

fn events(place: &Place, expected: &Expected, job: &str) -> Result<()> {
    let mut wanted = BTreeMap::new();
    for (pod, _) in expected.environments {
        wanted.insert(format!("Pod: {}.{pod} exited with code 0", place.namespace), "ExitedWithCode");
        wanted.insert(format!("Created pod: {pod}"), "SuccessfulCreatePod");
        wanted.insert(format!("Created service: {pod}"), "SuccessfulCreateService");
    }
    let succeeded = format!("{}Succeeded", expected.kind.name);
    wanted.insert(expected.done.to_owned(), &succeeded);
    let told = place.events(job)?;
    assert!(told.iter().all(|[kind, _, _]| kind == "Normal"), "{told:#?}");
    let told: Vec<_> = told.into_iter().map(|[_, reason, message]| (message, reason)).collect();
    let mut wanted: Vec<_> = wanted.into_iter().map(|(message, reason)| (message, reason.to_owned())).collect();
    wanted.sort_by_key(|(message, reason)| (reason.clone(), message.clone()));
    assert_eq!(told, wanted);
    let described = place.kubectl(&["describe", expected.resource, "mnist"])?;
    for (message, reason) in wanted {
        let line = described.lines().find(|line| line.trim_end().ends_with(&message) && line.contains(&reason));
        let line = line.with_context(|| format!("{reason} {message:?} is not in {described}"))?;
        assert!(line.contains(&format!("{}-controller", expected.resource)), "{line}");
    }
    Ok(())
}
