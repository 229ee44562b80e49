//! What MiniportInitializeEx tells NDIS: registration, general and NDK attributes, in this order (W-04, W-21).

use super::oid_table::SUPPORTED;
use super::statistics;
use crate::adapter::Adapter;
use core::ptr::null_mut;
use ndk_provider::limits::{Limits, VERSIONS, adapter_info};
use ndk_types::{
    IF_TYPE_ETHERNET_CSMACD, NDIS_HANDLE, NDIS_MAC_OPTION_NO_LOOPBACK, NDIS_MINIPORT_ADAPTER_ATTRIBUTES,
    NDIS_MINIPORT_ADAPTER_GENERAL_ATTRIBUTES, NDIS_MINIPORT_ADAPTER_GENERAL_ATTRIBUTES_REVISION_2,
    NDIS_MINIPORT_ADAPTER_NDK_ATTRIBUTES, NDIS_MINIPORT_ADAPTER_NDK_ATTRIBUTES_REVISION_1,
    NDIS_MINIPORT_ADAPTER_REGISTRATION_ATTRIBUTES, NDIS_MINIPORT_ADAPTER_REGISTRATION_ATTRIBUTES_REVISION_2,
    NDIS_MINIPORT_ATTRIBUTES_NO_HALT_ON_SUSPEND, NDIS_NDK_CAPABILITIES, NDIS_NDK_CAPABILITIES_REVISION_1,
    NDIS_OBJECT_HEADER, NDIS_OBJECT_TYPE_DEFAULT, NDIS_OBJECT_TYPE_MINIPORT_ADAPTER_GENERAL_ATTRIBUTES,
    NDIS_OBJECT_TYPE_MINIPORT_ADAPTER_NDK_ATTRIBUTES, NDIS_OBJECT_TYPE_MINIPORT_ADAPTER_REGISTRATION_ATTRIBUTES,
    NDIS_PM_CAPABILITIES, NDIS_PM_CAPABILITIES_REVISION_1, NDIS_SIZEOF_MINIPORT_ADAPTER_GENERAL_ATTRIBUTES_REVISION_2,
    NDIS_SIZEOF_MINIPORT_ADAPTER_NDK_ATTRIBUTES_REVISION_1,
    NDIS_SIZEOF_MINIPORT_ADAPTER_REGISTRATION_ATTRIBUTES_REVISION_2, NDIS_SIZEOF_NDIS_PM_CAPABILITIES_REVISION_1,
    NDIS_SIZEOF_NDK_CAPABILITIES_REVISION_1, NDIS_STATUS, NDIS_STATUS_SUCCESS, NdisInterfaceInternal,
    NdisMSetMiniportAttributes, NdisMedium802_3, NdisPauseFunctionsUnknown, NdisPhysicalMediumUnspecified,
};

const MAC: usize = 6;

/// Sets all three. PASSIVE_LEVEL.
///
/// # Safety
/// In MiniportInitializeEx of this instance, whose block is its final place.
pub unsafe fn set(adapter: &Adapter) -> Result<(), NDIS_STATUS> {
    // SAFETY: the caller's promise.
    unsafe { registration(adapter) }?;
    // SAFETY: as above.
    unsafe { general(adapter) }?;
    // SAFETY: as above.
    unsafe { ndk(adapter) }
}

/// # Safety
/// In MiniportInitializeEx of `miniport`; what the attributes point at is valid during the call.
unsafe fn pass(miniport: NDIS_HANDLE, mut attributes: NDIS_MINIPORT_ADAPTER_ATTRIBUTES) -> Result<(), NDIS_STATUS> {
    // SAFETY: NdisMSetMiniportAttributes: the caller's handle, a complete structure, PASSIVE_LEVEL.
    let status = unsafe { NdisMSetMiniportAttributes(miniport, &raw mut attributes) };
    if status == NDIS_STATUS_SUCCESS { Ok(()) } else { Err(status) }
}

/// # Safety
/// As [`set`].
unsafe fn registration(adapter: &Adapter) -> Result<(), NDIS_STATUS> {
    let attributes = NDIS_MINIPORT_ADAPTER_REGISTRATION_ATTRIBUTES {
        Header: NDIS_OBJECT_HEADER {
            Type: NDIS_OBJECT_TYPE_MINIPORT_ADAPTER_REGISTRATION_ATTRIBUTES,
            Revision: NDIS_MINIPORT_ADAPTER_REGISTRATION_ATTRIBUTES_REVISION_2,
            Size: NDIS_SIZEOF_MINIPORT_ADAPTER_REGISTRATION_ATTRIBUTES_REVISION_2,
        },
        MiniportAdapterContext: core::ptr::from_ref(adapter).cast_mut().cast(),
        // Not HARDWARE_DEVICE, not NDIS_WDM (W-21); power goes its own way (W-08).
        AttributeFlags: NDIS_MINIPORT_ATTRIBUTES_NO_HALT_ON_SUSPEND,
        CheckForHangTimeInSeconds: 0,
        InterfaceType: NdisInterfaceInternal,
    };
    // SAFETY: the caller's promise.
    unsafe { pass(adapter.miniport(), NDIS_MINIPORT_ADAPTER_ATTRIBUTES { RegistrationAttributes: attributes }) }
}

/// # Safety
/// As [`set`].
unsafe fn general(adapter: &Adapter) -> Result<(), NDIS_STATUS> {
    let lower = adapter.binding().lower();
    // No wake-up of our own: every state is Unspecified, which is zero (W-08).
    let mut power = NDIS_PM_CAPABILITIES {
        Header: NDIS_OBJECT_HEADER {
            Type: NDIS_OBJECT_TYPE_DEFAULT,
            Revision: NDIS_PM_CAPABILITIES_REVISION_1,
            Size: NDIS_SIZEOF_NDIS_PM_CAPABILITIES_REVISION_1,
        },
        ..NDIS_PM_CAPABILITIES::default()
    };
    let mut rss = lower.rss;
    let mut mac = [0; 32];
    mac.iter_mut().zip(lower.mac).for_each(|(to, from)| *to = from);
    let [access, direction, connection] = lower.access;
    let attributes = NDIS_MINIPORT_ADAPTER_GENERAL_ATTRIBUTES {
        Header: NDIS_OBJECT_HEADER {
            Type: NDIS_OBJECT_TYPE_MINIPORT_ADAPTER_GENERAL_ATTRIBUTES,
            Revision: NDIS_MINIPORT_ADAPTER_GENERAL_ATTRIBUTES_REVISION_2,
            Size: NDIS_SIZEOF_MINIPORT_ADAPTER_GENERAL_ATTRIBUTES_REVISION_2,
        },
        Flags: 0,
        MediaType: NdisMedium802_3,
        PhysicalMediumType: NdisPhysicalMediumUnspecified,
        MtuSize: adapter.mtu(),
        MaxXmitLinkSpeed: lower.max_xmit,
        XmitLinkSpeed: lower.xmit,
        MaxRcvLinkSpeed: lower.max_rcv,
        RcvLinkSpeed: lower.rcv,
        MediaConnectState: lower.connected,
        MediaDuplexState: lower.duplex,
        LookaheadSize: lower.lookahead,
        PowerManagementCapabilities: null_mut(),
        MacOptions: lower.mac_options | NDIS_MAC_OPTION_NO_LOOPBACK,
        SupportedPacketFilters: lower.packet_filters,
        MaxMulticastListSize: lower.max_multicast,
        MacAddressLength: MAC as u16,
        PermanentMacAddress: mac,
        CurrentMacAddress: mac,
        RecvScaleCapabilities: rss.as_mut().map_or(null_mut(), core::ptr::from_mut),
        AccessType: access,
        DirectionType: direction,
        ConnectionType: connection,
        IfType: IF_TYPE_ETHERNET_CSMACD,
        IfConnectorPresent: 0,
        SupportedStatistics: statistics::SUPPORTED,
        SupportedPauseFunctions: NdisPauseFunctionsUnknown.cast_unsigned(),
        DataBackFillSize: 0,
        ContextBackFillSize: 0,
        SupportedOidList: SUPPORTED.as_ptr().cast_mut(),
        SupportedOidListLength: size_of_val(&SUPPORTED) as u32,
        AutoNegotiationFlags: 0,
        PowerManagementCapabilitiesEx: &raw mut power,
    };
    // SAFETY: the caller's promise; the list of OIDs is static, the rest lives until the end of this function.
    unsafe { pass(adapter.miniport(), NDIS_MINIPORT_ADAPTER_ATTRIBUTES { GeneralAttributes: attributes }) }
}

/// The same whether NDK is on or off (REG-06, REG-10).
///
/// # Safety
/// As [`set`].
unsafe fn ndk(adapter: &Adapter) -> Result<(), NDIS_STATUS> {
    let [_, newest] = VERSIONS;
    let mut info = adapter_info(newest);
    let limits = Limits::DEFAULT;
    let mut capabilities = NDIS_NDK_CAPABILITIES {
        Header: NDIS_OBJECT_HEADER {
            Type: NDIS_OBJECT_TYPE_DEFAULT,
            Revision: NDIS_NDK_CAPABILITIES_REVISION_1,
            Size: NDIS_SIZEOF_NDK_CAPABILITIES_REVISION_1,
        },
        Flags: 0,
        MaxQpCount: limits.queue_pairs,
        MaxCqCount: limits.completion_queues,
        MaxMrCount: limits.regions,
        MaxPdCount: limits.protection_domains,
        // Zero: no limit of the adapter as a whole (REG-12).
        MaxInboundReadLimit: 0,
        MaxOutboundReadLimit: 0,
        MaxMwCount: limits.regions,
        MaxSrqCount: limits.shared_receive_queues,
        MissingCounterMask: 0,
        NdkInfo: &raw mut info,
    };
    let attributes = NDIS_MINIPORT_ADAPTER_NDK_ATTRIBUTES {
        Header: NDIS_OBJECT_HEADER {
            Type: NDIS_OBJECT_TYPE_MINIPORT_ADAPTER_NDK_ATTRIBUTES,
            Revision: NDIS_MINIPORT_ADAPTER_NDK_ATTRIBUTES_REVISION_1,
            Size: NDIS_SIZEOF_MINIPORT_ADAPTER_NDK_ATTRIBUTES_REVISION_1,
        },
        Enabled: u8::from(adapter.port().is_enabled()),
        NdkCapabilities: &raw mut capabilities,
    };
    // SAFETY: the caller's promise; both structures live until the end of this function.
    unsafe { pass(adapter.miniport(), NDIS_MINIPORT_ADAPTER_ATTRIBUTES { NDKAttributes: attributes }) }
}
