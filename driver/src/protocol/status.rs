//! What the NIC says unasked: the link is ours too; of the rest little concerns the protocols above.

use crate::binding::Binding;
use core::ptr::NonNull;
use ndk_types::{
    NDIS_LINK_STATE, NDIS_STATUS_INDICATION, NDIS_STATUS_L2_MTU_SIZE_CHANGE, NDIS_STATUS_LINK_STATE,
    NDIS_STATUS_MEDIA_SPECIFIC_INDICATION, NDIS_STATUS_NETWORK_CHANGE,
};

/// From the protocol's status handler; at or below DISPATCH_LEVEL.
///
/// # Safety
/// `indication` is NDIS's, valid during the call.
pub unsafe fn indicated(binding: &Binding, indication: *mut NDIS_STATUS_INDICATION) {
    let Some(place) = NonNull::new(indication) else { return };
    // SAFETY: the caller's promise.
    let body = unsafe { place.as_ref() };
    match body.StatusCode {
        NDIS_STATUS_LINK_STATE => {
            // SAFETY: the buffer of this status.
            let Some(link) = (unsafe { buffer::<NDIS_LINK_STATE>(body) }) else { return };
            binding.attributes.with(|now| {
                now.connected = link.MediaConnectState;
                now.duplex = link.MediaDuplexState;
                now.xmit = link.XmitLinkSpeed;
                now.rcv = link.RcvLinkSpeed;
            });
            binding.with_upper(|upper| upper.link_changed());
        }
        NDIS_STATUS_L2_MTU_SIZE_CHANGE => {
            // SAFETY: the buffer of this status.
            let Some(mtu) = (unsafe { buffer::<u32>(body) }) else { return };
            // Transmit buffers have the size they were made with: a larger MTU waits for the next bind.
            let mtu = binding.attributes.with(|now| {
                now.mtu = now.mtu.min(mtu);
                now.mtu
            });
            binding.frames.limit(mtu);
            binding.with_upper(|upper| upper.link_changed());
        }
        // Offloads, power and RSS of the NIC are not the virtual miniport's.
        NDIS_STATUS_NETWORK_CHANGE | NDIS_STATUS_MEDIA_SPECIFIC_INDICATION => {
            binding.with_upper(|upper| upper.indicate_status(place));
        }
        _ => {}
    }
}

/// The indication's buffer as a `T`, if it is long enough.
///
/// # Safety
/// A whole indication, whose status has a `T` (plain data) in its buffer.
unsafe fn buffer<T: Copy>(indication: &NDIS_STATUS_INDICATION) -> Option<T> {
    let place = NonNull::new(indication.StatusBuffer.cast::<T>())?;
    let long_enough = indication.StatusBufferSize as usize >= size_of::<T>();
    // SAFETY: as long as a `T`, and NDIS says it is one; its alignment is not promised.
    long_enough.then(|| unsafe { place.read_unaligned() })
}
