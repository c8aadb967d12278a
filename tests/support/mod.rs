//! What the tests stand on: starting the gateway, watching it as people do, and playing its agents and its API.
//!
//! Invariant: every wait has a deadline that fails with what was seen so far, and whatever a test starts ends with it.
//! None of it uses the gateway's own types: the wire is checked as text.

pub(crate) mod agent;
pub(crate) mod claude;
pub(crate) mod gateway;
pub(crate) mod http;
pub(crate) mod mock_api;
pub(crate) mod mock_script;
pub(crate) mod model;
pub(crate) mod process;
pub(crate) mod scene;
pub(crate) mod viewer;
pub(crate) mod wait;
