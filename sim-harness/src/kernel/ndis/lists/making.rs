//! The memory of lists: blocks of the machine's pool under a tag of NDIS's own, so that guard pages and the pattern of freed
//! memory catch who runs over them or uses them late.

use super::{Buffer, Holder, Kind, Nbl, Record};
use crate::kernel::Machine;
use crate::kernel::nt::mdl;
use crate::kernel::nt::pool::NDIS_TAG;
use ndk_types::{MDL, MDL_SOURCE_IS_NONPAGED_POOL, NET_BUFFER, NET_BUFFER_LIST};
use std::ffi::c_void;
use std::ptr;

/// Entries of NetBufferListInfo of the oldest NDIS that the driver runs on (NDIS 6.83, build 19041): what lies behind is not
/// the driver's.
pub(super) const INFO: usize = 26;
/// What lies behind.
const END: usize = 0xb5b5_b5b5_b5b5_b5b5;

/// A block of the pool.
#[derive(Debug)]
pub(super) struct Block(pub(super) *mut u8);

// SAFETY: an address of the machine's memory, freed once, by whoever takes it out of the table.
unsafe impl Send for Block {}

impl Block {
    /// Zeroed.
    pub(super) fn new(machine: &Machine, bytes: usize) -> Option<Self> {
        machine.nt.pool.allocate(&machine.nt.memory, bytes, NDIS_TAG, true).map(Self)
    }

    pub(super) fn free(self, machine: &Machine) {
        if let Err(bad) = machine.nt.pool.free(&machine.nt.memory, self.0, 0) {
            machine.violation("pool", format!("NDIS's block {:#x}: {bad:?}", self.0.addr()));
        }
    }
}

/// The end of a list's information is as it was, or a violation.
pub(super) fn check_end(machine: &Machine, nbl: Nbl, call: &str) {
    // SAFETY: the caller has the list.
    let end = unsafe { (*nbl.0).NetBufferListInfo[INFO] };
    if end.addr() != END {
        let text = format!("{call}: list {:#x}: NetBufferListInfo was written past entry {INFO}", nbl.address());
        machine.violation("nbl", text);
    }
}

/// An MDL in a block: it describes nonpaged memory of the machine.
pub(super) fn new_mdl(machine: &Machine, address: *mut c_void, bytes: usize) -> Option<(Block, *mut MDL)> {
    let pages = mdl::pages_spanned(address.addr(), bytes);
    let block = Block::new(machine, size_of::<MDL>() + 8 * pages)?;
    let at = block.0.cast::<MDL>();
    let offset = address.addr() % crate::kernel::nt::memory::PAGE;
    let head = MDL {
        Next: ptr::null_mut(),
        Size: i16::try_from(size_of::<MDL>() + 8 * pages).unwrap_or(i16::MAX),
        MdlFlags: MDL_SOURCE_IS_NONPAGED_POOL,
        Process: ptr::null_mut(),
        MappedSystemVa: address,
        StartVa: address.map_addr(|at| at - offset),
        ByteCount: u32::try_from(bytes).ok()?,
        ByteOffset: offset as u32,
    };
    // SAFETY: just allocated, with room for it.
    unsafe { at.write(head) };
    if !mdl::describe(machine, at.cast(), address.addr()) {
        block.free(machine);
        return None;
    }
    Some((block, at))
}

/// A list on its way; dropped before it is done, it leaves nothing behind.
pub(super) struct Making<'a> {
    machine: &'a Machine,
    /// The list.
    pub(super) nbl: Nbl,
    blocks: Vec<Block>,
    buffers: Vec<(*mut NET_BUFFER, usize)>,
    /// Room for a NET_BUFFER in the list's own block.
    room: Option<*mut NET_BUFFER>,
}

impl<'a> Making<'a> {
    /// An empty list, with a NET_BUFFER preallocated or not.
    pub(super) fn new(machine: &'a Machine, pool: usize, preallocated: bool) -> Option<Self> {
        let size = size_of::<NET_BUFFER_LIST>() + if preallocated { size_of::<NET_BUFFER>() } else { 0 };
        let block = Block::new(machine, size)?;
        let list = block.0.cast::<NET_BUFFER_LIST>();
        // SAFETY: just allocated, with room for it.
        unsafe { (*list).NdisPoolHandle = ptr::without_provenance_mut(pool) };
        // SAFETY: as above.
        unsafe { (*list).NetBufferListInfo[INFO] = ptr::without_provenance_mut(END) };
        let room = preallocated.then(|| list.wrapping_add(1).cast());
        Some(Self { machine, nbl: Nbl(list), blocks: vec![block], buffers: Vec::new(), room })
    }

    /// A block that goes with the list.
    pub(super) fn block(&mut self, bytes: usize) -> Option<*mut u8> {
        let block = Block::new(self.machine, bytes)?;
        let at = block.0;
        self.blocks.push(block);
        Some(at)
    }

    /// An MDL that goes with the list.
    pub(super) fn mdl(&mut self, address: *mut c_void, bytes: usize) -> Option<*mut MDL> {
        let (block, mdl) = new_mdl(self.machine, address, bytes)?;
        self.blocks.push(block);
        Some(mdl)
    }

    /// A NET_BUFFER at the end of the list; the caller fills in what it describes.
    pub(super) fn net_buffer(&mut self, pool: usize) -> Option<*mut NET_BUFFER> {
        let buffer = match self.room.take() {
            Some(room) => room,
            None => self.block(size_of::<NET_BUFFER>())?.cast(),
        };
        // SAFETY: a fresh NET_BUFFER, with room for it.
        unsafe { (*buffer).NdisPoolHandle = ptr::without_provenance_mut(pool) };
        match self.buffers.last() {
            // SAFETY: a NET_BUFFER of this list.
            Some(&(last, _)) => unsafe { (*last).Next = buffer },
            // SAFETY: the list is ours.
            None => unsafe { (*self.nbl.0).FirstNetBuffer = buffer },
        }
        self.buffers.push((buffer, pool));
        Some(buffer)
    }

    /// Puts the list into the table.
    pub(super) fn done(mut self, kind: Kind, maker: Holder) -> Nbl {
        let mut state = self.machine.ndis.lists.state();
        let buffers: Vec<_> = self.buffers.iter().map(|(buffer, _)| buffer.addr()).collect();
        for &(buffer, pool) in &self.buffers {
            state.buffers.insert(buffer.addr(), Buffer { list: self.nbl.address(), pool, retreated: Vec::new() });
        }
        let blocks = std::mem::take(&mut self.blocks);
        let (lent, given, in_flight) = (None, None, Vec::new());
        let record = Record { kind, maker, holder: maker, lent, clones: 0, given, in_flight, buffers, blocks };
        state.records.insert(self.nbl.address(), record);
        self.nbl
    }
}

impl Drop for Making<'_> {
    fn drop(&mut self) {
        for block in self.blocks.drain(..) {
            block.free(self.machine);
        }
    }
}

impl Record {
    /// Frees the memory of a list that is out of the table.
    pub(super) fn free(self, machine: &Machine) {
        for block in self.blocks {
            block.free(machine);
        }
    }
}
