//! The way out: frames that exist before the state that needs them changes.
//!
//! *First the frame, then the state* (DESIGN section 3): a role asks for a frame of the size it needs, fills it, and
//! only when that succeeded advances. No frame, no change; so there is nothing to roll back.

/// Frames for one queue pair, lent to one turn. Frames leave in the order they were filled (T-01).
pub trait Outbox {
    /// Lends a frame of exactly `len` bytes to `fill`. `None`: no frame can be had now, and `fill` was not called; the
    /// platform side kicks the queue pair when frames are back. `Some(Err(_))`: `fill` refused, the frame was given
    /// back and nothing leaves.
    fn frame<E>(&mut self, len: usize, fill: impl FnOnce(&mut [u8]) -> Result<(), E>) -> Option<Result<(), E>>;
}
