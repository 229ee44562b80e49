//! Connection-manager messages: REQ, REP, RTU, REJ, MRA, DREQ, DREP, as values.
//!
//! A MAD has a fixed size, so reading cannot run out of bytes; what can be wrong is the class, the method, an attribute
//! nobody sends us, or a value without meaning. The RDMA IP CM header that RDMA_PS_TCP puts at the front of a REQ's private
//! data is here too ([`IpCmHeader`]).

mod layout;

use super::mad::{MAD_HEADER_LEN, MAD_LEN, MadHeader};
use crate::gid::Gid;
use crate::psn::{Psn, Qpn};
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use layout::{DATA_LEN, Data, Fields};

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

/// ServiceIDResReq or its answer: the part that a refusal needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sidr {
    /// The asking side's request id, which the answer repeats.
    pub request_id: u32,
    /// Who is asked.
    pub service_id: u64,
    /// In the answer: why there is no queue pair ([`SIDR_UNSUPPORTED`]).
    pub status: u8,
}

/// Status of a ServiceIDResReqResp: the service id is not supported.
pub const SIDR_UNSUPPORTED: u8 = 1;

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
    /// ServiceIDResReq: a datagram service is looked for.
    SidrReq(Sidr),
    /// ServiceIDResReqResp.
    SidrRep(Sidr),
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
            // The request has the partition and four reserved bytes where the answer has its status.
            attribute::SIDR_REQ => {
                Self::SidrReq(Sidr { request_id: fields.u32(0), service_id: fields.u64(8), status: 0 })
            }
            attribute::SIDR_REP => {
                Self::SidrRep(Sidr { request_id: fields.u32(0), service_id: fields.u64(12), status: fields.u8(4) })
            }
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
            Self::SidrReq(_) => attribute::SIDR_REQ,
            Self::SidrRep(_) => attribute::SIDR_REP,
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
            Self::SidrReq(_) => "SIDR_REQ",
            Self::SidrRep(_) => "SIDR_REP",
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
            Self::SidrReq(sidr) => {
                data.put_u32(0, sidr.request_id);
                data.put(8, sidr.service_id.to_be_bytes());
            }
            Self::SidrRep(sidr) => {
                data.put_u32(0, sidr.request_id);
                data.put(4, [sidr.status]);
                data.put(12, sidr.service_id.to_be_bytes());
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
mod tests;
