//! Keeps the Secret and the webhook configuration as they should be, and decides which certificate is shown.
//!
//! Any replica may do each of its writes: the one that is later finds that the object has changed, and goes by what is
//! there. Nothing is written where nothing differs.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use kube::api::DynamicObject;
use kube::core::ApiResource;
use kube::{Api, Client};
use serde_json::{Value, json};
use tokio::sync::watch as flag;
use tokio::time::{Instant, sleep_until};
use tracing::{info, warn};
use trainyard_core::json::{items, merge, text};

use super::certificate::{Authority, Certificate};
use super::configuration::{self, Clients, Hook, Service};
use super::object::{self, Forbidden, Seen, newer, next};
use super::secret::{self, SecretError};
use super::switch::{self, Switch};
use crate::operator::api::resource;
use crate::operator::roster::{Kinds, Roster};

/// How often it is looked whether the certificate is still good enough, as in v1.
const CHECK: Duration = Duration::from_hours(12);
/// The same while an authority waits to be forgotten.
const CHECK_OVERLAP: Duration = Duration::from_mins(61);
/// After a write that did not succeed: at first, and at most.
const RETRY: Duration = Duration::from_secs(1);
const MAX_RETRY: Duration = Duration::from_mins(1);

/// What is where.
pub(super) struct Names {
    pub(super) secret: String,
    pub(super) service: Service,
}

/// The keeper of one operator's admission.
pub(super) struct Keeper {
    names: Names,
    roster: Arc<Roster>,
    kinds: flag::Receiver<Arc<Kinds>>,
    hooks: Vec<Hook>,
    /// Webhooks of kinds whose plugins are not loaded: they stay where they are.
    held: BTreeSet<String>,
    /// Webhooks of kinds that are not served any more, until they are taken out of the configuration.
    retired: BTreeSet<String>,
    /// Whether there is admission where nobody has installed its configuration.
    installs: bool,
    secrets: Api<Secret>,
    configurations: Api<DynamicObject>,
    secret: Seen<Secret>,
    configuration: Seen<DynamicObject>,
    clients: Clients,
    /// Since when the configuration carries the authority of the stored certificate.
    carried: Option<(Authority, Instant)>,
    shown: flag::Sender<Option<Arc<Certificate>>>,
    is_ready: flag::Sender<bool>,
    failures: u32,
}

/// Why nothing could be kept.
#[derive(Debug, thiserror::Error)]
pub(super) enum KeepError {
    #[error("the {what} cannot be written")]
    NotWritten { what: &'static str, source: kube::Error },
    #[error(transparent)]
    NoCertificate(#[from] SecretError),
}

impl Keeper {
    pub(super) fn new(
        client: &Client,
        names: Names,
        roster: Arc<Roster>,
        installs: bool,
        shown: flag::Sender<Option<Arc<Certificate>>>,
        is_ready: flag::Sender<bool>,
    ) -> Self {
        let kinds = roster.kinds();
        let hooks = hooks(&kinds.borrow());
        Self {
            secrets: Api::namespaced(client.clone(), &names.service.namespace),
            configurations: Api::all_with(client.clone(), &kind()),
            names,
            hooks,
            held: BTreeSet::new(),
            kinds,
            roster,
            retired: BTreeSet::new(),
            installs,
            secret: None,
            configuration: None,
            clients: Clients::new(),
            carried: None,
            shown,
            is_ready,
            failures: 0,
        }
    }

    /// Goes on until the API server forbids it.
    pub(super) async fn keep(&mut self) -> Forbidden {
        (self.secret, self.configuration) = (None, None);
        let mut configurations = object::watch(&self.configurations, configuration::NAME);
        // Whoever answers no reviews has no business with the Secret.
        while !self.is_wanted() {
            match next(&mut configurations, "webhook configuration").await {
                Ok(seen) => self.configuration = Some(seen),
                Err(forbidden) => return forbidden,
            }
            if !self.is_wanted() && !self.is_ready.send_replace(true) {
                info!(
                    configuration = configuration::NAME,
                    "no admission: this operator is outside of the cluster, and there is no webhook configuration"
                );
            }
        }
        let mut secrets = object::watch(&self.secrets, &self.names.secret);
        let mut look = Instant::now();
        loop {
            let seen = tokio::select! {
                seen = next(&mut secrets, "secret") => seen.map(|seen| newer(&mut self.secret, seen)),
                seen = next(&mut configurations, "webhook configuration") => {
                    seen.map(|seen| newer(&mut self.configuration, seen))
                }
                Ok(()) = self.kinds.changed() => {
                    self.change_hooks();
                    Ok(())
                }
                () = sleep_until(look) => Ok(()),
            };
            if let Err(forbidden) = seen {
                return forbidden;
            }
            look = Instant::now() + self.look_and_tell().await;
        }
    }

    /// The entry of a kind whose plugin is not loaded for the moment stays: it may be what an admin made of it, and another
    /// replica may have the plugin.
    fn change_hooks(&mut self) {
        let hooks = hooks(&self.kinds.borrow_and_update());
        let held = self.roster.held();
        let held = held.iter().filter_map(|(api_version, kind)| Some((api_version.split_once('/')?.0, kind)));
        let held = held.map(|(group, kind)| configuration::name(group, kind)).collect();
        let gone = self.hooks.iter().map(|hook| hook.name.clone());
        self.retired.extend(gone.chain(std::mem::replace(&mut self.held, held)));
        self.retired.retain(|name| !self.held.contains(name) && !hooks.iter().any(|hook| hook.name == *name));
        self.hooks = hooks;
    }

    fn is_wanted(&self) -> bool {
        self.installs || matches!(&self.configuration, Some(Some(_)))
    }

    /// Answers after how long to look again.
    async fn look_and_tell(&mut self) -> Duration {
        match self.look().await {
            Ok(pause) => {
                self.failures = 0;
                pause
            }
            Err(error) => {
                let pause = MAX_RETRY.min(RETRY * 2_u32.saturating_pow(self.failures));
                self.failures += 1;
                match &error {
                    // The watch brings what is there now.
                    KeepError::NotWritten { what, source: kube::Error::Api(status) } if status.code == 409 => {
                        info!(what, "another was quicker");
                    }
                    KeepError::NotWritten { .. } | KeepError::NoCertificate(_) => {
                        warn!(error = crate::failure::chain(&error), ?pause, "admission is not as it should be");
                    }
                }
                pause
            }
        }
    }

    async fn look(&mut self) -> Result<Duration, KeepError> {
        let (Some(secret), Some(configuration)) = (&self.secret, &self.configuration) else { return Ok(CHECK) };
        let now = Timestamp::now();
        self.clients.extend(configuration::clients(webhooks(configuration.as_ref()), &self.hooks, &self.held));
        let names = configuration::names(&self.clients, &self.names.service);
        let shown = self.shown.borrow().clone();
        if let Some(renewed) = secret::renewed(secret.as_ref(), shown.as_deref(), &names, now)? {
            self.write_secret(renewed, &names).await?;
        }
        let Some(Some(secret)) = &self.secret else { return Ok(RETRY) };
        let Some(certificate) = secret::certificate(secret) else { return Ok(RETRY) };
        self.write_configuration(&secret::bundle(secret)).await?;
        let overlaps = certificate.authorities.len() > 1;
        let wait = self.show(certificate, now);
        Ok(wait.unwrap_or(if overlaps { CHECK_OVERLAP } else { CHECK }))
    }

    async fn write_secret(&mut self, secret: Secret, names: &BTreeSet<String>) -> Result<(), KeepError> {
        let stored = object::write(&self.secrets, &secret::named(secret, &self.names.secret)).await;
        let stored = stored.map_err(|source| KeepError::NotWritten { what: "secret with the certificate", source })?;
        info!(secret = self.names.secret, ?names, "stored a certificate");
        self.secret = Some(Some(stored));
        Ok(())
    }

    async fn write_configuration(&mut self, bundle: &str) -> Result<(), KeepError> {
        let stored = self.configuration.clone().flatten();
        let before = webhooks(stored.as_ref());
        let mut wanted = configuration::webhooks(before, &self.hooks, &self.clients, &self.names.service, bundle);
        configuration::renew(&mut wanted, &self.held, bundle);
        wanted.retain(|webhook| !self.retired.contains(text(webhook, "/name")));
        if wanted == before {
            self.retired.clear(); // what comes after is of somebody who serves it
            return Ok(());
        }
        let new = || DynamicObject::new(configuration::NAME, &kind());
        let mut new = stored.unwrap_or_else(new);
        merge(&mut new.data, &json!({"webhooks": wanted}));
        let stored = object::write(&self.configurations, &new).await;
        let stored = stored.map_err(|source| KeepError::NotWritten { what: "webhook configuration", source })?;
        info!(configuration = configuration::NAME, webhooks = self.hooks.len(), "stored the webhook configuration");
        self.configuration = Some(Some(stored));
        self.retired.clear();
        Ok(())
    }

    /// Shows the stored certificate as soon as the API server knows its authority. Answers how long that may take.
    fn show(&mut self, stored: Certificate, now: Timestamp) -> Option<Duration> {
        let authority = stored.authority(now)?.clone();
        let webhooks = webhooks(self.configuration.as_ref().and_then(Option::as_ref));
        let is_carried = configuration::carries(webhooks, &self.hooks, &self.held, &authority);
        let since = match self.carried.take() {
            Some((carried, since)) if carried == authority => since,
            Some(_) | None => Instant::now(),
        };
        self.carried = is_carried.then_some((authority, since));
        let shown = self.shown.borrow().clone();
        let is_known = |shown: &Certificate| {
            let carries = |authority| configuration::carries(webhooks, &self.hooks, &self.held, authority);
            shown.authority(now).is_some_and(carries)
        };
        let switch = switch::of(shown.as_deref(), &stored, is_carried.then(|| since.elapsed()), is_known);
        if matches!(switch, Switch::Now) {
            info!("showing the stored certificate");
            self.shown.send_replace(Some(Arc::new(stored)));
        }
        if is_carried {
            self.is_ready.send_replace(true);
        }
        match switch {
            Switch::Now | Switch::Keep => None,
            Switch::In(wait) => Some(wait),
        }
    }
}

fn kind() -> ApiResource {
    resource("admissionregistration.k8s.io/v1", "ValidatingWebhookConfiguration")
}

fn hooks(kinds: &Kinds) -> Vec<Hook> {
    kinds.values().map(|plans| Hook::of(&plans.active.kind)).collect()
}

fn webhooks(configuration: Option<&DynamicObject>) -> &[Value] {
    configuration.map_or(&[], |configuration| items(&configuration.data, "/webhooks"))
}
