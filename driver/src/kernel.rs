//! Thin ownership over what ntoskrnl gives: each thing is freed once, by its owner, in the order its documentation asks.
//!
//! Nothing here decides anything. KMDF's own timers and work items are not used: they need a device that bind, routes and
//! unload outlive or precede (W-06).

mod deferred;
mod event;
mod guarded;
mod irql;
pub mod mapping;
mod pool;
mod random;
mod timer;
mod work_item;

pub use deferred::Dpc;
pub use event::Event;
pub use guarded::Guarded;
pub use irql::Raised;
pub use pool::Block;
pub use random::Random;
pub use timer::Timer;
pub use work_item::WorkItem;

use wdk_sys::ntddk::{KeDelayExecutionThread, KeQueryPerformanceCounter};
use wdk_sys::{_MODE, KPROCESSOR_MODE, LARGE_INTEGER, LONGLONG};

/// Lets others run for so long. PASSIVE_LEVEL.
pub fn sleep_milliseconds(milliseconds: u32) {
    // Relative times are negative, in units of 100 ns.
    let mut after = LARGE_INTEGER { QuadPart: LONGLONG::from(milliseconds).wrapping_mul(-10_000) };
    // SAFETY: KeDelayExecutionThread: kernel mode, not alertable, a valid interval, at or below APC_LEVEL.
    let _ = unsafe { KeDelayExecutionThread(_MODE::KernelMode as KPROCESSOR_MODE, 0, &raw mut after) };
}

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
