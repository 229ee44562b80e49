//! wsk.h: functions of the subsystem, callbacks of its clients.

use crate::{
    ADDRESS_FAMILY, GUID, NTSTATUS, PWSK_CLIENT, SOCKADDR, UNICODE_STRING, WSACMSGHDR, WSK_BUF, WSK_BUF_LIST,
    WSK_CLIENT_CONNECTION_DISPATCH, WSK_CONTROL_SOCKET_TYPE, WSK_DATA_INDICATION, WSK_DATAGRAM_INDICATION,
    WSK_INSPECT_ACTION, WSK_INSPECT_ID, WSK_SOCKET, abi,
};
use core::ffi::c_void;

abi! {
    /// Tells a client of an event; none is defined. At or below DISPATCH_LEVEL.
    pub type PFN_WSK_CLIENT_EVENT = Option<unsafe extern "C" fn(
        ClientContext: *mut c_void,
        EventType: u32,
        Information: *mut c_void,
        InformationLength: usize
    ) -> NTSTATUS>;

    /// Creates a socket. At or below DISPATCH_LEVEL.
    pub type PFN_WSK_SOCKET = Option<unsafe extern "C" fn(
        Client: PWSK_CLIENT,
        AddressFamily: ADDRESS_FAMILY,
        SocketType: u16,
        Protocol: u32,
        Flags: u32,
        SocketContext: *mut c_void,
        Dispatch: *const c_void,
        OwningProcess: *mut c_void,
        OwningThread: *mut c_void,
        SecurityDescriptor: *mut c_void,
        Irp: *mut c_void
    ) -> NTSTATUS>;

    /// Creates a socket, binds and connects it. At or below DISPATCH_LEVEL.
    pub type PFN_WSK_SOCKET_CONNECT = Option<unsafe extern "C" fn(
        Client: PWSK_CLIENT,
        SocketType: u16,
        Protocol: u32,
        LocalAddress: *mut SOCKADDR,
        RemoteAddress: *mut SOCKADDR,
        Flags: u32,
        SocketContext: *mut c_void,
        Dispatch: *const WSK_CLIENT_CONNECTION_DISPATCH,
        OwningProcess: *mut c_void,
        OwningThread: *mut c_void,
        SecurityDescriptor: *mut c_void,
        Irp: *mut c_void
    ) -> NTSTATUS>;

    /// Controls what is not a socket's; the way to extensions. At or below DISPATCH_LEVEL.
    pub type PFN_WSK_CONTROL_CLIENT = Option<unsafe extern "C" fn(
        Client: PWSK_CLIENT,
        ControlCode: u32,
        InputSize: usize,
        InputBuffer: *mut c_void,
        OutputSize: usize,
        OutputBuffer: *mut c_void,
        OutputSizeReturned: *mut usize,
        Irp: *mut c_void
    ) -> NTSTATUS>;

    /// Resolves a name. PASSIVE_LEVEL.
    pub type PFN_WSK_GET_ADDRESS_INFO = Option<unsafe extern "C" fn(
        Client: PWSK_CLIENT,
        NodeName: *mut UNICODE_STRING,
        ServiceName: *mut UNICODE_STRING,
        NameSpace: u32,
        Provider: *mut GUID,
        Hints: *mut c_void,
        Result: *mut *mut c_void,
        OwningProcess: *mut c_void,
        OwningThread: *mut c_void,
        Irp: *mut c_void
    ) -> NTSTATUS>;

    /// Frees what WskGetAddressInfo returned. PASSIVE_LEVEL.
    pub type PFN_WSK_FREE_ADDRESS_INFO = Option<unsafe extern "C" fn(Client: PWSK_CLIENT, AddrInfo: *mut c_void)>;

    /// Resolves an address. PASSIVE_LEVEL.
    pub type PFN_WSK_GET_NAME_INFO = Option<unsafe extern "C" fn(
        Client: PWSK_CLIENT,
        SockAddr: *mut SOCKADDR,
        SockAddrLength: u32,
        NodeName: *mut UNICODE_STRING,
        ServiceName: *mut UNICODE_STRING,
        Flags: u32,
        OwningProcess: *mut c_void,
        OwningThread: *mut c_void,
        Irp: *mut c_void
    ) -> NTSTATUS>;

    /// Controls a socket. At or below DISPATCH_LEVEL.
    pub type PFN_WSK_CONTROL_SOCKET = Option<unsafe extern "C" fn(
        Socket: *mut WSK_SOCKET,
        RequestType: WSK_CONTROL_SOCKET_TYPE,
        ControlCode: u32,
        Level: u32,
        InputSize: usize,
        InputBuffer: *mut c_void,
        OutputSize: usize,
        OutputBuffer: *mut c_void,
        OutputSizeReturned: *mut usize,
        Irp: *mut c_void
    ) -> NTSTATUS>;

    /// Closes a socket. At or below DISPATCH_LEVEL.
    pub type PFN_WSK_CLOSE_SOCKET = Option<unsafe extern "C" fn(Socket: *mut WSK_SOCKET, Irp: *mut c_void) -> NTSTATUS>;

    /// Binds a socket. At or below DISPATCH_LEVEL.
    pub type PFN_WSK_BIND = Option<unsafe extern "C" fn(
        Socket: *mut WSK_SOCKET,
        LocalAddress: *mut SOCKADDR,
        Flags: u32,
        Irp: *mut c_void
    ) -> NTSTATUS>;

    /// Accepts a connection. At or below DISPATCH_LEVEL.
    pub type PFN_WSK_ACCEPT = Option<unsafe extern "C" fn(
        ListenSocket: *mut WSK_SOCKET,
        Flags: u32,
        AcceptSocketContext: *mut c_void,
        AcceptSocketDispatch: *const WSK_CLIENT_CONNECTION_DISPATCH,
        LocalAddress: *mut SOCKADDR,
        RemoteAddress: *mut SOCKADDR,
        Irp: *mut c_void
    ) -> NTSTATUS>;

    /// Ends an inspection. At or below DISPATCH_LEVEL.
    pub type PFN_WSK_INSPECT_COMPLETE = Option<unsafe extern "C" fn(
        ListenSocket: *mut WSK_SOCKET,
        InspectID: *mut WSK_INSPECT_ID,
        Action: WSK_INSPECT_ACTION,
        Irp: *mut c_void
    ) -> NTSTATUS>;

    /// The local address. At or below DISPATCH_LEVEL.
    pub type PFN_WSK_GET_LOCAL_ADDRESS = Option<unsafe extern "C" fn(
        Socket: *mut WSK_SOCKET,
        LocalAddress: *mut SOCKADDR,
        Irp: *mut c_void
    ) -> NTSTATUS>;

    /// The remote address. At or below DISPATCH_LEVEL.
    pub type PFN_WSK_GET_REMOTE_ADDRESS = Option<unsafe extern "C" fn(
        Socket: *mut WSK_SOCKET,
        RemoteAddress: *mut SOCKADDR,
        Irp: *mut c_void
    ) -> NTSTATUS>;

    /// Sends a datagram. At or below DISPATCH_LEVEL.
    pub type PFN_WSK_SEND_TO = Option<unsafe extern "C" fn(
        Socket: *mut WSK_SOCKET,
        Buffer: *mut WSK_BUF,
        Flags: u32,
        RemoteAddress: *mut SOCKADDR,
        ControlInfoLength: u32,
        ControlInfo: *mut WSACMSGHDR,
        Irp: *mut c_void
    ) -> NTSTATUS>;

    /// Sends datagrams. At or below DISPATCH_LEVEL.
    pub type PFN_WSK_SEND_MESSAGES = Option<unsafe extern "C" fn(
        Socket: *mut WSK_SOCKET,
        BufferList: *mut WSK_BUF_LIST,
        Flags: u32,
        RemoteAddress: *mut SOCKADDR,
        ControlInfoLength: u32,
        ControlInfo: *mut WSACMSGHDR,
        Irp: *mut c_void
    ) -> NTSTATUS>;

    /// Receives a datagram. At or below DISPATCH_LEVEL.
    pub type PFN_WSK_RECEIVE_FROM = Option<unsafe extern "C" fn(
        Socket: *mut WSK_SOCKET,
        Buffer: *mut WSK_BUF,
        Flags: u32,
        RemoteAddress: *mut SOCKADDR,
        ControlLength: *mut u32,
        ControlInfo: *mut WSACMSGHDR,
        ControlFlags: *mut u32,
        Irp: *mut c_void
    ) -> NTSTATUS>;

    /// Gives datagrams back. At or below DISPATCH_LEVEL.
    pub type PFN_WSK_RELEASE_DATAGRAM_INDICATION_LIST = Option<unsafe extern "C" fn(
        Socket: *mut WSK_SOCKET,
        DatagramIndication: *mut WSK_DATAGRAM_INDICATION
    ) -> NTSTATUS>;

    /// Gives stream data back. At or below DISPATCH_LEVEL.
    pub type PFN_WSK_RELEASE_DATA_INDICATION_LIST = Option<unsafe extern "C" fn(
        Socket: *mut WSK_SOCKET,
        DataIndication: *mut WSK_DATA_INDICATION
    ) -> NTSTATUS>;

    /// Connects. At or below DISPATCH_LEVEL.
    pub type PFN_WSK_CONNECT = Option<unsafe extern "C" fn(
        Socket: *mut WSK_SOCKET,
        RemoteAddress: *mut SOCKADDR,
        Flags: u32,
        Irp: *mut c_void
    ) -> NTSTATUS>;

    /// Connects, with data. At or below DISPATCH_LEVEL.
    pub type PFN_WSK_CONNECT_EX = Option<unsafe extern "C" fn(
        Socket: *mut WSK_SOCKET,
        RemoteAddress: *mut SOCKADDR,
        Buffer: *mut WSK_BUF,
        Flags: u32,
        Irp: *mut c_void
    ) -> NTSTATUS>;

    /// Listens, on a stream socket. At or below DISPATCH_LEVEL.
    pub type PFN_WSK_LISTEN = Option<unsafe extern "C" fn(Socket: *mut WSK_SOCKET, Irp: *mut c_void) -> NTSTATUS>;

    /// Sends. At or below DISPATCH_LEVEL.
    pub type PFN_WSK_SEND = Option<unsafe extern "C" fn(
        Socket: *mut WSK_SOCKET,
        Buffer: *mut WSK_BUF,
        Flags: u32,
        Irp: *mut c_void
    ) -> NTSTATUS>;

    /// Receives. At or below DISPATCH_LEVEL.
    pub type PFN_WSK_RECEIVE = Option<unsafe extern "C" fn(
        Socket: *mut WSK_SOCKET,
        Buffer: *mut WSK_BUF,
        Flags: u32,
        Irp: *mut c_void
    ) -> NTSTATUS>;

    /// Disconnects. At or below DISPATCH_LEVEL.
    pub type PFN_WSK_DISCONNECT = Option<unsafe extern "C" fn(
        Socket: *mut WSK_SOCKET,
        Buffer: *mut WSK_BUF,
        Flags: u32,
        Irp: *mut c_void
    ) -> NTSTATUS>;

    /// A connection was accepted. At or below DISPATCH_LEVEL.
    pub type PFN_WSK_ACCEPT_EVENT = Option<unsafe extern "C" fn(
        SocketContext: *mut c_void,
        Flags: u32,
        LocalAddress: *mut SOCKADDR,
        RemoteAddress: *mut SOCKADDR,
        AcceptSocket: *mut WSK_SOCKET,
        AcceptSocketContext: *mut *mut c_void,
        AcceptSocketDispatch: *mut *const WSK_CLIENT_CONNECTION_DISPATCH
    ) -> NTSTATUS>;

    /// A connection request came. At or below DISPATCH_LEVEL.
    pub type PFN_WSK_INSPECT_EVENT = Option<unsafe extern "C" fn(
        SocketContext: *mut c_void,
        LocalAddress: *mut SOCKADDR,
        RemoteAddress: *mut SOCKADDR,
        InspectID: *mut WSK_INSPECT_ID
    ) -> WSK_INSPECT_ACTION>;

    /// A connection request under inspection is gone. At or below DISPATCH_LEVEL.
    pub type PFN_WSK_ABORT_EVENT = Option<unsafe extern "C" fn(
        SocketContext: *mut c_void,
        InspectID: *mut WSK_INSPECT_ID
    ) -> NTSTATUS>;

    /// Datagrams came. At or below DISPATCH_LEVEL.
    pub type PFN_WSK_RECEIVE_FROM_EVENT = Option<unsafe extern "C" fn(
        SocketContext: *mut c_void,
        Flags: u32,
        DataIndication: *mut WSK_DATAGRAM_INDICATION
    ) -> NTSTATUS>;

    /// Stream data came. At or below DISPATCH_LEVEL.
    pub type PFN_WSK_RECEIVE_EVENT = Option<unsafe extern "C" fn(
        SocketContext: *mut c_void,
        Flags: u32,
        DataIndication: *mut WSK_DATA_INDICATION,
        BytesIndicated: usize,
        BytesAccepted: *mut usize
    ) -> NTSTATUS>;

    /// The peer disconnected. At or below DISPATCH_LEVEL.
    pub type PFN_WSK_DISCONNECT_EVENT = Option<unsafe extern "C" fn(
        SocketContext: *mut c_void,
        Flags: u32
    ) -> NTSTATUS>;

    /// The ideal backlog changed. At or below DISPATCH_LEVEL.
    pub type PFN_WSK_SEND_BACKLOG_EVENT = Option<unsafe extern "C" fn(
        SocketContext: *mut c_void,
        IdealBacklogSize: usize
    ) -> NTSTATUS>;
}
