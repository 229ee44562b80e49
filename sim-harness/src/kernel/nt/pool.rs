//! The pool: every block in pages of its own, at their end, so that running over it faults; filled with a pattern before and
//! after it; with its tag and what it was for, until it is freed. Freed blocks stay closed for a while.

use super::memory::{PAGE, PhysicalMemory};
use std::collections::{BTreeMap, VecDeque};
use std::ptr;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What lies in front of a block, and what a new block that is not to be zeroed holds.
const PATTERN: u8 = 0xb5;
/// Freed blocks that are kept from use.
const QUARANTINE: usize = 256;
/// The alignment of blocks below a page.
const ALIGNMENT: usize = 16;

/// The tag of what NDIS allocates for itself: it has its own list of what a driver left behind.
pub const NDIS_TAG: u32 = u32::from_le_bytes(*b"NDnb");

/// A block.
#[derive(Clone, Copy, Debug)]
pub struct Block {
    /// Its four letters.
    pub tag: u32,
    /// Its size.
    pub bytes: usize,
    base: *mut u8,
}

/// The tag as text.
pub fn tag_text(tag: u32) -> String {
    String::from_utf8_lossy(&tag.to_le_bytes()).into_owned()
}

/// What is wrong with a free.
#[derive(Debug, PartialEq, Eq)]
pub enum BadFree {
    /// No block starts here.
    Unknown,
    /// It was freed already.
    Twice,
    /// Another tag than it was allocated with.
    Tag {
        /// The block's.
        allocated: u32,
    },
    /// Bytes in front of it were written.
    Underrun,
    /// Bytes behind it, before its page ends, were written.
    Overrun,
}

#[derive(Debug, Default)]
struct Blocks {
    live: BTreeMap<usize, Block>,
    freed: VecDeque<(usize, Block)>,
    count: u64,
    fail_at: Option<u64>,
    failures: u64,
    frees: u64,
    forget_at: Option<u64>,
    history: Option<Vec<(u32, usize)>>,
}

/// The pool of one machine.
#[derive(Debug, Default)]
pub struct Pool(Mutex<Blocks>);

// SAFETY: the pointers are addresses of the machine's memory; the list is behind a lock.
unsafe impl Send for Pool {}
// SAFETY: as above.
unsafe impl Sync for Pool {}

impl Pool {
    fn blocks(&self) -> MutexGuard<'_, Blocks> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next allocation but `after` fails, once.
    pub fn fail_after(&self, after: u64) {
        let mut blocks = self.blocks();
        blocks.fail_at = Some(blocks.count + after);
    }

    /// Allocations that were made to fail so far.
    pub fn failures(&self) -> u64 {
        self.blocks().failures
    }

    /// The next free but `after` is not done, once: a leak as of a driver that forgets it.
    pub fn forget_after(&self, after: u64) {
        let mut blocks = self.blocks();
        blocks.forget_at = Some(blocks.frees + after);
    }

    /// From now on it is written down what is asked for.
    pub fn record(&self) {
        self.blocks().history = Some(Vec::new());
    }

    /// Tag and size of every allocation since [`Self::record`], in order.
    pub fn history(&self) -> Vec<(u32, usize)> {
        self.blocks().history.clone().unwrap_or_default()
    }

    /// Allocations asked for so far.
    pub fn allocations(&self) -> u64 {
        self.blocks().count
    }

    /// A block; `None` without memory.
    pub fn allocate(&self, memory: &PhysicalMemory, bytes: usize, tag: u32, zero: bool) -> Option<*mut u8> {
        let mut blocks = self.blocks();
        let number = blocks.count;
        blocks.count += 1;
        if let Some(history) = &mut blocks.history {
            history.push((tag, bytes));
        }
        if blocks.fail_at == Some(number) {
            blocks.fail_at = None;
            blocks.failures += 1;
            return None;
        }
        let size = bytes.max(1).next_multiple_of(ALIGNMENT);
        let base = memory.allocate(size)?;
        // Blocks of a page or more start on a page, as the real pool's do; smaller ones end on one.
        let offset = if bytes >= PAGE { 0 } else { size.next_multiple_of(PAGE) - size };
        if !zero || offset > 0 {
            // SAFETY: the range was just allocated.
            unsafe { ptr::write_bytes(base, PATTERN, size.next_multiple_of(PAGE)) };
        }
        let at = base.wrapping_add(offset);
        if zero && offset > 0 {
            // SAFETY: inside the range just allocated.
            unsafe { ptr::write_bytes(at, 0, bytes) };
        }
        blocks.live.insert(at.addr(), Block { tag, bytes, base });
        Some(at)
    }

    /// Frees a block; `tag` 0 is any.
    pub fn free(&self, memory: &PhysicalMemory, at: *mut u8, tag: u32) -> Result<(), BadFree> {
        let mut blocks = self.blocks();
        let number = blocks.frees;
        blocks.frees += 1;
        if blocks.forget_at == Some(number) {
            blocks.forget_at = None;
            return Ok(());
        }
        let Some(block) = blocks.live.remove(&at.addr()) else {
            let twice = blocks.freed.iter().any(|(address, _)| *address == at.addr());
            return Err(if twice { BadFree::Twice } else { BadFree::Unknown });
        };
        let result = check(at, &block, tag);
        // SAFETY: the block's own bytes.
        unsafe { ptr::write_bytes(at, PATTERN ^ 0xff, block.bytes) };
        blocks.freed.push_back((at.addr(), block));
        if blocks.freed.len() > QUARANTINE
            && let Some((_, oldest)) = blocks.freed.pop_front()
        {
            memory.release(oldest.base);
        }
        result
    }

    /// Whether all of a range lies in one block that is allocated.
    pub fn holds(&self, address: usize, bytes: usize) -> bool {
        let blocks = self.blocks();
        let below = blocks.live.range(..=address).next_back();
        below.is_some_and(|(&at, block)| address.saturating_add(bytes) <= at + block.bytes)
    }

    /// How long the block at an address is.
    pub fn size_of(&self, at: usize) -> Option<usize> {
        self.blocks().live.get(&at).map(|block| block.bytes)
    }

    /// What is allocated, by address.
    pub fn live(&self) -> Vec<(usize, Block)> {
        self.blocks().live.iter().map(|(&at, &block)| (at, block)).collect()
    }
}

fn check(at: *mut u8, block: &Block, tag: u32) -> Result<(), BadFree> {
    let front = at.addr() - block.base.addr();
    // SAFETY: from the range's start to the block: allocated with it.
    let before = unsafe { std::slice::from_raw_parts(block.base, front) };
    if before.iter().any(|&byte| byte != PATTERN) {
        return Err(BadFree::Underrun);
    }
    if front > 0 {
        let slack = block.bytes.max(1).next_multiple_of(ALIGNMENT) - block.bytes;
        // SAFETY: the bytes between the block's end and its page's end.
        let behind = unsafe { std::slice::from_raw_parts(at.wrapping_add(block.bytes), slack) };
        if behind.iter().any(|&byte| byte != PATTERN) {
            return Err(BadFree::Overrun);
        }
    }
    if tag != 0 && tag != block.tag { Err(BadFree::Tag { allocated: block.tag }) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_misuse_of_a_block_is_told_apart() {
        let (memory, pool) = (PhysicalMemory::new(1 << 22), Pool::default());
        let block = |zero| pool.allocate(&memory, 100, 1, zero).unwrap();
        let good = block(true);
        assert_eq!((pool.free(&memory, good, 1), pool.free(&memory, good, 1)), (Ok(()), Err(BadFree::Twice)));
        assert_eq!(pool.free(&memory, good.wrapping_add(16), 1), Err(BadFree::Unknown));
        assert_eq!(pool.free(&memory, block(false), 2), Err(BadFree::Tag { allocated: 1 }));
        let over = block(true);
        // SAFETY: the slack behind the block is still its page.
        unsafe { over.wrapping_add(100).write(1) };
        assert_eq!(pool.free(&memory, over, 0), Err(BadFree::Overrun));
        let under = block(true);
        // SAFETY: the bytes in front of the block are its page's.
        unsafe { under.wrapping_sub(1).write(1) };
        assert_eq!(pool.free(&memory, under, 0), Err(BadFree::Underrun));
        pool.fail_after(1);
        assert!(pool.allocate(&memory, 1, 1, true).is_some() && pool.allocate(&memory, 1, 1, true).is_none());
        assert_eq!(pool.failures(), 1);
        assert_eq!((pool.live().len(), tag_text(u32::from_le_bytes(*b"Sndk")).as_str()), (1, "Sndk"));
    }

    #[test]
    fn a_free_can_be_forgotten_and_what_is_asked_for_written_down() {
        let (memory, pool) = (PhysicalMemory::new(1 << 22), Pool::default());
        pool.record();
        let all = [7, 8].map(|bytes| pool.allocate(&memory, bytes, 1, true).unwrap());
        pool.forget_after(1);
        assert_eq!(all.map(|at| pool.free(&memory, at, 1)), [Ok(()), Ok(())]);
        assert_eq!((pool.history(), pool.live().len()), (vec![(1, 7), (1, 8)], 1));
        assert_eq!((pool.free(&memory, all[1], 1), pool.live().len()), (Ok(()), 0));
    }
}
