//! wsk.h: Winsock Kernel, the part a client and the subsystem exchange.
//!
//! IRPs, processes, threads and security descriptors are `c_void` here: wdk-sys has them.

#![expect(missing_docs, reason = "C names verbatim; Microsoft documents fields and constants")]

use crate::{ADDRESS_FAMILY, GUID, MDL, PNPIID, SOCKADDR, WSACMSGHDR, layout};
use core::ffi::c_void;

mod dispatch;
mod functions;

pub use dispatch::*;
pub use functions::*;

/// What the WSK subsystem calls a client.
pub type PWSK_CLIENT = *mut c_void;

/// A socket; Dispatch is the table of its kind.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct WSK_SOCKET {
    pub Dispatch: *const c_void,
}

layout!(WSK_SOCKET, 8, 8, Dispatch 0);

/// The versions of WSK that are offered.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct WSK_PROVIDER_CHARACTERISTICS {
    pub HighestVersion: u16,
    pub LowestVersion: u16,
}

layout!(WSK_PROVIDER_CHARACTERISTICS, 4, 2, HighestVersion 0, LowestVersion 2);

/// A transport.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct WSK_TRANSPORT {
    pub Version: u16,
    pub SocketType: u16,
    pub Protocol: u32,
    pub AddressFamily: ADDRESS_FAMILY,
    pub ProviderId: GUID,
}

layout!(WSK_TRANSPORT, 28, 4, Version 0, SocketType 2, Protocol 4, AddressFamily 8, ProviderId 12);

/// A range of an MDL chain.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct WSK_BUF {
    pub Mdl: *mut MDL,
    pub Offset: u32,
    pub Length: usize,
}

layout!(WSK_BUF, 24, 8, Mdl 0, Offset 8, Length 16);

/// A list of ranges.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct WSK_BUF_LIST {
    pub Next: *mut WSK_BUF_LIST,
    pub Buffer: WSK_BUF,
}

layout!(WSK_BUF_LIST, 32, 8, Next 0, Buffer 8);

/// Received stream data.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct WSK_DATA_INDICATION {
    pub Next: *mut WSK_DATA_INDICATION,
    pub Buffer: WSK_BUF,
}

layout!(WSK_DATA_INDICATION, 32, 8, Next 0, Buffer 8);

/// Received datagrams.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct WSK_DATAGRAM_INDICATION {
    pub Next: *mut WSK_DATAGRAM_INDICATION,
    pub Buffer: WSK_BUF,
    pub ControlInfo: *mut WSACMSGHDR,
    pub ControlInfoLength: u32,
    pub RemoteAddress: *mut SOCKADDR,
}

layout!(WSK_DATAGRAM_INDICATION, 56, 8, Next 0, Buffer 8, ControlInfo 32, ControlInfoLength 40, RemoteAddress 48);

/// A connection request under inspection.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct WSK_INSPECT_ID {
    pub Key: usize,
    pub SerialNumber: u32,
}

layout!(WSK_INSPECT_ID, 16, 8, Key 0, SerialNumber 8);

/// A transport and its TDI device.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct WSK_TDI_MAP {
    pub SocketType: u16,
    pub AddressFamily: ADDRESS_FAMILY,
    pub Protocol: u32,
    pub TdiDeviceName: *const u16,
}

layout!(WSK_TDI_MAP, 16, 8, SocketType 0, AddressFamily 2, Protocol 4, TdiDeviceName 8);

/// A list of TDI devices.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct WSK_TDI_MAP_INFO {
    pub ElementCount: u32,
    pub Map: *const WSK_TDI_MAP,
}

layout!(WSK_TDI_MAP_INFO, 16, 8, ElementCount 0, Map 8);

/// Switches event callbacks on or off.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct WSK_EVENT_CALLBACK_CONTROL {
    pub NpiId: PNPIID,
    pub EventMask: u32,
}

layout!(WSK_EVENT_CALLBACK_CONTROL, 16, 8, NpiId 0, EventMask 8);

/// A client's half of an extension interface.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct WSK_EXTENSION_CONTROL_IN {
    pub NpiId: PNPIID,
    pub ClientContext: *mut c_void,
    pub ClientDispatch: *const c_void,
}

layout!(WSK_EXTENSION_CONTROL_IN, 24, 8, NpiId 0, ClientContext 8, ClientDispatch 16);

/// The provider's half of an extension interface.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct WSK_EXTENSION_CONTROL_OUT {
    pub ProviderContext: *mut c_void,
    pub ProviderDispatch: *const c_void,
}

layout!(WSK_EXTENSION_CONTROL_OUT, 16, 8, ProviderContext 0, ProviderDispatch 8);

/// A client's NPI.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct WSK_CLIENT_NPI {
    pub ClientContext: *mut c_void,
    pub Dispatch: *const WSK_CLIENT_DISPATCH,
}

layout!(WSK_CLIENT_NPI, 16, 8, ClientContext 0, Dispatch 8);

/// The subsystem's NPI.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct WSK_PROVIDER_NPI {
    pub Client: PWSK_CLIENT,
    pub Dispatch: *const WSK_PROVIDER_DISPATCH,
}

layout!(WSK_PROVIDER_NPI, 16, 8, Client 0, Dispatch 8);

/// What WskRegister fills; not to be touched.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct WSK_REGISTRATION {
    pub ReservedRegistrationState: u64,
    pub ReservedRegistrationContext: *mut c_void,
    pub ReservedRegistrationLock: usize,
}

layout!(
    WSK_REGISTRATION, 24, 8, ReservedRegistrationState 0, ReservedRegistrationContext 8, ReservedRegistrationLock
    16
);

/// What becomes of a connection request.
pub type WSK_INSPECT_ACTION = i32;
pub const WskInspectReject: WSK_INSPECT_ACTION = 0;
pub const WskInspectAccept: WSK_INSPECT_ACTION = 1;
pub const WskInspectPend: WSK_INSPECT_ACTION = 2;
pub const WskInspectMax: WSK_INSPECT_ACTION = 3;

/// What WskControlSocket does.
pub type WSK_CONTROL_SOCKET_TYPE = i32;
pub const WskSetOption: WSK_CONTROL_SOCKET_TYPE = 0;
pub const WskGetOption: WSK_CONTROL_SOCKET_TYPE = 1;
pub const WskIoctl: WSK_CONTROL_SOCKET_TYPE = 2;
pub const WskControlMax: WSK_CONTROL_SOCKET_TYPE = 3;

pub const WSK_SO_BASE: u32 = 16384;
pub const WSK_FLAG_AT_DISPATCH_LEVEL: u32 = 8;
pub const WSK_FLAG_RELEASE_ASAP: u32 = 2;
pub const WSK_FLAG_ENTIRE_MESSAGE: u32 = 4;
pub const WSK_FLAG_ABORTIVE: u32 = 1;
pub const WSK_FLAG_BASIC_SOCKET: u32 = 0;
pub const WSK_FLAG_LISTEN_SOCKET: u32 = 1;
pub const WSK_FLAG_CONNECTION_SOCKET: u32 = 2;
pub const WSK_FLAG_DATAGRAM_SOCKET: u32 = 4;
pub const WSK_FLAG_STREAM_SOCKET: u32 = 8;
pub const WSK_TRANSPORT_LIST_QUERY: u32 = 2;
pub const WSK_TRANSPORT_LIST_CHANGE: u32 = 3;
pub const WSK_CACHE_SD: u32 = 4;
pub const WSK_RELEASE_SD: u32 = 5;
pub const WSK_TDI_DEVICENAME_MAPPING: u32 = 6;
pub const WSK_SET_STATIC_EVENT_CALLBACKS: u32 = 7;
pub const WSK_TDI_BEHAVIOR: u32 = 8;
pub const WSK_TDI_BEHAVIOR_BYPASS_TDI: u32 = 1;
pub const WSK_EVENT_RECEIVE_FROM: u32 = 256;
pub const WSK_EVENT_ACCEPT: u32 = 512;
pub const WSK_EVENT_SEND_BACKLOG: u32 = 16;
pub const WSK_EVENT_RECEIVE: u32 = 64;
pub const WSK_EVENT_DISCONNECT: u32 = 128;
pub const WSK_EVENT_DISABLE: u32 = 0x8000_0000;
pub const WSK_FLAG_OOB: u32 = 1;
pub const WSK_FLAG_NODELAY: u32 = 2;
pub const WSK_FLAG_WAITALL: u32 = 2;
pub const WSK_FLAG_DRAIN: u32 = 4;
pub const WSK_NO_WAIT: u32 = 0;
pub const WSK_INFINITE_WAIT: u32 = 0xffff_ffff;
