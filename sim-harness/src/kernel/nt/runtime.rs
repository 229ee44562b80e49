//! Pool calls, time, processors, strings, what compiled code calls, and the bug check.

use super::pool::{BadFree, tag_text};
use crate::exports;
use crate::kernel::Machine;
use crate::kernel::export::Export;
use crate::kernel::irql::{self, Irql};
use crate::kernel::wdk::{
    BOOLEAN, LARGE_INTEGER, PCSTR, PCUNICODE_STRING, PCWSTR, PLARGE_INTEGER, POOL_FLAGS, PPROCESSOR_NUMBER,
    PUNICODE_STRING, PVOID, SIZE_T, ULONG, USHORT,
};
use std::ffi::c_void;
use std::ptr;

const UNINITIALIZED: u64 = 0x2;
const NON_PAGED: u64 = 0x40;
const PAGED: u64 = 0x100;
/// Ticks a second of the performance counter.
const FREQUENCY: i64 = 10_000_000;
/// Processors of a machine.
pub const PROCESSORS: u32 = 1;

/// Frees a block of the pool; what is wrong with that is a violation.
pub(super) fn free(block: PVOID, tag: u32) {
    let machine = Machine::current();
    if let Some(bytes) = machine.nt.pool.size_of(block.addr()) {
        machine.nt.locks.forget_range(block.addr(), block.addr() + bytes);
    }
    let Err(bad) = machine.nt.pool.free(&machine.nt.memory, block.cast(), tag) else { return };
    let at = block.addr();
    machine.violation(
        "pool",
        match bad {
            BadFree::Unknown => format!("{at:#x} is freed and is no block"),
            BadFree::Twice => format!("block {at:#x} is freed twice"),
            BadFree::Tag { allocated } => {
                format!("block {at:#x} of '{}' is freed as '{}'", tag_text(allocated), tag_text(tag))
            }
            BadFree::Underrun => format!("bytes in front of block {at:#x} were written"),
            BadFree::Overrun => format!("bytes behind block {at:#x} were written"),
        },
    );
}

/// The text of a counted string.
pub fn text(string: PCUNICODE_STRING) -> String {
    if string.is_null() {
        return String::new();
    }
    // SAFETY: the callers' pages: NULL or a valid counted string.
    let string = unsafe { string.read() };
    let length = usize::from(string.Length / 2);
    // SAFETY: as above: so many characters are there.
    let units = (0..length).map(|place| unsafe { string.Buffer.wrapping_add(place).read_unaligned() });
    String::from_utf16_lossy(&units.collect::<Vec<_>>())
}

ndk_types::abi! {
    unsafe extern "C" fn ex_allocate_pool2(flags: POOL_FLAGS, bytes: SIZE_T, tag: ULONG) -> PVOID {
        let machine = Machine::current();
        if bytes == 0 || tag == 0 || flags & (NON_PAGED | PAGED) == 0 {
            machine.violation("pool", format!("ExAllocatePool2 of {bytes} bytes, flags {flags:#x}, tag {tag:#x}"));
        }
        if flags & PAGED != 0 && irql::current() > Irql::Apc {
            machine.violation("irql", "paged pool above APC_LEVEL");
        }
        if machine.take_failure("ExAllocatePool2") {
            return ptr::null_mut();
        }
        let block = machine.nt.pool.allocate(&machine.nt.memory, bytes, tag, flags & UNINITIALIZED == 0);
        block.map_or(ptr::null_mut(), <*mut u8>::cast)
    }

    unsafe extern "C" fn ex_free_pool(block: PVOID) {
        free(block, 0);
    }

    unsafe extern "C" fn ex_free_pool_with_tag(block: PVOID, tag: ULONG) {
        free(block, tag);
    }

    unsafe extern "C" fn ke_query_performance_counter(frequency: PLARGE_INTEGER) -> LARGE_INTEGER {
        if !frequency.is_null() {
            // SAFETY: the page: NULL or room for the frequency.
            unsafe { frequency.write(LARGE_INTEGER { QuadPart: FREQUENCY }) };
        }
        LARGE_INTEGER { QuadPart: (Machine::current().now() / 100).cast_signed() }
    }

    unsafe extern "C" fn ke_get_current_processor_number_ex(number: PPROCESSOR_NUMBER) -> ULONG {
        if !number.is_null() {
            // SAFETY: the page: NULL or room for a number.
            unsafe { number.write(crate::kernel::wdk::PROCESSOR_NUMBER::default()) };
        }
        0
    }

    unsafe extern "C" fn ke_query_active_processor_count_ex(_group: USHORT) -> ULONG {
        PROCESSORS
    }

    unsafe extern "C" fn rtl_init_unicode_string(destination: PUNICODE_STRING, source: PCWSTR) {
        let mut length = 0_u16;
        if !source.is_null() {
            // SAFETY: the page: NULL or a string that ends with zero.
            while unsafe { source.wrapping_add(usize::from(length)).read() } != 0 {
                length += 1;
            }
        }
        let whole = if source.is_null() { 0 } else { length * 2 + 2 };
        let string = crate::kernel::wdk::UNICODE_STRING {
            Length: length * 2,
            MaximumLength: whole,
            Buffer: source.cast_mut(),
        };
        // SAFETY: the page: room for a counted string.
        unsafe { destination.write(string) };
    }

    unsafe extern "C" fn rtl_equal_unicode_string(
        left: PCUNICODE_STRING,
        right: PCUNICODE_STRING,
        ignore_case: BOOLEAN,
    ) -> BOOLEAN {
        let (left, right) = (text(left), text(right));
        BOOLEAN::from(if ignore_case == 0 { left == right } else { left.to_uppercase() == right.to_uppercase() })
    }

    unsafe extern "C" fn memcpy(to: PVOID, from: *const c_void, count: SIZE_T) -> PVOID {
        // SAFETY: the caller's contract: two ranges of so many bytes.
        unsafe { ptr::copy(from.cast::<u8>(), to.cast::<u8>(), count) };
        to
    }

    unsafe extern "C" fn memset(to: PVOID, value: i32, count: SIZE_T) -> PVOID {
        // SAFETY: the caller's contract: so many bytes.
        unsafe { ptr::write_bytes(to.cast::<u8>(), value as u8, count) };
        to
    }

    unsafe extern "C" fn memcmp(left: *const c_void, right: *const c_void, count: SIZE_T) -> i32 {
        // SAFETY: the caller's contract: so many bytes on either side.
        unsafe { libc::memcmp(left, right, count) }
    }

    unsafe extern "C" fn strlen(string: PCSTR) -> SIZE_T {
        // SAFETY: the caller's contract: a string that ends with zero.
        unsafe { libc::strlen(string) }
    }
}

/// Ends the run with a report: nothing of the driver can go on.
///
/// # Safety
/// None: any numbers.
unsafe extern "win64" fn ke_bug_check_ex(code: ULONG, a: SIZE_T, b: SIZE_T, c: SIZE_T, d: SIZE_T) -> ! {
    let machine = Machine::current();
    eprintln!("*** STOP {code:#010x} ({a:#x}, {b:#x}, {c:#x}, {d:#x}) on {} at {} ns", machine.name, machine.now());
    if code == 0x5250_4e43 {
        // SAFETY: our panic handler passes the source file's name: its address and length.
        let file = unsafe { std::slice::from_raw_parts(ptr::with_exposed_provenance::<u8>(a), b) };
        eprintln!("a panic of the driver at {}:{c}", String::from_utf8_lossy(file));
    }
    for violation in machine.verifier.violations() {
        eprintln!("{violation}");
    }
    std::process::exit(101)
}

pub(super) fn exports() -> impl IntoIterator<Item = Export> {
    exports! { "ntoskrnl.exe" in crate::kernel::wdk::ntddk;
        ExAllocatePool2 <= Dispatch = ex_allocate_pool2,
        ExFreePool <= Dispatch = ex_free_pool,
        ExFreePoolWithTag <= Dispatch = ex_free_pool_with_tag,
        KeQueryPerformanceCounter <= High = ke_query_performance_counter,
        KeGetCurrentProcessorNumberEx <= High = ke_get_current_processor_number_ex,
        KeQueryActiveProcessorCountEx <= High = ke_query_active_processor_count_ex,
        RtlInitUnicodeString <= Dispatch = rtl_init_unicode_string,
        RtlEqualUnicodeString <= Passive = rtl_equal_unicode_string,
        KeBugCheckEx <= High = ke_bug_check_ex,
        memcpy <= High = memcpy,
        memmove <= High = memcpy,
        memset <= High = memset,
        memcmp <= High = memcmp,
        strlen <= High = strlen,
    }
}
