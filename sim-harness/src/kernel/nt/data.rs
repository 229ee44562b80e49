//! What ntoskrnl exports and an image does not call through a gate: variables (object types, the bounds of a program's
//! addresses), and the probe of big stack frames, which has a convention of its own (W-41).

use std::arch::naked_asm;

/// Object types: nobody looks inside, each is an address of its own.
static TYPES: [u64; 4] = [0; 4];
static THREAD_TYPE: &u64 = &TYPES[0];
static EVENT_TYPE: &u64 = &TYPES[1];
static FILE_TYPE: &u64 = &TYPES[2];
static PROCESS_TYPE: &u64 = &TYPES[3];
/// The last address of a program and the first behind it, as x64 has them.
static HIGHEST_USER_ADDRESS: u64 = 0x7fff_fffe_ffff;
static USER_PROBE_ADDRESS: u64 = 0x7fff_ffff_0000;
static SYSTEM_RANGE_START: u64 = 0xffff_8000_0000_0000;

/// Whether an object type is that of threads.
pub(super) fn is_thread_type(address: usize) -> bool {
    address == std::ptr::from_ref(THREAD_TYPE).addr()
}

/// Touches each page of the frame of so many bytes (RAX) that is about to be made, so that the guard page is not stepped over.
/// Every register stays as it is.
#[unsafe(naked)]
unsafe extern "win64" fn probe_stack() {
    naked_asm!(
        "push rax",
        "push rcx",
        "lea rcx, [rsp + 24]",           // where the caller's stack is
        "2:",
        "cmp rax, {page}",
        "jbe 3f",
        "sub rcx, {page}",
        "sub rax, {page}",
        "test byte ptr [rcx], 0",
        "jmp 2b",
        "3:",
        "sub rcx, rax",
        "test byte ptr [rcx], 0",
        "pop rcx",
        "pop rax",
        "ret",
        page = const 4096,
    )
}

/// Where a variable that an image imports is: its address goes where that of a function's gate does otherwise.
pub(in super::super) fn variable(library: &str, name: &str) -> Option<usize> {
    if !library.eq_ignore_ascii_case("ntoskrnl.exe") {
        return None;
    }
    let of_type = |variable: &'static &'static u64| std::ptr::from_ref(variable).expose_provenance();
    let of_number = |variable: &'static u64| std::ptr::from_ref(variable).expose_provenance();
    Some(match name {
        "__chkstk" => probe_stack as *const () as usize,
        "PsThreadType" => of_type(&THREAD_TYPE),
        "ExEventObjectType" => of_type(&EVENT_TYPE),
        "IoFileObjectType" => of_type(&FILE_TYPE),
        "PsProcessType" => of_type(&PROCESS_TYPE),
        "MmHighestUserAddress" => of_number(&HIGHEST_USER_ADDRESS),
        "MmUserProbeAddress" => of_number(&USER_PROBE_ADDRESS),
        "MmSystemRangeStart" => of_number(&SYSTEM_RANGE_START),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// W-41
    #[test]
    fn the_probe_of_a_frame_keeps_every_register() {
        let probe = variable("ntoskrnl.exe", "__chkstk").unwrap();
        for size in [8_u64, 4096, 4097, 20_000] {
            let (mut rax, mut rcx, mut rdx): (u64, u64, u64) = (size, 2, 3);
            // SAFETY: the probe reads the stack below and changes nothing.
            unsafe {
                std::arch::asm!("call {}", in(reg) probe, inout("rax") rax, inout("rcx") rcx, inout("rdx") rdx);
            }
            assert_eq!((rax, rcx, rdx), (size, 2, 3));
        }
    }

    #[test]
    fn a_variable_holds_the_type_that_references_are_asked_with() {
        let thread: *const usize = std::ptr::with_exposed_provenance(variable("NTOSKRNL.EXE", "PsThreadType").unwrap());
        let event: *const usize =
            std::ptr::with_exposed_provenance(variable("ntoskrnl.exe", "ExEventObjectType").unwrap());
        // SAFETY: variables of this file.
        assert!(is_thread_type(unsafe { thread.read() }));
        // SAFETY: as above.
        assert!(!is_thread_type(unsafe { event.read() }));
        assert_eq!((variable("hal.dll", "PsThreadType"), variable("ntoskrnl.exe", "PsNoType")), (None, None));
    }
}
