//! I/O request packets: made, sent down to a driver, completed up through completion routines, cancelled.

use super::files;
use super::status::MORE_PROCESSING_REQUIRED;
use crate::exports;
use crate::kernel::Machine;
use crate::kernel::export::Export;
use crate::kernel::irql::{self, Irql};
use crate::kernel::nt::locks;
use crate::kernel::wdk::{
    BOOLEAN, CCHAR, IO_STACK_LOCATION, IRP, IRP_MJ_CLEANUP, IRP_MJ_CLOSE, IRP_MJ_CREATE, IRP_MJ_DEVICE_CONTROL,
    IRP_MJ_READ, IRP_MJ_WRITE, KIRQL, NTSTATUS, PDEVICE_OBJECT, PDRIVER_CANCEL, PIO_STACK_LOCATION, PIRP, PKIRQL,
    PKSPIN_LOCK, SL_INVOKE_ON_CANCEL, SL_INVOKE_ON_ERROR, SL_INVOKE_ON_SUCCESS, SL_PENDING_RETURNED, USHORT,
};
use ndk_types::{STATUS_INVALID_DEVICE_REQUEST, STATUS_PENDING};
use std::ptr;
use std::sync::Arc;

/// The tag of requests, as the real kernel has it.
const TAG: u32 = u32::from_le_bytes(*b"Irp ");
/// IO_TYPE_IRP.
const TYPE_IRP: i16 = 6;
/// How many requests that are gone are remembered.
const REMEMBERED: usize = 64;

/// A request that is not gone.
#[derive(Debug)]
pub(super) struct Live {
    /// What it is, for reports.
    pub(super) what: String,
    /// A program waits for it; `None` when a driver allocated it.
    pub(super) program: Option<files::Waiting>,
    /// Dispatch routines it was given to that are not through with it.
    calls: Vec<Call>,
    /// Whether its memory is the I/O manager's; IoInitializeIrp makes requests in memory of drivers.
    pub(super) ours: bool,
}

/// One dispatch routine that was given a request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Call {
    number: u64,
    location: i8,
    /// What the routine returned.
    returned: Option<NTSTATUS>,
    /// What the request was completed with at this location, and whether it was marked pending there.
    completed: Option<(NTSTATUS, bool)>,
}

/// The fields of a request.
pub(super) fn fields<'i>(irp: PIRP) -> &'i mut IRP {
    // SAFETY: the pages of the functions here: a valid request; nobody else runs while its fields are touched.
    unsafe { &mut *irp }
}

/// The fields of a stack location.
pub(super) fn location<'l>(stack: PIO_STACK_LOCATION) -> &'l mut IO_STACK_LOCATION {
    // SAFETY: a location of a valid request, which has as many as it says.
    unsafe { &mut *stack }
}

/// Where a request's current stack location is.
pub(super) fn current(irp: PIRP) -> PIO_STACK_LOCATION {
    let tail = &fields(irp).Tail;
    // SAFETY: every request the I/O manager gave out has this member of the union.
    let overlay = unsafe { &tail.Overlay };
    // SAFETY: as above.
    unsafe { overlay.__bindgen_anon_2.__bindgen_anon_1.CurrentStackLocation }
}

fn set_current(irp: PIRP, stack: PIO_STACK_LOCATION) {
    let tail = &mut fields(irp).Tail;
    // SAFETY: every request the I/O manager gave out has this member of the union.
    let overlay = unsafe { &mut tail.Overlay };
    overlay.__bindgen_anon_2.__bindgen_anon_1.CurrentStackLocation = stack;
}

/// A request's status as it stands.
pub(super) fn status_of(irp: PIRP) -> NTSTATUS {
    // SAFETY: both members of the union begin with the status.
    unsafe { fields(irp).IoStatus.__bindgen_anon_1.Status }
}

/// IoSetNextIrpStackLocation: what somebody below the I/O manager does who takes a request without IoCallDriver.
pub fn next_location(irp: PIRP) {
    fields(irp).CurrentLocation -= 1;
    set_current(irp, current(irp).wrapping_sub(1));
}

const fn bytes_of(stack_size: i8) -> usize {
    size_of::<IRP>() + stack_size as usize * size_of::<IO_STACK_LOCATION>()
}

/// Fills in a request whose memory is all zero.
fn initialize(irp: PIRP, stack_size: i8) {
    let new = fields(irp);
    (new.Type, new.Size) = (TYPE_IRP, bytes_of(stack_size) as u16);
    (new.StackCount, new.CurrentLocation) = (stack_size, stack_size + 1);
    let stack: PIO_STACK_LOCATION = irp.wrapping_add(1).cast();
    set_current(irp, stack.wrapping_add(stack_size as usize));
}

/// A new request; `None` without memory.
pub(super) fn allocate(
    machine: &Machine,
    stack_size: i8,
    what: String,
    program: Option<files::Waiting>,
) -> Option<PIRP> {
    let irp: PIRP = machine.nt.pool.allocate(&machine.nt.memory, bytes_of(stack_size), TAG, true)?.cast();
    initialize(irp, stack_size);
    let live = Live { what, program, calls: Vec::new(), ours: true };
    machine.nt.io.state().irps.insert(irp.expose_provenance(), live);
    Some(irp)
}

/// Forgets a request and frees its memory.
pub(super) fn free(machine: &Machine, irp: PIRP) -> Option<Live> {
    let mut state = machine.nt.io.state();
    let live = state.irps.remove(&irp.addr())?;
    state.gone.push_back(irp.addr());
    if state.gone.len() > REMEMBERED {
        state.gone.pop_front();
    }
    drop(state);
    if live.ours && machine.nt.pool.free(&machine.nt.memory, irp.cast(), TAG).is_err() {
        machine.violation("pool", format!("bytes around request {:#x} were written", irp.addr()));
    }
    Some(live)
}

/// Says that a request is none, or none any more; true when it is one.
fn is_live(machine: &Machine, irp: PIRP, doing: &str) -> bool {
    let state = machine.nt.io.state();
    if state.irps.contains_key(&irp.addr()) {
        return true;
    }
    let was = if state.gone.contains(&irp.addr()) { "is completed or freed already" } else { "is none" };
    drop(state);
    machine.violation("irp", format!("{doing} of request {:#x}, which {was}", irp.addr()));
    false
}

/// What a dispatch routine of this number is called.
pub(super) fn major_name(major: u8) -> String {
    match u32::from(major) {
        IRP_MJ_CREATE => "IRP_MJ_CREATE".into(),
        IRP_MJ_CLOSE => "IRP_MJ_CLOSE".into(),
        IRP_MJ_READ => "IRP_MJ_READ".into(),
        IRP_MJ_WRITE => "IRP_MJ_WRITE".into(),
        IRP_MJ_DEVICE_CONTROL => "IRP_MJ_DEVICE_CONTROL".into(),
        IRP_MJ_CLEANUP => "IRP_MJ_CLEANUP".into(),
        _ => format!("major function {major:#x}"),
    }
}

/// Holds what a routine returned against what became of its request, once both are known.
fn judge(machine: &Machine, what: &str, call: Call) {
    let (Some(returned), Some((completed, marked))) = (call.returned, call.completed) else { return };
    if returned == STATUS_PENDING && !marked {
        machine.violation("irp", format!("{what} returned STATUS_PENDING for a request it did not mark pending"));
    } else if returned != STATUS_PENDING && marked {
        machine.violation("irp", format!("{what} marked a request pending and returned {returned:#010x}"));
    } else if returned != STATUS_PENDING && returned != completed {
        let text = format!("{what} completed a request with {completed:#010x} and returned {returned:#010x}");
        machine.violation("irp", text);
    }
}

/// IofCallDriver: the next stack location becomes the current one, and its driver is called.
pub(super) fn call_driver(machine: &Arc<Machine>, device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    if !is_live(machine, irp, "IoCallDriver") {
        return STATUS_INVALID_DEVICE_REQUEST;
    }
    if fields(irp).CurrentLocation <= 1 {
        machine.violation("irp", format!("request {:#x} has no stack location left", irp.addr()));
        return STATUS_INVALID_DEVICE_REQUEST;
    }
    next_location(irp);
    let stack = current(irp);
    location(stack).DeviceObject = device;
    let major = location(stack).MajorFunction;
    // SAFETY: the page: a device object.
    let driver = unsafe { (*device).DriverObject };
    // SAFETY: its driver's object, which outlives its devices.
    let routines = unsafe { &(*driver).MajorFunction };
    let what = format!("the dispatch routine of {}", major_name(major));
    let number = begin_call(machine, irp);
    let returned = if let Some(routine) = routines.get(usize::from(major)).copied().flatten() {
        // SAFETY: the routine's contract: its own device and a request for it.
        unsafe { crate::call_driver!(*machine, "a dispatch routine", irql::current(), routine, device, irp) }
    } else {
        complete(machine, irp, STATUS_INVALID_DEVICE_REQUEST, 0);
        STATUS_INVALID_DEVICE_REQUEST
    };
    end_call(machine, irp, number, returned, &what);
    returned
}

fn begin_call(machine: &Machine, irp: PIRP) -> u64 {
    let location = fields(irp).CurrentLocation;
    let mut state = machine.nt.io.state();
    state.next_call += 1;
    let number = state.next_call;
    if let Some(live) = state.irps.get_mut(&irp.addr()) {
        live.calls.push(Call { number, location, returned: None, completed: None });
    }
    number
}

/// A dispatch routine came back.
fn end_call(machine: &Arc<Machine>, irp: PIRP, number: u64, returned: NTSTATUS, what: &str) {
    let mut state = machine.nt.io.state();
    let finished = state.finished.iter().position(|call| call.number == number);
    if let Some(place) = finished {
        let call = state.finished.swap_remove(place);
        drop(state);
        judge(machine, what, Call { returned: Some(returned), ..call });
        return;
    }
    let live = state.irps.get_mut(&irp.addr());
    let Some(live) = live.filter(|live| live.calls.iter().any(|call| call.number == number)) else { return };
    for call in live.calls.iter_mut().filter(|call| call.number == number) {
        call.returned = Some(returned);
    }
    let for_program = live.program.is_some();
    drop(state);
    if returned != STATUS_PENDING {
        let text = format!("{what} returned {returned:#010x} and neither completed nor pended its request");
        machine.violation("irp", text);
        if for_program {
            files::finish(machine, irp, returned, 0);
        }
    }
}

/// The request is completed at this location.
fn note_completed(machine: &Machine, irp: PIRP, at: i8, marked: bool) {
    let status = status_of(irp);
    let mut state = machine.nt.io.state();
    let Some(live) = state.irps.get_mut(&irp.addr()) else { return };
    let what = live.what.clone();
    let (here, others): (Vec<_>, Vec<_>) = live.calls.drain(..).partition(|call| call.location == at);
    live.calls = others;
    for call in here {
        let call = Call { completed: Some((status, marked)), ..call };
        if call.returned.is_none() {
            // The routine still runs: it is judged when it comes back.
            state.finished.push(call);
        } else {
            drop(state);
            judge(machine, &format!("the dispatch routine for {what}"), call);
            state = machine.nt.io.state();
        }
    }
}

/// Sets the status and completes a request, as a driver of the simulator's own would.
pub fn complete(machine: &Arc<Machine>, irp: PIRP, status: NTSTATUS, information: u64) {
    if is_live(machine, irp, "completion") {
        let request = fields(irp);
        request.IoStatus.__bindgen_anon_1.Status = status;
        request.IoStatus.Information = information;
        complete_request(machine, irp);
    }
}

/// IofCompleteRequest: up through the stack locations, whose completion routines may keep the request.
fn complete_request(machine: &Arc<Machine>, irp: PIRP) {
    if !is_live(machine, irp, "completion") {
        return;
    }
    if locks::held() > 0 {
        machine.violation("irp", format!("request {:#x} is completed with a spin lock held", irp.addr()));
    }
    if status_of(irp) == STATUS_PENDING {
        machine.violation("irp", format!("request {:#x} is completed with STATUS_PENDING", irp.addr()));
    }
    if fields(irp).CancelRoutine.is_some() {
        machine.violation("irp", format!("request {:#x} is completed with its cancel routine set", irp.addr()));
        fields(irp).CancelRoutine = None;
    }
    while fields(irp).CurrentLocation <= fields(irp).StackCount {
        let (at, stack) = (fields(irp).CurrentLocation, current(irp));
        let control = u32::from(location(stack).Control);
        let marked = control & SL_PENDING_RETURNED != 0;
        fields(irp).PendingReturned = BOOLEAN::from(marked);
        note_completed(machine, irp, at, marked);
        fields(irp).CurrentLocation += 1;
        set_current(irp, stack.wrapping_add(1));
        let whole = fields(irp).CurrentLocation > fields(irp).StackCount;
        let above = if whole { ptr::null_mut() } else { location(current(irp)).DeviceObject };
        let wanted = if status_of(irp) < 0 { SL_INVOKE_ON_ERROR } else { SL_INVOKE_ON_SUCCESS }
            | if fields(irp).Cancel != 0 { SL_INVOKE_ON_CANCEL } else { 0 };
        let (routine, context) = (location(stack).CompletionRoutine, location(stack).Context);
        match routine.filter(|_| control & wanted != 0) {
            Some(routine) => {
                // SAFETY: the routine's contract: the device above, the request and the context it was set with.
                let kept = unsafe {
                    crate::call_driver!(*machine, "a completion routine", irql::current(), routine, above, irp, context)
                };
                if kept == MORE_PROCESSING_REQUIRED {
                    return;
                }
            }
            None if marked && !whole => location(current(irp)).Control |= SL_PENDING_RETURNED as u8,
            None => (),
        }
    }
    files::finish(machine, irp, status_of(irp), fields(irp).IoStatus.Information);
}

fn cancel_lock(machine: &Machine) -> PKSPIN_LOCK {
    machine.nt.io.cancel_lock.as_ptr()
}

/// IoCancelIrp: true when a cancel routine was called.
pub(super) fn cancel_request(machine: &Arc<Machine>, irp: PIRP) -> bool {
    if !is_live(machine, irp, "IoCancelIrp") {
        return false;
    }
    let before = irql::set(irql::current().max(Irql::Dispatch));
    locks::acquire(cancel_lock(machine));
    let request = fields(irp);
    request.Cancel = 1;
    let routine: PDRIVER_CANCEL = request.CancelRoutine.take();
    let Some(routine) = routine else {
        locks::release(cancel_lock(machine));
        irql::set(before);
        return false;
    };
    request.CancelIrql = before as KIRQL;
    let whole = request.CurrentLocation > request.StackCount;
    let device = if whole { ptr::null_mut() } else { location(current(irp)).DeviceObject };
    // The routine gives the lock back, with the level that is in the request: `callback` would hold that against it.
    machine.enter(|| {
        // SAFETY: the routine's contract: the device of the current stack location and the request.
        unsafe { crate::call_either!(*machine, routine, device, irp) }
    });
    if locks::holds(cancel_lock(machine)) {
        machine.violation("irp", "a cancel routine came back with the cancel spin lock held");
        locks::release(cancel_lock(machine));
        irql::set(before);
    } else if irql::set(before) != before {
        machine.violation("irql", format!("a cancel routine came back at another level than {before}"));
    }
    true
}

ndk_types::abi! {
    unsafe extern "C" fn io_allocate_irp(stack_size: CCHAR, _quota: BOOLEAN) -> PIRP {
        let machine = Machine::current();
        if stack_size <= 0 {
            machine.violation("irp", format!("IoAllocateIrp with {stack_size} stack locations"));
            return ptr::null_mut();
        }
        if machine.take_failure("IoAllocateIrp") {
            return ptr::null_mut();
        }
        allocate(&machine, stack_size, "of a driver".into(), None).unwrap_or(ptr::null_mut())
    }

    unsafe extern "C" fn io_initialize_irp(irp: PIRP, bytes: USHORT, stack_size: CCHAR) {
        let machine = Machine::current();
        if machine.nt.io.state().irps.get(&irp.addr()).is_some_and(|live| live.ours) {
            machine.violation("irp", "IoInitializeIrp of a request from IoAllocateIrp: IoReuseIrp is for that");
        }
        if usize::from(bytes) < bytes_of(stack_size) {
            machine.violation("irp", format!("IoInitializeIrp with {bytes} bytes for {stack_size} stack locations"));
            return;
        }
        // SAFETY: the page: a buffer of so many bytes.
        unsafe { ptr::write_bytes(irp.cast::<u8>(), 0, usize::from(bytes)) };
        initialize(irp, stack_size);
        let live = Live { what: "in memory of a driver".into(), program: None, calls: Vec::new(), ours: false };
        machine.nt.io.state().irps.insert(irp.expose_provenance(), live);
    }

    unsafe extern "C" fn io_reuse_irp(irp: PIRP, status: NTSTATUS) {
        let machine = Machine::current();
        if !is_live(&machine, irp, "IoReuseIrp") {
            return;
        }
        let stack_size = fields(irp).StackCount;
        // SAFETY: a request has so many bytes.
        unsafe { ptr::write_bytes(irp.cast::<u8>(), 0, bytes_of(stack_size)) };
        initialize(irp, stack_size);
        fields(irp).IoStatus.__bindgen_anon_1.Status = status;
        if let Some(live) = machine.nt.io.state().irps.get_mut(&irp.addr()) {
            live.calls.clear();
        }
    }

    unsafe extern "C" fn io_free_irp(irp: PIRP) {
        let machine = Machine::current();
        if !is_live(&machine, irp, "IoFreeIrp") {
            return;
        }
        let for_program = machine.nt.io.state().irps.get(&irp.addr()).is_some_and(|live| live.program.is_some());
        if for_program {
            machine.violation("irp", format!("IoFreeIrp of request {:#x}, which is not the driver's", irp.addr()));
            return;
        }
        free(&machine, irp);
    }

    unsafe extern "C" fn iof_call_driver(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
        let machine = Machine::current();
        if !machine.nt.io.state().devices.contains_key(&device.addr()) {
            machine.violation("irp", format!("IoCallDriver for {:#x}, which is no device", device.addr()));
            return STATUS_INVALID_DEVICE_REQUEST;
        }
        call_driver(&machine, device, irp)
    }

    unsafe extern "C" fn iof_complete_request(irp: PIRP, _boost: CCHAR) {
        complete_request(&Machine::current(), irp);
    }

    unsafe extern "C" fn io_cancel_irp(irp: PIRP) -> BOOLEAN {
        BOOLEAN::from(cancel_request(&Machine::current(), irp))
    }

    unsafe extern "C" fn io_acquire_cancel_spin_lock(level: PKIRQL) {
        let machine = Machine::current();
        let before = irql::set(irql::current().max(Irql::Dispatch));
        locks::acquire(cancel_lock(&machine));
        // SAFETY: the page: room for the level.
        unsafe { level.write(before as KIRQL) };
    }

    unsafe extern "C" fn io_release_cancel_spin_lock(level: KIRQL) {
        locks::release(cancel_lock(&Machine::current()));
        irql::set(Irql::of(level));
    }
}

/// What becomes of a request that reached the top without a program that waits: it is the driver's, which should have kept it.
pub(super) fn reached_top(machine: &Machine, irp: PIRP) {
    machine.violation(
        "irp",
        format!("request {:#x} of a driver came to its top: its completion routine did not keep it", irp.addr()),
    );
    free(machine, irp);
}

pub(super) fn exports() -> impl IntoIterator<Item = Export> {
    exports! { "ntoskrnl.exe" in crate::kernel::wdk::ntddk;
        IoAllocateIrp <= Dispatch = io_allocate_irp,
        IoInitializeIrp <= Dispatch = io_initialize_irp,
        IoReuseIrp <= Dispatch = io_reuse_irp,
        IoFreeIrp <= Dispatch = io_free_irp,
        IofCallDriver <= Dispatch = iof_call_driver,
        IofCompleteRequest <= Dispatch = iof_complete_request,
        IoCancelIrp <= Dispatch = io_cancel_irp,
        IoAcquireCancelSpinLock <= Dispatch = io_acquire_cancel_spin_lock,
        IoReleaseCancelSpinLock <= Dispatch = io_release_cancel_spin_lock,
    }
}
