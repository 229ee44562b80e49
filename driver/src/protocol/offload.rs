//! Receive coalescing of the NIC is switched off: what goes up is clones of whole frames, no longer than the MTU, and RoCEv2
//! is UDP (W-23).

use crate::binding::Binding;
use crate::protocol::oid_request;
use ndk_types::{
    NDIS_OBJECT_HEADER, NDIS_OBJECT_TYPE_DEFAULT, NDIS_OFFLOAD_PARAMETERS, NDIS_OFFLOAD_PARAMETERS_REVISION_3,
    NDIS_OFFLOAD_PARAMETERS_RSC_DISABLED, NDIS_SIZEOF_OFFLOAD_PARAMETERS_REVISION_3, OID_TCP_OFFLOAD_PARAMETERS,
};

/// Asks the NIC not to coalesce TCP segments; UDP is left alone for the protocol's own flag (NDIS 6.89). A NIC without the
/// offload refuses, which is as good. PASSIVE_LEVEL.
pub fn coalescing_off(binding: &Binding) {
    // SAFETY: zero is a value of every field, and says "no change".
    let mut parameters = unsafe { core::mem::zeroed::<NDIS_OFFLOAD_PARAMETERS>() };
    parameters.Header = NDIS_OBJECT_HEADER {
        Type: NDIS_OBJECT_TYPE_DEFAULT,
        Revision: NDIS_OFFLOAD_PARAMETERS_REVISION_3,
        Size: NDIS_SIZEOF_OFFLOAD_PARAMETERS_REVISION_3,
    };
    parameters.RscIPv4 = NDIS_OFFLOAD_PARAMETERS_RSC_DISABLED;
    parameters.RscIPv6 = NDIS_OFFLOAD_PARAMETERS_RSC_DISABLED;
    let mut bytes = [0; NDIS_SIZEOF_OFFLOAD_PARAMETERS_REVISION_3 as usize];
    let whole = (&raw const parameters).cast::<u8>();
    // SAFETY: the structure is longer than its revision 3; both are ours and do not overlap.
    unsafe { core::ptr::copy_nonoverlapping(whole, bytes.as_mut_ptr(), bytes.len()) };
    // The NIC keeps its setting if it refuses; long lists are tolerated anyway.
    let _refused = oid_request::set(binding, OID_TCP_OFFLOAD_PARAMETERS, &mut bytes);
}
