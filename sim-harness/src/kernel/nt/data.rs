//! Variables that ntoskrnl exports: object types, and the bounds of a program's addresses.

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

/// Where a variable that an image imports is: its address goes where that of a function's gate does otherwise.
pub(in super::super) fn variable(library: &str, name: &str) -> Option<usize> {
    if !library.eq_ignore_ascii_case("ntoskrnl.exe") {
        return None;
    }
    let of_type = |variable: &'static &'static u64| std::ptr::from_ref(variable).expose_provenance();
    let of_number = |variable: &'static u64| std::ptr::from_ref(variable).expose_provenance();
    Some(match name {
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
