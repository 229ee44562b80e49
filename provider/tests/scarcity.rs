//! Without memory: every allocation of every create fails once. The create says STATUS_INSUFFICIENT_RESOURCES and leaves
//! nothing behind; with memory it succeeds, and closing gives back every byte.

use core::ffi::c_void;
use ndk_provider::limits::{Limits, VERSIONS};
use ndk_provider::platform::{Event, LocalInterface, MapFailure, Mapping, Platform, Signal};
use ndk_provider::port::Port;
use ndk_provider::shared::Shared;
use ndk_types::*;
use roce_engine::time::{Duration, Time};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::net::IpAddr;
use std::ptr::{NonNull, null_mut};

thread_local! {
    /// How many more allocations of this thread succeed; `u64::MAX` for all.
    static LEFT: Cell<u64> = const { Cell::new(u64::MAX) };
    static LIVE: Cell<i64> = const { Cell::new(0) };
}

struct Scarce;

impl Scarce {
    fn refuses() -> bool {
        match LEFT.get() {
            0 => true,
            u64::MAX => false,
            left => {
                LEFT.set(left - 1);
                false
            }
        }
    }
}

// SAFETY: the system's allocator, or NULL, which every caller of `alloc` has to expect.
unsafe impl GlobalAlloc for Scarce {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if Self::refuses() {
            return null_mut();
        }
        LIVE.set(LIVE.get() + layout.size().cast_signed() as i64);
        // SAFETY: the caller's contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        LIVE.set(LIVE.get() - layout.size().cast_signed() as i64);
        // SAFETY: the caller's contract.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Scarce = Scarce;

struct Nothing;
struct Nowhere;

// SAFETY: nothing is mapped.
unsafe impl Mapping for Nowhere {
    fn base(&self) -> NonNull<u8> {
        NonNull::dangling()
    }
    fn len(&self) -> usize {
        0
    }
}

impl Signal for Nowhere {
    fn set(&self) {}
}

impl Platform for Nothing {
    type Frame = Vec<u8>;
    type Mapping = Nowhere;
    type Raised = ();
    type Signal = Nowhere;
    const TIMER_GRANULARITY: Duration = Duration::from_micros(200);

    fn now(&self) -> Time {
        Time::from_nanos(0)
    }
    fn random(&self, bytes: &mut [u8]) {
        bytes.fill(0x5a);
    }
    fn raise(&self) {}
    fn frame(&self, _len: usize) -> Option<Vec<u8>> {
        None
    }
    fn transmit(&self, _frames: &mut dyn Iterator<Item = Vec<u8>>) {}
    fn set_timer(&self, _at: Time) {}
    fn defer(&self) {}
    unsafe fn map(&self, _mdl: NonNull<MDL>, _length: usize, _writable: bool) -> Result<Nowhere, MapFailure> {
        Err(MapFailure::NoResources)
    }
    fn interface(&self, _address: IpAddr) -> Option<LocalInterface> {
        None
    }
    fn resolve(&self, _local: IpAddr, _remote: IpAddr, _token: u64) {}
    fn signal(&self) -> Option<Nowhere> {
        Some(Nowhere)
    }
    fn wait(&self, _signal: &Nowhere) {}
    fn log(&self, _event: Event) {}
}

const LIMITS: Limits = Limits {
    queue_pairs: 4,
    completion_queues: 4,
    regions: 8,
    protection_domains: 4,
    mappings: 4,
    shared_receive_queues: 4,
    connections: 4,
    endpoints: 4,
    held_frames: 4,
};

macro_rules! call {
    ($object:expr, $slot:ident $(, $argument:expr)* $(,)?) => {{
        let object = $object;
        // SAFETY: an open object, whose table has every slot.
        let slot = unsafe { (*(*object).Dispatch).$slot }.expect("every slot is filled");
        // SAFETY: the arguments are as the function's page wants them.
        unsafe { slot(object.cast() $(, $argument)*) }
    }};
}

/// Lets each allocation of `make` fail once, then none; the last one's result.
fn starve<T>(name: &str, mut make: impl FnMut() -> Result<T, NTSTATUS>) -> T {
    for allowed in 0..1_000 {
        let before = LIVE.get();
        LEFT.set(allowed);
        let made = make();
        let starved = LEFT.get() == 0;
        LEFT.set(u64::MAX);
        match made {
            Ok(made) => {
                assert!(allowed > 0, "{name} allocates nothing");
                return made;
            }
            Err(status) => {
                assert!(starved, "{name} fails with memory: {status:#x}");
                assert_eq!(status, STATUS_INSUFFICIENT_RESOURCES, "{name}, allocation {allowed}");
                assert_eq!(LIVE.get(), before, "{name}, allocation {allowed}: bytes are left");
            }
        }
    }
    panic!("{name} never succeeds");
}

fn told<T>(status: NTSTATUS, made: *mut T) -> Result<*mut T, NTSTATUS> {
    if status == STATUS_SUCCESS { Ok(made) } else { Err(status) }
}

/// Starves a create of a dispatch table.
macro_rules! starve {
    ($parent:expr, $slot:ident $(, $argument:expr)* $(,)?) => {
        starve(stringify!($slot), || {
            let mut made = null_mut();
            let status = call!($parent, $slot $(, $argument)*, None, null_mut(), &raw mut made);
            told(status, made)
        })
    };
}

fn port() -> Shared<Port<Nothing>> {
    starve("a port", || Port::try_new(Nothing, LIMITS).ok_or(STATUS_INSUFFICIENT_RESOURCES))
}

/// What can fail, fails at create time.
/// ADP-06: an adapter, and everything under it.
#[test]
fn a_create_without_memory_says_so_and_leaves_nothing() {
    let before = LIVE.get();
    let port = port();
    let open = LIVE.get();
    let none: *mut c_void = null_mut();
    let adapter = starve("an adapter", || {
        Port::open_adapter(&port, VERSIONS[1]).map_err(|status| {
            assert_eq!(status, NDIS_STATUS_RESOURCES);
            STATUS_INSUFFICIENT_RESOURCES
        })
    });
    let cq = starve!(adapter, NdkCreateCq, 64, None, none, null_mut());
    let pd = starve!(adapter, NdkCreatePd);
    let mr = starve!(pd, NdkCreateMr, 1);
    let mw = starve!(pd, NdkCreateMw);
    let qp = starve!(pd, NdkCreateQp, cq, cq, none, 16, 16, 4, 4, 64);
    let connector = starve!(adapter, NdkCreateConnector);
    let listener = starve!(adapter, NdkCreateListener, None, none);
    let srq = starve!(pd, NdkCreateSrq, 16, 2, 0, None, none, null_mut());
    call!(srq, NdkCloseSrq, None, none);
    call!(listener, NdkCloseListener, None, none);
    call!(connector, NdkCloseConnector, None, none);
    call!(qp, NdkCloseQp, None, none);
    call!(mw, NdkCloseMw, None, none);
    call!(mr, NdkCloseMr, None, none);
    call!(pd, NdkClosePd, None, none);
    call!(cq, NdkCloseCq, None, none);
    // SAFETY: opened by this port, closed once.
    unsafe { Port::close_adapter(&port, adapter) };
    assert_eq!(LIVE.get(), open, "every object's bytes are back");
    drop(port);
    assert_eq!(LIVE.get(), before, "and the port's");
}
