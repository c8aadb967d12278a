//! The terminal client: its commands, run as people run them, against a real gateway.

mod attach;
mod errors;
mod export;
mod prompt;
mod proxy;
mod sessions;
mod terminal;
