//! The system about itself: its version, whose context this is, numbers that nobody else has; old work items; the ends of a run
//! that drivers may ask for.

use super::io::in_program;
use crate::exports;
use crate::kernel::Machine;
use crate::kernel::export::Export;
use crate::kernel::wdk::c_only::PWORK_QUEUE_ITEM;
use crate::kernel::wdk::{
    BOOLEAN, KPROCESSOR_MODE, NTSTATUS, PEPROCESS, PULONG, PUNICODE_STRING, ULONG, WORK_QUEUE_TYPE,
};
use ndk_types::STATUS_SUCCESS;
use std::ptr;

/// Windows 11 24H2, as the shared page says too.
const MAJOR: u32 = 10;
const MINOR: u32 = 0;
const BUILD: u32 = 26_100;
/// RTL_OSVERSIONINFOW and RTL_OSVERSIONINFOEXW, in bytes; VER_PLATFORM_WIN32_NT.
const VERSION_BYTES: u32 = 276;
const VERSION_EX_BYTES: u32 = 284;
const PLATFORM_NT: u32 = 2;
/// UserMode.
const USER_MODE: KPROCESSOR_MODE = 1;

/// What processes' objects stand for: the system's and the programs'.
static PROCESSES: [u64; 2] = [0; 2];

fn give(place: PULONG, value: u32) {
    if !place.is_null() {
        // SAFETY: the pages: NULL or room for a number.
        unsafe { place.write(value) };
    }
}

/// Ends the run with a report.
fn end(what: &str) -> ! {
    let machine = Machine::current();
    eprintln!("*** {what} on {} at {} ns", machine.name, machine.now());
    for violation in machine.verifier.violations() {
        eprintln!("{violation}");
    }
    std::process::exit(101)
}

ndk_types::abi! {
    unsafe extern "C" fn rtl_get_version(place: PULONG) -> NTSTATUS {
        let machine = Machine::current();
        // SAFETY: the page: a structure that begins with its size.
        let size = unsafe { place.read() };
        if size != VERSION_BYTES && size != VERSION_EX_BYTES {
            machine.violation("version", format!("RtlGetVersion into a structure of {size} bytes"));
            return STATUS_SUCCESS;
        }
        // SAFETY: as above.
        unsafe { ptr::write_bytes(place.cast::<u8>(), 0, size as usize) };
        for (field, value) in [size, MAJOR, MINOR, BUILD, PLATFORM_NT].into_iter().enumerate() {
            give(place.wrapping_add(field), value);
        }
        if size == VERSION_EX_BYTES {
            // wProductType, behind two service-pack numbers and the suite mask: a workstation.
            let product = place.cast::<u8>().wrapping_add(282);
            // SAFETY: inside the structure.
            unsafe { product.write(1) };
        }
        STATUS_SUCCESS
    }

    unsafe extern "C" fn ps_get_version(
        major: PULONG,
        minor: PULONG,
        build: PULONG,
        _service_pack: PUNICODE_STRING,
    ) -> BOOLEAN {
        give(major, MAJOR);
        give(minor, MINOR);
        give(build, BUILD);
        // Not a checked build.
        0
    }

    unsafe extern "C" fn ex_get_previous_mode() -> KPROCESSOR_MODE {
        if in_program() { USER_MODE } else { 0 }
    }

    unsafe extern "C" fn io_get_current_process() -> PEPROCESS {
        ptr::from_ref(&PROCESSES[usize::from(in_program())]).cast_mut().cast()
    }

    unsafe extern "C" fn ex_uuid_create(id: *mut [u8; 16]) -> NTSTATUS {
        let machine = Machine::current();
        let mut new = [0; 16];
        new[..8].copy_from_slice(&machine.nt.random_u64().to_ne_bytes());
        new[8..].copy_from_slice(&machine.nt.random_u64().to_ne_bytes());
        // Version 4, as its third part and its fourth say.
        new[7] = (new[7] & 0x0f) | 0x40;
        new[8] = (new[8] & 0x3f) | 0x80;
        // SAFETY: the page: room for an identifier.
        unsafe { id.write(new) };
        STATUS_SUCCESS
    }

    unsafe extern "C" fn rtl_random_ex(seed: PULONG) -> ULONG {
        let value = (Machine::current().nt.random_u64() as u32) & 0x7fff_ffff;
        give(seed, value);
        value
    }

    unsafe extern "C" fn ex_queue_work_item(item: PWORK_QUEUE_ITEM, _queue: WORK_QUEUE_TYPE) {
        let machine = Machine::current();
        // SAFETY: the page: an initialized item, which is the routine's from here on.
        let fields = unsafe { &mut *item };
        let Some(routine) = fields.WorkerRoutine else {
            machine.violation("work item", format!("work item {:#x} has no routine", item.addr()));
            return;
        };
        // ExInitializeWorkItem is inline and leaves NULL here.
        if !fields.List.Flink.is_null() {
            machine.violation("work item", format!("work item {:#x} is queued while it is queued", item.addr()));
            return;
        }
        fields.List.Flink = ptr::from_mut(&mut fields.List);
        let (address, parameter) = (item.expose_provenance(), fields.Parameter.expose_provenance());
        let owner = machine.clone();
        machine.thread("a work item", move || {
            let item: PWORK_QUEUE_ITEM = ptr::with_exposed_provenance_mut(address);
            // SAFETY: the item stays until its routine runs.
            unsafe { (*item).List.Flink = ptr::null_mut() };
            let parameter = ptr::with_exposed_provenance_mut::<std::ffi::c_void>(parameter);
            // SAFETY: the routine's contract: the item's parameter.
            unsafe {
                crate::call_driver!(owner, "a work item", crate::kernel::irql::Irql::Passive, routine, parameter);
            }
        });
    }
}

/// Ends the run: the driver says that nothing can go on.
///
/// # Safety
/// None: any number.
unsafe extern "win64" fn ke_bug_check(code: ULONG) -> ! {
    end(&format!("STOP {code:#010x}"))
}

/// Ends the run: exceptions go to handlers that the simulated kernel does not look for.
///
/// # Safety
/// None: any number.
unsafe extern "win64" fn ex_raise_status(status: NTSTATUS) -> ! {
    end(&format!("an exception with the status {status:#010x}, and structured handlers are not simulated"))
}

pub(super) fn exports() -> impl IntoIterator<Item = Export> {
    exports! { "ntoskrnl.exe" in crate::kernel::wdk::c_only;
        KeBugCheck <= High = ke_bug_check,
        ExRaiseStatus <= Apc = ex_raise_status,
        RtlGetVersion <= Passive = rtl_get_version,
        PsGetVersion <= Passive = ps_get_version,
        ExGetPreviousMode <= Dispatch = ex_get_previous_mode,
        IoGetCurrentProcess <= High = io_get_current_process,
        ExUuidCreate <= Passive = ex_uuid_create,
        RtlRandomEx <= Apc = rtl_random_ex,
        ExQueueWorkItem <= Dispatch = ex_queue_work_item,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::bad_drivers::{broken, import};
    use crate::kernel::wdk::c_only::WORK_QUEUE_ITEM;
    use std::sync::atomic::{AtomicU64, Ordering};

    #[test]
    fn the_version_is_the_same_by_every_way() {
        let rules = broken(|_, _| {
            let mut words = [0_u32; 71];
            words[0] = VERSION_EX_BYTES;
            assert_eq!(import!(c_only: RtlGetVersion, words.as_mut_ptr()), STATUS_SUCCESS);
            assert_eq!((&words[..5], words[70] >> 16 & 0xff), (&[284, 10, 0, 26_100, 2][..], 1));
            let (mut major, mut build) = (0, 0);
            let none = ptr::null_mut();
            import!(c_only: PsGetVersion, &raw mut major, ptr::null_mut(), &raw mut build, none);
            assert_eq!((major, build), (10, 26_100));
            assert_eq!(import!(c_only: ExGetPreviousMode), 0);
            let mut ids = [[0; 16]; 2];
            for id in &mut ids {
                import!(c_only: ExUuidCreate, &raw mut *id);
            }
            assert!(ids[0] != ids[1] && ids[0][7] >> 4 == 4 && ids[0][8] >> 6 == 2);
            words[0] = 8;
            import!(c_only: RtlGetVersion, words.as_mut_ptr());
        });
        assert_eq!(rules, [("version", "RtlGetVersion")]);
    }

    unsafe extern "win64" fn counts(context: crate::kernel::wdk::PVOID) {
        // SAFETY: the test's own number.
        unsafe { (*context.cast::<AtomicU64>()).fetch_add(1, Ordering::SeqCst) };
    }

    #[test]
    fn an_old_work_item_runs_once_each_time_it_is_queued() {
        let count = AtomicU64::new(0);
        let at = (&raw const count).expose_provenance();
        let rules = broken(|machine, _| {
            // SAFETY: all zeroes is an item without a routine.
            let mut item: WORK_QUEUE_ITEM = unsafe { std::mem::zeroed() };
            item.WorkerRoutine = Some(counts);
            item.Parameter = ptr::with_exposed_provenance_mut(at);
            for _ in 0..2 {
                import!(c_only: ExQueueWorkItem, &raw mut item, 1);
                machine.settle();
            }
            import!(c_only: ExQueueWorkItem, &raw mut item, 1);
            import!(c_only: ExQueueWorkItem, &raw mut item, 1);
            machine.settle();
            item.WorkerRoutine = None;
            import!(c_only: ExQueueWorkItem, &raw mut item, 1);
        });
        assert_eq!((rules, count.into_inner()), (vec![("work item", "ExQueueWorkItem"); 2], 3));
    }
}
