//! ndkpi.h: the callbacks a consumer gives.

use crate::abi;
use crate::{NDK_CONNECTOR, NDK_OBJECT_HEADER, NTSTATUS};
use core::ffi::c_void;

abi! {
    /// `ndk_fn_create_completion`: At or below DISPATCH_LEVEL; since NDKPI 1.1.
    pub type NDK_FN_CREATE_COMPLETION = Option<unsafe extern "C" fn(context: *mut c_void, status: NTSTATUS, ndk_object: *mut NDK_OBJECT_HEADER)>;

    /// `ndk_fn_request_completion`: At or below DISPATCH_LEVEL; since NDKPI 1.1.
    pub type NDK_FN_REQUEST_COMPLETION = Option<unsafe extern "C" fn(context: *mut c_void, status: NTSTATUS)>;

    /// `ndk_fn_close_completion`: At or below DISPATCH_LEVEL; since NDKPI 1.1.
    pub type NDK_FN_CLOSE_COMPLETION = Option<unsafe extern "C" fn(context: *mut c_void)>;

    /// `ndk_fn_cq_notification_callback`: At or below DISPATCH_LEVEL; since NDKPI 1.1.
    pub type NDK_FN_CQ_NOTIFICATION_CALLBACK = Option<unsafe extern "C" fn(cq_notification_context: *mut c_void, cq_status: NTSTATUS)>;

    /// `ndk_fn_srq_notification_callback`: At or below DISPATCH_LEVEL; since NDKPI 1.1.
    pub type NDK_FN_SRQ_NOTIFICATION_CALLBACK = Option<unsafe extern "C" fn(srq_notification_context: *mut c_void, srq_status: NTSTATUS)>;

    /// `ndk_fn_connect_event_callback`: At or below DISPATCH_LEVEL; since NDKPI 1.1.
    pub type NDK_FN_CONNECT_EVENT_CALLBACK = Option<unsafe extern "C" fn(connect_event_context: *mut c_void, ndk_connector: *mut NDK_CONNECTOR)>;

    /// `ndk_fn_disconnect_event_callback`: At or below DISPATCH_LEVEL; since NDKPI 1.1.
    pub type NDK_FN_DISCONNECT_EVENT_CALLBACK = Option<unsafe extern "C" fn(disconnect_event_context: *mut c_void)>;

    /// `ndk_fn_disconnect_event_callback_ex`: At or below DISPATCH_LEVEL; since NDKPI 2.1.
    pub type NDK_FN_DISCONNECT_EVENT_CALLBACK_EX = Option<unsafe extern "C" fn(disconnect_event_context: *mut c_void, provider_disconnect_reason: u32)>;
}
