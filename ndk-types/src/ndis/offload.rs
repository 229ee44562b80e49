//! ntddndis.h: offload parameters, by which RSC below is switched off. Capabilities are opaque here.

#![expect(missing_docs, reason = "C names verbatim; Microsoft documents fields and constants")]

use crate::{NDIS_OBJECT_HEADER, layout};

/// Offloads of an adapter; opaque.
#[repr(C)]
pub struct NDIS_OFFLOAD {
    _opaque: [u8; 0],
}

/// TCP connection offload of an adapter; opaque.
#[repr(C)]
pub struct NDIS_TCP_CONNECTION_OFFLOAD {
    _opaque: [u8; 0],
}

/// Header-data split; opaque.
#[repr(C)]
pub struct NDIS_HD_SPLIT_CURRENT_CONFIG {
    _opaque: [u8; 0],
}

/// Receive filters of an adapter; opaque.
#[repr(C)]
pub struct NDIS_RECEIVE_FILTER_CAPABILITIES {
    _opaque: [u8; 0],
}

/// NIC switch of an adapter; opaque.
#[repr(C)]
pub struct NDIS_NIC_SWITCH_CAPABILITIES {
    _opaque: [u8; 0],
}

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
