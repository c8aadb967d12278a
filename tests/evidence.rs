//! Histories that can be proved: what is signed, what is refused, and what both verifiers say of every kind of tampering.

mod agree;
mod anchors;
mod bundle;
mod exports;
mod history;
mod provenance;
mod raw;
mod redaction;
mod removal;
mod signing;
mod tamper;

pub(crate) use history::both;
