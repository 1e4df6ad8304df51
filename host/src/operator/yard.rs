//! The yard: the watches that all controllers share, and the controllers.

use std::collections::BTreeSet;
use std::future::Future;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::thread;

use futures::{StreamExt as _, TryStreamExt as _};
use k8s_openapi::api::core::v1::Service;
use kube::Client;
use kube::api::{DynamicObject, PartialObjectMeta, TypeMeta};
use kube::core::ApiResource;
use kube::runtime::{WatchStreamExt as _, watcher};
use tokio::sync::Semaphore;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::watch as flag;
use tokio::task::JoinSet;
use tracing::info;
use trainyard_core::fill::Addresses;
use trainyard_core::label;

use super::act::Stores;
use super::controller::{self, Controller};
use super::events::Recorder;
use super::gangs::Gangs;
use super::job_text::JobText;
use super::metrics::Metrics;
use super::names::{Names, Registrar};
use super::pace::Pace;
use super::store::{Id, Store};
use super::throttle::Throttle;
use super::watch::{self, Feed, JobKey, PodObject, Wake, Wakers, Woken};
use super::{api, queue};
use crate::catalog::{Catalog, LoadedKind};
use crate::cli::OperatorOptions;

/// Jobs of one kind that are looked at at once, unless `--controller-threads` says more.
const WORKERS: usize = 16;
/// Objects in an answer to a list of extra objects: some are large.
const PAGE: u32 = 100;

/// What all controllers share.
pub(super) struct Yard {
    api: api::Api,
    client: Client,
    namespace: Option<String>,
    stores: Stores,
    metrics: Arc<Metrics>,
    stopped: flag::Receiver<bool>,
    watches: JoinSet<()>,
    turns: Arc<Semaphore>,
}

impl Yard {
    pub(super) fn new(
        options: &OperatorOptions,
        client: Client,
        metrics: Arc<Metrics>,
        stopped: flag::Receiver<bool>,
    ) -> Self {
        Self {
            api: api::Api::new(client.clone(), Throttle::of(options)),
            client,
            namespace: Some(options.namespace.clone()).filter(|namespace| !namespace.is_empty()),
            stores: Stores { gangs: Arc::new(Gangs::of(options)), ..Stores::default() },
            metrics,
            stopped,
            watches: JoinSet::new(),
            turns: Arc::new(Semaphore::new(thread::available_parallelism().map_or(1, NonZeroUsize::get))),
        }
    }

    /// Starts the watches and, once they have seen everything, the controllers.
    pub(super) fn open(
        &mut self,
        options: &OperatorOptions,
        catalog: &Catalog,
        is_ready: flag::Sender<bool>,
    ) -> JoinSet<()> {
        let kinds = catalog.kinds().to_vec();
        let (senders, receivers): (Vec<_>, Vec<_>) = kinds.iter().map(|_| unbounded_channel::<Wake>()).unzip();
        let by_kind = kinds.iter().map(|kind| (kind.api_version(), kind.kind.kind.clone()));
        let wakers = Wakers(by_kind.zip(senders).collect());
        let dependents = self.watch_dependents(&wakers, &kinds);
        let mut jobs_known = Vec::new();
        let mut controllers = JoinSet::new();
        for (kind, wakes) in kinds.into_iter().zip(receivers) {
            info!(kind = kind.kind.kind, plugin = kind.plugin.description().name, digest = %kind.plugin.digest(), "starting a controller");
            let (jobs, seen, absent) = self.watch_jobs(&kind, &wakers);
            jobs_known.push((seen.clone(), absent));
            // A kind that is not installed keeps no other from its work.
            let needs = dependents.iter().cloned().chain([seen]).collect();
            let workers = usize::try_from(options.controller_threads).unwrap_or(usize::MAX).max(WORKERS);
            let controller = self.controller(kind, jobs, workers);
            controllers.spawn(control(controller, wakes, workers, begun(needs), self.stopped.clone()));
        }
        self.watches.spawn(async move {
            begun(dependents).await;
            // An operator that is not ready is not asked at admission, about no kind: it waits for none to be installed.
            for (mut seen, mut absent) in jobs_known {
                tokio::select! {
                    _ = seen.wait_for(|seen| *seen) => {}
                    _ = absent.wait_for(|absent| *absent) => {}
                }
            }
            info!("all watches have begun");
            is_ready.send_replace(true);
        });
        controllers
    }

    fn controller(&self, kind: Arc<LoadedKind>, jobs: Arc<Store<JobText>>, workers: usize) -> Controller {
        Controller {
            work: self.metrics.work(&label::operator_name(&kind.kind), workers),
            pace: Arc::new(Pace::new()),
            turns: self.turns.clone(),
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

    /// Pods and services are found by label, so that those of others cost nothing. Answers the flags of all watches.
    fn watch_dependents(&mut self, wakers: &Wakers, kinds: &[Arc<LoadedKind>]) -> Vec<flag::Receiver<bool>> {
        let ours = watcher::Config::default().labels(label::JOB_NAME);
        let pods = watcher(self.namespaced::<PodObject>(), ours.clone());
        let services = watcher(self.namespaced::<PartialObjectMeta<Service>>(), ours);
        let (feed, pods_seen) = feed("pods", self.stores.pods.clone(), wakers);
        self.watches.spawn(watch::follow(pods, feed, owned(wakers)));
        let (feed, services_seen) = self::feed("services", self.stores.services.clone(), wakers);
        self.watches.spawn(watch::follow(services, feed, owned(wakers)));
        let mut seen = vec![pods_seen, services_seen];
        let granted: BTreeSet<_> = kinds.iter().flat_map(|kind| kind.objects()).collect();
        for object in &granted {
            let resource = api::resource(&object.api_version, &object.kind);
            let types = TypeMeta { api_version: object.api_version.clone(), kind: object.kind.clone() };
            let store = Arc::<Store<_>>::default();
            self.stores.objects.insert((object.api_version.clone(), object.kind.clone()), store.clone());
            let names = Arc::<Names>::default();
            self.stores.names.insert(object.clone(), names.clone());
            let mut registrar = Registrar {
                kind: object.clone(),
                names,
                store: store.clone(),
                waiting: self.stores.waiting.clone(),
                wakers: wakers.clone(),
                listed: BTreeSet::new(),
            };
            // Those of others are all there: their content comes and goes a page at a time.
            let events = watcher(self.dynamic(&resource), watcher::Config::default().page_size(PAGE))
                .modify(move |object| object.types = Some(types.clone())) // in a list they have none
                .inspect_ok(move |event| registrar.note(event));
            let (feed, object_seen) = self::feed(&resource.plural, store, wakers);
            self.watches.spawn(watch::follow::<DynamicObject, _>(events, feed, owned(wakers)));
            seen.push(object_seen);
        }
        seen.extend(self.watch_gangs(wakers));
        seen
    }

    /// Pod groups have no label of ours, so those of others are seen, too, and not kept.
    fn watch_gangs(&mut self, wakers: &Wakers) -> Vec<flag::Receiver<bool>> {
        let gangs = self.stores.gangs.clone();
        let Some(resource) = gangs.resource() else { return vec![] };
        let events = watcher(self.dynamic(&resource), watcher::Config::default());
        let (feed, groups_seen) = feed(&resource.plural, gangs.pod_groups.clone(), wakers);
        let events = gangs.clone().notice(events, wakers.clone(), feed.ready.clone());
        self.watches.spawn(watch::follow(events, feed, owned(wakers)));
        let (ready, classes_seen) = flag::channel(false);
        self.watches.spawn(gangs.follow_priority_classes(kube::Api::all(self.client.clone()), ready));
        vec![groups_seen, classes_seen]
    }

    /// Answers the flag of the watch, too, and one that is set where the kind is not installed.
    fn watch_jobs(
        &mut self,
        kind: &LoadedKind,
        wakers: &Wakers,
    ) -> (Arc<Store<JobText>>, flag::Receiver<bool>, flag::Receiver<bool>) {
        let jobs = Arc::<Store<_>>::default();
        let resource =
            ApiResource { plural: kind.kind.plural.clone(), ..api::resource(&kind.api_version(), &kind.kind.kind) };
        let (is_absent, absent) = flag::channel(false);
        let events = watcher(self.dynamic(&resource), watcher::Config::default()).inspect(move |event| {
            if event.as_ref().is_err_and(|error| watch::code(error) == Some(404)) {
                is_absent.send_replace(true);
            }
        });
        let waker = wakers.0.get(&(kind.api_version(), kind.kind.kind.clone())).cloned();
        let whose = move |job: &DynamicObject| Some(itself(job, waker.clone()?));
        let (feed, seen) = feed(&kind.kind.plural, jobs.clone(), wakers);
        self.watches.spawn(watch::follow(events, feed, whose));
        (jobs, seen, absent)
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

    fn dynamic(&self, resource: &ApiResource) -> kube::Api<DynamicObject> {
        match &self.namespace {
            Some(namespace) => kube::Api::namespaced_with(self.client.clone(), namespace, resource),
            None => kube::Api::all_with(self.client.clone(), resource),
        }
    }
}

/// Where a watch leads, and the flag that it sets.
fn feed<T>(what: &str, store: Arc<Store<T>>, wakers: &Wakers) -> (Feed<T>, flag::Receiver<bool>) {
    let (ready, seen) = flag::channel(false);
    (Feed { what: what.to_owned(), store, wakers: wakers.clone(), ready }, seen)
}

/// Objects of a job wake the one that controls them.
fn owned<K: kube::Resource>(wakers: &Wakers) -> impl Fn(&K) -> Option<Woken> + use<K> {
    let wakers = wakers.clone();
    move |object| wakers.owner(object)
}

/// Waits for all of these flags.
async fn begun(flags: Vec<flag::Receiver<bool>>) {
    for mut flag in flags {
        drop(flag.wait_for(|seen| *seen).await);
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
    open: impl Future<Output = ()>,
    stop: flag::Receiver<bool>,
) {
    let mut stopped = stop.clone();
    tokio::select! {
        () = open => {}
        _ = stopped.wait_for(|stop| *stop) => return,
    }
    let (requests, received) = unbounded_channel();
    let (again, jobs) = (requests.clone(), controller.jobs.clone());
    let (work, pace) = (controller.work.clone(), controller.pace.clone());
    let forward = async move {
        while let Some(wake) = wakes.recv().await {
            let wanted = match wake {
                Wake::Job(key) => vec![queue::now(key)],
                Wake::JobSoon(key) => {
                    pace.count(1);
                    vec![queue::after(pace.moment(), key)]
                }
                Wake::All => {
                    let keys = jobs.owners().into_iter().filter_map(|owner| controller::job_key(&owner));
                    keys.map(queue::now).collect()
                }
            };
            for request in wanted {
                work.queued(&request);
                drop(requests.send(request));
            }
        }
    };
    tokio::select! {
        () = queue::run(received, again, workers, stop, |key| controller.look(key)) => {}
        () = async { forward.await; std::future::pending().await } => {}
    }
}
