//! Requests of the I/O manager: what wdm.h has as inline functions and macros, and the ownership of a pended request.

use core::ffi::c_void;
use core::ptr::{NonNull, null_mut};
use core::sync::atomic::{AtomicPtr, Ordering};
use wdk_sys::ntddk::{IoReleaseCancelSpinLock, IofCompleteRequest};
use wdk_sys::{
    CCHAR, IO_NO_INCREMENT, IO_STACK_LOCATION, IRP, NTSTATUS, PDEVICE_OBJECT, PDRIVER_CANCEL, PIRP, SL_PENDING_RETURNED,
};

/// The request's parameters for us (IoGetCurrentIrpStackLocation).
///
/// # Safety
/// `irp` is a request that this driver holds.
#[expect(clippy::multiple_unsafe_ops_per_block, reason = "one place, behind bindgen's unnamed unions")]
pub unsafe fn stack_location(irp: PIRP) -> *mut IO_STACK_LOCATION {
    // SAFETY: the caller's request; while a driver holds it, the unions are their Overlay and CurrentStackLocation.
    unsafe { (*irp).Tail.Overlay.__bindgen_anon_2.__bindgen_anon_1.CurrentStackLocation }
}

/// Where a driver keeps what it likes while it holds the request.
unsafe fn driver_context(irp: PIRP) -> *mut *mut c_void {
    // SAFETY: the caller's request; the place is computed, not read.
    unsafe { (&raw mut (*irp).Tail.Overlay.__bindgen_anon_1.__bindgen_anon_1.DriverContext).cast() }
}

/// A request with one of this driver's control codes, and its buffer.
#[derive(Clone, Copy)]
pub struct Control {
    irp: PIRP,
    /// The control code.
    pub code: u32,
    input: u32,
    output: u32,
}

impl Control {
    /// Reads the parameters of an IRP_MJ_DEVICE_CONTROL.
    ///
    /// # Safety
    /// `irp` is such a request, and this driver holds it as long as the value is used.
    pub unsafe fn new(irp: PIRP) -> Self {
        // SAFETY: the caller's request.
        let stack = unsafe { stack_location(irp) };
        // SAFETY: our own stack location; the place is computed.
        let parameters = unsafe { &raw const (*stack).Parameters.DeviceIoControl };
        // SAFETY: the major function says that these parameters are there.
        let parameters = unsafe { parameters.read() };
        let (input, output) = (parameters.InputBufferLength, parameters.OutputBufferLength);
        Self { irp, code: parameters.IoControlCode, input, output }
    }

    /// The system buffer: input and output of METHOD_BUFFERED.
    fn buffer(&self) -> *mut c_void {
        // SAFETY: `new`'s contract; the place is computed.
        let buffer = unsafe { &raw const (*self.irp).AssociatedIrp.SystemBuffer };
        // SAFETY: METHOD_BUFFERED reads this union as its SystemBuffer.
        unsafe { buffer.read() }
    }

    /// The structure that came in, if it is all there. `T` is made of integers: every bit pattern is a value.
    pub fn input<T: crate::dispatch::Plain>(&self) -> Option<T> {
        let from = NonNull::new(self.buffer().cast::<T>())?;
        let whole = self.input as usize >= size_of::<T>();
        // SAFETY: the I/O manager copied `input` bytes there, and `T` is plain.
        whole.then(|| unsafe { from.read_unaligned() })
    }

    /// Whether there is room for this structure.
    pub fn has_room<T>(&self) -> bool {
        self.output as usize >= size_of::<T>()
    }

    /// Writes the answer, as much as `has_room` vouched for; gives its length.
    pub fn output<T: crate::dispatch::Plain>(&self, answer: T) -> usize {
        match NonNull::new(self.buffer().cast::<T>()) {
            Some(to) if self.has_room::<T>() => {
                // SAFETY: the I/O manager's buffer has room for the longer of input and output.
                unsafe { to.write_unaligned(answer) };
                size_of::<T>()
            }
            _ => 0,
        }
    }
}

/// Completes a request that was not pended; gives the status back, to be returned.
///
/// # Safety
/// This driver holds the request, and does not touch it after.
pub unsafe fn complete(irp: PIRP, status: NTSTATUS, information: usize) -> NTSTATUS {
    // SAFETY: the caller's request; the place is computed.
    let place = unsafe { &raw mut (*irp).IoStatus.__bindgen_anon_1.Status };
    // SAFETY: the caller's request.
    unsafe { place.write(status) };
    // SAFETY: as above.
    unsafe { (*irp).IoStatus.Information = information as _ };
    // SAFETY: IofCompleteRequest: completed once, by whoever holds it.
    unsafe { IofCompleteRequest(irp, IO_NO_INCREMENT as CCHAR) };
    status
}

/// Sets the routine that cancels a request, and gives the one before (IoSetCancelRoutine).
unsafe fn set_cancel_routine(irp: PIRP, routine: PDRIVER_CANCEL) -> *mut c_void {
    let routine = routine.map_or(null_mut(), |routine| routine as *mut c_void);
    // SAFETY: the caller's request; the place is computed.
    let place = unsafe { &raw mut (*irp).CancelRoutine };
    // SAFETY: wdm.h exchanges this pointer atomically, and nobody accesses it otherwise.
    let place = unsafe { AtomicPtr::from_ptr(place.cast::<*mut c_void>()) };
    place.swap(routine, Ordering::AcqRel)
}

/// Who is told when a pended request is cancelled.
pub trait OnCancel {
    /// Called once, at or below DISPATCH_LEVEL, before [`Pended::complete`] goes on.
    fn cancelled(&self);
    /// Waits until [`OnCancel::cancelled`] was called. PASSIVE_LEVEL.
    fn wait_for_cancelled(&self);
}

/// A request that somebody waits for; completed exactly once.
pub struct Pended {
    irp: PIRP,
}

// SAFETY: a pended request belongs to whoever will complete it, on any thread.
unsafe impl Send for Pended {}

impl Pended {
    /// Marks a request as pending; the dispatch routine returns STATUS_PENDING. `owner` is told if it is cancelled. True: it was
    /// cancelled already, and `owner` will not be told.
    ///
    /// # Safety
    /// This driver holds the request, and `owner` lives until [`Pended::complete`] has returned.
    pub unsafe fn new<O: OnCancel>(irp: PIRP, owner: *const O) -> (Self, bool) {
        // SAFETY: the caller's request.
        let stack = unsafe { stack_location(irp) };
        // SAFETY: IoMarkIrpPending: our own stack location.
        unsafe { (*stack).Control |= SL_PENDING_RETURNED as u8 };
        // SAFETY: the caller's request.
        let context = unsafe { driver_context(irp) };
        // SAFETY: the driver's own words while it holds the request.
        unsafe { context.write(owner.cast_mut().cast()) };
        // SAFETY: the context that the routine reads is there.
        unsafe { set_cancel_routine(irp, Some(cancel::<O>)) };
        // SAFETY: the caller's request; the place is computed.
        let flag = unsafe { &raw const (*irp).Cancel };
        // SAFETY: as above; the I/O manager sets the flag before it takes the routine.
        let cancelled = unsafe { flag.read_volatile() } != 0;
        // Who takes the routine out decides: the I/O manager calls it, or nobody does.
        // SAFETY: as above.
        let ours = cancelled && !unsafe { set_cancel_routine(irp, None) }.is_null();
        (Self { irp }, ours)
    }

    /// Where the answer goes.
    ///
    /// # Safety
    /// The request is an IRP_MJ_DEVICE_CONTROL.
    pub unsafe fn control(&self) -> Control {
        // SAFETY: held until `complete`; the rest is the caller's promise.
        unsafe { Control::new(self.irp) }
    }

    /// Completes it. `was_ours`: what [`Pended::new`] said. PASSIVE_LEVEL.
    pub fn complete<O: OnCancel>(self, owner: &O, was_ours: bool, status: NTSTATUS, information: usize) {
        // SAFETY: held until now.
        let taken = unsafe { set_cancel_routine(self.irp, None) }.is_null();
        if taken && !was_ours {
            // The I/O manager has the routine: the request is its until the routine has let it go.
            owner.wait_for_cancelled();
        }
        // SAFETY: held, and nobody else touches it any more.
        let _ = unsafe { complete(self.irp, status, information) };
    }
}

/// DRIVER_CANCEL: the request stays with its owner, who completes it soon.
unsafe extern "C" fn cancel<O: OnCancel>(_device: PDEVICE_OBJECT, irp: *mut IRP) {
    // SAFETY: a request that is being cancelled.
    let context = unsafe { driver_context(irp) };
    // SAFETY: `Pended::new` wrote it before it set this routine.
    let owner = unsafe { context.read() }.cast::<O>();
    // SAFETY: a request that is being cancelled.
    let irql = unsafe { (*irp).CancelIrql };
    // SAFETY: IoReleaseCancelSpinLock: taken by whoever called us, at that IRQL.
    unsafe { IoReleaseCancelSpinLock(irql) };
    // SAFETY: the owner waits for `cancelled` before it completes the request and goes.
    unsafe { &*owner }.cancelled();
}
