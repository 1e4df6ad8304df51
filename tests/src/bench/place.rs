//! Where an operator is measured: a control plane of its own, the kinds of jobs, and what the operator may do.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use jiff::Timestamp;

use super::job::{Kind, PYTORCH, TENSORFLOW};
use super::sample::Sample;
use super::{Options, say};
use crate::Client;
use crate::control_plane::{Operator, Request, Shape};
use crate::{ControlPlane, ROOT, conformance};

/// How ours is started.
pub(super) const FLAGS: &str =
    "--kubeconfig={kubeconfig} --metrics-bind-address={metrics} --health-probe-bind-address={health}";

/// The account of `deploy/`, which is v1's, too: requests of this user are the operator's.
pub(super) const OPERATOR: &str = "system:serviceaccount:kubeflow:training-operator";

/// What one fake node takes.
const PODS_OF_A_NODE: u32 = 500;
/// An operator that asks for nothing so long has done what there was to do.
const SILENCE: jiff::SignedDuration = jiff::SignedDuration::from_secs(3);

/// A control plane with all that an operator needs.
pub(super) struct Place {
    pub(super) cluster: ControlPlane,
    pub(super) admin: Client,
    /// As whom the operator acts.
    pub(super) kubeconfig: PathBuf,
    command: String,
}

impl Place {
    /// For an operator that this command starts. Ours may do what `deploy/` says, any other may do everything.
    pub(super) fn new(options: &Options, command: &str) -> Result<Self> {
        let cluster = ControlPlane::start(Shape::Full)?;
        let pods = (options.jobs * (options.workers + 1)).max(options.large);
        cluster.add_nodes(pods / PODS_OF_A_NODE + 2)?;
        conformance::install_kinds(&cluster, &options.trainyard)?;
        for file in ["namespace.yaml", "rbac.yaml"] {
            cluster.apply(&fs::read_to_string(Path::new(ROOT).join("deploy").join(file))?)?;
        }
        if program(command) != "trainyard" {
            let user = format!("--user={OPERATOR}");
            cluster.kubectl(&["create", "clusterrolebinding", "operator", "--clusterrole=cluster-admin", &user])?;
        }
        let kubeconfig = cluster.kubeconfig_of(OPERATOR, "system:serviceaccounts")?;
        let file = kubeconfig.to_str().context("the path is not UTF-8")?;
        cluster.kubectl(&["config", "set-context", "--current", "--namespace=kubeflow", "--kubeconfig", file])?;
        let admin = Client::new(&cluster.kubeconfig())?;
        Ok(Self { cluster, admin, kubeconfig, command: command.to_owned() })
    }

    /// Those of the kinds measured here that the operator works on.
    pub(super) fn kinds(&self) -> Result<Vec<&'static Kind>> {
        let asked = self.requests(OPERATOR, Timestamp::UNIX_EPOCH)?;
        let is_watched = |kind: &&Kind| asked.iter().any(|request| watches(request, kind));
        Ok([&PYTORCH, &TENSORFLOW].into_iter().filter(is_watched).collect())
    }

    /// Starts the operator; answers when it watches jobs and is silent.
    pub(super) fn operator(&self) -> Result<Operator<'_>> {
        let since = Timestamp::now();
        let mut operator = self.cluster.operator_by(&self.command, &self.kubeconfig)?;
        let watching = self.cluster.wait_until(120, "the operator to watch jobs", || {
            if let Err(ended) = operator.check() {
                return Ok(Err(ended));
            }
            let asked = self.requests(OPERATOR, since)?;
            ensure!(asked.iter().any(|request| watches(request, &PYTORCH)), "it does not watch {}", PYTORCH.plural);
            Ok(Ok(()))
        })?;
        watching?;
        self.settle(&mut operator)?;
        Ok(operator)
    }

    /// Waits until the operator asks for nothing, its lease aside.
    pub(super) fn settle(&self, operator: &mut Operator) -> Result<Sample> {
        let mut since = Timestamp::UNIX_EPOCH;
        self.cluster.wait_until(300, "the operator to be silent", || {
            let requests = self.requests(OPERATOR, since)?.into_iter().filter(|request| request.resource != "leases");
            since = requests.map(|request| request.answered).max().unwrap_or(since);
            ensure!(Timestamp::now().duration_since(since) > SILENCE, "it goes on asking");
            Ok(())
        })?;
        Sample::of(operator)
    }

    /// Waits until no pod goes on, in whatever order a job's pods end.
    pub(super) fn wait_for_pods(&self, namespace: &str) -> Result<()> {
        let on = ["get", "pods", "--field-selector=status.phase!=Succeeded", "--output=name", "--namespace", namespace];
        self.cluster.wait_until(300, "all pods to have succeeded", || {
            let on = self.cluster.kubectl(&on)?;
            ensure!(on.is_empty(), "{} have not", on.lines().count());
            Ok(())
        })
    }

    /// What a user has asked since then.
    pub(super) fn requests(&self, user: &str, since: Timestamp) -> Result<Vec<Request>> {
        let mut requests = self.cluster.requests()?;
        requests.retain(|request| request.user == user && request.received >= since);
        Ok(requests)
    }

    /// Removes jobs and what was made for them, at once; answers when nothing of it is left to be cleared away.
    pub(super) fn clear(&self, namespace: &str) -> Result<()> {
        say("clearing up");
        let jobs = self.kinds()?.into_iter().map(|kind| kind.path(namespace));
        let paths = ["pods", "services"].map(|what| format!("/api/v1/namespaces/{namespace}/{what}"));
        for path in jobs.chain(paths) {
            self.admin.delete_all(&path)?;
        }
        // The controllers clear these away, after their services.
        let rest = ["get", "pods,services,endpointslices", "--output=name", "--namespace", namespace];
        self.cluster.wait_until(300, "the namespace to be empty", || {
            let rest = self.cluster.kubectl(&rest)?;
            ensure!(rest.is_empty(), "there are {} objects", rest.lines().count());
            Ok(())
        })
    }
}

fn watches(request: &Request, kind: &Kind) -> bool {
    request.verb == "watch" && request.resource == kind.plural && request.code == 200
}

/// The file name of the program that a command starts.
pub(super) fn program(command: &str) -> &str {
    let is_program = |word: &&str| !word.contains('=') && *word != "env";
    let word = command.split_whitespace().find(is_program).unwrap_or_default();
    let word = word.trim_matches(['\'', '"']);
    word.rsplit('/').next().unwrap_or(word)
}
