//! What ndkping.sys and whoever asks it exchange: control codes and their structures.
//!
//! No kernel names and no dependency, so that a harness includes this file as it is and a script mirrors it. Every structure is made
//! of little-endian integers without hidden padding; reserved fields are zero.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

/// What a program opens.
pub const DEVICE: &str = r"\\.\ndkping";
/// The version of these structures.
pub const INTERFACE_VERSION: u32 = 1;

/// METHOD_BUFFERED, FILE_DEVICE_UNKNOWN, read and write access: an administrator's handle.
const fn code(function: u32) -> u32 {
    (0x22 << 16) | (3 << 14) | (function << 2)
}

/// Nothing in, [`VersionReport`] out.
pub const VERSION: u32 = code(0x800);
/// [`QueryAdapter`] in, [`AdapterReport`] out.
pub const QUERY_ADAPTER: u32 = code(0x801);
/// [`Listen`] in, [`Listening`] out once it listens; pings are served until [`STOP`] or unload.
pub const LISTEN: u32 = code(0x802);
/// [`Ping`] in, [`PingReport`] out.
pub const PING: u32 = code(0x803);
/// [`Bandwidth`] in, [`BandwidthReport`] out.
pub const BANDWIDTH: u32 = code(0x804);
/// Nothing in, nothing out: ends every run and every listener, and returns when they have ended.
pub const STOP: u32 = code(0x805);

/// Messages there and back.
pub const SEND: u32 = 1;
/// RDMA READ.
pub const READ: u32 = 2;
/// RDMA WRITE.
pub const WRITE: u32 = 4;

/// [`Bandwidth::flags`]: what arrived is compared with what was sent.
pub const VERIFY: u32 = 1;

/// Bytes of one operation at most.
pub const SIZE_MAX: u32 = 4 << 20;
/// Bytes of one message of a ping at most: the other side has room for twelve.
pub const PING_SIZE_MAX: u32 = 1 << 20;
/// Operations of a kind in one ping at most: each leaves a sample.
pub const COUNT_MAX: u32 = 1 << 16;
/// Operations under way at once at most.
pub const DEPTH_MAX: u32 = 128;
/// Size times depth at most.
pub const BYTES_UNDER_WAY_MAX: u64 = 16 << 20;

/// AF_INET as Windows has it.
pub const FAMILY_V4: u16 = 2;
/// AF_INET6 as Windows has it.
pub const FAMILY_V6: u16 = 23;

/// An address and a port.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Address {
    /// [`FAMILY_V4`] or [`FAMILY_V6`].
    pub family: u16,
    /// In host byte order; 0 has one chosen.
    pub port: u16,
    /// IPv6 scope, else 0.
    pub scope: u32,
    /// In network byte order; the first four of IPv4.
    pub bytes: [u8; 16],
}

impl From<SocketAddr> for Address {
    fn from(from: SocketAddr) -> Self {
        let (family, scope, bytes) = match from {
            SocketAddr::V4(v4) => {
                let mut bytes = [0; 16];
                bytes.iter_mut().zip(v4.ip().octets()).for_each(|(to, octet)| *to = octet);
                (FAMILY_V4, 0, bytes)
            }
            SocketAddr::V6(v6) => (FAMILY_V6, v6.scope_id(), v6.ip().octets()),
        };
        Self { family, port: from.port(), scope, bytes }
    }
}

impl Address {
    /// The address, if its family is one of the two.
    pub fn to_socket_address(self) -> Option<SocketAddr> {
        match self.family {
            FAMILY_V4 => {
                let [a, b, c, d, ..] = self.bytes;
                Some(SocketAddr::new(IpAddr::V4(Ipv4Addr::new(a, b, c, d)), self.port))
            }
            FAMILY_V6 => {
                let ip = Ipv6Addr::from(self.bytes);
                Some(SocketAddr::V6(SocketAddrV6::new(ip, self.port, 0, self.scope)))
            }
            _ => None,
        }
    }
}

/// What answers.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct VersionReport {
    /// [`INTERFACE_VERSION`].
    pub interface: u32,
    /// Runs and listeners that have not ended.
    pub running: u32,
}

/// Which adapter.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QueryAdapter {
    /// Index of the IP interface whose adapter offers NDK.
    pub interface: u32,
    /// Zero.
    pub reserved: u32,
}

/// NDK_ADAPTER_INFO, its fields in their order, all as wide as they need.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "the fields of NDK_ADAPTER_INFO by their names")]
pub struct AdapterReport {
    pub major: u16,
    pub minor: u16,
    pub vendor_id: u32,
    pub device_id: u32,
    pub technology: u32,
    pub max_registration_size: u64,
    pub max_window_size: u64,
    pub frmr_page_count: u32,
    pub max_initiator_request_sge: u32,
    pub max_receive_request_sge: u32,
    pub max_read_request_sge: u32,
    pub max_transfer_length: u32,
    pub max_inline_data_size: u32,
    pub max_inbound_read_limit: u32,
    pub max_outbound_read_limit: u32,
    pub max_receive_queue_depth: u32,
    pub max_initiator_queue_depth: u32,
    pub max_srq_depth: u32,
    pub max_cq_depth: u32,
    pub large_request_threshold: u32,
    pub max_caller_data: u32,
    pub max_callee_data: u32,
    pub adapter_flags: u32,
}

/// Where to listen.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Listen {
    /// Index of the IP interface.
    pub interface: u32,
    /// Zero.
    pub reserved: u32,
    /// One of its addresses; port 0 has one chosen.
    pub local: Address,
}

/// Where it listens.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Listening {
    /// The address with the port that was chosen.
    pub local: Address,
}

/// What to measure: each operation of the mask on its own, one at a time.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ping {
    /// Index of the IP interface.
    pub interface: u32,
    /// [`SEND`], [`READ`], [`WRITE`] or several of them.
    pub operations: u32,
    /// Operations of each kind.
    pub count: u32,
    /// Bytes of each.
    pub size: u32,
    /// Milliseconds without progress after which the run fails; 0 waits for ever.
    pub timeout: u32,
    /// Zero.
    pub reserved: u32,
    /// One of the interface's addresses; port 0 has one chosen.
    pub local: Address,
    /// Who listens.
    pub remote: Address,
}

/// Nanoseconds of `count` operations; all zero when there were none.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "what their names say")]
pub struct Latency {
    pub count: u64,
    pub min: u64,
    pub average: u64,
    pub max: u64,
    pub p50: u64,
    pub p99: u64,
}

/// What was measured.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PingReport {
    /// From the post of a message to the arrival of its echo.
    pub send: Latency,
    /// From the post of a READ to its completion.
    pub read: Latency,
    /// From the post of a WRITE to its completion.
    pub write: Latency,
}

/// What to move.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bandwidth {
    /// Index of the IP interface.
    pub interface: u32,
    /// [`SEND`], [`READ`] or [`WRITE`].
    pub operation: u32,
    /// Bytes of one operation.
    pub size: u32,
    /// Operations under way at once.
    pub depth: u32,
    /// Milliseconds without progress after which the run fails; 0 waits for ever.
    pub timeout: u32,
    /// [`VERIFY`] or 0.
    pub flags: u32,
    /// Bytes altogether, rounded up to whole operations.
    pub total: u64,
    /// One of the interface's addresses; port 0 has one chosen.
    pub local: Address,
    /// Who listens.
    pub remote: Address,
}

/// What was moved.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BandwidthReport {
    /// Bytes moved.
    pub bytes: u64,
    /// From the first post to the last completion; of sends, to the last message's arrival.
    pub nanoseconds: u64,
    /// Operations that made it.
    pub operations: u64,
    /// Operations whose bytes were not what they should be; counted when [`VERIFY`] was asked for.
    pub mismatches: u64,
}

const _: () = {
    assert!(size_of::<Address>() == 24);
    assert!(size_of::<VersionReport>() == 8);
    assert!(size_of::<QueryAdapter>() == 8);
    assert!(size_of::<AdapterReport>() == 96);
    assert!(size_of::<Listen>() == 32);
    assert!(size_of::<Listening>() == 24);
    assert!(size_of::<Ping>() == 72);
    assert!(size_of::<PingReport>() == 144);
    assert!(size_of::<Bandwidth>() == 80);
    assert!(size_of::<BandwidthReport>() == 32);
};
