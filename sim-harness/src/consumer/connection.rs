//! NDK_CONNECTOR: what the demo does not need.

use super::border::called_back;
use super::{Connector, Failed, Pending, Qp, SharedEndpoint, call, check, request_complete, sockaddr};
use ndk_types::*;
use std::ffi::c_void;
use std::net::SocketAddr;
use std::ptr;

/// What a disconnect event does; the Ex event brings a reason.
pub type OnDisconnect = Box<dyn Fn(Option<u32>)>;

/// Which disconnect event a connection asks for.
pub enum Event {
    /// A NULL callback.
    None,
    /// The plain one.
    Plain(OnDisconnect),
    /// The Ex one, through the Ex function.
    Ex(OnDisconnect),
}

ndk_types::abi! {
    unsafe extern "C" fn disconnected(context: *mut c_void) {
        called_back("NdkDisconnectEventCallback", || {
            // SAFETY: whoever asks for this event passes a leaked closure.
            let act = unsafe { &*context.cast::<OnDisconnect>() };
            act(None);
        });
    }

    unsafe extern "C" fn disconnected_ex(context: *mut c_void, reason: u32) {
        called_back("NdkDisconnectEventCallbackEx", || {
            // SAFETY: whoever asks for this event passes a leaked closure.
            let act = unsafe { &*context.cast::<OnDisconnect>() };
            act(Some(reason));
        });
    }
}

fn leaked(act: OnDisconnect) -> *mut c_void {
    Box::into_raw(Box::new(act)).cast()
}

/// A pointer and length of private data; `None` is NULL and 0.
fn data_of(data: Option<&[u8]>) -> (*const c_void, u32) {
    data.map_or((ptr::null(), 0), |data| (data.as_ptr().cast(), data.len() as u32))
}

/// What an address getter gave: status, length, bytes.
pub type Got = (NTSTATUS, u32, [u8; 28]);

impl Connector {
    /// NdkConnect with everything told: read limits in and out, private data or none. The buffers are overwritten as soon as
    /// the call has returned.
    pub fn connect_as(
        &self,
        qp: &Qp,
        from: SocketAddr,
        to: SocketAddr,
        reads: (u32, u32),
        data: Option<&[u8]>,
    ) -> &'static Pending {
        let pending = Pending::leak();
        let ((mut source, source_length), (mut destination, destination_length)) = (sockaddr(from), sockaddr(to));
        let mut copy = data.map(<[u8]>::to_vec);
        let (data, length) = data_of(copy.as_deref());
        let complete: NDK_FN_REQUEST_COMPLETION = Some(request_complete);
        let status = call!(
            self.object,
            NdkConnect,
            qp.raw(),
            source.as_ptr().cast(),
            source_length,
            destination.as_ptr().cast(),
            destination_length,
            reads.0,
            reads.1,
            data,
            length,
            complete,
            pending.context(),
        );
        source.fill(0xdd);
        destination.fill(0xdd);
        if let Some(copy) = &mut copy {
            copy.fill(0xdd);
        }
        std::hint::black_box((source, destination, copy));
        pending.settle(status)
    }

    /// NdkConnectWithSharedEndpoint.
    pub fn connect_shared(&self, qp: &Qp, endpoint: &SharedEndpoint, to: SocketAddr, data: &[u8]) -> &'static Pending {
        let pending = Pending::leak();
        let (destination, length) = sockaddr(to);
        let complete: NDK_FN_REQUEST_COMPLETION = Some(request_complete);
        let status = call!(
            self.object,
            NdkConnectWithSharedEndpoint,
            qp.raw(),
            endpoint.raw(),
            destination.as_ptr().cast(),
            length,
            1,
            1,
            data.as_ptr().cast(),
            data.len() as u32,
            complete,
            pending.context(),
        );
        pending.settle(status)
    }

    /// NdkCompleteConnect or NdkCompleteConnectEx.
    pub fn complete_connect_as(&self, event: Event) -> &'static Pending {
        let pending = Pending::leak();
        let (complete, context): (NDK_FN_REQUEST_COMPLETION, _) = (Some(request_complete), pending.context());
        let status = match event {
            Event::None => call!(self.object, NdkCompleteConnect, None, ptr::null_mut(), complete, context),
            Event::Plain(act) => {
                let event: NDK_FN_DISCONNECT_EVENT_CALLBACK = Some(disconnected);
                call!(self.object, NdkCompleteConnect, event, leaked(act), complete, context)
            }
            Event::Ex(act) => {
                let event: NDK_FN_DISCONNECT_EVENT_CALLBACK_EX = Some(disconnected_ex);
                call!(self.object, NdkCompleteConnectEx, event, leaked(act), complete, context)
            }
        };
        pending.settle(status)
    }

    /// NdkAccept or NdkAcceptEx.
    pub fn accept_as(&self, qp: &Qp, reads: (u32, u32), data: Option<&[u8]>, event: Event) -> &'static Pending {
        let pending = Pending::leak();
        let (complete, context): (NDK_FN_REQUEST_COMPLETION, _) = (Some(request_complete), pending.context());
        let (qp, (data, length)) = (qp.raw(), data_of(data));
        let status = match event {
            Event::Ex(act) => {
                let event: NDK_FN_DISCONNECT_EVENT_CALLBACK_EX = Some(disconnected_ex);
                let act = leaked(act);
                call!(self.object, NdkAcceptEx, qp, reads.0, reads.1, data, length, event, act, complete, context)
            }
            Event::Plain(act) => {
                let event: NDK_FN_DISCONNECT_EVENT_CALLBACK = Some(disconnected);
                let act = leaked(act);
                call!(self.object, NdkAccept, qp, reads.0, reads.1, data, length, event, act, complete, context)
            }
            Event::None => {
                let none = ptr::null_mut();
                call!(self.object, NdkAccept, qp, reads.0, reads.1, data, length, None, none, complete, context)
            }
        };
        pending.settle(status)
    }

    /// NdkReject with NULL private data.
    pub fn reject_silently(&self) -> Result<(), Failed> {
        check("NdkReject", call!(self.object, NdkReject, ptr::null(), 0))
    }

    /// NdkGetConnectionData's private data with room for `room` bytes, or a NULL buffer: status, length, and the buffer,
    /// which was all 0xcc.
    pub fn private_data(&self, room: Option<u32>) -> (NTSTATUS, u32, Vec<u8>) {
        let mut buffer = vec![0xcc; 256];
        let mut length = room.unwrap_or(0);
        let place = if room.is_some() { buffer.as_mut_ptr().cast() } else { ptr::null_mut() };
        let none = ptr::null_mut::<u32>();
        let status = call!(self.object, NdkGetConnectionData, none, none, place, &raw mut length);
        (status, length, buffer)
    }

    /// NdkGetLocalAddress with room for `room` bytes of a buffer that was all 0xcc.
    pub fn local_address(&self, room: u32) -> Got {
        let (mut bytes, mut length) = ([0xcc; 28], room);
        let status = call!(self.object, NdkGetLocalAddress, bytes.as_mut_ptr().cast(), &raw mut length);
        (status, length, bytes)
    }

    /// NdkGetPeerAddress with room for `room` bytes of a buffer that was all 0xcc.
    pub fn peer_address(&self, room: u32) -> Got {
        let (mut bytes, mut length) = ([0xcc; 28], room);
        let status = call!(self.object, NdkGetPeerAddress, bytes.as_mut_ptr().cast(), &raw mut length);
        (status, length, bytes)
    }
}

/// The bytes an address getter should give.
pub fn address_bytes(address: SocketAddr) -> ([u8; 28], u32) {
    sockaddr(address)
}
