//! From NDIS's offer of a NIC to the virtual miniport over it (W-01), and the undoing of every half of it.

use crate::binding::{Binding, DeviceName, LowerAttributes};
use crate::data_path::frames::pool_parameters;
use crate::kernel::WorkItem;
use crate::protocol::{bindings, is_associated, miniport_driver, offload, pairing, protocol, unbind};
use core::ptr::null_mut;
use core::sync::atomic::Ordering;
use ndk_provider::shared::Shared;
use ndk_types::{
    NDIS_BIND_PARAMETERS, NDIS_HANDLE, NDIS_OBJECT_HEADER, NDIS_OBJECT_TYPE_DEFAULT, NDIS_OBJECT_TYPE_OPEN_PARAMETERS,
    NDIS_OPEN_PARAMETERS, NDIS_OPEN_PARAMETERS_REVISION_1, NDIS_SIZEOF_NET_BUFFER_POOL_PARAMETERS_REVISION_1,
    NDIS_SIZEOF_OPEN_PARAMETERS_REVISION_1, NDIS_STATUS, NDIS_STATUS_INVALID_PARAMETER, NDIS_STATUS_OPEN_FAILED,
    NDIS_STATUS_PENDING, NDIS_STATUS_RESOURCES, NDIS_STATUS_SUCCESS, NDIS_STATUS_UNSUPPORTED_MEDIA,
    NET_BUFFER_POOL_PARAMETERS, NET_BUFFER_POOL_PARAMETERS_REVISION_1, NdisAllocateNetBufferListPool,
    NdisAllocateNetBufferPool, NdisIMInitializeDeviceInstanceEx, NdisMedium802_3, NdisOpenAdapterEx, UNICODE_STRING,
};

/// Binds to a NIC that has a virtual miniport of ours. PASSIVE_LEVEL.
///
/// # Safety
/// From ProtocolBindAdapterEx, with its bind context and parameters.
pub unsafe fn bind(context: NDIS_HANDLE, offered: &NDIS_BIND_PARAMETERS) -> Result<(), NDIS_STATUS> {
    if offered.MediaType != NdisMedium802_3 || offered.MacAddressLength != 6 {
        return Err(NDIS_STATUS_UNSUPPORTED_MEDIA);
    }
    // SAFETY: NDIS's own name, valid during the bind.
    let adapter = unsafe { offered.AdapterName.as_ref() }.ok_or(NDIS_STATUS_INVALID_PARAMETER)?;
    // SAFETY: as above.
    let adapter_name = unsafe { pairing::units(adapter) };
    // SAFETY: every bit pattern of a NET_LUID is a Value.
    let luid = unsafe { offered.BoundIfNetluid.Value };
    if bindings::is_ours(adapter_name, luid) {
        return Err(NDIS_STATUS_OPEN_FAILED);
    }
    let binding = Binding::try_new(attributes(offered, luid)).ok_or(NDIS_STATUS_RESOURCES)?;
    // SAFETY: the miniport driver is registered before the protocol and deregistered after it.
    let work = unsafe { WorkItem::try_new(miniport_driver()) }.ok_or(NDIS_STATUS_RESOURCES)?;
    binding.unbind_work.with(|now| *now = Some(work));
    // SAFETY: this bind's context and name.
    unsafe { open(&binding, context, offered.AdapterName) }?;
    let paired = prepare(&binding, adapter_name, offered.MtuSize);
    if let Err(status) = paired {
        unbind::close(&binding);
        return Err(status);
    }
    binding.unstarted.store(true, Ordering::Release);
    if !bindings::insert(&binding) {
        unbind::close(&binding);
        return Err(NDIS_STATUS_OPEN_FAILED);
    }
    offload::coalescing_off(&binding);
    if is_associated() {
        let status = start(&binding);
        if status != NDIS_STATUS_SUCCESS {
            unbind::close(&binding);
            drop(bindings::remove(&binding));
            return Err(status);
        }
    }
    Ok(())
}

fn attributes(offered: &NDIS_BIND_PARAMETERS, luid: u64) -> LowerAttributes {
    let mut mac = [0; 6];
    for (to, from) in mac.iter_mut().zip(offered.CurrentMacAddress) {
        *to = from;
    }
    LowerAttributes {
        mac,
        mtu: offered.MtuSize,
        max_xmit: offered.MaxXmitLinkSpeed,
        max_rcv: offered.MaxRcvLinkSpeed,
        xmit: offered.XmitLinkSpeed,
        rcv: offered.RcvLinkSpeed,
        connected: offered.MediaConnectState,
        duplex: offered.MediaDuplexState,
        packet_filters: offered.SupportedPacketFilters,
        max_multicast: offered.MaxMulticastListSize,
        mac_options: offered.MacOptions,
        lookahead: offered.LookaheadSize,
        access: [offered.AccessType, offered.DirectionType, offered.ConnectionType],
        // SAFETY: null or NDIS's own, valid during the bind.
        rss: unsafe { offered.RcvScaleCapabilities.as_ref() }.copied(),
        luid,
    }
}

/// Opens the NIC, waiting if NDIS says so.
///
/// # Safety
/// As [`bind`].
unsafe fn open(binding: &Shared<Binding>, context: NDIS_HANDLE, name: *mut UNICODE_STRING) -> Result<(), NDIS_STATUS> {
    let mut medium = [NdisMedium802_3];
    let mut selected = 0;
    let mut parameters = NDIS_OPEN_PARAMETERS {
        Header: NDIS_OBJECT_HEADER {
            Type: NDIS_OBJECT_TYPE_OPEN_PARAMETERS,
            Revision: NDIS_OPEN_PARAMETERS_REVISION_1,
            Size: NDIS_SIZEOF_OPEN_PARAMETERS_REVISION_1,
        },
        AdapterName: name,
        MediumArray: medium.as_mut_ptr(),
        MediumArraySize: 1,
        SelectedMediumIndex: &raw mut selected,
        // Every type of frame.
        FrameTypeArray: null_mut(),
        FrameTypeArraySize: 0,
    };
    let own = core::ptr::from_ref::<Binding>(binding).cast_mut().cast();
    let handle = binding.handle.as_ptr();
    // SAFETY: complete parameters; the binding outlives the open one, as `close` waits for the end.
    let mut status = unsafe { NdisOpenAdapterEx(protocol(), own, &raw mut parameters, context, handle) };
    if status == NDIS_STATUS_PENDING {
        binding.changed.wait();
        binding.changed.clear();
        status = binding.changed_status.load(Ordering::Acquire);
    }
    if status == NDIS_STATUS_SUCCESS { Ok(()) } else { Err(status) }
}

/// What an open binding needs before frames can pass; what was made before a failure is freed by `close`.
fn prepare(binding: &Shared<Binding>, adapter_name: &[u16], mtu: u32) -> Result<(), NDIS_STATUS> {
    // SAFETY: open.
    let name: DeviceName = unsafe { pairing::read(binding.handle()) }.ok_or(NDIS_STATUS_OPEN_FAILED)?;
    // A NIC that is paired with itself would be our own miniport (W-03).
    if name.is(adapter_name) {
        return Err(NDIS_STATUS_OPEN_FAILED);
    }
    binding.name.with(|now| *now = name);
    let lists = pool_parameters(false);
    // SAFETY: an open binding's handle and complete parameters.
    let lists = unsafe { NdisAllocateNetBufferListPool(binding.handle(), &raw const lists) };
    binding.clones.store(lists, Ordering::Release);
    let buffers = NET_BUFFER_POOL_PARAMETERS {
        Header: NDIS_OBJECT_HEADER {
            Type: NDIS_OBJECT_TYPE_DEFAULT,
            Revision: NET_BUFFER_POOL_PARAMETERS_REVISION_1,
            Size: NDIS_SIZEOF_NET_BUFFER_POOL_PARAMETERS_REVISION_1,
        },
        PoolTag: crate::data_path::frames::TAG,
        DataSize: 0,
        Flags: 0,
    };
    // SAFETY: as above.
    let buffers = unsafe { NdisAllocateNetBufferPool(binding.handle(), &raw const buffers) };
    binding.net_buffers.store(buffers, Ordering::Release);
    if lists.is_null() || buffers.is_null() || !binding.frames.create(binding, mtu) {
        return Err(NDIS_STATUS_RESOURCES);
    }
    binding.sends.open();
    binding.requests.open();
    Ok(())
}

/// Has NDIS initialise the virtual miniport over an open binding: MiniportInitializeEx runs now or when its device starts.
/// Once until it is torn down again. PASSIVE_LEVEL.
pub fn start(binding: &Shared<Binding>) -> NDIS_STATUS {
    if !binding.unstarted.swap(false, Ordering::AcqRel) {
        return NDIS_STATUS_SUCCESS;
    }
    // Once at a time: a device may be enabled again while its first initialisation is still to come.
    if binding.initialising.swap(true, Ordering::SeqCst) {
        return NDIS_STATUS_SUCCESS;
    }
    binding.settled.clear();
    // An unbind that begins after this look finds it initialising, and waits.
    if !binding.unbind_context.load(Ordering::SeqCst).is_null() {
        binding.initialised();
        return NDIS_STATUS_SUCCESS;
    }
    let own = core::ptr::from_ref::<Binding>(binding).cast_mut().cast();
    let name = binding.name.with(|name| *name);
    let mut name = counted(&name);
    // SAFETY: the miniport driver's handle and a counted name, both valid during the call; the binding outlives its device.
    let status = unsafe { NdisIMInitializeDeviceInstanceEx(miniport_driver(), &raw mut name, own) };
    if status != NDIS_STATUS_SUCCESS {
        binding.initialised();
    }
    status
}

/// A name as NDIS wants it; valid as long as `name`.
pub(super) fn counted(name: &DeviceName) -> UNICODE_STRING {
    let units = name.units();
    let length = size_of_val(units) as u16;
    UNICODE_STRING { Length: length, MaximumLength: length, Buffer: units.as_ptr().cast_mut() }
}
