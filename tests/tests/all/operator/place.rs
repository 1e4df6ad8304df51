//! Where a test of the operator takes place, and what its user and its operator do there.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

use anyhow::{Context, Result, anyhow, ensure};
use serde_json::{Value, json};
use trainyard_tests::control_plane::{Operator, Request};
use trainyard_tests::{ControlPlane, ROOT, binary};

/// A namespace of the shared control plane.
pub(crate) struct Place {
    pub(crate) cluster: &'static ControlPlane,
    pub(crate) namespace: String,
    /// As whom the operators of this place act.
    pub(super) user: String,
    kubeconfig: PathBuf,
}

/// A kind of job, as its users know it.
pub(crate) struct Kind {
    pub(super) name: &'static str,
    pub(super) replica_specs: &'static str,
    pub(super) container: &'static str,
}

pub(super) const PYTORCH: Kind =
    Kind { name: "PyTorchJob", replica_specs: "pytorchReplicaSpecs", container: "pytorch" };
pub(super) const TENSORFLOW: Kind = Kind { name: "TFJob", replica_specs: "tfReplicaSpecs", container: "tensorflow" };
pub(super) const MPI: Kind = Kind { name: "MPIJob", replica_specs: "mpiReplicaSpecs", container: "mpi" };
pub(super) const XGBOOST: Kind = Kind { name: "XGBoostJob", replica_specs: "xgbReplicaSpecs", container: "xgboost" };
pub(super) const PADDLE: Kind = Kind { name: "PaddleJob", replica_specs: "paddleReplicaSpecs", container: "paddle" };
pub(super) const JAX: Kind = Kind { name: "JAXJob", replica_specs: "jaxReplicaSpecs", container: "jax" };

impl Kind {
    /// A job with these numbers of replicas, whose pods carry `annotations`.
    pub(super) fn job(&self, name: &str, replicas: &[(&str, u32)], annotations: Value) -> Value {
        let container = json!({"name": self.container, "image": "fake"});
        let template = json!({"metadata": {"annotations": annotations}, "spec": {"containers": [container]}});
        let spec = |count| json!({"replicas": count, "restartPolicy": "OnFailure", "template": template});
        let specs: BTreeMap<_, _> = replicas.iter().map(|(name, count)| (*name, spec(*count))).collect();
        json!({
            "apiVersion": "kubeflow.org/v1",
            "kind": self.name,
            "metadata": {"name": name},
            "spec": {self.replica_specs: specs},
        })
    }
}

impl Place {
    /// A new namespace `<prefix>-<number>`. None on a laptop that cannot have a control plane.
    pub(crate) fn new(prefix: &str) -> Result<Option<Self>> {
        let Some(cluster) = ControlPlane::shared()? else { return Ok(None) };
        let namespace = cluster.namespace(prefix)?;
        Self::at(cluster, namespace).map(Some)
    }

    /// The namespace, which is there.
    pub(super) fn at(cluster: &'static ControlPlane, namespace: String) -> Result<Self> {
        install(cluster)?;
        let user = format!("operator-of-{namespace}");
        let kubeconfig = cluster.kubeconfig_of(&user, "operators")?;
        let place = Self { cluster, namespace, user, kubeconfig };
        // Where an operator outside of the cluster keeps its lease.
        place.kubectl(&["config", "set-context", "--current", "--kubeconfig", place.kubeconfig()?])?;
        place.grant("training-operator")?;
        Ok(place)
    }

    fn kubeconfig(&self) -> Result<&str> {
        self.kubeconfig.to_str().context("the path is not UTF-8")
    }

    /// Lets the operator do here what a `ClusterRole` says.
    pub(super) fn grant(&self, role: &str) -> Result<()> {
        let grant = [format!("--clusterrole={role}"), format!("--user={}", self.user)];
        self.kubectl(&["create", "rolebinding", role, &grant[0], &grant[1]]).map(drop)
    }

    /// Starts an operator for this namespace and waits until it is ready. Admission is the cluster's, and has another.
    /// Of these kinds only, of all when there are none: it takes half a second of CPU to compile a plugin.
    pub(crate) fn operator(&self, kinds: &[&Kind], arguments: &[&str]) -> Result<Operator<'static>> {
        let mut all = vec![format!("--namespace={}", self.namespace), "--webhook=false".to_owned()];
        all.extend(kinds.iter().map(|kind| format!("--enable-scheme={}", kind.name)));
        let all: Vec<_> = all.iter().map(String::as_str).chain(arguments.iter().copied()).collect();
        self.cluster.operator(&self.kubeconfig, &all)
    }

    /// kubectl in this namespace.
    pub(crate) fn kubectl(&self, arguments: &[&str]) -> Result<String> {
        self.cluster.kubectl(&[arguments, &["--namespace", &self.namespace]].concat())
    }

    pub(super) fn apply(&self, object: &Value) -> Result<()> {
        let arguments = ["apply", "--namespace", &self.namespace, "-f", "-"];
        self.cluster.kubectl_with(&arguments, &object.to_string()).map(drop)
    }

    /// `what` is `pytorchjob/mnist`, or `pods` for a list.
    pub(super) fn get(&self, what: &str) -> Result<Value> {
        self.cluster.get(&self.namespace, what)
    }

    /// `kubectl wait --for=<what>`; what is not so after a minute shows in the error.
    pub(super) fn wait(&self, object: &str, what: &str) -> Result<()> {
        let waited = self.kubectl(&["wait", &format!("--for={what}"), object, "--timeout=60s"]);
        waited.map(drop).with_context(|| match self.get(object) {
            Ok(found) => format!("waiting for {what} of {object}, whose status is {}", found["status"]),
            Err(error) => format!("waiting for {what} of {object}: {error}"),
        })
    }

    /// Waits for a condition that is true.
    pub(super) fn wait_for(&self, job: &str, condition: &str) -> Result<()> {
        self.wait(job, &format!("condition={condition}"))
    }

    /// Lets a running pod end; the nodes look at these annotations.
    pub(super) fn end(&self, pod: &str, exit_code: u8) -> Result<()> {
        let code = format!("test/exit-code={exit_code}");
        self.kubectl(&["annotate", "pod", pod, &code, "test/complete-after=0s"]).map(drop)
    }

    /// Names and uids of the pods that are there, those that go left out.
    pub(super) fn pods(&self) -> Result<BTreeMap<String, String>> {
        let pods = self.get("pods")?;
        let pods = pods["items"].as_array().into_iter().flatten();
        let stays = |pod: &&Value| pod["metadata"]["deletionTimestamp"].is_null();
        Ok(pods.filter(stays).map(|pod| (name(pod), text(&pod["metadata"]["uid"]))).collect())
    }

    /// Names of all that a job may have made: `pod/mnist-worker-0`.
    pub(super) fn made(&self) -> Result<BTreeSet<String>> {
        let mut made = BTreeSet::new();
        for kind in ["pod", "service", "horizontalpodautoscaler", "secret"] {
            let list = self.get(&format!("{kind}s"))?;
            let names = list["items"].as_array().into_iter().flatten().map(name);
            made.extend(names.map(|name| format!("{kind}/{name}")));
        }
        made.remove("service/kubernetes");
        Ok(made)
    }

    /// Waits until nothing else is there.
    pub(super) fn wait_until_made(&self, expected: &[&str]) -> Result<()> {
        let expected: BTreeSet<_> = expected.iter().map(|&name| name.to_owned()).collect();
        self.cluster.wait_until(60, "the objects of the jobs", || {
            let made = self.made()?;
            ensure!(made == expected, "there are {made:?} instead of {expected:?}");
            Ok(())
        })
    }

    /// Type, status, reason and message of a job's conditions, in order.
    pub(super) fn conditions(&self, job: &str) -> Result<Vec<[String; 4]>> {
        let job = self.get(job)?;
        let conditions = job["status"]["conditions"].as_array().into_iter().flatten();
        let fields = ["type", "status", "reason", "message"];
        Ok(conditions.map(|condition| fields.map(|field| text(&condition[field]))).collect())
    }

    /// Type, reason and message of the events on a job, sorted, as `kubectl get events` shows them.
    pub(super) fn events(&self, job: &str) -> Result<Vec<[String; 3]>> {
        let (kind, name) = job.split_once('/').context("a job is kind/name")?;
        let events = self.get("events")?;
        let events = events["items"].as_array().into_iter().flatten();
        let on = |event: &&Value| {
            let object = &event["involvedObject"];
            object["name"] == name && text(&object["kind"]).to_lowercase() == kind
        };
        let mut events: Vec<_> =
            events.filter(on).map(|event| ["type", "reason", "message"].map(|field| text(&event[field]))).collect();
        events.sort();
        Ok(events)
    }

    /// What operators have asked of the API server here, in the order of the answers.
    pub(super) fn requests(&self) -> Result<Vec<Request>> {
        let mut requests = self.cluster.requests()?;
        requests.retain(|request| request.user == self.user);
        Ok(requests)
    }

    /// Of these the changes: verb, resource and HTTP status.
    pub(super) fn changes(&self) -> Result<Vec<(String, String, u64)>> {
        let requests = self.requests()?.into_iter().filter(|request| !["list", "watch"].contains(&&*request.verb));
        Ok(requests.map(|request| (request.verb, resource(&request.uri), request.code)).collect())
    }
}

/// `pods`, `pytorchjobs/status`: what a request is about.
pub(super) fn resource(uri: &str) -> String {
    let path = uri.split('?').next().unwrap_or_default();
    let Some((_, after)) = path.split_once("/namespaces/") else {
        return path.rsplit('/').next().unwrap_or_default().to_owned(); // a list of what is in no namespace
    };
    let mut parts = after.split('/').skip(1);
    let (resource, _name, subresource) = (parts.next(), parts.next(), parts.next());
    resource.into_iter().chain(subresource).collect::<Vec<_>>().join("/")
}

/// A counter of `/metrics`; 0 where it has not begun to count.
pub(super) fn counter(page: &str, name: &str) -> u64 {
    let lines = page.lines().filter(|line| line.split(['{', ' ']).next() == Some(name));
    lines.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum()
}

pub(super) fn name(object: &Value) -> String {
    text(&object["metadata"]["name"])
}

pub(crate) fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// `trainyard` with these arguments and this input, to its end: what it printed.
pub(crate) fn trainyard(arguments: &[&str]) -> Result<String> {
    let done = Command::new(binary::trainyard()?).args(arguments).current_dir(ROOT).output()?;
    let complaint = String::from_utf8_lossy(&done.stderr);
    ensure!(done.status.success(), "trainyard {} ({}): {complaint}", arguments.join(" "), done.status);
    Ok(String::from_utf8(done.stdout)?)
}

/// Installs what `deploy/` says, once: the kinds, the role, and a Deployment, whose pod only seems to run. From then on
/// pods find a node at once.
fn install(cluster: &ControlPlane) -> Result<()> {
    static DONE: OnceLock<Result<(), String>> = OnceLock::new();
    let install = || {
        install_kinds(cluster, &trainyard(&["crds"])?)?;
        cluster.kubectl(&["apply", "--server-side", "-k", &format!("{ROOT}/deploy")])?;
        let deployment = ["deployment/training-operator", "--namespace=kubeflow", "--timeout=60s"];
        cluster.kubectl(&[&["wait", "--for=condition=Available"][..], &deployment].concat())
    };
    let done = DONE.get_or_init(|| install().map(drop).map_err(|error: anyhow::Error| format!("{error:#}")));
    done.clone().map_err(|error| anyhow!(error))
}

/// Answers when the API server serves them.
pub(crate) fn install_kinds(cluster: &ControlPlane, definitions: &str) -> Result<()> {
    cluster.kubectl_with(&["apply", "--server-side", "-f", "-"], definitions)?;
    // kubectl itself fails where a definition has no status yet.
    let all = ["wait", "--for=condition=Established", "crd", "--all", "--timeout=10s"];
    cluster.wait_until(60, "the kinds to be established", || cluster.kubectl(&all)).map(drop)
}
