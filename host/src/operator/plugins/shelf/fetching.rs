//! From a source, or from this disk, to a version that is loaded.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::Api;
use tokio::task::spawn_blocking;
use tracing::warn;

use super::{Shelf, named};
use crate::framework_plugin::{
    BundledSource, ConfigMapSource, FileSource, Found, FrameworkPluginSpec, Loaded, SourceSpec, provenance,
};
use crate::operator::plugins::report::Failure;
use crate::operator::plugins::{Loader, Plugins, Version};
use crate::operator::roster;
use crate::plugin::{Digest, Limits, Plugin, names};
use crate::source::{self, Access, Demand, Fetched, Freshness, Reference, Source};

/// When it is dropped nobody waits any more for what is being compiled: it frees its thread.
#[derive(Default)]
struct Wanted(Arc<AtomicBool>);

impl Drop for Wanted {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Loader {
    pub(super) async fn fetch(
        &self,
        spec: &FrameworkPluginSpec,
        shelf: &mut Shelf,
    ) -> Result<(Version, Freshness), Failure> {
        let of_spec = |error| Failure::of_spec(&error);
        if matches!(spec.source, SourceSpec::File(_)) && self.files.is_none() {
            return Err(Failure::fetched(
                "FilesOff",
                "spec.source.file: the operator was started without --plugin-dir",
            ));
        }
        let found = self.found(spec).await.map_err(|error| Failure::of_cluster(&error))?;
        let source = spec.source(&found, self.files.as_deref()).map_err(of_spec)?;
        let (limits, demand) = (spec.limits().map_err(of_spec)?, spec.demand(&found).map_err(of_spec)?);
        let access = self.access(spec, &found).map_err(of_spec)?;
        let began = Instant::now();
        let fetched = source::fetch(&source, &demand, &access, self.cache.as_ref(), &|_| ()).await;
        self.loads.fetched(began.elapsed());
        let fetched = fetched.map_err(|error| Failure::of_source(&error, &source))?;
        let freshness = fetched.freshness;
        let from = provenance(&source, fetched.manifest);
        Ok((self.version(fetched, from, limits, shelf).await?, freshness))
    }

    fn access(&self, spec: &FrameworkPluginSpec, found: &Found) -> Result<Access, crate::framework_plugin::SpecError> {
        let mut access = spec.access(found)?;
        access.mirrors.extend(self.mirrors.iter().cloned());
        Ok(access)
    }

    async fn version(
        &self,
        fetched: Fetched,
        from: String,
        limits: Limits,
        shelf: &mut Shelf,
    ) -> Result<Version, Failure> {
        let manifest = fetched.manifest.map(|manifest| manifest.to_string());
        let version = match shelf.get(fetched.digest, &limits) {
            Some(known) => Version { about: Loaded { source: from, manifest, ..known.about }, ..known },
            None => self.load(fetched, Loaded { source: from, manifest, ..Loaded::default() }, limits).await?,
        };
        shelf.keep(&version);
        Ok(version)
    }

    async fn load(&self, fetched: Fetched, about: Loaded, limits: Limits) -> Result<Version, Failure> {
        let Fetched { component, digest, .. } = fetched;
        let about = Loaded { digest: digest.to_string(), bytes: Some(component.len() as u64), ..about };
        let _turn = self.turn.acquire().await; // never closed
        let (engine, cache) = (self.engine.clone(), self.cache.clone());
        let wanted = Wanted::default();
        let stop = wanted.0.clone();
        let loading = spawn_blocking(move || {
            if let Some(Err(error)) = cache.map(|cache| cache.put(&component)) {
                warn!(%error, "a plugin could not be kept on disk, and may be missed after a restart");
            }
            let imports = names(&component).map(|names| names.imports.iter().map(ToString::to_string).collect());
            (Plugin::load_unless(&engine, &component, limits, &stop), imports.unwrap_or_default())
        });
        let (loaded, imports) = loading.await.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()));
        let about = Loaded { imports, ..about };
        let plugin = loaded.map_err(|error| Failure::of_load(&error).about(about.clone()))?;
        let (description, cost) = (plugin.description(), plugin.cost());
        self.loads.loaded(cost);
        let about = Loaded {
            name: Some(description.name.clone()),
            version: Some(description.version.clone()),
            contract: Some(crate::plugin::TRACK.to_owned()),
            compiled_bytes: Some(cost.code),
            compile_milliseconds: u64::try_from(cost.compile.as_millis()).ok(),
            kinds: description.kinds.iter().map(named).collect(),
            ..about
        };
        Ok(Version { plugin, about })
    }

    /// A version that was fetched before, if it is what is demanded now: by what its tag was then, or by its own digest.
    pub(super) async fn stored(
        &self,
        spec: &FrameworkPluginSpec,
        about: &Loaded,
        shelf: &mut Shelf,
    ) -> Option<Version> {
        let digest: Digest = about.digest.parse().ok()?;
        let found = self.found(spec).await.unwrap_or_default();
        let (limits, demand) = (spec.limits().ok()?, Demand { digest: Some(digest), ..spec.demand(&found).ok()? });
        let cache = self.cache.as_ref();
        let (source, access) = if let Some(reference) = about.source.strip_prefix("oci ") {
            let reference: Reference = reference.parse().ok()?;
            let access = self.access_again(spec, &reference, &found);
            (Source::Oci(reference), access)
        } else if let Some(bytes) = self.kept(digest).await {
            (Source::ConfigMap { name: about.source.clone(), bytes }, Access::default())
        } else {
            (self.where_it_was(spec, &about.source).await?, Access::default())
        };
        let fetched = source::fetch(&source, &demand, &access, cache, &|_| ()).await.ok()?;
        self.version(fetched, about.source.clone(), limits, shelf).await.ok()
    }

    async fn kept(&self, digest: Digest) -> Option<Vec<u8>> {
        let cache = self.cache.clone()?;
        spawn_blocking(move || cache.get(digest)).await.ok()?.ok()?
    }

    /// What is there now, in the cluster or on this machine; whether it is what was there is to be seen.
    async fn where_it_was(&self, spec: &FrameworkPluginSpec, from: &str) -> Option<Source> {
        let source = match from.split_once(' ')? {
            ("configMap", at) => {
                let (name, key) = at.split_once('/')?;
                SourceSpec::ConfigMap(ConfigMapSource { name: name.to_owned(), key: key.to_owned() })
            }
            ("file", path) if self.files.is_some() => SourceSpec::File(FileSource { path: path.to_owned() }),
            ("bundled", name) => SourceSpec::Bundled(BundledSource { name: name.to_owned() }),
            _ => return None,
        };
        let spec = FrameworkPluginSpec { source, ..spec.clone() };
        spec.source(&self.found(&spec).await.ok()?, self.files.as_deref()).ok()
    }

    /// With the credentials of the spec only where they are for the same registry.
    fn access_again(&self, spec: &FrameworkPluginSpec, reference: &Reference, found: &Found) -> Access {
        let anonymous = Access { mirrors: self.mirrors.clone(), ..Access::default() };
        let SourceSpec::Oci(now) = &spec.source else { return anonymous };
        let is_same = now.reference.parse::<Reference>().is_ok_and(|now| now.registry() == reference.registry());
        if !is_same {
            return anonymous;
        }
        self.access(spec, found).unwrap_or(Access { plain_http: now.plain_http, ..anonymous })
    }

    async fn found(&self, spec: &FrameworkPluginSpec) -> kube::Result<Found> {
        let mut config_maps = BTreeMap::new();
        let all: Api<ConfigMap> = Api::namespaced(self.client.clone(), &self.namespace);
        for name in spec.config_maps() {
            if let Some(map) = all.get_opt(name).await? {
                config_maps.insert(name.to_owned(), map);
            }
        }
        let secrets: Api<Secret> = Api::namespaced(self.client.clone(), &self.namespace);
        let pull_secret = match spec.source.pull_secret() {
            Some(name) => secrets.get_opt(name).await?,
            None => None,
        };
        Ok(Found { config_maps, pull_secret })
    }

    /// Makes room in the cache, but not of what anybody has loaded or may come back to.
    pub(super) async fn trim(&self, all: &Plugins, shelf: &Shelf) {
        let Some(cache) = self.cache.clone() else { return };
        let plugins = all.state();
        let named = plugins.iter().filter_map(|plugin| plugin.0.as_ref().ok()).flat_map(|plugin| {
            let status = plugin.status.iter();
            let loaded =
                status.flat_map(|status| status.active.iter().chain(&status.retained).chain(&status.candidate));
            loaded.map(|loaded| &loaded.digest).chain(&plugin.spec.digest)
        });
        let mut in_use: BTreeSet<Digest> = named.filter_map(|digest| digest.parse().ok()).collect();
        in_use.extend(roster::plugins(&self.roster.kinds().borrow()).iter().map(|(_, plugin)| plugin.digest()));
        in_use.extend(shelf.digests());
        let trimming = cache.clone();
        match spawn_blocking(move || trimming.trim(&in_use)).await {
            Ok(Ok(bytes)) => self.loads.cached(&cache, bytes),
            Ok(Err(error)) => warn!(%error, "the cache of plugins could not be trimmed"),
            Err(_) => {} // the operator ends
        }
    }
}
