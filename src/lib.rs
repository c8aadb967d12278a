//! breakglass

pub mod access;
pub mod agent;
pub mod auth;
pub mod cli;
pub mod clock;
pub mod config;
pub mod db;
pub mod drill;
pub mod frames;
pub mod http;
pub mod hub;
pub mod ids;
pub mod log;
pub mod mask;
pub mod protocol;
pub mod session;
pub mod tasks;
pub mod turn;
pub mod wire_error;
pub mod ws;

/// The program and its version, as `hello` says it.
pub const SERVER: &str = concat!("breakglass ", env!("CARGO_PKG_VERSION"));
