//! Closing, and calling from inside callbacks, in ways the demo has no need of; what every object has in common.

use super::border::called_back;
use super::{Adapter, Cq, Failed, Qp, check, context_of, create_complete};
use crate::consumer::call;
use ndk_types::*;
use std::ffi::c_void;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicPtr, AtomicU32, Ordering};

/// A close that was asked for: what it said, and how often its completion came.
#[derive(Debug, Default)]
pub struct Closing {
    status: AtomicI32,
    completed: AtomicU32,
}

impl Closing {
    /// What the close returned.
    pub fn status(&self) -> NTSTATUS {
        self.status.load(Ordering::SeqCst)
    }

    /// Calls of the completion.
    pub fn completions(&self) -> u32 {
        self.completed.load(Ordering::SeqCst)
    }
}

/// Calls the close slot of an object.
macro_rules! close {
    ($object:expr, $slot:ident, $closing:expr) => {{
        let (object, closing): (_, &'static Closing) = ($object, $closing);
        let (header, complete): (_, NDK_FN_CLOSE_COMPLETION) = (object.cast::<NDK_OBJECT_HEADER>(), Some(closed));
        let status = $crate::consumer::call_slot!(object, $slot => (header, complete, context_of(closing)));
        closing.status.store(status, Ordering::SeqCst);
    }};
}

ndk_types::abi! {
    unsafe extern "C" fn closed(context: *mut c_void) {
        called_back("NdkCloseCompletion", || {
            // SAFETY: closes of this module pass a leaked `Closing`.
            let closing = unsafe { &*context.cast::<Closing>() };
            closing.completed.fetch_add(1, Ordering::SeqCst);
        });
    }

    unsafe extern "C" fn closes_inside(context: *mut c_void, _status: NTSTATUS) {
        called_back("NdkCqNotificationCallback", || {
            // SAFETY: CQs of `create_closing_cq` are made with a leaked record.
            let inside = unsafe { &*context.cast::<Inside>() };
            inside.calls.fetch_add(1, Ordering::SeqCst);
            let (cq, qp) = (inside.cq.load(Ordering::SeqCst), inside.qp.load(Ordering::SeqCst));
            close!(cq, NdkCloseCq, &inside.closing_cq);
            if !qp.is_null() {
                close!(qp, NdkCloseQp, &inside.closing_qp);
            }
            let over = inside.closing_cq.status() == STATUS_SUCCESS || inside.closing_cq.completions() > 0;
            inside.over_while_running.store(over, Ordering::SeqCst);
        });
    }
}

/// What a CQ's callback did that closes its own CQ, and a QP on it, from inside.
#[derive(Debug, Default)]
pub struct Inside {
    cq: AtomicPtr<NDK_CQ>,
    qp: AtomicPtr<NDK_QP>,
    /// Calls.
    pub calls: AtomicU32,
    /// The CQ's close was over while the callback still ran: LT-11 is broken.
    pub over_while_running: AtomicBool,
    /// The CQ's close.
    pub closing_cq: Closing,
    /// The QP's close.
    pub closing_qp: Closing,
}

impl Inside {
    /// The callback closes this QP too.
    #[expect(clippy::needless_pass_by_value, reason = "the handle is used up: the callback closes it")]
    pub fn close_too(&self, qp: Qp) {
        self.qp.store(qp.raw(), Ordering::SeqCst);
        // It is counted as closed by whoever reads the record.
        qp.ledger.closed.fetch_add(1, Ordering::SeqCst);
    }
}

impl Adapter {
    /// NdkCreateCq with a callback that closes it. The ledger does not count this CQ.
    pub fn create_closing_cq(&self, depth: u32) -> Result<(Cq, &'static Inside), Failed> {
        let inside: &'static Inside = Box::leak(Box::default());
        let (mut cq, none) = (ptr::null_mut(), ptr::null_mut());
        let notified: NDK_FN_CQ_NOTIFICATION_CALLBACK = Some(closes_inside);
        let create: NDK_FN_CREATE_COMPLETION = Some(create_complete);
        let (context, affinity) = (context_of(inside), ptr::null_mut());
        let status = call!(self.raw(), NdkCreateCq, depth, notified, context, affinity, create, none, &raw mut cq);
        check("NdkCreateCq", status)?;
        inside.cq.store(cq, Ordering::SeqCst);
        let handle = Cq::new(cq, self.ledger);
        self.ledger.closed.fetch_add(1, Ordering::SeqCst);
        Ok((handle, inside))
    }
}

/// What every object starts with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Its version.
    pub version: (u16, u16),
    /// Its type.
    pub object_type: NDK_OBJECT_TYPE,
    /// Whether the reserved block is zero.
    pub reserved_is_zero: bool,
}

/// Reads the head of an object.
///
/// # Safety
/// An open object's header.
pub unsafe fn head(object: *mut NDK_OBJECT_HEADER) -> Head {
    // SAFETY: the caller's contract.
    let header = unsafe { object.read() };
    let reserved_is_zero = header.NdkReserved.rf.iter().all(|word| word.is_null());
    Head { version: (header.Version.Major, header.Version.Minor), object_type: header.ObjectType, reserved_is_zero }
}

/// NdkQueryExtension of an object for a GUID that nobody implements.
macro_rules! query_extension {
    ($object:expr) => {{
        let object = $object;
        let version = ndk_types::NDK_VERSION { Major: 1, Minor: 0 };
        let extension = std::mem::MaybeUninit::<ndk_types::GUID>::zeroed();
        let mut interface = std::mem::MaybeUninit::<ndk_types::NDK_EXTENSION_INTERFACE>::zeroed();
        let (extension, interface) = (extension.as_ptr(), interface.as_mut_ptr());
        $crate::consumer::call_slot!(object, NdkQueryExtension => (object.cast(), extension, version, interface))
    }};
}

pub(crate) use query_extension;
