//! breakglass

pub mod agent;
pub mod clock;
pub mod db;
pub mod frames;
pub mod hub;
pub mod ids;
pub mod log;
pub mod protocol;
pub mod turn;
