//! NETIO.SYS: IP Helper (pages nf-netioapi-<name>), the Network Module Registrar (nf-netioddk-<name>) and WSK (nf-wsk-<name>).

#![expect(missing_docs, reason = "C names verbatim; Microsoft documents the functions")]

use crate::*;
use core::ffi::c_void;

super::imports! {
    "NETIO.SYS";

    // IP Helper (PASSIVE_LEVEL).
    fn GetUnicastIpAddressTable(Family: ADDRESS_FAMILY, Table: *mut *mut MIB_UNICASTIPADDRESS_TABLE) -> NTSTATUS;
    fn GetIpInterfaceEntry(Row: *mut MIB_IPINTERFACE_ROW) -> NTSTATUS;
    fn GetIfEntry2(Row: *mut MIB_IF_ROW2) -> NTSTATUS;
    fn GetBestRoute2(InterfaceLuid: *mut NET_LUID, InterfaceIndex: NET_IFINDEX, SourceAddress: *const SOCKADDR_INET, DestinationAddress: *const SOCKADDR_INET, AddressSortOptions: u32, BestRoute: *mut MIB_IPFORWARD_ROW2, BestSourceAddress: *mut SOCKADDR_INET) -> NTSTATUS;
    fn GetIpNetEntry2(Row: *mut MIB_IPNET_ROW2) -> NTSTATUS;
    fn ResolveIpNetEntry2(Row: *mut MIB_IPNET_ROW2, SourceAddress: *const SOCKADDR_INET) -> NTSTATUS;
    fn FreeMibTable(Memory: *mut c_void);
    fn NotifyUnicastIpAddressChange(Family: ADDRESS_FAMILY, Callback: PUNICAST_IPADDRESS_CHANGE_CALLBACK, CallerContext: *mut c_void, InitialNotification: BOOLEAN, NotificationHandle: *mut HANDLE) -> NTSTATUS;
    fn NotifyRouteChange2(AddressFamily: ADDRESS_FAMILY, Callback: PIPFORWARD_CHANGE_CALLBACK, CallerContext: *mut c_void, InitialNotification: BOOLEAN, NotificationHandle: *mut HANDLE) -> NTSTATUS;
    fn NotifyIpInterfaceChange(Family: ADDRESS_FAMILY, Callback: PIPINTERFACE_CHANGE_CALLBACK, CallerContext: *mut c_void, InitialNotification: BOOLEAN, NotificationHandle: *mut HANDLE) -> NTSTATUS;
    fn CancelMibChangeNotify2(NotificationHandle: HANDLE) -> NTSTATUS;
    fn ConvertInterfaceLuidToIndex(InterfaceLuid: *const NET_LUID, InterfaceIndex: *mut NET_IFINDEX) -> NTSTATUS;
    fn ConvertInterfaceIndexToLuid(InterfaceIndex: NET_IFINDEX, InterfaceLuid: *mut NET_LUID) -> NTSTATUS;
    fn ConvertInterfaceLuidToAlias(InterfaceLuid: *const NET_LUID, InterfaceAlias: *mut WCHAR, Length: usize) -> NTSTATUS;
    fn ConvertInterfaceAliasToLuid(InterfaceAlias: *const WCHAR, InterfaceLuid: *mut NET_LUID) -> NTSTATUS;

    // The Network Module Registrar.
    fn NmrRegisterProvider(ProviderCharacteristics: *const NPI_PROVIDER_CHARACTERISTICS, ProviderContext: *mut c_void, NmrProviderHandle: *mut HANDLE) -> NTSTATUS;
    fn NmrDeregisterProvider(NmrProviderHandle: HANDLE) -> NTSTATUS;
    fn NmrWaitForProviderDeregisterComplete(NmrProviderHandle: HANDLE) -> NTSTATUS;
    fn NmrProviderDetachClientComplete(NmrBindingHandle: HANDLE);
    fn NmrRegisterClient(ClientCharacteristics: *const NPI_CLIENT_CHARACTERISTICS, ClientContext: *mut c_void, NmrClientHandle: *mut HANDLE) -> NTSTATUS;
    fn NmrDeregisterClient(NmrClientHandle: HANDLE) -> NTSTATUS;
    fn NmrWaitForClientDeregisterComplete(NmrClientHandle: HANDLE) -> NTSTATUS;
    fn NmrClientAttachProvider(NmrBindingHandle: HANDLE, ClientBindingContext: *mut c_void, ClientDispatch: *const c_void, ProviderBindingContext: *mut *mut c_void, ProviderDispatch: *mut *const c_void) -> NTSTATUS;
    fn NmrClientDetachProviderComplete(NmrBindingHandle: HANDLE);

    // WSK registration.
    fn WskRegister(WskClientNpi: *mut WSK_CLIENT_NPI, WskRegistration: *mut WSK_REGISTRATION) -> NTSTATUS;
    fn WskDeregister(WskRegistration: *mut WSK_REGISTRATION);
    fn WskCaptureProviderNPI(WskRegistration: *mut WSK_REGISTRATION, WaitTimeout: u32, WskProviderNpi: *mut WSK_PROVIDER_NPI) -> NTSTATUS;
    fn WskReleaseProviderNPI(WskRegistration: *mut WSK_REGISTRATION);
    fn WskQueryProviderCharacteristics(WskRegistration: *mut WSK_REGISTRATION, WskProviderCharacteristics: *mut WSK_PROVIDER_CHARACTERISTICS) -> NTSTATUS;
}
