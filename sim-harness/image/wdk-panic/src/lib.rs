//! Stand-in for wdk-panic: a panic is a bug check.

#![no_std]

use core::panic::PanicInfo;

/// "RPNC", as the crate has it.
const RUST_PANIC: u32 = 0x5250_4e43;

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    let (file, line) = info.location().map_or((core::ptr::null(), 0), |at| (at.file().as_ptr(), at.line()));
    let length = info.location().map_or(0, |at| at.file().len());
    // SAFETY: at any IRQL; the parameters are numbers for whoever reads the dump.
    unsafe { wdk_sys::ntddk::KeBugCheckEx(RUST_PANIC, file.addr(), length, line as usize, 0) }
}
