//! Tests on a real control plane, with fake nodes.

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use trainyard_tests::ControlPlane;

const POD: &str = "
apiVersion: v1
kind: Pod
metadata:
  name: NAME
  annotations: {test/complete-after: 1s, test/exit-code: 'CODE'}
spec:
  restartPolicy: Never
  containers: [{name: train, image: fake}]
";

/// The ground that the other tests stand on: it is scheduled, runs, has a log, ends, and the audit log knows who asked.
#[test]
fn a_pod_runs_and_ends_on_a_fake_node() -> Result<()> {
    let Some(cluster) = ControlPlane::shared()? else { return Ok(()) };
    let namespace = cluster.namespace("pods")?;
    let create = ["create", "--namespace", &namespace, "-f", "-"];
    for (name, code, end) in [("good", "0", "Succeeded"), ("bad", "137", "Failed")] {
        cluster.kubectl_with(&create, &POD.replace("NAME", name).replace("CODE", code))?;
        let pod = |phase: &str| {
            let pod = cluster.get(&namespace, &format!("pod/{name}"))?;
            ensure!(pod["status"]["phase"] == phase, "{name}: {}", pod["status"]);
            Ok(pod)
        };
        cluster.wait_until(30, "a running pod", || pod("Running"))?;
        let log = cluster.kubectl(&["logs", name, "--namespace", &namespace])?;
        assert_eq!(log, "the first line of a fake container\nand the last\n", "{name}");
        let ended = cluster.wait_until(30, "the pod's end", || pod(end))?;
        assert_eq!(exit_code(&ended).map(|code| code.to_string()).as_deref(), Some(code), "{name}");
    }
    let path = format!("/api/v1/namespaces/{namespace}/pods");
    let created =
        cluster.requests()?.into_iter().filter(|request| request.verb == "create" && request.uri.starts_with(&path));
    let created: Vec<_> = created.map(|request| (request.user, request.code)).collect();
    assert_eq!(created, [("admin".to_owned(), 201), ("admin".to_owned(), 201)]);
    Ok(())
}

#[test]
fn a_user_may_do_nothing_without_a_role() -> Result<()> {
    let Some(cluster) = ControlPlane::shared()? else { return Ok(()) };
    let kubeconfig = cluster.kubeconfig_of("eve", "guests")?;
    let kubeconfig = kubeconfig.to_str().context("no UTF-8")?;
    let refused = cluster.kubectl(&["get", "pods", "--kubeconfig", kubeconfig]).unwrap_err().to_string();
    assert!(refused.contains(r#"User "eve" cannot list resource "pods""#), "{refused}");
    Ok(())
}

fn exit_code(pod: &Value) -> Option<i64> {
    pod.pointer("/status/containerStatuses/0/state/terminated/exitCode")?.as_i64()
}
