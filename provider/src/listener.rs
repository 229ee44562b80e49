//! NDK_LISTENER: takes requests on an address and hands out connectors.

use crate::adapter::{Adapter, ndk_query_extension};
use crate::connector::Connector;
use crate::cq::Context;
use crate::endpoint::{self, Hold};
use crate::lock::SpinLock;
use crate::object::{self, Borrowed, Kind, Object, Ref};
use crate::platform::Platform;
use crate::sync::{AtomicBool, Ordering};
use crate::translate;
use core::ffi::c_void;
use core::marker::PhantomData;
use core::net::SocketAddr;
use ndk_types::{
    BOOLEAN, NDK_ADAPTER, NDK_FN_CLOSE_COMPLETION, NDK_FN_CONNECT_EVENT_CALLBACK, NDK_FN_CREATE_COMPLETION,
    NDK_FN_REQUEST_COMPLETION, NDK_LISTENER, NDK_LISTENER_DISPATCH, NDK_OBJECT_HEADER, NTSTATUS, NdkObjectTypeListener,
    SOCKADDR, STATUS_INSUFFICIENT_RESOURCES, STATUS_INVALID_DEVICE_STATE, STATUS_SUCCESS,
};

/// The kind of NDK_LISTENER.
pub struct Listener<P>(PhantomData<P>);

// SAFETY: NDK_LISTENER starts with its header (ndkpi.h).
unsafe impl<P: Platform> Kind for Listener<P> {
    type Abi = NDK_LISTENER;
    type State = ListenerState<P>;
}

/// What the provider knows of a listener.
pub struct ListenerState<P: Platform> {
    pub(crate) adapter: Ref<Adapter<P>>,
    callback: NDK_FN_CONNECT_EVENT_CALLBACK,
    context: Context,
    paused: AtomicBool,
    listening: SpinLock<Option<(SocketAddr, Hold<P>)>>,
}

impl<P: Platform> ListenerState<P> {
    /// LS-06: as if nobody listened.
    pub(crate) fn is_paused(&self) -> bool {
        self.paused.load(Ordering::Acquire)
    }

    /// Hands a new connector to the consumer, whose it is from then on (LS-04, LS-05).
    pub(crate) fn offer(&self, connector: Ref<Connector<P>>) {
        if let Some(callback) = self.callback {
            let handle = connector.into_handle();
            // SAFETY: NDKPI connect_event_callback: callable at <= DISPATCH_LEVEL until the close completes; the caller's
            // reference on the listener keeps it from completing (LS-12).
            unsafe { callback(self.context.0, handle) };
        }
    }

    /// Reaches what it listens on: at DISPATCH_LEVEL, as every lock's holder.
    fn listening<R>(&self, f: impl FnOnce(&mut Option<(SocketAddr, Hold<P>)>) -> R) -> R {
        let _raised = self.adapter.port.platform.raise();
        self.listening.with(f)
    }

    fn address(&self) -> Option<SocketAddr> {
        self.listening(|listening| listening.as_ref().map(|(address, _)| *address))
    }
}

impl<P: Platform> Listener<P> {
    const DISPATCH: &'static NDK_LISTENER_DISPATCH = &NDK_LISTENER_DISPATCH {
        NdkCloseListener: Some(ndk_close_listener::<P>),
        NdkQueryExtension: Some(ndk_query_extension),
        NdkListen: Some(ndk_listen::<P>),
        NdkGetLocalAddress: Some(ndk_get_listener_local_address::<P>),
        NdkControlConnectEvents: Some(ndk_control_connect_events::<P>),
    };
}

ndk_types::abi! {
    /// NdkCreateListener. At or below DISPATCH_LEVEL; completes inline.
    ///
    /// # Safety
    /// NDKPI create_listener.
    pub unsafe extern "C" fn ndk_create_listener<P: Platform>(
        adapter: *mut NDK_ADAPTER,
        callback: NDK_FN_CONNECT_EVENT_CALLBACK,
        context: *mut c_void,
        _completion: NDK_FN_CREATE_COMPLETION,
        _request_context: *mut c_void,
        listener: *mut *mut NDK_LISTENER,
    ) -> NTSTATUS {
        // SAFETY: NDKPI: an open adapter.
        let adapter = unsafe { Borrowed::<Adapter<P>>::from_handle(adapter) };
        let abi = NDK_LISTENER {
            Header: object::header(adapter.version, NdkObjectTypeListener),
            Dispatch: Listener::<P>::DISPATCH,
        };
        let state = ListenerState {
            adapter: adapter.counted(),
            callback,
            context: Context(context),
            paused: AtomicBool::new(false),
            listening: SpinLock::new(None),
        };
        let Some(made) = Object::<Listener<P>>::try_new(abi, state) else { return STATUS_INSUFFICIENT_RESOURCES };
        // SAFETY: NDKPI: the out parameter is writable.
        unsafe { listener.write(made.into_handle()) };
        STATUS_SUCCESS
    }

    /// NdkCloseListener: LS-09 to LS-12. At or below DISPATCH_LEVEL.
    unsafe extern "C" fn ndk_close_listener<P: Platform>(
        listener: *mut NDK_OBJECT_HEADER,
        completion: NDK_FN_CLOSE_COMPLETION,
        context: *mut c_void,
    ) -> NTSTATUS {
        let handle = listener.cast::<NDK_LISTENER>();
        let (table_reference, hold) = {
            // SAFETY: NDKPI close_object: a listener not closed before.
            let listener = unsafe { Borrowed::<Listener<P>>::from_handle(handle) };
            let port = &listener.adapter.port;
            let listening = listener.listening(Option::take);
            let reference = listening.as_ref().and_then(|(address, _)| {
                port.connections.look(port, |table| table.endpoints.set_listener(*address, None))
            });
            (reference, listening)
        };
        drop(hold);
        drop(table_reference);
        // SAFETY: as above, and closed here once.
        unsafe { object::close::<Listener<P>>(handle, completion, context) }
    }

    /// NdkListen: LS-01 to LS-03. At or below DISPATCH_LEVEL; completes inline.
    unsafe extern "C" fn ndk_listen<P: Platform>(
        listener: *mut NDK_LISTENER,
        address: *const SOCKADDR,
        length: u32,
        _completion: NDK_FN_REQUEST_COMPLETION,
        _context: *mut c_void,
    ) -> NTSTATUS {
        // SAFETY: NDKPI: an open listener.
        let listener = unsafe { Borrowed::<Listener<P>>::from_handle(listener) };
        if listener.address().is_some() {
            return STATUS_INVALID_DEVICE_STATE;
        }
        let port = &listener.adapter.port;
        // SAFETY: NDKPI: `length` bytes at `address`.
        let taken = unsafe { translate::socket_address(address, length) }
            .and_then(|address| endpoint::take(port, address, false));
        match taken {
            Ok((address, hold)) => {
                listener.listening(|place| *place = Some((address, hold)));
                let itself = Some(listener.counted());
                drop(port.connections.look(port, |table| table.endpoints.set_listener(address, itself)));
                STATUS_SUCCESS
            }
            Err(status) => status,
        }
    }

    /// NdkGetLocalAddress of a listener: LS-03. At or below DISPATCH_LEVEL.
    unsafe extern "C" fn ndk_get_listener_local_address<P: Platform>(
        listener: *mut NDK_LISTENER,
        address: *mut SOCKADDR,
        length: *mut u32,
    ) -> NTSTATUS {
        // SAFETY: NDKPI: an open listener.
        let listener = unsafe { Borrowed::<Listener<P>>::from_handle(listener) };
        let Some(local) = listener.address() else { return STATUS_INVALID_DEVICE_STATE };
        // SAFETY: NDKPI: `length` tells how much may be written at `address`.
        unsafe { translate::store_socket_address(local, address, length) }
    }

    /// NdkControlConnectEvents: LS-06 to LS-08. At or below DISPATCH_LEVEL.
    unsafe extern "C" fn ndk_control_connect_events<P: Platform>(listener: *mut NDK_LISTENER, pause: BOOLEAN) {
        // SAFETY: NDKPI: an open listener.
        let listener = unsafe { Borrowed::<Listener<P>>::from_handle(listener) };
        listener.paused.store(pause != 0, Ordering::Release);
    }
}
