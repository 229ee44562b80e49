//! ntddndis.h: offloads and other capabilities of an adapter, and the parameters by which RSC below is switched off.
//!
//! Task offloads that C describes in bit fields are arrays of words here: we advertise none, and pass the rest on.

#![expect(missing_docs, reason = "C names verbatim; Microsoft documents fields and constants")]

use crate::{BOOLEAN, NDIS_OBJECT_HEADER, layout};

/// SR-IOV of an adapter; opaque.
#[repr(C)]
pub struct NDIS_SRIOV_CAPABILITIES {
    _opaque: [u8; 0],
}

/// NIC switches of an adapter; opaque.
#[repr(C)]
pub struct NDIS_NIC_SWITCH_INFO_ARRAY {
    _opaque: [u8; 0],
}

/// PCI properties of an adapter; opaque.
#[repr(C)]
pub struct NDIS_PCI_DEVICE_CUSTOM_PROPERTIES {
    _opaque: [u8; 0],
}

/// Receive segment coalescing of one address family.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct NDIS_TCP_RECV_SEG_COALESCE_OFFLOAD_Family {
    pub Enabled: BOOLEAN,
}

/// Receive segment coalescing.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct NDIS_TCP_RECV_SEG_COALESCE_OFFLOAD {
    pub IPv4: NDIS_TCP_RECV_SEG_COALESCE_OFFLOAD_Family,
    pub IPv6: NDIS_TCP_RECV_SEG_COALESCE_OFFLOAD_Family,
}

layout!(NDIS_TCP_RECV_SEG_COALESCE_OFFLOAD, 2, 1, IPv4 0, IPv6 1, IPv4.Enabled 0, IPv6.Enabled 1);

/// UDP receive coalescing.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct NDIS_UDP_RSC_OFFLOAD {
    pub Enabled: BOOLEAN,
}

layout!(NDIS_UDP_RSC_OFFLOAD, 1, 1, Enabled 0);

/// Offloads of an adapter, present or possible.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct NDIS_OFFLOAD {
    pub Header: NDIS_OBJECT_HEADER,
    pub Checksum: [u32; 8],
    pub LsoV1: [u32; 4],
    pub IPsecV1: [u32; 7],
    pub LsoV2: [u32; 7],
    pub Flags: u32,
    pub IPsecV2: [u32; 8],
    pub Rsc: NDIS_TCP_RECV_SEG_COALESCE_OFFLOAD,
    pub EncapsulatedPacketTaskOffloadGre: [u32; 2],
    pub EncapsulatedPacketTaskOffloadVxlan: [u32; 5],
    pub EncapsulationTypes: u8,
    pub Rfc6877Xlat: [u32; 2],
    pub UdpSegmentation: [u32; 7],
    pub UdpRsc: NDIS_UDP_RSC_OFFLOAD,
}

layout!(
    NDIS_OFFLOAD, 220, 4, Header 0, Checksum 4, LsoV1 36, IPsecV1 52, LsoV2 80, Flags 108, IPsecV2 112, Rsc 144,
    EncapsulatedPacketTaskOffloadGre 148, EncapsulatedPacketTaskOffloadVxlan 156, EncapsulationTypes 176,
    Rfc6877Xlat 180, UdpSegmentation 188, UdpRsc 216
);

/// Header-data split.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct NDIS_HD_SPLIT_CURRENT_CONFIG {
    pub Header: NDIS_OBJECT_HEADER,
    pub HardwareCapabilities: u32,
    pub CurrentCapabilities: u32,
    pub HDSplitFlags: u32,
    pub HDSplitCombineFlags: u32,
    pub BackfillSize: u32,
    pub MaxHeaderSize: u32,
}

layout!(
    NDIS_HD_SPLIT_CURRENT_CONFIG, 28, 4, Header 0, HardwareCapabilities 4, CurrentCapabilities 8, HDSplitFlags 12,
    HDSplitCombineFlags 16, BackfillSize 20, MaxHeaderSize 24
);

/// Receive filters of an adapter.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct NDIS_RECEIVE_FILTER_CAPABILITIES {
    pub Header: NDIS_OBJECT_HEADER,
    pub Flags: u32,
    pub EnabledFilterTypes: u32,
    pub EnabledQueueTypes: u32,
    pub NumQueues: u32,
    pub SupportedQueueProperties: u32,
    pub SupportedFilterTests: u32,
    pub SupportedHeaders: u32,
    pub SupportedMacHeaderFields: u32,
    pub MaxMacHeaderFilters: u32,
    pub MaxQueueGroups: u32,
    pub MaxQueuesPerQueueGroup: u32,
    pub MinLookaheadSplitSize: u32,
    pub MaxLookaheadSplitSize: u32,
    pub SupportedARPHeaderFields: u32,
    pub SupportedIPv4HeaderFields: u32,
    pub SupportedIPv6HeaderFields: u32,
    pub SupportedUdpHeaderFields: u32,
    pub MaxFieldTestsPerPacketCoalescingFilter: u32,
    pub MaxPacketCoalescingFilters: u32,
    pub NdisReserved: u32,
}

layout!(
    NDIS_RECEIVE_FILTER_CAPABILITIES, 84, 4, Header 0, Flags 4, EnabledFilterTypes 8, EnabledQueueTypes 12,
    NumQueues 16, SupportedQueueProperties 20, SupportedFilterTests 24, SupportedHeaders 28,
    SupportedMacHeaderFields 32, MaxMacHeaderFilters 36, MaxQueueGroups 40, MaxQueuesPerQueueGroup 44,
    MinLookaheadSplitSize 48, MaxLookaheadSplitSize 52, SupportedARPHeaderFields 56, SupportedIPv4HeaderFields 60,
    SupportedIPv6HeaderFields 64, SupportedUdpHeaderFields 68, MaxFieldTestsPerPacketCoalescingFilter 72,
    MaxPacketCoalescingFilters 76, NdisReserved 80
);

/// NIC switch of an adapter.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct NDIS_NIC_SWITCH_CAPABILITIES {
    pub Header: NDIS_OBJECT_HEADER,
    pub Flags: u32,
    pub NdisReserved1: u32,
    pub NumTotalMacAddresses: u32,
    pub NumMacAddressesPerPort: u32,
    pub NumVlansPerPort: u32,
    pub NdisReserved2: u32,
    pub NdisReserved3: u32,
    pub NicSwitchCapabilities: u32,
    pub MaxNumSwitches: u32,
    pub MaxNumVPorts: u32,
    pub NdisReserved4: u32,
    pub MaxNumVFs: u32,
    pub MaxNumQueuePairs: u32,
    pub NdisReserved5: u32,
    pub NdisReserved6: u32,
    pub NdisReserved7: u32,
    pub MaxNumQueuePairsPerNonDefaultVPort: u32,
    pub NdisReserved8: u32,
    pub NdisReserved9: u32,
    pub NdisReserved10: u32,
    pub NdisReserved11: u32,
    pub NdisReserved12: u32,
    pub MaxNumMacAddresses: u32,
    pub NdisReserved13: u32,
    pub NdisReserved14: u32,
    pub NdisReserved15: u32,
    pub NdisReserved16: u32,
    pub NdisReserved17: u32,
    pub MaxNumRssCapableNonDefaultPFVPorts: u32,
    pub NumberOfIndirectionTableEntriesForDefaultVPort: u32,
    pub NumberOfIndirectionTableEntriesPerNonDefaultPFVPort: u32,
    pub MaxNumQueuePairsForDefaultVPort: u32,
}

layout!(
    NDIS_NIC_SWITCH_CAPABILITIES, 132, 4, Header 0, Flags 4, NdisReserved1 8, NumTotalMacAddresses 12,
    NumMacAddressesPerPort 16, NumVlansPerPort 20, NdisReserved2 24, NdisReserved3 28, NicSwitchCapabilities 32,
    MaxNumSwitches 36, MaxNumVPorts 40, NdisReserved4 44, MaxNumVFs 48, MaxNumQueuePairs 52, NdisReserved5 56,
    NdisReserved6 60, NdisReserved7 64, MaxNumQueuePairsPerNonDefaultVPort 68, NdisReserved8 72, NdisReserved9 76,
    NdisReserved10 80, NdisReserved11 84, NdisReserved12 88, MaxNumMacAddresses 92, NdisReserved13 96,
    NdisReserved14 100, NdisReserved15 104, NdisReserved16 108, NdisReserved17 112,
    MaxNumRssCapableNonDefaultPFVPorts 116, NumberOfIndirectionTableEntriesForDefaultVPort 120,
    NumberOfIndirectionTableEntriesPerNonDefaultPFVPort 124, MaxNumQueuePairsForDefaultVPort 128
);

/// TCP connection offload of an adapter. SupportIPv4, SupportIPv6, SupportIPv6ExtensionHeaders and SupportSack have two
/// bits each from bit 0 of Support, CongestionAlgorithm four from bit 8.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct NDIS_TCP_CONNECTION_OFFLOAD {
    pub Header: NDIS_OBJECT_HEADER,
    pub Encapsulation: u32,
    pub Support: u32,
    pub TcpConnectionOffloadCapacity: u32,
    pub Flags: u32,
}

layout!(NDIS_TCP_CONNECTION_OFFLOAD, 20, 4, Header 0, Encapsulation 4, TcpConnectionOffloadCapacity 12, Flags 16);

/// UDP segmentation, per address family.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct NDIS_OFFLOAD_PARAMETERS_UdpSegmentation {
    pub IPv4: u8,
    pub IPv6: u8,
}

/// UDP receive coalescing.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct NDIS_OFFLOAD_PARAMETERS_UdpRsc {
    pub Enabled: u8,
}

/// The UDP port of VXLAN.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct NDIS_OFFLOAD_PARAMETERS_VxlanParameters {
    pub VxlanUDPPortNumber: u16,
}

/// Parameters of the encapsulation.
#[repr(C)]
#[derive(Clone, Copy)]
pub union NDIS_OFFLOAD_PARAMETERS_EncapsulationProtocolParameters {
    pub VxlanParameters: NDIS_OFFLOAD_PARAMETERS_VxlanParameters,
    pub Value: u32,
}

/// The body of OID_TCP_OFFLOAD_PARAMETERS.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct NDIS_OFFLOAD_PARAMETERS {
    pub Header: NDIS_OBJECT_HEADER,
    pub IPv4Checksum: u8,
    pub TCPIPv4Checksum: u8,
    pub UDPIPv4Checksum: u8,
    pub TCPIPv6Checksum: u8,
    pub UDPIPv6Checksum: u8,
    pub LsoV1: u8,
    pub IPsecV1: u8,
    pub LsoV2IPv4: u8,
    pub LsoV2IPv6: u8,
    pub TcpConnectionIPv4: u8,
    pub TcpConnectionIPv6: u8,
    pub Flags: u32,
    pub IPsecV2: u8,
    pub IPsecV2IPv4: u8,
    pub RscIPv4: u8,
    pub RscIPv6: u8,
    pub EncapsulatedPacketTaskOffload: u8,
    pub EncapsulationTypes: u8,
    pub EncapsulationProtocolParameters: NDIS_OFFLOAD_PARAMETERS_EncapsulationProtocolParameters,
    pub UdpSegmentation: NDIS_OFFLOAD_PARAMETERS_UdpSegmentation,
    pub UdpRsc: NDIS_OFFLOAD_PARAMETERS_UdpRsc,
}

layout!(
    NDIS_OFFLOAD_PARAMETERS, 36, 4, Header 0, IPv4Checksum 4, TCPIPv4Checksum 5, UDPIPv4Checksum 6, TCPIPv6Checksum
    7, UDPIPv6Checksum 8, LsoV1 9, IPsecV1 10, LsoV2IPv4 11, LsoV2IPv6 12, TcpConnectionIPv4 13, TcpConnectionIPv6
    14, Flags 16, IPsecV2 20, IPsecV2IPv4 21, RscIPv4 22, RscIPv6 23, EncapsulatedPacketTaskOffload 24,
    EncapsulationTypes 25, EncapsulationProtocolParameters 28, UdpSegmentation 32, UdpRsc 34,
    EncapsulationProtocolParameters.VxlanParameters 28,
    EncapsulationProtocolParameters.VxlanParameters.VxlanUDPPortNumber 28, EncapsulationProtocolParameters.Value
    28, UdpSegmentation.IPv4 32, UdpSegmentation.IPv6 33, UdpRsc.Enabled 34
);

pub const NDIS_OFFLOAD_REVISION_1: u8 = 1;
pub const NDIS_OFFLOAD_REVISION_2: u8 = 2;
pub const NDIS_OFFLOAD_REVISION_3: u8 = 3;
pub const NDIS_OFFLOAD_REVISION_4: u8 = 4;
pub const NDIS_OFFLOAD_REVISION_5: u8 = 5;
pub const NDIS_OFFLOAD_REVISION_6: u8 = 6;
pub const NDIS_OFFLOAD_REVISION_7: u8 = 7;
pub const NDIS_OFFLOAD_REVISION_8: u8 = 8;

pub const NDIS_SIZEOF_NDIS_OFFLOAD_REVISION_1: u16 = 112;
pub const NDIS_SIZEOF_NDIS_OFFLOAD_REVISION_2: u16 = 144;
pub const NDIS_SIZEOF_NDIS_OFFLOAD_REVISION_3: u16 = 156;
pub const NDIS_SIZEOF_NDIS_OFFLOAD_REVISION_4: u16 = 177;
pub const NDIS_SIZEOF_NDIS_OFFLOAD_REVISION_5: u16 = 188;
pub const NDIS_SIZEOF_NDIS_OFFLOAD_REVISION_6: u16 = 216;
pub const NDIS_SIZEOF_NDIS_OFFLOAD_REVISION_7: u16 = 216;
pub const NDIS_SIZEOF_NDIS_OFFLOAD_REVISION_8: u16 = 217;

pub const NDIS_OFFLOAD_NOT_SUPPORTED: u32 = 0;
pub const NDIS_OFFLOAD_SUPPORTED: u32 = 1;
pub const NDIS_OFFLOAD_SET_NO_CHANGE: u32 = 0;
pub const NDIS_OFFLOAD_SET_ON: u32 = 1;
pub const NDIS_OFFLOAD_SET_OFF: u32 = 2;
pub const NDIS_OFFLOAD_FLAGS_GROUP_CHECKSUM_CAPABILITIES: u32 = 1;

pub const NDIS_OFFLOAD_PARAMETERS_NO_CHANGE: u8 = 0;
pub const NDIS_OFFLOAD_PARAMETERS_TX_RX_DISABLED: u8 = 1;
pub const NDIS_OFFLOAD_PARAMETERS_TX_ENABLED_RX_DISABLED: u8 = 2;
pub const NDIS_OFFLOAD_PARAMETERS_RX_ENABLED_TX_DISABLED: u8 = 3;
pub const NDIS_OFFLOAD_PARAMETERS_TX_RX_ENABLED: u8 = 4;
pub const NDIS_OFFLOAD_PARAMETERS_LSOV1_DISABLED: u8 = 1;
pub const NDIS_OFFLOAD_PARAMETERS_LSOV1_ENABLED: u8 = 2;
pub const NDIS_OFFLOAD_PARAMETERS_IPSECV1_DISABLED: u8 = 1;
pub const NDIS_OFFLOAD_PARAMETERS_IPSECV1_AH_ENABLED: u8 = 2;
pub const NDIS_OFFLOAD_PARAMETERS_IPSECV1_ESP_ENABLED: u8 = 3;
pub const NDIS_OFFLOAD_PARAMETERS_IPSECV1_AH_AND_ESP_ENABLED: u8 = 4;
pub const NDIS_OFFLOAD_PARAMETERS_LSOV2_DISABLED: u8 = 1;
pub const NDIS_OFFLOAD_PARAMETERS_LSOV2_ENABLED: u8 = 2;
pub const NDIS_OFFLOAD_PARAMETERS_IPSECV2_DISABLED: u8 = 1;
pub const NDIS_OFFLOAD_PARAMETERS_IPSECV2_AH_ENABLED: u8 = 2;
pub const NDIS_OFFLOAD_PARAMETERS_IPSECV2_ESP_ENABLED: u8 = 3;
pub const NDIS_OFFLOAD_PARAMETERS_IPSECV2_AH_AND_ESP_ENABLED: u8 = 4;
pub const NDIS_OFFLOAD_PARAMETERS_RSC_DISABLED: u8 = 1;
pub const NDIS_OFFLOAD_PARAMETERS_RSC_ENABLED: u8 = 2;
pub const NDIS_OFFLOAD_PARAMETERS_CONNECTION_OFFLOAD_DISABLED: u8 = 1;
pub const NDIS_OFFLOAD_PARAMETERS_CONNECTION_OFFLOAD_ENABLED: u8 = 2;
pub const NDIS_OFFLOAD_PARAMETERS_USO_DISABLED: u8 = 1;
pub const NDIS_OFFLOAD_PARAMETERS_USO_ENABLED: u8 = 2;
pub const NDIS_OFFLOAD_PARAMETERS_REVISION_1: u8 = 1;
pub const NDIS_OFFLOAD_PARAMETERS_REVISION_2: u8 = 2;
pub const NDIS_OFFLOAD_PARAMETERS_REVISION_3: u8 = 3;
pub const NDIS_OFFLOAD_PARAMETERS_REVISION_4: u8 = 4;
pub const NDIS_OFFLOAD_PARAMETERS_REVISION_5: u8 = 5;
pub const NDIS_OFFLOAD_PARAMETERS_REVISION_6: u8 = 6;
pub const NDIS_OFFLOAD_PARAMETERS_UDP_RSC_NO_CHANGE: u8 = 0;
pub const NDIS_OFFLOAD_PARAMETERS_UDP_RSC_DISABLED: u8 = 1;
pub const NDIS_OFFLOAD_PARAMETERS_UDP_RSC_ENABLED: u8 = 2;

pub const NDIS_OFFLOAD_PARAMETERS_SKIP_REGISTRY_UPDATE: u32 = 1;

pub const NDIS_SIZEOF_OFFLOAD_PARAMETERS_REVISION_1: u16 = 20;
pub const NDIS_SIZEOF_OFFLOAD_PARAMETERS_REVISION_2: u16 = 22;
pub const NDIS_SIZEOF_OFFLOAD_PARAMETERS_REVISION_3: u16 = 26;
pub const NDIS_SIZEOF_OFFLOAD_PARAMETERS_REVISION_4: u16 = 32;
pub const NDIS_SIZEOF_OFFLOAD_PARAMETERS_REVISION_5: u16 = 34;
pub const NDIS_SIZEOF_OFFLOAD_PARAMETERS_REVISION_6: u16 = 35;
