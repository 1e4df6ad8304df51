//! The yard: the controllers of all kinds, which come and go with plugins, and what they share.

mod watches;

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::thread;

use kube::Client;
use tokio::sync::Semaphore;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::sync::watch as flag;
use tokio::task::{AbortHandle, JoinSet};
use tracing::info;
use trainyard_core::fill::Addresses;
use trainyard_core::label;

use self::watches::{Jobs, Watches};
use super::act::Stores;
use super::controller::{self, Controller};
use super::events::Recorder;
use super::gangs::Gangs;
use super::job_text::JobText;
use super::metrics::Metrics;
use super::pace::Pace;
use super::roster::{Kinds, Plans, Roster};
use super::store::Store;
use super::throttle::Throttle;
use super::wakers::{KindKey, Wake};
use super::{api, queue};
use crate::cli::OperatorOptions;

/// Jobs of one kind that are looked at at once, unless `--controller-threads` says more.
const WORKERS: usize = 16;

/// What all controllers share, and the controllers.
pub(super) struct Yard {
    api: api::Api,
    watches: Watches,
    metrics: Arc<Metrics>,
    roster: Arc<Roster>,
    workers: usize,
    kinds: BTreeMap<KindKey, Served>,
    controllers: JoinSet<()>,
}

/// A kind that has a controller.
struct Served {
    plans: flag::Sender<Arc<Plans>>,
    /// Puts other plans in force.
    change: Option<AbortHandle>,
    jobs: AbortHandle,
    stop: flag::Sender<bool>,
}

impl Yard {
    pub(super) fn new(options: &OperatorOptions, client: Client, metrics: Arc<Metrics>, roster: Arc<Roster>) -> Self {
        let stores = Stores { gangs: Arc::new(Gangs::of(options)), ..Stores::default() };
        Self {
            api: api::Api::new(client.clone(), Throttle::of(options)),
            watches: Watches::new(client, &options.namespace, stores),
            metrics,
            roster,
            workers: usize::try_from(options.controller_threads).unwrap_or(usize::MAX).max(WORKERS),
            kinds: BTreeMap::new(),
            controllers: JoinSet::new(),
        }
    }

    /// Starts the watches and, once they have seen everything, the controllers; then follows the roster, for ever.
    pub(super) async fn open(&mut self, is_ready: flag::Sender<bool>) {
        let mut kinds = self.roster.kinds();
        let mut dependents = self.watches.follow_all();
        let now = kinds.borrow_and_update().clone();
        let jobs_known = self.serve(&now);
        dependents.extend(self.watches.seen(now.values().flat_map(|plans| plans.objects())));
        self.watches.tasks.spawn(async move {
            begun(dependents).await;
            // An operator that is not ready is not asked at admission, about no kind: it waits for none to be installed.
            for Jobs { mut seen, mut refused, .. } in jobs_known {
                tokio::select! {
                    _ = seen.wait_for(|seen| *seen) => {}
                    _ = refused.wait_for(|code| *code == Some(404)) => {}
                }
            }
            info!("all watches have begun");
            is_ready.send_replace(true);
        });
        while kinds.changed().await.is_ok() {
            let now = kinds.borrow_and_update().clone();
            self.serve(&now);
        }
        std::future::pending::<()>().await;
    }

    /// Ends the controllers when the passes under way have come to their end.
    pub(super) async fn close(self) {
        for served in self.kinds.values() {
            served.stop.send_replace(true);
        }
        self.controllers.join_all().await;
    }

    /// These kinds, and no others. Answers where the jobs of new ones are.
    fn serve(&mut self, kinds: &Kinds) -> Vec<Jobs> {
        while self.controllers.try_join_next().is_some() {} // those that have ended meanwhile
        for kind in self.kinds.keys().filter(|kind| !kinds.contains_key(*kind)).cloned().collect::<Vec<_>>() {
            self.stop(&kind);
        }
        let new: Vec<_> = kinds.iter().filter(|(kind, _)| !self.kinds.contains_key(*kind)).collect();
        // Objects that come before their kind's waker would be lost.
        let wakes: Vec<_> = new.iter().map(|(kind, _)| self.waker((*kind).clone())).collect();
        let objects: BTreeSet<_> = kinds.values().flat_map(|plans| plans.objects()).collect();
        self.watches.follow_extras(&objects, &new.iter().flat_map(|(_, plans)| plans.objects()).collect());
        for (kind, plans) in kinds {
            self.change(kind, plans);
        }
        new.into_iter().zip(wakes).map(|((kind, plans), wakes)| self.start(kind, plans, wakes)).collect()
    }

    fn waker(&self, kind: KindKey) -> UnboundedReceiver<Wake> {
        let (waker, wakes) = unbounded_channel();
        self.watches.wakers.insert(kind, waker);
        wakes
    }

    fn start(&mut self, kind: &KindKey, plans: &Arc<Plans>, wakes: UnboundedReceiver<Wake>) -> Jobs {
        let active = &plans.active;
        info!(kind = kind.1, plugin = active.plugin.description().name, digest = %active.plugin.digest(), "starting a controller");
        let (jobs, watch) = self.watches.follow_jobs(active);
        self.roster.follow(kind.clone(), jobs.store.clone(), jobs.seen.clone());
        let (mut refused, roster, lost) = (jobs.refused.clone(), self.roster.clone(), kind.clone());
        self.watches.tasks.spawn(async move {
            while refused.changed().await.is_ok() {
                roster.lose(&lost);
            }
        });
        // A kind that is not installed keeps no other from its work.
        let needs = self.watches.seen(plans.objects()).into_iter().chain([jobs.seen.clone()]).collect();
        let (plans, now) = flag::channel(plans.clone());
        let (stop, stopped) = flag::channel(false);
        let controller = self.controller(kind, now, jobs.store.clone());
        let (roster, store, ended) = (self.roster.clone(), jobs.store.clone(), kind.clone());
        let looks = control(controller, wakes, self.workers, begun(needs), stopped);
        self.controllers.spawn(async move {
            looks.await;
            roster.forget(&ended, &store);
        });
        self.kinds.insert(kind.clone(), Served { plans, change: None, jobs: watch, stop });
        jobs
    }

    /// Plans of kinds of object that nobody has seen yet wait until somebody has.
    fn change(&mut self, kind: &KindKey, plans: &Arc<Plans>) {
        let Some(served) = self.kinds.get_mut(kind) else { return };
        if let Some(change) = served.change.take() {
            change.abort();
        }
        if served.plans.borrow().is_same(plans) {
            return;
        }
        let (needs, waker) = (self.watches.seen(plans.objects()), self.watches.wakers.of(kind));
        let (in_force, plans, kind) = (served.plans.clone(), plans.clone(), kind.1.clone());
        served.change = Some(self.watches.tasks.spawn(async move {
            begun(needs).await;
            info!(kind, plugin = plans.active.plugin.description().name, digest = %plans.active.plugin.digest(), "changing plans");
            in_force.send_replace(plans);
            drop(waker.map(|waker| waker.send(Wake::All)));
        }));
    }

    fn stop(&mut self, kind: &KindKey) {
        let Some(served) = self.kinds.remove(kind) else { return };
        info!(kind = kind.1, "stopping a controller");
        served.stop.send_replace(true);
        served.jobs.abort();
        self.watches.wakers.remove(kind);
    }

    fn controller(&self, kind: &KindKey, plans: flag::Receiver<Arc<Plans>>, jobs: Arc<Store<JobText>>) -> Controller {
        let name = label::operator_name(&plans.borrow().active.kind);
        Controller {
            work: self.metrics.work(&name, self.workers),
            pace: Arc::new(Pace::new()),
            // Of its own: a slow plugin keeps no other kind waiting.
            turns: Arc::new(Semaphore::new(thread::available_parallelism().map_or(1, NonZeroUsize::get))),
            recorder: Recorder::new(self.api.clone(), name),
            kind: kind.clone(),
            plans,
            roster: self.roster.clone(),
            api: self.api.clone(),
            jobs,
            stores: self.watches.stores.clone(),
            metrics: self.metrics.clone(),
            addresses: Addresses::Cluster {
                domain: std::env::var("CUSTOM_CLUSTER_DOMAIN").ok().filter(|domain| !domain.is_empty()),
            },
        }
    }
}

/// Waits for all of these flags.
async fn begun(flags: Vec<flag::Receiver<bool>>) {
    for mut flag in flags {
        drop(flag.wait_for(|seen| *seen).await);
    }
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
