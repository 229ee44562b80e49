//! What the NIC answers when it is asked: the mandatory OIDs of an Ethernet miniport, inline or later.

#![expect(non_upper_case_globals, reason = "C names in patterns")]

use super::{Asked, Oids, SimNic, State};
use crate::kernel::Machine;
use crate::kernel::ndis::native::NicAttributes;
use ndk_types::*;
use std::ptr;
use std::sync::Arc;

const VENDOR: &[u8] = b"Simulated NIC\0";
/// An IEEE vendor code of nobody.
const VENDOR_ID: u32 = 0x00ff_ffff;
/// Buffers of each direction, as the NIC says.
const BUFFERS: u32 = 512;

/// Why a request fails, and how many bytes it would take.
struct Refusal {
    status: NDIS_STATUS,
    needed: u32,
}

impl From<NDIS_STATUS> for Refusal {
    fn from(status: NDIS_STATUS) -> Self {
        Self { status, needed: 0 }
    }
}

impl SimNic {
    /// A request, answered or noted.
    pub(super) fn take_request(&self, machine: &Arc<Machine>, request: *mut NDIS_OID_REQUEST) -> NDIS_STATUS {
        let mut state = self.state();
        match state.behaviour.oids {
            Oids::Inline => state.answer(request),
            Oids::Pending(delay) => {
                state.asked.push(Asked { request, due: machine.now().saturating_add(delay) });
                NDIS_STATUS_PENDING
            }
        }
    }

    /// Answers what is due.
    pub(super) fn run_requests(&self, machine: &Arc<Machine>) {
        let now = machine.now();
        loop {
            let (request, status) = {
                let mut state = self.state();
                let Some(place) = state.asked.iter().position(|asked| asked.due <= now) else { return };
                let request = state.asked.remove(place).request;
                (request, state.answer(request))
            };
            self.up().oid_complete(machine, request, status);
        }
    }
}

impl State {
    /// Carries a request out.
    fn answer(&mut self, request: *mut NDIS_OID_REQUEST) -> NDIS_STATUS {
        // SAFETY: the NIC's until it is answered.
        let kind = unsafe { (*request).RequestType };
        // SAFETY: as above.
        let place = unsafe { &raw mut (*request).DATA }.cast::<NDIS_OID_REQUEST_SET_INFORMATION>();
        // SAFETY: as above; a query has the fields of a set at the same places, and a method request has integers there.
        let mut body = unsafe { place.read() };
        let buffer = ptr::slice_from_raw_parts_mut(
            body.InformationBuffer.cast::<u8>(),
            if body.InformationBuffer.is_null() { 0 } else { body.InformationBufferLength as usize },
        );
        let outcome = match self.behaviour.refused.get(&body.Oid) {
            Some(&status) => Err(status.into()),
            None => match kind {
                NdisRequestQueryInformation | NdisRequestQueryStatistics => {
                    self.query(body.Oid).and_then(|answer| put(body.Oid, buffer, &answer))
                }
                NdisRequestSetInformation => self.set(body.Oid, &get(buffer)).map(|()| buffer.len() as u32),
                _ => return NDIS_STATUS_NOT_SUPPORTED,
            },
        };
        // BytesWritten of a query is where BytesRead of a set is.
        let (status, moved, needed) = match outcome {
            Ok(moved) => (NDIS_STATUS_SUCCESS, moved, 0),
            Err(Refusal { status, needed }) => (status, 0, needed),
        };
        (body.BytesRead, body.BytesNeeded) = (moved, needed);
        // SAFETY: as above.
        unsafe { place.write(body) };
        status
    }

    /// What a query writes.
    fn query(&self, oid: NDIS_OID) -> Result<Vec<u8>, Refusal> {
        let frame = self.attributes.mtu + super::ethernet::HEADER as u32;
        let number = match oid {
            OID_GEN_STATISTICS => return Ok(self.counters.statistics()),
            OID_GEN_XMIT_OK => return Ok(self.counters.sent.frames().to_le_bytes().to_vec()),
            OID_GEN_RCV_OK => return Ok(self.counters.received.frames().to_le_bytes().to_vec()),
            OID_GEN_VENDOR_DESCRIPTION => return Ok(VENDOR.to_vec()),
            OID_GEN_INTERRUPT_MODERATION => return Ok(interrupt_moderation()),
            OID_GEN_LINK_STATE => return Ok(link_state(&self.attributes)),
            OID_802_3_PERMANENT_ADDRESS | OID_802_3_CURRENT_ADDRESS => return Ok(self.attributes.mac.to_vec()),
            OID_802_3_MULTICAST_LIST => return Ok(self.multicast.concat()),
            OID_PNP_QUERY_POWER => return Ok(Vec::new()),
            OID_GEN_CURRENT_PACKET_FILTER => self.filter,
            OID_GEN_CURRENT_LOOKAHEAD => self.lookahead,
            OID_GEN_MAXIMUM_FRAME_SIZE => self.attributes.mtu,
            OID_GEN_MAXIMUM_TOTAL_SIZE | OID_GEN_TRANSMIT_BLOCK_SIZE | OID_GEN_RECEIVE_BLOCK_SIZE => frame,
            OID_GEN_TRANSMIT_BUFFER_SPACE | OID_GEN_RECEIVE_BUFFER_SPACE => frame * BUFFERS,
            OID_GEN_MAC_OPTIONS => self.attributes.mac_options,
            OID_GEN_VENDOR_ID => VENDOR_ID,
            OID_GEN_VENDOR_DRIVER_VERSION => 0x0001_0000,
            OID_802_3_MAXIMUM_LIST_SIZE => self.attributes.max_multicast,
            OID_GEN_XMIT_ERROR => self.counters.sent.errors as u32,
            OID_GEN_RCV_ERROR => self.counters.received.errors as u32,
            OID_GEN_RCV_NO_BUFFER => self.counters.received.discards as u32,
            _ => return Err(NDIS_STATUS_NOT_SUPPORTED.into()),
        };
        Ok(number.to_le_bytes().to_vec())
    }

    fn set(&mut self, oid: NDIS_OID, bytes: &[u8]) -> Result<(), Refusal> {
        match oid {
            OID_GEN_CURRENT_PACKET_FILTER => {
                let filter = u32::from_le_bytes(exact(bytes)?);
                if filter & !self.attributes.packet_filters != 0 {
                    return Err(NDIS_STATUS_NOT_SUPPORTED.into());
                }
                self.filter = filter;
            }
            OID_GEN_CURRENT_LOOKAHEAD => self.lookahead = u32::from_le_bytes(exact(bytes)?),
            OID_802_3_MULTICAST_LIST => {
                let (groups, rest) = bytes.as_chunks::<6>();
                if !rest.is_empty() {
                    return Err(Refusal {
                        status: NDIS_STATUS_INVALID_LENGTH,
                        needed: bytes.len().next_multiple_of(6) as u32,
                    });
                }
                if groups.len() > self.attributes.max_multicast as usize {
                    return Err(NDIS_STATUS_MULTICAST_FULL.into());
                }
                self.multicast = groups.to_vec();
            }
            OID_TCP_OFFLOAD_PARAMETERS => self.set_offload(bytes)?,
            OID_GEN_RECEIVE_SCALE_PARAMETERS if self.attributes.rss => {
                structure(bytes, NDIS_SIZEOF_RECEIVE_SCALE_PARAMETERS_REVISION_1)?;
                self.rss = bytes.to_vec();
            }
            OID_GEN_LINK_PARAMETERS => structure(bytes, NDIS_SIZEOF_LINK_PARAMETERS_REVISION_1)?,
            OID_GEN_INTERRUPT_MODERATION => return Err(NDIS_STATUS_INVALID_DATA.into()),
            OID_PNP_SET_POWER => {
                let _state: [u8; 4] = exact(bytes)?;
            }
            OID_PM_PARAMETERS => structure(bytes, 4)?,
            _ => return Err(NDIS_STATUS_NOT_SUPPORTED.into()),
        }
        Ok(())
    }

    /// OID_TCP_OFFLOAD_PARAMETERS: coalescing is the one offload there is, in revision 3 (W-23).
    fn set_offload(&mut self, bytes: &[u8]) -> Result<(), Refusal> {
        structure(bytes, NDIS_SIZEOF_OFFLOAD_PARAMETERS_REVISION_1)?;
        let v4 = bytes.get(std::mem::offset_of!(NDIS_OFFLOAD_PARAMETERS, RscIPv4));
        let v6 = bytes.get(std::mem::offset_of!(NDIS_OFFLOAD_PARAMETERS, RscIPv6));
        match (v4, v6) {
            (Some(&NDIS_OFFLOAD_PARAMETERS_RSC_DISABLED), Some(&NDIS_OFFLOAD_PARAMETERS_RSC_DISABLED)) => {
                self.coalescing = false;
            }
            (Some(&NDIS_OFFLOAD_PARAMETERS_RSC_ENABLED), _) | (_, Some(&NDIS_OFFLOAD_PARAMETERS_RSC_ENABLED)) => {
                self.coalescing = true;
            }
            _ => {}
        }
        Ok(())
    }
}

/// A buffer of exactly this length.
fn exact<const N: usize>(bytes: &[u8]) -> Result<[u8; N], Refusal> {
    bytes.try_into().map_err(|_| Refusal { status: NDIS_STATUS_INVALID_LENGTH, needed: N as u32 })
}

/// Whether a buffer has a structure with an NDIS_OBJECT_HEADER, at least so long, and as long as its header says.
fn structure(bytes: &[u8], least: u16) -> Result<(), Refusal> {
    let said = bytes.get(2..4).map_or(0, |size| size.iter().rev().fold(0, |all, &byte| all << 8 | usize::from(byte)));
    let needed = said.max(usize::from(least));
    if bytes.len() < needed || said < usize::from(least) {
        return Err(Refusal { status: NDIS_STATUS_INVALID_LENGTH, needed: needed as u32 });
    }
    Ok(())
}

/// Reads a request's buffer.
fn get(buffer: *mut [u8]) -> Vec<u8> {
    let mut bytes = vec![0; buffer.len()];
    // SAFETY: InformationBuffer has InformationBufferLength bytes while the request is not answered.
    unsafe { ptr::copy_nonoverlapping(buffer.cast::<u8>(), bytes.as_mut_ptr(), bytes.len()) };
    bytes
}

/// Writes an answer into a request's buffer; how many bytes. Of a counter, who has room for four bytes gets the lower four.
fn put(oid: NDIS_OID, buffer: *mut [u8], answer: &[u8]) -> Result<u32, Refusal> {
    let halved = matches!(oid, OID_GEN_XMIT_OK | OID_GEN_RCV_OK) && (4..8).contains(&buffer.len());
    let take = if halved { 4 } else { answer.len() };
    let Some(answer) = answer.get(..take).filter(|answer| answer.len() <= buffer.len()) else {
        return Err(Refusal { status: NDIS_STATUS_BUFFER_TOO_SHORT, needed: answer.len() as u32 });
    };
    // SAFETY: InformationBuffer has InformationBufferLength bytes, and they are enough.
    unsafe { ptr::copy_nonoverlapping(answer.as_ptr(), buffer.cast::<u8>(), answer.len()) };
    Ok(answer.len() as u32)
}

fn interrupt_moderation() -> Vec<u8> {
    let mut bytes = vec![NDIS_OBJECT_TYPE_DEFAULT, NDIS_INTERRUPT_MODERATION_PARAMETERS_REVISION_1];
    bytes.extend(NDIS_SIZEOF_INTERRUPT_MODERATION_PARAMETERS_REVISION_1.to_le_bytes());
    bytes.extend(0_u32.to_le_bytes());
    bytes.extend(NdisInterruptModerationNotSupported.to_le_bytes());
    bytes
}

/// The bytes of an NDIS_LINK_STATE.
pub(super) fn link_state(attributes: &NicAttributes) -> Vec<u8> {
    let (connected, duplex, speed) = if attributes.connected {
        (MediaConnectStateConnected, MediaDuplexStateFull, attributes.speed)
    } else {
        (MediaConnectStateDisconnected, MediaDuplexStateUnknown, NDIS_LINK_SPEED_UNKNOWN)
    };
    let mut bytes = vec![NDIS_OBJECT_TYPE_DEFAULT, NDIS_LINK_STATE_REVISION_1];
    bytes.extend(NDIS_SIZEOF_LINK_STATE_REVISION_1.to_le_bytes());
    bytes.extend(connected.to_le_bytes());
    bytes.extend(duplex.to_le_bytes());
    // Where the speeds are aligned to.
    bytes.extend([0; 4]);
    bytes.extend(speed.to_le_bytes());
    bytes.extend(speed.to_le_bytes());
    bytes.extend(NdisPauseFunctionsUnsupported.to_le_bytes());
    bytes.extend(0_u32.to_le_bytes());
    bytes
}
