//! Thin ownership over what ntoskrnl gives: each thing is freed once, by its owner, in the order its documentation asks.
//!
//! Nothing here decides anything. KMDF's own timers and work items are not used: they need a device that bind, routes and
//! unload outlive or precede (W-06).

mod deferred;
mod event;
mod guarded;
mod irql;
mod pool;
mod timer;
mod work_item;

pub use deferred::Dpc;
pub use event::Event;
pub use guarded::Guarded;
pub use irql::Raised;
pub use pool::Block;
pub use timer::Timer;
pub use work_item::WorkItem;

use wdk_sys::ntddk::KeQueryPerformanceCounter;
use wdk_sys::{LARGE_INTEGER, LONGLONG};

/// Ticks of the performance counter now, and how many make a second. Any IRQL.
pub fn performance_counter() -> (u64, u64) {
    let mut frequency = LARGE_INTEGER { QuadPart: 0 };
    // SAFETY: KeQueryPerformanceCounter: callable at any IRQL; the frequency is written to a local.
    let now = unsafe { KeQueryPerformanceCounter(&raw mut frequency) };
    (quad(now), quad(frequency).max(1))
}

fn quad(value: LARGE_INTEGER) -> u64 {
    // SAFETY: every bit pattern of LARGE_INTEGER is a QuadPart.
    let quad: LONGLONG = unsafe { value.QuadPart };
    quad.cast_unsigned()
}
