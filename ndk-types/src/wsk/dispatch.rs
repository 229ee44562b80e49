//! wsk.h: dispatch tables of the subsystem and of its clients.

#![expect(missing_docs, reason = "C names verbatim; Microsoft documents fields and constants")]

use crate::{
    PFN_WSK_ABORT_EVENT, PFN_WSK_ACCEPT, PFN_WSK_ACCEPT_EVENT, PFN_WSK_BIND, PFN_WSK_CLIENT_EVENT,
    PFN_WSK_CLOSE_SOCKET, PFN_WSK_CONNECT, PFN_WSK_CONNECT_EX, PFN_WSK_CONTROL_CLIENT, PFN_WSK_CONTROL_SOCKET,
    PFN_WSK_DISCONNECT, PFN_WSK_DISCONNECT_EVENT, PFN_WSK_FREE_ADDRESS_INFO, PFN_WSK_GET_ADDRESS_INFO,
    PFN_WSK_GET_LOCAL_ADDRESS, PFN_WSK_GET_NAME_INFO, PFN_WSK_GET_REMOTE_ADDRESS, PFN_WSK_INSPECT_COMPLETE,
    PFN_WSK_INSPECT_EVENT, PFN_WSK_LISTEN, PFN_WSK_RECEIVE, PFN_WSK_RECEIVE_EVENT, PFN_WSK_RECEIVE_FROM,
    PFN_WSK_RECEIVE_FROM_EVENT, PFN_WSK_RELEASE_DATA_INDICATION_LIST, PFN_WSK_RELEASE_DATAGRAM_INDICATION_LIST,
    PFN_WSK_SEND, PFN_WSK_SEND_BACKLOG_EVENT, PFN_WSK_SEND_MESSAGES, PFN_WSK_SEND_TO, PFN_WSK_SOCKET,
    PFN_WSK_SOCKET_CONNECT, layout,
};
use core::ffi::c_void;

/// A client's table.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct WSK_CLIENT_DISPATCH {
    pub Version: u16,
    pub Reserved: u16,
    pub WskClientEvent: PFN_WSK_CLIENT_EVENT,
}

layout!(WSK_CLIENT_DISPATCH, 16, 8, Version 0, Reserved 2, WskClientEvent 8);

/// A client's table for listening sockets.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct WSK_CLIENT_LISTEN_DISPATCH {
    pub WskAcceptEvent: PFN_WSK_ACCEPT_EVENT,
    pub WskInspectEvent: PFN_WSK_INSPECT_EVENT,
    pub WskAbortEvent: PFN_WSK_ABORT_EVENT,
}

layout!(WSK_CLIENT_LISTEN_DISPATCH, 24, 8, WskAcceptEvent 0, WskInspectEvent 8, WskAbortEvent 16);

/// A client's table for datagram sockets.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct WSK_CLIENT_DATAGRAM_DISPATCH {
    pub WskReceiveFromEvent: PFN_WSK_RECEIVE_FROM_EVENT,
}

layout!(WSK_CLIENT_DATAGRAM_DISPATCH, 8, 8, WskReceiveFromEvent 0);

/// A client's table for connections.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct WSK_CLIENT_CONNECTION_DISPATCH {
    pub WskReceiveEvent: PFN_WSK_RECEIVE_EVENT,
    pub WskDisconnectEvent: PFN_WSK_DISCONNECT_EVENT,
    pub WskSendBacklogEvent: PFN_WSK_SEND_BACKLOG_EVENT,
}

layout!(WSK_CLIENT_CONNECTION_DISPATCH, 24, 8, WskReceiveEvent 0, WskDisconnectEvent 8, WskSendBacklogEvent 16);

/// A client's table for stream sockets.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct WSK_CLIENT_STREAM_DISPATCH {
    pub Listen: *const WSK_CLIENT_LISTEN_DISPATCH,
    pub Connect: *const WSK_CLIENT_CONNECTION_DISPATCH,
}

layout!(WSK_CLIENT_STREAM_DISPATCH, 16, 8, Listen 0, Connect 8);

/// The subsystem's table.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct WSK_PROVIDER_DISPATCH {
    pub Version: u16,
    pub Reserved: u16,
    pub WskSocket: PFN_WSK_SOCKET,
    pub WskSocketConnect: PFN_WSK_SOCKET_CONNECT,
    pub WskControlClient: PFN_WSK_CONTROL_CLIENT,
    pub WskGetAddressInfo: PFN_WSK_GET_ADDRESS_INFO,
    pub WskFreeAddressInfo: PFN_WSK_FREE_ADDRESS_INFO,
    pub WskGetNameInfo: PFN_WSK_GET_NAME_INFO,
}

layout!(
    WSK_PROVIDER_DISPATCH, 56, 8, Version 0, Reserved 2, WskSocket 8, WskSocketConnect 16, WskControlClient 24,
    WskGetAddressInfo 32, WskFreeAddressInfo 40, WskGetNameInfo 48
);

/// The subsystem's table for every socket.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct WSK_PROVIDER_BASIC_DISPATCH {
    pub WskControlSocket: PFN_WSK_CONTROL_SOCKET,
    pub WskCloseSocket: PFN_WSK_CLOSE_SOCKET,
}

layout!(WSK_PROVIDER_BASIC_DISPATCH, 16, 8, WskControlSocket 0, WskCloseSocket 8);

/// The subsystem's table for listening sockets.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct WSK_PROVIDER_LISTEN_DISPATCH {
    pub Basic: WSK_PROVIDER_BASIC_DISPATCH,
    pub WskBind: PFN_WSK_BIND,
    pub WskAccept: PFN_WSK_ACCEPT,
    pub WskInspectComplete: PFN_WSK_INSPECT_COMPLETE,
    pub WskGetLocalAddress: PFN_WSK_GET_LOCAL_ADDRESS,
}

layout!(
    WSK_PROVIDER_LISTEN_DISPATCH, 48, 8, Basic 0, WskBind 16, WskAccept 24, WskInspectComplete 32,
    WskGetLocalAddress 40
);

/// The subsystem's table for datagram sockets.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct WSK_PROVIDER_DATAGRAM_DISPATCH {
    pub Basic: WSK_PROVIDER_BASIC_DISPATCH,
    pub WskBind: PFN_WSK_BIND,
    pub WskSendTo: PFN_WSK_SEND_TO,
    pub WskReceiveFrom: PFN_WSK_RECEIVE_FROM,
    pub WskRelease: PFN_WSK_RELEASE_DATAGRAM_INDICATION_LIST,
    pub WskGetLocalAddress: PFN_WSK_GET_LOCAL_ADDRESS,
    pub WskSendMessages: PFN_WSK_SEND_MESSAGES,
}

layout!(
    WSK_PROVIDER_DATAGRAM_DISPATCH, 64, 8, Basic 0, WskBind 16, WskSendTo 24, WskReceiveFrom 32, WskRelease 40,
    WskGetLocalAddress 48, WskSendMessages 56
);

/// The subsystem's table for connections.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct WSK_PROVIDER_CONNECTION_DISPATCH {
    pub Basic: WSK_PROVIDER_BASIC_DISPATCH,
    pub WskBind: PFN_WSK_BIND,
    pub WskConnect: PFN_WSK_CONNECT,
    pub WskGetLocalAddress: PFN_WSK_GET_LOCAL_ADDRESS,
    pub WskGetRemoteAddress: PFN_WSK_GET_REMOTE_ADDRESS,
    pub WskSend: PFN_WSK_SEND,
    pub WskReceive: PFN_WSK_RECEIVE,
    pub WskDisconnect: PFN_WSK_DISCONNECT,
    pub WskRelease: PFN_WSK_RELEASE_DATA_INDICATION_LIST,
    pub WskConnectEx: PFN_WSK_CONNECT_EX,
    pub WskSendEx: *mut c_void,
    pub WskReceiveEx: *mut c_void,
}

layout!(
    WSK_PROVIDER_CONNECTION_DISPATCH, 104, 8, Basic 0, WskBind 16, WskConnect 24, WskGetLocalAddress 32,
    WskGetRemoteAddress 40, WskSend 48, WskReceive 56, WskDisconnect 64, WskRelease 72, WskConnectEx 80, WskSendEx
    88, WskReceiveEx 96
);

/// The subsystem's table for stream sockets.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct WSK_PROVIDER_STREAM_DISPATCH {
    pub Basic: WSK_PROVIDER_BASIC_DISPATCH,
    pub WskBind: PFN_WSK_BIND,
    pub WskAccept: PFN_WSK_ACCEPT,
    pub WskConnect: PFN_WSK_CONNECT,
    pub WskListen: PFN_WSK_LISTEN,
    pub WskSend: PFN_WSK_SEND,
    pub WskReceive: PFN_WSK_RECEIVE,
    pub WskDisconnect: PFN_WSK_DISCONNECT,
    pub WskRelease: PFN_WSK_RELEASE_DATA_INDICATION_LIST,
    pub WskGetLocalAddress: PFN_WSK_GET_LOCAL_ADDRESS,
    pub WskGetRemoteAddress: PFN_WSK_GET_REMOTE_ADDRESS,
    pub WskConnectEx: PFN_WSK_CONNECT_EX,
    pub WskSendEx: *mut c_void,
    pub WskReceiveEx: *mut c_void,
}

layout!(
    WSK_PROVIDER_STREAM_DISPATCH, 120, 8, Basic 0, WskBind 16, WskAccept 24, WskConnect 32, WskListen 40, WskSend
    48, WskReceive 56, WskDisconnect 64, WskRelease 72, WskGetLocalAddress 80, WskGetRemoteAddress 88, WskConnectEx
    96, WskSendEx 104, WskReceiveEx 112
);
