//! One look at one plugin: what it wants, what there is, and what follows.

use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::runtime::controller::Action;
use kube::{Resource as _, ResourceExt as _};
use tracing::warn;

use super::shelf::{Active, Shelf};
use super::{Failure, Guarded, Loader, Plugins, Version, of};
use crate::framework_plugin::FrameworkPlugin;

/// How often it is looked whether what is being fetched is still wanted.
const OVERTAKEN: Duration = Duration::from_millis(250);

impl Loader {
    pub(super) async fn look(&self, plugin: &Guarded, all: &Plugins) -> Action {
        let plugin = match &plugin.0 {
            Ok(plugin) => plugin,
            Err(error) => {
                warn!(plugin = error.metadata.name, %error, "a FrameworkPlugin that cannot be read is left as it is");
                return Action::await_change();
            }
        };
        let shelf = self.shelf(&plugin.name_any());
        let mut shelf = shelf.lock().await;
        shelf.read(plugin, self.leads());
        if plugin.metadata.deletion_timestamp.is_some() {
            return self.leave(plugin, all, &mut shelf).await;
        }
        if plugin.spec.suspend {
            self.withdraw(plugin, &mut shelf);
            return self.tell(plugin, &mut shelf, None).await;
        }
        let held = match self.hold(plugin).await {
            Ok(held) => held,
            Err(error) => return self.tell(plugin, &mut shelf, Some(Failure::of_cluster(&error).soon())).await,
        };
        let plugin = held.as_ref().unwrap_or(plugin);
        let failure = tokio::select! {
            failure = self.bring(plugin, all, &mut shelf) => failure,
            // A slow registry keeps nobody from another source, or from coming back to what there was.
            () = overtaken(plugin, all) => return Action::requeue(Duration::ZERO),
        };
        self.tell(plugin, &mut shelf, failure).await
    }

    /// Puts in force what is wanted, or else what was in force before. Answers what is wrong.
    async fn bring(&self, plugin: &FrameworkPlugin, all: &Plugins, shelf: &mut Shelf) -> Option<Failure> {
        if plugin.status.as_ref().is_some_and(|status| status.active.is_some()) {
            // After a restart it goes on at once, whatever is wrong with what is wanted now, or takes long of it.
            self.restore(plugin, all, shelf).await;
        }
        let failure = match self.wanted(plugin, all, shelf).await {
            Ok(version) => self.promote(plugin, &version, all, shelf).await.err(),
            Err(failure) => Some(failure),
        };
        if failure.is_some() {
            self.restore(plugin, all, shelf).await;
        }
        let lost = self.serve(plugin, all, shelf).await;
        let lacking = match &failure {
            Some(_) => self.approve_active(plugin, shelf).await.err(),
            None => None,
        };
        if shelf.active.is_none() {
            self.withdraw(plugin, shelf);
        }
        lost.or(lacking).or(failure)
    }

    /// What goes on although something else is wanted needs what it needs all the same.
    async fn approve_active(&self, plugin: &FrameworkPlugin, shelf: &mut Shelf) -> Result<(), Failure> {
        let Some(Active { version, .. }) = shelf.active.clone().filter(|_| self.leads()) else { return Ok(()) };
        self.approve(plugin, &version, shelf).await.map_err(|failure| failure.about(version.about))
    }

    /// Where nothing is active: what was so last.
    pub(super) async fn restore(&self, plugin: &FrameworkPlugin, all: &Plugins, shelf: &mut Shelf) {
        let (None, Some(about)) = (&shelf.active, shelf.retained.first().cloned()) else { return };
        if let Some(version) = self.again(&plugin.spec, &about, shelf).await {
            let settings = plugin.spec.fitting_settings(version.plugin.description());
            shelf.activate(Active { version, settings });
            self.serve(plugin, all, shelf).await;
        }
    }

    /// Makes a version the active one, if all is well with it.
    async fn promote(
        &self,
        plugin: &FrameworkPlugin,
        version: &Version,
        all: &Plugins,
        shelf: &mut Shelf,
    ) -> Result<(), Failure> {
        let failed = |failure: Failure| failure.about(version.about.clone());
        let settings = plugin.spec.settings(version.plugin.description());
        let settings = settings.map_err(|error| failed(Failure::ready(error.reason(), error)))?;
        self.claim(plugin, version, all).map_err(failed)?;
        self.approve(plugin, version, shelf).await.map_err(failed)?;
        if let Some(reload) = shelf.activate(Active { version: version.clone(), settings }) {
            self.loads.reloaded(reload);
        }
        Ok(())
    }

    /// Lets everybody know what the plugin brings; but for a version whose kinds have become somebody else's.
    pub(super) async fn serve(&self, plugin: &FrameworkPlugin, all: &Plugins, shelf: &mut Shelf) -> Option<Failure> {
        let version = &shelf.active.as_ref()?.version;
        if let Err(failure) = self.claim(plugin, version, all) {
            let failure = failure.about(version.about.clone());
            self.withdraw(plugin, shelf);
            return Some(failure);
        }
        self.offer(plugin, shelf).await;
        None
    }
}

/// Answers when something else is wanted.
async fn overtaken(plugin: &FrameworkPlugin, all: &Plugins) {
    let identity = |object: &ObjectMeta| (object.uid.clone(), object.generation, object.deletion_timestamp.is_some());
    let is_other = |now: &Guarded| identity(now.meta()) != identity(plugin.meta());
    while !all.get(&of(&plugin.name_any())).is_none_or(|now| is_other(&now)) {
        tokio::time::sleep(OVERTAKEN).await;
    }
}
