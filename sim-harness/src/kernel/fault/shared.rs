//! What a kernel's code finds in fixed places: its processor's block (KPCR, through GS) and the page that is shared with
//! programs (KUSER_SHARED_DATA). Offsets are those of Windows on x64.

use crate::kernel::Machine;
use crate::kernel::nt::{threads, time};

/// Where the shared page is in a kernel.
const PAGE: u64 = 0xffff_f780_0000_0000;
const PAGE_BYTES: u64 = 0x1000;
/// Where a processor's block would be: an address that nobody can reach.
const BLOCK: u64 = 0xffff_f802_0000_0000;

/// Where in the shared page an address is.
pub(super) fn page_offset(address: u64) -> Option<u64> {
    address.checked_sub(PAGE).filter(|&offset| offset < PAGE_BYTES)
}

/// So many bytes of the shared page, as they are at this moment.
pub(super) fn page(offset: u64, size: usize) -> u64 {
    let now = Machine::current().now();
    let mut bytes = [0_u8; PAGE_BYTES as usize + 8];
    let mut put =
        |at: usize, value: u64, size: usize| bytes[at..at + size].copy_from_slice(&value.to_le_bytes()[..size]);
    // A KSYSTEM_TIME: 64 bits, and the upper half once more.
    let mut put_time = |at: usize, value: u64| {
        put(at, value, 8);
        put(at + 8, value >> 32, 4);
    };
    put_time(0x008, now / time::TICK * time::TICK / 100);
    put_time(0x014, time::system(now / time::TICK * time::TICK));
    put_time(0x320, now / time::TICK);
    put(0x000, now / time::TICK, 4);
    // Milliseconds of a tick, times two to the 24.
    put(0x004, 0x0fa0_0000, 4);
    // Windows 11 24H2, workstation.
    put(0x260, 26_100, 4);
    put(0x264, 1, 4);
    put(0x268, 1, 1);
    put(0x26a, 9, 2);
    put(0x26c, 10, 4);
    put(0x300, 10_000_000, 8);
    put(0x3c0, 1, 4);
    put(0x3c4, 1, 1);
    let at = offset as usize;
    let mut value = [0; 8];
    let size = size.min(8);
    value[..size].copy_from_slice(&bytes[at..at + size]);
    u64::from_le_bytes(value)
}

/// What is at an offset of the processor's block; only what C's inline functions read is there.
pub(super) fn processor_block(offset: u64, size: usize) -> Result<u64, String> {
    match (offset, size) {
        // KPCR.Self, KPCR.CurrentPrcb
        (0x18, 8) => Ok(BLOCK),
        (0x20, 8) => Ok(BLOCK + 0x180),
        // KPRCB.CurrentThread: KeGetCurrentThread.
        (0x188, 8) => Ok(threads::current() as u64),
        // KPRCB.LegacyNumber, KPRCB.Number: the processor's number.
        (0x184, 1) | (0x1a4, 4) => Ok(0),
        _ => Err(format!("gs:[{offset:#x}], {size} bytes of the processor's block that the simulated kernel has not")),
    }
}

/// What a fast fail's code means (winnt.h, FAST_FAIL_...).
pub(super) fn fast_fail(code: u64) -> &'static str {
    match code {
        0 => "a stack cookie was written over (legacy)",
        1 => "a virtual function table is not the one it should be",
        2 => "a stack cookie was written over",
        3 => "a list entry is corrupt: it was removed twice, or its neighbours do not point at it",
        4 => "an incorrect stack",
        5 => "an invalid argument",
        6 => "the stack cookie was never initialized",
        7 => "a fatal exit of the program",
        8 => "a range check failed",
        9 => "unsafe access to the registry",
        10 => "an indirect call to what is no valid target (control flow guard)",
        11 => "a write that the guard forbids",
        12 => "a switch of fibers that is invalid",
        13 => "a context that is invalid",
        14 => "a reference count that is invalid",
        18 => "a jump buffer that is invalid",
        _ => "no code that is known here",
    }
}
