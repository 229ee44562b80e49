//! NET_BUFFER_LISTs: pools, clones, and who holds which.
//!
//! Every list, NET_BUFFER and MDL of NDIS lies in the machine's pool and is noted here with who made it and who holds it. What
//! is passed on, freed or given back against the pages is a violation and does not happen, so that nothing simulated touches
//! memory that is gone.

mod clones;
mod data;
mod making;
mod mdls;
mod native;
mod passing;
mod pools;
#[cfg(test)]
pub(super) mod tests;

use crate::kernel::Machine;
use crate::kernel::export::Export;
use making::Block;
use ndk_types::{MDL, NET_BUFFER, NET_BUFFER_LIST};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A NET_BUFFER_LIST's address, to be passed around.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Nbl(pub *mut NET_BUFFER_LIST);

// SAFETY: an address; who may follow it is what `Lists` watches.
unsafe impl Send for Nbl {}
// SAFETY: as above.
unsafe impl Sync for Nbl {}

impl Nbl {
    fn address(self) -> usize {
        self.0.addr()
    }
}

/// Who may touch a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holder {
    /// The driver under test.
    Driver,
    /// The simulated NIC.
    Nic,
    /// The simulated protocol above the virtual miniport.
    Above,
}

/// How a list came to be, and so how it goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// NdisAllocateNetBufferList, NdisAllocateNetBufferAndNetBufferList.
    Plain { pool: usize },
    /// NdisAllocateCloneNetBufferList; `pool` 0 is NDIS's own. `copied`: which way the information was copied for.
    Clone { pool: usize, flags: u32, parent: usize, copied: Option<Holder> },
    /// A simulated driver's own.
    Native,
}

/// What a NET_BUFFER describes, which whoever is lent it or given it must leave or restore.
type Shape = Vec<(usize, usize, u32, u32)>;

/// A list that is lent for the length of an indication.
#[derive(Debug)]
struct Lent {
    to: Holder,
    /// The link it had.
    next: usize,
}

/// What is known of a list.
#[derive(Debug)]
struct Record {
    kind: Kind,
    maker: Holder,
    holder: Holder,
    lent: Option<Lent>,
    /// Clones of it that are alive.
    clones: usize,
    /// What it described when it was given or lent to the driver, and its parent pointer.
    given: Option<(Shape, usize)>,
    /// The MDLs it went out of the driver's hands with.
    in_flight: Vec<usize>,
    /// Its NET_BUFFERs.
    buffers: Vec<usize>,
    /// Its memory.
    blocks: Vec<Block>,
}

impl Record {
    /// Whether this party may look at the list.
    fn reaches(&self, who: Holder) -> bool {
        self.holder == who || self.lent.as_ref().is_some_and(|lent| lent.to == who)
    }
}

/// A NET_BUFFER.
#[derive(Debug)]
struct Buffer {
    list: usize,
    /// 0: it came with its list, or from NDIS's own pool.
    pool: usize,
    /// MDLs that NdisRetreatNetBufferDataStart put in front, the first one last.
    retreated: Vec<data::Retreated>,
}

#[derive(Debug, Default)]
struct State {
    records: BTreeMap<usize, Record>,
    buffers: BTreeMap<usize, Buffer>,
    list_pools: BTreeMap<usize, pools::ListPool>,
    buffer_pools: BTreeMap<usize, pools::BufferPool>,
    /// MDLs of NdisAllocateMdl.
    mdls: BTreeMap<usize, Block>,
    handles: usize,
}

impl State {
    /// The NET_BUFFERs of a list in order. One that NDIS does not know, or one twice, ends them: `Err` with its address.
    fn buffers_of(&self, nbl: Nbl) -> Result<Vec<*mut NET_BUFFER>, usize> {
        let mut all = Vec::new();
        // SAFETY: a list in the table is alive.
        let mut next = unsafe { (*nbl.0).FirstNetBuffer };
        while !next.is_null() {
            if !self.buffers.contains_key(&next.addr()) || all.contains(&next) {
                return Err(next.addr());
            }
            all.push(next);
            // SAFETY: a NET_BUFFER in the table is alive.
            next = unsafe { (*next).Next };
        }
        Ok(all)
    }

    /// What a list describes now.
    fn shape(&self, nbl: Nbl) -> Shape {
        let buffers = self.buffers_of(nbl).unwrap_or_default();
        let shape = |buffer: *mut NET_BUFFER| {
            // SAFETY: a NET_BUFFER in the table is alive.
            let head = unsafe { buffer.read() };
            (buffer.addr(), head.MdlChain.addr(), head.DataOffset, head.DataLength)
        };
        buffers.into_iter().map(shape).collect()
    }

    /// Takes a list and its NET_BUFFERs out of the table; its memory is the caller's to free.
    fn forget(&mut self, nbl: Nbl) -> Option<Record> {
        let mut record = self.records.remove(&nbl.address())?;
        for buffer in record.buffers.iter().filter_map(|buffer| self.buffers.remove(buffer)) {
            record.blocks.extend(buffer.retreated.into_iter().flat_map(|retreated| retreated.blocks));
        }
        if let Kind::Clone { parent, .. } = record.kind
            && let Some(parent) = self.records.get_mut(&parent)
        {
            parent.clones = parent.clones.saturating_sub(1);
        }
        Some(record)
    }
}

/// See the module's text.
#[derive(Debug, Default)]
pub struct Lists(Mutex<State>);

impl Lists {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Who holds a list; `None` for what is none.
    pub fn holder(&self, nbl: Nbl) -> Option<Holder> {
        self.state().records.get(&nbl.address()).map(|record| record.holder)
    }

    /// How many lists somebody holds, made by whomever.
    pub fn held_by(&self, holder: Holder) -> usize {
        self.state().records.values().filter(|record| record.holder == holder).count()
    }

    /// Sets the links of lists in this order, the last to null; gives the first.
    pub fn link(&self, lists: &[Nbl]) -> *mut NET_BUFFER_LIST {
        let mut next = std::ptr::null_mut();
        for nbl in lists.iter().rev() {
            // SAFETY: the caller has these lists.
            unsafe { (*nbl.0).Next = next };
            next = nbl.0;
        }
        next
    }

    /// What a driver left behind: its pools, lists and MDLs, and the lists of others that it never gave back.
    pub fn leaks(&self) -> Vec<String> {
        let state = self.state();
        let mut leaks = Vec::new();
        leaks.extend(state.list_pools.keys().map(|pool| format!("NET_BUFFER_LIST pool {pool:#x}")));
        leaks.extend(state.buffer_pools.keys().map(|pool| format!("NET_BUFFER pool {pool:#x}")));
        for (address, record) in &state.records {
            let Record { maker, holder, .. } = record;
            if *maker == Holder::Driver || *holder == Holder::Driver {
                leaks.push(format!("NET_BUFFER_LIST {address:#x}, made by {maker:?}, held by {holder:?}"));
            }
        }
        leaks.extend(state.mdls.keys().map(|mdl| format!("MDL {mdl:#x} of NdisAllocateMdl")));
        leaks
    }

    /// Whether somebody other than the driver has a list with this MDL.
    fn is_in_flight(&self, mdl: *mut MDL) -> bool {
        self.state().records.values().any(|record| record.in_flight.contains(&mdl.addr()))
    }
}

/// Takes a list of the driver out of the table to be freed, when it may be. `clone`: the function is for clones.
fn take_for_free(machine: &Machine, nbl: Nbl, call: &str, clone: bool) -> Option<Record> {
    let mut state = machine.ndis.lists.state();
    let Some(record) = state.records.get(&nbl.address()) else {
        machine.violation("nbl", format!("{call}: {:#x} is no NET_BUFFER_LIST, or one no longer", nbl.address()));
        return None;
    };
    let why = if record.maker != Holder::Driver {
        Some(format!("was made by {:?}", record.maker))
    } else if record.holder != Holder::Driver {
        Some(format!("is with {:?}", record.holder))
    } else if let Some(lent) = &record.lent {
        Some(format!("is lent to {:?}", lent.to))
    } else if record.clones > 0 {
        Some(format!("has {} clones", record.clones))
    } else {
        None
    };
    if let Some(why) = why {
        machine.violation("nbl", format!("{call}: list {:#x} {why}", nbl.address()));
        return None;
    }
    if matches!(record.kind, Kind::Clone { .. }) != clone {
        let is = if clone { "is no clone" } else { "is a clone" };
        machine.violation("nbl", format!("{call}: list {:#x} {is}", nbl.address()));
    }
    making::check_end(machine, nbl, call);
    let mut buffers = record.buffers.iter().filter_map(|buffer| state.buffers.get(buffer));
    if buffers.any(|buffer| !buffer.retreated.is_empty()) {
        let text = format!("{call}: list {:#x} still has MDLs of NdisRetreatNetBufferDataStart", nbl.address());
        machine.violation("nbl", text);
    }
    state.forget(nbl)
}

/// Addresses seen, to find out when a chain leads back.
type Seen = BTreeSet<usize>;

pub(super) fn exports() -> Vec<Export> {
    let mut all: Vec<_> = pools::exports().into_iter().collect();
    all.extend(clones::exports());
    all.extend(data::exports());
    all.extend(mdls::exports());
    all
}
