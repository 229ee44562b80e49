//! ndis/nblinfo.h: what travels beside a NET_BUFFER_LIST.
//!
//! NetBufferListInfo is an array of pointers; an entry is read as one of these.

#![expect(missing_docs, reason = "C names verbatim; Microsoft documents fields and constants")]

use crate::layout;
use core::ffi::c_void;

/// The index into NetBufferListInfo.
pub type NDIS_NET_BUFFER_LIST_INFO = i32;
pub const TcpIpChecksumNetBufferListInfo: NDIS_NET_BUFFER_LIST_INFO = 0;
pub const TcpOffloadBytesTransferred: NDIS_NET_BUFFER_LIST_INFO = 0;
pub const IPsecOffloadV1NetBufferListInfo: NDIS_NET_BUFFER_LIST_INFO = 1;
pub const IPsecOffloadV2NetBufferListInfo: NDIS_NET_BUFFER_LIST_INFO = 1;
pub const TcpLargeSendNetBufferListInfo: NDIS_NET_BUFFER_LIST_INFO = 2;
pub const TcpReceiveNoPush: NDIS_NET_BUFFER_LIST_INFO = 2;
pub const ClassificationHandleNetBufferListInfo: NDIS_NET_BUFFER_LIST_INFO = 3;
pub const Ieee8021QNetBufferListInfo: NDIS_NET_BUFFER_LIST_INFO = 4;
pub const NetBufferListCancelId: NDIS_NET_BUFFER_LIST_INFO = 5;
pub const MediaSpecificInformation: NDIS_NET_BUFFER_LIST_INFO = 6;
pub const NetBufferListFrameType: NDIS_NET_BUFFER_LIST_INFO = 7;
pub const NetBufferListProtocolId: NDIS_NET_BUFFER_LIST_INFO = 7;
pub const NetBufferListHashValue: NDIS_NET_BUFFER_LIST_INFO = 8;
pub const NetBufferListHashInfo: NDIS_NET_BUFFER_LIST_INFO = 9;
pub const WfpNetBufferListInfo: NDIS_NET_BUFFER_LIST_INFO = 10;
pub const IPsecOffloadV2TunnelNetBufferListInfo: NDIS_NET_BUFFER_LIST_INFO = 11;
pub const IPsecOffloadV2HeaderNetBufferListInfo: NDIS_NET_BUFFER_LIST_INFO = 12;
pub const NetBufferListCorrelationId: NDIS_NET_BUFFER_LIST_INFO = 13;
pub const NetBufferListFilteringInfo: NDIS_NET_BUFFER_LIST_INFO = 14;
pub const MediaSpecificInformationEx: NDIS_NET_BUFFER_LIST_INFO = 15;
pub const NblOriginalInterfaceIfIndex: NDIS_NET_BUFFER_LIST_INFO = 16;
pub const NblReAuthWfpFlowContext: NDIS_NET_BUFFER_LIST_INFO = 16;
pub const TcpReceiveBytesTransferred: NDIS_NET_BUFFER_LIST_INFO = 17;
pub const NrtNameResolutionId: NDIS_NET_BUFFER_LIST_INFO = 17;
pub const UdpRecvSegCoalesceOffloadInfo: NDIS_NET_BUFFER_LIST_INFO = 17;
pub const SwitchForwardingReserved: NDIS_NET_BUFFER_LIST_INFO = 18;
pub const SwitchForwardingDetail: NDIS_NET_BUFFER_LIST_INFO = 19;
pub const VirtualSubnetInfo: NDIS_NET_BUFFER_LIST_INFO = 20;
pub const IMReserved: NDIS_NET_BUFFER_LIST_INFO = 21;
pub const TcpRecvSegCoalesceInfo: NDIS_NET_BUFFER_LIST_INFO = 22;
pub const UdpSegmentationOffloadInfo: NDIS_NET_BUFFER_LIST_INFO = 22;
pub const RscTcpTimestampDelta: NDIS_NET_BUFFER_LIST_INFO = 23;
pub const TcpSendOffloadsSupplementalNetBufferListInfo: NDIS_NET_BUFFER_LIST_INFO = 23;
pub const GftOffloadInformation: NDIS_NET_BUFFER_LIST_INFO = 24;
pub const GftFlowEntryId: NDIS_NET_BUFFER_LIST_INFO = 25;
pub const NetBufferListInfoReserved3: NDIS_NET_BUFFER_LIST_INFO = 26;
pub const MaxNetBufferListInfo: NDIS_NET_BUFFER_LIST_INFO = 27;

/// VLAN tag: UserPriority in bits 0 to 2, CanonicalFormatId in bit 3, VlanId in bits 4 to 15.
#[repr(C)]
#[derive(Clone, Copy)]
pub union NDIS_NET_BUFFER_LIST_8021Q_INFO {
    pub TagHeader: u32,
    pub WLanTagHeader: u32,
    pub Value: *mut c_void,
}

layout!(NDIS_NET_BUFFER_LIST_8021Q_INFO, 8, 8, TagHeader 0, WLanTagHeader 0, Value 0);

/// Checksums. Transmit: IsIPv4, IsIPv6, TcpChecksum, UdpChecksum, IpHeaderChecksum in bits 0 to 4. Receive: TcpFailed,
/// UdpFailed, IpFailed, TcpSucceeded, UdpSucceeded, IpSucceeded, Loopback in bits 0 to 6.
#[repr(C)]
#[derive(Clone, Copy)]
pub union NDIS_TCP_IP_CHECKSUM_NET_BUFFER_LIST_INFO {
    pub Transmit: u32,
    pub Receive: u32,
    pub Value: *mut c_void,
}

layout!(NDIS_TCP_IP_CHECKSUM_NET_BUFFER_LIST_INFO, 8, 8, Transmit 0, Receive 0, Value 0);

/// Counts of a coalesced segment.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct NDIS_RSC_NBL_INFO_Info {
    pub CoalescedSegCount: u16,
    pub DupAckCount: u16,
}

/// Coalesced segments.
#[repr(C)]
#[derive(Clone, Copy)]
pub union NDIS_RSC_NBL_INFO {
    pub Info: NDIS_RSC_NBL_INFO_Info,
    pub Value: *mut c_void,
}

layout!(NDIS_RSC_NBL_INFO, 8, 8, Info 0, Value 0, Info.CoalescedSegCount 0, Info.DupAckCount 2);
