//! The bytes of tamper evidence: leaves, trees, signed notes. Pure; `docs/evidence.md` is the contract.
//!
//! Invariant: what is computed here is what two independent verifiers compute (`breakglass verify`, `docs/verify.py`), and
//! what other people's tools for RFC 6962 trees and C2SP notes accept. Knows neither SQLite nor files nor clocks.

pub mod checkpoint;
pub mod inclusion;
pub mod leaf;
pub mod note;
pub mod removal;
pub mod tree;

#[cfg(test)]
mod tests;
