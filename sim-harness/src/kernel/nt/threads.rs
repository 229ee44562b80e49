//! System threads, handles, and the objects that references keep.
//!
//! A thread object is a block of the pool, which whoever has a handle or a reference may wait for; it goes with the last of
//! them. A thread that ends itself (PsTerminateSystemThread) does so from inside image code: the frames it leaves are gone.

use super::io::in_program;
use super::locks;
use super::waits::{initialize, kind, set_state};
use crate::exports;
use crate::kernel::Machine;
use crate::kernel::export::Export;
use crate::kernel::irql::Irql;
use crate::kernel::wdk::{
    ACCESS_MASK, BOOLEAN, HANDLE, KPRIORITY, KPROCESSOR_MODE, LONG, LONG_PTR, NTSTATUS, PCLIENT_ID, PHANDLE,
    PKSTART_ROUTINE, PKTHREAD, POBJECT_ATTRIBUTES, POBJECT_HANDLE_INFORMATION, POBJECT_TYPE, PRKTHREAD, PVOID, ULONG,
};
use ndk_types::{
    STATUS_ACCESS_DENIED, STATUS_INSUFFICIENT_RESOURCES, STATUS_INVALID_HANDLE, STATUS_INVALID_PARAMETER,
    STATUS_OBJECT_TYPE_MISMATCH, STATUS_SUCCESS,
};
use std::arch::naked_asm;
use std::cell::Cell;
use std::collections::BTreeMap;
use std::ffi::c_void;
use std::ptr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The tag of thread objects, as the real kernel has it.
const TAG: u32 = u32::from_le_bytes(*b"Thre");
/// Bytes of a thread object here.
const SIZE: usize = 128;
/// OBJ_KERNEL_HANDLE
pub(super) const KERNEL_HANDLE: u32 = 0x200;
/// The first handle; the kernel's have their upper bits set.
const FIRST_HANDLE: usize = 0xffff_ffff_8000_0000;
/// The priority of threads that nobody set one for.
const NORMAL_PRIORITY: i32 = 8;

thread_local! {
    /// The thread object of this thread.
    static OBJECT: Cell<usize> = const { Cell::new(0) };
    /// Where the stack is to go back to when a system thread ends itself; 0 on other threads.
    static WAY_OUT: Cell<usize> = const { Cell::new(0) };
    /// Mutexes it owns.
    static OWNED: Cell<i32> = const { Cell::new(0) };
    /// Critical regions it is in.
    static REGIONS: Cell<i32> = const { Cell::new(0) };
    static PRIORITY: Cell<i32> = const { Cell::new(NORMAL_PRIORITY) };
    /// What stands for the object of a thread that PsCreateSystemThread did not make.
    static STAND_IN: [u64; 16] = const { [0; 16] };
}

/// What a handle leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// A thread object.
    Thread(usize),
    /// A key of the registry, by its path.
    Key(String),
    /// A file.
    File(super::zw::Open),
}

#[derive(Debug)]
struct Thread {
    references: i64,
    running: bool,
}

#[derive(Debug, Default)]
struct Table {
    handles: BTreeMap<usize, Target>,
    threads: BTreeMap<usize, Thread>,
    made: usize,
}

/// The handles and thread objects of one machine.
#[derive(Debug, Default)]
pub struct Threads(Mutex<Table>);

impl Threads {
    fn table(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A new handle.
    pub(super) fn open(&self, target: Target) -> HANDLE {
        let mut table = self.table();
        table.made += 1;
        let handle = FIRST_HANDLE + table.made * 4;
        table.handles.insert(handle, target);
        ptr::without_provenance_mut(handle)
    }

    /// What a handle leads to.
    pub(super) fn target(&self, handle: HANDLE) -> Option<Target> {
        self.table().handles.get(&handle.addr()).cloned()
    }

    /// Changes what is known of an open file.
    pub(super) fn update(&self, handle: HANDLE, change: impl FnOnce(&mut super::zw::Open)) {
        if let Some(Target::File(open)) = self.table().handles.get_mut(&handle.addr()) {
            change(open);
        }
    }

    pub(super) fn leaks(&self) -> Vec<String> {
        let table = self.table();
        let handles = table.handles.iter().map(|(handle, target)| match target {
            Target::Thread(at) => format!("handle {handle:#x} of thread {at:#x}"),
            Target::Key(path) => format!("handle {handle:#x} of the key {path}"),
            Target::File(open) => format!("handle {handle:#x} of the file {}", open.path),
        });
        let threads = table.threads.iter().map(|(at, thread)| {
            let still = if thread.running { "that runs, " } else { "" };
            format!("thread {at:#x}, {still}with {} references", thread.references)
        });
        handles.chain(threads).collect()
    }
}

/// The thread object of this thread, as a number.
pub fn current() -> usize {
    if OBJECT.get() == 0 {
        STAND_IN.with(|block| OBJECT.set(block.as_ptr().expose_provenance()));
    }
    OBJECT.get()
}

/// Whether this thread is in a critical region: normal kernel APCs are disabled.
pub(super) fn in_critical_region() -> bool {
    REGIONS.get() > 0
}

/// This thread owns so many mutexes more.
pub(super) fn owns(more: i32) {
    OWNED.set(OWNED.get() + more);
}

/// Calls `body`; comes back when it does, or when [`leave`] is called with what it wrote to `place`.
///
/// # Safety
/// `place` may be written, and `body` may be called with `argument`.
#[unsafe(naked)]
unsafe extern "C" fn enter(place: *mut usize, body: unsafe extern "C" fn(*mut c_void), argument: *mut c_void) {
    naked_asm!(
        "push rbp",
        "push rbx",
        "push r12",
        "push r13",
        "push r14",
        "push r15",
        "sub rsp, 8",
        "mov [rdi], rsp",
        "mov rdi, rdx",
        "call rsi",
        "add rsp, 8",
        "pop r15",
        "pop r14",
        "pop r13",
        "pop r12",
        "pop rbx",
        "pop rbp",
        "ret",
    )
}

/// Goes back to where [`enter`] was called.
///
/// # Safety
/// That call has not come back; nothing in the frames between needs to be dropped.
#[unsafe(naked)]
unsafe extern "C" fn leave(stack: usize) -> ! {
    naked_asm!("mov rsp, rdi", "add rsp, 8", "pop r15", "pop r14", "pop r13", "pop r12", "pop rbx", "pop rbp", "ret",)
}

/// A system thread whose machine's run is over does not go back into its driver, which would wait again for ever.
pub(super) fn leave_for_good() {
    let stack = WAY_OUT.get();
    if stack != 0 {
        // SAFETY: the slot is not 0 while `enter` runs on this thread; what the frames between hold is given up with the run.
        unsafe { leave(stack) }
    }
}

/// What a system thread runs.
struct Start {
    machine: *const Machine,
    routine: PKSTART_ROUTINE,
    context: usize,
}

unsafe extern "C" fn start(start: *mut c_void) {
    // SAFETY: `run` passes its own variable, and `leave` needs nothing of this frame dropped.
    let start = unsafe { &*start.cast::<Start>() };
    // SAFETY: the thread has a count of the machine.
    let machine = unsafe { &*start.machine };
    if let Some(routine) = start.routine {
        let context = ptr::with_exposed_provenance_mut::<c_void>(start.context);
        // SAFETY: the routine's contract: its context.
        unsafe { crate::call_either!(machine, routine, context) }
    }
}

/// The body of a system thread.
fn run(machine: &Arc<Machine>, object: usize, routine: PKSTART_ROUTINE, context: usize) {
    OBJECT.set(object);
    let mut begin = Start { machine: Arc::as_ptr(machine), routine, context };
    machine.callback("a system thread", Irql::Passive, || {
        let place = WAY_OUT.with(Cell::as_ptr);
        // SAFETY: the slot of this thread, and `start` takes what it is given.
        unsafe { enter(place, start, (&raw mut begin).cast()) }
    });
    WAY_OUT.set(0);
    if machine.sched.is_abandoned() {
        return;
    }
    let held = [(OWNED.get(), "mutexes"), (REGIONS.get(), "critical regions"), (locks::held() as i32, "spin locks")];
    for (count, what) in held {
        if count != 0 {
            machine.violation("thread", format!("a system thread ended with {count} {what}"));
        }
    }
    set_state(ptr::with_exposed_provenance_mut(object), 1);
    if let Some(thread) = machine.nt.threads.table().threads.get_mut(&object) {
        thread.running = false;
    }
    dereference(machine, object);
}

/// Takes a reference away; gives what is left, or `None` for what is no object.
fn dereference(machine: &Machine, object: usize) -> Option<i64> {
    let mut table = machine.nt.threads.table();
    let thread = table.threads.get_mut(&object)?;
    thread.references -= 1;
    let left = thread.references;
    if left == 0 {
        table.threads.remove(&object);
        drop(table);
        let block = ptr::with_exposed_provenance_mut(object);
        if machine.nt.pool.free(&machine.nt.memory, block, TAG).is_err() {
            machine.violation("pool", format!("bytes around thread object {object:#x} were written"));
        }
    }
    Some(left)
}

fn reference(machine: &Machine, object: usize) -> Option<i64> {
    let mut table = machine.nt.threads.table();
    let thread = table.threads.get_mut(&object)?;
    thread.references += 1;
    Some(thread.references)
}

/// A handle that a driver opens for a program, in its context, must be one of the kernel's.
pub(super) fn check_attributes(attributes: POBJECT_ATTRIBUTES, name: &str) {
    // SAFETY: the pages: NULL or attributes of an object.
    let flags = if attributes.is_null() { 0 } else { unsafe { (*attributes).Attributes } };
    if in_program() && flags & KERNEL_HANDLE == 0 {
        let text = format!("{name} in the context of a program without OBJ_KERNEL_HANDLE");
        Machine::current().violation("handle", text);
    }
}

fn make(machine: &Arc<Machine>, routine: PKSTART_ROUTINE, context: PVOID) -> Option<usize> {
    let block = machine.nt.pool.allocate(&machine.nt.memory, SIZE, TAG, true)?;
    initialize(block.cast(), kind::THREAD, 0);
    let object = block.expose_provenance();
    // One for the thread itself, one for the handle.
    machine.nt.threads.table().threads.insert(object, Thread { references: 2, running: true });
    let (owner, context) = (machine.clone(), context.expose_provenance());
    machine.thread("a system thread", move || run(&owner, object, routine, context));
    Some(object)
}

ndk_types::abi! {
    unsafe extern "C" fn ps_create_system_thread(
        handle: PHANDLE,
        _access: ULONG,
        attributes: POBJECT_ATTRIBUTES,
        process: HANDLE,
        client: PCLIENT_ID,
        routine: PKSTART_ROUTINE,
        context: PVOID,
    ) -> NTSTATUS {
        let machine = Machine::current();
        check_attributes(attributes, "PsCreateSystemThread");
        if !process.is_null() {
            machine.violation("thread", "PsCreateSystemThread in another process, which the simulated kernel has not");
        }
        if machine.take_failure("PsCreateSystemThread") {
            return STATUS_INSUFFICIENT_RESOURCES;
        }
        let Some(object) = make(&machine, routine, context) else { return STATUS_INSUFFICIENT_RESOURCES };
        // SAFETY: the page: room for a handle.
        unsafe { handle.write(machine.nt.threads.open(Target::Thread(object))) };
        if !client.is_null() {
            let id = crate::kernel::wdk::CLIENT_ID {
                UniqueProcess: ptr::without_provenance_mut(4),
                UniqueThread: ptr::without_provenance_mut(object),
            };
            // SAFETY: the page: NULL or room for the identifiers.
            unsafe { client.write(id) };
        }
        STATUS_SUCCESS
    }

    unsafe extern "C" fn ps_terminate_system_thread(_status: NTSTATUS) -> NTSTATUS {
        let stack = WAY_OUT.get();
        if stack == 0 {
            Machine::current().violation("thread", "PsTerminateSystemThread in a thread that is no system thread");
            return STATUS_INVALID_PARAMETER;
        }
        // SAFETY: the slot is not 0 while `enter` runs on this thread; between are frames of the image and of its border.
        unsafe { leave(stack) }
    }

    unsafe extern "C" fn ke_get_current_thread() -> PRKTHREAD {
        ptr::with_exposed_provenance_mut(current())
    }

    unsafe extern "C" fn ke_set_priority_thread(_thread: PKTHREAD, priority: KPRIORITY) -> KPRIORITY {
        if !(1..=31).contains(&priority) {
            Machine::current().violation("thread", format!("KeSetPriorityThread to {priority}"));
        }
        PRIORITY.replace(priority)
    }

    unsafe extern "C" fn ke_set_base_priority_thread(_thread: PKTHREAD, increment: LONG) -> LONG {
        PRIORITY.replace(NORMAL_PRIORITY + increment) - NORMAL_PRIORITY
    }

    unsafe extern "C" fn ke_query_priority_thread(_thread: PKTHREAD) -> KPRIORITY {
        PRIORITY.get()
    }

    unsafe extern "C" fn ke_enter_critical_region() {
        REGIONS.set(REGIONS.get() + 1);
    }

    unsafe extern "C" fn ke_leave_critical_region() {
        if REGIONS.get() == 0 {
            Machine::current().violation("thread", "KeLeaveCriticalRegion outside of one");
            return;
        }
        REGIONS.set(REGIONS.get() - 1);
    }

    unsafe extern "C" fn ke_are_apcs_disabled() -> BOOLEAN {
        BOOLEAN::from(REGIONS.get() > 0)
    }

    unsafe extern "C" fn ps_get_current_thread_id() -> HANDLE {
        ptr::without_provenance_mut(current())
    }

    unsafe extern "C" fn ps_get_current_process_id() -> HANDLE {
        // Threads of the system are in process 4; programs of the simulator are all one.
        ptr::without_provenance_mut(if in_program() { 0x1000 } else { 4 })
    }

    unsafe extern "C" fn ob_reference_object_by_handle(
        handle: HANDLE,
        _access: ACCESS_MASK,
        kind: POBJECT_TYPE,
        _mode: KPROCESSOR_MODE,
        object: *mut PVOID,
        information: POBJECT_HANDLE_INFORMATION,
    ) -> NTSTATUS {
        let machine = Machine::current();
        if machine.take_failure("ObReferenceObjectByHandle") {
            return STATUS_ACCESS_DENIED;
        }
        let at = match machine.nt.threads.target(handle) {
            Some(Target::Thread(at)) => at,
            // Files and keys have no objects here that a driver could look at.
            Some(_) => return STATUS_OBJECT_TYPE_MISMATCH,
            None => {
                machine.violation("handle", format!("handle {:#x} is none", handle.addr()));
                return STATUS_INVALID_HANDLE;
            }
        };
        if !kind.is_null() && !super::data::is_thread_type(kind.addr()) {
            return STATUS_OBJECT_TYPE_MISMATCH;
        }
        reference(&machine, at);
        if !information.is_null() {
            // SAFETY: the page: NULL or room for it.
            unsafe { information.write(crate::kernel::wdk::_OBJECT_HANDLE_INFORMATION::default()) };
        }
        // SAFETY: the page: room for the object's address.
        unsafe { object.write(ptr::with_exposed_provenance_mut(at)) };
        STATUS_SUCCESS
    }

    unsafe extern "C" fn obf_reference_object(object: PVOID) -> LONG_PTR {
        let machine = Machine::current();
        reference(&machine, object.addr()).unwrap_or_else(|| no_object(&machine, object))
    }

    unsafe extern "C" fn obf_dereference_object(object: PVOID) -> LONG_PTR {
        let machine = Machine::current();
        dereference(&machine, object.addr()).unwrap_or_else(|| no_object(&machine, object))
    }

    unsafe extern "C" fn zw_close(handle: HANDLE) -> NTSTATUS {
        let machine = Machine::current();
        let target = machine.nt.threads.table().handles.remove(&handle.addr());
        match target {
            None => {
                machine.violation("handle", format!("ZwClose of {:#x}, which is no open handle", handle.addr()));
                return STATUS_INVALID_HANDLE;
            }
            Some(Target::Thread(at)) => {
                dereference(&machine, at);
            }
            Some(Target::Key(_) | Target::File(_)) => (),
        }
        STATUS_SUCCESS
    }
}

/// A reference to something that is no object; devices, drivers and files of programs count theirs elsewhere.
fn no_object(machine: &Machine, object: PVOID) -> i64 {
    if machine.nt.io.knows(object.addr()) {
        return 1;
    }
    machine.violation("object", format!("{:#x} is no object that has references", object.addr()));
    0
}

pub(super) fn exports() -> impl IntoIterator<Item = Export> {
    exports! { "ntoskrnl.exe" in crate::kernel::wdk::ntddk;
        PsCreateSystemThread <= Passive = ps_create_system_thread,
        PsTerminateSystemThread <= Passive = ps_terminate_system_thread,
        KeGetCurrentThread <= High = ke_get_current_thread,
        KeSetPriorityThread <= Passive = ke_set_priority_thread,
        KeSetBasePriorityThread <= Passive = ke_set_base_priority_thread,
        KeQueryPriorityThread <= Passive = ke_query_priority_thread,
        KeEnterCriticalRegion <= Apc = ke_enter_critical_region,
        KeLeaveCriticalRegion <= Apc = ke_leave_critical_region,
        KeAreApcsDisabled <= Dispatch = ke_are_apcs_disabled,
        PsGetCurrentThreadId <= High = ps_get_current_thread_id,
        PsGetCurrentProcessId <= High = ps_get_current_process_id,
        ObReferenceObjectByHandle <= Passive = ob_reference_object_by_handle,
        ObfReferenceObject <= Dispatch = obf_reference_object,
        ObfDereferenceObject <= Dispatch = obf_dereference_object,
        ZwClose <= Passive = zw_close,
    }
}
