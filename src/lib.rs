//! breakglass

pub mod agent;
pub mod ids;
pub mod protocol;
