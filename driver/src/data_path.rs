//! Frames through the driver: what comes from above goes down, what comes from below goes to the provider or up.

pub mod frames;
pub mod receive;
pub mod send;
