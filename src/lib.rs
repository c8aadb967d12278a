//! breakglass

pub mod ids;
pub mod protocol;
pub mod turn;
