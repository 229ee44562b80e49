//! The dictionary between NDK's words and IBTA's: socket addresses, flags, scatter/gather entries.
//!
//! Everything a consumer passes by pointer is read here, once, into values; nothing else in the crate knows both languages.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use ndk_types::{
    AF_INET, AF_INET6, NDK_MR_FLAG_ALLOW_LOCAL_WRITE, NDK_MR_FLAG_ALLOW_REMOTE_READ, NDK_MR_FLAG_ALLOW_REMOTE_WRITE,
    NDK_OP_FLAG_ALLOW_LOCAL_WRITE, NDK_OP_FLAG_ALLOW_REMOTE_READ, NDK_OP_FLAG_ALLOW_REMOTE_WRITE, NDK_OP_FLAG_INLINE,
    NDK_OP_FLAG_READ_FENCE, NDK_OP_FLAG_SEND_AND_SOLICIT_EVENT, NDK_OP_FLAG_SILENT_SUCCESS, NDK_SGE, NTSTATUS,
    SOCKADDR, SOCKADDR_IN, SOCKADDR_IN6, STATUS_BUFFER_TOO_SMALL, STATUS_INVALID_PARAMETER, STATUS_SUCCESS,
};
use roce_engine::key::LKey;
use roce_engine::memory::{Access, Sge};
use roce_engine::work::{Operation, Wqe};

/// Bytes of the two socket addresses that NDKPI takes.
pub const SOCKADDR_IN_SIZE: u32 = size_of::<SOCKADDR_IN>() as u32;
/// See [`SOCKADDR_IN_SIZE`].
pub const SOCKADDR_IN6_SIZE: u32 = size_of::<SOCKADDR_IN6>() as u32;

/// Reads a consumer's socket address.
///
/// # Safety
/// `address` is NULL or points at `length` readable bytes (NDKPI: pSrcAddress, SrcAddressLength and their like).
pub unsafe fn socket_address(address: *const SOCKADDR, length: u32) -> Result<SocketAddr, NTSTATUS> {
    if address.is_null() || (length as usize) < size_of::<u16>() {
        return Err(STATUS_INVALID_PARAMETER);
    }
    // SAFETY: NDKPI: at least two bytes are readable; the consumer's buffer need not be aligned.
    let family = unsafe { address.cast::<u16>().read_unaligned() };
    if family == AF_INET as u16 && length >= SOCKADDR_IN_SIZE {
        // SAFETY: NDKPI: `length` bytes are readable, and that is at least this structure's size.
        let v4 = unsafe { address.cast::<[u8; SOCKADDR_IN_SIZE as usize]>().read_unaligned() };
        let [_, _, p0, p1, a, b, c, d, ..] = v4;
        return Ok(SocketAddr::new(IpAddr::V4(Ipv4Addr::new(a, b, c, d)), u16::from_be_bytes([p0, p1])));
    }
    if family == AF_INET6 as u16 && length >= SOCKADDR_IN6_SIZE {
        // SAFETY: as above.
        let v6 = unsafe { address.cast::<[u8; SOCKADDR_IN6_SIZE as usize]>().read_unaligned() };
        let [_, _, p0, p1, _, _, _, _, rest @ ..] = v6;
        let mut octets = [0; 16];
        for (to, from) in octets.iter_mut().zip(rest) {
            *to = from;
        }
        return Ok(SocketAddr::new(IpAddr::V6(Ipv6Addr::from(octets)), u16::from_be_bytes([p0, p1])));
    }
    Err(STATUS_INVALID_PARAMETER)
}

/// Answers the four address getters: CN-45, CN-46.
///
/// # Safety
/// `length` points at a writable ULONG that tells how many bytes at `buffer` are writable; `buffer` may be NULL when that
/// number is zero (NDKPI: NdkGetLocalAddress and its like).
pub unsafe fn store_socket_address(address: SocketAddr, buffer: *mut SOCKADDR, length: *mut u32) -> NTSTATUS {
    let mut bytes = [0u8; SOCKADDR_IN6_SIZE as usize];
    let size = socket_address_bytes(address, &mut bytes);
    // SAFETY: NDKPI: the length pointer is never NULL.
    let room = unsafe { length.read_unaligned() };
    // SAFETY: as above; it tells the required or the written size in either case.
    unsafe { length.write_unaligned(size) };
    if room < size || buffer.is_null() {
        return STATUS_BUFFER_TOO_SMALL;
    }
    // SAFETY: NDKPI: `room` bytes are writable, and `size` is not more; `bytes` is ours and that large.
    unsafe { core::ptr::copy_nonoverlapping(bytes.as_ptr(), buffer.cast::<u8>(), size as usize) };
    STATUS_SUCCESS
}

/// The address as SOCKADDR_IN or SOCKADDR_IN6, network byte order; the number of bytes that count.
pub(crate) fn socket_address_bytes(address: SocketAddr, bytes: &mut [u8; SOCKADDR_IN6_SIZE as usize]) -> u32 {
    let (family, size) = match address {
        SocketAddr::V4(_) => (AF_INET as u16, SOCKADDR_IN_SIZE),
        SocketAddr::V6(_) => (AF_INET6 as u16, SOCKADDR_IN6_SIZE),
    };
    let [f0, f1, p0, p1, flow @ ..] = bytes;
    [*f0, *f1] = family.to_ne_bytes();
    [*p0, *p1] = address.port().to_be_bytes();
    match address.ip() {
        IpAddr::V4(ip) => flow.iter_mut().zip(ip.octets()).for_each(|(to, from)| *to = from),
        IpAddr::V6(ip) => flow.iter_mut().skip(4).zip(ip.octets()).for_each(|(to, from)| *to = from),
    }
    size
}

/// What an initiator request's flags say, apart from rights.
pub fn flags(wr_id: u64, operation: Operation, length: u32, flags: u32) -> Wqe {
    Wqe {
        wr_id,
        operation,
        length,
        signaled: flags & NDK_OP_FLAG_SILENT_SUCCESS == 0,
        read_fence: flags & NDK_OP_FLAG_READ_FENCE != 0,
        solicited: flags & NDK_OP_FLAG_SEND_AND_SOLICIT_EVENT != 0,
        inline: flags & NDK_OP_FLAG_INLINE != 0,
    }
}

/// The rights in a bind's or fast register's flags. Remote write contains local write (0x30), so both bits are needed
/// for it (OQ-33).
pub fn operation_access(flags: u32) -> Access {
    let mut access = Access::LOCAL_READ;
    if flags & NDK_OP_FLAG_ALLOW_LOCAL_WRITE != 0 {
        access = access.and(Access::LOCAL_WRITE);
    }
    if flags & NDK_OP_FLAG_ALLOW_REMOTE_READ != 0 {
        access = access.and(Access::REMOTE_READ);
    }
    if flags & NDK_OP_FLAG_ALLOW_REMOTE_WRITE == NDK_OP_FLAG_ALLOW_REMOTE_WRITE {
        access = access.and(Access::REMOTE_WRITE);
    }
    access
}

/// The rights in NdkRegisterMr's flags. Remote write contains local write (0x5), so both bits are needed for it (MR-10).
pub fn region_access(flags: u32) -> Access {
    let mut access = Access::LOCAL_READ;
    if flags & NDK_MR_FLAG_ALLOW_LOCAL_WRITE != 0 {
        access = access.and(Access::LOCAL_WRITE);
    }
    if flags & NDK_MR_FLAG_ALLOW_REMOTE_READ != 0 {
        access = access.and(Access::REMOTE_READ);
    }
    if flags & NDK_MR_FLAG_ALLOW_REMOTE_WRITE == NDK_MR_FLAG_ALLOW_REMOTE_WRITE {
        access = access.and(Access::REMOTE_WRITE);
    }
    access
}

/// One scatter/gather entry: the address is an index whichever member of the union the consumer filled.
pub fn sge(entry: &NDK_SGE) -> Sge {
    // SAFETY: both members of the union are eight bytes without invalid values (ndkpi.h NDK_SGE).
    let logical = unsafe { entry.Anonymous.LogicalAddress };
    // SAFETY: LARGE_INTEGER is eight bytes without invalid values.
    let address = unsafe { logical.QuadPart };
    Sge { addr: address.cast_unsigned(), length: entry.Length, l_key: LKey(entry.MemoryRegionToken) }
}
