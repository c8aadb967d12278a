//! The accept loop: bounded, tracked, and not to be stopped by a bad moment.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tower::ServiceExt;

use super::error::full;
use super::places::{Full, Place, Places};
use super::tls::Tls;
use crate::config::DoorLimits;
use crate::tasks::Tasks;

/// A client has so long to send a request's head; also how long an idle connection is kept.
pub const HEAD_TIMEOUT: Duration = Duration::from_secs(15);
/// The longest head of a request, bytes.
pub const HEAD_BYTES_MAX: usize = 32 << 10;
/// A client has so long for the TLS handshake.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// After an accept that failed (out of file descriptors, mostly) others get a moment to give some back.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Refusals that are said at the same time; beyond it connections are closed without a word.
const REFUSALS_MAX: usize = 64;
/// A client has so long to hear a refusal.
const REFUSAL_TIMEOUT: Duration = Duration::from_secs(1);

/// What serving needs.
pub struct Serving {
    /// Where.
    pub listener: TcpListener,
    /// TLS, if it is spoken.
    pub tls: Option<Arc<Tls>>,
    /// How many.
    pub limits: DoorLimits,
    /// What.
    pub router: Router,
    /// Where tasks are started.
    pub tasks: Tasks,
}

/// Serves until the gateway stops.
pub async fn serve(serving: Serving) {
    let Serving { listener, tls, limits, router, tasks } = serving;
    let places = Arc::new(Places::new(limits));
    let refusals = Arc::new(Semaphore::new(REFUSALS_MAX));
    let stopping = tasks.stopping().clone();
    let mut failures: u64 = 0;
    while let Some(accepted) = stopping.run_until_cancelled(listener.accept()).await {
        let (socket, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                if failures == 0 {
                    tracing::warn!(%error, "connections cannot be accepted; trying on");
                }
                failures += 1;
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        if failures > 0 {
            tracing::info!(failures, "connections are accepted again");
            failures = 0;
        }
        match places.enter(peer) {
            Ok(place) => tasks.spawn(serve_one(socket, tls.clone(), router.clone(), tasks.clone(), place)),
            Err(error) => {
                tracing::debug!(%error, %peer, "a connection is refused");
                // Who speaks TLS would not understand a plain word.
                let Ok(permit) = Arc::clone(&refusals).try_acquire_owned() else { continue };
                if tls.is_none() {
                    tasks.spawn_until_stop(async move {
                        let _gone = tokio::time::timeout(REFUSAL_TIMEOUT, refuse(socket, error)).await;
                        drop(permit);
                    });
                }
            }
        }
    }
}

/// Says why, and waits for the client to hear it: closing at once could destroy the answer on its way.
async fn refuse(mut socket: TcpStream, error: Full) -> std::io::Result<()> {
    socket.write_all(full(error).as_bytes()).await?;
    socket.shutdown().await?;
    let mut heard = [0; 1024];
    while socket.read(&mut heard).await? > 0 {}
    Ok(())
}

async fn serve_one(socket: TcpStream, tls: Option<Arc<Tls>>, router: Router, tasks: Tasks, place: Arc<Place>) {
    if let Err(error) = socket.set_nodelay(true) {
        tracing::debug!(%error, "a client went at once");
        return;
    }
    let Some(tls) = tls else { return serve_http(socket, router, tasks, place).await };
    let handshake = tokio::time::timeout(HANDSHAKE_TIMEOUT, tls.acceptor().accept(socket));
    match tasks.stopping().run_until_cancelled(handshake).await {
        Some(Ok(Ok(socket))) => serve_http(socket, router, tasks.clone(), place).await,
        Some(Ok(Err(error))) => tracing::debug!(%error, "a TLS handshake failed"),
        Some(Err(_)) => tracing::debug!("a TLS handshake took too long"),
        None => {}
    }
}

async fn serve_http<S>(socket: S, router: Router, tasks: Tasks, place: Arc<Place>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(Arc::clone(&place));
        router.clone().oneshot(request)
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(socket), service)
        .with_upgrades();
    tokio::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = tasks.stopping().cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended badly");
    }
}
