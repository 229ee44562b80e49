//! Connections: what NDK_CONNECTOR and NDK_LISTENER do beyond being made and closed.

use super::{Connector, Listener, QueuePair, SocketAddress};
use crate::hello;
use crate::ioctl::{Address, FAMILY_V4, FAMILY_V6};
use crate::job::{Pending, closed_unwatched, requested};
use core::ffi::c_void;
use core::ptr::{NonNull, null, null_mut};
use ndk_types::*;
use wdk_sys::NT_SUCCESS;

/// Room for private data: as much as any transport of IBTA's or iWARP's carries, and the zeroes it may be padded with.
const DATA_MAX: usize = 512;

/// Who is told of a disconnect: a callback and its context.
pub type OnDisconnect = (NDK_FN_DISCONNECT_EVENT_CALLBACK, *mut c_void);

impl Connector {
    /// A connector that a connect event brought.
    pub fn arrived(connector: NonNull<NDK_CONNECTOR>) -> Self {
        Self(connector)
    }

    /// NdkConnect; settle what it gives. `reads` are the read limits, in and out.
    pub fn connect(
        &self,
        qp: &QueuePair,
        from: SocketAddress,
        to: SocketAddress,
        reads: (u32, u32),
        data: &[u8],
        pending: &Pending,
    ) -> NTSTATUS {
        let (complete, context): (NDK_FN_REQUEST_COMPLETION, _) = (Some(requested), pending.begin());
        let (bytes, length) = (data.as_ptr().cast(), data.len() as u32);
        let ((from, from_length), (to, to_length)) = ((from.pointer(), from.1), (to.pointer(), to.1));
        let qp = qp.0.as_ptr();
        call!(
            self.0,
            NdkConnect,
            qp,
            from,
            from_length,
            to,
            to_length,
            reads.0,
            reads.1,
            bytes,
            length,
            complete,
            context
        )
    }

    /// NdkCompleteConnect; settle what it gives.
    pub fn complete_connect(&self, disconnected: OnDisconnect, pending: &Pending) -> NTSTATUS {
        let (complete, context): (NDK_FN_REQUEST_COMPLETION, _) = (Some(requested), pending.begin());
        call!(self.0, NdkCompleteConnect, disconnected.0, disconnected.1, complete, context)
    }

    /// NdkAccept; settle what it gives.
    pub fn accept(
        &self,
        qp: &QueuePair,
        reads: (u32, u32),
        data: &[u8],
        disconnected: OnDisconnect,
        pending: &Pending,
    ) -> NTSTATUS {
        let (complete, context): (NDK_FN_REQUEST_COMPLETION, _) = (Some(requested), pending.begin());
        let (bytes, length) = (data.as_ptr().cast(), data.len() as u32);
        let (event, owner) = disconnected;
        let qp = qp.0.as_ptr();
        call!(self.0, NdkAccept, qp, reads.0, reads.1, bytes, length, event, owner, complete, context)
    }

    /// NdkReject, without a word.
    pub fn reject(&self) -> NTSTATUS {
        call!(self.0, NdkReject, null(), 0)
    }

    /// NdkDisconnect; settle what it gives. Everything posted is flushed then.
    pub fn disconnect(&self, pending: &Pending) -> NTSTATUS {
        let (complete, context): (NDK_FN_REQUEST_COMPLETION, _) = (Some(requested), pending.begin());
        call!(self.0, NdkDisconnect, complete, context)
    }

    /// The beginning of the other side's private data (NdkGetConnectionData).
    pub fn private_data(&self) -> Result<[u8; hello::LENGTH], NTSTATUS> {
        let (mut room, mut length) = ([0u8; DATA_MAX], DATA_MAX as u32);
        let (none, to): (*mut u32, *mut c_void) = (null_mut(), room.as_mut_ptr().cast());
        let status = call!(self.0, NdkGetConnectionData, none, none, to, &raw mut length);
        if !NT_SUCCESS(status) {
            return Err(status);
        }
        let given = room.get(..(length as usize).min(DATA_MAX)).unwrap_or(&[]);
        given.first_chunk().copied().ok_or(STATUS_DATA_ERROR)
    }

    /// Closes a connector that nobody wants, in the callback that brought it: it is rejected (CN-43).
    pub fn close_unwatched(self) {
        if let Some(close) = slot!(self.0, NdkCloseConnector) {
            // SAFETY: NDK_FN_CLOSE_OBJECT: ours by the connect event, closed once; the completion wants no context.
            let _ = unsafe { close(self.0.as_ptr().cast(), Some(closed_unwatched), null_mut()) };
        }
    }
}

impl Listener {
    /// NdkListen; settle what it gives.
    pub fn listen(&self, at: SocketAddress, pending: &Pending) -> NTSTATUS {
        let (complete, context): (NDK_FN_REQUEST_COMPLETION, _) = (Some(requested), pending.begin());
        call!(self.0, NdkListen, at.pointer(), at.1, complete, context)
    }

    /// Where it listens (NdkGetLocalAddress).
    pub fn local_address(&self) -> Result<Address, NTSTATUS> {
        let mut address = SOCKADDR_INET { Ipv6: SOCKADDR_IN6::default() };
        let mut length = size_of::<SOCKADDR_INET>() as u32;
        let status = call!(self.0, NdkGetLocalAddress, (&raw mut address).cast(), &raw mut length);
        if NT_SUCCESS(status) { address_of(&address).ok_or(STATUS_DATA_ERROR) } else { Err(status) }
    }
}

/// From Windows's form.
fn address_of(from: &SOCKADDR_INET) -> Option<Address> {
    // SAFETY: every form starts with the family.
    let family = u32::from(unsafe { from.si_family });
    let mut address = Address::default();
    if family == AF_INET {
        // SAFETY: the family says which form it is; all of it is integers.
        let v4 = unsafe { from.Ipv4 };
        (address.family, address.port) = (FAMILY_V4, u16::from_be(v4.sin_port));
        let octets = v4.sin_addr.S_addr.to_ne_bytes();
        address.bytes.iter_mut().zip(octets).for_each(|(to, octet)| *to = octet);
        Some(address)
    } else if family == AF_INET6 {
        // SAFETY: as above.
        let v6 = unsafe { from.Ipv6 };
        (address.family, address.port) = (FAMILY_V6, u16::from_be(v6.sin6_port));
        (address.bytes, address.scope) = (v6.sin6_addr.Byte, v6.sin6_scope_id);
        Some(address)
    } else {
        None
    }
}
