//! The NIC goes: consumers first, then the virtual miniport, then the binding (W-07).
//!
//! In a work item, since NDK consumers take as long as they take, and NDIS's callback must not wait for them.

use crate::binding::{Binding, LowerState};
use crate::protocol::{bind, bindings, miniport_driver};
use core::ffi::c_void;
use core::ptr::null_mut;
use core::sync::atomic::Ordering;
use ndk_provider::shared::Shared;
use ndk_types::{
    NDIS_HANDLE, NDIS_STATUS_PENDING, NDIS_STATUS_SUCCESS, NdisCloseAdapterEx, NdisCompleteUnbindAdapterEx,
    NdisFreeNetBufferListPool, NdisFreeNetBufferPool, NdisIMCancelInitializeDeviceInstance,
    NdisIMDeInitializeDeviceInstance, abi,
};

/// Begins an unbind; NdisCompleteUnbindAdapterEx follows. PASSIVE_LEVEL.
///
/// # Safety
/// From ProtocolUnbindAdapterEx, once, with its context.
pub unsafe fn begin(binding: &Binding, context: NDIS_HANDLE) {
    binding.unbind_context.store(context, Ordering::SeqCst);
    let own: *mut c_void = core::ptr::from_ref(binding).cast_mut().cast();
    binding.unbind_work.with(|work| {
        if let Some(work) = work {
            // SAFETY: queued once, here; the list keeps the binding until the routine takes it off.
            unsafe { work.queue(Some(finish), own) };
        }
    });
}

abi! {
    /// The rest of an unbind, in the binding's work item. PASSIVE_LEVEL.
    unsafe extern "C" fn finish(context: *mut c_void, _work: NDIS_HANDLE) {
        // SAFETY: what `begin` queued.
        let held = unsafe { context.cast::<Binding>().as_ref() }.and_then(|binding| binding.own.with(|own| own.clone()));
        if let Some(binding) = held {
            run(binding);
        }
    }
}

fn run(binding: Shared<Binding>) {
    binding.unstarted.store(false, Ordering::Release);
    binding.with_upper(|upper| upper.lower_gone());
    take_down(&binding);
    close(&binding);
    let context = binding.unbind_context.swap(null_mut(), Ordering::AcqRel);
    // The work item goes before the driver may be unloaded, which the completion allows; NDIS lets its own routine free it.
    let work = binding.unbind_work.with(Option::take);
    drop(bindings::remove(&binding));
    drop(binding);
    drop(work);
    // SAFETY: this unbind's context; nothing of the binding is used any more.
    unsafe { NdisCompleteUnbindAdapterEx(context) };
}

/// Ends the virtual miniport, however far it has come.
fn take_down(binding: &Binding) {
    if binding.initialising.load(Ordering::SeqCst) {
        let name = binding.name.with(|name| *name);
        let mut name = bind::counted(&name);
        // SAFETY: the miniport driver's handle and a counted name, both valid during the call.
        let cancelled = unsafe { NdisIMCancelInitializeDeviceInstance(miniport_driver(), &raw mut name) };
        if cancelled == NDIS_STATUS_SUCCESS {
            binding.initialised();
            return;
        }
        // Too late to cancel: it ends by itself.
        binding.settled.wait();
    }
    if let Some(miniport) = binding.with_upper(|upper| upper.miniport()) {
        // SAFETY: the handle of an initialised miniport; returns after MiniportHaltEx, or refuses since that runs already.
        unsafe { NdisIMDeInitializeDeviceInstance(miniport) };
    }
    if binding.occupied.load(Ordering::Acquire) {
        // Somebody disabled its device at this moment, and frames of ours are in use until the end of that.
        binding.halted.wait();
    }
}

/// Closes the NIC and frees what the binding made for it, as far as it came. No virtual miniport is over it. PASSIVE_LEVEL.
pub fn close(binding: &Binding) {
    // The NIC hears nothing for us any more; one that is gone refuses, which is as good.
    let _gone = binding.set_packet_filter(0);
    let _gone = binding.set_multicast(&mut []);
    binding.set_state(LowerState::Closing);
    binding.sends.close_and_wait();
    binding.requests.close_and_wait();
    let handle = binding.handle();
    if !handle.is_null() {
        // SAFETY: open, closed once; nothing is outstanding.
        if unsafe { NdisCloseAdapterEx(handle) } == NDIS_STATUS_PENDING {
            binding.changed.wait();
        }
        binding.handle.store(null_mut(), Ordering::Release);
    }
    binding.frames.destroy();
    let buffers = binding.net_buffers.swap(null_mut(), Ordering::AcqRel);
    if !buffers.is_null() {
        // SAFETY: every buffer of it was freed with its list.
        unsafe { NdisFreeNetBufferPool(buffers) };
    }
    let lists = binding.clones.swap(null_mut(), Ordering::AcqRel);
    if !lists.is_null() {
        // SAFETY: every clone was freed, as the rundowns show.
        unsafe { NdisFreeNetBufferListPool(lists) };
    }
}
