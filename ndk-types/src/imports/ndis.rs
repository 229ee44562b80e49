//! NDIS.SYS. Each function is documented on its page nf-ndis-<name> of the driver documentation.

#![expect(missing_docs, reason = "C names verbatim; Microsoft documents the functions")]

use crate::*;
use core::ffi::c_void;

super::imports! {
    "NDIS.SYS";

    // Registration (PASSIVE_LEVEL).
    fn NdisMRegisterMiniportDriver(DriverObject: PVOID, RegistryPath: *mut UNICODE_STRING, MiniportDriverContext: NDIS_HANDLE, Characteristics: *mut NDIS_MINIPORT_DRIVER_CHARACTERISTICS, NdisMiniportDriverHandle: *mut NDIS_HANDLE) -> NDIS_STATUS;
    fn NdisMDeregisterMiniportDriver(NdisMiniportDriverHandle: NDIS_HANDLE);
    fn NdisSetOptionalHandlers(NdisHandle: NDIS_HANDLE, OptionalHandlers: *mut NDIS_DRIVER_OPTIONAL_HANDLERS) -> NDIS_STATUS;
    fn NdisRegisterProtocolDriver(ProtocolDriverContext: NDIS_HANDLE, Characteristics: *mut NDIS_PROTOCOL_DRIVER_CHARACTERISTICS, NdisProtocolHandle: *mut NDIS_HANDLE) -> NDIS_STATUS;
    fn NdisDeregisterProtocolDriver(NdisProtocolHandle: NDIS_HANDLE);
    fn NdisIMAssociateMiniport(DriverHandle: NDIS_HANDLE, ProtocolHandle: NDIS_HANDLE);
    fn NdisIMInitializeDeviceInstanceEx(DriverHandle: NDIS_HANDLE, DriverInstance: *mut UNICODE_STRING, DeviceContext: NDIS_HANDLE) -> NDIS_STATUS;
    fn NdisIMCancelInitializeDeviceInstance(DriverHandle: NDIS_HANDLE, DeviceInstance: *mut UNICODE_STRING) -> NDIS_STATUS;
    fn NdisIMDeInitializeDeviceInstance(NdisMiniportHandle: NDIS_HANDLE) -> NDIS_STATUS;
    fn NdisIMGetBindingContext(NdisBindingHandle: NDIS_HANDLE) -> NDIS_HANDLE;

    // Miniport.
    fn NdisMSetMiniportAttributes(NdisMiniportHandle: NDIS_HANDLE, MiniportAttributes: *mut NDIS_MINIPORT_ADAPTER_ATTRIBUTES) -> NDIS_STATUS;
    fn NdisMPauseComplete(MiniportAdapterHandle: NDIS_HANDLE);
    fn NdisMRestartComplete(MiniportAdapterHandle: NDIS_HANDLE, Status: NDIS_STATUS);
    fn NdisMSendNetBufferListsComplete(MiniportAdapterHandle: NDIS_HANDLE, NetBufferList: *mut NET_BUFFER_LIST, SendCompleteFlags: u32);
    fn NdisMIndicateReceiveNetBufferLists(MiniportAdapterHandle: NDIS_HANDLE, NetBufferList: *mut NET_BUFFER_LIST, PortNumber: NDIS_PORT_NUMBER, NumberOfNetBufferLists: u32, ReceiveFlags: u32);
    fn NdisMIndicateStatusEx(MiniportAdapterHandle: NDIS_HANDLE, StatusIndication: *mut NDIS_STATUS_INDICATION);
    fn NdisMOidRequestComplete(MiniportAdapterHandle: NDIS_HANDLE, OidRequest: *mut NDIS_OID_REQUEST, Status: NDIS_STATUS);
    fn NdisMDirectOidRequestComplete(MiniportAdapterHandle: NDIS_HANDLE, OidRequest: *mut NDIS_OID_REQUEST, Status: NDIS_STATUS);
    fn NdisMNetPnPEvent(MiniportAdapterHandle: NDIS_HANDLE, NetPnPEvent: *mut NET_PNP_EVENT_NOTIFICATION) -> NDIS_STATUS;

    // Protocol.
    fn NdisOpenAdapterEx(NdisProtocolHandle: NDIS_HANDLE, ProtocolBindingContext: NDIS_HANDLE, OpenParameters: *mut NDIS_OPEN_PARAMETERS, BindContext: NDIS_HANDLE, NdisBindingHandle: *mut NDIS_HANDLE) -> NDIS_STATUS;
    fn NdisCloseAdapterEx(NdisBindingHandle: NDIS_HANDLE) -> NDIS_STATUS;
    fn NdisCompleteBindAdapterEx(BindAdapterContext: NDIS_HANDLE, Status: NDIS_STATUS);
    fn NdisCompleteUnbindAdapterEx(UnbindContext: NDIS_HANDLE);
    fn NdisCompleteNetPnPEvent(NdisBindingHandle: NDIS_HANDLE, NetPnPEvent: *mut NET_PNP_EVENT_NOTIFICATION, Status: NDIS_STATUS);
    fn NdisOidRequest(NdisBindingHandle: NDIS_HANDLE, OidRequest: *mut NDIS_OID_REQUEST) -> NDIS_STATUS;
    fn NdisCancelOidRequest(NdisBindingHandle: NDIS_HANDLE, RequestId: *mut c_void);
    fn NdisDirectOidRequest(NdisBindingHandle: NDIS_HANDLE, OidRequest: *mut NDIS_OID_REQUEST) -> NDIS_STATUS;
    fn NdisCancelDirectOidRequest(NdisBindingHandle: NDIS_HANDLE, RequestId: *mut c_void);
    fn NdisSendNetBufferLists(NdisBindingHandle: NDIS_HANDLE, NetBufferLists: *mut NET_BUFFER_LIST, PortNumber: NDIS_PORT_NUMBER, SendFlags: u32);
    fn NdisReturnNetBufferLists(NdisBindingHandle: NDIS_HANDLE, NetBufferLists: *mut NET_BUFFER_LIST, ReturnFlags: u32);
    fn NdisCancelSendNetBufferLists(NdisBindingHandle: NDIS_HANDLE, CancelId: *mut c_void);
    fn NdisGetRssProcessorInformation(NdisHandle: NDIS_HANDLE, RssProcessorInfo: *mut NDIS_RSS_PROCESSOR_INFO, Size: *mut usize) -> NDIS_STATUS;

    // NET_BUFFER_LISTs (at or below DISPATCH_LEVEL; pools at PASSIVE_LEVEL for creation as their pages say).
    fn NdisAllocateNetBufferListPool(NdisHandle: NDIS_HANDLE, Parameters: *const NET_BUFFER_LIST_POOL_PARAMETERS) -> NDIS_HANDLE;
    fn NdisFreeNetBufferListPool(PoolHandle: NDIS_HANDLE);
    fn NdisAllocateNetBufferPool(NdisHandle: NDIS_HANDLE, Parameters: *const NET_BUFFER_POOL_PARAMETERS) -> NDIS_HANDLE;
    fn NdisFreeNetBufferPool(PoolHandle: NDIS_HANDLE);
    fn NdisAllocateNetBufferList(PoolHandle: NDIS_HANDLE, ContextSize: u16, ContextBackFill: u16) -> *mut NET_BUFFER_LIST;
    fn NdisAllocateNetBufferAndNetBufferList(PoolHandle: NDIS_HANDLE, ContextSize: u16, ContextBackFill: u16, MdlChain: *mut MDL, DataOffset: u32, DataLength: usize) -> *mut NET_BUFFER_LIST;
    fn NdisFreeNetBufferList(NetBufferList: *mut NET_BUFFER_LIST);
    fn NdisAllocateCloneNetBufferList(OriginalNetBufferList: *mut NET_BUFFER_LIST, NetBufferListPoolHandle: NDIS_HANDLE, NetBufferPoolHandle: NDIS_HANDLE, AllocateCloneFlags: u32) -> *mut NET_BUFFER_LIST;
    fn NdisFreeCloneNetBufferList(CloneNetBufferList: *mut NET_BUFFER_LIST, FreeCloneFlags: u32);
    fn NdisCopySendNetBufferListInfo(DestNetBufferList: *mut NET_BUFFER_LIST, SrcNetBufferList: *mut NET_BUFFER_LIST);
    fn NdisCopyReceiveNetBufferListInfo(DestNetBufferList: *mut NET_BUFFER_LIST, SrcNetBufferList: *mut NET_BUFFER_LIST);
    fn NdisGetDataBuffer(NetBuffer: *mut NET_BUFFER, BytesNeeded: u32, Storage: *mut c_void, AlignMultiple: u32, AlignOffset: u32) -> *mut c_void;
    fn NdisAdvanceNetBufferDataStart(NetBuffer: *mut NET_BUFFER, DataOffsetDelta: u32, FreeMdl: BOOLEAN, FreeMdlHandler: *mut c_void);
    fn NdisRetreatNetBufferDataStart(NetBuffer: *mut NET_BUFFER, DataOffsetDelta: u32, DataBackFill: u32, AllocateMdlHandler: *mut c_void) -> NDIS_STATUS;
    fn NdisAllocateMdl(NdisHandle: NDIS_HANDLE, VirtualAddress: *mut c_void, Length: u32) -> *mut MDL;
    fn NdisFreeMdl(Mdl: *mut MDL);

    // Configuration and the event log (PASSIVE_LEVEL).
    fn NdisOpenConfigurationEx(ConfigObject: *mut NDIS_CONFIGURATION_OBJECT, ConfigurationHandle: *mut NDIS_HANDLE) -> NDIS_STATUS;
    fn NdisCloseConfiguration(ConfigurationHandle: NDIS_HANDLE);
    fn NdisReadConfiguration(Status: *mut NDIS_STATUS, ParameterValue: *mut *mut NDIS_CONFIGURATION_PARAMETER, ConfigurationHandle: NDIS_HANDLE, Keyword: *mut UNICODE_STRING, ParameterType: NDIS_PARAMETER_TYPE);
    fn NdisReadNetworkAddress(Status: *mut NDIS_STATUS, NetworkAddress: *mut *mut c_void, NetworkAddressLength: *mut u32, ConfigurationHandle: NDIS_HANDLE);

    // Work items at PASSIVE_LEVEL.
    fn NdisAllocateIoWorkItem(NdisObjectHandle: NDIS_HANDLE) -> NDIS_HANDLE;
    fn NdisQueueIoWorkItem(NdisIoWorkItemHandle: NDIS_HANDLE, Routine: NDIS_IO_WORKITEM_ROUTINE, WorkItemContext: *mut c_void);
    fn NdisFreeIoWorkItem(NdisIoWorkItemHandle: NDIS_HANDLE);
}
