//! The doors: who gets in, as what, from where, how often, and what is kept of it. Through the public door, as others see it.

mod cage;
mod claims;
mod corpus;
mod credentials;
mod dependencies;
mod doctor;
mod files;
mod floors;
mod limits;
mod masks;
mod names;
mod outside;
mod proxy;
mod record;
mod roles;
mod tls;
