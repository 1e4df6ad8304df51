//! `FrameworkPlugin`s: fetched, checked, compiled and offered to whom they concern, while the operator runs.
//!
//! Every replica loads them, for each answers at admission; who leads also decides which version plans, and writes: status,
//! events, finalizers, definitions. A version takes the place of another only when all that can be found out about it
//! beforehand is well. Where nothing changes nobody is asked anything.

mod claim;
mod leave;
mod look;
mod offer;
mod pulse;
mod report;
mod shelf;
mod tell;

use std::collections::{BTreeMap, HashMap};
use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::StreamExt as _;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{ListParams, PartialObjectMeta};
use kube::core::DeserializeGuard;
use kube::runtime::controller::{self, Controller};
use kube::runtime::reflector::{ObjectRef, Store};
use kube::runtime::watcher;
use kube::{Api, Client, ResourceExt as _};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::{Notify, Semaphore, watch as flag};
use tokio_stream::wrappers::{UnboundedReceiverStream, WatchStream};
use tracing::warn;

pub(super) use self::report::Failure;
use self::shelf::Shelf;
use super::api;
use super::definitions::Definitions;
use super::events::Recorder;
use super::metrics::Loads;
use super::roster::{Brought, Roster};
use super::throttle::Throttle;
use crate::cli::OperatorOptions;
use crate::framework_plugin::{FrameworkPlugin, Loaded};
use crate::plugin::{Engine, Plugin};
use crate::source::{Cache, Mirror};

/// Before the API server is asked again what plugins there are.
const UNREACHABLE: Duration = Duration::from_secs(2);
/// Before another try where somebody has to do something elsewhere.
const SOON: Duration = Duration::from_secs(10);
/// The longest pause before another try of what fails and may go better.
const LONGEST: Duration = Duration::from_mins(5);

/// One may be of another release, and not be read: it hides no other.
type Guarded = DeserializeGuard<FrameworkPlugin>;
/// All that there are.
type Plugins = Store<Guarded>;

/// A version of a plugin that is loaded; a cheap handle.
#[derive(Clone)]
struct Version {
    plugin: Plugin,
    about: Loaded,
}

/// Loads plugins.
pub(super) struct Loader {
    client: Client,
    engine: Engine,
    /// One version is loaded at a time, so that a thread is left for all else.
    turn: Semaphore,
    roster: Arc<Roster>,
    cache: Option<Arc<Cache>>,
    /// Asked for all artifacts.
    mirrors: Vec<Mirror>,
    /// Where files have to be.
    files: Option<PathBuf>,
    /// The operator's own.
    namespace: String,
    /// Of jobs; all if it is empty.
    jobs: String,
    is_leading: flag::Receiver<bool>,
    all: Api<FrameworkPlugin>,
    definitions: Definitions,
    recorder: Recorder,
    loads: Loads,
    shelves: Mutex<HashMap<String, Arc<tokio::sync::Mutex<Shelf>>>>,
    /// How often each `ConfigMap` that a plugin names has changed.
    changes: Mutex<BTreeMap<String, u64>>,
    /// The kind itself has been installed.
    installed: Notify,
    /// Has all plugins looked at again.
    again: UnboundedSender<()>,
}

/// Loads plugins for ever. They are the whole cluster's: an operator of one namespace has none, for there may be another
/// beside it, and both would write what becomes of a plugin.
///
/// Where their kind is not installed it is, by who leads and may; else it is waited for.
pub(super) async fn run(
    options: &OperatorOptions,
    client: Client,
    engine: Engine,
    roster: Arc<Roster>,
    loads: Loads,
    is_leading: flag::Receiver<bool>,
) {
    if !options.namespace.is_empty() {
        return std::future::pending().await;
    }
    let (again, looks) = unbounded_channel();
    let loader = Arc::new(Loader {
        all: Api::all(client.clone()),
        definitions: Definitions::new(client.clone()),
        recorder: Recorder::new(
            api::Api::new(client.clone(), Throttle::of(options)),
            "frameworkplugin-controller".into(),
        ),
        cache: cache(options),
        mirrors: options.registry_mirror.clone(),
        files: options.plugin_dir.clone(),
        namespace: super::own_namespace(),
        jobs: options.namespace.clone(),
        shelves: Mutex::default(),
        changes: Mutex::default(),
        installed: Notify::new(),
        client,
        engine,
        turn: Semaphore::new(1),
        loads,
        roster,
        is_leading,
        again,
    });
    let follow = async {
        loader.await_kind().await;
        loader.clone().follow(looks).await;
    };
    tokio::join!(loader.install(), follow);
}

/// Has the kinds of plugins that are there left alone until these are loaded: what the program was started with takes none of
/// their jobs meanwhile.
pub(super) async fn reserve(options: &OperatorOptions, client: &Client, roster: &Roster) {
    if !options.namespace.is_empty() {
        return;
    }
    let all: Api<Guarded> = Api::all(client.clone());
    let mut is_told = false;
    let found = loop {
        match all.list(&ListParams::default()).await {
            Ok(found) => break found,
            Err(error) if is_refused(&error) => return, // there is no such kind, or it is not for us to see
            Err(error) => {
                if !std::mem::replace(&mut is_told, true) {
                    warn!(%error, "nothing begins before it is known what FrameworkPlugins there are");
                }
                tokio::time::sleep(UNREACHABLE).await;
            }
        }
    };
    for plugin in found.items.iter().filter_map(|plugin| plugin.0.as_ref().ok()) {
        let held = offer::held(plugin);
        roster.offer(&plugin.name_any(), Brought { held, ..Brought::default() });
    }
}

fn cache(options: &OperatorOptions) -> Option<Arc<Cache>> {
    let folder = options.plugin_cache.as_ref()?;
    match Cache::open(folder, options.plugin_cache_size) {
        Ok(cache) => Some(Arc::new(cache)),
        Err(error) => {
            warn!(folder = %folder.display(), %error, "no cache for plugins: after a restart each is fetched again");
            None
        }
    }
}

impl Loader {
    /// Who leads installs the kind itself, if it may: there may be somebody else who does.
    async fn install(&self) {
        if self.is_leading.clone().wait_for(|is_leading| *is_leading).await.is_err() {
            return;
        }
        // Who may not see plugins has an admin who wants none.
        if matches!(self.see().await, Err(kube::Error::Api(status)) if status.code == 403) {
            return;
        }
        let mut failures = 0;
        while let Err(error) = self.definitions.install().await {
            if is_refused(&error) {
                return warn!(%error, "the definition of FrameworkPlugin is neither installed nor brought up to date");
            }
            failures += 1;
            tokio::time::sleep(back_off(failures)).await;
        }
        self.installed.notify_one();
    }

    async fn see(&self) -> kube::Result<()> {
        self.all.list_metadata(&ListParams::default().limit(1)).await.map(drop)
    }

    /// Says once what is in the way, and waits quietly.
    async fn await_kind(&self) {
        let (mut is_told, mut is_installed, mut failures) = (false, false, 0);
        while let Err(error) = self.see().await {
            let is_refused = is_refused(&error);
            if is_refused && !std::mem::replace(&mut is_told, true) {
                warn!(%error, "no FrameworkPlugins yet: their kind is not installed, or may not be seen");
            }
            failures += 1;
            tokio::select! {
                () = tokio::time::sleep(if is_refused && !is_installed { LONGEST } else { back_off(failures) }) => {}
                // It is served in a moment.
                () = self.installed.notified() => (is_installed, failures) = (true, 0),
            }
        }
    }

    async fn follow(self: Arc<Self>, looks: UnboundedReceiver<()>) {
        let controller = Controller::new(Api::<Guarded>::all(self.client.clone()), watcher::Config::default());
        let plugins = controller.store();
        let maps: Api<PartialObjectMeta<ConfigMap>> = Api::namespaced(self.client.clone(), &self.namespace);
        let (loader, known) = (self.clone(), plugins.clone());
        let named = move |map: PartialObjectMeta<ConfigMap>| loader.changed(&map.name_any(), &known);
        let leads = WatchStream::from_changes(self.is_leading.clone()).map(drop);
        let missing = WatchStream::from_changes(self.roster.missing()).map(drop);
        let lost = WatchStream::from_changes(self.roster.lost()).map(drop);
        let controller = controller
            .watches(maps, watcher::Config::default(), named)
            .reconcile_all_on(UnboundedReceiverStream::new(looks))
            .reconcile_all_on(leads)
            .reconcile_all_on(missing)
            .reconcile_all_on(lost);
        let look = |plugin: Arc<Guarded>, context: Arc<(Arc<Self>, Plugins)>| async move {
            let (loader, plugins) = &*context;
            Ok::<_, Infallible>(loader.look(&plugin, plugins).await)
        };
        let context = Arc::new((self.clone(), plugins.clone()));
        let mut told = None;
        let done = controller.run(look, |_, never, _| match *never {}, context).for_each(|done| {
            // What has just gone is not to be looked at any more.
            let error = done.err().filter(|error| !matches!(error, controller::Error::ObjectNotFound(_)));
            let error = error.map(|error| crate::failure::chain(&error));
            if let Some(error) = error.filter(|error| told.as_ref() != Some(error)) {
                warn!(error, "a watch of plugins failed and begins anew");
                told = Some(error);
            }
            std::future::ready(())
        });
        tokio::join!(done, self.pulse(&plugins));
    }

    /// The plugins that need a ConfigMap, which has changed.
    fn changed(&self, map: &str, plugins: &Plugins) -> Vec<ObjectRef<Guarded>> {
        let needs =
            |plugin: &Arc<Guarded>| plugin.0.as_ref().is_ok_and(|plugin| plugin.spec.config_maps().contains(&map));
        let plugins: Vec<_> =
            plugins.state().iter().filter(|plugin| needs(plugin)).map(|it| of(&it.name_any())).collect();
        *lock(&self.changes).entry(map.to_owned()).or_default() += u64::from(!plugins.is_empty());
        plugins
    }

    fn shelf(&self, plugin: &str) -> Arc<tokio::sync::Mutex<Shelf>> {
        lock(&self.shelves).entry(plugin.to_owned()).or_default().clone()
    }

    fn leads(&self) -> bool {
        *self.is_leading.borrow()
    }
}

fn of(plugin: &str) -> ObjectRef<Guarded> {
    ObjectRef::new(plugin)
}

/// Whether the API server would say the same again; who asks too often is told so, and asks later.
fn is_refused(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code < 500 && status.code != 429)
}

/// After so many failures in a row.
fn back_off(failures: u32) -> Duration {
    LONGEST.min(Duration::from_secs(1 << failures.saturating_sub(1).min(9)))
}

// Nobody panics while holding one.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
