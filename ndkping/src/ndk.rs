//! NDK objects as a consumer has them: what the dispatch tables do, with the parameters this driver uses.
//!
//! Each function gives the status of its call; a request that pends is settled by its job. An object is closed once: closing takes
//! it. Everything is callable at or below DISPATCH_LEVEL but what says otherwise.

use crate::job::{Pending, closed, created, requested};
use crate::kernel::Buffer;
use core::ffi::c_void;
use core::ptr::{NonNull, null_mut};
use ndk_types::*;
use wdk_sys::NT_SUCCESS;

/// The function of an object's dispatch table.
macro_rules! slot {
    ($object:expr, $slot:ident) => {{
        // SAFETY: an open object: its table was set before it was handed out (COM-15), and stays while it is open.
        let table = unsafe { (*$object.as_ptr()).Dispatch };
        // SAFETY: as above.
        unsafe { (*table).$slot }
    }};
}

/// Calls it; a table without it cannot do that.
macro_rules! call {
    ($object:expr, $slot:ident $(, $arg:expr)* $(,)?) => {
        match slot!($object, $slot) {
            // SAFETY: the arguments are as the function's page wants them; the object is open.
            Some(function) => unsafe { function($object.as_ptr() $(, $arg)*) },
            None => STATUS_NOT_SUPPORTED,
        }
    };
}

mod connection;

pub use connection::OnDisconnect;

macro_rules! object {
    ($(#[$doc:meta])* $name:ident, $abi:ident $(, $close:ident)?) => {
        $(#[$doc])*
        pub struct $name(NonNull<$abi>);

        // SAFETY: NDK's functions may be called from any thread; who serialises what is said where it is used.
        unsafe impl Send for $name {}
        // SAFETY: as above.
        unsafe impl Sync for $name {}

        impl $name {
            $(
                /// What a create call stored, or its completion brought.
                fn made(status: NTSTATUS, stored: *mut $abi, pending: &Pending) -> Result<Self, NTSTATUS> {
                    if !NT_SUCCESS(status) {
                        return Err(status);
                    }
                    // The out parameter is not touched when the call pends (COM-02).
                    let object = match NonNull::new(stored) {
                        Some(object) => object,
                        None => pending.object()?.cast(),
                    };
                    Ok(Self(object))
                }

                /// Closes it; settle what it gives.
                pub fn close(self, pending: &Pending) -> NTSTATUS {
                    let context = pending.begin();
                    match slot!(self.0, $close) {
                        // SAFETY: NDK_FN_CLOSE_OBJECT: open until now, closed once; the completion's context stays.
                        Some(close) => unsafe { close(self.0.as_ptr().cast(), Some(closed), context) },
                        None => STATUS_SUCCESS,
                    }
                }
            )?
        }
    };
}

object!(
    /// An NDK_ADAPTER.
    Adapter, NDK_ADAPTER
);
object!(
    /// An NDK_PD.
    Domain, NDK_PD, NdkClosePd
);
object!(
    /// An NDK_CQ.
    Completions, NDK_CQ, NdkCloseCq
);
object!(
    /// An NDK_MR of a whole [`Buffer`].
    Region, NDK_MR, NdkCloseMr
);
object!(
    /// An NDK_QP.
    QueuePair, NDK_QP, NdkCloseQp
);
object!(
    /// An NDK_CONNECTOR.
    Connector, NDK_CONNECTOR, NdkCloseConnector
);
object!(
    /// An NDK_LISTENER.
    Listener, NDK_LISTENER, NdkCloseListener
);

/// A socket address and its length in bytes.
#[derive(Clone, Copy)]
pub struct SocketAddress(SOCKADDR_INET, u32);

impl SocketAddress {
    /// In Windows's form. `None` for another family.
    pub fn new(address: crate::ioctl::Address) -> Option<Self> {
        let port = address.port.to_be();
        match address.family {
            crate::ioctl::FAMILY_V4 => {
                let [a, b, c, d, ..] = address.bytes;
                let ip = IN_ADDR { S_addr: u32::from_ne_bytes([a, b, c, d]) };
                let v4 = SOCKADDR_IN { sin_family: AF_INET as u16, sin_port: port, sin_addr: ip, sin_zero: [0; 8] };
                Some(Self(SOCKADDR_INET { Ipv4: v4 }, size_of::<SOCKADDR_IN>() as u32))
            }
            crate::ioctl::FAMILY_V6 => {
                let v6 = SOCKADDR_IN6 {
                    sin6_family: AF_INET6 as u16,
                    sin6_port: port,
                    sin6_flowinfo: 0,
                    sin6_addr: IN6_ADDR { Byte: address.bytes },
                    sin6_scope_id: address.scope,
                };
                Some(Self(SOCKADDR_INET { Ipv6: v6 }, size_of::<SOCKADDR_IN6>() as u32))
            }
            _ => None,
        }
    }

    fn pointer(&self) -> *const SOCKADDR {
        (&raw const self.0).cast()
    }
}

impl Adapter {
    /// An adapter that was opened.
    pub fn new(adapter: NonNull<NDK_ADAPTER>) -> Self {
        Self(adapter)
    }

    /// For whoever closes it.
    pub fn into_raw(self) -> *mut NDK_ADAPTER {
        self.0.as_ptr()
    }

    /// NdkQueryAdapterInfo. PASSIVE_LEVEL.
    pub fn info(&self) -> Result<NDK_ADAPTER_INFO, NTSTATUS> {
        let mut info = NDK_ADAPTER_INFO::default();
        let mut size = size_of::<NDK_ADAPTER_INFO>() as u32;
        let status = call!(self.0, NdkQueryAdapterInfo, &raw mut info, &raw mut size);
        if NT_SUCCESS(status) { Ok(info) } else { Err(status) }
    }

    /// NdkCreatePd.
    pub fn create_domain(
        &self,
        pending: &Pending,
        settle: impl FnOnce(NTSTATUS) -> NTSTATUS,
    ) -> Result<Domain, NTSTATUS> {
        let (mut domain, context) = (null_mut(), pending.begin());
        let status = settle(call!(self.0, NdkCreatePd, Some(created), context, &raw mut domain));
        Domain::made(status, domain, pending)
    }

    /// NdkCreateCq.
    pub fn create_completions(
        &self,
        depth: u32,
        notify: (NDK_FN_CQ_NOTIFICATION_CALLBACK, *mut c_void),
        pending: &Pending,
        settle: impl FnOnce(NTSTATUS) -> NTSTATUS,
    ) -> Result<Completions, NTSTATUS> {
        let (mut cq, context, none) = (null_mut(), pending.begin(), null_mut());
        let status =
            settle(call!(self.0, NdkCreateCq, depth, notify.0, notify.1, none, Some(created), context, &raw mut cq));
        Completions::made(status, cq, pending)
    }

    /// NdkCreateConnector.
    pub fn create_connector(
        &self,
        pending: &Pending,
        settle: impl FnOnce(NTSTATUS) -> NTSTATUS,
    ) -> Result<Connector, NTSTATUS> {
        let (mut connector, context) = (null_mut(), pending.begin());
        let status = settle(call!(self.0, NdkCreateConnector, Some(created), context, &raw mut connector));
        Connector::made(status, connector, pending)
    }

    /// NdkCreateListener.
    pub fn create_listener(
        &self,
        event: (NDK_FN_CONNECT_EVENT_CALLBACK, *mut c_void),
        pending: &Pending,
        settle: impl FnOnce(NTSTATUS) -> NTSTATUS,
    ) -> Result<Listener, NTSTATUS> {
        let (mut listener, context) = (null_mut(), pending.begin());
        let create: NDK_FN_CREATE_COMPLETION = Some(created);
        let status = settle(call!(self.0, NdkCreateListener, event.0, event.1, create, context, &raw mut listener));
        Listener::made(status, listener, pending)
    }
}

/// What a queue pair is made with.
#[derive(Clone, Copy)]
pub struct Depths {
    /// Receives posted at once.
    pub receive: u32,
    /// Other requests posted at once.
    pub initiator: u32,
}

impl Domain {
    /// NdkCreateQp, with one CQ for both queues and requests of one piece.
    pub fn create_queue_pair(
        &self,
        cq: &Completions,
        depths: Depths,
        pending: &Pending,
        settle: impl FnOnce(NTSTATUS) -> NTSTATUS,
    ) -> Result<QueuePair, NTSTATUS> {
        let (mut qp, context, cq) = (null_mut(), pending.begin(), cq.0.as_ptr());
        let (receive, initiator) = (depths.receive, depths.initiator);
        let create: NDK_FN_CREATE_COMPLETION = Some(created);
        let none = null_mut();
        let status =
            settle(call!(self.0, NdkCreateQp, cq, cq, none, receive, initiator, 1, 1, 0, create, context, &raw mut qp));
        QueuePair::made(status, qp, pending)
    }

    /// NdkCreateMr, for NdkRegisterMr.
    pub fn create_region(
        &self,
        pending: &Pending,
        settle: impl FnOnce(NTSTATUS) -> NTSTATUS,
    ) -> Result<Region, NTSTATUS> {
        let (mut mr, context) = (null_mut(), pending.begin());
        let status = settle(call!(self.0, NdkCreateMr, 0, Some(created), context, &raw mut mr));
        Region::made(status, mr, pending)
    }
}

impl Region {
    /// NdkRegisterMr; settle what it gives.
    pub fn register(&self, buffer: &Buffer, flags: u32, pending: &Pending) -> NTSTATUS {
        let context = pending.begin();
        call!(self.0, NdkRegisterMr, buffer.mdl(), buffer.length() as usize, flags, Some(requested), context)
    }

    /// NdkDeregisterMr; settle what it gives. Nothing uses the region any more.
    pub fn deregister(&self, pending: &Pending) -> NTSTATUS {
        let context = pending.begin();
        call!(self.0, NdkDeregisterMr, Some(requested), context)
    }

    /// NdkGetLocalTokenFromMr, of a registered region.
    pub fn local_token(&self) -> u32 {
        // SAFETY: NDK_FN_GET_LOCAL_TOKEN_FROM_MR: an open, registered region.
        slot!(self.0, NdkGetLocalTokenFromMr).map_or(0, |function| unsafe { function(self.0.as_ptr()) })
    }

    /// NdkGetRemoteTokenFromMr, of a registered region.
    pub fn remote_token(&self) -> u32 {
        // SAFETY: NDK_FN_GET_REMOTE_TOKEN_FROM_MR: an open, registered region.
        slot!(self.0, NdkGetRemoteTokenFromMr).map_or(0, |function| unsafe { function(self.0.as_ptr()) })
    }
}

impl Completions {
    /// NdkGetCqResults: the next ones; none when it is empty. One caller at a time, also with `arm`.
    pub fn poll<'a>(&self, room: &'a mut [NDK_RESULT]) -> &'a [NDK_RESULT] {
        let (to, most) = (room.as_mut_ptr(), room.len() as u32);
        // SAFETY: NDK_FN_GET_CQ_RESULTS: an open CQ, room for so many.
        let count = slot!(self.0, NdkGetCqResults).map_or(0, |poll| unsafe { poll(self.0.as_ptr(), to, most) });
        room.get(..count as usize).unwrap_or(&[])
    }

    /// NdkArmCq for anything.
    pub fn arm(&self) {
        if let Some(arm) = slot!(self.0, NdkArmCq) {
            // SAFETY: NDK_FN_ARM_CQ: an open CQ.
            unsafe { arm(self.0.as_ptr(), NDK_CQ_NOTIFY_ANY) };
        }
    }
}

/// A piece of a registered buffer, as requests name it.
#[derive(Clone, Copy)]
pub struct Piece {
    /// Its first byte.
    pub base: NonNull<u8>,
    /// Bytes.
    pub length: u32,
    /// The region's local token.
    pub token: u32,
}

impl Piece {
    /// The byte at a place, which is to be below its length.
    pub fn at(self, place: usize) -> *mut u8 {
        self.base.as_ptr().wrapping_add(place)
    }

    fn sge(self) -> NDK_SGE {
        let address = NDK_SGE_ADDRESS { VirtualAddress: self.base.as_ptr().cast() };
        NDK_SGE { Anonymous: address, Length: self.length, MemoryRegionToken: self.token }
    }
}

/// Memory of the other side.
#[derive(Clone, Copy)]
pub struct Remote {
    /// Its address there.
    pub address: u64,
    /// The remote token.
    pub token: u32,
}

/// Posts: one at a time on the receive queue, one at a time on the others.
impl QueuePair {
    /// NdkReceive.
    pub fn receive(&self, number: usize, to: Piece) -> NTSTATUS {
        let sge = to.sge();
        call!(self.0, NdkReceive, context(number), &raw const sge, 1)
    }

    /// NdkSend, as a solicited event.
    pub fn send(&self, number: usize, from: Piece) -> NTSTATUS {
        let sge = from.sge();
        call!(self.0, NdkSend, context(number), &raw const sge, 1, NDK_OP_FLAG_SEND_AND_SOLICIT_EVENT)
    }

    /// NdkRead.
    pub fn read(&self, number: usize, to: Piece, from: Remote) -> NTSTATUS {
        let sge = to.sge();
        call!(self.0, NdkRead, context(number), &raw const sge, 1, from.address, from.token, 0)
    }

    /// NdkWrite.
    pub fn write(&self, number: usize, from: Piece, to: Remote) -> NTSTATUS {
        let sge = from.sge();
        call!(self.0, NdkWrite, context(number), &raw const sge, 1, to.address, to.token, 0)
    }

    /// NdkFlush: everything posted completes; may meet posts.
    pub fn flush(&self) {
        if let Some(flush) = slot!(self.0, NdkFlush) {
            // SAFETY: NDK_FN_FLUSH: an open queue pair.
            unsafe { flush(self.0.as_ptr()) };
        }
    }
}

fn context(number: usize) -> *mut c_void {
    core::ptr::without_provenance_mut(number)
}
