//! Entry points of the engine (and, with the feature, the provider) in one library whose panic handler calls a function that
//! nobody has. When no panic path is reachable the handler is dropped by the linker, and the name with it.

#![no_std]
#![expect(improper_ctypes, reason = "nothing here is ever called: only what it links to counts")]

mod cm;
mod engine;
#[cfg(feature = "provider")]
mod provider;

use core::alloc::{GlobalAlloc, Layout};

unsafe extern "C" {
    fn a_panic_is_reachable() -> !;
    fn opaque_alloc(size: usize, align: usize) -> *mut u8;
    fn opaque_dealloc(memory: *mut u8);
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    // SAFETY: never linked against anything: its name is the result.
    unsafe { a_panic_is_reachable() }
}

struct Opaque;

// SAFETY: never run.
unsafe impl GlobalAlloc for Opaque {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: never run.
        unsafe { opaque_alloc(layout.size(), layout.align()) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, _: Layout) {
        // SAFETY: never run.
        unsafe { opaque_dealloc(memory) }
    }
}

#[global_allocator]
static ALLOCATOR: Opaque = Opaque;

/// On purpose: with this environment variable at build time a panic is reachable, and the gate must say so.
#[unsafe(no_mangle)]
pub extern "C" fn sabotage(byte: u8) -> u8 {
    if option_env!("NO_PANIC_SABOTAGE").is_some() { Some(byte).filter(|&byte| byte != 7).unwrap() } else { byte }
}
