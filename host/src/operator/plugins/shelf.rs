//! The versions of one plugin that are loaded: fetched, checked, compiled, and kept for a while.

use std::collections::BTreeMap;
use std::time::Instant;

use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::{Api, ResourceExt as _};
use serde_json::json;
use trainyard_core::contract::Kind;

use super::report::{Again, Failure};
use super::{Loader, Version};
use crate::framework_plugin::{Found, FrameworkPlugin, FrameworkPluginSpec, Loaded, SourceSpec, provenance};
use crate::plugin::{Digest, Limits, Plugin, names};
use crate::source::{self, Demand, Fetched, Source};

/// Versions that stay loaded: to come back to one of them takes no time.
const KEPT: usize = 3;

/// The versions of one plugin.
#[derive(Default)]
pub(super) struct Shelf {
    /// The newest first.
    versions: Vec<Version>,
    pub(super) active: Option<Version>,
    /// What came of what was wanted last: it is not tried again, unless it may come out differently.
    tried: Option<(String, Result<Version, Failure>)>,
    /// What was asked of the cluster, and granted.
    pub(super) permitted: Option<String>,
    /// In a row.
    pub(super) failures: u32,
}

impl Shelf {
    fn get(&self, digest: Digest, limits: &Limits) -> Option<Version> {
        let fits = |version: &&Version| version.plugin.digest() == digest && version.plugin.limits() == limits;
        self.active.iter().chain(&self.versions).find(fits).cloned()
    }

    fn keep(&mut self, version: &Version) {
        self.versions.retain(|kept| kept.plugin.digest() != version.plugin.digest());
        self.versions.insert(0, version.clone());
        self.versions.truncate(KEPT);
    }
}

impl Loader {
    /// The version that is wanted now.
    pub(super) async fn wanted(&self, plugin: &FrameworkPlugin, shelf: &mut Shelf) -> Result<Version, Failure> {
        let found = self.found(&plugin.spec.source).await.map_err(|error| Failure::of_cluster(&error))?;
        let key = key(&plugin.spec, &found);
        match &shelf.tried {
            Some((tried, outcome)) if *tried == key => match outcome {
                Err(failure) if failure.again != Again::OnChange => {}
                Ok(_) | Err(_) => return outcome.clone(),
            },
            Some(_) | None => {}
        }
        let outcome = self.fetch(&plugin.spec, &found, shelf).await;
        shelf.tried = Some((key, outcome.clone()));
        outcome
    }

    async fn fetch(&self, spec: &FrameworkPluginSpec, found: &Found, shelf: &mut Shelf) -> Result<Version, Failure> {
        let of_spec = |error| Failure::of_spec(&error);
        if matches!(spec.source, SourceSpec::File(_)) && self.files.is_none() {
            return Err(Failure::ready("FilesOff", "spec.source.file: the operator was started without --plugin-dir"));
        }
        let source = spec.source(found, self.files.as_deref()).map_err(of_spec)?;
        let (limits, demand) = (spec.limits().map_err(of_spec)?, spec.demand().map_err(of_spec)?);
        let access = spec.access(found).map_err(of_spec)?;
        let fetched = source::fetch(&source, &demand, &access, self.cache.as_ref(), &|_| ()).await;
        let fetched = fetched.map_err(|error| Failure::of_source(&error))?;
        if let Some(cache) = &self.cache
            && let Err(error) = cache.put(&fetched.component)
        {
            tracing::warn!(%error, "a plugin could not be kept on disk, and may be missed after a restart");
        }
        let from = provenance(&source, fetched.manifest);
        self.version(fetched, from, limits, shelf).await
    }

    async fn version(
        &self,
        fetched: Fetched,
        from: String,
        limits: Limits,
        shelf: &mut Shelf,
    ) -> Result<Version, Failure> {
        let known = shelf.get(fetched.digest, &limits);
        let version = match known {
            Some(known) => Version { about: Loaded { source: from, ..known.about }, ..known },
            None => self.load(fetched, from, limits).await?,
        };
        shelf.keep(&version);
        Ok(version)
    }

    async fn load(&self, fetched: Fetched, source: String, limits: Limits) -> Result<Version, Failure> {
        let (engine, began) = (self.engine.clone(), Instant::now());
        let about = Loaded {
            digest: fetched.digest.to_string(),
            source,
            manifest: fetched.manifest.map(|manifest| manifest.to_string()),
            bytes: Some(fetched.component.len() as u64),
            ..Loaded::default()
        };
        let loading = tokio::task::spawn_blocking(move || {
            let loaded = Plugin::load(&engine, &fetched.component, limits);
            let imports =
                names(&fetched.component).map(|names| names.imports.iter().map(ToString::to_string).collect());
            (loaded, imports.unwrap_or_default())
        });
        let (loaded, imports) = loading.await.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()));
        let plugin = loaded.map_err(|error| Failure::of_load(&error).about(about.clone()))?;
        let description = plugin.description();
        let about = Loaded {
            name: Some(description.name.clone()),
            version: Some(description.version.clone()),
            contract: Some(crate::plugin::TRACK.to_owned()),
            imports,
            compile_milliseconds: u64::try_from(began.elapsed().as_millis()).ok(),
            kinds: description.kinds.iter().map(named).collect(),
            ..about
        };
        Ok(Version { plugin, about })
    }

    /// A version that was loaded before, without asking anybody outside: None where it is not on this disk any more, or is
    /// not what is demanded now.
    pub(super) async fn again(&self, spec: &FrameworkPluginSpec, about: &Loaded, shelf: &mut Shelf) -> Option<Version> {
        let (digest, limits) = (about.digest.parse().ok()?, spec.limits().ok()?);
        if let Some(version) = shelf.get(digest, &limits) {
            return Some(version);
        }
        let cache = self.cache.as_ref()?;
        let demand = Demand { digest: Some(digest), ..spec.demand().ok()? };
        let (source, cache) = if let Some(reference) = about.source.strip_prefix("oci ") {
            (Source::Oci(reference.parse().ok()?), Some(cache))
        } else {
            (Source::ConfigMap { name: about.source.clone(), bytes: cache.get(digest).ok()?? }, None)
        };
        let access = spec.access(&Found::default()).unwrap_or_default();
        let fetched = source::fetch(&source, &demand, &access, cache, &|_| ()).await.ok()?;
        self.version(fetched, about.source.clone(), limits, shelf).await.ok()
    }

    async fn found(&self, source: &SourceSpec) -> kube::Result<Found> {
        let mut config_maps = BTreeMap::new();
        let all: Api<ConfigMap> = Api::namespaced(self.client.clone(), &self.namespace);
        for name in source.config_maps() {
            if let Some(map) = all.get_opt(name).await? {
                config_maps.insert(name.to_owned(), map);
            }
        }
        let secrets: Api<Secret> = Api::namespaced(self.client.clone(), &self.namespace);
        let pull_secret = match source.pull_secret() {
            Some(name) => secrets.get_opt(name).await?,
            None => None,
        };
        Ok(Found { config_maps, pull_secret })
    }
}

/// `example.com/v1 RingJob`
pub(super) fn named(kind: &Kind) -> String {
    format!("{}/{} {}", kind.group, kind.version, kind.kind)
}

/// All that decides which bytes are loaded, and how.
fn key(spec: &FrameworkPluginSpec, found: &Found) -> String {
    let version = |object: Option<String>| object.unwrap_or_default();
    let maps: Vec<_> = found.config_maps.values().map(|map| version(map.resource_version())).collect();
    let secret = found.pull_secret.as_ref().map(|secret| version(secret.resource_version()));
    let FrameworkPluginSpec { source, digest, signature, limits, .. } = spec;
    json!([source, digest, signature, limits, maps, secret]).to_string()
}
