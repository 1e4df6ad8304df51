//! The API server asks an operator whether jobs may be stored.

mod gate;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use trainyard_tests::control_plane::admission::{CONFIGURATION, by_service, by_url, webhook};

use self::gate::{Gate, SECRET, outdated_secret, resource};
use super::made_up::{ROLE, ring};
use super::place::{JAX, Kind, MPI, PADDLE, PYTORCH, TENSORFLOW, XGBOOST, counter, install_kinds, text, trainyard};

const ROLES: [&str; 2] = ["training-operator", "training-operator-admission"];

fn good(kind: &Kind) -> Value {
    kind.job("mnist", &[("Master", 1)], json!({}))
}

fn broken(kind: &Kind, change: impl FnOnce(&mut Value)) -> Value {
    let mut job = good(kind);
    change(&mut job);
    job
}

fn no_spec(kind: &Kind) -> Value {
    json!({"apiVersion": "kubeflow.org/v1", "kind": kind.name, "metadata": {"name": "mnist"}})
}

/// What the API server says of a job that its webhook refuses.
fn denied(kind: &Kind, why: &str) -> String {
    let name = kind.name.to_lowercase();
    format!("admission webhook \"validator.{name}.training-operator.kubeflow.org\" denied the request: {why}")
}

/// Refused by the webhook that is asked for both kinds.
fn masters(kind: &Kind, replicas: i32) -> Value {
    broken(kind, |job| job["spec"][kind.replica_specs]["Master"]["replicas"] = replicas.into())
}

#[test]
fn invalid_jobs_are_refused_with_v1s_words() -> Result<()> {
    let Some(gate) = Gate::new("refused")? else { return Ok(()) };
    gate.grant(&ROLES)?;
    let port = gate.cluster.webhook_port()?;
    gate.cluster.add_webhooks(&[webhook("PyTorchJob", &by_url("PyTorchJob", port))])?;
    let operator = gate.operator_with(port, &[])?;
    for kind in [&PYTORCH, &XGBOOST] {
        let specs = kind.replica_specs;
        let containers = format!("spec.{specs}[Master].template.spec.containers");
        gate.ask(&good(kind))?;
        for (job, why) in [
            (masters(kind, 2), format!("spec.{specs}[Master].replicas: Forbidden: must be 1")),
            (masters(kind, -1), format!("spec.{specs}[Master].replicas: Forbidden: must be 1")),
            (
                broken(kind, |job| job["metadata"]["name"] = "0-mnist".into()),
                "metadata.name: Invalid value: \"0-mnist\": should match: a DNS-1035 label must".into(),
            ),
            (
                broken(kind, |job| job["spec"][specs]["Master"]["template"]["spec"]["containers"] = json!([])),
                format!(
                    "[{containers}: Required value: must be specified, {containers}: Required value: must have at \
                     least one container with name {}]",
                    kind.container
                ),
            ),
            (
                broken(kind, |job| job["spec"]["runPolicy"] = json!({"managedBy": "me"})),
                "spec.runPolicy.managedBy: Unsupported value: \"me\": supported values: \
                 \"kubeflow.org/training-operator\", \"kueue.x-k8s.io/multikueue\""
                    .into(),
            ),
        ] {
            let (refusal, why) = (gate.refusal(&job)?, denied(kind, &why));
            assert!(refusal.contains("(Forbidden)") && refusal.contains(&why), "{refusal}\n{why}");
        }
    }
    let warned = broken(&PYTORCH, |job| {
        job["spec"]["pytorchReplicaSpecs"]["Worker"] = job["spec"]["pytorchReplicaSpecs"]["Master"].clone();
        job["spec"]["elasticPolicy"] = json!({"nProcPerNode": 2});
    });
    let warning = "Warning: spec.elasticPolicy.nProcPerNode is deprecated, use spec.nprocPerNode instead";
    assert!(gate.refusal(&warned)?.contains(warning), "{}", gate.refusal(&warned)?);

    // These have webhooks that nobody installed.
    for kind in [&TENSORFLOW, &PADDLE, &JAX] {
        let refusal = gate.refusal(&kind.job("0-mnist", &[("Worker", 1)], json!({})))?;
        assert!(refusal.contains(&denied(kind, "metadata.name: Invalid value: ")), "{refusal}");
    }
    for kind in [&PYTORCH, &TENSORFLOW, &PADDLE, &JAX, &MPI] {
        let refusal = gate.refusal(&no_spec(kind))?;
        let why = denied(kind, &format!("spec.{}: Required value: must be required", kind.replica_specs));
        assert!(refusal.trim_end().ends_with(&why), "{refusal}");
    }
    let refusal = gate.refusal(&no_spec(&XGBOOST))?;
    let why = "[spec.xgbReplicaSpecs: Required value: must be required, spec.xgbReplicaSpecs[Master]: Required value: must be present]";
    assert!(refusal.contains(&denied(&XGBOOST, why)), "{refusal}");
    let page = operator.metrics()?;
    let counted =
        "controller_runtime_webhook_requests_total{code=\"200\",webhook=\"/validate-kubeflow-org-v1-jaxjob\"} 2\n";
    assert!(page.contains(counted), "{page}");
    assert_eq!(counter(&page, "controller_runtime_webhook_requests_total"), 22);
    Ok(())
}

/// As in a cluster: the operator installs the configuration, and the secret is the empty one that kustomize makes for v1.
#[test]
fn nothing_is_asked_twice_and_the_role_grants_what_is_used_and_no_more() -> Result<()> {
    let Some(gate) = Gate::new("role")? else { return Ok(()) };
    gate.grant(&ROLES)?;
    gate.cluster.kubectl(&["create", "secret", "generic", "training-operator-webhook-cert", "--namespace=kubeflow"])?;
    let operator = gate.operator_with(gate.cluster.webhook_port()?, &["--webhook"])?;
    for webhook in gate.webhooks()? {
        let service = &webhook["clientConfig"]["service"];
        assert_eq!([&service["name"], &service["namespace"]], ["training-operator", "kubeflow"]);
        assert_eq!([&service["port"], &webhook["failurePolicy"]], [&json!(443), &json!("Fail")]);
        assert_eq!(bundle(&webhook), gate.secret("ca.crt")?);
    }
    let before = gate.secret("ca.crt")?;
    gate.cluster.kubectl(&[&["delete"], &SECRET[..]].concat())?;
    let is_new = |all: &[Value]| all.iter().all(|webhook| bundle(webhook) != before);
    gate.wait_for_webhooks("another authority", is_new)?;
    assert!(operator.terminate()?.success());
    let requests = gate.requests()?;
    let asked = requests.iter().map(|each| (each.verb.as_str(), resource(each).unwrap_or_default(), each.code));
    let mut asked: Vec<_> = asked.collect();
    asked.sort_unstable();
    let configurations = "validatingwebhookconfigurations";
    assert_eq!(
        asked,
        [
            ("create", "secrets", 201), // after it was deleted
            ("create", configurations, 201),
            ("list", "secrets", 200),
            ("list", configurations, 200),
            ("update", "secrets", 200),
            ("update", configurations, 200), // with the other authority
            ("watch", "secrets", 200),
            ("watch", configurations, 200),
        ]
    );
    assert_eq!(gate.granted()?, asked.iter().map(|(verb, what, _)| (verb.to_string(), what.to_string())).collect());
    Ok(())
}

fn bundle(webhook: &Value) -> String {
    text(&webhook["clientConfig"]["caBundle"])
}

#[test]
fn a_job_from_before_may_be_labelled_but_not_made_worse() -> Result<()> {
    let Some(gate) = Gate::new("before")? else { return Ok(()) };
    gate.grant(&ROLES)?;
    let store = |job: &Value| gate.cluster.kubectl_with(&["create", "-f", "-"], &job.to_string());
    let elsewhere = broken(&XGBOOST, |job| {
        job["metadata"]["name"] = "elsewhere".into();
        job["spec"]["runPolicy"] = json!({"managedBy": "kueue.x-k8s.io/multikueue"});
    });
    store(&masters(&PYTORCH, 2))?;
    store(&elsewhere)?;
    let port = gate.cluster.webhook_port()?;
    gate.cluster.add_webhooks(&[webhook("PyTorchJob", &by_url("PyTorchJob", port))])?;
    let _operator = gate.operator(port)?;
    let patch =
        |job: &str, patch: Value| gate.cluster.kubectl(&["patch", job, "--type=merge", "--patch", &patch.to_string()]);
    patch("pytorchjob/mnist", json!({"metadata": {"labels": {"a": "b"}, "finalizers": ["example.com/wait"]}}))?;
    let master = |replicas: u32| json!({"spec": {"pytorchReplicaSpecs": {"Master": {"replicas": replicas}}}});
    let error = patch("pytorchjob/mnist", master(3)).unwrap_err().to_string();
    assert!(
        error.contains(&denied(&PYTORCH, "spec.pytorchReplicaSpecs[Master].replicas: Forbidden: must be 1")),
        "{error}"
    );
    gate.cluster.kubectl(&["delete", "pytorchjob/mnist", "--wait=false"])?;
    patch("pytorchjob/mnist", json!({"metadata": {"finalizers": []}}))?;
    gate.cluster.kubectl(&["wait", "--for=delete", "pytorchjob/mnist", "--timeout=60s"])?;
    let managed = json!({"spec": {"runPolicy": {"managedBy": "kubeflow.org/training-operator"}}});
    let error = patch("xgboostjob/elsewhere", managed).unwrap_err().to_string();
    assert!(
        error.contains("spec.runPolicy.managedBy: Invalid value: ") && error.contains("field is immutable"),
        "{error}"
    );
    gate.cluster.kubectl(&["delete", "xgboostjob/elsewhere"]).map(drop)
}

/// Jobs are created all the time while the certificate and its authority are replaced; none fails.
#[test]
fn a_rotation_fails_no_request() -> Result<()> {
    let Some(gate) = Gate::new("rotation")? else { return Ok(()) };
    gate.grant(&ROLES)?;
    let port = gate.cluster.webhook_port()?;
    let webhooks = [&PYTORCH, &XGBOOST].map(|kind| webhook(kind.name, &by_service(kind.name, port)));
    gate.cluster.add_webhooks(&webhooks)?;
    let operator = gate.operator(port)?;
    let before = gate.secret("ca.crt")?;
    let is_over = AtomicBool::new(false);
    let jobs: Vec<_> =
        (0..10).map(|index| PYTORCH.job(&format!("mnist-{index}"), &[("Worker", 1)], json!({}))).collect();
    let jobs = json!({"apiVersion": "v1", "kind": "List", "items": jobs});
    thread::scope(|scope| {
        let stream = || {
            while !is_over.load(Ordering::Relaxed) {
                gate.ask(&jobs)?;
            }
            Ok::<_, anyhow::Error>(())
        };
        let streams = [scope.spawn(stream), scope.spawn(stream)];
        let rotated = rotate(&gate, || operator.log(), &before);
        is_over.store(true, Ordering::Relaxed);
        for stream in streams {
            stream.join().map_err(|_| anyhow::anyhow!("a stream panicked"))??;
        }
        rotated
    })?;
    // Who connects now sees the new certificate alone.
    let moved = [&PYTORCH, &XGBOOST].map(
        |kind| json!({"url": by_url(kind.name, port)["url"].as_str().map(|url| url.replace("127.0.0.1", "localhost"))}),
    );
    let names: Vec<_> = gate.webhooks()?.iter().map(|webhook| webhook["name"].clone()).collect();
    let patch = names.iter().zip(moved).map(|(name, client)| {
        let mut client = client;
        client["service"] = Value::Null;
        json!({"name": name, "clientConfig": client})
    });
    let patch = json!({"webhooks": patch.collect::<Vec<_>>()}).to_string();
    let object = ["validatingwebhookconfiguration", CONFIGURATION];
    gate.cluster.kubectl(&[&["patch", "--type=strategic", "--patch", &patch], &object[..]].concat())?;
    gate.cluster.wait_until(60, "a certificate for another name", || gate.ask(&good(&PYTORCH)))?;
    assert!(gate.refusal(&masters(&XGBOOST, 2))?.contains("must be 1"));
    ensure!(operator.terminate()?.success(), "it did not end well");
    Ok(())
}

/// Somebody deletes the Secret; answers when another certificate is shown.
fn rotate(gate: &Gate, log: impl Fn() -> Result<String>, before: &str) -> Result<()> {
    let shown = || Ok::<_, anyhow::Error>(log()?.matches("showing the stored certificate").count());
    ensure!(shown()? == 1, "{}", log()?);
    gate.cluster.kubectl(&[&["delete"], &SECRET[..]].concat())?;
    gate.cluster.wait_until(60, "another certificate to be shown", || {
        ensure!(shown()? == 2, "{}", log()?);
        Ok(())
    })?;
    ensure!(gate.secret("ca.crt")? != before, "the authority is the same");
    Ok(())
}

#[test]
fn two_replicas_that_start_at_once_agree() -> Result<()> {
    let Some(gate) = Gate::new("replicas")? else { return Ok(()) };
    gate.grant(&ROLES)?;
    let ports = [gate.cluster.webhook_port()?, gate.cluster.webhook_port()?];
    let kinds = [&PYTORCH, &XGBOOST];
    let webhooks = kinds.iter().zip(ports).map(|(kind, port)| webhook(kind.name, &by_url(kind.name, port)));
    gate.cluster.add_webhooks(&webhooks.collect::<Vec<_>>())?;
    let operators = thread::scope(|scope| {
        let starting = ports.map(|port| {
            scope.spawn({
                let gate = &gate;
                move || gate.operator(port)
            })
        });
        starting.map(|starting| starting.join().map_err(|_| anyhow::anyhow!("a start panicked"))?)
    });
    let operators = operators.into_iter().collect::<Result<Vec<_>>>()?;
    let authority = gate.secret("ca.crt")?;
    let bundles: BTreeSet<_> = gate.webhooks()?.iter().map(bundle).collect();
    assert_eq!(bundles, [authority].into());
    for kind in kinds {
        gate.cluster.wait_until(60, "both to show what is stored", || gate.ask(&good(kind)))?;
        assert!(gate.refusal(&masters(kind, 2))?.contains("must be 1"));
    }
    for operator in operators {
        assert!(operator.terminate()?.success());
    }
    let requests = gate.requests()?;
    let stored = requests.iter().filter(|request| resource(request) == Some("secrets") && request.code == 201);
    assert_eq!(stored.count(), 1, "{requests:#?}");
    Ok(())
}

/// A plugin that is suspended, or on its way, may come back; the entry of its kind is the admin's.
#[test]
fn a_kind_whose_plugin_is_not_loaded_keeps_its_webhook() -> Result<()> {
    let Some(gate) = Gate::new("held")? else { return Ok(()) };
    gate.grant(&[&ROLES[..], &["training-operator-plugins"]].concat())?;
    let port = gate.cluster.webhook_port()?;
    let mut entry = webhook("XGBoostJob", &by_url("XGBoostJob", port));
    entry["timeoutSeconds"] = 7.into();
    gate.cluster.add_webhooks(&[entry.clone()])?;
    let operator = gate.operator(port)?;
    let plugin = |suspend: bool| {
        let spec = json!({"source": {"bundled": {"name": "xgboost"}}, "suspend": suspend});
        let (version, kind) = ("trainyard.dev/v1alpha1", "FrameworkPlugin");
        let plugin = json!({"apiVersion": version, "kind": kind, "metadata": {"name": "own"}, "spec": spec});
        gate.cluster.apply(&plugin.to_string())?;
        let ready = format!("--for=condition=Ready={}", !suspend);
        gate.cluster.kubectl(&["wait", &ready, "frameworkplugin/own", "--timeout=60s"])
    };
    let is_kept = || -> Result<()> {
        let found = gate.webhooks()?.into_iter().find(|each| each["name"] == entry["name"]);
        ensure!(found.as_ref().is_some_and(|found| found["timeoutSeconds"] == 7), "{found:?}");
        let told = gate.refusal(&good(&XGBOOST))?;
        ensure!(told.contains("the plugin of XGBoostJob is not loaded for the moment"), "{told}");
        Ok(())
    };
    plugin(false)?;
    gate.ask(&good(&XGBOOST))?;
    plugin(true)?;
    gate.cluster.wait_until(60, "the user to be told", is_kept)?;
    drop(operator);
    let _operator = gate.operator_with(port, &["--enable-scheme=PyTorchJob"])?;
    gate.cluster.wait_until(60, "the user to be told again", is_kept)?;
    let managed = broken(&XGBOOST, |job| job["spec"]["runPolicy"] = json!({"managedBy": "me"}));
    let refused = denied(&XGBOOST, "spec.runPolicy.managedBy: Unsupported value: \"me\"");
    let found = gate.refusal(&managed)?;
    ensure!(found.contains(&refused), "what is the same for all kinds: {found}");
    plugin(false)?;
    gate.cluster.wait_until(60, "jobs to be looked at", || gate.ask(&good(&XGBOOST)))?;
    plugin(true)?;
    gate.cluster.wait_until(60, "the user to be told", is_kept)?;
    gate.cluster.kubectl(&["delete", "frameworkplugin/own", "--timeout=60s"])?;
    // Nobody is left to be asked.
    gate.cluster.wait_until(60, "the entry to go", || {
        let found = gate.webhooks()?.into_iter().find(|each| each["name"] == entry["name"]);
        ensure!(found.is_none(), "{found:?}");
        gate.ask(&good(&XGBOOST))
    })
}

#[test]
fn what_somebody_breaks_is_mended_and_the_admins_own_stays() -> Result<()> {
    let Some(gate) = Gate::new("mended")? else { return Ok(()) };
    gate.grant(&ROLES)?;
    let port = gate.cluster.webhook_port()?;
    let mut ours = webhook("PyTorchJob", &by_service("PyTorchJob", port));
    ours["timeoutSeconds"] = 7.into();
    let theirs = json!({"name": "their.own.hook", "clientConfig": {"url": "https://127.0.0.1:1/x"}, "sideEffects": "None", "admissionReviewVersions": ["v1"]});
    gate.cluster.add_webhooks(&[theirs, ours])?;
    let theirs = gate.webhooks()?[0].clone();
    let _operator = gate.operator(port)?;
    let settled = gate.webhooks()?;
    let (first, ours) = settled.split_first().context("no webhooks")?;
    assert_eq!(*first, theirs);
    assert_eq!(ours[0]["timeoutSeconds"], 7);
    for kind in [&PYTORCH, &XGBOOST, &JAX] {
        let service = by_service(kind.name, port)["service"].clone();
        assert!(ours.iter().any(|webhook| webhook["clientConfig"]["service"] == service), "{ours:#?}");
    }
    let set = |webhooks: &[Value]| webhooks.iter().map(ToString::to_string).collect::<BTreeSet<_>>();
    let object = ["validatingwebhookconfiguration", CONFIGURATION];
    let patch = |patch: Value| {
        gate.cluster.kubectl(&[&["patch", "--type=json", "--patch", &patch.to_string()], &object[..]].concat())
    };
    patch(json!([{"op": "replace", "path": "/webhooks/1/clientConfig/caBundle", "value": "Cg=="}]))?;
    gate.wait_for_webhooks("the bundle", |all| set(all) == set(&settled))?;
    patch(json!([{"op": "remove", "path": "/webhooks/2"}]))?;
    gate.wait_for_webhooks("the webhook", |all| set(all) == set(&settled))?;
    gate.cluster.kubectl(&[&["delete"], &object[..]].concat())?;
    let made = gate.wait_for_webhooks("the configuration", |all| all.len() == ours.len())?;
    let clients = |all: &[Value]| set(&all.iter().map(|each| each["clientConfig"].clone()).collect::<Vec<_>>());
    assert_eq!(clients(&made), clients(ours));
    gate.cluster.wait_until(60, "the API server to ask again", || {
        ensure!(gate.refusal(&masters(&PYTORCH, 2))?.contains("must be 1"), "refused for another reason");
        Ok(())
    })
}

#[test]
fn a_certificate_that_is_over_is_replaced_at_the_start() -> Result<()> {
    let Some(gate) = Gate::new("over")? else { return Ok(()) };
    gate.grant(&ROLES)?;
    let port = gate.cluster.webhook_port()?;
    gate.cluster.add_webhooks(&[webhook("PyTorchJob", &by_url("PyTorchJob", port))])?;
    gate.cluster.apply(&outdated_secret()?.to_string())?;
    let before = gate.secret("tls.crt")?;
    let _operator = gate.operator(port)?;
    assert_ne!(gate.secret("tls.crt")?, before);
    let refusal = gate.refusal(&masters(&PYTORCH, 2))?;
    assert!(refusal.contains("must be 1"), "{refusal}");
    Ok(())
}

/// An operator on a laptop installs nothing that nobody could answer at, but answers where it is asked to.
#[test]
fn outside_of_a_cluster_there_is_admission_where_an_admin_wants_it() -> Result<()> {
    let Some(gate) = Gate::new("outside")? else { return Ok(()) };
    gate.grant(&ROLES)?;
    let port = gate.cluster.webhook_port()?;
    let _operator = gate.operator(port)?;
    gate.ask(&masters(&PYTORCH, 2)).context("there is a webhook")?;
    let asked: Vec<_> = gate.requests()?.iter().map(|request| request.verb.clone()).collect();
    assert_eq!(asked, ["list", "watch"], "only whether there is a configuration");
    gate.cluster.add_webhooks(&[webhook("PyTorchJob", &by_url("PyTorchJob", port))])?;
    gate.cluster.wait_until(60, "the webhook to answer", || {
        ensure!(gate.refusal(&masters(&PYTORCH, 2))?.contains("must be 1"), "refused for another reason");
        Ok(())
    })
}

#[test]
fn without_permission_there_is_no_admission_and_jobs_run() -> Result<()> {
    let Some(gate) = Gate::new("forbidden")? else { return Ok(()) };
    gate.grant(&["training-operator"])?;
    let port = gate.cluster.webhook_port()?;
    let operator = gate.operator(port)?;
    assert!(operator.log()?.contains("no admission: it is not permitted"), "{}", operator.log()?);
    gate.cluster.apply(&broken(&PYTORCH, |job| job["metadata"]["namespace"] = "default".into()).to_string())?;
    gate.cluster.kubectl(&["wait", "--for=create", "pod/mnist-master-0", "--timeout=60s"])?;
    gate.cluster.kubectl(&["delete", "pytorchjob/mnist"])?;
    assert!(operator.terminate()?.success());
    Ok(())
}

/// What is not installed yet is answered for from its first job on, and keeps no other waiting.
#[test]
fn a_kind_that_is_not_installed_keeps_no_other_from_being_asked_about() -> Result<()> {
    let Some(gate) = Gate::new("not-installed")? else { return Ok(()) };
    gate.cluster.apply(ROLE)?;
    gate.grant(&[&ROLES[..], &["ring"]].concat())?;
    let port = gate.cluster.webhook_port()?;
    gate.cluster.add_webhooks(&[webhook("PyTorchJob", &by_url("PyTorchJob", port))])?;
    let _operator = gate.operator_with(port, &["--plugin", ring()?])?;
    assert!(gate.refusal(&masters(&PYTORCH, 2))?.contains("must be 1"));
    install_kinds(gate.cluster, &trainyard(&["crds", "RingJob", "--plugin", ring()?])?)?;
    let job = json!({"apiVersion": "example.com/v1", "kind": "RingJob", "metadata": {"name": "0"}, "spec": {"replicaSpecs": {}}});
    let refusal = gate.refusal(&job)?;
    let webhook =
        "admission webhook \"validator.ringjob.training-operator.example.com\" denied the request: [metadata.name: ";
    assert!(refusal.contains(webhook), "{refusal}");
    Ok(())
}
