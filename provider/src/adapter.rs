//! NDK_ADAPTER: one instance per open, many on one port (ADP-07).
//!
//! Its dispatch table has no close slot; [`Port::open_adapter`] and [`Port::close_adapter`] are what the NDIS handlers
//! OPEN_NDK_ADAPTER_HANDLER and CLOSE_NDK_ADAPTER_HANDLER call.

use crate::limits;
use crate::object::{self, Borrowed, Kind, Object, Ref};
use crate::platform::{Platform, Signal};
use crate::port::Port;
use crate::shared::Shared;
use core::marker::PhantomData;
use ndk_types::{
    GUID, NDIS_STATUS, NDIS_STATUS_ADAPTER_NOT_READY, NDIS_STATUS_BAD_VERSION, NDIS_STATUS_RESOURCES, NDK_ADAPTER,
    NDK_ADAPTER_DISPATCH, NDK_ADAPTER_INFO, NDK_EXTENSION_INTERFACE, NDK_OBJECT_HEADER, NDK_VERSION, NTSTATUS,
    NdkObjectTypeAdapter, STATUS_BUFFER_TOO_SMALL, STATUS_NOT_SUPPORTED, STATUS_SUCCESS,
};

/// The kind of NDK_ADAPTER.
pub struct Adapter<P>(PhantomData<P>);

// SAFETY: NDK_ADAPTER starts with its header (ndkpi.h).
unsafe impl<P: Platform> Kind for Adapter<P> {
    type Abi = NDK_ADAPTER;
    type State = AdapterState<P>;
}

/// What the provider knows of an open adapter. Every descendant holds a reference on it.
pub struct AdapterState<P: Platform> {
    /// The port it is on.
    pub port: Shared<Port<P>>,
    /// The version every descendant's header carries (ADP-04).
    pub version: NDK_VERSION,
    /// Dropped last: whoever closes the adapter waits for it, and nothing of the instance runs after.
    closed: Closed<P>,
}

impl<P: Platform> Drop for AdapterState<P> {
    fn drop(&mut self) {
        let _raised = self.port.platform.raise();
        self.port.opened.leave();
    }
}

/// Sets the closer's signal when the instance is gone. The signal is the port's own, one per open, because the closer's
/// stack may be gone before `set` returns.
struct Closed<P: Platform>(Shared<P::Signal>);

impl<P: Platform> Drop for Closed<P> {
    fn drop(&mut self) {
        self.0.set();
    }
}

impl<P: Platform> Port<P> {
    /// Opens an instance: ADP-01 to ADP-06. PASSIVE_LEVEL.
    pub fn open_adapter(this: &Shared<Self>, requested: NDK_VERSION) -> Result<*mut NDK_ADAPTER, NDIS_STATUS> {
        let version = limits::negotiate(requested).ok_or(NDIS_STATUS_BAD_VERSION)?;
        let signal = this.platform.signal().and_then(Shared::try_new).ok_or(NDIS_STATUS_RESOURCES)?;
        // ADP-09: counted or refused, in one step; the state gives the count back, also when there is no object.
        if !this.opened.enter() {
            return Err(NDIS_STATUS_ADAPTER_NOT_READY);
        }
        let abi =
            NDK_ADAPTER { Header: object::header(version, NdkObjectTypeAdapter), Dispatch: Adapter::<P>::DISPATCH };
        let state = AdapterState { port: this.clone(), version, closed: Closed(signal) };
        Object::<Adapter<P>>::try_new(abi, state).map(Ref::into_handle).ok_or(NDIS_STATUS_RESOURCES)
    }

    /// Closes an instance: returns when every descendant is closed and every callback has returned (ADP-14 to ADP-16).
    /// PASSIVE_LEVEL; waits.
    ///
    /// # Safety
    /// `handle` came from [`Port::open_adapter`] of this port and is not used again.
    pub unsafe fn close_adapter(this: &Shared<Self>, handle: *mut NDK_ADAPTER) {
        let port = this.clone();
        let signal = {
            // SAFETY: the caller's contract: an open adapter's handle.
            let adapter = unsafe { Borrowed::<Adapter<P>>::from_handle(handle) };
            adapter.closed.0.clone()
        };
        // SAFETY: as above; there is no completion to call.
        let _ = unsafe { object::close::<Adapter<P>>(handle, None, core::ptr::null_mut()) };
        port.platform.wait(&signal);
    }
}

impl<P: Platform> Adapter<P> {
    const DISPATCH: &'static NDK_ADAPTER_DISPATCH = &NDK_ADAPTER_DISPATCH {
        NdkQueryExtension: Some(ndk_query_extension),
        NdkQueryAdapterInfo: Some(ndk_query_adapter_info::<P>),
        NdkCreateCq: Some(crate::cq::ndk_create_cq::<P>),
        NdkCreatePd: Some(crate::pd::ndk_create_pd::<P>),
        NdkCreateSharedEndpoint: Some(crate::endpoint::ndk_create_shared_endpoint::<P>),
        NdkCreateConnector: Some(crate::connector::ndk_create_connector::<P>),
        NdkCreateListener: Some(crate::listener::ndk_create_listener::<P>),
        NdkBuildLAM: Some(crate::lam::ndk_build_lam::<P>),
        NdkReleaseLAM: Some(crate::lam::ndk_release_lam::<P>),
    };
}

/// The first 96 bytes of NDK_ADAPTER_INFO: all that a consumer built with the first header knows of (ADP-25, OQ-10).
const ADAPTER_INFO_SIZE_1: u32 = 96;

ndk_types::abi! {
    /// NdkQueryExtension of every object: no extension is implemented (COM-18). At or below DISPATCH_LEVEL.
    ///
    /// # Safety
    /// NDKPI query_extension_interface.
    pub unsafe extern "C" fn ndk_query_extension(
        _object: *mut NDK_OBJECT_HEADER,
        _extension: *const GUID,
        _version: NDK_VERSION,
        _interface: *mut NDK_EXTENSION_INTERFACE,
    ) -> NTSTATUS {
        STATUS_NOT_SUPPORTED
    }

    /// NdkQueryAdapterInfo: ADP-10 to ADP-13, ADP-25. PASSIVE_LEVEL.
    ///
    /// # Safety
    /// NDKPI query_adapter_info: `size` is valid; `info` is NULL or `*size` bytes are writable.
    unsafe extern "C" fn ndk_query_adapter_info<P: Platform>(
        adapter: *mut NDK_ADAPTER,
        info: *mut NDK_ADAPTER_INFO,
        size: *mut u32,
    ) -> NTSTATUS {
        // SAFETY: NDKPI: an open adapter.
        let adapter = unsafe { Borrowed::<Adapter<P>>::from_handle(adapter) };
        let known = limits::adapter_info(adapter.version);
        // SAFETY: NDKPI: pBufferSize is valid.
        let room = unsafe { size.read() };
        let whole = size_of::<NDK_ADAPTER_INFO>() as u32;
        let (status, written) = match room {
            _ if info.is_null() || room < ADAPTER_INFO_SIZE_1 => (STATUS_BUFFER_TOO_SMALL, whole),
            _ if room < whole => (STATUS_SUCCESS, ADAPTER_INFO_SIZE_1),
            _ => (STATUS_SUCCESS, whole),
        };
        if status == STATUS_SUCCESS {
            let from = (&raw const known).cast::<u8>();
            // SAFETY: NDKPI: `room` bytes are writable at `info`, and `written` is at most that and at most the structure.
            unsafe { core::ptr::copy_nonoverlapping(from, info.cast::<u8>(), written as usize) };
        }
        // SAFETY: NDKPI: pBufferSize is valid.
        unsafe { size.write(written) };
        status
    }
}
