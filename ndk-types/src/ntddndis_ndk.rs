//! ntddndis.h: what a miniport tells NDIS about NDK, and the four NDK OIDs.

#![expect(missing_docs, reason = "C names verbatim; Microsoft documents fields and constants")]

use crate::{
    BOOLEAN, GUID, NDIS_OBJECT_HEADER, NDK_ADAPTER_INFO, NDK_RDMA_TECHNOLOGY, NDK_VERSION, NET_IFINDEX, SOCKADDR_INET,
    layout,
};

/// Limits of all adapters of a miniport together.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct NDIS_NDK_CAPABILITIES {
    pub Header: NDIS_OBJECT_HEADER,
    pub Flags: u32,
    pub MaxQpCount: u32,
    pub MaxCqCount: u32,
    pub MaxMrCount: u32,
    pub MaxPdCount: u32,
    pub MaxInboundReadLimit: u32,
    pub MaxOutboundReadLimit: u32,
    pub MaxMwCount: u32,
    pub MaxSrqCount: u32,
    pub MissingCounterMask: u64,
    pub NdkInfo: *mut NDK_ADAPTER_INFO,
}

layout!(
    NDIS_NDK_CAPABILITIES, 56, 8, Header 0, Flags 4, MaxQpCount 8, MaxCqCount 12, MaxMrCount 16, MaxPdCount 20,
    MaxInboundReadLimit 24, MaxOutboundReadLimit 28, MaxMwCount 32, MaxSrqCount 36, MissingCounterMask 40, NdkInfo
    48
);

/// The counters; bit n of MissingCounterMask is the n-th field.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NDIS_NDK_PERFORMANCE_COUNTERS {
    pub Connect: u64,
    pub Accept: u64,
    pub ConnectFailure: u64,
    pub ConnectionError: u64,
    pub ActiveConnection: u64,
    pub Reserved01: u64,
    pub Reserved02: u64,
    pub Reserved03: u64,
    pub Reserved04: u64,
    pub Reserved05: u64,
    pub Reserved06: u64,
    pub Reserved07: u64,
    pub Reserved08: u64,
    pub Reserved09: u64,
    pub Reserved10: u64,
    pub Reserved11: u64,
    pub Reserved12: u64,
    pub Reserved13: u64,
    pub Reserved14: u64,
    pub Reserved15: u64,
    pub Reserved16: u64,
    pub Reserved17: u64,
    pub Reserved18: u64,
    pub Reserved19: u64,
    pub Reserved20: u64,
    pub CQError: u64,
    pub RDMAInOctets: u64,
    pub RDMAOutOctets: u64,
    pub RDMAInFrames: u64,
    pub RDMAOutFrames: u64,
}

layout!(
    NDIS_NDK_PERFORMANCE_COUNTERS, 240, 8, Connect 0, Accept 8, ConnectFailure 16, ConnectionError 24,
    ActiveConnection 32, Reserved01 40, Reserved02 48, Reserved03 56, Reserved04 64, Reserved05 72, Reserved06 80,
    Reserved07 88, Reserved08 96, Reserved09 104, Reserved10 112, Reserved11 120, Reserved12 128, Reserved13 136,
    Reserved14 144, Reserved15 152, Reserved16 160, Reserved17 168, Reserved18 176, Reserved19 184, Reserved20 192,
    CQError 200, RDMAInOctets 208, RDMAOutOctets 216, RDMAInFrames 224, RDMAOutFrames 232
);

/// The answer to OID_NDK_STATISTICS.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct NDIS_NDK_STATISTICS_INFO {
    pub Header: NDIS_OBJECT_HEADER,
    pub Flags: u32,
    pub CounterSet: NDIS_NDK_PERFORMANCE_COUNTERS,
}

layout!(NDIS_NDK_STATISTICS_INFO, 248, 8, Header 0, Flags 4, CounterSet 8);

/// One connection.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct NDIS_NDK_CONNECTION_ENTRY {
    pub Local: SOCKADDR_INET,
    pub Remote: SOCKADDR_INET,
    pub UserModeOwner: BOOLEAN,
    pub OwnerPid: u32,
}

layout!(NDIS_NDK_CONNECTION_ENTRY, 64, 4, Local 0, Remote 28, UserModeOwner 56, OwnerPid 60);

/// The answer to OID_NDK_CONNECTIONS; the array goes on past its end.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct NDIS_NDK_CONNECTIONS {
    pub Header: NDIS_OBJECT_HEADER,
    pub Flags: u32,
    pub Count: u32,
    pub NDConnectionsMappedtoTCPConnections: BOOLEAN,
    pub Connections: [NDIS_NDK_CONNECTION_ENTRY; 1],
}

layout!(
    NDIS_NDK_CONNECTIONS, 80, 4, Header 0, Flags 4, Count 8, NDConnectionsMappedtoTCPConnections 12, Connections 16
);

/// One listener, or one shared endpoint.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct NDIS_NDK_LOCAL_ENDPOINT_ENTRY {
    pub Local: SOCKADDR_INET,
    pub UserModeOwner: BOOLEAN,
    pub Listener: BOOLEAN,
    pub OwnerPid: u32,
}

layout!(NDIS_NDK_LOCAL_ENDPOINT_ENTRY, 36, 4, Local 0, UserModeOwner 28, Listener 29, OwnerPid 32);

/// The answer to OID_NDK_LOCAL_ENDPOINTS; the array goes on past its end.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct NDIS_NDK_LOCAL_ENDPOINTS {
    pub Header: NDIS_OBJECT_HEADER,
    pub Flags: u32,
    pub Count: u32,
    pub NDLocalEndpointsMappedtoTCPLocalEndpoints: BOOLEAN,
    pub LocalEndpoints: [NDIS_NDK_LOCAL_ENDPOINT_ENTRY; 1],
}

layout!(
    NDIS_NDK_LOCAL_ENDPOINTS, 52, 4, Header 0, Flags 4, Count 8, NDLocalEndpointsMappedtoTCPLocalEndpoints 12,
    LocalEndpoints 16
);

/// NDK_ADAPTER_INFO in the form WMI shows it.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct NDK_WMI_ADAPTER_INFO {
    pub Version: NDK_VERSION,
    pub VendorId: u32,
    pub DeviceId: u32,
    pub MaxRegistrationSize: u64,
    pub MaxWindowSize: u64,
    pub FRMRPageCount: u32,
    pub MaxInitiatorRequestSge: u32,
    pub MaxReceiveRequestSge: u32,
    pub MaxReadRequestSge: u32,
    pub MaxTransferLength: u32,
    pub MaxInlineDataSize: u32,
    pub MaxInboundReadLimit: u32,
    pub MaxOutboundReadLimit: u32,
    pub MaxReceiveQueueDepth: u32,
    pub MaxInitiatorQueueDepth: u32,
    pub MaxSrqDepth: u32,
    pub MaxCqDepth: u32,
    pub LargeRequestThreshold: u32,
    pub MaxCallerData: u32,
    pub MaxCalleeData: u32,
    pub AdapterFlags: u32,
    pub RdmaTechnology: NDK_RDMA_TECHNOLOGY,
}

layout!(
    NDK_WMI_ADAPTER_INFO, 104, 8, Version 0, VendorId 4, DeviceId 8, MaxRegistrationSize 16, MaxWindowSize 24,
    FRMRPageCount 32, MaxInitiatorRequestSge 36, MaxReceiveRequestSge 40, MaxReadRequestSge 44, MaxTransferLength
    48, MaxInlineDataSize 52, MaxInboundReadLimit 56, MaxOutboundReadLimit 60, MaxReceiveQueueDepth 64,
    MaxInitiatorQueueDepth 68, MaxSrqDepth 72, MaxCqDepth 76, LargeRequestThreshold 80, MaxCallerData 84,
    MaxCalleeData 88, AdapterFlags 92, RdmaTechnology 96
);

/// NDIS_NDK_CAPABILITIES in the form WMI shows it.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct NDIS_WMI_NDK_CAPABILITIES {
    pub MaxQpCount: u32,
    pub MaxCqCount: u32,
    pub MaxMrCount: u32,
    pub MaxPdCount: u32,
    pub MaxInboundReadLimit: u32,
    pub MaxOutboundReadLimit: u32,
    pub MaxMwCount: u32,
    pub MaxSrqCount: u32,
    pub MissingCounterMask: u64,
    pub NdkInfo: NDK_WMI_ADAPTER_INFO,
}

layout!(
    NDIS_WMI_NDK_CAPABILITIES, 144, 8, MaxQpCount 0, MaxCqCount 4, MaxMrCount 8, MaxPdCount 12, MaxInboundReadLimit
    16, MaxOutboundReadLimit 20, MaxMwCount 24, MaxSrqCount 28, MissingCounterMask 32, NdkInfo 40
);

/// The NDK member of the miniport adapter attributes; set also when NDK is disabled.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct NDIS_MINIPORT_ADAPTER_NDK_ATTRIBUTES {
    pub Header: NDIS_OBJECT_HEADER,
    pub Enabled: BOOLEAN,
    pub NdkCapabilities: *mut NDIS_NDK_CAPABILITIES,
}

layout!(NDIS_MINIPORT_ADAPTER_NDK_ATTRIBUTES, 16, 8, Header 0, Enabled 4, NdkCapabilities 8);

/// What is asked of NDK for a virtual port.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct NDIS_NDK_REQUEST_PARAMETERS {
    pub RdmaRequested: BOOLEAN,
    pub SwitchPortId: u32,
    pub IfIndex: NET_IFINDEX,
    pub MacAddress: [u8; 32],
    pub VlanId: u32,
    pub NdkReserved: NDIS_NDK_CAPABILITIES,
}

layout!(
    NDIS_NDK_REQUEST_PARAMETERS, 104, 8, RdmaRequested 0, SwitchPortId 4, IfIndex 8, MacAddress 12, VlanId 44,
    NdkReserved 48
);

/// What NDK offers a virtual port.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct NDIS_NDK_RESPONSE_PARAMETERS {
    pub CapabilitiesAvailable: BOOLEAN,
    pub ReceivedCapabilities: NDIS_NDK_CAPABILITIES,
}

layout!(NDIS_NDK_RESPONSE_PARAMETERS, 64, 8, CapabilitiesAvailable 0, ReceivedCapabilities 8);

/// NDK of a virtual port.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct NDIS_NDK_PARAMETERS {
    pub NdkRequest: NDIS_NDK_REQUEST_PARAMETERS,
    pub NdkResponse: NDIS_NDK_RESPONSE_PARAMETERS,
}

layout!(NDIS_NDK_PARAMETERS, 168, 8, NdkRequest 0, NdkResponse 104);

/// Names NDIS_WMI_NDK_CAPABILITIES in WMI.
pub const GUID_NDIS_NDK_CAPABILITIES: GUID =
    GUID { Data1: 0x7969_ba4d, Data2: 0xdd80, Data3: 0x4bc7, Data4: [0xb3, 0xe6, 0x68, 0x04, 0x39, 0x97, 0xe5, 0x19] };
/// Names the NDK state in WMI.
pub const GUID_NDIS_NDK_STATE: GUID =
    GUID { Data1: 0x530c_69c9, Data2: 0x2f51, Data3: 0x49de, Data4: [0xa1, 0xaf, 0x08, 0x8d, 0x54, 0xff, 0xa4, 0x74] };

pub const OID_NDK_SET_STATE: u32 = 0xfc04_0201;
pub const OID_NDK_STATISTICS: u32 = 0xfc04_0202;
pub const OID_NDK_CONNECTIONS: u32 = 0xfc04_0203;
pub const OID_NDK_LOCAL_ENDPOINTS: u32 = 0xfc04_0204;
pub const NDIS_NIC_SWITCH_VPORT_PARAMS_NDK_PARAMS_CHANGED: u32 = 0x0020_0000;

pub const NDIS_NDK_CAPABILITIES_REVISION_1: u8 = 1;
pub const NDIS_NDK_STATISTICS_INFO_REVISION_1: u8 = 1;
pub const NDIS_NDK_CONNECTIONS_REVISION_1: u8 = 1;
pub const NDIS_NDK_LOCAL_ENDPOINTS_REVISION_1: u8 = 1;
pub const NDIS_MINIPORT_ADAPTER_NDK_ATTRIBUTES_REVISION_1: u8 = 1;
pub const NDIS_OBJECT_TYPE_MINIPORT_ADAPTER_NDK_ATTRIBUTES: u8 = 179;

pub const NDIS_SIZEOF_NDK_CAPABILITIES_REVISION_1: u16 = 56;
pub const NDIS_SIZEOF_NDK_STATISTICS_INFO_REVISION_1: u16 = 248;
pub const NDIS_SIZEOF_MINIPORT_ADAPTER_NDK_ATTRIBUTES_REVISION_1: u16 = 16;
pub const NDIS_SIZEOF_NDK_WMI_ADAPTER_INFO_REVISION_1: u16 = 96;
pub const NDIS_SIZEOF_NDK_WMI_ADAPTER_INFO_REVISION_2: u16 = 104;
pub const NDIS_SIZEOF_NDK_WMI_CAPABILITIES_REVISION_1: u16 = 136;
pub const NDIS_SIZEOF_NDK_WMI_CAPABILITIES_REVISION_2: u16 = 144;
