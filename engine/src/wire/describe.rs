//! A packet in one line, for people.

use super::Packet;
use super::cm::{Message, service_port};
use super::headers::{Ext, NakCode, Syndrome, rnr_timer_ns};
use crate::psn::Qpn;
use core::fmt::{Display, Formatter, Result};

impl Display for Syndrome {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Self::Ack { credits: 0x1f } => write!(f, "ACK"),
            Self::Ack { credits } => write!(f, "ACK credits={credits}"),
            Self::RnrNak { timer } => write!(f, "RNR NAK wait={}us", rnr_timer_ns(*timer) / 1_000),
            Self::Nak(code) => match code {
                NakCode::PsnSequenceError => write!(f, "NAK PSN sequence error"),
                NakCode::InvalidRequest => write!(f, "NAK invalid request"),
                NakCode::RemoteAccessError => write!(f, "NAK remote access error"),
                NakCode::RemoteOperationalError => write!(f, "NAK remote operational error"),
                NakCode::InvalidRdRequest => write!(f, "NAK invalid RD request"),
                NakCode::Reserved(code) => write!(f, "NAK code {code}"),
            },
            Self::Reserved(byte) => write!(f, "syndrome {byte:#04x}"),
        }
    }
}

impl Display for Ext {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let reth = |f: &mut Formatter<'_>, reth: &super::headers::Reth| {
            write!(f, " va={:#x} rkey={:#x} length={}", reth.va, reth.r_key.0, reth.dma_len)
        };
        match self {
            Self::None | Self::Reserved(_) => Ok(()),
            Self::Reth(header) => reth(f, header),
            Self::RethImm(header, imm) => {
                reth(f, header)?;
                write!(f, " imm={imm:#x}")
            }
            Self::Aeth(aeth) => write!(f, " {} msn={}", aeth.syndrome, aeth.msn.get()),
            Self::AtomicAck(aeth, value) => write!(f, " {} msn={} value={value:#x}", aeth.syndrome, aeth.msn.get()),
            Self::Imm(imm) => write!(f, " imm={imm:#x}"),
            Self::Ieth(key) => write!(f, " invalidate={:#x}", key.0),
            Self::Deth(deth) => write!(f, " from={:#x} qkey={:#x}", deth.source_qp.get(), deth.q_key.0),
            Self::DethImm(deth, imm) => {
                write!(f, " from={:#x} qkey={:#x} imm={imm:#x}", deth.source_qp.get(), deth.q_key.0)
            }
            Self::Atomic(atomic) => write!(f, " va={:#x} rkey={:#x}", atomic.va, atomic.r_key.0),
        }
    }
}

impl Display for Message {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        write!(f, "CM {}", self.name())?;
        match self {
            Self::Req(req) => {
                match service_port(req.service_id) {
                    Some(port) => write!(f, " port={port}")?,
                    None => write!(f, " service={:#x}", req.service_id)?,
                }
                write!(
                    f,
                    " id={:#x} qp={:#x} psn={:#x}",
                    req.local_comm_id,
                    req.local_qpn.get(),
                    req.starting_psn.get()
                )?;
                write!(f, " mtu={} reads={}/{}", 128u32 << req.path_mtu, req.responder_resources, req.initiator_depth)
            }
            Self::Rep(rep) => {
                write!(f, " id={:#x} to={:#x} qp={:#x}", rep.local_comm_id, rep.remote_comm_id, rep.local_qpn.get())?;
                let psn = rep.starting_psn.get();
                write!(f, " psn={psn:#x} reads={}/{}", rep.responder_resources, rep.initiator_depth)
            }
            Self::Rej(rej) => {
                write!(f, " id={:#x} to={:#x} reason={}", rej.local_comm_id, rej.remote_comm_id, rej.reason.to_wire())
            }
            Self::Mra(mra) => write!(f, " id={:#x} to={:#x}", mra.local_comm_id, mra.remote_comm_id),
            Self::Dreq(dreq) => write!(f, " id={:#x} to={:#x}", dreq.local_comm_id, dreq.remote_comm_id),
            Self::SidrReq(sidr) | Self::SidrRep(sidr) => {
                write!(f, " request={:#x} service={:#x}", sidr.request_id, sidr.service_id)
            }
            Self::Rtu(ids) | Self::Drep(ids) => write!(f, " id={:#x} to={:#x}", ids.local_comm_id, ids.remote_comm_id),
        }
    }
}

impl Display for Packet<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        write!(f, "{} qp={:#x} psn={:#x}", self.bth.opcode.name(), self.bth.dest_qp.get(), self.bth.psn.get())?;
        if self.bth.ack_req {
            write!(f, " ackreq")?;
        }
        if self.bth.solicited {
            write!(f, " solicited")?;
        }
        self.ext.fmt(f)?;
        match Message::parse(self.payload) {
            Ok((_, message)) if self.bth.dest_qp == Qpn::GENERAL_SERVICES => write!(f, " {message}"),
            Ok(_) | Err(_) if self.payload.is_empty() => Ok(()),
            Ok(_) | Err(_) => write!(f, " payload={}", self.payload.len()),
        }
    }
}
