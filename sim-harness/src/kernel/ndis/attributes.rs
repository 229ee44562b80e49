//! What an instance of the virtual miniport says of itself in MiniportInitializeEx, held against its pages: W-04, W-21, REG-06 to
//! REG-18.

use super::oids;
use super::registration::check_header;
use crate::exports;
use crate::kernel::Machine;
use crate::kernel::export::Export;
use ndk_types::*;

/// What an instance said of itself in MiniportInitializeEx.
#[derive(Clone, Default)]
pub struct Attributes {
    /// Whether the registration attributes came.
    pub registered: bool,
    /// The general attributes, without what they point at.
    pub general: Option<General>,
    /// The NDK attributes.
    pub ndk: Option<Ndk>,
}

/// What is kept of the general attributes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct General {
    /// The largest IP packet.
    pub mtu: u32,
    /// The MAC address.
    pub mac: [u8; 6],
    /// Whether the link is up.
    pub connected: bool,
    /// Bits per second.
    pub speed: u64,
    /// OIDs it says it supports.
    pub oids: Vec<NDIS_OID>,
    /// Packet filters.
    pub packet_filters: u32,
    /// MAC options.
    pub mac_options: u32,
    /// The longest multicast list.
    pub max_multicast: u32,
    /// Whether it has receive side scaling.
    pub rss: bool,
}

/// What is kept of the NDK attributes.
#[derive(Clone)]
pub struct Ndk {
    /// Whether NDK is on.
    pub enabled: bool,
    /// The limits of the adapter: QPs, CQs, MRs, PDs, inbound reads, outbound reads, MWs, SRQs.
    pub limits: [u32; 8],
    /// MissingCounterMask.
    pub missing_counters: u64,
    /// What NdkInfo pointed at.
    pub info: NDK_ADAPTER_INFO,
}

fn registration(machine: &Machine, number: usize, given: &NDIS_MINIPORT_ADAPTER_REGISTRATION_ATTRIBUTES) {
    if given.AttributeFlags & (NDIS_MINIPORT_ATTRIBUTES_HARDWARE_DEVICE | NDIS_MINIPORT_ATTRIBUTES_NDIS_WDM) != 0 {
        machine.violation("W-21", "a virtual miniport says it has hardware, or that it is of WDM");
    }
    if given.AttributeFlags & NDIS_MINIPORT_ATTRIBUTES_NO_HALT_ON_SUSPEND == 0 {
        machine.violation("W-08", "an intermediate driver wants to be halted on suspend");
    }
    if let Some(miniport) = machine.adapters().miniports.get_mut(&number) {
        miniport.context = given.MiniportAdapterContext.expose_provenance();
        miniport.seen.registered = true;
    }
}

fn general(machine: &Machine, number: usize, given: &NDIS_MINIPORT_ADAPTER_GENERAL_ATTRIBUTES) {
    let mut wrong = Vec::new();
    let mut hold = |good: bool, what: &'static str| {
        if !good {
            wrong.push(what);
        }
    };
    hold(given.MediaType == NdisMedium802_3, "MediaType is not Ethernet");
    hold(given.IfType == IF_TYPE_ETHERNET_CSMACD, "IfType is not 6");
    hold(given.IfConnectorPresent == 0, "a virtual miniport says it has a connector");
    hold(given.AccessType == NET_IF_ACCESS_BROADCAST, "AccessType is not the NIC's");
    hold(given.DirectionType == NET_IF_DIRECTION_SENDRECEIVE, "DirectionType is not the NIC's");
    hold(given.ConnectionType == NET_IF_CONNECTION_DEDICATED, "ConnectionType is not the NIC's");
    hold(given.MacAddressLength == 6, "MacAddressLength is not 6");
    hold(given.MacOptions & NDIS_MAC_OPTION_NO_LOOPBACK != 0, "NDIS_MAC_OPTION_NO_LOOPBACK is missing (W-20)");
    hold(given.PowerManagementCapabilities.is_null(), "PowerManagementCapabilities is not NULL from NDIS 6.20 on");
    hold(given.Flags == 0, "Flags is not zero (REG-18)");
    for what in wrong {
        machine.violation("W-21", what);
    }
    let count = given.SupportedOidListLength as usize / size_of::<NDIS_OID>();
    // SAFETY: the page: a list of so many bytes, valid during the call.
    let oids: Vec<NDIS_OID> =
        (0..count).map(|at| unsafe { given.SupportedOidList.wrapping_add(at).read_unaligned() }).collect();
    oids::check_supported(machine, &oids);
    let mut mac = [0; 6];
    mac.copy_from_slice(&given.CurrentMacAddress[..6]);
    let kept = General {
        mtu: given.MtuSize,
        mac,
        connected: given.MediaConnectState == MediaConnectStateConnected,
        speed: given.XmitLinkSpeed,
        oids,
        packet_filters: given.SupportedPacketFilters,
        mac_options: given.MacOptions,
        max_multicast: given.MaxMulticastListSize,
        rss: !given.RecvScaleCapabilities.is_null(),
    };
    if let Some(miniport) = machine.adapters().miniports.get_mut(&number) {
        miniport.seen.general = Some(kept);
    }
}

fn ndk(machine: &Machine, number: usize, given: &NDIS_MINIPORT_ADAPTER_NDK_ATTRIBUTES) -> NDIS_STATUS {
    // SAFETY: the page: NULL or capabilities valid during the call.
    let Some(capabilities) = (unsafe { given.NdkCapabilities.as_ref() }).copied() else {
        machine.violation("REG-09", "NdkCapabilities is NULL");
        return NDIS_STATUS_FAILURE;
    };
    let (object_type, sizes) = (NDIS_OBJECT_TYPE_DEFAULT, [NDIS_SIZEOF_NDK_CAPABILITIES_REVISION_1]);
    if !check_header(machine, "NDIS_NDK_CAPABILITIES", capabilities.Header, object_type, &sizes) {
        machine.violation("REG-09", "the header of NDIS_NDK_CAPABILITIES");
    }
    // SAFETY: as above.
    let Some(info) = (unsafe { capabilities.NdkInfo.as_ref() }).copied() else {
        machine.violation("REG-09", "NdkInfo is NULL");
        return NDIS_STATUS_FAILURE;
    };
    if capabilities.Flags != 0 {
        machine.violation("REG-18", "Flags of NDIS_NDK_CAPABILITIES is not zero");
    }
    if capabilities.MissingCounterMask != 0 {
        machine.violation("REG-13", "a counter is said to be missing");
    }
    if info.FRMRPageCount < 16 {
        machine.violation("REG-14", format!("FRMRPageCount is {}", info.FRMRPageCount));
    }
    if let Some(miniport) = machine.adapters().miniports.get_mut(&number) {
        let limits = [
            capabilities.MaxQpCount,
            capabilities.MaxCqCount,
            capabilities.MaxMrCount,
            capabilities.MaxPdCount,
            capabilities.MaxInboundReadLimit,
            capabilities.MaxOutboundReadLimit,
            capabilities.MaxMwCount,
            capabilities.MaxSrqCount,
        ];
        let missing_counters = capabilities.MissingCounterMask;
        miniport.seen.ndk = Some(Ndk { enabled: given.Enabled != 0, limits, missing_counters, info });
    }
    NDIS_STATUS_SUCCESS
}

/// Attributes come in this order, and only inside MiniportInitializeEx.
fn in_order(machine: &Machine, number: usize, object_type: u8) -> bool {
    let known = machine.adapters().miniports.get(&number).map(|one| (one.initialised, one.seen.clone()));
    let good = known.is_some_and(|(initialised, seen)| {
        !initialised
            && match object_type {
                NDIS_OBJECT_TYPE_MINIPORT_ADAPTER_REGISTRATION_ATTRIBUTES => !seen.registered,
                NDIS_OBJECT_TYPE_MINIPORT_ADAPTER_GENERAL_ATTRIBUTES => seen.registered && seen.general.is_none(),
                _ => seen.general.is_some(),
            }
    });
    if !good {
        machine.violation("REG-07", format!("attributes of type {object_type:#x} come out of order"));
    }
    good
}

ndk_types::abi! {
    unsafe extern "C" fn ndis_m_set_miniport_attributes(
        number: NDIS_HANDLE,
        attributes: *mut NDIS_MINIPORT_ADAPTER_ATTRIBUTES,
    ) -> NDIS_STATUS {
        let (machine, number) = (Machine::current(), number.addr());
        // SAFETY: the page: one of the attributes, each of which starts with a header.
        let header = unsafe { attributes.cast::<NDIS_OBJECT_HEADER>().read() };
        if !in_order(&machine, number, header.Type) {
            return NDIS_STATUS_FAILURE;
        }
        match header.Type {
            NDIS_OBJECT_TYPE_MINIPORT_ADAPTER_REGISTRATION_ATTRIBUTES => {
                let sizes = [
                    NDIS_SIZEOF_MINIPORT_ADAPTER_REGISTRATION_ATTRIBUTES_REVISION_1,
                    NDIS_SIZEOF_MINIPORT_ADAPTER_REGISTRATION_ATTRIBUTES_REVISION_2,
                ];
                if machine.take_failure("NdisMSetMiniportAttributes(registration)")
                    || !check_header(&machine, "registration attributes", header, header.Type, &sizes)
                {
                    return NDIS_STATUS_BAD_VERSION;
                }
                // SAFETY: the header says so, and every member starts where the union does.
                registration(&machine, number, unsafe { &*attributes.cast() });
                NDIS_STATUS_SUCCESS
            }
            NDIS_OBJECT_TYPE_MINIPORT_ADAPTER_GENERAL_ATTRIBUTES => {
                let sizes = [
                    NDIS_SIZEOF_MINIPORT_ADAPTER_GENERAL_ATTRIBUTES_REVISION_1,
                    NDIS_SIZEOF_MINIPORT_ADAPTER_GENERAL_ATTRIBUTES_REVISION_2,
                ];
                if machine.take_failure("NdisMSetMiniportAttributes(general)")
                    || !check_header(&machine, "general attributes", header, header.Type, &sizes)
                {
                    return NDIS_STATUS_BAD_VERSION;
                }
                // SAFETY: as above.
                general(&machine, number, unsafe { &*attributes.cast() });
                NDIS_STATUS_SUCCESS
            }
            NDIS_OBJECT_TYPE_MINIPORT_ADAPTER_NDK_ATTRIBUTES => {
                let sizes = [NDIS_SIZEOF_MINIPORT_ADAPTER_NDK_ATTRIBUTES_REVISION_1];
                if machine.take_failure("NdisMSetMiniportAttributes(NDK)")
                    || !check_header(&machine, "NDK attributes", header, header.Type, &sizes)
                {
                    return NDIS_STATUS_BAD_VERSION;
                }
                // SAFETY: as above.
                ndk(&machine, number, unsafe { &*attributes.cast() })
            }
            _ => NDIS_STATUS_BAD_VERSION,
        }
    }
}

pub(super) fn exports() -> impl IntoIterator<Item = Export> {
    exports! { "NDIS.SYS" in ndk_types::prototype;
        NdisMSetMiniportAttributes <= Passive = ndis_m_set_miniport_attributes,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::ndis::adapters::{Device, Miniport};
    use std::ptr;
    use std::sync::Arc;

    const NUMBER: usize = 7;

    /// A machine with an instance that is being initialised, and has set its other attributes.
    fn machine() -> Arc<Machine> {
        let machine = Machine::new("attributes", Arc::default(), 1);
        let device = Device { name: "one".to_owned(), luid: 1, index: 1, key: String::new(), started: true };
        machine.adapters().miniports.insert(NUMBER, Miniport::new(device));
        if let Some(one) = machine.adapters().miniports.get_mut(&NUMBER) {
            one.seen.registered = true;
            one.seen.general = Some(General {
                mtu: 1500,
                mac: [2; 6],
                connected: true,
                speed: 1,
                oids: Vec::new(),
                packet_filters: 0,
                mac_options: 0,
                max_multicast: 0,
                rss: false,
            });
        }
        machine
    }

    fn header(kind: u8, revision: u8, size: u16) -> NDIS_OBJECT_HEADER {
        NDIS_OBJECT_HEADER { Type: kind, Revision: revision, Size: size }
    }

    /// What is wrong with NDK attributes that `change` has changed; whether they were taken.
    fn broken(
        machine: &Arc<Machine>,
        change: impl FnOnce(&mut NDIS_NDK_CAPABILITIES, &mut NDK_ADAPTER_INFO, &mut NDIS_MINIPORT_ADAPTER_NDK_ATTRIBUTES),
    ) -> (bool, Vec<&'static str>) {
        let mut info = NDK_ADAPTER_INFO { FRMRPageCount: 16, ..NDK_ADAPTER_INFO::default() };
        // SAFETY: integers and a pointer, for which zero is a value.
        let mut capabilities: NDIS_NDK_CAPABILITIES = unsafe { std::mem::zeroed() };
        capabilities.Header =
            header(NDIS_OBJECT_TYPE_DEFAULT, NDIS_NDK_CAPABILITIES_REVISION_1, NDIS_SIZEOF_NDK_CAPABILITIES_REVISION_1);
        capabilities.NdkInfo = &raw mut info;
        let mut attributes = NDIS_MINIPORT_ADAPTER_NDK_ATTRIBUTES {
            Header: header(
                NDIS_OBJECT_TYPE_MINIPORT_ADAPTER_NDK_ATTRIBUTES,
                NDIS_MINIPORT_ADAPTER_NDK_ATTRIBUTES_REVISION_1,
                NDIS_SIZEOF_MINIPORT_ADAPTER_NDK_ATTRIBUTES_REVISION_1,
            ),
            Enabled: 1,
            NdkCapabilities: &raw mut capabilities,
        };
        change(&mut capabilities, &mut info, &mut attributes);
        let (handle, given) = (ptr::without_provenance_mut(NUMBER), (&raw mut attributes).cast());
        // SAFETY: the call's contract but for what `change` has broken on purpose; nothing wrong is followed.
        let status = machine.enter(|| unsafe { ndis_m_set_miniport_attributes(handle, given) });
        (status == NDIS_STATUS_SUCCESS, machine.verifier.take().iter().map(|violation| violation.rule).collect())
    }

    /// REG-09, REG-13, REG-14, REG-18: each broken on purpose.
    #[test]
    fn ndk_attributes_are_held_against_their_pages() {
        assert_eq!(broken(&machine(), |_, _, _| ()), (true, vec![]));
        assert_eq!(broken(&machine(), |_, _, given| given.NdkCapabilities = ptr::null_mut()), (false, vec!["REG-09"]));
        assert_eq!(broken(&machine(), |given, _, _| given.NdkInfo = ptr::null_mut()), (false, vec!["REG-09"]));
        let (_, rules) = broken(&machine(), |given, _, _| given.Header.Size -= 8);
        assert!(rules.contains(&"REG-09"), "{rules:?}");
        assert_eq!(broken(&machine(), |given, _, _| given.MissingCounterMask = 1), (true, vec!["REG-13"]));
        assert_eq!(broken(&machine(), |_, info, _| info.FRMRPageCount = 15), (true, vec!["REG-14"]));
        assert_eq!(broken(&machine(), |given, _, _| given.Flags = 1), (true, vec!["REG-18"]));
    }

    /// REG-07, broken: NDK attributes before the general ones, or after the initialisation.
    #[test]
    fn ndk_attributes_come_after_the_general_ones_and_in_the_initialisation() {
        let early = machine();
        early.adapters().miniports.values_mut().for_each(|one| one.seen.general = None);
        assert_eq!(broken(&early, |_, _, _| ()), (false, vec!["REG-07"]));
        let late = machine();
        late.adapters().miniports.values_mut().for_each(|one| one.initialised = true);
        assert_eq!(broken(&late, |_, _, _| ()), (false, vec!["REG-07"]));
    }
}
