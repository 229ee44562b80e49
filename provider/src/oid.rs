//! What the NDK query OIDs answer: OID_NDK_STATISTICS, OID_NDK_CONNECTIONS, OID_NDK_LOCAL_ENDPOINTS.
//!
//! Each fills the caller's buffer (InformationBuffer of the OID request) with the NDIS structure, or says how large it would
//! have to be and touches nothing. Callable at or below DISPATCH_LEVEL, also while NDK is disabled (OID-20); nothing is
//! allocated. A list is one moment: it is counted and written under the connections' lock.
//!
//! Every byte of an answer is written, padding included, so that no stale memory goes out.

use crate::counters::Snapshot;
use crate::platform::Platform;
use crate::port::Port;
use crate::translate;
use core::mem::offset_of;
use core::net::SocketAddr;
use ndk_types::{
    BOOLEAN, NDIS_NDK_CONNECTION_ENTRY, NDIS_NDK_CONNECTIONS, NDIS_NDK_CONNECTIONS_REVISION_1,
    NDIS_NDK_LOCAL_ENDPOINT_ENTRY, NDIS_NDK_LOCAL_ENDPOINTS, NDIS_NDK_LOCAL_ENDPOINTS_REVISION_1,
    NDIS_NDK_PERFORMANCE_COUNTERS, NDIS_NDK_STATISTICS_INFO, NDIS_NDK_STATISTICS_INFO_REVISION_1, NDIS_OBJECT_HEADER,
    NDIS_OBJECT_TYPE_DEFAULT,
};

/// The buffer is too small: NDIS_STATUS_BUFFER_TOO_SHORT, with BytesNeeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooShort {
    /// How many bytes the answer has now.
    pub needed: usize,
}

impl<P: Platform> Port<P> {
    /// OID_NDK_STATISTICS: NDIS_NDK_STATISTICS_INFO; the number of bytes written. OID-11 to OID-14.
    pub fn query_statistics(&self, buffer: &mut [u8]) -> Result<usize, TooShort> {
        let needed = size_of::<NDIS_NDK_STATISTICS_INFO>();
        let mut answer = Answer::begin(buffer, needed, NDIS_NDK_STATISTICS_INFO_REVISION_1)?;
        let counters = offset_of!(NDIS_NDK_STATISTICS_INFO, CounterSet);
        for (offset, value) in placed(&self.counters.snapshot()) {
            answer.put(counters + offset, &value.to_ne_bytes());
        }
        Ok(needed)
    }

    /// OID_NDK_CONNECTIONS: NDIS_NDK_CONNECTIONS with every connection that stands; the number of bytes written. OID-15 to
    /// OID-18.
    pub fn query_connections(&self, buffer: &mut [u8]) -> Result<usize, TooShort> {
        let stride = size_of::<NDIS_NDK_CONNECTION_ENTRY>();
        self.connections.look(self, |table| {
            let count = table.established().count();
            let first = offset_of!(NDIS_NDK_CONNECTIONS, Connections);
            let needed = first + count * stride;
            let mut answer = Answer::begin(buffer, needed, NDIS_NDK_CONNECTIONS_REVISION_1)?;
            answer.put(offset_of!(NDIS_NDK_CONNECTIONS, Count), &(count as u32).to_ne_bytes());
            for (entry, (local, remote)) in table.established().take(count).enumerate() {
                let entry = first + entry * stride;
                answer.put_address(entry + offset_of!(NDIS_NDK_CONNECTION_ENTRY, Local), local);
                answer.put_address(entry + offset_of!(NDIS_NDK_CONNECTION_ENTRY, Remote), remote);
            }
            Ok(needed)
        })
    }

    /// OID_NDK_LOCAL_ENDPOINTS: NDIS_NDK_LOCAL_ENDPOINTS with every listener and shared endpoint; the number of bytes
    /// written. OID-19, LS-20, SE-09.
    pub fn query_local_endpoints(&self, buffer: &mut [u8]) -> Result<usize, TooShort> {
        let stride = size_of::<NDIS_NDK_LOCAL_ENDPOINT_ENTRY>();
        self.connections.look(self, |table| {
            let count = table.endpoints.listed().count();
            let first = offset_of!(NDIS_NDK_LOCAL_ENDPOINTS, LocalEndpoints);
            let needed = first + count * stride;
            let mut answer = Answer::begin(buffer, needed, NDIS_NDK_LOCAL_ENDPOINTS_REVISION_1)?;
            answer.put(offset_of!(NDIS_NDK_LOCAL_ENDPOINTS, Count), &(count as u32).to_ne_bytes());
            for (entry, (local, listens)) in table.endpoints.listed().enumerate() {
                let entry = first + entry * stride;
                answer.put_address(entry + offset_of!(NDIS_NDK_LOCAL_ENDPOINT_ENTRY, Local), local);
                let listener = offset_of!(NDIS_NDK_LOCAL_ENDPOINT_ENTRY, Listener);
                answer.put(entry + listener, &[BOOLEAN::from(listens)]);
            }
            Ok(needed)
        })
    }
}

/// An answer being written: zeroes at first, which is right for all that is reserved, for Flags, for UserModeOwner and
/// OwnerPid of kernel consumers, and for the mapping onto TCP, which RoCE has not.
struct Answer<'a>(&'a mut [u8]);

impl<'a> Answer<'a> {
    /// Clears `needed` bytes of the buffer and writes the header.
    fn begin(buffer: &'a mut [u8], needed: usize, revision: u8) -> Result<Self, TooShort> {
        let mut answer = Self(buffer.get_mut(..needed).ok_or(TooShort { needed })?);
        answer.0.fill(0);
        // OID-16: more than its field can say is said by Count alone.
        let size = u16::try_from(needed).unwrap_or(u16::MAX);
        answer.put(offset_of!(NDIS_OBJECT_HEADER, Type), &[NDIS_OBJECT_TYPE_DEFAULT]);
        answer.put(offset_of!(NDIS_OBJECT_HEADER, Revision), &[revision]);
        answer.put(offset_of!(NDIS_OBJECT_HEADER, Size), &size.to_ne_bytes());
        Ok(answer)
    }

    fn put(&mut self, offset: usize, bytes: &[u8]) {
        self.0.iter_mut().skip(offset).zip(bytes).for_each(|(to, from)| *to = *from);
    }

    fn put_address(&mut self, offset: usize, address: SocketAddr) {
        let mut bytes = [0; translate::SOCKADDR_IN6_SIZE as usize];
        translate::socket_address_bytes(address, &mut bytes);
        self.put(offset, &bytes);
    }
}

/// Each counter with its place in NDIS_NDK_PERFORMANCE_COUNTERS; the others are reserved (OID-12).
const fn placed(now: &Snapshot) -> [(usize, u64); 10] {
    [
        (offset_of!(NDIS_NDK_PERFORMANCE_COUNTERS, Connect), now.connect),
        (offset_of!(NDIS_NDK_PERFORMANCE_COUNTERS, Accept), now.accept),
        (offset_of!(NDIS_NDK_PERFORMANCE_COUNTERS, ConnectFailure), now.connect_failure),
        (offset_of!(NDIS_NDK_PERFORMANCE_COUNTERS, ConnectionError), now.connection_error),
        (offset_of!(NDIS_NDK_PERFORMANCE_COUNTERS, ActiveConnection), now.active_connection),
        (offset_of!(NDIS_NDK_PERFORMANCE_COUNTERS, CQError), now.cq_error),
        (offset_of!(NDIS_NDK_PERFORMANCE_COUNTERS, RDMAInOctets), now.rdma_in_octets),
        (offset_of!(NDIS_NDK_PERFORMANCE_COUNTERS, RDMAOutOctets), now.rdma_out_octets),
        (offset_of!(NDIS_NDK_PERFORMANCE_COUNTERS, RDMAInFrames), now.rdma_in_frames),
        (offset_of!(NDIS_NDK_PERFORMANCE_COUNTERS, RDMAOutFrames), now.rdma_out_frames),
    ]
}
