//! A system thread that is waited for before its driver goes.

use core::ffi::c_void;
use core::ptr::{NonNull, null_mut};
use wdk_sys::ntddk::{
    KeWaitForSingleObject, ObReferenceObjectByHandle, ObfDereferenceObject, PsCreateSystemThread, ZwClose,
};
use wdk_sys::{
    _KWAIT_REASON, _MODE, HANDLE, KPROCESSOR_MODE, NT_SUCCESS, NTSTATUS, OBJECT_ATTRIBUTES, PKSTART_ROUTINE, ULONG,
};

/// OBJ_KERNEL_HANDLE of ntdef.h: no process may use the handle.
const KERNEL_HANDLE: ULONG = 0x200;
/// SYNCHRONIZE of wdm.h: it will be waited for.
const SYNCHRONIZE: ULONG = 0x0010_0000;

/// A reference on a system thread. To be joined: a thread still in the image when that is unmapped takes the machine with it.
#[must_use]
pub struct Thread(NonNull<c_void>);

// SAFETY: a reference on a thread object is good in every thread.
unsafe impl Send for Thread {}

impl Thread {
    /// Starts one. `None`: it runs, but the system has no reference to give. PASSIVE_LEVEL.
    ///
    /// # Safety
    /// `routine` may be called once with `context`, at PASSIVE_LEVEL, and ends with PsTerminateSystemThread.
    pub unsafe fn start(routine: PKSTART_ROUTINE, context: *mut c_void) -> Result<Option<Self>, NTSTATUS> {
        let mut attributes = OBJECT_ATTRIBUTES {
            Length: size_of::<OBJECT_ATTRIBUTES>() as ULONG,
            RootDirectory: null_mut(),
            ObjectName: null_mut(),
            Attributes: KERNEL_HANDLE,
            SecurityDescriptor: null_mut(),
            SecurityQualityOfService: null_mut(),
        };
        let mut handle: HANDLE = null_mut();
        let none = null_mut();
        // SAFETY: PsCreateSystemThread: a place for the handle, attributes for a kernel handle, no process; the rest is the caller's.
        let status = unsafe {
            PsCreateSystemThread(&raw mut handle, SYNCHRONIZE, &raw mut attributes, none, null_mut(), routine, context)
        };
        if !NT_SUCCESS(status) {
            return Err(status);
        }
        let (mut object, mode) = (null_mut(), _MODE::KernelMode as KPROCESSOR_MODE);
        // SAFETY: ObReferenceObjectByHandle: the handle just made, kernel mode, a place for the object.
        let _ =
            unsafe { ObReferenceObjectByHandle(handle, SYNCHRONIZE, null_mut(), mode, &raw mut object, null_mut()) };
        // SAFETY: ZwClose: the handle just made, closed once.
        let _ = unsafe { ZwClose(handle) };
        Ok(NonNull::new(object).map(Self))
    }

    /// Waits until it has ended. PASSIVE_LEVEL.
    pub fn join(self) {
        let mode = _MODE::KernelMode as KPROCESSOR_MODE;
        // SAFETY: KeWaitForSingleObject: a referenced thread object; not alertable, no time-out.
        let _ = unsafe { KeWaitForSingleObject(self.0.as_ptr(), _KWAIT_REASON::Executive, mode, 0, null_mut()) };
        // SAFETY: ObfDereferenceObject: the reference taken in `start`, given back once.
        unsafe { ObfDereferenceObject(self.0.as_ptr()) };
    }
}
