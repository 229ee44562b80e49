//! Connection-manager messages: REQ, REP, RTU, REJ, MRA, DREQ, DREP, as values.
//!
//! A MAD has a fixed size, so reading cannot run out of bytes; what can be wrong is the class, the method, an attribute
//! nobody sends us, or a value without meaning. The RDMA IP CM header that RDMA_PS_TCP puts at the front of a REQ's private
//! data is here too ([`IpCmHeader`]).

use super::mad::{MAD_HEADER_LEN, MAD_LEN, MadHeader};
use crate::gid::Gid;
use crate::psn::{Psn, Qpn};
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Private data of a REQ, in bytes; of which the IP CM header takes [`IpCmHeader::LEN`].
pub const REQ_PRIVATE_LEN: usize = 92;
/// Private data of a REP.
pub const REP_PRIVATE_LEN: usize = 196;
/// Private data of a REJ.
pub const REJ_PRIVATE_LEN: usize = 148;
/// Additional reject information of a REJ.
pub const ARI_LEN: usize = 72;

/// Attribute ids.
pub mod attribute {
    /// ConnectRequest.
    pub const REQ: u16 = 0x10;
    /// MsgRcptAck.
    pub const MRA: u16 = 0x11;
    /// ConnectReject.
    pub const REJ: u16 = 0x12;
    /// ConnectReply.
    pub const REP: u16 = 0x13;
    /// ReadyToUse.
    pub const RTU: u16 = 0x14;
    /// DisconnectRequest.
    pub const DREQ: u16 = 0x15;
    /// DisconnectReply.
    pub const DREP: u16 = 0x16;
    /// ServiceIDResReq: name resolution for datagrams, which NDK has not.
    pub const SIDR_REQ: u16 = 0x17;
    /// ServiceIDResReqResp.
    pub const SIDR_REP: u16 = 0x18;
    /// LoadAlternatePath, which RoCE has not.
    pub const LAP: u16 = 0x19;
    /// AlternatePathResponse.
    pub const APR: u16 = 0x1a;
}

/// Upper bits of a service id that names an RDMA_PS_TCP port.
const RDMA_PS_TCP: u64 = 0x0000_0000_0106_0000;

/// The service id of an RDMA_PS_TCP port.
pub const fn service_id(port: u16) -> u64 {
    RDMA_PS_TCP | port as u64
}

/// The port of a service id, if it is one of RDMA_PS_TCP.
pub const fn service_port(service_id: u64) -> Option<u16> {
    if service_id & !0xffff == RDMA_PS_TCP { Some(service_id as u16) } else { None }
}

/// Why a CM message was not understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CmError {
    /// Not 256 bytes.
    Length,
    /// Not communication management, or another version of it.
    Class,
    /// An attribute that is not handled here.
    Attribute(u16),
}

/// A path, as a REQ describes it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Path {
    /// The sender's LID; 0xffff over Ethernet.
    pub local_lid: u16,
    /// The receiver's LID.
    pub remote_lid: u16,
    /// The sender's GID.
    pub local_gid: Gid,
    /// The receiver's GID.
    pub remote_gid: Gid,
    /// Flow label, 20 bits.
    pub flow_label: u32,
    /// Packet rate, 6 bits.
    pub packet_rate: u8,
    /// Traffic class.
    pub traffic_class: u8,
    /// Hop limit.
    pub hop_limit: u8,
    /// Service level, 4 bits.
    pub service_level: u8,
    /// Both ends are on one subnet.
    pub subnet_local: bool,
    /// How long the sender waits for an ACK: 4.096 µs x 2^n.
    pub local_ack_timeout: u8,
}

const PATH_LEN: usize = 44;

/// ConnectRequest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Req {
    /// The active side's communication id.
    pub local_comm_id: u32,
    /// Who is asked.
    pub service_id: u64,
    /// The active side's channel adapter (T-50).
    pub local_ca_guid: u64,
    /// Q_Key; unused by reliable connections.
    pub local_q_key: u32,
    /// The active side's queue pair.
    pub local_qpn: Qpn,
    /// READs the active side can serve at once.
    pub responder_resources: u8,
    /// READs the active side wants to have outstanding.
    pub initiator_depth: u8,
    /// How long the passive side may take to answer: 4.096 µs x 2^n.
    pub remote_cm_response_timeout: u8,
    /// 0 for reliable connections.
    pub transport_service_type: u8,
    /// End-to-end credits are used.
    pub end_to_end_flow_control: bool,
    /// Where the *receiver* of this message starts sending.
    pub starting_psn: Psn,
    /// How long the active side may take to answer.
    pub local_cm_response_timeout: u8,
    /// How often the passive side's requester is to retry.
    pub retry_count: u8,
    /// Partition.
    pub p_key: u16,
    /// Path MTU, encoded: 1 to 5 for 256 to 4096.
    pub path_mtu: u8,
    /// A reliable datagram channel exists.
    pub rdc_exists: bool,
    /// How often the passive side's requester is to retry after RNR; 7 without limit.
    pub rnr_retry_count: u8,
    /// How often CM messages are repeated.
    pub max_cm_retries: u8,
    /// The active side receives from a shared receive queue.
    pub srq: bool,
    /// Extended transport type.
    pub extended_transport_type: u8,
    /// The path.
    pub primary: Path,
    /// The alternate path; zeroes over Ethernet.
    pub alternate: Path,
    /// Private data.
    pub private_data: [u8; REQ_PRIVATE_LEN],
}

/// ConnectReply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rep {
    /// The passive side's communication id.
    pub local_comm_id: u32,
    /// The active side's.
    pub remote_comm_id: u32,
    /// Q_Key; unused.
    pub local_q_key: u32,
    /// The passive side's queue pair.
    pub local_qpn: Qpn,
    /// Where the *receiver* of this message starts sending.
    pub starting_psn: Psn,
    /// READs the passive side can serve at once.
    pub responder_resources: u8,
    /// READs the passive side wants to have outstanding.
    pub initiator_depth: u8,
    /// How long the passive side may delay an ACK: 4.096 µs x 2^n.
    pub target_ack_delay: u8,
    /// Failover: 0 accepted.
    pub failover_accepted: u8,
    /// End-to-end credits are used.
    pub end_to_end_flow_control: bool,
    /// How often the active side's requester is to retry after RNR.
    pub rnr_retry_count: u8,
    /// The passive side receives from a shared receive queue.
    pub srq: bool,
    /// The passive side's channel adapter (T-50).
    pub local_ca_guid: u64,
    /// Private data.
    pub private_data: [u8; REP_PRIVATE_LEN],
}

/// Which message a REJ or MRA is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum About {
    /// The REQ.
    Req,
    /// The REP.
    Rep,
    /// No message (MRA: a LAP).
    Other(u8),
}

impl About {
    const fn from_wire(bits: u8) -> Self {
        match bits & 3 {
            0 => Self::Req,
            1 => Self::Rep,
            other => Self::Other(other),
        }
    }

    const fn to_wire(self) -> u8 {
        match self {
            Self::Req => 0,
            Self::Rep => 1,
            Self::Other(bits) => bits & 3,
        }
    }
}

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident = $value:literal;)*) => {
        /// Why a connection was rejected.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum RejReason {
            $($(#[$doc])* $name,)*
            /// One that means nothing to us.
            Unknown(u16),
        }

        impl RejReason {
            /// The reason with this number.
            pub const fn from_wire(value: u16) -> Self {
                match value { $($value => Self::$name,)* other => Self::Unknown(other) }
            }

            /// Its number.
            pub const fn to_wire(self) -> u16 {
                match self { $(Self::$name => $value,)* Self::Unknown(other) => other }
            }
        }
    };
}

reasons! {
    /// No queue pair.
    NoQueuePair = 1;
    /// No resources.
    NoResources = 3;
    /// The other side did not answer in time.
    Timeout = 4;
    /// The request is not supported.
    Unsupported = 5;
    /// The communication id means nothing.
    InvalidCommunicationId = 6;
    /// Nobody listens.
    InvalidServiceId = 8;
    /// The transport type is not supported.
    InvalidTransportServiceType = 9;
    /// The connection was there already (T-41).
    StaleConnection = 10;
    /// The primary GID is not ours.
    InvalidPrimaryGid = 12;
    /// The path MTU cannot be.
    InvalidPathMtu = 26;
    /// The consumer said no.
    ConsumerReject = 28;
}

/// ConnectReject.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rej {
    /// The rejecting side's communication id; 0 when it never had one.
    pub local_comm_id: u32,
    /// The rejected side's.
    pub remote_comm_id: u32,
    /// What is rejected.
    pub rejected: About,
    /// Bytes of `ari` that mean something.
    pub info_length: u8,
    /// Why.
    pub reason: RejReason,
    /// Additional reject information.
    pub ari: [u8; ARI_LEN],
    /// Private data.
    pub private_data: [u8; REJ_PRIVATE_LEN],
}

/// MsgRcptAck: "wait".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mra {
    /// The sender's communication id.
    pub local_comm_id: u32,
    /// The receiver's.
    pub remote_comm_id: u32,
    /// What was received.
    pub received: About,
    /// How much longer the answer takes: 4.096 µs x 2^n.
    pub service_timeout: u8,
}

/// ReadyToUse, DisconnectReply: two ids are all they say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ids {
    /// The sender's communication id.
    pub local_comm_id: u32,
    /// The receiver's.
    pub remote_comm_id: u32,
}

/// DisconnectRequest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dreq {
    /// The sender's communication id.
    pub local_comm_id: u32,
    /// The receiver's.
    pub remote_comm_id: u32,
    /// The receiver's queue pair.
    pub remote_qpn: Qpn,
}

/// A connection-manager message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Message {
    /// ConnectRequest.
    Req(Req),
    /// ConnectReply.
    Rep(Rep),
    /// ReadyToUse.
    Rtu(Ids),
    /// ConnectReject.
    Rej(Rej),
    /// MsgRcptAck.
    Mra(Mra),
    /// DisconnectRequest.
    Dreq(Dreq),
    /// DisconnectReply.
    Drep(Ids),
}

/// The bytes after the MAD header.
const DATA_LEN: usize = MAD_LEN - MAD_HEADER_LEN;

/// Reads the fields of a message's data by their IBTA offset. An offset beyond the data reads as zero; the offsets are
/// constants, so that does not happen.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn array<const N: usize>(&self, offset: usize) -> [u8; N] {
        self.0.get(offset..).and_then(<[u8]>::first_chunk).copied().unwrap_or([0; N])
    }

    fn u8(&self, offset: usize) -> u8 {
        let [byte] = self.array(offset);
        byte
    }

    fn u16(&self, offset: usize) -> u16 {
        u16::from_be_bytes(self.array(offset))
    }

    fn u32(&self, offset: usize) -> u32 {
        u32::from_be_bytes(self.array(offset))
    }

    fn u64(&self, offset: usize) -> u64 {
        u64::from_be_bytes(self.array(offset))
    }

    fn u24(&self, offset: usize) -> u32 {
        self.u32(offset) >> 8
    }

    fn path(&self, offset: usize) -> Path {
        let fields = Fields(self.0.get(offset..).unwrap_or(&[]));
        let label = fields.u32(36);
        Path {
            local_lid: fields.u16(0),
            remote_lid: fields.u16(2),
            local_gid: Gid(fields.array(4)),
            remote_gid: Gid(fields.array(20)),
            flow_label: label >> 12,
            packet_rate: label as u8 & 0x3f,
            traffic_class: fields.u8(40),
            hop_limit: fields.u8(41),
            service_level: fields.u8(42) >> 4,
            subnet_local: fields.u8(42) & 8 != 0,
            local_ack_timeout: fields.u8(43) >> 3,
        }
    }
}

/// Writes the fields of a message's data by their IBTA offset.
struct Data<'a>(&'a mut [u8]);

impl Data<'_> {
    fn put<const N: usize>(&mut self, offset: usize, bytes: [u8; N]) {
        if let Some(place) = self.0.get_mut(offset..).and_then(<[u8]>::first_chunk_mut) {
            *place = bytes;
        }
    }

    fn put_u32(&mut self, offset: usize, value: u32) {
        self.put(offset, value.to_be_bytes());
    }

    /// A 24-bit number and the byte after it.
    fn put_u24(&mut self, offset: usize, number: u32, byte: u8) {
        self.put_u32(offset, number << 8 | u32::from(byte));
    }

    fn put_ids(&mut self, local: u32, remote: u32) {
        self.put_u32(0, local);
        self.put_u32(4, remote);
    }

    fn put_path(&mut self, offset: usize, path: &Path) {
        self.put(offset, path.local_lid.to_be_bytes());
        self.put(offset + 2, path.remote_lid.to_be_bytes());
        self.put(offset + 4, path.local_gid.0);
        self.put(offset + 20, path.remote_gid.0);
        self.put_u32(offset + 36, path.flow_label << 12 | u32::from(path.packet_rate & 0x3f));
        let service = path.service_level << 4 | u8::from(path.subnet_local) << 3;
        self.put(offset + 40, [path.traffic_class, path.hop_limit, service, path.local_ack_timeout << 3]);
    }
}

impl Req {
    fn read(fields: &Fields<'_>) -> Self {
        Self {
            local_comm_id: fields.u32(0),
            service_id: fields.u64(8),
            local_ca_guid: fields.u64(16),
            local_q_key: fields.u32(28),
            local_qpn: Qpn::new(fields.u24(32)),
            responder_resources: fields.u8(35),
            initiator_depth: fields.u8(39),
            remote_cm_response_timeout: fields.u8(43) >> 3,
            transport_service_type: fields.u8(43) >> 1 & 3,
            end_to_end_flow_control: fields.u8(43) & 1 != 0,
            starting_psn: Psn::new(fields.u24(44)),
            local_cm_response_timeout: fields.u8(47) >> 3,
            retry_count: fields.u8(47) & 7,
            p_key: fields.u16(48),
            path_mtu: fields.u8(50) >> 4,
            rdc_exists: fields.u8(50) & 8 != 0,
            rnr_retry_count: fields.u8(50) & 7,
            max_cm_retries: fields.u8(51) >> 4,
            srq: fields.u8(51) & 8 != 0,
            extended_transport_type: fields.u8(51) & 7,
            primary: fields.path(52),
            alternate: fields.path(52 + PATH_LEN),
            private_data: fields.array(140),
        }
    }

    fn write(&self, data: &mut Data<'_>) {
        data.put_u32(0, self.local_comm_id);
        data.put(8, self.service_id.to_be_bytes());
        data.put(16, self.local_ca_guid.to_be_bytes());
        data.put_u32(28, self.local_q_key);
        data.put_u24(32, self.local_qpn.get(), self.responder_resources);
        data.put_u24(36, 0, self.initiator_depth);
        let service = self.remote_cm_response_timeout << 3
            | (self.transport_service_type & 3) << 1
            | u8::from(self.end_to_end_flow_control);
        data.put_u24(40, 0, service);
        data.put_u24(44, self.starting_psn.get(), self.local_cm_response_timeout << 3 | self.retry_count & 7);
        data.put(48, self.p_key.to_be_bytes());
        let mtu = self.path_mtu << 4 | u8::from(self.rdc_exists) << 3 | self.rnr_retry_count & 7;
        let retries = self.max_cm_retries << 4 | u8::from(self.srq) << 3 | self.extended_transport_type & 7;
        data.put(50, [mtu, retries]);
        data.put_path(52, &self.primary);
        data.put_path(52 + PATH_LEN, &self.alternate);
        data.put(140, self.private_data);
    }
}

impl Rep {
    fn read(fields: &Fields<'_>) -> Self {
        Self {
            local_comm_id: fields.u32(0),
            remote_comm_id: fields.u32(4),
            local_q_key: fields.u32(8),
            local_qpn: Qpn::new(fields.u24(12)),
            starting_psn: Psn::new(fields.u24(20)),
            responder_resources: fields.u8(24),
            initiator_depth: fields.u8(25),
            target_ack_delay: fields.u8(26) >> 3,
            failover_accepted: fields.u8(26) >> 1 & 3,
            end_to_end_flow_control: fields.u8(26) & 1 != 0,
            rnr_retry_count: fields.u8(27) >> 5,
            srq: fields.u8(27) & 0x10 != 0,
            local_ca_guid: fields.u64(28),
            private_data: fields.array(36),
        }
    }

    fn write(&self, data: &mut Data<'_>) {
        data.put_ids(self.local_comm_id, self.remote_comm_id);
        data.put_u32(8, self.local_q_key);
        data.put_u24(12, self.local_qpn.get(), 0);
        data.put_u24(20, self.starting_psn.get(), 0);
        let delay =
            self.target_ack_delay << 3 | (self.failover_accepted & 3) << 1 | u8::from(self.end_to_end_flow_control);
        let retries = self.rnr_retry_count << 5 | u8::from(self.srq) << 4;
        data.put(24, [self.responder_resources, self.initiator_depth, delay, retries]);
        data.put(28, self.local_ca_guid.to_be_bytes());
        data.put(36, self.private_data);
    }
}

impl Rej {
    fn read(fields: &Fields<'_>) -> Self {
        Self {
            local_comm_id: fields.u32(0),
            remote_comm_id: fields.u32(4),
            rejected: About::from_wire(fields.u8(8) >> 6),
            info_length: fields.u8(9) >> 1,
            reason: RejReason::from_wire(fields.u16(10)),
            ari: fields.array(12),
            private_data: fields.array(12 + ARI_LEN),
        }
    }

    fn write(&self, data: &mut Data<'_>) {
        data.put_ids(self.local_comm_id, self.remote_comm_id);
        data.put(8, [self.rejected.to_wire() << 6, self.info_length << 1]);
        data.put(10, self.reason.to_wire().to_be_bytes());
        data.put(12, self.ari);
        data.put(12 + ARI_LEN, self.private_data);
    }
}

impl Message {
    /// Reads the message of a MAD.
    pub fn parse(mad: &[u8]) -> Result<(MadHeader, Self), CmError> {
        let mad: &[u8; MAD_LEN] = mad.try_into().map_err(|_| CmError::Length)?;
        let header = MadHeader::from_bytes(mad);
        if !header.is_communication() {
            return Err(CmError::Class);
        }
        let fields = Fields(mad.get(MAD_HEADER_LEN..).unwrap_or(&[]));
        let ids = Ids { local_comm_id: fields.u32(0), remote_comm_id: fields.u32(4) };
        let message = match header.attribute_id {
            attribute::REQ => Self::Req(Req::read(&fields)),
            attribute::REP => Self::Rep(Rep::read(&fields)),
            attribute::REJ => Self::Rej(Rej::read(&fields)),
            attribute::RTU => Self::Rtu(ids),
            attribute::DREP => Self::Drep(ids),
            attribute::MRA => Self::Mra(Mra {
                local_comm_id: ids.local_comm_id,
                remote_comm_id: ids.remote_comm_id,
                received: About::from_wire(fields.u8(8) >> 6),
                service_timeout: fields.u8(9) >> 3,
            }),
            attribute::DREQ => Self::Dreq(Dreq {
                local_comm_id: ids.local_comm_id,
                remote_comm_id: ids.remote_comm_id,
                remote_qpn: Qpn::new(fields.u24(8)),
            }),
            other => return Err(CmError::Attribute(other)),
        };
        Ok((header, message))
    }

    /// The attribute id of the message.
    pub const fn attribute_id(&self) -> u16 {
        match self {
            Self::Req(_) => attribute::REQ,
            Self::Rep(_) => attribute::REP,
            Self::Rtu(_) => attribute::RTU,
            Self::Rej(_) => attribute::REJ,
            Self::Mra(_) => attribute::MRA,
            Self::Dreq(_) => attribute::DREQ,
            Self::Drep(_) => attribute::DREP,
        }
    }

    /// The message's name.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Req(_) => "REQ",
            Self::Rep(_) => "REP",
            Self::Rtu(_) => "RTU",
            Self::Rej(_) => "REJ",
            Self::Mra(_) => "MRA",
            Self::Dreq(_) => "DREQ",
            Self::Drep(_) => "DREP",
        }
    }

    /// The MAD that carries the message.
    pub fn emit(&self, transaction_id: u64) -> [u8; MAD_LEN] {
        let mut mad = [0; MAD_LEN];
        MadHeader::communication(transaction_id, self.attribute_id()).write(&mut mad);
        let mut data = Data(mad.last_chunk_mut::<DATA_LEN>().map_or(&mut [], |data| data));
        match self {
            Self::Req(req) => req.write(&mut data),
            Self::Rep(rep) => rep.write(&mut data),
            Self::Rej(rej) => rej.write(&mut data),
            Self::Rtu(ids) | Self::Drep(ids) => data.put_ids(ids.local_comm_id, ids.remote_comm_id),
            Self::Mra(mra) => {
                data.put_ids(mra.local_comm_id, mra.remote_comm_id);
                data.put(8, [mra.received.to_wire() << 6, mra.service_timeout << 3]);
            }
            Self::Dreq(dreq) => {
                data.put_ids(dreq.local_comm_id, dreq.remote_comm_id);
                data.put_u24(8, dreq.remote_qpn.get(), 0);
            }
        }
        mad
    }
}

/// The header that RDMA_PS_TCP puts before the consumer's private data in a REQ: who connects to whom, as IP knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IpCmHeader {
    /// The active side's port.
    pub source_port: u16,
    /// The active side's address.
    pub source: IpAddr,
    /// The passive side's address.
    pub destination: IpAddr,
}

impl IpCmHeader {
    /// Bytes before the consumer's data.
    pub const LEN: usize = 36;

    /// Reads the header at the front of a REQ's private data. `None`: another version, or no known IP version.
    pub fn parse(private_data: &[u8; REQ_PRIVATE_LEN]) -> Option<Self> {
        let fields = Fields(private_data);
        let (source, destination): ([u8; 16], [u8; 16]) = (fields.array(4), fields.array(20));
        let v4 = |bytes: [u8; 16]| bytes.last_chunk::<4>().map(|&octets| IpAddr::V4(Ipv4Addr::from(octets)));
        let v6 = |bytes: [u8; 16]| Some(IpAddr::V6(Ipv6Addr::from(bytes)));
        let (source, destination) = match (fields.u8(0), fields.u8(1) >> 4) {
            (0, 4) => (v4(source)?, v4(destination)?),
            (0, 6) => (v6(source)?, v6(destination)?),
            _ => return None,
        };
        Some(Self { source_port: fields.u16(2), source, destination })
    }

    /// Writes the header to the front of a REQ's private data.
    pub fn write(&self, private_data: &mut [u8; REQ_PRIVATE_LEN]) {
        let octets = |address: IpAddr| match address {
            IpAddr::V4(v4) => {
                let [a, b, c, d] = v4.octets();
                [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, a, b, c, d]
            }
            IpAddr::V6(v6) => v6.octets(),
        };
        let mut data = Data(private_data);
        data.put(0, [0, if self.source.is_ipv4() { 0x40 } else { 0x60 }]);
        data.put(2, self.source_port.to_be_bytes());
        data.put(4, octets(self.source));
        data.put(20, octets(self.destination));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_service_ids_of_the_known_ports() {
        assert_eq!(service_id(7174), 0x0000_0000_0106_1c06);
        for port in [445, 5445, 4420, 7174] {
            assert_eq!(service_port(service_id(port)), Some(port));
        }
        assert_eq!(service_port(0x0000_0000_0111_1c06), None);
    }

    #[test]
    fn every_reject_reason_survives() {
        for value in 0..=40 {
            assert_eq!(RejReason::from_wire(value).to_wire(), value);
        }
    }

    #[test]
    fn any_req_survives_the_wire() {
        let mut mad = [0; MAD_LEN];
        for (at, byte) in mad.iter_mut().enumerate() {
            *byte = (at * 37 + 11) as u8;
        }
        MadHeader::communication(77, attribute::REQ).write(&mut mad);
        let (header, message) = Message::parse(&mad).unwrap();
        let again = message.emit(header.transaction_id);
        assert_eq!(Message::parse(&again).unwrap().1, message);
    }

    #[test]
    fn an_ip_cm_header_survives_and_another_version_is_refused() {
        for (source, destination) in [("10.9.0.2", "10.9.0.1"), ("fd00:9::2", "fd00:9::1")] {
            let header = IpCmHeader {
                source_port: 0x40ce,
                source: source.parse().unwrap(),
                destination: destination.parse().unwrap(),
            };
            let mut data = [0; REQ_PRIVATE_LEN];
            header.write(&mut data);
            assert_eq!(IpCmHeader::parse(&data), Some(header));
            data[0] = 1;
            assert_eq!(IpCmHeader::parse(&data), None);
        }
    }

    #[test]
    fn what_is_no_cm_message_is_refused() {
        assert_eq!(Message::parse(&[0; 255]), Err(CmError::Length));
        assert_eq!(Message::parse(&[0; MAD_LEN]), Err(CmError::Class));
        let mut mad = [0; MAD_LEN];
        MadHeader::communication(1, attribute::LAP).write(&mut mad);
        assert_eq!(Message::parse(&mad), Err(CmError::Attribute(attribute::LAP)));
    }
}
