//! `trainyard operator`: one controller for each kind, generic over what its plugin describes.

mod act;
mod api;
mod controller;
mod events;
mod lease;
mod logging;
mod metrics;
mod queue;
mod serve;
mod ssh;
mod store;
mod throttle;
mod watch;

use std::collections::BTreeSet;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use k8s_openapi::api::core::v1::Service;
use kube::api::{DynamicObject, PartialObjectMeta};
use kube::runtime::watcher;
use kube::{Client, Config};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::watch as flag;
use tokio::task::JoinSet;
use tracing::info;
use trainyard_core::fill::Addresses;
use trainyard_core::label;

use self::act::Stores;
use self::controller::Controller;
use self::events::Recorder;
use self::metrics::Metrics;
use self::store::{Id, Store};
use self::throttle::Throttle;
use self::watch::{JobKey, PodObject, Wake, Wakers, Woken};
use crate::catalog::{Catalog, LoadedKind};
use crate::cli::OperatorOptions;
use crate::failure::{Failure, chain};
use crate::plan;

/// How long passes under way may take to end after SIGTERM; the Deployment of v1 grants as much.
const GRACE: Duration = Duration::from_secs(10);
/// Jobs of one kind that are looked at at once, unless `--controller-threads` says more.
const WORKERS: usize = 16;

/// `trainyard operator`.
pub fn operator(options: &OperatorOptions) -> Result<ExitCode, Failure> {
    logging::init(options)?;
    if !options.gang_scheduler_name.is_empty() {
        return Err(Failure::input("--gang-scheduler-name: this version schedules no gangs"));
    }
    let catalog = plan::catalog(&options.plugins)?.only(&options.enable_scheme);
    let catalog = catalog
        .map_err(|error| Failure::input(format!("scheme {} is not supported yet", error.wanted.to_lowercase())))?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(Failure::trouble)?;
    let done = runtime.block_on(run(options, &catalog));
    runtime.shutdown_background();
    match done {
        Ok(()) => Ok(ExitCode::SUCCESS),
        Err(error) => Err(Failure { problems: vec![chain(error.as_ref())], code: 1 }),
    }
}

/// Runs until SIGTERM or SIGINT.
async fn run(options: &OperatorOptions, catalog: &Catalog) -> anyhow::Result<()> {
    let client = client(options).await?;
    let metrics = Arc::new(Metrics::new(catalog.plugins()));
    let mut servers = JoinSet::new();
    if let Some(listener) = serve::listen(options.metrics_bind_address, "metrics").await? {
        servers.spawn(serve::metrics(listener, metrics.clone()));
    }
    let (is_ready, ready) = flag::channel(false);
    if let Some(listener) = serve::listen(options.health_probe_bind_address, "health").await? {
        servers.spawn(serve::health(listener, ready));
    }
    let mut term = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let lease = options.leader_elect.then(|| lease::Lease::new(client.clone(), options));
    if let Some(lease) = &lease {
        is_ready.send_replace(true); // who waits for its turn is ready to take it
        tokio::select! {
            done = lease.acquire() => done?,
            _ = term.recv() => return Ok(()),
            _ = interrupt.recv() => return Ok(()),
        }
    }
    let (stop, stopped) = flag::channel(false);
    let mut yard = Yard::new(options, client, metrics, stopped);
    let controllers = yard.open(options, catalog, is_ready);
    let keep = async {
        match &lease {
            Some(lease) => lease.keep().await,
            None => std::future::pending().await,
        }
    };
    let lost = tokio::select! {
        _ = term.recv() => Ok(()),
        _ = interrupt.recv() => Ok(()),
        lost = keep => lost,
    };
    info!("stopping");
    stop.send_replace(true);
    let ended = tokio::time::timeout(GRACE, controllers.join_all()).await;
    if let Some(lease) = &lease {
        lease.release().await;
    }
    lost?;
    ended.map(drop).context("passes under way did not end in time")
}

async fn client(options: &OperatorOptions) -> anyhow::Result<Client> {
    let config = match options.kubeconfig.as_ref().filter(|file| !file.as_os_str().is_empty()) {
        Some(file) => {
            let kubeconfig = kube::config::Kubeconfig::read_from(file)?;
            Config::from_custom_kubeconfig(kubeconfig, &kube::config::KubeConfigOptions::default()).await?
        }
        None => Config::infer().await.context("no cluster: neither in one nor is there a kubeconfig")?,
    };
    Ok(Client::try_from(config)?)
}

/// What all controllers share.
struct Yard {
    api: api::Api,
    client: Client,
    namespace: Option<String>,
    stores: Stores,
    metrics: Arc<Metrics>,
    stopped: flag::Receiver<bool>,
    watches: JoinSet<()>,
    ready: Vec<flag::Receiver<bool>>,
}

impl Yard {
    fn new(options: &OperatorOptions, client: Client, metrics: Arc<Metrics>, stopped: flag::Receiver<bool>) -> Self {
        Self {
            api: api::Api::new(client.clone(), Throttle::of(options)),
            client,
            namespace: Some(options.namespace.clone()).filter(|namespace| !namespace.is_empty()),
            stores: Stores::default(),
            metrics,
            stopped,
            watches: JoinSet::new(),
            ready: Vec::new(),
        }
    }

    /// Starts the watches and, once they have seen everything, the controllers.
    fn open(&mut self, options: &OperatorOptions, catalog: &Catalog, is_ready: flag::Sender<bool>) -> JoinSet<()> {
        let kinds = catalog.kinds().to_vec();
        let (senders, receivers): (Vec<_>, Vec<_>) = kinds.iter().map(|_| unbounded_channel::<Wake>()).unzip();
        let by_kind = kinds.iter().map(|kind| (kind.api_version(), kind.kind.kind.clone()));
        let wakers = Wakers(by_kind.zip(senders).collect());
        self.watch_dependents(&wakers, &kinds);
        let jobs: Vec<_> = kinds.iter().map(|kind| self.watch_jobs(kind, &wakers)).collect();
        let ready = std::mem::take(&mut self.ready);
        let (open, opened) = flag::channel(false);
        self.watches.spawn(async move {
            for mut ready in ready {
                drop(ready.wait_for(|ready| *ready).await);
            }
            info!("all watches have begun");
            is_ready.send_replace(true);
            open.send_replace(true);
            std::future::pending::<()>().await;
        });
        let mut controllers = JoinSet::new();
        for ((kind, jobs), wakes) in kinds.into_iter().zip(jobs).zip(receivers) {
            info!(kind = kind.kind.kind, plugin = kind.plugin.description().name, digest = %kind.plugin.digest(), "starting a controller");
            let controller = self.controller(kind, jobs);
            let workers = usize::try_from(options.controller_threads).unwrap_or(usize::MAX).max(WORKERS);
            controllers.spawn(control(controller, wakes, workers, opened.clone(), self.stopped.clone()));
        }
        controllers
    }

    fn controller(&self, kind: Arc<LoadedKind>, jobs: Arc<Store<serde_json::Value>>) -> Controller {
        Controller {
            recorder: Recorder::new(self.api.clone(), label::operator_name(&kind.kind)),
            kind,
            api: self.api.clone(),
            jobs,
            stores: self.stores.clone(),
            metrics: self.metrics.clone(),
            addresses: Addresses::Cluster {
                domain: std::env::var("CUSTOM_CLUSTER_DOMAIN").ok().filter(|domain| !domain.is_empty()),
            },
        }
    }

    /// Pods and services are found by label, so that those of others cost nothing.
    fn watch_dependents(&mut self, wakers: &Wakers, kinds: &[Arc<LoadedKind>]) {
        let ours = watcher::Config::default().labels(label::JOB_NAME);
        let pods = watcher(self.namespaced::<PodObject>(), ours.clone());
        let services = watcher(self.namespaced::<PartialObjectMeta<Service>>(), ours);
        let stores = self.stores.clone();
        let all = wakers.clone();
        let flag = self.flag();
        self.watches.spawn(watch::follow(pods, stores.pods, move |pod| all.owner(pod), wakers.clone(), flag));
        let (all, flag) = (wakers.clone(), self.flag());
        let whose = move |service: &_| all.owner(service);
        self.watches.spawn(watch::follow(services, stores.services, whose, wakers.clone(), flag));
        let announced: BTreeSet<_> = kinds.iter().flat_map(|kind| &kind.announced).collect();
        for object in announced {
            let resource = api::resource(&object.api_version, &object.kind);
            let events = watcher(self.dynamic(&resource), watcher::Config::default());
            let (all, flag) = (wakers.clone(), self.flag());
            let whose = move |object: &DynamicObject| all.owner(object);
            self.watches.spawn(watch::follow(events, stores.objects.clone(), whose, wakers.clone(), flag));
        }
    }

    fn watch_jobs(&mut self, kind: &LoadedKind, wakers: &Wakers) -> Arc<Store<serde_json::Value>> {
        let jobs = Arc::<Store<_>>::default();
        let resource = kube::core::ApiResource {
            plural: kind.kind.plural.clone(),
            ..api::resource(&kind.api_version(), &kind.kind.kind)
        };
        let events = watcher(self.dynamic(&resource), watcher::Config::default());
        let own = (kind.api_version(), kind.kind.kind.clone());
        let waker = wakers.0.get(&own).cloned();
        let whose = move |job: &DynamicObject| Some(itself(job, waker.clone()?));
        let flag = self.flag();
        self.watches.spawn(watch::follow(events, jobs.clone(), whose, wakers.clone(), flag));
        jobs
    }

    fn flag(&mut self) -> flag::Sender<bool> {
        let (sender, receiver) = flag::channel(false);
        self.ready.push(receiver);
        sender
    }

    fn namespaced<K>(&self) -> kube::Api<K>
    where
        K: kube::Resource<Scope = kube::core::NamespaceResourceScope, DynamicType = ()>,
    {
        match &self.namespace {
            Some(namespace) => kube::Api::namespaced(self.client.clone(), namespace),
            None => kube::Api::all(self.client.clone()),
        }
    }

    fn dynamic(&self, resource: &kube::core::ApiResource) -> kube::Api<DynamicObject> {
        match &self.namespace {
            Some(namespace) => kube::Api::namespaced_with(self.client.clone(), namespace, resource),
            None => kube::Api::all_with(self.client.clone(), resource),
        }
    }
}

/// A job wakes itself.
fn itself(job: &DynamicObject, waker: UnboundedSender<Wake>) -> Woken {
    let text = |field: &Option<String>| field.clone().unwrap_or_default();
    let key = JobKey { namespace: text(&job.metadata.namespace), name: text(&job.metadata.name) };
    let id = Id { owner: controller::job_owner(&key), name: key.name.clone(), uid: text(&job.metadata.uid) };
    Woken { id, waker, job: key }
}

/// Looks at the jobs of one kind as they are woken.
async fn control(
    controller: Controller,
    mut wakes: UnboundedReceiver<Wake>,
    workers: usize,
    mut open: flag::Receiver<bool>,
    stop: flag::Receiver<bool>,
) {
    let mut stopped = stop.clone();
    tokio::select! {
        _ = open.wait_for(|open| *open) => {}
        _ = stopped.wait_for(|stop| *stop) => return,
    }
    let (requests, received) = unbounded_channel();
    let (again, jobs) = (requests.clone(), controller.jobs.clone());
    let forward = async move {
        while let Some(wake) = wakes.recv().await {
            let keys = match wake {
                Wake::Job(key) => vec![key],
                Wake::All => jobs.owners().iter().filter_map(|owner| controller::job_key(owner)).collect(),
            };
            for key in keys {
                drop(requests.send(queue::now(key)));
            }
        }
    };
    tokio::select! {
        () = queue::run(received, again, workers, stop, |key| controller.look(key)) => {}
        () = async { forward.await; std::future::pending().await } => {}
    }
}
