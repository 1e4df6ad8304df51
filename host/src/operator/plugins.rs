//! `FrameworkPlugin`s: fetched, checked, compiled and offered to whom they concern, while the operator runs.
//!
//! Every replica loads them, for each answers at admission; who leads also writes: status, events, finalizers, definitions.
//! A version takes the place of another only when all that can be found out about it beforehand is well.

mod leave;
mod offer;
mod report;
mod shelf;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::StreamExt as _;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{ListParams, PartialObjectMeta, PostParams};
use kube::runtime::controller::{Action, Controller};
use kube::runtime::reflector::{ObjectRef, Store};
use kube::runtime::watcher;
use kube::{Api, Client, ResourceExt as _};
use serde_json::json;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::sync::watch as flag;
use tokio_stream::wrappers::{UnboundedReceiverStream, WatchStream};
use tracing::{info, warn};
use trainyard_core::event::Event;

pub(super) use self::report::Failure;
use self::report::{Again, Report};
use self::shelf::Shelf;
use super::api;
use super::definitions::Definitions;
use super::events::Recorder;
use super::roster::Roster;
use super::throttle::Throttle;
use crate::cli::OperatorOptions;
use crate::framework_plugin::{FrameworkPlugin, FrameworkPluginStatus, Loaded};
use crate::plugin::{Engine, Function, Plugin};
use crate::source::Cache;

/// Before it is looked again for the kind itself, or whether it may be seen.
const ABSENT: Duration = Duration::from_mins(5);
/// Before another try where somebody has to do something elsewhere.
const SOON: Duration = Duration::from_secs(10);
/// The longest pause before another try of what fails and may go better.
const LONGEST: Duration = Duration::from_mins(5);

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
    roster: Arc<Roster>,
    cache: Option<Arc<Cache>>,
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
    shelves: Mutex<HashMap<String, Arc<tokio::sync::Mutex<Shelf>>>>,
    /// Has all plugins looked at again.
    again: UnboundedSender<()>,
}

/// Loads plugins for ever. Where their kind is not installed, or may not be seen, it is looked for now and then.
pub(super) async fn run(
    options: &OperatorOptions,
    client: Client,
    engine: Engine,
    roster: Arc<Roster>,
    is_leading: flag::Receiver<bool>,
) {
    let (again, looks) = unbounded_channel();
    let loader = Arc::new(Loader {
        all: Api::all(client.clone()),
        definitions: Definitions::new(client.clone()),
        recorder: Recorder::new(
            api::Api::new(client.clone(), Throttle::of(options)),
            "frameworkplugin-controller".into(),
        ),
        cache: cache(options),
        files: options.plugin_dir.clone(),
        namespace: super::own_namespace(),
        jobs: options.namespace.clone(),
        shelves: Mutex::default(),
        client,
        engine,
        roster,
        is_leading,
        again,
    });
    while let Err(error) = loader.all.list(&ListParams::default().limit(1)).await {
        info!(%error, again_after = ?ABSENT, "no FrameworkPlugins: their kind is not installed, or may not be seen");
        tokio::time::sleep(ABSENT).await;
    }
    loader.follow(looks).await;
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
    async fn follow(self: Arc<Self>, looks: tokio::sync::mpsc::UnboundedReceiver<()>) {
        let controller = Controller::new(self.all.clone(), watcher::Config::default());
        let (known, plugins) = (controller.store(), controller.store());
        let maps: Api<PartialObjectMeta<ConfigMap>> = Api::namespaced(self.client.clone(), &self.namespace);
        let named = move |map: PartialObjectMeta<ConfigMap>| {
            let name = map.name_any();
            let names = |plugin: &Arc<FrameworkPlugin>| plugin.spec.source.config_maps().contains(&name.as_str());
            known.state().into_iter().filter(names).map(|plugin| ObjectRef::from_obj(&*plugin)).collect::<Vec<_>>()
        };
        let leads = WatchStream::from_changes(self.is_leading.clone()).map(drop);
        let missing = WatchStream::from_changes(self.roster.missing()).map(drop);
        let controller = controller
            .watches(maps, watcher::Config::default(), named)
            .reconcile_all_on(UnboundedReceiverStream::new(looks))
            .reconcile_all_on(leads)
            .reconcile_all_on(missing);
        let look = |plugin: Arc<FrameworkPlugin>, context: Arc<(Arc<Self>, Store<FrameworkPlugin>)>| async move {
            let (loader, plugins) = &*context;
            Ok::<_, std::convert::Infallible>(loader.look(&plugin, plugins).await)
        };
        let done = controller.run(look, |_, never, _| match *never {}, Arc::new((self, plugins)));
        done.for_each(|done| async move {
            if let Err(error) = done {
                warn!(error = crate::failure::chain(&error), "a watch of plugins failed and begins anew");
            }
        })
        .await;
    }

    /// One look at one plugin; what it wants, and what there is.
    async fn look(&self, plugin: &FrameworkPlugin, all: &Store<FrameworkPlugin>) -> Action {
        let name = plugin.name_any();
        let shelf =
            self.shelves.lock().unwrap_or_else(PoisonError::into_inner).entry(name.clone()).or_default().clone();
        let mut shelf = shelf.lock().await;
        self.roster.retain(|name| all.get(&ObjectRef::new(name)).is_some());
        if plugin.metadata.deletion_timestamp.is_some() {
            return self.leave(plugin, &mut shelf).await;
        }
        if plugin.spec.suspend {
            self.withdraw(&name, &mut shelf);
            return self.tell(plugin, &mut shelf, &[], None).await;
        }
        let held = match self.hold(plugin).await {
            Ok(held) => held,
            Err(error) => return self.tell(plugin, &mut shelf, &[], Some(Failure::of_cluster(&error))).await,
        };
        let plugin = held.as_ref().unwrap_or(plugin);
        let outcome = match self.wanted(plugin, &mut shelf).await {
            Ok(version) => self.approve(plugin, &version, all, &mut shelf).await.map(|()| version),
            Err(failure) => Err(failure),
        };
        let failure = match outcome {
            Ok(version) => {
                shelf.active = Some(version);
                None
            }
            Err(failure) if failure.is_final() => {
                self.withdraw(&name, &mut shelf);
                Some(failure)
            }
            Err(failure) => {
                self.restore(plugin, &mut shelf).await;
                Some(failure)
            }
        };
        let former = self.offer(plugin, &mut shelf).await;
        self.tell(plugin, &mut shelf, &former, failure).await
    }

    /// After a restart: what was active before goes on, whatever is wrong with what is wanted now.
    async fn restore(&self, plugin: &FrameworkPlugin, shelf: &mut Shelf) {
        let before = plugin.status.as_ref().and_then(|status| status.active.as_ref());
        if let (None, Some(about)) = (&shelf.active, before) {
            shelf.active = self.again(&plugin.spec, about, shelf).await;
        }
    }

    /// Writes how the plugin is, where that is news; answers when to look again.
    async fn tell(
        &self,
        plugin: &FrameworkPlugin,
        shelf: &mut Shelf,
        former: &[Version],
        failure: Option<Failure>,
    ) -> Action {
        shelf.failures = if failure.is_some() { shelf.failures.saturating_add(1) } else { 0 };
        let report = Report {
            generation: plugin.metadata.generation,
            active: shelf.active.as_ref(),
            former,
            failure: failure.as_ref(),
            notice: None,
        };
        let is_written = self.write(plugin, &report).await;
        match failure.map(|failure| failure.again) {
            _ if !is_written => Action::requeue(Duration::from_secs(1)),
            None | Some(Again::OnChange) => Action::await_change(),
            Some(Again::Soon) => Action::requeue(SOON),
            Some(Again::BackOff) => {
                Action::requeue(LONGEST.min(Duration::from_secs(1 << shelf.failures.saturating_sub(1).min(9))))
            }
        }
    }

    /// False: it has to be written again, for somebody else was quicker.
    async fn write(&self, plugin: &FrameworkPlugin, report: &Report<'_>) -> bool {
        let before = plugin.status.as_ref();
        let now = Timestamp::now();
        let now = Timestamp::from_second(now.as_second()).unwrap_or(now); // as Kubernetes keeps it
        let status = report::status(report, before, now);
        if !*self.is_leading.borrow() || before == Some(&status) {
            return true;
        }
        let calls = report
            .active
            .map(|version| Function::ALL.into_iter().map(|function| version.plugin.counters().calls(function)).sum());
        let events = events(&status, before);
        let new = FrameworkPlugin { status: Some(FrameworkPluginStatus { calls, ..status }), ..plugin.clone() };
        match self.all.replace_status(&plugin.name_any(), &PostParams::default(), &new).await {
            Ok(_) => {
                let object = json!({
                    "apiVersion": "trainyard.dev/v1alpha1",
                    "kind": "FrameworkPlugin",
                    "metadata": {"name": plugin.name_any(), "uid": plugin.uid()},
                });
                self.recorder.tell(&object, events, now).await;
                true
            }
            Err(kube::Error::Api(status)) if status.code == 404 => true,
            // A conflict: the watch brings what is there now.
            Err(kube::Error::Api(status)) if status.code == 409 => true,
            Err(error) => {
                warn!(plugin = plugin.name_any(), %error, "the status of a plugin cannot be written");
                false
            }
        }
    }
}

/// What an admin reads in `kubectl describe`.
fn events(now: &FrameworkPluginStatus, before: Option<&FrameworkPluginStatus>) -> Vec<Event> {
    let generation = now.observed_generation.unwrap_or_default();
    let digest = |status: &FrameworkPluginStatus| status.active.as_ref().map(|active| active.digest.clone());
    let mut events = Vec::new();
    match (before.and_then(digest), digest(now)) {
        (None, Some(new)) => events.push(Event::normal("Loaded", format!("{new} plans new jobs"), generation)),
        (Some(old), Some(new)) if old != new => {
            events.push(Event::normal("Replaced", format!("{new} plans new jobs in the place of {old}"), generation));
        }
        (Some(old), None) => {
            events.push(Event::normal("Withdrawn", format!("{old} plans no jobs any more"), generation));
        }
        (None, None) | (Some(_), Some(_)) => {}
    }
    let error = |status: &FrameworkPluginStatus| status.last_error.clone();
    let news = error(now).filter(|_| error(now) != before.and_then(error));
    events.extend(news.map(|error| {
        let (reason, message) = error.split_once(": ").unwrap_or(("Failed", &error));
        Event::warning(reason, message, generation)
    }));
    events
}
