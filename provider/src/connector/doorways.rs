//! The functions of NDK_CONNECTOR_DISPATCH.

use super::steps::{abandon, accept, complete_connect, connect};
use super::{Connector, Details, DisconnectEvent, PendingRequest, Phase, Plan};
use crate::adapter::{Adapter, ndk_query_extension};
use crate::cq::Context;
use crate::endpoint::{self, Endpoint};
use crate::limits::{CALLEE_DATA_MAX, CALLER_DATA_MAX};
use crate::object::{self, Borrowed};
use crate::platform::Platform;
use crate::qp::{Qp, command, kick};
use crate::translate;
use core::ffi::c_void;
use core::marker::PhantomData;
use core::net::SocketAddr;
use ndk_types::{
    NDK_ADAPTER, NDK_CONNECTOR, NDK_CONNECTOR_DISPATCH, NDK_FN_CLOSE_COMPLETION, NDK_FN_CREATE_COMPLETION,
    NDK_FN_DISCONNECT_EVENT_CALLBACK, NDK_FN_DISCONNECT_EVENT_CALLBACK_EX, NDK_FN_REQUEST_COMPLETION,
    NDK_OBJECT_HEADER, NDK_QP, NDK_SHARED_ENDPOINT, NTSTATUS, SOCKADDR, STATUS_ADDRESS_ALREADY_EXISTS,
    STATUS_BUFFER_TOO_SMALL, STATUS_CONNECTION_ABORTED, STATUS_CONNECTION_INVALID, STATUS_INSUFFICIENT_RESOURCES,
    STATUS_INVALID_ADDRESS, STATUS_INVALID_BUFFER_SIZE, STATUS_INVALID_PARAMETER, STATUS_PENDING, STATUS_SUCCESS,
};
use roce_engine::wire::cm::RejReason;

/// The table of one platform.
pub(super) struct Dispatch<P>(PhantomData<P>);

impl<P: Platform> Dispatch<P> {
    pub(super) const TABLE: &'static NDK_CONNECTOR_DISPATCH = &NDK_CONNECTOR_DISPATCH {
        NdkCloseConnector: Some(ndk_close_connector::<P>),
        NdkQueryExtension: Some(ndk_query_extension),
        NdkConnect: Some(ndk_connect::<P>),
        NdkConnectWithSharedEndpoint: Some(ndk_connect_with_shared_endpoint::<P>),
        NdkCompleteConnect: Some(ndk_complete_connect::<P>),
        NdkAccept: Some(ndk_accept::<P>),
        NdkReject: Some(ndk_reject::<P>),
        NdkGetConnectionData: Some(ndk_get_connection_data::<P>),
        NdkGetLocalAddress: Some(ndk_get_local_address::<P>),
        NdkGetPeerAddress: Some(ndk_get_peer_address::<P>),
        NdkDisconnect: Some(ndk_disconnect::<P>),
        NdkCompleteConnectEx: Some(ndk_complete_connect_ex::<P>),
        NdkAcceptEx: Some(ndk_accept_ex::<P>),
    };
}

/// CN-58: private data that fits, copied during the call (CN-53).
///
/// # Safety
/// NDKPI: `data` is NULL or `length` bytes are readable.
unsafe fn private_data<const N: usize>(data: *const c_void, length: u32, max: u32) -> Result<[u8; N], NTSTATUS> {
    let mut copy = [0; N];
    if length > max {
        return Err(STATUS_INVALID_BUFFER_SIZE);
    }
    if let (false, Some(place)) = (data.is_null(), copy.get_mut(..length as usize)) {
        // SAFETY: the caller's contract, and `place` has that many bytes.
        unsafe { core::ptr::copy_nonoverlapping(data.cast::<u8>(), place.as_mut_ptr(), place.len()) };
    }
    Ok(copy)
}

/// What both accepts do.
///
/// # Safety
/// NDKPI accept: an open connector, an open QP, and `data.1` bytes at `data.0` or NULL.
unsafe fn accept_with<P: Platform>(
    connector: *mut NDK_CONNECTOR,
    qp: *mut NDK_QP,
    limits: (u32, u32),
    data: (*const c_void, u32),
    event: DisconnectEvent,
    pending: PendingRequest,
) -> NTSTATUS {
    // SAFETY: the caller's contract: an open connector.
    let connector = unsafe { Borrowed::<Connector<P>>::from_handle(connector) };
    // SAFETY: the caller's contract: an open QP.
    let qp = unsafe { Borrowed::<Qp<P>>::from_handle(qp) };
    // SAFETY: the caller's contract: so many bytes, or NULL.
    let data = match unsafe { private_data::<{ CALLEE_DATA_MAX as usize }>(data.0, data.1, CALLEE_DATA_MAX) } {
        Ok(data) => data,
        Err(status) => return status,
    };
    accept(&connector, &qp.counted(), limits, &data, event, pending)
}

ndk_types::abi! {
    /// NdkCreateConnector: CN-01. At or below DISPATCH_LEVEL; completes inline.
    ///
    /// # Safety
    /// NDKPI create_connector.
    pub unsafe extern "C" fn ndk_create_connector<P: Platform>(
        adapter: *mut NDK_ADAPTER,
        _completion: NDK_FN_CREATE_COMPLETION,
        _request_context: *mut c_void,
        connector: *mut *mut NDK_CONNECTOR,
    ) -> NTSTATUS {
        // SAFETY: NDKPI: an open adapter.
        let adapter = unsafe { Borrowed::<Adapter<P>>::from_handle(adapter) };
        let Some(made) = Connector::try_new(adapter.counted(), None, Details::new()) else {
            return STATUS_INSUFFICIENT_RESOURCES;
        };
        // SAFETY: NDKPI: the out parameter is writable.
        unsafe { connector.write(made.into_handle()) };
        STATUS_SUCCESS
    }

    /// NdkCloseConnector: CN-41 to CN-44. At or below DISPATCH_LEVEL.
    unsafe extern "C" fn ndk_close_connector<P: Platform>(
        connector: *mut NDK_OBJECT_HEADER,
        completion: NDK_FN_CLOSE_COMPLETION,
        context: *mut c_void,
    ) -> NTSTATUS {
        let handle = connector.cast::<NDK_CONNECTOR>();
        {
            // SAFETY: NDKPI close_object: a connector not closed before.
            let connector = unsafe { Borrowed::<Connector<P>>::from_handle(handle) };
            abandon(&connector);
        }
        // SAFETY: as above, and closed here once.
        unsafe { object::close::<Connector<P>>(handle, completion, context) }
    }

    /// NdkConnect: CN-02 to CN-08. At or below DISPATCH_LEVEL.
    unsafe extern "C" fn ndk_connect<P: Platform>(
        connector: *mut NDK_CONNECTOR,
        qp: *mut NDK_QP,
        source: *const SOCKADDR,
        source_length: u32,
        destination: *const SOCKADDR,
        destination_length: u32,
        inbound: u32,
        outbound: u32,
        data: *const c_void,
        data_length: u32,
        completion: NDK_FN_REQUEST_COMPLETION,
        context: *mut c_void,
    ) -> NTSTATUS {
        // SAFETY: NDKPI: an open connector.
        let connector = unsafe { Borrowed::<Connector<P>>::from_handle(connector) };
        // SAFETY: NDKPI: an open QP.
        let qp = unsafe { Borrowed::<Qp<P>>::from_handle(qp) };
        // SAFETY: NDKPI: `source_length` bytes at `source`.
        let source = unsafe { translate::socket_address(source, source_length) };
        // SAFETY: NDKPI: `destination_length` bytes at `destination`.
        let destination = unsafe { translate::socket_address(destination, destination_length) };
        // SAFETY: NDKPI: `data_length` bytes at `data`, or NULL.
        let data = unsafe { private_data(data, data_length, CALLER_DATA_MAX) };
        let (local, peer, data) = match (source, destination, data) {
            (Ok(local), Ok(peer), Ok(data)) => (local, peer, data),
            (Err(status), ..) | (_, Err(status), _) | (.., Err(status)) => return status,
        };
        if local.is_ipv4() != peer.is_ipv4() {
            return STATUS_INVALID_PARAMETER;
        }
        let port = &connector.adapter.port;
        let Some(interface) = port.platform.interface(local.ip()) else { return STATUS_INVALID_ADDRESS };
        let (local, hold) = match endpoint::take(port, local, false) {
            Ok(taken) => taken,
            Err(status) => return status,
        };
        let plan = Plan {
            local,
            peer,
            mac: interface.mac,
            ip_mtu: interface.ip_mtu,
            private_data: data,
            private_length: data_length as usize,
        };
        let pending = PendingRequest { completion, context: Context(context) };
        connect(&connector, &qp.counted(), &plan, (inbound, outbound), pending, |details| details.hold = Some(hold))
    }

    /// NdkConnectWithSharedEndpoint: SE-03, SE-04, SE-07, SE-08. At or below DISPATCH_LEVEL.
    unsafe extern "C" fn ndk_connect_with_shared_endpoint<P: Platform>(
        connector: *mut NDK_CONNECTOR,
        qp: *mut NDK_QP,
        shared: *mut NDK_SHARED_ENDPOINT,
        destination: *const SOCKADDR,
        destination_length: u32,
        inbound: u32,
        outbound: u32,
        data: *const c_void,
        data_length: u32,
        completion: NDK_FN_REQUEST_COMPLETION,
        context: *mut c_void,
    ) -> NTSTATUS {
        // SAFETY: NDKPI: an open connector.
        let connector = unsafe { Borrowed::<Connector<P>>::from_handle(connector) };
        // SAFETY: NDKPI: an open QP.
        let qp = unsafe { Borrowed::<Qp<P>>::from_handle(qp) };
        // SAFETY: NDKPI: an open shared endpoint.
        let shared = unsafe { Borrowed::<Endpoint<P>>::from_handle(shared) };
        // SAFETY: NDKPI: `destination_length` bytes at `destination`.
        let destination = unsafe { translate::socket_address(destination, destination_length) };
        // SAFETY: NDKPI: `data_length` bytes at `data`, or NULL.
        let data = unsafe { private_data(data, data_length, CALLER_DATA_MAX) };
        let (peer, data) = match (destination, data) {
            (Ok(peer), Ok(data)) => (peer, data),
            (Err(status), _) | (_, Err(status)) => return status,
        };
        let local = shared.address;
        if local.is_ipv4() != peer.is_ipv4() {
            return STATUS_INVALID_PARAMETER;
        }
        let port = &connector.adapter.port;
        let Some(interface) = port.platform.interface(local.ip()) else { return STATUS_INVALID_ADDRESS };
        if port.connections.look(port, |table| table.has_connection(local, peer)) {
            return STATUS_ADDRESS_ALREADY_EXISTS;
        }
        let plan = Plan {
            local,
            peer,
            mac: interface.mac,
            ip_mtu: interface.ip_mtu,
            private_data: data,
            private_length: data_length as usize,
        };
        let pending = PendingRequest { completion, context: Context(context) };
        let shared = shared.counted();
        connect(&connector, &qp.counted(), &plan, (inbound, outbound), pending, |details| details.shared = Some(shared))
    }

    /// NdkCompleteConnect. At or below DISPATCH_LEVEL; completes inline.
    unsafe extern "C" fn ndk_complete_connect<P: Platform>(
        connector: *mut NDK_CONNECTOR,
        event: NDK_FN_DISCONNECT_EVENT_CALLBACK,
        event_context: *mut c_void,
        _completion: NDK_FN_REQUEST_COMPLETION,
        _context: *mut c_void,
    ) -> NTSTATUS {
        // SAFETY: NDKPI: an open connector.
        let connector = unsafe { Borrowed::<Connector<P>>::from_handle(connector) };
        complete_connect(&connector, DisconnectEvent::Plain(event, Context(event_context)))
    }

    /// NdkCompleteConnectEx: CN-51. At or below DISPATCH_LEVEL; completes inline.
    unsafe extern "C" fn ndk_complete_connect_ex<P: Platform>(
        connector: *mut NDK_CONNECTOR,
        event: NDK_FN_DISCONNECT_EVENT_CALLBACK_EX,
        event_context: *mut c_void,
        _completion: NDK_FN_REQUEST_COMPLETION,
        _context: *mut c_void,
    ) -> NTSTATUS {
        // SAFETY: NDKPI: an open connector.
        let connector = unsafe { Borrowed::<Connector<P>>::from_handle(connector) };
        complete_connect(&connector, DisconnectEvent::Ex(event, Context(event_context)))
    }

    /// NdkAccept. At or below DISPATCH_LEVEL.
    unsafe extern "C" fn ndk_accept<P: Platform>(
        connector: *mut NDK_CONNECTOR,
        qp: *mut NDK_QP,
        inbound: u32,
        outbound: u32,
        data: *const c_void,
        data_length: u32,
        event: NDK_FN_DISCONNECT_EVENT_CALLBACK,
        event_context: *mut c_void,
        completion: NDK_FN_REQUEST_COMPLETION,
        context: *mut c_void,
    ) -> NTSTATUS {
        let event = DisconnectEvent::Plain(event, Context(event_context));
        let pending = PendingRequest { completion, context: Context(context) };
        // SAFETY: NDKPI: what the callee asks for is what the page promises.
        unsafe { accept_with::<P>(connector, qp, (inbound, outbound), (data, data_length), event, pending) }
    }

    /// NdkAcceptEx: CN-51. At or below DISPATCH_LEVEL.
    unsafe extern "C" fn ndk_accept_ex<P: Platform>(
        connector: *mut NDK_CONNECTOR,
        qp: *mut NDK_QP,
        inbound: u32,
        outbound: u32,
        data: *const c_void,
        data_length: u32,
        event: NDK_FN_DISCONNECT_EVENT_CALLBACK_EX,
        event_context: *mut c_void,
        completion: NDK_FN_REQUEST_COMPLETION,
        context: *mut c_void,
    ) -> NTSTATUS {
        let event = DisconnectEvent::Ex(event, Context(event_context));
        let pending = PendingRequest { completion, context: Context(context) };
        // SAFETY: NDKPI: what the callee asks for is what the page promises.
        unsafe { accept_with::<P>(connector, qp, (inbound, outbound), (data, data_length), event, pending) }
    }

    /// NdkReject: CN-15 to CN-18. At or below DISPATCH_LEVEL; synchronous.
    unsafe extern "C" fn ndk_reject<P: Platform>(
        connector: *mut NDK_CONNECTOR,
        data: *const c_void,
        data_length: u32,
    ) -> NTSTATUS {
        // SAFETY: NDKPI: an open connector.
        let connector = unsafe { Borrowed::<Connector<P>>::from_handle(connector) };
        // SAFETY: NDKPI: `data_length` bytes at `data`, or NULL.
        let data = match unsafe { private_data::<{ CALLEE_DATA_MAX as usize }>(data, data_length, CALLEE_DATA_MAX) } {
            Ok(data) => data,
            Err(status) => return status,
        };
        let port = &connector.adapter.port;
        let rejected = port.connections.change(port, |table, actions| {
            let id = connector.with(|details| {
                let id = details.id.filter(|_| matches!(details.phase, Phase::Requested | Phase::Accepted));
                if id.is_some() {
                    connector.count_end(details.phase);
                    details.phase = Phase::Over;
                }
                id
            });
            let id = id.ok_or(STATUS_CONNECTION_ABORTED)?;
            let reason = RejReason::ConsumerReject;
            let (rejected, _) = actions.hear(table, |agent, now, notes| agent.reject(now, id, reason, &data, notes));
            rejected.map_err(|_| STATUS_CONNECTION_ABORTED)
        });
        match rejected {
            Some(Ok(())) => STATUS_SUCCESS,
            Some(Err(status)) => status,
            None => STATUS_INSUFFICIENT_RESOURCES,
        }
    }

    /// NdkGetConnectionData: CN-19 to CN-25, CN-57. At or below DISPATCH_LEVEL.
    unsafe extern "C" fn ndk_get_connection_data<P: Platform>(
        connector: *mut NDK_CONNECTOR,
        inbound: *mut u32,
        outbound: *mut u32,
        data: *mut c_void,
        length: *mut u32,
    ) -> NTSTATUS {
        // SAFETY: NDKPI: an open connector.
        let connector = unsafe { Borrowed::<Connector<P>>::from_handle(connector) };
        let (limits, private, size, known) = connector.with(|details| {
            let limits = (u32::from(details.inbound), u32::from(details.outbound));
            let known = !matches!(details.phase, Phase::Idle | Phase::Connecting);
            (limits, details.private_data, details.private_length as u32, known)
        });
        if !known {
            return STATUS_CONNECTION_INVALID;
        }
        if !inbound.is_null() {
            // SAFETY: NDKPI: not NULL, so writable.
            unsafe { inbound.write(limits.0) };
        }
        if !outbound.is_null() {
            // SAFETY: NDKPI: not NULL, so writable.
            unsafe { outbound.write(limits.1) };
        }
        // SAFETY: NDKPI: pPrivateDataLength is valid.
        let room = unsafe { length.read() };
        // SAFETY: NDKPI: pPrivateDataLength is valid; it always gets the required size.
        unsafe { length.write(size) };
        if data.is_null() {
            return STATUS_SUCCESS;
        }
        let copied = room.min(size);
        // SAFETY: NDKPI: `room` bytes are writable at `data`, and `copied` is not more than that, nor than the array.
        unsafe { core::ptr::copy_nonoverlapping(private.as_ptr(), data.cast::<u8>(), copied as usize) };
        if room < size { STATUS_BUFFER_TOO_SMALL } else { STATUS_SUCCESS }
    }

    /// NdkGetLocalAddress: CN-45 to CN-47. At or below DISPATCH_LEVEL.
    unsafe extern "C" fn ndk_get_local_address<P: Platform>(
        connector: *mut NDK_CONNECTOR,
        address: *mut SOCKADDR,
        length: *mut u32,
    ) -> NTSTATUS {
        // SAFETY: NDKPI: an open connector.
        let connector = unsafe { Borrowed::<Connector<P>>::from_handle(connector) };
        // SAFETY: NDKPI: `length` tells how much may be written at `address`.
        unsafe { store(connector.with(|details| details.local), address, length) }
    }

    /// NdkGetPeerAddress: CN-45, CN-46, CN-48. At or below DISPATCH_LEVEL.
    unsafe extern "C" fn ndk_get_peer_address<P: Platform>(
        connector: *mut NDK_CONNECTOR,
        address: *mut SOCKADDR,
        length: *mut u32,
    ) -> NTSTATUS {
        // SAFETY: NDKPI: an open connector.
        let connector = unsafe { Borrowed::<Connector<P>>::from_handle(connector) };
        // SAFETY: NDKPI: `length` tells how much may be written at `address`.
        unsafe { store(connector.with(|details| details.peer), address, length) }
    }

    /// NdkDisconnect: CN-33 to CN-38, QP-14. At or below DISPATCH_LEVEL.
    unsafe extern "C" fn ndk_disconnect<P: Platform>(
        connector: *mut NDK_CONNECTOR,
        completion: NDK_FN_REQUEST_COMPLETION,
        context: *mut c_void,
    ) -> NTSTATUS {
        // SAFETY: NDKPI: an open connector.
        let connector = unsafe { Borrowed::<Connector<P>>::from_handle(connector) };
        let port = &connector.adapter.port;
        let begun = connector.with(|details| {
            let id = details.id.filter(|_| details.phase == Phase::Established)?;
            details.phase = Phase::Disconnecting;
            details.event = DisconnectEvent::None;
            details.pending = Some(PendingRequest { completion, context: Context(context) });
            Some((id, details.qp.clone()))
        });
        let Some((id, qp)) = begun else { return STATUS_CONNECTION_INVALID };
        if let Some(qp) = qp {
            qp.rundown.begin(port, None);
            qp.command(command::FLUSH);
            kick(&qp);
        }
        port.counters.active_connection.sub(1);
        let told = port.connections.change(port, |table, actions| {
            actions.hear(table, |agent, now, notes| agent.disconnect(now, id, notes)).0
        });
        match told {
            Some(Ok(())) => STATUS_PENDING,
            failed => {
                connector.with(|details| (details.phase, details.pending) = (Phase::Over, None));
                if failed.is_none() { STATUS_INSUFFICIENT_RESOURCES } else { STATUS_CONNECTION_ABORTED }
            }
        }
    }
}

/// Answers an address getter; before there is an address it is not a connection.
///
/// # Safety
/// As [`translate::store_socket_address`].
unsafe fn store(known: Option<SocketAddr>, address: *mut SOCKADDR, length: *mut u32) -> NTSTATUS {
    let Some(known) = known else { return STATUS_CONNECTION_INVALID };
    // SAFETY: the caller's contract.
    unsafe { translate::store_socket_address(known, address, length) }
}
