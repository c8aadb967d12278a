//! The doors: who gets in, as what, from where, how often, and what is kept of it. Through the public door, as others see it.

mod credentials;
mod limits;
mod names;
mod proxy;
mod record;
mod roles;
mod tls;
