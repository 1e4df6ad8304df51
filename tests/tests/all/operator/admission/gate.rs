//! A control plane whose jobs an operator reviews. There is one webhook configuration in a cluster, so tests take turns.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use anyhow::{Context, Result, anyhow, ensure};
use serde_json::{Value, json};
use trainyard_tests::control_plane::admission::CONFIGURATION;
use trainyard_tests::control_plane::{Operator, Request, Shape, is_skipped};
use trainyard_tests::{ControlPlane, ROOT};

use super::super::place::{install_kinds, trainyard};

/// Where the certificate is.
pub(super) const SECRET: [&str; 2] = ["secret/training-operator-webhook-cert", "--namespace=kubeflow"];

/// The turn of one test: no webhook, no certificate, and an operator that may do what `deploy/` says.
pub(super) struct Gate {
    pub(super) cluster: &'static ControlPlane,
    /// As whom the operators act.
    user: String,
    kubeconfig: PathBuf,
    _turn: MutexGuard<'static, ()>,
}

impl Gate {
    /// None on a laptop that cannot have a control plane.
    pub(super) fn new(test: &str) -> Result<Option<Self>> {
        static CLUSTER: OnceLock<Result<ControlPlane, String>> = OnceLock::new();
        static TURN: Mutex<()> = Mutex::new(());
        if is_skipped() {
            return Ok(None);
        }
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let cluster = CLUSTER.get_or_init(|| start().map_err(|error| format!("{error:#}")));
        let cluster = cluster.as_ref().map_err(|error| anyhow!(error.clone()))?;
        let configuration = ["delete", "validatingwebhookconfiguration", CONFIGURATION, "--ignore-not-found"];
        cluster.kubectl(&configuration)?;
        cluster.kubectl(&[&["delete", "--ignore-not-found"], &SECRET[..]].concat())?;
        let user = format!("operator-of-{test}");
        let kubeconfig = cluster.kubeconfig_of(&user, "operators")?;
        Ok(Some(Self { cluster, user, kubeconfig, _turn: turn }))
    }

    /// Lets operators do what `deploy/` grants: of `roles`, all that it has.
    pub(super) fn grant(&self, roles: &[&str]) -> Result<()> {
        let user = format!("--user={}", self.user);
        for role in roles {
            let (binding, role) = (format!("{}-{role}", self.user), format!("--clusterrole={role}"));
            self.cluster.kubectl(&["create", "clusterrolebinding", &binding, &role, &user])?;
        }
        if roles.contains(&"training-operator-admission") {
            let role = ["--role=training-operator-admission", "--namespace=kubeflow", &user];
            self.cluster.kubectl(&[&["create", "rolebinding", &self.user], &role[..]].concat())?;
        }
        Ok(())
    }

    /// An operator that may do all that `deploy/` grants, with its webhook at this port, for half of the kinds.
    pub(super) fn operator(&self, port: u16) -> Result<Operator<'static>> {
        let kinds = ["--enable-scheme=PyTorchJob", "--enable-scheme=XGBoostJob", "--enable-scheme=JAXJob"];
        self.operator_with(port, &kinds)
    }

    /// The same for all kinds, with these arguments.
    pub(super) fn operator_with(&self, port: u16, arguments: &[&str]) -> Result<Operator<'static>> {
        let port = format!("--webhook-server-port={port}");
        self.cluster.operator(&self.kubeconfig, &[&[port.as_str()], arguments].concat())
    }

    /// Whether the API server takes an object; nothing is stored. A warning is an error, too.
    pub(super) fn ask(&self, object: &Value) -> Result<()> {
        let arguments = ["create", "--dry-run=server", "--warnings-as-errors", "-f", "-"];
        self.cluster.kubectl_with(&arguments, &object.to_string()).map(drop)
    }

    /// Why the API server does not take it, in its own words.
    pub(super) fn refusal(&self, object: &Value) -> Result<String> {
        match self.ask(object) {
            Ok(()) => Err(anyhow!("the API server takes {object}")),
            Err(error) => Ok(format!("{error:#}")),
        }
    }

    /// The webhooks by name.
    pub(super) fn webhooks(&self) -> Result<Vec<Value>> {
        let configuration = self.cluster.get("", &format!("validatingwebhookconfiguration/{CONFIGURATION}"))?;
        Ok(configuration["webhooks"].as_array().cloned().unwrap_or_default())
    }

    /// Waits until the configuration is as it should be: answers the webhooks.
    pub(super) fn wait_for_webhooks(&self, what: &str, are: impl Fn(&[Value]) -> bool) -> Result<Vec<Value>> {
        self.cluster.wait_until(60, what, || {
            let webhooks = self.webhooks()?;
            ensure!(are(&webhooks), "{webhooks:#?}");
            Ok(webhooks)
        })
    }

    /// A key of the Secret, in base64 as everywhere.
    pub(super) fn secret(&self, key: &str) -> Result<String> {
        let secret = self.cluster.get("kubeflow", SECRET[0])?;
        secret["data"][key].as_str().map(str::to_owned).with_context(|| format!("the secret has no {key}"))
    }

    /// What the operators have asked for admission, in the order of the answers.
    pub(super) fn requests(&self) -> Result<Vec<Request>> {
        let mut requests = self.cluster.requests()?;
        requests.retain(|request| request.user == self.user && resource(request).is_some());
        Ok(requests)
    }

    /// Verbs and resources that `deploy/admission.yaml` grants.
    pub(super) fn granted(&self) -> Result<BTreeSet<(String, String)>> {
        let mut granted = BTreeSet::new();
        for role in ["clusterrole/training-operator-admission", "role/training-operator-admission"] {
            let role = self.cluster.get("kubeflow", role)?;
            for rule in role["rules"].as_array().into_iter().flatten() {
                let list = |field: &str| rule[field].as_array().cloned().unwrap_or_default().into_iter();
                let pairs = list("verbs").flat_map(|verb| list("resources").map(move |what| (verb.clone(), what)));
                granted.extend(pairs.map(|(verb, what)| (super::text(&verb), super::text(&what))));
            }
        }
        Ok(granted)
    }
}

/// `secrets`, `validatingwebhookconfigurations`; None for what is not about admission.
pub(super) fn resource(request: &Request) -> Option<&'static str> {
    let known = ["validatingwebhookconfigurations", "secrets"];
    known.into_iter().find(|what| request.uri.contains(&format!("/{what}")))
}

fn start() -> Result<ControlPlane> {
    let cluster = ControlPlane::start(Shape::Bare)?;
    install_kinds(&cluster, &trainyard(&["crds"])?)?;
    cluster.kubectl(&["apply", "--server-side", "-k", &format!("{ROOT}/deploy")])?;
    cluster.add_way_out()?;
    Ok(cluster)
}

/// An object that is good, but for its certificate, which is over.
pub(super) fn outdated_secret() -> Result<Value> {
    let authority_key = rcgen::KeyPair::generate()?;
    let mut authority = rcgen::CertificateParams::default();
    authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let ca_crt = authority.self_signed(&authority_key)?.pem();
    let key = rcgen::KeyPair::generate()?;
    let mut server = rcgen::CertificateParams::new(["training-operator.kubeflow.svc", "127.0.0.1"].map(String::from))?;
    server.not_after = rcgen::date_time_ymd(2020, 1, 1);
    let tls_crt = server.signed_by(&key, &rcgen::Issuer::from_params(&authority, &authority_key))?.pem();
    let metadata = json!({"name": "training-operator-webhook-cert", "namespace": "kubeflow"});
    Ok(json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": metadata,
        "stringData": {
            "ca.crt": ca_crt, "ca.key": authority_key.serialize_pem(),
            "tls.crt": tls_crt, "tls.key": key.serialize_pem(),
        },
    }))
}
