//! Held frames: received frames that cannot be used yet, kept in memory that was there before (T-05).
//!
//! A frame is held when its queue pair's lane is busy elsewhere, when it came out of order from a peer that repairs
//! selectively, or when the responder waits (for pins to drain, for a receive). The pool is one per port and bounded; each
//! queue pair has a cap of its own. What does not fit is dropped and counted, and the transport's retransmission brings
//! it again.

use crate::lock::SpinLock;
use crate::shared::Shared;
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::mem::ManuallyDrop;
use core::ops::Deref;

/// Bytes of the largest frame that is held: path MTU 4096 with every header, a VLAN tag and the ICRC.
pub const HELD_FRAME_SIZE: usize = 4096 + 128;

type Buffer = Box<[u8]>;

/// The buffers of one port.
pub struct HeldPool {
    free: SpinLock<Vec<Buffer>>,
}

impl HeldPool {
    /// `count` buffers; `None` without memory.
    pub fn try_new(count: u32) -> Option<Self> {
        let mut free = Vec::new();
        free.try_reserve_exact(count as usize).ok()?;
        for _ in 0..count {
            if free.len() == free.capacity() {
                return None;
            }
            let mut buffer = Vec::new();
            buffer.try_reserve_exact(HELD_FRAME_SIZE).ok()?;
            buffer.resize(HELD_FRAME_SIZE, 0u8);
            // The capacity is exact or the allocator's choice; shrinking a Vec of zero slack does not allocate.
            free.push(buffer.into_boxed_slice());
        }
        Some(Self { free: SpinLock::new(free) })
    }

    /// Copies `frame` into a free buffer. `None`: the pool is used up, or the frame is larger than any that is valid.
    pub fn hold(this: &Shared<Self>, frame: &[u8]) -> Option<Held> {
        if frame.len() > HELD_FRAME_SIZE {
            return None;
        }
        let mut buffer = this.free.with(Vec::pop)?;
        if let Some(start) = buffer.get_mut(..frame.len()) {
            start.copy_from_slice(frame);
        }
        Some(Held { pool: this.clone(), buffer: ManuallyDrop::new(buffer), len: frame.len() })
    }

    /// How many buffers are free.
    pub fn free_count(&self) -> usize {
        self.free.with(|free| free.len())
    }
}

/// One held frame; its buffer goes back to the pool when it is dropped.
pub struct Held {
    pool: Shared<HeldPool>,
    buffer: ManuallyDrop<Buffer>,
    len: usize,
}

impl Deref for Held {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.buffer.get(..self.len).unwrap_or(&[])
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // SAFETY: the buffer is taken once, here, and `self` is not used again.
        let buffer = unsafe { ManuallyDrop::take(&mut self.buffer) };
        self.pool.free.with(|free| {
            // There is room, since it came from there; said where `push` can see it, so that it has no reason to grow.
            if free.len() < free.capacity() {
                free.push(buffer);
            }
        });
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    /// T-05
    #[test]
    fn a_used_up_pool_refuses_and_a_dropped_frame_comes_back() {
        let pool = Shared::try_new(HeldPool::try_new(2).unwrap()).unwrap();
        let first = HeldPool::hold(&pool, b"one").unwrap();
        let second = HeldPool::hold(&pool, b"two").unwrap();
        assert_eq!((&*first, &*second), (&b"one"[..], &b"two"[..]));
        assert!(HeldPool::hold(&pool, b"three").is_none());
        drop(first);
        assert_eq!(&*HeldPool::hold(&pool, b"three").unwrap(), b"three");
    }

    #[test]
    fn a_frame_larger_than_any_valid_one_is_refused() {
        let pool = Shared::try_new(HeldPool::try_new(1).unwrap()).unwrap();
        assert!(HeldPool::hold(&pool, &[0; HELD_FRAME_SIZE + 1]).is_none());
        assert_eq!(pool.free_count(), 1);
    }
}
