//! Time as Windows tells it: 100 ns, negative for an interval. The machine's clock starts at [`BOOT`] of the system time.

use crate::exports;
use crate::kernel::Machine;
use crate::kernel::export::Export;
use crate::kernel::irql;
use crate::kernel::wdk::{LARGE_INTEGER, PLARGE_INTEGER, PULONG64, ULONG, ULONGLONG};

/// The system time at which the clock is 0: the first of January 2026, in 100 ns from the year 1601 on.
pub const BOOT: u64 = 134_116_992_000_000_000;
/// Nanoseconds of a clock interrupt.
pub const TICK: u64 = 15_625_000;

/// A machine's system time.
pub fn system(now: u64) -> u64 {
    BOOT + now / 100
}

/// When a time that a driver passes is, on the machine's clock, in nanoseconds.
pub(super) fn instant(time: i64, now: u64) -> u64 {
    if time <= 0 {
        now.saturating_add(time.unsigned_abs().saturating_mul(100))
    } else {
        time.unsigned_abs().saturating_sub(BOOT).saturating_mul(100)
    }
}

/// The same for a pointer, of which NULL is no end.
pub(super) fn deadline(time: PLARGE_INTEGER, now: u64) -> Option<u64> {
    if time.is_null() {
        return None;
    }
    // SAFETY: the pages: NULL or a valid time.
    let time = unsafe { time.read() };
    // SAFETY: every member of the union is the same 64 bits.
    Some(instant(unsafe { time.QuadPart }, now))
}

fn give(place: PLARGE_INTEGER, value: u64) {
    // SAFETY: the pages: room for a time.
    unsafe { place.write(LARGE_INTEGER { QuadPart: value.cast_signed() }) };
}

/// Gives the performance counter that belongs to a time, where there is room for it.
fn give_counter(place: PULONG64, now: u64) {
    if !place.is_null() {
        // SAFETY: the pages: NULL or room for the counter.
        unsafe { place.write(now / 100) };
    }
}

ndk_types::abi! {
    unsafe extern "C" fn ke_query_system_time_precise(time: PLARGE_INTEGER) {
        give(time, system(Machine::current().now()));
    }

    unsafe extern "C" fn ke_query_interrupt_time_precise(counter: PULONG64) -> ULONGLONG {
        let now = Machine::current().now();
        give_counter(counter, now);
        now / 100
    }

    unsafe extern "C" fn ke_query_interrupt_time() -> ULONGLONG {
        Machine::current().now() / TICK * TICK / 100
    }

    unsafe extern "C" fn ke_query_time_increment() -> ULONG {
        (TICK / 100) as ULONG
    }

    unsafe extern "C" fn ex_local_time(from: PLARGE_INTEGER, to: PLARGE_INTEGER) {
        // SAFETY: the page: a valid time.
        let time = unsafe { from.read() };
        // SAFETY: the page: room for a time. The machine stands in Greenwich.
        unsafe { to.write(time) };
    }

    unsafe extern "C" fn ke_stall_execution_processor(microseconds: ULONG) {
        // The clock stands still while a driver runs: nothing can be waited for in this way.
        if microseconds > 50 {
            let text = format!("KeStallExecutionProcessor for {microseconds} us at {}", irql::current());
            Machine::current().violation("stall", text);
        }
    }
}

pub(super) fn exports() -> impl IntoIterator<Item = Export> {
    exports! { "ntoskrnl.exe" in crate::kernel::wdk::ntddk;
        KeQuerySystemTimePrecise <= High = ke_query_system_time_precise,
        KeQueryInterruptTimePrecise <= High = ke_query_interrupt_time_precise,
        KeQueryInterruptTime <= High = ke_query_interrupt_time,
        KeQueryTimeIncrement <= High = ke_query_time_increment,
        ExSystemTimeToLocalTime <= High = ex_local_time,
        ExLocalTimeToSystemTime <= High = ex_local_time,
        KeStallExecutionProcessor <= High = ke_stall_execution_processor,
    }
}
