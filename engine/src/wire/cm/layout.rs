//! Where the fields of REQ, REP and REJ lie: by their IBTA offset in a message's data.

use super::super::mad::{MAD_HEADER_LEN, MAD_LEN};
use super::{ARI_LEN, About, Path, Rej, RejReason, Rep, Req};
use crate::gid::Gid;
use crate::psn::{Psn, Qpn};

/// Bytes of a path in a REQ.
const PATH_LEN: usize = 44;
/// The bytes after the MAD header.
pub(super) const DATA_LEN: usize = MAD_LEN - MAD_HEADER_LEN;

/// Reads the fields of a message's data by their IBTA offset. An offset beyond the data reads as zero; the offsets are
/// constants, so that does not happen.
pub(super) struct Fields<'a>(pub(super) &'a [u8]);

impl Fields<'_> {
    pub(super) fn array<const N: usize>(&self, offset: usize) -> [u8; N] {
        self.0.get(offset..).and_then(<[u8]>::first_chunk).copied().unwrap_or([0; N])
    }

    pub(super) fn u8(&self, offset: usize) -> u8 {
        let [byte] = self.array(offset);
        byte
    }

    pub(super) fn u16(&self, offset: usize) -> u16 {
        u16::from_be_bytes(self.array(offset))
    }

    pub(super) fn u32(&self, offset: usize) -> u32 {
        u32::from_be_bytes(self.array(offset))
    }

    pub(super) fn u64(&self, offset: usize) -> u64 {
        u64::from_be_bytes(self.array(offset))
    }

    pub(super) fn u24(&self, offset: usize) -> u32 {
        self.u32(offset) >> 8
    }

    pub(super) fn path(&self, offset: usize) -> Path {
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
pub(super) struct Data<'a>(pub(super) &'a mut [u8]);

impl Data<'_> {
    pub(super) fn put<const N: usize>(&mut self, offset: usize, bytes: [u8; N]) {
        if let Some(place) = self.0.get_mut(offset..).and_then(<[u8]>::first_chunk_mut) {
            *place = bytes;
        }
    }

    pub(super) fn put_u32(&mut self, offset: usize, value: u32) {
        self.put(offset, value.to_be_bytes());
    }

    /// A 24-bit number and the byte after it.
    pub(super) fn put_u24(&mut self, offset: usize, number: u32, byte: u8) {
        self.put_u32(offset, number << 8 | u32::from(byte));
    }

    pub(super) fn put_ids(&mut self, local: u32, remote: u32) {
        self.put_u32(0, local);
        self.put_u32(4, remote);
    }

    pub(super) fn put_path(&mut self, offset: usize, path: &Path) {
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
    pub(super) fn read(fields: &Fields<'_>) -> Self {
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

    pub(super) fn write(&self, data: &mut Data<'_>) {
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
    pub(super) fn read(fields: &Fields<'_>) -> Self {
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

    pub(super) fn write(&self, data: &mut Data<'_>) {
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
    pub(super) fn read(fields: &Fields<'_>) -> Self {
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

    pub(super) fn write(&self, data: &mut Data<'_>) {
        data.put_ids(self.local_comm_id, self.remote_comm_id);
        data.put(8, [self.rejected.to_wire() << 6, self.info_length << 1]);
        data.put(10, self.reason.to_wire().to_be_bytes());
        data.put(12, self.ari);
        data.put(12 + ARI_LEN, self.private_data);
    }
}
