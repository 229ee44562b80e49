//! A small driver of the simulator's own, and what it can do wrong with devices and requests.

use super::*;
use crate::kernel::Machine;
use crate::kernel::bad_drivers::{broken, import};
use crate::kernel::irql::{self, Irql};
use crate::kernel::wdk::*;
use ndk_types::{STATUS_INVALID_DEVICE_REQUEST, STATUS_INVALID_PARAMETER, STATUS_PENDING, STATUS_SUCCESS};
use std::ptr;
use std::sync::Arc;

/// What the driver does with a control code.
mod code {
    pub(super) const REVERSE: u32 = 0x22_2000;
    pub(super) const REVERSE_DIRECT: u32 = 0x22_2006;
    pub(super) const NEITHER: u32 = 0x22_200b;
    pub(super) const PEND: u32 = 0x22_2010;
    pub(super) const TWICE: u32 = 0x22_2014;
    pub(super) const FORGET: u32 = 0x22_2018;
    pub(super) const PEND_UNMARKED: u32 = 0x22_201c;
    pub(super) const MARKED_NOT_RETURNED: u32 = 0x22_2020;
    pub(super) const OTHER_STATUS: u32 = 0x22_2024;
    pub(super) const TOO_MUCH: u32 = 0x22_2028;
    pub(super) const AS_PENDING: u32 = 0x22_202c;
    pub(super) const WITH_LOCK: u32 = 0x22_2030;
    pub(super) const KEEP_CANCEL: u32 = 0x22_2034;
    pub(super) const PEND_FOR_EVER: u32 = 0x22_2038;
    pub(super) const FREE: u32 = 0x22_203c;
    pub(super) const THREAD: u32 = 0x22_2040;
}

#[repr(C)]
struct Extension {
    pended: PIRP,
    lock: KSPIN_LOCK,
    creates: u32,
    cleanups: u32,
    closes: u32,
    keeps_lock: u32,
}

fn extension<'e>(device: PDEVICE_OBJECT) -> &'e mut Extension {
    // SAFETY: the test's own device, made with an extension of this type.
    let at = unsafe { (*device).DeviceExtension };
    // SAFETY: as above; one thread runs.
    unsafe { &mut *at.cast::<Extension>() }
}

fn finish(irp: PIRP, status: NTSTATUS, information: u64) -> NTSTATUS {
    irps::fields(irp).IoStatus.__bindgen_anon_1.Status = status;
    irps::fields(irp).IoStatus.Information = information;
    import!(IofCompleteRequest, irp, 0);
    status
}

fn mark(irp: PIRP) {
    irps::location(irps::current(irp)).Control |= SL_PENDING_RETURNED as u8;
}

unsafe extern "win64" fn opened_or_closed(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    let own = extension(device);
    match u32::from(irps::location(irps::current(irp)).MajorFunction) {
        IRP_MJ_CREATE => own.creates += 1,
        IRP_MJ_CLEANUP => {
            own.cleanups += 1;
            let pended = std::mem::replace(&mut own.pended, ptr::null_mut());
            if !pended.is_null() {
                irps::fields(pended).CancelRoutine = None;
                finish(pended, ndk_types::STATUS_CANCELLED, 0);
            }
        }
        _ => own.closes += 1,
    }
    finish(irp, STATUS_SUCCESS, 0)
}

unsafe extern "win64" fn cancelled(device: PDEVICE_OBJECT, irp: PIRP) {
    assert_eq!(irql::current(), Irql::Dispatch);
    extension(device).pended = ptr::null_mut();
    if extension(device).keeps_lock == 0 {
        import!(IoReleaseCancelSpinLock, irps::fields(irp).CancelIrql);
        finish(irp, ndk_types::STATUS_CANCELLED, 0);
    }
}

unsafe extern "win64" fn does_nothing(_: PVOID) {}

/// Turns the bytes of a buffer around.
fn reverse(at: PVOID, length: u32) {
    // SAFETY: the request's buffer of so many bytes.
    unsafe { std::slice::from_raw_parts_mut(at.cast::<u8>(), length as usize) }.reverse();
}

unsafe extern "win64" fn control(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    let stack = irps::location(irps::current(irp));
    // SAFETY: this member is the one of IRP_MJ_DEVICE_CONTROL.
    let parameters = unsafe { stack.Parameters.DeviceIoControl };
    // SAFETY: this member is the one of buffered requests.
    let system = unsafe { irps::fields(irp).AssociatedIrp.SystemBuffer };
    let length = parameters.InputBufferLength;
    let own = extension(device);
    match parameters.IoControlCode {
        code::REVERSE => {
            reverse(system, length);
            finish(irp, STATUS_SUCCESS, u64::from(length.min(parameters.OutputBufferLength)))
        }
        code::REVERSE_DIRECT => {
            let at = import!(MmMapLockedPagesSpecifyCache, irps::fields(irp).MdlAddress, 0, 1, ptr::null_mut(), 0, 16);
            // SAFETY: the input and the mapping of the output, which the test makes as long.
            unsafe { ptr::copy_nonoverlapping(system.cast::<u8>(), at.cast::<u8>(), length as usize) };
            reverse(at, length);
            finish(irp, STATUS_SUCCESS, u64::from(length))
        }
        code::NEITHER => {
            let (from, to) = (parameters.Type3InputBuffer, irps::fields(irp).UserBuffer);
            // SAFETY: the two buffers of the program, which the test makes as long.
            unsafe { ptr::copy_nonoverlapping(from.cast::<u8>(), to.cast::<u8>(), length as usize) };
            finish(irp, STATUS_SUCCESS, u64::from(length))
        }
        code::PEND | code::PEND_FOR_EVER => {
            if parameters.IoControlCode == code::PEND {
                irps::fields(irp).CancelRoutine = Some(cancelled);
                own.pended = irp;
            }
            mark(irp);
            STATUS_PENDING
        }
        code::TWICE => {
            finish(irp, STATUS_SUCCESS, 0);
            import!(IofCompleteRequest, irp, 0);
            STATUS_SUCCESS
        }
        code::FORGET => STATUS_SUCCESS,
        code::PEND_UNMARKED => {
            finish(irp, STATUS_SUCCESS, 0);
            STATUS_PENDING
        }
        code::MARKED_NOT_RETURNED => {
            mark(irp);
            finish(irp, STATUS_SUCCESS, 0)
        }
        code::OTHER_STATUS => {
            finish(irp, STATUS_INVALID_PARAMETER, 0);
            STATUS_SUCCESS
        }
        code::TOO_MUCH => finish(irp, STATUS_SUCCESS, u64::from(parameters.OutputBufferLength) + 1),
        code::AS_PENDING => {
            mark(irp);
            finish(irp, STATUS_PENDING, 0)
        }
        code::WITH_LOCK => {
            let old = import!(KeAcquireSpinLockRaiseToDpc, &raw mut own.lock);
            finish(irp, STATUS_SUCCESS, 0);
            import!(KeReleaseSpinLock, &raw mut own.lock, old);
            STATUS_SUCCESS
        }
        code::KEEP_CANCEL => {
            irps::fields(irp).CancelRoutine = Some(cancelled);
            finish(irp, STATUS_SUCCESS, 0)
        }
        code::THREAD => {
            let mut handle = ptr::null_mut();
            let none = ptr::null_mut();
            let place = &raw mut handle;
            import!(PsCreateSystemThread, place, 0, ptr::null_mut(), none, ptr::null_mut(), Some(does_nothing), none);
            import!(ZwClose, handle);
            finish(irp, STATUS_SUCCESS, 0)
        }
        code::FREE => {
            import!(IoFreeIrp, irp);
            finish(irp, STATUS_SUCCESS, 0)
        }
        _ => finish(irp, STATUS_INVALID_DEVICE_REQUEST, 0),
    }
}

/// A counted string over a buffer.
struct Name(Box<[u16]>);

impl Name {
    fn new(text: &str) -> Self {
        Self(text.encode_utf16().collect())
    }

    fn get(&mut self) -> UNICODE_STRING {
        let length = (self.0.len() * 2) as u16;
        UNICODE_STRING { Length: length, MaximumLength: length, Buffer: self.0.as_mut_ptr() }
    }
}

fn create(driver: PDRIVER_OBJECT, name: &str, exclusive: u8) -> Result<PDEVICE_OBJECT, NTSTATUS> {
    let (mut name, mut device) = (Name::new(name), ptr::null_mut());
    let size = size_of::<Extension>() as u32;
    let mut name = name.get();
    let status = import!(IoCreateDevice, driver, size, &raw mut name, 0x22, 0x100, exclusive, &raw mut device);
    if status < 0 { Err(status) } else { Ok(device) }
}

fn link(name: &str, target: &str) -> NTSTATUS {
    let (mut name, mut target) = (Name::new(name), Name::new(target));
    let (mut name, mut target) = (name.get(), target.get());
    import!(IoCreateSymbolicLink, &raw mut name, &raw mut target)
}

fn unlink(name: &str) -> NTSTATUS {
    let mut name = Name::new(name);
    let mut name = name.get();
    import!(IoDeleteSymbolicLink, &raw mut name)
}

/// A driver object with the routines above.
fn driver() -> Box<DRIVER_OBJECT> {
    // SAFETY: all zeroes is a driver object: integers, null pointers, no routines.
    let mut driver: Box<DRIVER_OBJECT> = unsafe { Box::new(std::mem::zeroed()) };
    for major in [IRP_MJ_CREATE, IRP_MJ_CLEANUP, IRP_MJ_CLOSE] {
        driver.MajorFunction[major as usize] = Some(opened_or_closed);
    }
    driver.MajorFunction[IRP_MJ_DEVICE_CONTROL as usize] = Some(control);
    driver
}

/// What is wrong in `test`, which has an open file of a device of the driver above; and everything is gone afterwards.
fn wrong(test: impl FnOnce(&Arc<Machine>, PDEVICE_OBJECT, File)) -> Vec<(&'static str, &'static str)> {
    broken(|machine, _| {
        let mut driver = driver();
        let device = create(&raw mut *driver, r"\Device\Test", 0).unwrap();
        assert_eq!(link(r"\DosDevices\Test", r"\Device\Test"), STATUS_SUCCESS);
        assert_eq!(open(machine, r"\\.\test").unwrap_err(), status::NO_SUCH_DEVICE);
        entered(machine, &raw mut *driver);
        let file = open(machine, r"\\.\test").unwrap();
        test(machine, device, file);
        assert_eq!(unlink(r"\??\Test"), STATUS_SUCCESS);
        import!(IoDeleteDevice, device);
        assert!(driver.DeviceObject.is_null());
        machine.check_leaks();
    })
}

#[test]
fn a_program_opens_controls_and_closes_a_device_by_its_link() {
    let rules = wrong(|machine, device, file| {
        let back = device_io_control(machine, &file, code::REVERSE, b"abc", 8).unwrap();
        assert_eq!(back, (STATUS_SUCCESS, b"cba".to_vec()));
        let back = device_io_control(machine, &file, code::REVERSE, b"abc", 2).unwrap();
        assert_eq!(back, (STATUS_SUCCESS, b"cb".to_vec()));
        let back = device_io_control(machine, &file, code::REVERSE_DIRECT, b"direct", 6).unwrap();
        assert_eq!(back, (STATUS_SUCCESS, b"tcerid".to_vec()));
        let back = device_io_control(machine, &file, code::NEITHER, b"both", 4).unwrap();
        assert_eq!(back, (STATUS_SUCCESS, b"both".to_vec()));
        let back = device_io_control(machine, &file, 0x22_0000, b"", 4).unwrap();
        assert_eq!(back, (STATUS_INVALID_DEVICE_REQUEST, vec![]));
        // No routine at all: the I/O manager's own answer.
        let back = transfer(machine, &file, Direction::Read, &[], 4).unwrap();
        assert_eq!(back, (STATUS_INVALID_DEVICE_REQUEST, vec![]));
        let second = open(machine, r"\Device\Test\with\a\tail").unwrap();
        close(machine, second);
        close(machine, file);
        let own = extension(device);
        assert_eq!((own.creates, own.cleanups, own.closes), (2, 2, 2));
    });
    assert_eq!(rules, []);
}

#[test]
fn a_pended_request_ends_by_cancellation_or_by_the_cleanup_of_its_file() {
    let rules = wrong(|machine, device, file| {
        let request = submit(machine, &file, code::PEND, b"", 0).unwrap();
        assert!(!request.is_done() && cancel(machine, &request) && !cancel(machine, &request));
        assert_eq!(request.take(), Some((ndk_types::STATUS_CANCELLED, vec![])));
        let request = submit(machine, &file, code::PEND, b"", 0).unwrap();
        close(machine, file);
        assert_eq!(request.take(), Some((ndk_types::STATUS_CANCELLED, vec![])));
        assert_eq!(extension(device).closes, 1);
    });
    assert_eq!(rules, []);
}

#[test]
fn a_wait_for_a_pended_request_that_nothing_ends_is_caught_and_the_request_cancelled() {
    let rules = wrong(|machine, _, file| {
        let back = device_io_control(machine, &file, code::PEND, b"", 0);
        assert_eq!(back, Ok((ndk_types::STATUS_CANCELLED, vec![])));
        close(machine, file);
    });
    assert_eq!(rules, [("deadlock", "")]);
}

#[test]
fn each_misuse_of_a_request_is_caught() {
    for (code, by_import) in [
        (code::TWICE, true),
        (code::FORGET, false),
        (code::PEND_UNMARKED, false),
        (code::MARKED_NOT_RETURNED, false),
        (code::OTHER_STATUS, false),
        (code::TOO_MUCH, true),
        (code::AS_PENDING, true),
        (code::WITH_LOCK, true),
        (code::KEEP_CANCEL, true),
    ] {
        let rules = wrong(|machine, _, file| {
            device_io_control(machine, &file, code, b"", 4).unwrap();
            close(machine, file);
        });
        let call = if by_import { "IofCompleteRequest" } else { "" };
        assert!(rules.len() == 1 && rules[0].0 == "irp", "{code:#x}: {rules:?}");
        assert!(!by_import || rules[0].1 == call, "{code:#x}: {rules:?}");
    }
    let rules = wrong(|machine, _, file| {
        assert_eq!(device_io_control(machine, &file, code::FREE, b"", 4).unwrap().0, STATUS_SUCCESS);
        close(machine, file);
    });
    assert_eq!(rules, [("irp", "IoFreeIrp")]);
}

#[test]
fn a_cancel_routine_that_keeps_the_cancel_spin_lock_is_caught() {
    let rules = wrong(|machine, device, file| {
        extension(device).keeps_lock = 1;
        let request = submit(machine, &file, code::PEND, b"", 0).unwrap();
        let irp = extension(device).pended;
        assert!(cancel(machine, &request));
        finish(irp, ndk_types::STATUS_CANCELLED, 0);
        close(machine, file);
    });
    assert_eq!(rules, [("irp", "")]);
}

#[test]
fn what_a_driver_leaves_of_devices_links_files_and_requests_is_a_leak_each() {
    let rules = broken(|machine, _| {
        let mut driver = driver();
        create(&raw mut *driver, r"\Device\Left", 0).unwrap();
        link(r"\DosDevices\Left", r"\Device\Left");
        entered(machine, &raw mut *driver);
        let file = open(machine, r"\Device\Left").unwrap();
        let request = submit(machine, &file, code::PEND_FOR_EVER, b"", 0).unwrap();
        assert!(!cancel(machine, &request));
        let left = machine.nt.io.leaks();
        assert_eq!(left.len(), 4, "{left:?}");
        // Their memory counts as well: the device, the file and the request.
        assert_eq!(machine.check_leaks(), 7);
    });
    assert!(rules.len() == 7 && rules.iter().all(|&(rule, _)| rule == "leak"), "{rules:?}");
}

#[test]
fn names_are_taken_once_and_deleted_once() {
    let rules = broken(|machine, _| {
        let mut driver = driver();
        let driver = &raw mut *driver;
        let device = create(driver, r"\Device\One", 1).unwrap();
        assert_eq!(create(driver, r"\device\ONE", 0), Err(ndk_types::STATUS_OBJECT_NAME_COLLISION));
        assert_eq!(link(r"\DosDevices\One", r"\Device\One"), STATUS_SUCCESS);
        assert_eq!(link(r"\??\one", r"\Device\Two"), ndk_types::STATUS_OBJECT_NAME_COLLISION);
        assert_eq!(link(r"\??\Loop", r"\??\Loop"), STATUS_SUCCESS);
        assert_eq!(open(machine, r"\\.\Loop"), Err(status::OBJECT_NAME_INVALID));
        assert_eq!(open(machine, r"\\.\Nobody"), Err(status::OBJECT_NAME_NOT_FOUND));
        entered(machine, driver);
        let file = open(machine, r"\\.\One").unwrap();
        assert_eq!(open(machine, r"\\.\One"), Err(ndk_types::STATUS_ACCESS_DENIED));
        for name in ["IoCreateDevice", "IoCreateSymbolicLink"] {
            machine.fail_once(name);
        }
        assert_eq!(create(driver, r"\Device\F", 0), Err(ndk_types::STATUS_INSUFFICIENT_RESOURCES));
        assert_eq!(link(r"\??\F", r"\Device\F"), ndk_types::STATUS_INSUFFICIENT_RESOURCES);
        // A device that is open goes with its last file.
        import!(IoDeleteDevice, device);
        assert_eq!(devices(machine, driver).len(), 1);
        close(machine, file);
        assert_eq!((unlink(r"\??\one"), unlink(r"\??\Loop")), (STATUS_SUCCESS, STATUS_SUCCESS));
        assert_eq!(machine.check_leaks(), 0);
        assert_eq!(machine.verifier.take(), []);
        assert_eq!(create(driver, "Relative", 0), Err(status::OBJECT_PATH_SYNTAX_BAD));
        assert_eq!(unlink(r"\??\one"), status::OBJECT_NAME_NOT_FOUND);
        import!(IoDeleteDevice, device);
    });
    let device = |call| ("device", call);
    assert_eq!(rules, [device("IoCreateDevice"), device("IoDeleteSymbolicLink"), device("IoDeleteDevice")]);
}

/// A filter: it hands every request on to the device whose address is in its extension.
unsafe extern "win64" fn hand_on(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    let (own, next) = (irps::current(irp), irps::current(irp).wrapping_sub(1));
    // SAFETY: a request for a stack of two devices has a location below this one.
    unsafe { ptr::copy_nonoverlapping(own, next, 1) };
    irps::location(next).Control = (SL_INVOKE_ON_SUCCESS | SL_INVOKE_ON_ERROR) as u8;
    irps::location(next).CompletionRoutine = Some(came_back);
    irps::location(next).Context = device.cast();
    let below: PDEVICE_OBJECT = extension(device).pended.cast();
    import!(IofCallDriver, below, irp)
}

unsafe extern "win64" fn came_back(device: PDEVICE_OBJECT, irp: PIRP, context: PVOID) -> NTSTATUS {
    assert_eq!(device.cast(), context);
    extension(device).creates += 1;
    if irps::fields(irp).PendingReturned != 0 {
        mark(irp);
    }
    STATUS_SUCCESS
}

#[test]
fn a_request_goes_down_a_stack_of_devices_and_its_completion_comes_up() {
    let rules = wrong(|machine, below, lower| {
        let mut filter = driver();
        filter.MajorFunction.fill(Some(hand_on));
        let device = create(&raw mut *filter, r"\Device\Filter", 0).unwrap();
        extension(device).pended = below.cast();
        // SAFETY: the test's own device.
        unsafe { (*device).StackSize = 2 };
        entered(machine, &raw mut *filter);
        let file = open(machine, r"\Device\Filter").unwrap();
        assert_eq!(device_io_control(machine, &file, code::REVERSE, b"ab", 2).unwrap().1, b"ba");
        let request = submit(machine, &file, code::PEND, b"", 0).unwrap();
        assert!(cancel(machine, &request) && request.is_done());
        close(machine, file);
        assert_eq!(extension(device).creates, 5);
        import!(IoDeleteDevice, device);
        close(machine, lower);
    });
    assert_eq!(rules, []);
}

unsafe extern "win64" fn keeps(_: PDEVICE_OBJECT, _: PIRP, _: PVOID) -> NTSTATUS {
    status::MORE_PROCESSING_REQUIRED
}

#[test]
fn a_drivers_own_request_is_kept_reused_and_freed_or_caught() {
    let rules = broken(|machine, _| {
        let irp = import!(IoAllocateIrp, 1, 0);
        for _ in 0..2 {
            let below = irps::location(irps::current(irp).wrapping_sub(1));
            below.CompletionRoutine = Some(keeps);
            below.Control = (SL_INVOKE_ON_SUCCESS | SL_INVOKE_ON_ERROR | SL_INVOKE_ON_CANCEL) as u8;
            next_location(irp);
            complete(machine, irp, STATUS_SUCCESS, 7);
            assert_eq!((irps::status_of(irp), irps::fields(irp).IoStatus.Information), (STATUS_SUCCESS, 7));
            import!(IoReuseIrp, irp, STATUS_SUCCESS);
        }
        import!(IoFreeIrp, irp);
        assert_eq!((machine.check_leaks(), machine.verifier.take()), (0, vec![]));
        import!(IoFreeIrp, irp);
        let unkept = import!(IoAllocateIrp, 1, 0);
        next_location(unkept);
        import!(IofCompleteRequest, unkept, 0);
        machine.fail_once("IoAllocateIrp");
        assert!(import!(IoAllocateIrp, 1, 0).is_null());
        import!(IoAllocateIrp, 0, 0);
        let mut memory = vec![0_u64; 64];
        import!(IoInitializeIrp, memory.as_mut_ptr().cast(), 207, 1);
        let none = memory.as_mut_ptr().cast();
        import!(IofCallDriver, none, none.cast());
    });
    let irp = |call| ("irp", call);
    let calls = ["IoFreeIrp", "IofCompleteRequest", "IoAllocateIrp", "IoInitializeIrp", "IofCallDriver"];
    assert_eq!(rules, calls.map(irp));
}

#[test]
fn a_handle_that_is_opened_for_a_program_must_be_the_kernels_own() {
    let rules = wrong(|machine, _, file| {
        assert_eq!(device_io_control(machine, &file, code::THREAD, b"", 0), Ok((STATUS_SUCCESS, vec![])));
        machine.settle();
        close(machine, file);
    });
    assert_eq!(rules, [("handle", "PsCreateSystemThread")]);
}

#[test]
fn a_request_sent_down_too_far_and_bytes_written_before_a_device_are_caught() {
    let rules = wrong(|machine, device, file| {
        let irp = import!(IoAllocateIrp, 1, 0);
        next_location(irp);
        import!(IofCallDriver, device, irp);
        import!(IoFreeIrp, irp);
        // SAFETY: what is in front of the device object is still its page.
        unsafe { device.cast::<u8>().wrapping_sub(1).write(1) };
        close(machine, file);
    });
    assert_eq!(rules, [("irp", "IofCallDriver"), ("pool", "IoDeleteDevice")]);
}
