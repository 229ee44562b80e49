//! Frames through the driver: what comes from above goes down, what comes from below goes to the provider or up.

pub mod classify;
pub mod frames;
mod pieces;
pub mod receive;
pub mod send;
