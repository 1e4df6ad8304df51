//! `trainyard operator`: one controller for each kind, generic over what its plugin describes.

mod act;
mod admission;
mod api;
mod controller;
mod definitions;
mod events;
mod extras;
mod gangs;
mod job_text;
mod lease;
mod logging;
mod metrics;
mod names;
mod pace;
mod permissions;
mod plugins;
mod queue;
mod roster;
mod serve;
mod ssh;
mod store;
mod throttle;
mod wakers;
mod watch;
mod yard;

use std::pin::Pin;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use kube::client::ClientBuilder;
use kube::{Client, Config};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch as flag;
use tokio::task::JoinSet;
use tracing::info;

use self::metrics::Metrics;
use self::roster::Roster;
use self::yard::Yard;
use crate::catalog::{Catalog, Needs};
use crate::cli::OperatorOptions;
use crate::failure::{Failure, chain};
use crate::plan;
use crate::plugin::Engine;

/// How long passes under way may take to end after SIGTERM; the Deployment of v1 grants as much.
const GRACE: Duration = Duration::from_secs(10);

/// Threads that go on with the work of those that call plugins, load them or ask for a host's address. Each keeps a heap of
/// its own: with five more, 200 jobs cost 8 MiB more.
const SPARE_THREADS: usize = 2;

/// `trainyard operator`.
pub fn operator(options: &OperatorOptions) -> Result<ExitCode, Failure> {
    logging::init(options)?;
    let engine = plan::engine()?;
    let needs = Needs::of_kinds(&options.enable_scheme);
    let catalog = plan::catalog_of(&engine, &options.plugins, &needs)?.only(&options.enable_scheme);
    let catalog = catalog
        .map_err(|error| Failure::input(format!("scheme {} is not supported yet", error.wanted.to_lowercase())))?;
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.max_blocking_threads(SPARE_THREADS).enable_all().build().map_err(Failure::trouble)?;
    let done = runtime.block_on(run(options, engine, &catalog));
    runtime.shutdown_background();
    match done {
        Ok(()) => Ok(ExitCode::SUCCESS),
        Err(error) => Err(Failure { problems: vec![chain(error.as_ref())], code: 1 }),
    }
}

/// Serves and works until SIGTERM or SIGINT.
async fn run(options: &OperatorOptions, engine: Engine, catalog: &Catalog) -> anyhow::Result<()> {
    let end = end()?;
    let roster = Arc::new(Roster::new(catalog));
    let metrics = Arc::new(Metrics::new(roster.kinds()));
    let client = client(options, &metrics).await?;
    let mut servers = JoinSet::new();
    if let Some(listener) = serve::listen(options.metrics_bind_address, "metrics").await? {
        servers.spawn(serve::metrics(listener, metrics.clone()));
    }
    let (is_ready, ready) = flag::channel(false);
    let (is_admitting, admits) = flag::channel(false);
    if let Some(listener) = serve::listen(options.health_probe_bind_address, "health").await? {
        servers.spawn(serve::health(listener, engine.clone(), ready, admits));
    }
    let (stop, stopped) = flag::channel(false);
    let reviews = metrics.reviews.clone();
    let admission = admission::run(options, client.clone(), roster.clone(), reviews, is_admitting, stopped);
    let mut admission = std::pin::pin!(admission);
    let (lead, is_leading) = flag::channel(false);
    let loads = metrics.loads.clone();
    let plugins = plugins::run(options, client.clone(), engine, roster.clone(), loads, is_leading);
    let mut end = std::pin::pin!(end);
    let work = async {
        tokio::select! {
            () = plugins::reserve(options, &client, &roster) => {}
            () = &mut end => return Ok(()),
        }
        tokio::select! {
            worked = work(options, client.clone(), roster.clone(), metrics, (is_ready, lead), end) => worked,
            () = plugins => Ok(()),
        }
    };
    let worked = tokio::select! {
        worked = work => worked,
        failed = &mut admission => return failed,
    };
    // Jobs are created until the very end.
    stop.send_replace(true);
    let answered = tokio::time::timeout(GRACE, admission).await;
    worked?;
    answered.context("reviews under way did not end in time")?
}

/// SIGTERM or SIGINT: from now on neither ends the process by itself.
fn end() -> std::io::Result<impl Future<Output = ()>> {
    let (mut term, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    Ok(async move {
        tokio::select! {
            _ = term.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

/// The controllers, once it is our turn, until `end`.
async fn work(
    options: &OperatorOptions,
    client: Client,
    roster: Arc<Roster>,
    metrics: Arc<Metrics>,
    (is_ready, lead): (flag::Sender<bool>, flag::Sender<bool>),
    mut end: Pin<&mut impl Future<Output = ()>>,
) -> anyhow::Result<()> {
    let lease = options.leader_elect.then(|| lease::Lease::new(client.clone(), options));
    if let Some(lease) = &lease {
        is_ready.send_replace(true); // who waits for its turn is ready to take it
        tokio::select! {
            done = lease.acquire() => done?,
            () = &mut end => return Ok(()),
        }
    }
    lead.send_replace(true);
    let mut yard = Yard::new(options, client, metrics, roster);
    let keep = async {
        match &lease {
            Some(lease) => lease.keep().await,
            None => std::future::pending().await,
        }
    };
    let lost = tokio::select! {
        () = end => Ok(()),
        lost = keep => lost,
        () = yard.open(is_ready) => Ok(()),
    };
    info!("stopping");
    let ended = tokio::time::timeout(GRACE, yard.close()).await;
    if let Some(lease) = &lease {
        lease.release().await;
    }
    lost?;
    ended.context("passes under way did not end in time")
}

/// Where this operator's own objects are, and what plugins name.
fn own_namespace() -> String {
    let namespace = std::env::var("MY_POD_NAMESPACE").ok().filter(|namespace| !namespace.is_empty());
    namespace.unwrap_or_else(|| "kubeflow".to_owned()) // v1's default
}

async fn client(options: &OperatorOptions, metrics: &Metrics) -> anyhow::Result<Client> {
    let config = match options.kubeconfig.as_ref().filter(|file| !file.as_os_str().is_empty()) {
        Some(file) => {
            let kubeconfig = kube::config::Kubeconfig::read_from(file)?;
            Config::from_custom_kubeconfig(kubeconfig, &kube::config::KubeConfigOptions::default()).await?
        }
        None => Config::infer().await.context("no cluster: neither in one nor is there a kubeconfig")?,
    };
    let requests = metrics.requests.to(&config.cluster_url);
    Ok(ClientBuilder::try_from(config)?.with_layer(&requests).build())
}
