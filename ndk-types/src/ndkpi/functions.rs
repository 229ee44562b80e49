//! ndkpi.h: the 53 functions a provider implements.

use crate::abi;
use crate::{
    BOOLEAN, GROUP_AFFINITY, GUID, MDL, NDK_ADAPTER, NDK_ADAPTER_INFO, NDK_CONNECTOR, NDK_CQ, NDK_EXTENSION_INTERFACE,
    NDK_FN_CLOSE_COMPLETION, NDK_FN_CONNECT_EVENT_CALLBACK, NDK_FN_CQ_NOTIFICATION_CALLBACK, NDK_FN_CREATE_COMPLETION,
    NDK_FN_DISCONNECT_EVENT_CALLBACK, NDK_FN_DISCONNECT_EVENT_CALLBACK_EX, NDK_FN_REQUEST_COMPLETION,
    NDK_FN_SRQ_NOTIFICATION_CALLBACK, NDK_LISTENER, NDK_LOGICAL_ADDRESS, NDK_LOGICAL_ADDRESS_MAPPING, NDK_MR, NDK_MW,
    NDK_OBJECT_HEADER, NDK_PD, NDK_QP, NDK_RESULT, NDK_RESULT_EX, NDK_SGE, NDK_SHARED_ENDPOINT, NDK_SRQ, NDK_VERSION,
    NTSTATUS, SOCKADDR,
};
use core::ffi::c_void;

abi! {
    /// `ndk_fn_close_object`: At or below DISPATCH_LEVEL; since NDKPI 1.1.
    pub type NDK_FN_CLOSE_OBJECT = Option<unsafe extern "C" fn(ndk_object: *mut NDK_OBJECT_HEADER, close_completion: NDK_FN_CLOSE_COMPLETION, request_context: *mut c_void) -> NTSTATUS>;

    /// `ndk_fn_query_extension_interface`: At or below DISPATCH_LEVEL; since NDKPI 1.1.
    pub type NDK_FN_QUERY_EXTENSION_INTERFACE = Option<unsafe extern "C" fn(ndk_object: *mut NDK_OBJECT_HEADER, extension_interface_id: *const GUID, extension_interface_version: NDK_VERSION, extension_interface: *mut NDK_EXTENSION_INTERFACE) -> NTSTATUS>;

    /// `ndk_fn_query_adapter_info`: At PASSIVE_LEVEL; since NDKPI 1.1.
    pub type NDK_FN_QUERY_ADAPTER_INFO = Option<unsafe extern "C" fn(ndk_adapter: *mut NDK_ADAPTER, info: *mut NDK_ADAPTER_INFO, buffer_size: *mut u32) -> NTSTATUS>;

    /// `ndk_fn_create_cq`: At or below DISPATCH_LEVEL; since NDKPI 1.1.
    pub type NDK_FN_CREATE_CQ = Option<unsafe extern "C" fn(ndk_adapter: *mut NDK_ADAPTER, cq_depth: u32, cq_notification: NDK_FN_CQ_NOTIFICATION_CALLBACK, cq_notification_context: *mut c_void, affinity: *mut GROUP_AFFINITY, create_completion: NDK_FN_CREATE_COMPLETION, request_context: *mut c_void, ndk_cq: *mut *mut NDK_CQ) -> NTSTATUS>;

    /// `ndk_fn_create_pd`: At or below DISPATCH_LEVEL; since NDKPI 1.1.
    pub type NDK_FN_CREATE_PD = Option<unsafe extern "C" fn(ndk_adapter: *mut NDK_ADAPTER, create_completion: NDK_FN_CREATE_COMPLETION, request_context: *mut c_void, ndk_pd: *mut *mut NDK_PD) -> NTSTATUS>;

    /// `ndk_fn_create_shared_endpoint`: At or below DISPATCH_LEVEL; since NDKPI 1.1.
    pub type NDK_FN_CREATE_SHARED_ENDPOINT = Option<unsafe extern "C" fn(ndk_adapter: *mut NDK_ADAPTER, address: *const SOCKADDR, address_length: u32, create_completion: NDK_FN_CREATE_COMPLETION, request_context: *mut c_void, ndk_shared_endpoint: *mut *mut NDK_SHARED_ENDPOINT) -> NTSTATUS>;

    /// `ndk_fn_create_connector`: At or below DISPATCH_LEVEL; since NDKPI 1.1.
    pub type NDK_FN_CREATE_CONNECTOR = Option<unsafe extern "C" fn(ndk_adapter: *mut NDK_ADAPTER, create_completion: NDK_FN_CREATE_COMPLETION, request_context: *mut c_void, ndk_connector: *mut *mut NDK_CONNECTOR) -> NTSTATUS>;

    /// `ndk_fn_create_listener`: At or below DISPATCH_LEVEL; since NDKPI 1.1.
    pub type NDK_FN_CREATE_LISTENER = Option<unsafe extern "C" fn(ndk_adapter: *mut NDK_ADAPTER, connect_event: NDK_FN_CONNECT_EVENT_CALLBACK, connect_event_context: *mut c_void, create_completion: NDK_FN_CREATE_COMPLETION, request_context: *mut c_void, ndk_listener: *mut *mut NDK_LISTENER) -> NTSTATUS>;

    /// `ndk_fn_build_lam`: At or below DISPATCH_LEVEL; since NDKPI 1.1.
    pub type NDK_FN_BUILD_LAM = Option<unsafe extern "C" fn(ndk_adapter: *mut NDK_ADAPTER, mdl: *mut MDL, length: usize, request_completion: NDK_FN_REQUEST_COMPLETION, request_context: *mut c_void, ndk_lam: *mut NDK_LOGICAL_ADDRESS_MAPPING, lam_size: *mut u32, fbo: *mut u32) -> NTSTATUS>;

    /// `ndk_fn_release_lam`: At or below DISPATCH_LEVEL; since NDKPI 1.1.
    pub type NDK_FN_RELEASE_LAM = Option<unsafe extern "C" fn(ndk_adapter: *mut NDK_ADAPTER, ndk_lam: *mut NDK_LOGICAL_ADDRESS_MAPPING)>;

    /// `ndk_fn_resize_cq`: At or below DISPATCH_LEVEL; since NDKPI 1.1.
    pub type NDK_FN_RESIZE_CQ = Option<unsafe extern "C" fn(ndk_cq: *mut NDK_CQ, cq_depth: u32, request_completion: NDK_FN_REQUEST_COMPLETION, request_context: *mut c_void) -> NTSTATUS>;

    /// `ndk_fn_arm_cq`: At or below DISPATCH_LEVEL; since NDKPI 1.1.
    pub type NDK_FN_ARM_CQ = Option<unsafe extern "C" fn(ndk_cq: *mut NDK_CQ, arm_type: u32)>;

    /// `ndk_fn_get_cq_results`: At or below DISPATCH_LEVEL; since NDKPI 1.1.
    pub type NDK_FN_GET_CQ_RESULTS = Option<unsafe extern "C" fn(ndk_cq: *mut NDK_CQ, results: *mut NDK_RESULT, result_count: u32) -> u32>;

    /// `ndk_fn_get_cq_results_ex`: At or below DISPATCH_LEVEL; since NDKPI 1.2.
    pub type NDK_FN_GET_CQ_RESULTS_EX = Option<unsafe extern "C" fn(ndk_cq: *mut NDK_CQ, results: *mut NDK_RESULT_EX, result_count: u32) -> u32>;

    /// `ndk_fn_control_cq_interrupt_moderation`: At or below DISPATCH_LEVEL; since NDKPI 1.1.
    pub type NDK_FN_CONTROL_CQ_INTERRUPT_MODERATION = Option<unsafe extern "C" fn(ndk_cq: *mut NDK_CQ, moderation_interval: u32, moderation_count: u32) -> NTSTATUS>;

    /// `ndk_fn_create_mr`: At or below DISPATCH_LEVEL; since NDKPI 1.1.
    pub type NDK_FN_CREATE_MR = Option<unsafe extern "C" fn(ndk_pd: *mut NDK_PD, fast_register: BOOLEAN, create_completion: NDK_FN_CREATE_COMPLETION, request_context: *mut c_void, ndk_mr: *mut *mut NDK_MR) -> NTSTATUS>;

    /// `ndk_fn_create_mw`: At or below DISPATCH_LEVEL; since NDKPI 1.1.
    pub type NDK_FN_CREATE_MW = Option<unsafe extern "C" fn(ndk_pd: *mut NDK_PD, create_completion: NDK_FN_CREATE_COMPLETION, request_context: *mut c_void, ndk_mw: *mut *mut NDK_MW) -> NTSTATUS>;

    /// `ndk_fn_create_srq`: At or below DISPATCH_LEVEL; since NDKPI 1.1.
    pub type NDK_FN_CREATE_SRQ = Option<unsafe extern "C" fn(ndk_pd: *mut NDK_PD, srq_depth: u32, max_receive_request_sge: u32, notify_threshold: u32, srq_notification: NDK_FN_SRQ_NOTIFICATION_CALLBACK, srq_notification_context: *mut c_void, affinity: *mut GROUP_AFFINITY, create_completion: NDK_FN_CREATE_COMPLETION, request_context: *mut c_void, ndk_srq: *mut *mut NDK_SRQ) -> NTSTATUS>;

    /// `ndk_fn_create_qp`: At or below DISPATCH_LEVEL; since NDKPI 1.1.
    pub type NDK_FN_CREATE_QP = Option<unsafe extern "C" fn(ndk_pd: *mut NDK_PD, receive_cq: *mut NDK_CQ, initiator_cq: *mut NDK_CQ, qp_context: *mut c_void, receive_queue_depth: u32, initiator_queue_depth: u32, max_receive_request_sge: u32, max_initiator_request_sge: u32, inline_data_size: u32, create_completion: NDK_FN_CREATE_COMPLETION, request_context: *mut c_void, ndk_qp: *mut *mut NDK_QP) -> NTSTATUS>;

    /// `ndk_fn_create_qp_with_srq`: At or below DISPATCH_LEVEL; since NDKPI 1.1.
    pub type NDK_FN_CREATE_QP_WITH_SRQ = Option<unsafe extern "C" fn(ndk_pd: *mut NDK_PD, receive_cq: *mut NDK_CQ, initiator_cq: *mut NDK_CQ, srq: *mut NDK_SRQ, qp_context: *mut c_void, initiator_queue_depth: u32, max_initiator_request_sge: u32, inline_data_size: u32, create_completion: NDK_FN_CREATE_COMPLETION, request_context: *mut c_void, ndk_qp: *mut *mut NDK_QP) -> NTSTATUS>;

    /// `ndk_fn_get_privileged_memory_region_token`: At or below DISPATCH_LEVEL; since NDKPI 1.1.
    pub type NDK_FN_GET_PRIVILEGED_MEMORY_REGION_TOKEN = Option<unsafe extern "C" fn(ndk_pd: *mut NDK_PD, token: *mut u32)>;

    /// `ndk_fn_register_mr`: At or below DISPATCH_LEVEL; since NDKPI 1.1.
    pub type NDK_FN_REGISTER_MR = Option<unsafe extern "C" fn(ndk_mr: *mut NDK_MR, mdl: *mut MDL, length: usize, flags: u32, request_completion: NDK_FN_REQUEST_COMPLETION, request_context: *mut c_void) -> NTSTATUS>;

    /// `ndk_fn_deregister_mr`: At or below DISPATCH_LEVEL; since NDKPI 1.1.
    pub type NDK_FN_DEREGISTER_MR = Option<unsafe extern "C" fn(ndk_mr: *mut NDK_MR, request_completion: NDK_FN_REQUEST_COMPLETION, request_context: *mut c_void) -> NTSTATUS>;

    /// `ndk_fn_initialize_fast_register_mr`: At or below DISPATCH_LEVEL; since NDKPI 1.1.
    pub type NDK_FN_INITIALIZE_FAST_REGISTER_MR = Option<unsafe extern "C" fn(ndk_mr: *mut NDK_MR, adapter_page_count: u32, remote_access: BOOLEAN, request_completion: NDK_FN_REQUEST_COMPLETION, request_context: *mut c_void) -> NTSTATUS>;

    /// `ndk_fn_get_local_token_from_mr`: At or below DISPATCH_LEVEL; since NDKPI 1.1.
    pub type NDK_FN_GET_LOCAL_TOKEN_FROM_MR = Option<unsafe extern "C" fn(ndk_mr: *mut NDK_MR) -> u32>;

    /// `ndk_fn_get_remote_token_from_mr`: At or below DISPATCH_LEVEL; since NDKPI 1.1.
    pub type NDK_FN_GET_REMOTE_TOKEN_FROM_MR = Option<unsafe extern "C" fn(ndk_mr: *mut NDK_MR) -> u32>;

    /// `ndk_fn_get_remote_token_from_mw`: At or below DISPATCH_LEVEL; since NDKPI 1.1.
    pub type NDK_FN_GET_REMOTE_TOKEN_FROM_MW = Option<unsafe extern "C" fn(ndk_mw: *mut NDK_MW) -> u32>;

    /// `ndk_fn_modify_srq`: At or below DISPATCH_LEVEL; since NDKPI 1.1.
    pub type NDK_FN_MODIFY_SRQ = Option<unsafe extern "C" fn(ndk_srq: *mut NDK_SRQ, srq_depth: u32, notify_threshold: u32, request_completion: NDK_FN_REQUEST_COMPLETION, request_context: *mut c_void) -> NTSTATUS>;

    /// `ndk_fn_srq_receive`: At or below DISPATCH_LEVEL; since NDKPI 1.1.
    pub type NDK_FN_SRQ_RECEIVE = Option<unsafe extern "C" fn(ndk_srq: *mut NDK_SRQ, request_context: *mut c_void, sgl: *const NDK_SGE, sge_count: u32) -> NTSTATUS>;

    /// `ndk_fn_flush`: At or below DISPATCH_LEVEL; since NDKPI 1.1.
    pub type NDK_FN_FLUSH = Option<unsafe extern "C" fn(ndk_qp: *mut NDK_QP)>;

    /// `ndk_fn_send`: At or below DISPATCH_LEVEL; since NDKPI 1.1.
    pub type NDK_FN_SEND = Option<unsafe extern "C" fn(ndk_qp: *mut NDK_QP, request_context: *mut c_void, sgl: *const NDK_SGE, sge_count: u32, flags: u32) -> NTSTATUS>;

    /// `ndk_fn_send_and_invalidate`: At or below DISPATCH_LEVEL; since NDKPI 1.2.
    pub type NDK_FN_SEND_AND_INVALIDATE = Option<unsafe extern "C" fn(ndk_qp: *mut NDK_QP, request_context: *mut c_void, sgl: *const NDK_SGE, sge_count: u32, flags: u32, remote_token: u32) -> NTSTATUS>;

    /// `ndk_fn_receive`: At or below DISPATCH_LEVEL; since NDKPI 1.1.
    pub type NDK_FN_RECEIVE = Option<unsafe extern "C" fn(ndk_qp: *mut NDK_QP, request_context: *mut c_void, sgl: *const NDK_SGE, sge_count: u32) -> NTSTATUS>;

    /// `ndk_fn_read`: At or below DISPATCH_LEVEL; since NDKPI 1.1.
    pub type NDK_FN_READ = Option<unsafe extern "C" fn(ndk_qp: *mut NDK_QP, request_context: *mut c_void, sgl: *const NDK_SGE, sge_count: u32, remote_address: u64, remote_token: u32, flags: u32) -> NTSTATUS>;

    /// `ndk_fn_write`: At or below DISPATCH_LEVEL; since NDKPI 1.1.
    pub type NDK_FN_WRITE = Option<unsafe extern "C" fn(ndk_qp: *mut NDK_QP, request_context: *mut c_void, sgl: *const NDK_SGE, sge_count: u32, remote_address: u64, remote_token: u32, flags: u32) -> NTSTATUS>;

    /// `ndk_fn_bind`: At or below DISPATCH_LEVEL; since NDKPI 1.1.
    pub type NDK_FN_BIND = Option<unsafe extern "C" fn(ndk_qp: *mut NDK_QP, request_context: *mut c_void, mr: *mut NDK_MR, mw: *mut NDK_MW, virtual_address: *mut c_void, length: usize, flags: u32) -> NTSTATUS>;

    /// `ndk_fn_fast_register`: At or below DISPATCH_LEVEL; since NDKPI 1.1.
    pub type NDK_FN_FAST_REGISTER = Option<unsafe extern "C" fn(ndk_qp: *mut NDK_QP, request_context: *mut c_void, mr: *mut NDK_MR, adapter_page_count: u32, adapter_page_array: *const NDK_LOGICAL_ADDRESS, fbo: u32, length: usize, base_virtual_address: *mut c_void, flags: u32) -> NTSTATUS>;

    /// `ndk_fn_invalidate`: At or below DISPATCH_LEVEL; since NDKPI 1.1.
    pub type NDK_FN_INVALIDATE = Option<unsafe extern "C" fn(ndk_qp: *mut NDK_QP, request_context: *mut c_void, ndk_mr_or_mw: *mut NDK_OBJECT_HEADER, flags: u32) -> NTSTATUS>;

    /// `ndk_fn_connect`: At or below DISPATCH_LEVEL; since NDKPI 1.1.
    pub type NDK_FN_CONNECT = Option<unsafe extern "C" fn(ndk_connector: *mut NDK_CONNECTOR, ndk_qp: *mut NDK_QP, src_address: *const SOCKADDR, src_address_length: u32, dest_address: *const SOCKADDR, dest_address_length: u32, inbound_read_limit: u32, outbound_read_limit: u32, private_data: *const c_void, private_data_length: u32, request_completion: NDK_FN_REQUEST_COMPLETION, request_context: *mut c_void) -> NTSTATUS>;

    /// `ndk_fn_connect_with_shared_endpoint`: At or below DISPATCH_LEVEL; since NDKPI 1.1.
    pub type NDK_FN_CONNECT_WITH_SHARED_ENDPOINT = Option<unsafe extern "C" fn(ndk_connector: *mut NDK_CONNECTOR, ndk_qp: *mut NDK_QP, ndk_shared_endpoint: *mut NDK_SHARED_ENDPOINT, dest_address: *const SOCKADDR, dest_address_length: u32, inbound_read_limit: u32, outbound_read_limit: u32, private_data: *const c_void, private_data_length: u32, request_completion: NDK_FN_REQUEST_COMPLETION, request_context: *mut c_void) -> NTSTATUS>;

    /// `ndk_fn_complete_connect`: At or below DISPATCH_LEVEL; since NDKPI 1.1.
    pub type NDK_FN_COMPLETE_CONNECT = Option<unsafe extern "C" fn(ndk_connector: *mut NDK_CONNECTOR, disconnect_event: NDK_FN_DISCONNECT_EVENT_CALLBACK, disconnect_event_context: *mut c_void, request_completion: NDK_FN_REQUEST_COMPLETION, request_context: *mut c_void) -> NTSTATUS>;

    /// `ndk_fn_complete_connect_ex`: At or below DISPATCH_LEVEL; since NDKPI 2.1.
    pub type NDK_FN_COMPLETE_CONNECT_EX = Option<unsafe extern "C" fn(ndk_connector: *mut NDK_CONNECTOR, disconnect_event: NDK_FN_DISCONNECT_EVENT_CALLBACK_EX, disconnect_event_context: *mut c_void, request_completion: NDK_FN_REQUEST_COMPLETION, request_context: *mut c_void) -> NTSTATUS>;

    /// `ndk_fn_accept`: At or below DISPATCH_LEVEL; since NDKPI 1.1.
    pub type NDK_FN_ACCEPT = Option<unsafe extern "C" fn(ndk_connector: *mut NDK_CONNECTOR, ndk_qp: *mut NDK_QP, inbound_read_limit: u32, outbound_read_limit: u32, private_data: *const c_void, private_data_length: u32, disconnect_event: NDK_FN_DISCONNECT_EVENT_CALLBACK, disconnect_event_context: *mut c_void, request_completion: NDK_FN_REQUEST_COMPLETION, request_context: *mut c_void) -> NTSTATUS>;

    /// `ndk_fn_accept_ex`: At or below DISPATCH_LEVEL; since NDKPI 2.1.
    pub type NDK_FN_ACCEPT_EX = Option<unsafe extern "C" fn(ndk_connector: *mut NDK_CONNECTOR, ndk_qp: *mut NDK_QP, inbound_read_limit: u32, outbound_read_limit: u32, private_data: *const c_void, private_data_length: u32, disconnect_event: NDK_FN_DISCONNECT_EVENT_CALLBACK_EX, disconnect_event_context: *mut c_void, request_completion: NDK_FN_REQUEST_COMPLETION, request_context: *mut c_void) -> NTSTATUS>;

    /// `ndk_fn_reject`: At or below DISPATCH_LEVEL; since NDKPI 1.1.
    pub type NDK_FN_REJECT = Option<unsafe extern "C" fn(ndk_connector: *mut NDK_CONNECTOR, private_data: *const c_void, private_data_length: u32) -> NTSTATUS>;

    /// `ndk_fn_get_connection_data`: At or below DISPATCH_LEVEL; since NDKPI 1.1.
    pub type NDK_FN_GET_CONNECTION_DATA = Option<unsafe extern "C" fn(ndk_connector: *mut NDK_CONNECTOR, inbound_read_limit: *mut u32, outbound_read_limit: *mut u32, private_data: *mut c_void, private_data_length: *mut u32) -> NTSTATUS>;

    /// `ndk_fn_get_local_address`: At or below DISPATCH_LEVEL; since NDKPI 1.1.
    pub type NDK_FN_GET_LOCAL_ADDRESS = Option<unsafe extern "C" fn(ndk_connector: *mut NDK_CONNECTOR, address: *mut SOCKADDR, address_length: *mut u32) -> NTSTATUS>;

    /// `ndk_fn_get_peer_address`: At or below DISPATCH_LEVEL; since NDKPI 1.1.
    pub type NDK_FN_GET_PEER_ADDRESS = Option<unsafe extern "C" fn(ndk_connector: *mut NDK_CONNECTOR, address: *mut SOCKADDR, address_length: *mut u32) -> NTSTATUS>;

    /// `ndk_fn_disconnect`: At or below DISPATCH_LEVEL; since NDKPI 1.1.
    pub type NDK_FN_DISCONNECT = Option<unsafe extern "C" fn(ndk_connector: *mut NDK_CONNECTOR, request_completion: NDK_FN_REQUEST_COMPLETION, request_context: *mut c_void) -> NTSTATUS>;

    /// `ndk_fn_listen`: At or below DISPATCH_LEVEL; since NDKPI 1.1.
    pub type NDK_FN_LISTEN = Option<unsafe extern "C" fn(ndk_listener: *mut NDK_LISTENER, address: *const SOCKADDR, address_length: u32, request_completion: NDK_FN_REQUEST_COMPLETION, request_context: *mut c_void) -> NTSTATUS>;

    /// `ndk_fn_get_listener_local_address`: At or below DISPATCH_LEVEL; since NDKPI 1.1.
    pub type NDK_FN_GET_LISTENER_LOCAL_ADDRESS = Option<unsafe extern "C" fn(ndk_listener: *mut NDK_LISTENER, address: *mut SOCKADDR, address_length: *mut u32) -> NTSTATUS>;

    /// `ndk_fn_control_connect_events`: At or below DISPATCH_LEVEL; since NDKPI 1.1.
    pub type NDK_FN_CONTROL_CONNECT_EVENTS = Option<unsafe extern "C" fn(ndk_listener: *mut NDK_LISTENER, pause: BOOLEAN)>;

    /// `ndk_fn_get_shared_endpoint_local_address`: At or below DISPATCH_LEVEL; since NDKPI 1.1.
    pub type NDK_FN_GET_SHARED_ENDPOINT_LOCAL_ADDRESS = Option<unsafe extern "C" fn(ndk_shared_endpoint: *mut NDK_SHARED_ENDPOINT, address: *mut SOCKADDR, address_length: *mut u32) -> NTSTATUS>;
}
