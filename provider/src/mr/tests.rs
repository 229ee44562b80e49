//! Regions, windows, domains and logical mappings through their dispatch tables, on a system made of heap memory.

use super::*;
use crate::limits::{FRMR_PAGE_COUNT, Limits, VERSIONS};
use crate::memory::{TurnOwner, TurnRegions};
use crate::mw::{self, PostedBind};
use crate::platform::{Event, LocalInterface, MapFailure, Mapping, Platform, Signal};
use crate::shared::Shared;
use core::net::IpAddr;
use core::ptr::null_mut;
use core::sync::atomic::{AtomicBool, AtomicI32, AtomicU8, AtomicU32, AtomicUsize, Ordering};
use ndk_types::{
    NDK_ADAPTER, NDK_LOGICAL_ADDRESS_MAPPING, NDK_MR_FLAG_ALLOW_LOCAL_WRITE, NDK_MR_FLAG_ALLOW_REMOTE_READ,
    NDK_MR_FLAG_ALLOW_REMOTE_WRITE, NDK_MR_FLAG_RDMA_READ_SINK, NDK_MW, NDK_OP_FLAG_ALLOW_LOCAL_WRITE,
    NDK_OP_FLAG_ALLOW_REMOTE_READ, NDK_OP_FLAG_ALLOW_REMOTE_WRITE, NDK_OP_FLAG_RDMA_READ_SINK, NdkObjectTypePd,
    STATUS_BUFFER_TOO_SMALL,
};
use roce_engine::key::RKey;
use roce_engine::memory::{Fault, Regions, Revocation, Sge};
use roce_engine::time::{Duration, Time};
use std::sync::Arc;
use std::vec;
use std::vec::Vec;

/// A system with memory and nothing else. `mapped` counts the mappings that exist.
#[derive(Default)]
struct System {
    mapped: Arc<AtomicUsize>,
    refuse: Arc<AtomicBool>,
}

struct Mapped {
    base: NonNull<u8>,
    len: usize,
    count: Arc<AtomicUsize>,
}

// SAFETY: the tests keep the memory for longer than the port.
unsafe impl Send for Mapped {}
// SAFETY: as above; the bytes are atomic.
unsafe impl Sync for Mapped {}
// SAFETY: as above.
unsafe impl Mapping for Mapped {
    fn base(&self) -> NonNull<u8> {
        self.base
    }
    fn len(&self) -> usize {
        self.len
    }
}

impl Drop for Mapped {
    fn drop(&mut self) {
        self.count.fetch_sub(1, Ordering::Relaxed);
    }
}

struct Flag(AtomicBool);

impl Signal for Flag {
    fn set(&self) {
        self.0.store(true, Ordering::Release);
    }
}

impl Platform for System {
    type Frame = Vec<u8>;
    type Mapping = Mapped;
    type Raised = ();
    type Signal = Flag;
    const TIMER_GRANULARITY: Duration = Duration::from_micros(200);

    fn now(&self) -> Time {
        Time::from_nanos(0)
    }
    fn random(&self, bytes: &mut [u8]) {
        bytes.fill(0x5a);
    }
    fn raise(&self) {}
    fn frame(&self, len: usize) -> Option<Vec<u8>> {
        Some(vec![0; len])
    }
    fn transmit(&self, _frames: &mut dyn Iterator<Item = Vec<u8>>) {}
    fn set_timer(&self, _at: Time) {}
    fn defer(&self) {}
    unsafe fn map(&self, mdl: NonNull<MDL>, len: usize, _writable: bool) -> Result<Mapped, MapFailure> {
        if self.refuse.load(Ordering::Relaxed) {
            return Err(MapFailure::NoResources);
        }
        // SAFETY: the caller's contract; the tests leave the memory's address in the first MDL.
        let base = unsafe { mdl.as_ref() }.MappedSystemVa.cast();
        self.mapped.fetch_add(1, Ordering::Relaxed);
        Ok(Mapped { base: NonNull::new(base).unwrap(), len, count: self.mapped.clone() })
    }
    fn interface(&self, _address: IpAddr) -> Option<LocalInterface> {
        None
    }
    fn resolve(&self, _local: IpAddr, _remote: IpAddr, _token: u64) {}
    fn signal(&self) -> Option<Flag> {
        Some(Flag(AtomicBool::new(false)))
    }
    fn wait(&self, signal: &Flag) {
        assert!(signal.0.load(Ordering::Acquire), "an object is left open");
    }
    fn log(&self, _event: Event) {}
}

/// The virtual address that MDLs show; nothing is there (MR-07, LAM-07).
const VA: u64 = 0xffff_9000_0000_0000;
const LIMITS: Limits = Limits {
    queue_pairs: 4,
    completion_queues: 4,
    regions: 6,
    protection_domains: 2,
    mappings: 3,
    shared_receive_queues: 4,
    connections: 4,
    endpoints: 4,
    held_frames: 4,
};

/// Memory and the MDL chain that describes it: pieces of the given sizes, `offset` bytes into a page.
struct Buffer {
    memory: Vec<AtomicU8>,
    mdls: Vec<MDL>,
}

impl Buffer {
    fn new(offset: u32, pieces: &[u32]) -> Self {
        let size: u32 = pieces.iter().sum();
        let memory: Vec<_> = (0..size).map(|at| AtomicU8::new(at as u8)).collect();
        let mut at = u64::from(offset);
        let mut mdls: Vec<MDL> = pieces
            .iter()
            .map(|count| {
                let va = VA + at;
                at += u64::from(*count);
                MDL {
                    Next: null_mut(),
                    Size: 48,
                    MdlFlags: ndk_types::MDL_PAGES_LOCKED,
                    Process: null_mut(),
                    MappedSystemVa: memory.as_ptr().cast::<c_void>().cast_mut(),
                    StartVa: core::ptr::without_provenance_mut((va & !0xfff) as usize),
                    ByteCount: *count,
                    ByteOffset: (va & 0xfff) as u32,
                }
            })
            .collect();
        let head = mdls.as_mut_ptr();
        for number in 1..mdls.len() {
            // SAFETY: `number - 1` is within the vector, which is not moved or resized any more.
            unsafe { (*head.wrapping_add(number - 1)).Next = head.wrapping_add(number) };
        }
        Self { memory, mdls }
    }

    fn mdl(&mut self) -> *mut MDL {
        self.mdls.as_mut_ptr()
    }

    fn byte(&self, at: usize) -> u8 {
        self.memory[at].load(Ordering::Relaxed)
    }
}

/// How often a completion ran and with which status.
struct Told {
    count: AtomicU32,
    status: AtomicI32,
}

impl Told {
    const fn new() -> Self {
        Self { count: AtomicU32::new(0), status: AtomicI32::new(-1) }
    }

    fn context(&self) -> *mut c_void {
        core::ptr::from_ref(self).cast_mut().cast()
    }

    fn count(&self) -> u32 {
        self.count.load(Ordering::Relaxed)
    }
}

ndk_types::abi! {
    unsafe extern "C" fn request_completed(context: *mut c_void, status: NTSTATUS) {
        // SAFETY: the tests pass a Told that outlives the request.
        let told = unsafe { &*context.cast::<Told>() };
        told.count.fetch_add(1, Ordering::Relaxed);
        told.status.store(status, Ordering::Relaxed);
    }
    unsafe extern "C" fn close_completed(context: *mut c_void) {
        // SAFETY: as above.
        unsafe { &*context.cast::<Told>() }.count.fetch_add(1, Ordering::Relaxed);
    }
}

/// Calls a slot of an object's dispatch table.
macro_rules! call {
    ($object:expr, $slot:ident $(, $argument:expr)*) => {{
        let object = $object;
        // SAFETY: an open object.
        let table = unsafe { (*object).Dispatch };
        // SAFETY: tables are constants.
        let slot = unsafe { (*table).$slot }.unwrap();
        // SAFETY: the tests keep the slot's contract.
        unsafe { slot(object.cast() $(, $argument)*) }
    }};
}

/// Makes an object by a slot of its parent's table.
macro_rules! create {
    ($parent:expr, $slot:ident $(, $argument:expr)*) => {{
        let mut made = null_mut();
        let status = call!($parent, $slot $(, $argument)*, None, null_mut(), &raw mut made);
        (status, made)
    }};
}

/// An open adapter with one PD.
struct Bench {
    port: Shared<Port<System>>,
    adapter: *mut NDK_ADAPTER,
    pd: *mut NDK_PD,
    mapped: Arc<AtomicUsize>,
    refuse: Arc<AtomicBool>,
}

impl Bench {
    fn new() -> Self {
        let system = System::default();
        let (mapped, refuse) = (system.mapped.clone(), system.refuse.clone());
        let port = Port::try_new(system, LIMITS).unwrap();
        let adapter = Port::open_adapter(&port, VERSIONS[1]).unwrap();
        let (status, pd) = create!(adapter, NdkCreatePd);
        assert_eq!(status, STATUS_SUCCESS);
        Self { port, adapter, pd, mapped, refuse }
    }

    fn mapped(&self) -> usize {
        self.mapped.load(Ordering::Relaxed)
    }

    fn mr(&self, fast: bool) -> *mut NDK_MR {
        let (status, mr) = create!(self.pd, NdkCreateMr, BOOLEAN::from(fast));
        assert_eq!(status, STATUS_SUCCESS);
        mr
    }

    fn mw(&self) -> *mut NDK_MW {
        let (status, mw) = create!(self.pd, NdkCreateMw);
        assert_eq!(status, STATUS_SUCCESS);
        mw
    }

    fn domain(&self) -> Domain {
        // SAFETY: the PD is open.
        unsafe { Borrowed::<Pd<System>>::from_handle(self.pd) }.domain
    }

    fn turn(&self) -> TurnRegions<'_, Mapped, Pending<System>, Port<System>> {
        let domain = self.domain();
        let owner = TurnOwner { queue_pair: 0, domain, privileged: self.port.regions.privileged_token(domain) };
        TurnRegions::new(&self.port.regions, owner, &self.port)
    }

    fn build_lam(&self, buffer: &mut Buffer, length: usize) -> (NTSTATUS, Vec<u64>, u32) {
        let mut lam = vec![0u64; 16];
        let (mut size, mut fbo) = (16 * 8, u32::MAX);
        let into = lam.as_mut_ptr().cast();
        let status =
            call!(self.adapter, NdkBuildLAM, buffer.mdl(), length, None, null_mut(), into, &raw mut size, &raw mut fbo);
        (status, lam, fbo)
    }

    /// Closes everything that is left and the adapter, which must succeed at once.
    fn end(self) {
        assert_eq!(call!(self.pd, NdkClosePd, None, null_mut()), STATUS_SUCCESS, "no reference leaked");
        // SAFETY: opened by `new`, closed once.
        unsafe { Port::close_adapter(&self.port, self.adapter) };
    }
}

fn close_mr(mr: *mut NDK_MR) -> NTSTATUS {
    call!(mr, NdkCloseMr, None, null_mut())
}

fn register(mr: *mut NDK_MR, buffer: &mut Buffer, length: usize, flags: u32) -> NTSTATUS {
    call!(mr, NdkRegisterMr, buffer.mdl(), length, flags, None, null_mut())
}

fn local(mr: *mut NDK_MR) -> LKey {
    LKey(call!(mr, NdkGetLocalTokenFromMr))
}

fn remote(mr: *mut NDK_MR) -> RKey {
    RKey(call!(mr, NdkGetRemoteTokenFromMr))
}

/// PD-01, PD-07, COM-03, LT-18, LT-21
#[test]
fn as_many_pds_as_promised_can_be_made_and_a_closed_one_makes_room() {
    let bench = Bench::new();
    let (status, second) = create!(bench.adapter, NdkCreatePd);
    assert_eq!(status, STATUS_SUCCESS);
    let (status, third) = create!(bench.adapter, NdkCreatePd);
    assert_eq!((status, third), (STATUS_INSUFFICIENT_RESOURCES, null_mut()));
    assert_eq!(call!(second, NdkClosePd, None, null_mut()), STATUS_SUCCESS);
    let (status, again) = create!(bench.adapter, NdkCreatePd);
    assert_eq!(status, STATUS_SUCCESS);
    assert_eq!(call!(again, NdkClosePd, None, null_mut()), STATUS_SUCCESS);
    bench.end();
}

/// COM-12, COM-13, PD-06, LT-05
#[test]
fn a_pds_close_waits_for_its_regions_and_windows() {
    let bench = Bench::new();
    let (mr, mw) = (bench.mr(false), bench.mw());
    // SAFETY: open objects.
    let header = unsafe { &(*bench.pd).Header };
    assert_eq!((header.ObjectType, header.Version), (NdkObjectTypePd, VERSIONS[1]));
    let told = Told::new();
    assert_eq!(call!(bench.pd, NdkClosePd, Some(close_completed), told.context()), STATUS_PENDING);
    assert_eq!(close_mr(mr), STATUS_SUCCESS);
    assert_eq!(told.count(), 0);
    assert_eq!(call!(mw, NdkCloseMw, None, null_mut()), STATUS_SUCCESS);
    assert_eq!(told.count(), 1);
    // SAFETY: opened by `new`, closed once.
    unsafe { Port::close_adapter(&bench.port, bench.adapter) };
}

/// MR-03, MR-04, MR-05, MR-06, MR-07, MR-08
#[test]
fn a_contiguous_chain_registers_over_exactly_the_length_asked_for() {
    let bench = Bench::new();
    let mut buffer = Buffer::new(100, &[5000, 3000]);
    let mr = bench.mr(false);
    assert_eq!(register(mr, &mut buffer, 8001, 0), STATUS_INVALID_PARAMETER);
    assert_eq!(register(mr, &mut buffer, 0, 0), STATUS_INVALID_PARAMETER);
    assert_eq!(call!(mr, NdkRegisterMr, null_mut(), 1, 0, None, null_mut()), STATUS_INVALID_PARAMETER);
    buffer.mdls[1].ByteOffset += 1;
    assert_eq!(register(mr, &mut buffer, 5001, 0), STATUS_INVALID_PARAMETER);
    assert_eq!(bench.mapped(), 0);
    buffer.mdls[1].ByteOffset -= 1;
    assert_eq!(register(mr, &mut buffer, 7000, NDK_MR_FLAG_RDMA_READ_SINK), STATUS_SUCCESS);
    let mut byte = [0];
    let last = Sge { addr: VA + 100 + 6999, length: 1, l_key: local(mr) };
    bench.turn().gather(&last, 0, &mut byte).unwrap();
    assert_eq!(byte[0], buffer.byte(6999));
    let beyond = Sge { addr: last.addr + 1, ..last };
    assert_eq!(bench.turn().gather(&beyond, 0, &mut byte), Err(Fault::OutOfBounds));
    assert_eq!(bench.turn().scatter(&last, 0, &[1]), Err(Fault::NoAccess), "MR-11");
    assert_eq!(close_mr(mr), STATUS_SUCCESS);
    assert_eq!(bench.mapped(), 0, "MR-18");
    bench.end();
}

/// MR-02, MR-14, MR-16, MR-17, MR-18
#[test]
fn registering_and_deregistering_in_the_wrong_state_fails_without_side_effects() {
    let bench = Bench::new();
    let mut buffer = Buffer::new(0, &[64]);
    let (mr, fast) = (bench.mr(false), bench.mr(true));
    let told = Told::new();
    let deregister = |mr: *mut NDK_MR| call!(mr, NdkDeregisterMr, Some(request_completed), told.context());
    assert_eq!(register(fast, &mut buffer, 64, 0), STATUS_INVALID_DEVICE_REQUEST);
    assert_eq!(call!(mr, NdkInitializeFastRegisterMr, 16, 1, None, null_mut()), STATUS_INVALID_DEVICE_REQUEST);
    assert_eq!(deregister(mr), STATUS_INVALID_DEVICE_STATE);
    assert_eq!(deregister(fast), STATUS_INVALID_DEVICE_STATE);
    bench.refuse.store(true, Ordering::Relaxed);
    assert_eq!(register(mr, &mut buffer, 64, 0), STATUS_INSUFFICIENT_RESOURCES);
    bench.refuse.store(false, Ordering::Relaxed);
    for _ in 0..3 {
        assert_eq!(register(mr, &mut buffer, 64, 0), STATUS_SUCCESS);
        let token = local(mr);
        assert_eq!(register(mr, &mut buffer, 64, 0), STATUS_INVALID_DEVICE_STATE);
        assert_eq!(bench.mapped(), 1);
        assert_eq!(deregister(mr), STATUS_SUCCESS);
        assert_eq!(bench.mapped(), 0);
        assert!(bench.turn().gather(&Sge { addr: VA, length: 1, l_key: token }, 0, &mut [0]).is_err());
    }
    assert_eq!(told.count(), 0, "COM-06");
    assert_eq!((close_mr(mr), close_mr(fast)), (STATUS_SUCCESS, STATUS_SUCCESS));
    bench.end();
}

/// COM-07, LT-10, T-03
#[test]
fn deregistering_and_closing_while_a_turn_copies_complete_after_it_in_order() {
    let bench = Bench::new();
    let mut buffer = Buffer::new(0, &[64]);
    let mr = bench.mr(false);
    assert_eq!(register(mr, &mut buffer, 64, NDK_MR_FLAG_ALLOW_LOCAL_WRITE), STATUS_SUCCESS);
    let whole = Sge { addr: VA, length: 64, l_key: local(mr) };
    let (requested, closed) = (Told::new(), Told::new());
    let mut turn = bench.turn();
    turn.scatter(&whole, 0, &[9; 64]).unwrap();
    assert_eq!(call!(mr, NdkDeregisterMr, Some(request_completed), requested.context()), STATUS_PENDING);
    assert_eq!(call!(mr, NdkCloseMr, Some(close_completed), closed.context()), STATUS_PENDING);
    bench.port.on_deferred();
    assert_eq!((requested.count(), closed.count(), bench.mapped()), (0, 0, 1));
    turn.finish();
    bench.port.on_deferred();
    bench.port.on_deferred();
    assert_eq!((requested.count(), closed.count(), bench.mapped()), (1, 1, 0));
    assert_eq!(requested.status.load(Ordering::Relaxed), STATUS_SUCCESS);
    bench.end();
}

/// MR-20, MR-21, MR-22, MR-28
#[test]
fn fast_register_regions_take_the_page_counts_that_are_promised_and_have_a_token() {
    let bench = Bench::new();
    let mr = bench.mr(true);
    let initialize = |pages| call!(mr, NdkInitializeFastRegisterMr, pages, 1, None, null_mut());
    assert_eq!(initialize(FRMR_PAGE_COUNT), STATUS_SUCCESS);
    assert_eq!(initialize(16), STATUS_SUCCESS);
    assert_eq!(initialize(FRMR_PAGE_COUNT_MAX), STATUS_SUCCESS);
    assert_eq!(initialize(FRMR_PAGE_COUNT_MAX + 1), STATUS_IMPLEMENTATION_LIMIT);
    assert_ne!(remote(mr).0, 0);
    assert_eq!(local(mr).0, remote(mr).0);
    assert_eq!(close_mr(mr), STATUS_SUCCESS);
    bench.end();
}

const READ: u32 = NDK_OP_FLAG_ALLOW_REMOTE_READ;
const WRITE: u32 = NDK_OP_FLAG_ALLOW_REMOTE_WRITE;

/// Stages a fast registration and says how that ended; what is staged is let go.
fn staged(bench: &Bench, mr: *mut NDK_MR, pages: &[u64], fbo: u32, length: usize, base: u64, flags: u32) -> NTSTATUS {
    // SAFETY: the MR is open.
    let mr = unsafe { Borrowed::<Mr<System>>::from_handle(mr) };
    let posted = PostedFastRegister {
        page_count: pages.len() as u32,
        pages: pages.as_ptr().cast(),
        fbo,
        length,
        base: core::ptr::without_provenance_mut(base as usize),
        flags,
    };
    // SAFETY: `pages` holds as many entries as `posted` says.
    match unsafe { stage_fast_register(&mr, bench.domain(), StageOwner::new(0, 0), &posted) } {
        Ok(_) => STATUS_SUCCESS,
        Err(status) => status,
    }
}

/// MR-24, MR-25, MR-26, WR-32, WR-33, WR-35, WR-36
#[test]
fn a_fast_registration_that_cannot_be_right_fails_inline() {
    let bench = Bench::new();
    let mut buffer = Buffer::new(0, &[8192]);
    let (status, lam, fbo) = bench.build_lam(&mut buffer, 8192);
    assert_eq!((status, fbo), (STATUS_SUCCESS, 0));
    let pages = &lam[2..4];
    let (mr, closed) = (bench.mr(true), bench.mr(true));
    let try_it = |pages: &[u64], fbo, length, base, flags| staged(&bench, mr, pages, fbo, length, base, flags);
    assert_eq!(try_it(pages, 0, 8192, VA, READ), STATUS_ACCESS_VIOLATION, "not initialized, so no remote access");
    assert_eq!(call!(mr, NdkInitializeFastRegisterMr, 2, 1, None, null_mut()), STATUS_SUCCESS);
    for flags in [0, READ, WRITE, READ | WRITE, NDK_OP_FLAG_RDMA_READ_SINK | NDK_OP_FLAG_ALLOW_LOCAL_WRITE] {
        assert_eq!(try_it(pages, 0, 8192, VA, flags), STATUS_SUCCESS);
    }
    assert_eq!(try_it(&pages[..1], 0, 4096, 0, READ), STATUS_SUCCESS);
    assert_eq!(try_it(pages, 12, 8180, VA + 12, READ), STATUS_SUCCESS);
    for (fbo, length, base) in [
        (12, 8181, VA + 12),
        (0, 8193, VA),
        (12, 1, VA),
        (12, 1, 0),
        (0, 1, VA + 12),
        (4096, 1, VA + 4096),
        (0, 8192, u64::MAX - 4095),
        (0, usize::MAX, VA),
    ] {
        assert_eq!(try_it(pages, fbo, length, base, READ), STATUS_INVALID_PARAMETER, "{fbo} {length} {base:x}");
    }
    let three = [pages[0], pages[1], pages[0]];
    assert_eq!(try_it(&three, 0, 4096, VA, READ), STATUS_INVALID_PARAMETER);
    assert_eq!(try_it(&[VA, VA + 4096], 0, 8192, VA, READ), STATUS_INVALID_PARAMETER);
    assert_eq!(call!(closed, NdkInitializeFastRegisterMr, 2, 0, None, null_mut()), STATUS_SUCCESS);
    assert_eq!(staged(&bench, closed, pages, 0, 8192, VA, READ), STATUS_ACCESS_VIOLATION);
    assert_eq!(staged(&bench, closed, pages, 0, 8192, VA, WRITE), STATUS_ACCESS_VIOLATION);
    assert_eq!(staged(&bench, closed, pages, 0, 8192, VA, NDK_OP_FLAG_ALLOW_LOCAL_WRITE), STATUS_SUCCESS);
    let normal = bench.mr(false);
    assert_eq!(staged(&bench, normal, pages, 0, 8192, VA, 0), STATUS_INVALID_PARAMETER);
    for mr in [mr, closed, normal] {
        assert_eq!(close_mr(mr), STATUS_SUCCESS);
    }
    call!(bench.adapter, NdkReleaseLAM, lam.as_ptr().cast_mut().cast::<NDK_LOGICAL_ADDRESS_MAPPING>());
    assert_eq!(bench.mapped(), 0, "nothing that was refused or dropped holds the pages");
    bench.end();
}

/// WR-37, WR-39, WR-41, MR-28, T-23
#[test]
fn a_fast_registration_serves_its_range_until_it_is_invalidated_under_one_token() {
    let bench = Bench::new();
    let mut buffer = Buffer::new(64, &[8000]);
    let (mr, normal) = (bench.mr(true), bench.mr(false));
    assert_eq!(call!(mr, NdkInitializeFastRegisterMr, 2, 1, None, null_mut()), STATUS_SUCCESS);
    let token = remote(mr);
    for round in 0..3 {
        let (status, lam, fbo) = bench.build_lam(&mut buffer, 8000);
        assert_eq!((status, fbo), (STATUS_SUCCESS, 64));
        // SAFETY: the MR is open.
        let region = unsafe { Borrowed::<Mr<System>>::from_handle(mr) };
        let base = core::ptr::without_provenance_mut((VA + 64) as usize);
        let posted = PostedFastRegister {
            page_count: 2,
            pages: lam[2..].as_ptr().cast(),
            fbo,
            length: 8000,
            base,
            flags: WRITE,
        };
        // SAFETY: two entries are there.
        let staged = unsafe { stage_fast_register(&region, bench.domain(), StageOwner::new(0, round), &posted) };
        let staged = staged.ok().unwrap();
        let Operation::FastRegister(request) = staged.operation() else { panic!("a fast registration") };
        staged.posted();
        call!(bench.adapter, NdkReleaseLAM, lam.as_ptr().cast_mut().cast::<NDK_LOGICAL_ADDRESS_MAPPING>());
        let mut turn = bench.turn();
        turn.fast_register(&request).unwrap();
        assert_eq!(remote(mr), token);
        let epoch = turn.grant(token, VA + 64, 8000, Access::REMOTE_WRITE).unwrap();
        turn.remote_write(token, epoch, VA + 64 + 7999, &[round as u8 + 100]).unwrap();
        assert_eq!(buffer.byte(7999), round as u8 + 100);
        let header = mr.cast::<NDK_OBJECT_HEADER>();
        // SAFETY: an open object's header.
        let operation = unsafe { mw::prepare_invalidate::<System>(header, bench.domain()) };
        let Ok(Operation::LocalInvalidate { key }) = operation else { panic!("an invalidate") };
        assert_eq!(turn.invalidate(key), Ok(Revocation::Done));
        assert_eq!(turn.remote_write(token, epoch, VA + 64, &[0]), Err(Fault::Revoked));
        assert_eq!(bench.mapped(), 0);
    }
    for wrong in [normal.cast::<NDK_OBJECT_HEADER>(), bench.pd.cast()] {
        // SAFETY: an open object's header.
        let operation = unsafe { mw::prepare_invalidate::<System>(wrong, bench.domain()) };
        assert_eq!(operation, Err(STATUS_INVALID_PARAMETER));
    }
    assert_eq!((close_mr(mr), close_mr(normal)), (STATUS_SUCCESS, STATUS_SUCCESS));
    bench.end();
}

// After the macro that both use.
mod lam;
mod windows;
