//! `/metrics`, `/healthz` and `/readyz`, where v1 serves them.

use std::sync::Arc;

use anyhow::Context as _;
use axum::Router;
use axum::extract::RawQuery;
use axum::http::{StatusCode, header};
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::sync::watch::Receiver;
use tracing::info;

use super::metrics::{self, Metrics};
use crate::cli::Listen;
use crate::plugin::Engine;

/// Opens an address, if there is one to open.
pub(super) async fn listen(address: Listen, what: &str) -> anyhow::Result<Option<TcpListener>> {
    let Listen(Some(address)) = address else { return Ok(None) };
    let listener = TcpListener::bind(address).await.with_context(|| format!("cannot serve {what} on {address}"))?;
    info!(what, address = %listener.local_addr()?, "serving");
    Ok(Some(listener))
}

/// Serves metrics until the process ends.
pub(super) async fn metrics(listener: TcpListener, metrics: Arc<Metrics>) -> std::io::Result<()> {
    let page = move || {
        let page = metrics.text();
        async move { ([(header::CONTENT_TYPE, metrics::CONTENT_TYPE)], page) }
    };
    axum::serve(listener, Router::new().route("/metrics", get(page))).await
}

/// Serves health until the process ends. Alive is whose plugins can be stopped; ready, who has seen everything there is, and
/// can be asked at admission.
pub(super) async fn health(
    listener: TcpListener,
    engine: Engine,
    ready: Receiver<bool>,
    admits: Receiver<bool>,
) -> std::io::Result<()> {
    let readyz = move || match (*admits.borrow(), *ready.borrow()) {
        (true, true) => Ok(()),
        (true, false) => Err("the watches have not begun"),
        (false, _) => Err("certificates are not ready"), // v1's words
    };
    let healthz =
        move || if engine.is_ticking() { Ok(()) } else { Err("the clock that ends calls of plugins has stopped") };
    let router = Router::new().merge(check("healthz", healthz)).merge(check("readyz", readyz));
    axum::serve(listener, router).await
}

/// `/NAME`, with `?verbose` as a list, and `/NAME/NAME` for its only check, as controller-runtime answers.
fn check(name: &'static str, ask: impl Fn() -> Result<(), &'static str> + Clone + Send + Sync + 'static) -> Router {
    let one = ask.clone();
    let one = move || {
        std::future::ready(match one() {
            Ok(()) => (StatusCode::OK, "ok".to_owned()),
            Err(why) => (StatusCode::INTERNAL_SERVER_ERROR, format!("internal server error: {why}\n")),
        })
    };
    let all = move |RawQuery(query): RawQuery| {
        let is_verbose = query.unwrap_or_default().split('&').any(|each| each.split('=').next() == Some("verbose"));
        std::future::ready(match ask() {
            Ok(()) if is_verbose => (StatusCode::OK, format!("[+]{name} ok\n{name} check passed\n")),
            Ok(()) => (StatusCode::OK, "ok".to_owned()),
            Err(why) => (StatusCode::INTERNAL_SERVER_ERROR, format!("[-]{name} failed: {why}\n{name} check failed\n")),
        })
    };
    Router::new().route(&format!("/{name}"), get(all)).route(&format!("/{name}/{name}"), get(one))
}
