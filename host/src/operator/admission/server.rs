//! TLS and HTTP for reviews. The certificate of a connection is the one that is shown when it begins.

use std::fmt;
use std::net::{Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch as flag;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::server::{ClientHello, ResolvesServerCert};
use tokio_rustls::rustls::sign::CertifiedKey;
use tracing::{debug, warn};

use super::certificate::{Certificate, PROVIDER};
use crate::cli::Listen;
use crate::operator::serve;

/// How long a client may take to say hello.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// How long a connection may be idle: longer than an API server keeps one, so that it is never us who end it.
const IDLE: Duration = Duration::from_mins(2);
/// How long reviews go on after SIGTERM: as long as the cluster's nodes take to forget this pod.
const LINGER: Duration = Duration::from_secs(2);
/// Before the next connection is accepted when there is no room for one.
const NO_ROOM: Duration = Duration::from_secs(1);

/// The certificate that is shown now.
#[derive(Clone)]
struct Shown(flag::Receiver<Option<Arc<Certificate>>>);

/// Serves as soon as there is a certificate, until a while after `stopped`; then what is under way comes to its end.
pub(super) async fn serve(
    port: u16,
    mut shown: flag::Receiver<Option<Arc<Certificate>>>,
    router: Router,
    mut stopped: flag::Receiver<bool>,
) -> anyhow::Result<()> {
    tokio::select! {
        _ = shown.wait_for(Option::is_some) => {}
        _ = stopped.wait_for(|stopped| *stopped) => return Ok(()),
    }
    let address = SocketAddr::from((Ipv6Addr::UNSPECIFIED, port));
    let listener = serve::listen(Listen(Some(address)), "admission").await?.context("no address to listen on")?;
    let acceptor = acceptor(Shown(shown))?;
    let connections = GracefulShutdown::new();
    let over = async {
        drop(stopped.wait_for(|stopped| *stopped).await);
        sleep(LINGER).await;
    };
    let mut over = std::pin::pin!(over);
    loop {
        let stream = tokio::select! {
            stream = accept(&listener) => stream,
            () = &mut over => break,
        };
        tokio::spawn(converse(stream, acceptor.clone(), router.clone(), connections.watcher()));
    }
    connections.shutdown().await;
    Ok(())
}

fn acceptor(shown: Shown) -> anyhow::Result<TlsAcceptor> {
    let config = ServerConfig::builder_with_provider(PROVIDER.clone()).with_safe_default_protocol_versions()?;
    Ok(TlsAcceptor::from(Arc::new(config.with_no_client_auth().with_cert_resolver(Arc::new(shown)))))
}

async fn accept(listener: &TcpListener) -> TcpStream {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return stream,
            Err(error) => {
                warn!(%error, "a connection for admission was not accepted");
                sleep(NO_ROOM).await;
            }
        }
    }
}

async fn converse(stream: TcpStream, acceptor: TlsAcceptor, router: Router, watcher: Watcher) {
    let stream = match timeout(HANDSHAKE, acceptor.accept(stream)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return debug!(%error, "a client of admission ended the TLS handshake"),
        Err(_) => return debug!("a client of admission did not say hello"),
    };
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(IDLE);
    let connection = http.serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    if let Err(error) = watcher.watch(connection).await {
        debug!(%error, "a connection for admission broke");
    }
}

impl fmt::Debug for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Shown")
    }
}

impl ResolvesServerCert for Shown {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.0.borrow().as_ref().map(|certificate| certificate.key.clone())
    }
}
