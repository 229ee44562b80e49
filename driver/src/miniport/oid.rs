//! OID requests to the virtual miniport: answered here, by the provider, or by the NIC.
//!
//! Those of the ordinary path are complete on return, also when the NIC is asked, so that none is pending while the work item
//! of [`super::ndk`] sends an event (OID-07). The direct path answers NDK's queries, at or below DISPATCH_LEVEL (OID-10).

use super::oid_table::{self, Refusal};
use super::{ETHERNET_HEADER, VERSION, adapter, statistics};
use crate::adapter::Adapter;
use crate::data_path::frames;
use crate::protocol::oid_request;
use core::ffi::c_void;
use ndk_types::*;

/// OID_GEN_VENDOR_ID of a vendor without an IEEE code.
const VENDOR_ID: u32 = 0x00FF_FFFF;
const VENDOR: &[u8] = b"softndk\0";
const MAC: u32 = 6;

/// Why a request is not answered.
enum Failure {
    /// This status.
    Status(NDIS_STATUS),
    /// The buffer is too small: BytesNeeded.
    Short(u32),
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::NotSupported => Self::Status(NDIS_STATUS_NOT_SUPPORTED),
            Refusal::Length { needed } => Self::Short(needed),
        }
    }
}

impl From<ndk_provider::oid::TooShort> for Failure {
    fn from(short: ndk_provider::oid::TooShort) -> Self {
        Self::Short(u32::try_from(short.needed).unwrap_or(u32::MAX))
    }
}

impl From<NDIS_STATUS> for Failure {
    fn from(status: NDIS_STATUS) -> Self {
        Self::Status(status)
    }
}

/// A request's buffer; empty when there is none.
///
/// # Safety
/// `at` is null or `length` bytes are the request's until it is complete.
unsafe fn buffer<'a>(at: *mut c_void, length: u32) -> &'a mut [u8] {
    if at.is_null() {
        return &mut [];
    }
    // SAFETY: the caller's promise.
    unsafe { core::slice::from_raw_parts_mut(at.cast(), length as usize) }
}

/// A query, answered by `answer` into the bytes the table lets it have.
///
/// # Safety
/// `request` is a query that NDIS gave, not completed.
unsafe fn query(
    request: &mut NDIS_OID_REQUEST,
    answer: impl FnOnce(NDIS_OID, &mut [u8]) -> Result<u32, Failure>,
) -> NDIS_STATUS {
    // SAFETY: this kind of request has this body.
    let body = unsafe { &mut request.DATA.QUERY_INFORMATION };
    (body.BytesWritten, body.BytesNeeded) = (0, 0);
    // SAFETY: NDIS's buffer of that length.
    let whole = unsafe { buffer(body.InformationBuffer, body.InformationBufferLength) };
    let room = oid_table::check_query(body.Oid, whole.len() as u32).map_err(Failure::from);
    let result = room.and_then(|room| answer(body.Oid, whole.get_mut(..room as usize).unwrap_or(&mut [])));
    match result {
        Ok(written) => {
            body.BytesWritten = written;
            NDIS_STATUS_SUCCESS
        }
        Err(Failure::Short(needed)) => {
            body.BytesNeeded = needed;
            NDIS_STATUS_BUFFER_TOO_SHORT
        }
        Err(Failure::Status(status)) => status,
    }
}

/// A set.
///
/// # Safety
/// `request` is a set that NDIS gave, not completed.
unsafe fn set(adapter: &Adapter, request: &mut NDIS_OID_REQUEST) -> NDIS_STATUS {
    // SAFETY: this kind of request has this body.
    let body = unsafe { &mut request.DATA.SET_INFORMATION };
    (body.BytesRead, body.BytesNeeded) = (0, 0);
    // SAFETY: NDIS's buffer of that length.
    let data = unsafe { buffer(body.InformationBuffer, body.InformationBufferLength) };
    let length = data.len() as u32;
    let result = match body.Oid {
        // The NIC's, whose buffers are its own business (W-24).
        OID_GEN_RECEIVE_SCALE_PARAMETERS if adapter.binding().lower().rss.is_some() => {
            forwarded(oid_request::set(adapter.binding(), body.Oid, data))
        }
        oid => oid_table::check_set(oid, length).map_err(Failure::from).and_then(|()| change(adapter, oid, data)),
    };
    match result {
        Ok(()) => {
            body.BytesRead = length;
            NDIS_STATUS_SUCCESS
        }
        Err(Failure::Short(needed)) => {
            body.BytesNeeded = needed;
            NDIS_STATUS_INVALID_LENGTH
        }
        Err(Failure::Status(status)) => status,
    }
}

fn forwarded(status: NDIS_STATUS) -> Result<(), Failure> {
    if status == NDIS_STATUS_SUCCESS { Ok(()) } else { Err(Failure::Status(status)) }
}

/// Writes `bytes`, as many as there is room for; how many that is.
fn put(room: &mut [u8], bytes: &[u8]) -> u32 {
    room.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
    room.len().min(bytes.len()) as u32
}

/// A number in a ULONG.
fn word(data: &[u8]) -> Result<u32, Failure> {
    let bytes = data.first_chunk().ok_or(Failure::Short(size_of::<u32>() as u32))?;
    Ok(u32::from_ne_bytes(*bytes))
}

/// What the table let through. PASSIVE_LEVEL.
fn answer(adapter: &Adapter, oid: NDIS_OID, room: &mut [u8]) -> Result<u32, Failure> {
    let lower = adapter.binding().lower();
    let frame = adapter.mtu().saturating_add(ETHERNET_HEADER);
    let number = match oid {
        OID_GEN_STATISTICS | OID_GEN_XMIT_OK | OID_GEN_RCV_OK => {
            return Ok(statistics::query(adapter.binding(), oid, room)?);
        }
        OID_NDK_STATISTICS | OID_NDK_CONNECTIONS | OID_NDK_LOCAL_ENDPOINTS => return answer_ndk(adapter, oid, room),
        OID_802_3_PERMANENT_ADDRESS | OID_802_3_CURRENT_ADDRESS => return Ok(put(room, &lower.mac)),
        OID_GEN_VENDOR_DESCRIPTION if room.len() < VENDOR.len() => return Err(Failure::Short(VENDOR.len() as u32)),
        OID_GEN_VENDOR_DESCRIPTION => return Ok(put(room, VENDOR)),
        OID_GEN_INTERRUPT_MODERATION => return Ok(put(room, &interrupt_moderation())),
        OID_GEN_MAXIMUM_TOTAL_SIZE | OID_GEN_TRANSMIT_BLOCK_SIZE | OID_GEN_RECEIVE_BLOCK_SIZE => frame,
        OID_GEN_TRANSMIT_BUFFER_SPACE | OID_GEN_RECEIVE_BUFFER_SPACE => frame.saturating_mul(frames::COUNT as u32),
        OID_GEN_VENDOR_DRIVER_VERSION => u32::from_be_bytes([0, VERSION.0, 0, VERSION.1]),
        OID_GEN_VENDOR_ID => VENDOR_ID,
        OID_802_3_MAXIMUM_LIST_SIZE => lower.max_multicast,
        // The state asked for stays in the buffer: every one is fine (W-08).
        OID_PNP_QUERY_POWER => return Ok(room.len() as u32),
        _ => return Err(Failure::Status(NDIS_STATUS_NOT_SUPPORTED)),
    };
    Ok(put(room, &number.to_ne_bytes()))
}

/// NDK's queries; at or below DISPATCH_LEVEL.
fn answer_ndk(adapter: &Adapter, oid: NDIS_OID, room: &mut [u8]) -> Result<u32, Failure> {
    let written = match oid {
        OID_NDK_STATISTICS => adapter.port().query_statistics(room),
        OID_NDK_CONNECTIONS => adapter.port().query_connections(room),
        OID_NDK_LOCAL_ENDPOINTS => adapter.port().query_local_endpoints(room),
        _ => return Err(Failure::Status(NDIS_STATUS_NOT_SUPPORTED)),
    }?;
    Ok(written as u32)
}

/// NDIS_INTERRUPT_MODERATION_PARAMETERS: there is no interrupt of ours.
fn interrupt_moderation() -> [u8; NDIS_SIZEOF_INTERRUPT_MODERATION_PARAMETERS_REVISION_1 as usize] {
    let [low, high] = NDIS_SIZEOF_INTERRUPT_MODERATION_PARAMETERS_REVISION_1.to_ne_bytes();
    let [a, b, c, d] = NdisInterruptModerationNotSupported.to_ne_bytes();
    let (kind, revision) = (NDIS_OBJECT_TYPE_DEFAULT, NDIS_INTERRUPT_MODERATION_PARAMETERS_REVISION_1);
    [kind, revision, low, high, 0, 0, 0, 0, a, b, c, d]
}

/// A set the table let through. PASSIVE_LEVEL; may wait for the NIC.
fn change(adapter: &Adapter, oid: NDIS_OID, data: &mut [u8]) -> Result<(), Failure> {
    let binding = adapter.binding();
    match oid {
        OID_GEN_CURRENT_PACKET_FILTER => {
            let filter = word(data)?;
            if filter & !binding.lower().packet_filters != 0 {
                return Err(Failure::Status(NDIS_STATUS_NOT_SUPPORTED));
            }
            // RDMA goes on when the protocols above want nothing.
            forwarded(binding.set_packet_filter(filter | NDIS_PACKET_TYPE_DIRECTED))
        }
        OID_802_3_MULTICAST_LIST => {
            let entries = (data.len() as u32).checked_div(MAC).unwrap_or(0);
            if entries > binding.lower().max_multicast {
                return Err(Failure::Status(NDIS_STATUS_MULTICAST_FULL));
            }
            forwarded(binding.set_multicast(data))
        }
        OID_NDK_SET_STATE => forwarded(adapter.ndk().set(adapter, data.first().is_some_and(|&state| state != 0))),
        // The link is the NIC's.
        OID_GEN_LINK_PARAMETERS => forwarded(oid_request::set(binding, oid, data)),
        OID_GEN_INTERRUPT_MODERATION => Err(Failure::Status(NDIS_STATUS_INVALID_DATA)),
        OID_PNP_SET_POWER => {
            adapter.set_power(word(data)?.cast_signed() == NdisDeviceStateD0);
            Ok(())
        }
        // Whole frames are looked at whatever the lookahead; nothing of ours wakes a machine.
        OID_GEN_CURRENT_LOOKAHEAD | OID_PM_PARAMETERS => Ok(()),
        _ => Err(Failure::Status(NDIS_STATUS_NOT_SUPPORTED)),
    }
}

#[expect(non_upper_case_globals, reason = "C's names in patterns")]
mod handlers {
    use super::*;

    ndk_types::abi! {
        /// MiniportOidRequest.
        ///
        /// # Safety
        /// NDIS's contract. PASSIVE_LEVEL.
        pub unsafe extern "C" fn request(context: NDIS_HANDLE, request: *mut NDIS_OID_REQUEST) -> NDIS_STATUS {
            // SAFETY: NDIS: not halted, and a request that is ours until it is complete.
            let (Some(adapter), Some(request)) = (unsafe { adapter(context) }, unsafe { request.as_mut() }) else {
                return NDIS_STATUS_INVALID_PARAMETER;
            };
            match request.RequestType {
                NdisRequestQueryInformation | NdisRequestQueryStatistics => {
                    // SAFETY: a query.
                    unsafe { query(request, |oid, room| answer(adapter, oid, room)) }
                }
                // SAFETY: a set.
                NdisRequestSetInformation => unsafe { set(adapter, request) },
                _ => NDIS_STATUS_NOT_SUPPORTED,
            }
        }

        /// MiniportDirectOidRequest: NDK's queries.
        ///
        /// # Safety
        /// NDIS's contract. At or below DISPATCH_LEVEL.
        pub unsafe extern "C" fn direct_request(
            context: NDIS_HANDLE,
            request: *mut NDIS_OID_REQUEST,
        ) -> NDIS_STATUS {
            // SAFETY: NDIS: not halted, and a request that is ours until it is complete.
            let (Some(adapter), Some(request)) = (unsafe { adapter(context) }, unsafe { request.as_mut() }) else {
                return NDIS_STATUS_INVALID_PARAMETER;
            };
            match request.RequestType {
                NdisRequestQueryInformation | NdisRequestQueryStatistics => {
                    // SAFETY: a query.
                    unsafe { query(request, |oid, room| answer_ndk(adapter, oid, room)) }
                }
                _ => NDIS_STATUS_NOT_SUPPORTED,
            }
        }

        /// MiniportCancelOidRequest, of both paths: every request is complete when its handler returns.
        ///
        /// # Safety
        /// NDIS's contract. At or below DISPATCH_LEVEL.
        pub unsafe extern "C" fn cancel(_context: NDIS_HANDLE, _id: *mut c_void) {}
    }
}

pub use handlers::{cancel, direct_request, request};
