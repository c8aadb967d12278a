//! breakglass

pub mod agent;
pub mod drill;
pub mod ids;
pub mod protocol;
