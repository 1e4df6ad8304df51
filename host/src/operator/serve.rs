//! `/metrics`, `/healthz` and `/readyz`, where v1 serves them.

use std::sync::Arc;

use anyhow::Context as _;
use axum::Router;
use axum::http::{StatusCode, header};
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::sync::watch::Receiver;
use tracing::info;

use super::metrics::Metrics;
use crate::cli::Listen;

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
        async move { ([(header::CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")], page) }
    };
    axum::serve(listener, Router::new().route("/metrics", get(page))).await
}

/// Serves health until the process ends. Ready is who has seen everything there is, and can be asked at admission.
pub(super) async fn health(
    listener: TcpListener,
    ready: Receiver<bool>,
    admits: Receiver<bool>,
) -> std::io::Result<()> {
    let readyz = move || {
        let answer = match (*admits.borrow(), *ready.borrow()) {
            (true, true) => (StatusCode::OK, "ok"),
            (true, false) => (StatusCode::SERVICE_UNAVAILABLE, "the watches have not begun"),
            (false, _) => (StatusCode::SERVICE_UNAVAILABLE, "certificates are not ready"), // v1's words
        };
        async move { answer }
    };
    let router = Router::new()
        .route("/healthz", get(|| async { "ok" }))
        .route("/healthz/{check}", get(|| async { "ok" }))
        .route("/readyz", get(readyz.clone()))
        .route("/readyz/{check}", get(readyz));
    axum::serve(listener, router).await
}
