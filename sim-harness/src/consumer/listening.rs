//! NDK_LISTENER and NDK_SHARED_ENDPOINT: what the demo does not need.

use super::border::called_back;
use super::connection::Got;
use super::{
    Adapter, Connector, Failed, Ledger, Listener, ListenerHandle, Pending, call, check, close_complete, context_of,
    create_complete, handle, request_complete, sockaddr,
};
use ndk_types::*;
use std::ffi::c_void;
use std::net::SocketAddr;
use std::ptr;
use std::sync::atomic::Ordering;

handle!(
    /// An NDK_SHARED_ENDPOINT.
    SharedEndpoint, NDK_SHARED_ENDPOINT, NdkCloseSharedEndpoint
);

/// What a connect event does with its connector.
pub type OnConnect = Box<dyn Fn(Connector)>;

struct Arrivals {
    act: OnConnect,
    ledger: &'static Ledger,
}

ndk_types::abi! {
    unsafe extern "C" fn arrived(context: *mut c_void, connector: *mut NDK_CONNECTOR) {
        called_back("NdkConnectEventCallback", || {
            // SAFETY: listeners of this module are made with leaked `Arrivals`.
            let arrivals = unsafe { &*context.cast::<Arrivals>() };
            (arrivals.act)(Connector::new(connector, arrivals.ledger));
        });
    }
}

impl Adapter {
    /// NdkCreateListener alone.
    pub fn create_listener(&self, act: OnConnect) -> Result<ListenerHandle, Failed> {
        let context = Box::into_raw(Box::new(Arrivals { act, ledger: self.ledger })).cast();
        let mut listener = ptr::null_mut();
        let event: NDK_FN_CONNECT_EVENT_CALLBACK = Some(arrived);
        let create: NDK_FN_CREATE_COMPLETION = Some(create_complete);
        let status = call!(self.raw(), NdkCreateListener, event, context, create, ptr::null_mut(), &raw mut listener);
        check("NdkCreateListener", status).map(|()| ListenerHandle::new(listener, self.ledger))
    }

    /// NdkCreateSharedEndpoint.
    pub fn create_shared_endpoint(&self, address: SocketAddr) -> Result<SharedEndpoint, Failed> {
        let (bytes, length) = sockaddr(address);
        let mut endpoint = ptr::null_mut();
        let create: NDK_FN_CREATE_COMPLETION = Some(create_complete);
        let none = ptr::null_mut();
        let status =
            call!(self.raw(), NdkCreateSharedEndpoint, bytes.as_ptr().cast(), length, create, none, &raw mut endpoint);
        check("NdkCreateSharedEndpoint", status).map(|()| SharedEndpoint::new(endpoint, self.ledger))
    }

    /// NdkQueryAdapterInfo into `room` bytes of a buffer that was all 0xcc, or into NULL.
    pub fn info_bytes(&self, room: Option<u32>) -> (NTSTATUS, u32, Vec<u8>) {
        let (mut buffer, mut size) = (vec![0xccu64.wrapping_mul(0x0101_0101_0101_0101); 32], room.unwrap_or(0));
        let place = if room.is_some() { buffer.as_mut_ptr().cast() } else { ptr::null_mut() };
        let status = call!(self.raw(), NdkQueryAdapterInfo, place, &raw mut size);
        (status, size, buffer.iter().flat_map(|word| word.to_ne_bytes()).collect())
    }
}

impl ListenerHandle {
    /// NdkListen.
    pub fn listen(&self, address: SocketAddr) -> NTSTATUS {
        let (bytes, length) = sockaddr(address);
        let pending = Pending::leak();
        let complete: NDK_FN_REQUEST_COMPLETION = Some(request_complete);
        call!(self.raw(), NdkListen, bytes.as_ptr().cast(), length, complete, pending.context())
    }

    /// NdkGetLocalAddress with room for `room` bytes of a buffer that was all 0xcc.
    pub fn local_address(&self, room: u32) -> Got {
        let (mut bytes, mut length) = ([0xcc; 28], room);
        let status = call!(self.raw(), NdkGetLocalAddress, bytes.as_mut_ptr().cast(), &raw mut length);
        (status, length, bytes)
    }
}

impl Listener {
    /// NdkGetLocalAddress with room for `room` bytes of a buffer that was all 0xcc.
    pub fn local_address(&self, room: u32) -> Got {
        self.handle.local_address(room)
    }

    /// The handle.
    pub const fn raw(&self) -> *mut NDK_LISTENER {
        self.handle.raw()
    }
}

impl SharedEndpoint {
    /// NdkGetLocalAddress with room for `room` bytes of a buffer that was all 0xcc.
    pub fn local_address(&self, room: u32) -> Got {
        let (mut bytes, mut length) = ([0xcc; 28], room);
        let status = call!(self.raw(), NdkGetLocalAddress, bytes.as_mut_ptr().cast(), &raw mut length);
        (status, length, bytes)
    }
}
