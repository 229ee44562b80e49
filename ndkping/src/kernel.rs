//! Thin ownership over what ntoskrnl gives: each thing is freed once, by its owner.

mod buffer;
mod event;
mod guarded;
mod pool;
mod thread;

pub use buffer::Buffer;
pub use event::{Event, Woken};
pub use guarded::Guarded;
pub use pool::{Block, TAG};
pub use thread::Thread;

use wdk_sys::ntddk::{KeDelayExecutionThread, KeQueryPerformanceCounter};
use wdk_sys::{_MODE, KPROCESSOR_MODE, LARGE_INTEGER, LONGLONG};

/// Nanoseconds of the performance counter. Any IRQL.
pub fn nanoseconds() -> u64 {
    let mut frequency = LARGE_INTEGER { QuadPart: 0 };
    // SAFETY: KeQueryPerformanceCounter: callable at any IRQL; the frequency is written to a local.
    let now = unsafe { KeQueryPerformanceCounter(&raw mut frequency) };
    let (ticks, second) = (quad(now), quad(frequency).max(1));
    let whole = (ticks / second).wrapping_mul(1_000_000_000);
    whole.wrapping_add((ticks % second).wrapping_mul(1_000_000_000) / second)
}

fn quad(value: LARGE_INTEGER) -> u64 {
    // SAFETY: every bit pattern of LARGE_INTEGER is a QuadPart.
    let quad: LONGLONG = unsafe { value.QuadPart };
    quad.cast_unsigned()
}

/// Lets others run for so long. PASSIVE_LEVEL.
pub fn sleep_milliseconds(milliseconds: u32) {
    // Relative times are negative, in units of 100 ns.
    let mut after = LARGE_INTEGER { QuadPart: LONGLONG::from(milliseconds).wrapping_mul(-10_000) };
    // SAFETY: KeDelayExecutionThread: kernel mode, not alertable, a valid interval, at or below APC_LEVEL.
    let _ = unsafe { KeDelayExecutionThread(_MODE::KernelMode as KPROCESSOR_MODE, 0, &raw mut after) };
}
