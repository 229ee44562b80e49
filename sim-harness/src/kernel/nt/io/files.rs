//! What a program does with a device: opens it, sends control codes, reads and writes, cancels, closes.
//!
//! These are the simulator's own functions, for tests and hosts. A request that the driver pends comes back as a [`Request`]:
//! [`device_io_control`] waits for it as a kernel thread would, and who must move the world meanwhile uses [`submit`].

use super::irps::{allocate, call_driver, cancel_request, current, fields, free, location, major_name, reached_top};
use super::status::NO_SUCH_DEVICE;
use super::{devices, status};
use crate::kernel::Machine;
use crate::kernel::irql::Irql;
use crate::kernel::nt::mdl;
use crate::kernel::sched::Woken;
use crate::kernel::verifier;
use crate::kernel::wdk::{
    DO_BUFFERED_IO, DO_DEVICE_INITIALIZING, DO_DIRECT_IO, DO_EXCLUSIVE, FILE_OBJECT, IRP_MJ_CLEANUP, IRP_MJ_CLOSE,
    IRP_MJ_CREATE, IRP_MJ_DEVICE_CONTROL, IRP_MJ_READ, IRP_MJ_WRITE, LARGE_INTEGER, NTSTATUS, PDEVICE_OBJECT,
    PFILE_OBJECT, PIRP, UNICODE_STRING,
};
use ndk_types::{MDL_PAGES_LOCKED, STATUS_ACCESS_DENIED, STATUS_INSUFFICIENT_RESOURCES, STATUS_INVALID_HANDLE};
use std::cell::Cell;
use std::ptr;
use std::sync::{Arc, Mutex, PoisonError};

/// Tags of what a program's request takes from the pool, as the real kernel has them.
const FILE_TAG: u32 = u32::from_le_bytes(*b"File");
const BUFFER_TAG: u32 = u32::from_le_bytes(*b"IoSB");
/// IO_TYPE_FILE.
const TYPE_FILE: i16 = 5;
/// FILE_GENERIC_READ | FILE_GENERIC_WRITE.
const READ_WRITE: u32 = 0x0012_019f;
/// UserMode.
const USER_MODE: i8 = 1;

/// An open file of a device; [`close`] takes it back.
#[derive(Debug, PartialEq, Eq)]
pub struct File(usize);

impl File {
    /// Where its file object is.
    pub fn object(&self) -> usize {
        self.0
    }
}

/// What is known of an open file beside its object.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) path: String,
    device: usize,
    /// The name behind the device's, which the file object points to.
    name: Box<[u16]>,
    /// Requests that are not completed, but the one that cleans up.
    outstanding: usize,
}

/// Which way a transfer goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// IRP_MJ_READ
    Read,
    /// IRP_MJ_WRITE
    Write,
}

thread_local! {
    /// Whether a dispatch routine runs on behalf of a program.
    static IN_PROGRAM: Cell<bool> = const { Cell::new(false) };
}

/// Whether what runs on this thread runs in the context of a program, not in the system's.
pub fn in_program() -> bool {
    IN_PROGRAM.get()
}

type Outcome = Arc<Mutex<Option<(NTSTATUS, Vec<u8>)>>>;

/// A request on its way. Dropped, it goes on: nobody hears of its outcome.
#[derive(Debug)]
pub struct Request {
    irp: usize,
    outcome: Outcome,
}

impl Request {
    /// Whether it is completed.
    pub fn is_done(&self) -> bool {
        self.outcome.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// Its status and what came back, once it is completed.
    pub fn take(&self) -> Option<(NTSTATUS, Vec<u8>)> {
        self.outcome.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// What the I/O manager does for a program when its request is completed.
#[derive(Debug)]
pub(super) struct Waiting {
    outcome: Outcome,
    file: usize,
    counted: bool,
    /// Bytes there is room for in the program.
    room: usize,
    /// Buffers of the request: freed with it; what comes back is at the start of the one `back` names.
    buffers: Vec<usize>,
    back: Option<usize>,
    mdl: usize,
}

/// A request to be sent: what the program gives and what it has room for.
struct Order<'o> {
    major: u32,
    code: u32,
    input: &'o [u8],
    room: usize,
}

fn device_of(file: PFILE_OBJECT) -> PDEVICE_OBJECT {
    // SAFETY: a file object that is open.
    unsafe { (*file).DeviceObject }
}

/// A block of the pool that holds these bytes and is `room` long at least.
fn buffer(machine: &Machine, bytes: &[u8], room: usize) -> Option<usize> {
    let at = machine.nt.pool.allocate(&machine.nt.memory, bytes.len().max(room), BUFFER_TAG, true)?;
    // SAFETY: just allocated, as long at least.
    unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), at, bytes.len()) };
    Some(at.expose_provenance())
}

/// How the bytes of a transfer reach the driver: METHOD_BUFFERED, METHOD_IN_DIRECT, METHOD_OUT_DIRECT, METHOD_NEITHER.
fn method(device: PDEVICE_OBJECT, order: &Order<'_>) -> u32 {
    if order.major == IRP_MJ_DEVICE_CONTROL {
        return order.code & 3;
    }
    // SAFETY: a device that is open.
    let flags = unsafe { (*device).Flags };
    if flags & DO_BUFFERED_IO != 0 {
        0
    } else if flags & DO_DIRECT_IO != 0 {
        if order.major == IRP_MJ_READ { 2 } else { 1 }
    } else {
        3
    }
}

/// Describes locked pages of a program, which the driver maps itself.
fn describe(machine: &Machine, irp: PIRP, at: usize, bytes: usize) -> usize {
    let Some(mdl) = mdl::allocate(machine, at, bytes) else { return 0 };
    mdl::describe(machine, mdl, at);
    // SAFETY: just allocated.
    unsafe { (*mdl).MdlFlags |= MDL_PAGES_LOCKED };
    fields(irp).MdlAddress = mdl;
    mdl.expose_provenance()
}

/// Makes the buffers of an order and writes them into the request. Gives false without memory.
fn fill(machine: &Machine, irp: PIRP, device: PDEVICE_OBJECT, order: &Order<'_>, waiting: &mut Waiting) -> bool {
    let (input, room) = (order.input, order.room);
    let stack = location(current(irp).wrapping_sub(1));
    if order.major == IRP_MJ_DEVICE_CONTROL {
        let control = &mut stack.Parameters;
        control.DeviceIoControl.OutputBufferLength = room as u32;
        control.DeviceIoControl.InputBufferLength = input.len() as u32;
        control.DeviceIoControl.IoControlCode = order.code;
    } else if matches!(order.major, IRP_MJ_READ | IRP_MJ_WRITE) {
        stack.Parameters.Read.Length = input.len().max(room) as u32;
        stack.Parameters.Read.ByteOffset = LARGE_INTEGER { QuadPart: 0 };
    } else {
        return true;
    }
    let is_control = order.major == IRP_MJ_DEVICE_CONTROL;
    let method = method(device, order);
    let mut take = |bytes: &[u8], room: usize| {
        let at = (bytes.len().max(room) > 0).then(|| buffer(machine, bytes, room))?;
        waiting.buffers.extend(at);
        at
    };
    let system = match (method, is_control) {
        (0, _) => take(input, room),
        (1 | 2, true) => take(input, 0),
        _ => None,
    };
    let other = match (method, is_control) {
        (0, _) => None,
        (_, true) => take(&[], room),
        (_, false) => take(input, room),
    };
    let no_memory = |there: Option<usize>, wanted: usize| there.is_none() && wanted > 0;
    let lacking = match (method, is_control) {
        (0, _) => no_memory(system, input.len().max(room)),
        (_, true) => (method != 3 && no_memory(system, input.len())) || no_memory(other, room),
        (_, false) => no_memory(other, input.len().max(room)),
    };
    if lacking {
        return false;
    }
    let pointer = |at: Option<usize>| at.map_or(ptr::null_mut(), ptr::with_exposed_provenance_mut);
    fields(irp).AssociatedIrp.SystemBuffer = pointer(system);
    waiting.back = if method == 0 { system } else { other };
    match (method, other) {
        (1 | 2, Some(at)) => waiting.mdl = describe(machine, irp, at, input.len().max(room)),
        (3, other) => {
            fields(irp).UserBuffer = pointer(other);
            if is_control {
                let at = take(input, 0);
                stack.Parameters.DeviceIoControl.Type3InputBuffer = pointer(at);
            }
        }
        _ => (),
    }
    true
}

/// Sends a request of a program to a device.
fn send(machine: &Arc<Machine>, file: PFILE_OBJECT, order: &Order<'_>) -> Result<Request, NTSTATUS> {
    let device = device_of(file);
    let what = format!("{} for {}", major_name(order.major as u8), path_of(machine, file));
    let outcome = Outcome::default();
    let counted = !matches!(order.major, IRP_MJ_CLEANUP | IRP_MJ_CLOSE);
    let mut waiting = Waiting {
        outcome: outcome.clone(),
        file: file.addr(),
        counted,
        room: order.room,
        buffers: Vec::new(),
        back: None,
        mdl: 0,
    };
    // SAFETY: a device that is open.
    let stack_size = unsafe { (*device).StackSize };
    let irp = allocate(machine, stack_size.max(1), what, None).ok_or(STATUS_INSUFFICIENT_RESOURCES)?;
    if !fill(machine, irp, device, order, &mut waiting) {
        waiting.release(machine);
        free(machine, irp);
        return Err(STATUS_INSUFFICIENT_RESOURCES);
    }
    fields(irp).RequestorMode = USER_MODE;
    let stack = location(current(irp).wrapping_sub(1));
    stack.MajorFunction = order.major as u8;
    stack.FileObject = file;
    if order.major == IRP_MJ_CREATE {
        stack.Parameters.Create.SecurityContext = security_context(machine, &mut waiting);
        stack.Parameters.Create.ShareAccess = 3;
    }
    let mut state = machine.nt.io.state();
    if let Some(live) = state.irps.get_mut(&irp.addr()) {
        live.program = Some(waiting);
    }
    if let Some(opened) = state.files.get_mut(&file.addr()).filter(|_| counted) {
        opened.outstanding += 1;
    }
    drop(state);
    let before = IN_PROGRAM.replace(true);
    machine.callback("the I/O manager", Irql::Passive, || call_driver(machine, device, irp));
    IN_PROGRAM.set(before);
    Ok(Request { irp: irp.expose_provenance(), outcome })
}

/// An IO_SECURITY_CONTEXT: SecurityQos, AccessState, DesiredAccess, FullCreateOptions.
fn security_context(machine: &Machine, waiting: &mut Waiting) -> *mut std::ffi::c_void {
    let Some(at) = buffer(machine, &[], 24) else { return ptr::null_mut() };
    waiting.buffers.push(at);
    let context: *mut u32 = ptr::with_exposed_provenance_mut(at);
    // SAFETY: just allocated, 24 bytes long.
    unsafe { context.wrapping_add(4).write(READ_WRITE) };
    context.cast()
}

impl Waiting {
    fn release(&self, machine: &Machine) {
        if self.mdl != 0 {
            mdl::release(machine, ptr::with_exposed_provenance_mut(self.mdl));
        }
        for &at in &self.buffers {
            if machine.nt.pool.free(&machine.nt.memory, ptr::with_exposed_provenance_mut(at), BUFFER_TAG).is_err() {
                machine.violation("pool", format!("bytes around buffer {at:#x} of a request were written"));
            }
        }
    }
}

/// A request came to its top: the program gets its outcome, and the request is gone.
pub(super) fn finish(machine: &Machine, irp: PIRP, status: NTSTATUS, information: u64) {
    let mut state = machine.nt.io.state();
    let Some(live) = state.irps.get_mut(&irp.addr()) else { return };
    let (Some(waiting), what) = (live.program.take(), live.what.clone()) else {
        drop(state);
        reached_top(machine, irp);
        return;
    };
    if let Some(opened) = state.files.get_mut(&waiting.file).filter(|_| waiting.counted) {
        opened.outstanding -= 1;
    }
    drop(state);
    // Errors bring nothing back; warnings and successes do.
    let is_error = (status as u32) >> 30 == 3;
    let mut back = if is_error { 0 } else { usize::try_from(information).unwrap_or(usize::MAX) };
    let carries = waiting.back.is_some() && waiting.room > 0;
    if carries && back > waiting.room {
        let text = format!("{what} brings {back} bytes back, where there is room for {}", waiting.room);
        machine.violation("irp", text);
        back = waiting.room;
    }
    let bytes = match waiting.back.filter(|_| carries) {
        Some(at) => {
            let bytes = ptr::with_exposed_provenance::<u8>(at);
            // SAFETY: the request's own buffer, `room` bytes long.
            unsafe { std::slice::from_raw_parts(bytes, back) }.to_vec()
        }
        None => Vec::new(),
    };
    waiting.release(machine);
    free(machine, irp);
    *waiting.outcome.lock().unwrap_or_else(PoisonError::into_inner) = Some((status, bytes));
}

fn path_of(machine: &Machine, file: PFILE_OBJECT) -> String {
    let state = machine.nt.io.state();
    state.files.get(&file.addr()).map_or_else(String::new, |opened| opened.path.clone())
}

/// Waits for a request's end; a wait that nothing ends is a violation, and the request is cancelled.
fn outcome(machine: &Arc<Machine>, request: &Request, what: &str) -> Result<(NTSTATUS, Vec<u8>), NTSTATUS> {
    verifier::set_call("");
    for _ in 0..2 {
        let outcome = request.outcome.clone();
        let done = move || outcome.lock().unwrap_or_else(PoisonError::into_inner).is_some();
        if machine.wait(what, None, done) != Woken::Never {
            break;
        }
        cancel(machine, request);
    }
    request.take().ok_or(ndk_types::STATUS_TIMEOUT)
}

/// Opens a device by a path such as `\\.\name`, `\??\name` or `\Device\name`.
pub fn open(machine: &Arc<Machine>, path: &str) -> Result<File, NTSTATUS> {
    let (device, rest) = {
        let mut state = machine.nt.io.state();
        let (device, rest) = devices::resolve(&state, path)?;
        let object: PDEVICE_OBJECT = ptr::with_exposed_provenance_mut(device);
        // SAFETY: a device object that is not deleted.
        let flags = unsafe { (*object).Flags };
        if flags & DO_DEVICE_INITIALIZING != 0 {
            return Err(NO_SUCH_DEVICE);
        }
        let Some(entry) = state.devices.get_mut(&device) else { return Err(status::OBJECT_NAME_NOT_FOUND) };
        if flags & DO_EXCLUSIVE != 0 && entry.open > 0 {
            return Err(STATUS_ACCESS_DENIED);
        }
        entry.open += 1;
        (object, rest)
    };
    count_reference(device, 1);
    let name: Box<[u16]> = rest.encode_utf16().collect();
    let Some(block) = machine.nt.pool.allocate(&machine.nt.memory, size_of::<FILE_OBJECT>(), FILE_TAG, true) else {
        leave_device(machine, device.addr());
        return Err(STATUS_INSUFFICIENT_RESOURCES);
    };
    let file: PFILE_OBJECT = block.cast();
    // SAFETY: just allocated, with room for it; all zeroes is a file object.
    let new = unsafe { &mut *file };
    (new.Type, new.Size, new.DeviceObject) = (TYPE_FILE, size_of::<FILE_OBJECT>() as i16, device);
    (new.ReadAccess, new.WriteAccess, new.SharedRead, new.SharedWrite) = (1, 1, 1, 1);
    let length = (name.len() * 2) as u16;
    new.FileName = UNICODE_STRING { Length: length, MaximumLength: length, Buffer: name.as_ptr().cast_mut() };
    let opened = Opened { path: path.to_owned(), device: device.addr(), name, outstanding: 0 };
    machine.nt.io.state().files.insert(file.expose_provenance(), opened);
    let order = Order { major: IRP_MJ_CREATE, code: 0, input: &[], room: 0 };
    let result = send(machine, file, &order).and_then(|request| outcome(machine, &request, "a file to open"));
    match result {
        Ok((status, _)) if status >= 0 => Ok(File(file.expose_provenance())),
        Ok((status, _)) | Err(status) => {
            forget(machine, file);
            Err(status)
        }
    }
}

fn count_reference(device: PDEVICE_OBJECT, by: i32) {
    // SAFETY: a device object that is not freed.
    unsafe { (*device).ReferenceCount += by };
}

fn leave_device(machine: &Machine, device: usize) {
    count_reference(ptr::with_exposed_provenance_mut(device), -1);
    let mut state = machine.nt.io.state();
    let Some(entry) = state.devices.get_mut(&device) else { return };
    entry.open -= 1;
    if entry.deleted && entry.open == 0 {
        state.devices.remove(&device);
        drop(state);
        devices::release(machine, device);
    }
}

/// The file object is gone.
fn forget(machine: &Machine, file: PFILE_OBJECT) {
    let opened = machine.nt.io.state().files.remove(&file.addr());
    let Some(opened) = opened else { return };
    if machine.nt.pool.free(&machine.nt.memory, file.cast(), FILE_TAG).is_err() {
        machine.violation("pool", format!("bytes around the file object of {} were written", opened.path));
    }
    drop(opened.name);
    leave_device(machine, opened.device);
}

fn object(machine: &Machine, file: &File) -> Result<PFILE_OBJECT, NTSTATUS> {
    let known = machine.nt.io.state().files.contains_key(&file.0);
    known.then(|| ptr::with_exposed_provenance_mut(file.0)).ok_or(STATUS_INVALID_HANDLE)
}

/// Sends a control code with its input; the driver's dispatch routine has run when this returns.
pub fn submit(machine: &Arc<Machine>, file: &File, code: u32, input: &[u8], room: usize) -> Result<Request, NTSTATUS> {
    send(machine, object(machine, file)?, &Order { major: IRP_MJ_DEVICE_CONTROL, code, input, room })
}

/// Sends a control code and waits for its outcome: the status, and what the driver gave back.
pub fn device_io_control(
    machine: &Arc<Machine>,
    file: &File,
    code: u32,
    input: &[u8],
    room: usize,
) -> Result<(NTSTATUS, Vec<u8>), NTSTATUS> {
    let request = submit(machine, file, code, input, room)?;
    outcome(machine, &request, &format!("control code {code:#x}"))
}

/// Reads up to `room` bytes, or writes `bytes`.
pub fn transfer(
    machine: &Arc<Machine>,
    file: &File,
    direction: Direction,
    bytes: &[u8],
    room: usize,
) -> Result<(NTSTATUS, Vec<u8>), NTSTATUS> {
    let order = match direction {
        Direction::Read => Order { major: IRP_MJ_READ, code: 0, input: &[], room },
        Direction::Write => Order { major: IRP_MJ_WRITE, code: 0, input: bytes, room: 0 },
    };
    let request = send(machine, object(machine, file)?, &order)?;
    outcome(machine, &request, "a transfer")
}

/// Cancels a request, as CancelIoEx does; whether a cancel routine was there to call.
pub fn cancel(machine: &Arc<Machine>, request: &Request) -> bool {
    verifier::set_call("");
    !request.is_done() && machine.enter(|| cancel_request(machine, ptr::with_exposed_provenance_mut(request.irp)))
}

/// Closes a file as the end of its last handle does: IRP_MJ_CLEANUP, then, when the file's requests are completed, IRP_MJ_CLOSE.
#[expect(clippy::needless_pass_by_value, reason = "a file is gone once it is closed")]
pub fn close(machine: &Arc<Machine>, file: File) {
    let Ok(object) = object(machine, &file) else { return };
    let File(at) = file;
    let order = |major| Order { major, code: 0, input: &[], room: 0 };
    let cleaned = send(machine, object, &order(IRP_MJ_CLEANUP));
    let _ = cleaned.and_then(|request| outcome(machine, &request, "a file to be cleaned up"));
    let owner = machine.clone();
    let quiet = move || owner.nt.io.state().files.get(&at).is_none_or(|opened| opened.outstanding == 0);
    machine.wait("the requests of a file that is closed", None, quiet);
    let closed = send(machine, object, &order(IRP_MJ_CLOSE));
    let _ = closed.and_then(|request| outcome(machine, &request, "a file to close"));
    forget(machine, object);
}
