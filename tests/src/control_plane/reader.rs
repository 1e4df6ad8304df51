//! Reading objects by the words that kubectl takes: tests ask again and again, which would be most of their CPU time.

use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result};
use kube::api::{DynamicObject, GetParams, ListParams};
use kube::config::Kubeconfig;
use kube::core::{Request, Resource as _};
use kube::discovery::{ApiCapabilities, ApiGroup, ApiResource, Discovery, Scope};
use serde_json::Value;

use super::ControlPlane;
use crate::Client;

pub(super) struct Reader {
    user: Client,
    /// The kinds that were served when one was last looked for in vain.
    kinds: Mutex<Discovery>,
}

impl Reader {
    pub(super) fn new(kubeconfig: &str) -> Result<Self> {
        let user = Client::of(Kubeconfig::from_yaml(kubeconfig)?)?;
        let kinds = Mutex::new(Discovery::new(user.client.clone()));
        Ok(Self { user, kinds })
    }

    /// Whether the API server is ready.
    pub(super) fn readyz(&self) -> Result<()> {
        let request = http::Request::get("/readyz").body(Vec::new())?;
        Ok(self.user.runtime.block_on(self.user.client.request_text(request)).map(drop)?)
    }

    /// By singular, plural, or plural and group.
    fn kind(&self, name: &str) -> Result<(ApiResource, ApiCapabilities)> {
        let mut kinds = self.kinds.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = find(&kinds, name) {
            return Ok(found);
        }
        let served = Discovery::new(self.user.client.clone()).run_aggregated();
        *kinds = self.user.runtime.block_on(served).context("asking for the kinds that are served")?;
        find(&kinds, name).with_context(|| format!("the API server has no kind {name:?}"))
    }
}

fn find(kinds: &Discovery, name: &str) -> Option<(ApiResource, ApiCapabilities)> {
    let kinds = kinds.groups_alphabetical().into_iter().flat_map(ApiGroup::recommended_resources);
    kinds.into_iter().find(|(kind, _)| {
        let full = || format!("{}.{}", kind.plural, kind.group);
        kind.plural == name || kind.kind.to_lowercase() == name || full() == name
    })
}

impl ControlPlane {
    /// An object (`pod/mnist-worker-0`) or a list (`pods`). The namespace means nothing to kinds that are in none.
    pub fn get(&self, namespace: &str, what: &str) -> Result<Value> {
        let (kind, name) = what.split_once('/').map_or((what, None), |(kind, name)| (kind, Some(name)));
        let (kind, capabilities) = self.reader.kind(kind)?;
        let namespace = Some(namespace).filter(|_| capabilities.scope == Scope::Namespaced);
        let request = Request::new(DynamicObject::url_path(&kind, namespace));
        let request = match name {
            Some(name) => request.get(name, &GetParams::default())?,
            None => request.list(&ListParams::default())?,
        };
        let user = &self.reader.user;
        let found = user.runtime.block_on(user.client.request(request));
        let mut found: Value = found.with_context(|| format!("getting {what}"))?;
        // A list of a kind that is built in does not say it again.
        let items = found.get_mut("items").and_then(Value::as_array_mut).into_iter().flatten();
        for object in items.filter_map(Value::as_object_mut) {
            object.insert("apiVersion".into(), kind.api_version.as_str().into());
            object.insert("kind".into(), kind.kind.as_str().into());
        }
        Ok(found)
    }
}
