//! Admission: the API server asks, over TLS, whether a job may be stored. Every replica answers, whoever holds the lease.
//!
//! The certificate is made, stored, renewed and taken up while the process runs; it is in a Secret and in memory, in no
//! file. There is a webhook for each kind whose plugin is loaded, be its definition installed or not: without one there
//! are no jobs to ask about, and once it is, not even the first job gets past us.

mod certificate;
mod configuration;
mod keeper;
mod metrics;
mod object;
mod review;
mod secret;
mod server;
mod switch;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use kube::Client;
use tokio::sync::watch as flag;
use tokio::time::sleep;
use tracing::warn;

use self::configuration::Service;
use self::keeper::{Keeper, Names};
pub(super) use self::metrics::Reviews;
use super::roster::Roster;
use crate::cli::OperatorOptions;

/// After the API server has forbidden something: an admin may think better of it.
const FORBIDDEN: Duration = Duration::from_mins(10);

/// Answers reviews until `stopped`, and then those under way. `is_ready` is set as soon as the API server can ask, or
/// it is clear that it will not.
pub(super) async fn run(
    options: &OperatorOptions,
    client: Client,
    roster: Arc<Roster>,
    reviews: Reviews,
    is_ready: flag::Sender<bool>,
    stopped: flag::Receiver<bool>,
) -> anyhow::Result<()> {
    let forever = async || drop(stopped.clone().wait_for(|stopped| *stopped).await);
    if options.webhook == Some(false) {
        is_ready.send_replace(true);
        forever().await;
        return Ok(());
    }
    let (show, shown) = flag::channel(None);
    let is_demanded = options.webhook == Some(true);
    let mut keeper = Keeper::new(
        &client,
        names(options),
        roster.clone(),
        is_demanded || is_in_cluster(options),
        show,
        is_ready.clone(),
    );
    let keep = async {
        loop {
            let why = keeper.keep().await;
            warn!(%why, again_after = ?FORBIDDEN, "no admission: it is not permitted");
            // The controllers look at each job themselves.
            is_ready.send_if_modified(|is_ready| !is_demanded && !std::mem::replace(is_ready, true));
            sleep(FORBIDDEN).await;
        }
    };
    let router = review::router(roster.kinds(), reviews);
    let serve = server::serve(options.webhook_server_port, shown, router, stopped.clone());
    tokio::select! {
        () = keep => Ok(()),
        served = serve => served,
    }
}

fn names(options: &OperatorOptions) -> Names {
    let namespace = super::own_namespace();
    Names {
        secret: options.webhook_secret_name.clone(),
        service: Service { name: options.webhook_service_name.clone(), namespace },
    }
}

/// Whether a Service of the cluster can lead here.
fn is_in_cluster(options: &OperatorOptions) -> bool {
    let is_given = |file: &Path| !file.as_os_str().is_empty();
    let is_elsewhere = options.kubeconfig.as_deref().is_some_and(is_given) || std::env::var_os("KUBECONFIG").is_some();
    std::env::var_os("KUBERNETES_SERVICE_HOST").is_some() && !is_elsewhere
}
