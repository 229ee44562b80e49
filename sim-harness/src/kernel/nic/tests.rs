//! The NIC under an NDIS that only notes what it is told.

use super::*;
use crate::kernel::ndis::lists::Holder;
use std::ffi::c_void;
use std::sync::atomic::{AtomicU64, Ordering};

mod down;
mod requests;
mod up;

const MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];
const GROUP: [u8; 6] = [1, 0, 0x5e, 0, 0, 0xfb];
const EVERYBODY: [u8; 6] = [0xff; 6];

/// What NDIS was told.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Told {
    /// Lists: frames, 802.1Q information and coalescing of each; with RESOURCES or not.
    Received(Vec<(Vec<u8>, usize, usize)>, bool),
    /// First bytes after the header, and Status.
    Sent(Vec<(u8, NDIS_STATUS)>),
    Oid(NDIS_STATUS),
    Status(NDIS_STATUS, Vec<u8>),
    Paused,
}

#[derive(Default)]
struct Upper {
    told: Mutex<Vec<Told>>,
    /// What is out without RESOURCES.
    lent: Mutex<Vec<Nbl>>,
    /// What is done with each list before a RESOURCES indication returns.
    meddle: Mutex<Option<fn(Nbl)>>,
    /// What is done once, inside an indication.
    inside: Mutex<Option<Box<dyn FnOnce() + Send>>>,
}

impl Upper {
    fn tell(&self, told: Told) {
        self.told.lock().unwrap().push(told);
    }
}

fn entry(nbl: Nbl, entry: NDIS_NET_BUFFER_LIST_INFO) -> usize {
    // SAFETY: a list of this test's.
    unsafe { (*nbl.0).NetBufferListInfo[entry as usize].addr() }
}

fn set_entry(nbl: Nbl, entry: NDIS_NET_BUFFER_LIST_INFO, value: usize) {
    // SAFETY: a list of this test's.
    let entries = unsafe { &raw mut (*nbl.0).NetBufferListInfo }.cast::<*mut c_void>();
    // SAFETY: as above.
    unsafe { entries.wrapping_add(entry as usize).write(std::ptr::without_provenance_mut(value)) };
}

impl NicUp for Upper {
    fn indicate(&self, machine: &Arc<Machine>, lists: Vec<Nbl>, resources: bool) {
        let seen = lists.iter().map(|&nbl| {
            let [frame] = &frames(machine, nbl)[..] else { panic!("a received list has one frame") };
            (frame.clone(), entry(nbl, Ieee8021QNetBufferListInfo), entry(nbl, TcpRecvSegCoalesceInfo))
        });
        self.tell(Told::Received(seen.collect(), resources));
        if let Some(meddle) = *self.meddle.lock().unwrap() {
            lists.iter().copied().for_each(meddle);
        }
        let inside = self.inside.lock().unwrap().take();
        if let Some(inside) = inside {
            inside();
        }
        if !resources {
            self.lent.lock().unwrap().extend(lists);
        }
    }

    fn send_complete(&self, machine: &Arc<Machine>, lists: Vec<Nbl>) {
        let seen = lists.iter().map(|&nbl| {
            let frames = super::frames(machine, nbl);
            // SAFETY: completed, so this test's.
            (frames[0].get(14).copied().unwrap_or(0), unsafe { (*nbl.0).Status })
        });
        self.tell(Told::Sent(seen.collect()));
        for nbl in lists {
            machine.ndis.lists.destroy(machine, nbl);
        }
    }

    fn oid_complete(&self, _machine: &Arc<Machine>, _request: *mut NDIS_OID_REQUEST, status: NDIS_STATUS) {
        self.tell(Told::Oid(status));
    }

    fn status(&self, _machine: &Arc<Machine>, code: NDIS_STATUS, buffer: &[u8]) {
        self.tell(Told::Status(code, buffer.to_vec()));
    }

    fn pause_complete(&self, _machine: &Arc<Machine>) {
        self.tell(Told::Paused);
    }

    fn handle(&self) -> usize {
        0x1234
    }
}

/// A running NIC with an open filter.
pub(super) struct Bench {
    pub(super) machine: Arc<Machine>,
    clock: Arc<AtomicU64>,
    upper: Arc<Upper>,
    pub(super) nic: Arc<SimNic>,
}

impl Bench {
    pub(super) fn new() -> Self {
        let clock = Arc::new(AtomicU64::new(0));
        let machine = Machine::new("nic", clock.clone(), 1);
        let upper = Arc::new(Upper::default());
        let nic = SimNic::new(SimNic::ethernet(MAC, 7), 1);
        nic.attach(upper.clone());
        let bench = Self { machine, clock, upper, nic };
        bench.nic.restart(&bench.machine);
        bench.filter(NDIS_PACKET_TYPE_DIRECTED | NDIS_PACKET_TYPE_BROADCAST);
        bench
    }

    fn filter(&self, filter: u32) {
        assert_eq!(self.set(OID_GEN_CURRENT_PACKET_FILTER, &filter.to_le_bytes()), NDIS_STATUS_SUCCESS);
    }

    fn set(&self, oid: NDIS_OID, body: &[u8]) -> NDIS_STATUS {
        requests::ask(self, NdisRequestSetInformation, oid, &mut body.to_vec()).0
    }

    /// What NDIS was told since the last time.
    fn told(&self) -> Vec<Told> {
        std::mem::take(&mut self.upper.told.lock().unwrap())
    }

    /// The rules broken since the last time.
    fn broken(&self) -> Vec<&'static str> {
        self.machine.verifier.take().iter().map(|violation| violation.rule).collect()
    }

    fn list(&self, frames: &[&[u8]]) -> Nbl {
        let pieces: Vec<[&[u8]; 1]> = frames.iter().map(|frame| [*frame]).collect();
        let pieces: Vec<&[&[u8]]> = pieces.iter().map(|pieces| &pieces[..]).collect();
        self.machine.ndis.lists.build_many(&self.machine, Holder::Nic, &pieces, 0).expect("memory")
    }

    /// Sends a list of one frame whose payload begins with `mark`.
    pub(super) fn send(&self, mark: u8) {
        let list = self.list(&[&frame(EVERYBODY, mark, 60)]);
        self.nic.send(&self.machine, vec![list]);
    }

    fn at(&self, now: u64) {
        self.clock.store(now, Ordering::SeqCst);
        self.nic.run_due(&self.machine);
    }

    /// Returns everything that is lent.
    pub(super) fn give_back(&self) {
        let lent = std::mem::take(&mut *self.upper.lent.lock().unwrap());
        self.nic.returned(&self.machine, lent);
    }
}

/// A frame of `len` bytes from the NIC whose payload is `mark`s.
pub(super) fn frame(to: [u8; 6], mark: u8, len: usize) -> Vec<u8> {
    let mut frame = to.to_vec();
    frame.extend(MAC);
    frame.extend([8, 0]);
    frame.resize(len.max(14), mark);
    frame
}

/// The same with a tag: priority 3, VLAN 100.
fn tagged(to: [u8; 6], mark: u8, len: usize) -> Vec<u8> {
    let mut frame = frame(to, mark, len);
    frame.splice(12..12, [0x81, 0, 0x60, 100]);
    frame
}

/// The tag of `tagged` beside a frame.
const TAG_INFO: usize = 3 | 100 << 4;

/// How many bytes of the frame each MDL of a list has.
fn mdl_lengths(nbl: Nbl) -> Vec<usize> {
    // SAFETY: a list of this test's.
    let buffer = unsafe { (*nbl.0).FirstNetBuffer };
    // SAFETY: its only frame.
    let head = unsafe { buffer.read() };
    let (mut mdl, mut rest, mut offset) = (head.CurrentMdl, head.DataLength as usize, head.CurrentMdlOffset as usize);
    let mut lengths = Vec::new();
    while rest > 0 {
        // SAFETY: the chain is as long as the frame.
        let here = (unsafe { (*mdl).ByteCount } as usize - offset).min(rest);
        lengths.push(here);
        (rest, offset) = (rest - here, 0);
        // SAFETY: as above.
        mdl = unsafe { (*mdl).Next };
    }
    lengths
}

/// Changes the first byte of a list's first frame.
fn change(nbl: Nbl) {
    // SAFETY: a list of this test's.
    let buffer = unsafe { (*nbl.0).FirstNetBuffer };
    // SAFETY: its first frame.
    let head = unsafe { buffer.read() };
    // SAFETY: the frame begins in this MDL.
    let base = unsafe { (*head.CurrentMdl).MappedSystemVa };
    let first = base.cast::<u8>().wrapping_add(head.CurrentMdlOffset as usize);
    // SAFETY: as above.
    let now = unsafe { first.read() };
    // SAFETY: as above.
    unsafe { first.write(!now) };
}
