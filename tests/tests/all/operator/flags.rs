//! The command line of v1's Deployment, as it stands: its image is changed, and nothing else.

use std::process::Command;

use anyhow::Result;
use trainyard_tests::binary;

/// Every flag of v1.9.4 with its default, and the kind of job whose plugin takes it, if it is not the operator's own.
const FLAGS: [(&str, &str, Option<&str>); 26] = [
    ("metrics-bind-address", ":8080", None),
    ("health-probe-bind-address", ":8081", None),
    ("leader-elect", "false", None),
    ("leader-election-id", "1ca428e5.training-operator.kubeflow.org", None),
    ("enable-scheme", "PyTorchJob", None),
    ("gang-scheduler-name", "", None),
    ("namespace", "", None),
    ("controller-threads", "1", None),
    ("kube-api-qps", "20", None),
    ("kube-api-burst", "30", None),
    ("pytorch-init-container-image", "alpine:3.10", Some("PyTorchJob")),
    ("pytorch-init-container-template-file", "/etc/config/initContainer.yaml", Some("PyTorchJob")),
    ("pytorch-init-container-max-tries", "100", Some("PyTorchJob")),
    ("mpi-kubectl-delivery-image", "ghcr.io/kubeflow/training-v1/kubectl-delivery:latest", Some("MPIJob")),
    ("webhook-server-port", "9443", None),
    ("webhook-service-name", "training-operator", None),
    ("webhook-secret-name", "training-operator-webhook-cert", None),
    ("zap-devel", "true", None),
    ("zap-encoder", "console", None),
    ("zap-log-level", "debug", None),
    ("zap-stacktrace-level", "panic", None),
    ("zap-time-encoding", "rfc3339", None),
    ("kubeconfig", "/nowhere", None),
    ("zap-encoder", "json", None),
    ("zap-log-level", "2", None),
    ("enable-scheme", "pytorchjob", None),
];

/// Both dashes, both ways to give a value. That there is no cluster is all there is to complain about.
#[test]
fn every_flag_of_v1_is_taken() -> Result<()> {
    let kinds = Command::new(binary::trainyard()?).arg("crds").output()?;
    let kinds = String::from_utf8(kinds.stdout)?;
    let known = FLAGS.iter().filter(|(_, _, kind)| kind.is_none_or(|kind| kinds.contains(&format!("kind: {kind}\n"))));
    for dashes in ["-", "--"] {
        let arguments = known.clone().flat_map(|(flag, value, _)| match *value {
            "true" | "false" => vec![format!("{dashes}{flag}={value}")],
            value if dashes == "-" => vec![format!("{dashes}{flag}"), value.to_owned()],
            value => vec![format!("{dashes}{flag}={value}")],
        });
        let arguments: Vec<_> = arguments.chain(["-kubeconfig=/nowhere".to_owned()]).collect();
        let done = Command::new(binary::trainyard()?).arg("operator").args(&arguments).output()?;
        let said = String::from_utf8(done.stderr)?;
        assert!(said.contains("/nowhere") && !said.contains("flag"), "{arguments:?}: {said}");
    }
    Ok(())
}
