//! Leader election: of several operators the one that holds the lease works, as in controller-runtime.

use std::time::Duration;

use anyhow::{Context as _, bail};
use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease as Object, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::api::{ObjectMeta, PostParams};
use kube::{Api, Client};
use tokio::time::{Instant, sleep};
use tracing::{info, warn};

use crate::cli::OperatorOptions;

/// The lease of one operator.
pub(super) struct Lease {
    leases: Api<Object>,
    name: String,
    identity: String,
}

/// controller-runtime's defaults: how long a lease holds without renewal, how long its holder tries to renew it, and
/// how often anybody tries.
const DURATION: Duration = Duration::from_secs(15);
const RENEW: Duration = Duration::from_secs(10);
const RETRY: Duration = Duration::from_secs(2);

impl Lease {
    pub(super) fn new(client: Client, options: &OperatorOptions) -> Self {
        let namespace = std::env::var("MY_POD_NAMESPACE").unwrap_or_else(|_| client.default_namespace().to_owned());
        let host =
            std::env::var("MY_POD_NAME").or_else(|_| std::env::var("HOSTNAME")).unwrap_or_else(|_| "trainyard".into());
        let identity = format!("{host}_{}_{}", std::process::id(), Timestamp::now().as_nanosecond());
        Self { leases: Api::namespaced(client, &namespace), name: options.leader_election_id.clone(), identity }
    }

    /// Waits until the lease is ours.
    pub(super) async fn acquire(&self) -> anyhow::Result<()> {
        // What the holder wrote last and when we saw it: our clock alone tells whether it is late.
        let mut seen: Option<(Option<MicroTime>, Instant)> = None;
        loop {
            match self.leases.get_opt(&self.name).await {
                Ok(stored) => {
                    let spec = stored.as_ref().and_then(|lease| lease.spec.clone()).unwrap_or_default();
                    let since = match &seen {
                        Some((renewed, since)) if *renewed == spec.renew_time => *since,
                        Some(_) | None => Instant::now(),
                    };
                    seen = Some((spec.renew_time.clone(), since));
                    let holder = spec.holder_identity.as_deref().unwrap_or_default();
                    let is_free = holder.is_empty() || holder == self.identity || since.elapsed() > duration_of(&spec);
                    if is_free && self.write(stored).await.is_ok() {
                        info!(lease = self.name, identity = self.identity, "leading");
                        return Ok(());
                    }
                }
                Err(kube::Error::Api(status)) if status.code == 403 => {
                    bail!("leader election is not permitted: {}", status.message)
                }
                Err(error) => warn!(%error, lease = self.name, "the lease cannot be read"),
            }
            sleep(RETRY).await;
        }
    }

    /// Renews the lease; ends with an error once it is lost.
    pub(super) async fn keep(&self) -> anyhow::Result<()> {
        let mut renewed = Instant::now();
        loop {
            sleep(RETRY).await;
            match self.renew().await {
                Ok(()) => renewed = Instant::now(),
                Err(error) if renewed.elapsed() > RENEW => return Err(error.context("the lease is lost")),
                Err(error) => warn!(%error, lease = self.name, "the lease was not renewed"),
            }
        }
    }

    /// Lets the next one begin at once.
    pub(super) async fn release(&self) {
        if let Ok(Some(mut lease)) = self.leases.get_opt(&self.name).await
            && let Some(spec) = &mut lease.spec
            && spec.holder_identity.as_deref() == Some(&self.identity)
        {
            spec.holder_identity = None;
            drop(self.leases.replace(&self.name, &PostParams::default(), &lease).await);
        }
    }

    async fn renew(&self) -> anyhow::Result<()> {
        let stored = self.leases.get(&self.name).await?;
        let holder = stored.spec.as_ref().and_then(|spec| spec.holder_identity.clone());
        if holder.as_deref() != Some(&self.identity) {
            bail!("{} holds the lease", holder.unwrap_or_else(|| "nobody".into()));
        }
        self.write(Some(stored)).await
    }

    /// Takes or renews the lease as it was read: whoever else wrote in between wins.
    async fn write(&self, stored: Option<Object>) -> anyhow::Result<()> {
        let now = Timestamp::now();
        let metadata = ObjectMeta { name: Some(self.name.clone()), ..ObjectMeta::default() };
        let mut lease = stored.clone().unwrap_or(Object { metadata, spec: None });
        let spec = lease.spec.get_or_insert_default();
        if spec.holder_identity.as_deref() != Some(&self.identity) {
            spec.holder_identity = Some(self.identity.clone());
            spec.acquire_time = Some(MicroTime(now));
            spec.lease_transitions = Some(spec.lease_transitions.unwrap_or_default() + 1);
        }
        spec.lease_duration_seconds = i32::try_from(DURATION.as_secs()).ok();
        spec.renew_time = Some(MicroTime(now));
        let params = PostParams::default();
        match stored {
            Some(_) => self.leases.replace(&self.name, &params, &lease).await,
            None => self.leases.create(&params, &lease).await,
        }
        .map(drop)
        .context("the lease cannot be written")
    }
}

fn duration_of(spec: &LeaseSpec) -> Duration {
    let seconds = spec.lease_duration_seconds.and_then(|seconds| u64::try_from(seconds).ok());
    seconds.map_or(DURATION, Duration::from_secs)
}
