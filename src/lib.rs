//! breakglass

pub mod ids;
pub mod protocol;
