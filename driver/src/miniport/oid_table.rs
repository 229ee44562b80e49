//! The OIDs the miniport answers itself: which kinds of request each takes, and how long its buffer is (W-22, OID-02,
//! OID-03, OID-17). The documentation's table of mandatory OIDs, Ethernet's multicast list, power, and NDK's four.
//!
//! What is not in the table is refused with NDIS_STATUS_NOT_SUPPORTED or is the lower NIC's. No kernel name is used here:
//! `tests/tests/driver_logic.rs` runs this file natively.

use ndk_types::*;

/// How long a buffer has to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Length {
    /// Exactly this for a set, at least this for a query.
    Fixed(u32),
    /// A structure with an NDIS_OBJECT_HEADER: at least this, since later revisions are longer.
    Structure(u32),
    /// A set of any number of elements of this size.
    Elements(u32),
    /// A counter: eight bytes, or its lower four for who has room for no more.
    Counter,
    /// Known only when it is written: the answer's author checks.
    Varies,
}

/// The kinds of request an OID takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Takes {
    /// Query alone.
    Query,
    /// Set alone.
    Set,
    /// Both.
    Both,
}

/// One line of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line {
    /// The OID.
    pub oid: u32,
    /// The kinds of request.
    pub takes: Takes,
    /// The buffer.
    pub length: Length,
}

/// What is wrong with a request before its OID is looked into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// NDIS_STATUS_NOT_SUPPORTED: the OID, or this kind of request for it.
    NotSupported,
    /// NDIS_STATUS_BUFFER_TOO_SHORT for a query, NDIS_STATUS_INVALID_LENGTH for a set; with BytesNeeded.
    Length {
        /// BytesNeeded.
        needed: u32,
    },
}

const fn line(oid: u32, takes: Takes, length: Length) -> Line {
    Line { oid, takes, length }
}

const ULONG: Length = Length::Fixed(4);
const MAC: u32 = 6;

/// Every OID the miniport answers itself.
pub const TABLE: [Line; 26] = [
    line(OID_GEN_CURRENT_LOOKAHEAD, Takes::Set, ULONG),
    line(OID_GEN_CURRENT_PACKET_FILTER, Takes::Set, ULONG),
    line(
        OID_GEN_INTERRUPT_MODERATION,
        Takes::Both,
        Length::Structure(NDIS_SIZEOF_INTERRUPT_MODERATION_PARAMETERS_REVISION_1 as u32),
    ),
    line(OID_GEN_LINK_PARAMETERS, Takes::Set, Length::Structure(NDIS_SIZEOF_LINK_PARAMETERS_REVISION_1 as u32)),
    line(OID_GEN_MAXIMUM_TOTAL_SIZE, Takes::Query, ULONG),
    line(OID_GEN_RCV_OK, Takes::Query, Length::Counter),
    line(OID_GEN_RECEIVE_BLOCK_SIZE, Takes::Query, ULONG),
    line(OID_GEN_RECEIVE_BUFFER_SPACE, Takes::Query, ULONG),
    line(OID_GEN_STATISTICS, Takes::Query, Length::Structure(NDIS_SIZEOF_STATISTICS_INFO_REVISION_1 as u32)),
    line(OID_GEN_TRANSMIT_BLOCK_SIZE, Takes::Query, ULONG),
    line(OID_GEN_TRANSMIT_BUFFER_SPACE, Takes::Query, ULONG),
    line(OID_GEN_VENDOR_DESCRIPTION, Takes::Query, Length::Varies),
    line(OID_GEN_VENDOR_DRIVER_VERSION, Takes::Query, ULONG),
    line(OID_GEN_VENDOR_ID, Takes::Query, ULONG),
    line(OID_GEN_XMIT_OK, Takes::Query, Length::Counter),
    line(OID_802_3_PERMANENT_ADDRESS, Takes::Query, Length::Fixed(MAC)),
    line(OID_802_3_CURRENT_ADDRESS, Takes::Query, Length::Fixed(MAC)),
    line(OID_802_3_MULTICAST_LIST, Takes::Set, Length::Elements(MAC)),
    line(OID_802_3_MAXIMUM_LIST_SIZE, Takes::Query, ULONG),
    line(OID_PNP_SET_POWER, Takes::Set, ULONG),
    line(OID_PNP_QUERY_POWER, Takes::Query, ULONG),
    line(OID_PM_PARAMETERS, Takes::Set, Length::Varies),
    line(OID_NDK_SET_STATE, Takes::Set, Length::Fixed(size_of::<BOOLEAN>() as u32)),
    line(OID_NDK_STATISTICS, Takes::Query, Length::Structure(NDIS_SIZEOF_NDK_STATISTICS_INFO_REVISION_1 as u32)),
    line(OID_NDK_CONNECTIONS, Takes::Query, Length::Varies),
    line(OID_NDK_LOCAL_ENDPOINTS, Takes::Query, Length::Varies),
];

/// What SupportedOidList names: the table, and receive side scaling, which is the NIC's (W-24).
pub const SUPPORTED: [u32; TABLE.len() + 1] = {
    let mut list = [OID_GEN_RECEIVE_SCALE_PARAMETERS; TABLE.len() + 1];
    let mut place = 0;
    while place < TABLE.len() {
        list[place] = TABLE[place].oid;
        place += 1;
    }
    list
};

fn find(oid: u32) -> Result<Length, Refusal> {
    TABLE.iter().find(|line| line.oid == oid).map(|line| line.length).ok_or(Refusal::NotSupported)
}

fn takes(oid: u32, one: Takes) -> bool {
    TABLE.iter().any(|line| line.oid == oid && (line.takes == one || line.takes == Takes::Both))
}

/// Whether a query may be answered into `length` bytes; how many of them a fixed answer takes, all where it varies.
pub fn check_query(oid: u32, length: u32) -> Result<u32, Refusal> {
    let rule = find(oid)?;
    if !takes(oid, Takes::Query) {
        return Err(Refusal::NotSupported);
    }
    match rule {
        Length::Fixed(needed) | Length::Structure(needed) if length < needed => Err(Refusal::Length { needed }),
        Length::Fixed(needed) | Length::Structure(needed) => Ok(needed),
        // BytesNeeded names the whole counter, also to who asks for its lower half.
        Length::Counter if length < 4 => Err(Refusal::Length { needed: 8 }),
        Length::Counter => Ok(if length < 8 { 4 } else { 8 }),
        Length::Elements(_) | Length::Varies => Ok(length),
    }
}

/// Whether a set of `length` bytes may be looked into.
pub fn check_set(oid: u32, length: u32) -> Result<(), Refusal> {
    let rule = find(oid)?;
    if !takes(oid, Takes::Set) {
        return Err(Refusal::NotSupported);
    }
    match rule {
        Length::Fixed(needed) if length != needed => Err(Refusal::Length { needed }),
        Length::Structure(needed) if length < needed => Err(Refusal::Length { needed }),
        Length::Elements(size) if length.checked_rem(size) != Some(0) => {
            Err(Refusal::Length { needed: length.checked_next_multiple_of(size).unwrap_or(size) })
        }
        _ => Ok(()),
    }
}
