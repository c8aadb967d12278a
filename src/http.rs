//! The HTTP door: accept loop, routes, the page, and the upgrade to WebSocket.
//!
//! Invariant: every route but `/healthz`, `/readyz`, the two that sign in and the page's own files asks for a credential; every request
//! is checked for `Host`, every unsafe one and every upgrade for `Origin`; errors have one shape, and their status codes
//! stand in `error.rs` alone. Knows nothing of how sessions or turns work.

mod accept;
mod access;
mod api;
mod assets;
mod body;
mod credentials;
mod doors;
mod error;
mod events;
mod export;
mod health;
mod places;
mod socket;
mod stream;
mod tls;
mod transcript;

use std::sync::Arc;

use axum::Router;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::{get, patch, post};
use tower_http::compression::CompressionLayer;

pub use accept::{HEAD_BYTES_MAX, HEAD_TIMEOUT, Serving, serve};
pub use body::{BODY_BYTES_MAX, BODY_TIMEOUT};
pub use doors::Doors;
pub use tls::{Tls, TlsError};

use crate::presets::Preset;
use crate::tasks::Tasks;
use crate::ws::Door;

/// What handlers need.
#[derive(Clone)]
pub struct App {
    /// What connections need.
    pub door: Door,
    /// Who may ask from where.
    pub doors: Arc<Doors>,
    /// Where tasks are started.
    pub tasks: Tasks,
    /// Prompts to begin with.
    pub presets: Arc<[Preset]>,
}

/// All routes.
pub fn router(app: App) -> Router {
    let api = Router::new()
        .route("/login", post(api::login))
        .route("/logout", post(api::logout))
        .route("/me", get(api::me))
        .route("/access", get(access::page))
        .route("/presets", get(api::presets))
        .route("/sessions", get(api::list).post(api::create))
        .route("/sessions/{id}", get(api::session).merge(patch(api::rename)))
        .route("/sessions/{id}/events", get(events::page))
        .route("/sessions/{id}/prompts", post(api::prompt))
        .route("/sessions/{id}/cancel", post(api::cancel))
        .route("/sessions/{id}/export", get(export::export))
        .layer(CompressionLayer::new())
        .fallback(api::nothing)
        // Not compressed: an event must not wait in a compressor.
        .route("/sessions/{id}/stream", get(stream::stream));
    Router::new()
        .nest("/api", api)
        .route("/ws", get(socket::upgrade))
        .route("/sessions/{id}", get(transcript::transcript))
        .route("/sessions/style.css", get(transcript::style))
        .route("/sign-in", post(transcript::signed_in))
        .route("/metrics", get(health::metrics))
        .fallback(assets::serve)
        .method_not_allowed_fallback(error::method_not_allowed)
        .layer(from_fn_with_state(app.clone(), doors::check))
        .route("/healthz", get(health::alive))
        .route("/readyz", get(health::ready))
        .layer(from_fn(doors::headers))
        .with_state(app)
}
