//! A whole environment in plain vectors: regions with canaries around them, work queues, a capturing outbox.

extern crate std;

use crate::completion::{Completion, Completions, CqDead};
use crate::crc::TableCrc32;
use crate::key::{LKey, RKey};
use crate::memory::{Access, Bind, Epoch, FastRegister, Fault, Regions, Revocation, Sge, range_within};
use crate::outbox::Outbox;
use crate::turn::Environment;
use crate::work::{Operation, ReceiveQueue, ReceiveWqe, SGE_MAX, SendQueue, Wqe};
use std::collections::VecDeque;
use std::vec::Vec;

/// What lies before and after every region.
const CANARY: [u8; 16] = [0xa5; 16];

#[derive(Debug)]
pub(super) struct Region {
    pub(super) key: u32,
    base: u64,
    guarded: Vec<u8>,
    access: Access,
    pub(super) epoch: u32,
    pub(super) valid: bool,
    /// What a peer may not invalidate is refused (T-27).
    pub(super) remotely_invalidable: bool,
}

impl Region {
    fn len(&self) -> usize {
        self.guarded.len() - 2 * CANARY.len()
    }

    fn range(&self, addr: u64, len: usize) -> Result<core::ops::Range<usize>, Fault> {
        let offset = range_within(self.base, self.len() as u64, addr, len as u64).ok_or(Fault::OutOfBounds)? as usize;
        Ok(CANARY.len() + offset..CANARY.len() + offset + len)
    }
}

/// The regions of one side.
#[derive(Debug, Default)]
pub(super) struct Memory {
    regions: Vec<Region>,
    /// How often an invalidation is answered with [`Revocation::Draining`] before it is done.
    pub(super) draining: u32,
    pub(super) fast_registered: Vec<FastRegister>,
    pub(super) bound: Vec<Bind>,
}

impl Memory {
    /// Makes a region that starts at `base`.
    pub(super) fn register(&mut self, key: u32, base: u64, bytes: &[u8], access: Access) {
        let guarded = [&CANARY[..], bytes, &CANARY[..]].concat();
        let remotely_invalidable = true;
        self.regions.push(Region { key, base, guarded, access, epoch: 1, valid: true, remotely_invalidable });
    }

    pub(super) fn region(&mut self, key: u32) -> &mut Region {
        self.regions.iter_mut().find(|region| region.key == key).expect("a region of the test")
    }

    pub(super) fn is_valid(&self, key: u32) -> bool {
        self.regions.iter().any(|region| region.key == key && region.valid)
    }

    pub(super) fn bytes(&self, key: u32) -> &[u8] {
        let region = self.regions.iter().find(|region| region.key == key).expect("a region of the test");
        &region.guarded[CANARY.len()..region.guarded.len() - CANARY.len()]
    }

    pub(super) fn fill(&mut self, key: u32, from: usize, bytes: &[u8]) {
        let from = CANARY.len() + from;
        self.region(key).guarded[from..from + bytes.len()].copy_from_slice(bytes);
    }

    /// Nothing was written outside a region.
    #[track_caller]
    pub(super) fn check_canaries(&self) {
        for region in &self.regions {
            assert!(region.guarded.starts_with(&CANARY), "before region {:#x}", region.key);
            assert!(region.guarded.ends_with(&CANARY), "after region {:#x}", region.key);
        }
    }

    fn find(&mut self, key: u32) -> Result<&mut Region, Fault> {
        self.regions.iter_mut().find(|region| region.key == key && region.valid).ok_or(Fault::BadKey)
    }

    fn revoke(&mut self, key: u32, remote: bool) -> Result<Revocation, Fault> {
        let draining = self.draining;
        let region = self.find(key)?;
        if remote && !region.remotely_invalidable {
            return Err(Fault::NoAccess);
        }
        if draining > 0 {
            self.draining -= 1;
            return Ok(Revocation::Draining);
        }
        region.valid = false;
        region.epoch += 1;
        Ok(Revocation::Done)
    }
}

impl Regions for Memory {
    fn gather(&mut self, sge: &Sge, offset: u32, dst: &mut [u8]) -> Result<(), Fault> {
        assert!(offset as usize + dst.len() <= sge.length as usize, "a gather stays in its SGE");
        let region = self.find(sge.l_key.0)?;
        let range = region.range(sge.addr + u64::from(offset), dst.len())?;
        dst.copy_from_slice(&region.guarded[range]);
        Ok(())
    }

    fn scatter(&mut self, sge: &Sge, offset: u32, src: &[u8]) -> Result<(), Fault> {
        assert!(offset as usize + src.len() <= sge.length as usize, "a scatter stays in its SGE");
        let region = self.find(sge.l_key.0)?;
        if !region.access.allows(Access::LOCAL_WRITE) {
            return Err(Fault::NoAccess);
        }
        let range = region.range(sge.addr + u64::from(offset), src.len())?;
        region.guarded[range].copy_from_slice(src);
        Ok(())
    }

    fn grant(&mut self, key: RKey, va: u64, length: u32, access: Access) -> Result<Epoch, Fault> {
        let region = self.find(key.0)?;
        region.range(va, length as usize)?;
        if region.access.allows(access) { Ok(Epoch(region.epoch)) } else { Err(Fault::NoAccess) }
    }

    fn remote_write(&mut self, key: RKey, epoch: Epoch, va: u64, src: &[u8]) -> Result<(), Fault> {
        let region = self.find(key.0)?;
        if epoch != Epoch(region.epoch) {
            return Err(Fault::Revoked);
        }
        let range = region.range(va, src.len())?;
        region.guarded[range].copy_from_slice(src);
        Ok(())
    }

    fn remote_read(&mut self, key: RKey, epoch: Epoch, va: u64, dst: &mut [u8]) -> Result<(), Fault> {
        let region = self.find(key.0)?;
        if epoch != Epoch(region.epoch) {
            return Err(Fault::Revoked);
        }
        let range = region.range(va, dst.len())?;
        dst.copy_from_slice(&region.guarded[range]);
        Ok(())
    }

    fn fast_register(&mut self, request: &FastRegister) -> Result<(), Fault> {
        self.fast_registered.push(*request);
        let region = self.region(request.key.0);
        if region.valid {
            return Err(Fault::NoAccess);
        }
        region.valid = true;
        region.access = request.access;
        Ok(())
    }

    fn bind(&mut self, request: &Bind) -> Result<(), Fault> {
        self.bound.push(*request);
        self.find(request.region.0).map(|_| ())
    }

    fn invalidate(&mut self, key: LKey) -> Result<Revocation, Fault> {
        self.revoke(key.0, false)
    }

    fn remote_invalidate(&mut self, key: RKey) -> Result<Revocation, Fault> {
        self.revoke(key.0, true)
    }
}

/// A send queue. Position 0 is the first request.
#[derive(Debug, Default)]
pub(super) struct Sends {
    retired: u32,
    entries: VecDeque<(Wqe, Vec<Sge>, Vec<u8>)>,
}

impl Sends {
    /// Posts a request with these SGEs.
    pub(super) fn post(&mut self, wqe: Wqe, sges: &[Sge]) {
        let length = sges.iter().map(|sge| sge.length).sum();
        self.entries.push_back((Wqe { length, ..wqe }, sges.to_vec(), Vec::new()));
    }

    /// Posts a request with inline data.
    pub(super) fn post_inline(&mut self, wqe: Wqe, data: &[u8]) {
        let wqe = Wqe { length: data.len() as u32, inline: true, ..wqe };
        self.entries.push_back((wqe, Vec::new(), data.to_vec()));
    }

    pub(super) fn outstanding(&self) -> usize {
        self.entries.len()
    }

    fn entry(&self, position: u32) -> Option<&(Wqe, Vec<Sge>, Vec<u8>)> {
        self.entries.get(position.wrapping_sub(self.retired) as usize)
    }
}

impl SendQueue for Sends {
    fn posted(&self) -> u32 {
        self.retired.wrapping_add(self.entries.len() as u32)
    }

    fn wqe(&self, position: u32) -> Option<&Wqe> {
        self.entry(position).map(|entry| &entry.0)
    }

    fn sges(&self, position: u32) -> &[Sge] {
        self.entry(position).map_or(&[], |entry| &entry.1)
    }

    fn inline(&self, position: u32) -> &[u8] {
        self.entry(position).map_or(&[], |entry| &entry.2)
    }

    fn retire(&mut self, position: u32) {
        let count = position.wrapping_sub(self.retired) as usize;
        assert!(count <= self.entries.len(), "what was not posted is not retired");
        self.entries.drain(..count);
        self.retired = position;
    }
}

/// A receive queue.
#[derive(Debug, Default)]
pub(super) struct Receives(VecDeque<ReceiveWqe>);

impl Receives {
    pub(super) fn post(&mut self, wr_id: u64, sges: &[Sge]) {
        let mut list = [Sge::default(); SGE_MAX];
        list[..sges.len()].copy_from_slice(sges);
        self.0.push_back(ReceiveWqe { wr_id, sge_count: sges.len() as u8, sges: list });
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

impl ReceiveQueue for Receives {
    fn take(&mut self, into: &mut ReceiveWqe) -> bool {
        match self.0.pop_front() {
            Some(receive) => {
                *into = receive;
                true
            }
            None => false,
        }
    }
}

/// Completion queues that keep everything.
#[derive(Debug, Default)]
pub(super) struct Completed {
    pub(super) sends: Vec<Completion>,
    pub(super) receives: Vec<Completion>,
    pub(super) dead: bool,
}

impl Completions for Completed {
    fn send_complete(&mut self, completion: Completion) -> Result<(), CqDead> {
        if self.dead {
            return Err(CqDead);
        }
        self.sends.push(completion);
        Ok(())
    }

    fn receive_complete(&mut self, completion: Completion) -> Result<(), CqDead> {
        if self.dead {
            return Err(CqDead);
        }
        self.receives.push(completion);
        Ok(())
    }
}

/// An outbox that keeps what leaves and can run out of frames.
#[derive(Debug)]
pub(super) struct Egress {
    pub(super) frames: VecDeque<Vec<u8>>,
    /// Frames that can still be had.
    pub(super) available: usize,
}

impl Default for Egress {
    fn default() -> Self {
        Self { frames: VecDeque::new(), available: usize::MAX }
    }
}

impl Outbox for Egress {
    fn frame<E>(&mut self, len: usize, fill: impl FnOnce(&mut [u8]) -> Result<(), E>) -> Option<Result<(), E>> {
        self.available = self.available.checked_sub(1)?;
        let mut frame = std::vec![0xee; len];
        if let Err(error) = fill(&mut frame) {
            self.available += 1;
            return Some(Err(error));
        }
        self.frames.push_back(frame);
        Some(Ok(()))
    }
}

/// The types of these tests.
#[derive(Debug)]
pub(super) struct Plain;

impl Environment for Plain {
    type Regions = Memory;
    type SendQueue = Sends;
    type ReceiveQueue = Receives;
    type Completions = Completed;
    type Outbox = Egress;
    type Crc = TableCrc32;
}

/// A request that does `operation`, signaled.
pub(super) fn request(wr_id: u64, operation: Operation) -> Wqe {
    Wqe { wr_id, operation, length: 0, signaled: true, read_fence: false, solicited: false, inline: false }
}

/// A piece of the region `key`.
pub(super) fn sge(key: u32, addr: u64, length: u32) -> Sge {
    Sge { addr, length, l_key: LKey(key) }
}
