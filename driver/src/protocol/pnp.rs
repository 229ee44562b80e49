//! Pause, restart and power of the lower edge, independent of the upper one (W-08).
//!
//! NDIS sends one event of a binding after the other, so one place is enough for one that waits for what is below to come back.

#![expect(non_upper_case_globals, reason = "NDIS's names of events")]

use crate::binding::{Binding, LowerState};
use crate::protocol::{bind, bindings, pairing};
use core::ptr::null_mut;
use core::sync::atomic::Ordering;
use ndk_types::{
    NDIS_STATUS, NDIS_STATUS_NOT_SUPPORTED, NDIS_STATUS_PENDING, NDIS_STATUS_SUCCESS, NET_PNP_EVENT_NOTIFICATION,
    NdisCompleteNetPnPEvent, NetDeviceStateD0, NetEventBindList, NetEventBindsComplete, NetEventCancelRemoveDevice,
    NetEventIMReEnableDevice, NetEventPause, NetEventPnPCapabilities, NetEventQueryPower, NetEventQueryRemoveDevice,
    NetEventReconfigure, NetEventRestart, NetEventSetPower, UNICODE_STRING,
};

/// An event for an open binding; PASSIVE_LEVEL.
///
/// # Safety
/// `event` is what NDIS gave to the protocol's PnP handler.
pub unsafe fn event(binding: &Binding, event: *mut NET_PNP_EVENT_NOTIFICATION) -> NDIS_STATUS {
    // SAFETY: NDIS's, valid until the event is complete.
    let body = unsafe { &(*event).NetPnPEvent };
    match body.NetEvent {
        code if code == NetEventPause => {
            binding.set_state(LowerState::Paused);
            quiesce(binding, event)
        }
        code if code == NetEventRestart => {
            binding.set_state(LowerState::Running);
            running_again(binding);
            NDIS_STATUS_SUCCESS
        }
        code if code == NetEventSetPower && !body.Buffer.is_null() => {
            // SAFETY: the buffer of this event is a NET_DEVICE_POWER_STATE.
            let state = unsafe { body.Buffer.cast::<i32>().read_unaligned() };
            binding.set_powered(state == NetDeviceStateD0);
            if state != NetDeviceStateD0 {
                return quiesce(binding, event);
            }
            running_again(binding);
            NDIS_STATUS_SUCCESS
        }
        NetEventQueryPower
        | NetEventQueryRemoveDevice
        | NetEventCancelRemoveDevice
        | NetEventBindList
        | NetEventBindsComplete
        | NetEventPnPCapabilities
        | NetEventReconfigure => NDIS_STATUS_SUCCESS,
        NetEventIMReEnableDevice => {
            restart_device(binding);
            NDIS_STATUS_SUCCESS
        }
        _ => NDIS_STATUS_NOT_SUPPORTED,
    }
}

/// An event for the driver, without a binding; PASSIVE_LEVEL.
///
/// # Safety
/// As [`event`].
pub unsafe fn driver_event(event: *mut NET_PNP_EVENT_NOTIFICATION) -> NDIS_STATUS {
    // SAFETY: NDIS's, valid until the event is complete.
    let body = unsafe { &(*event).NetPnPEvent };
    match body.NetEvent {
        NetEventIMReEnableDevice if body.BufferLength as usize >= size_of::<UNICODE_STRING>() => {
            // SAFETY: the buffer of this event is the counted name of the virtual miniport.
            let name = unsafe { body.Buffer.cast::<UNICODE_STRING>().as_ref() };
            // SAFETY: as above, and whole.
            let under = name.and_then(|name| bindings::under(unsafe { pairing::units(name) }));
            if let Some(binding) = under {
                restart_device(&binding);
            }
            NDIS_STATUS_SUCCESS
        }
        NetEventReconfigure | NetEventBindList | NetEventBindsComplete => NDIS_STATUS_SUCCESS,
        _ => NDIS_STATUS_NOT_SUPPORTED,
    }
}

/// The virtual miniport was disabled and is enabled again: NDIS initialises it when it is asked to (W-01).
fn restart_device(binding: &Binding) {
    let leaving = !binding.unbind_context.load(Ordering::Acquire).is_null();
    let gone = !leaving && binding.with_upper(|_| ()).is_none();
    if let Some(binding) = binding.own.with(|own| own.clone()).filter(|_| gone) {
        binding.unstarted.store(true, Ordering::Release);
        // A failure leaves it as it is: disabled.
        bind::start(&binding);
    }
}

/// Nothing goes down any more; done when nothing is below: sends, and in low power requests, too.
fn quiesce(binding: &Binding, event: *mut NET_PNP_EVENT_NOTIFICATION) -> NDIS_STATUS {
    binding.pause_event.store(event.cast(), Ordering::SeqCst);
    if !binding.is_quiet() {
        return NDIS_STATUS_PENDING;
    }
    // Whoever takes the event completes it: the last completion may have been quicker.
    let taken = binding.pause_event.swap(null_mut(), Ordering::SeqCst);
    if taken.is_null() { NDIS_STATUS_PENDING } else { NDIS_STATUS_SUCCESS }
}

/// A send or a request came back: if it was the last, an event that waited for it is complete.
pub fn came_back(binding: &Binding) {
    if !binding.is_quiet() {
        return;
    }
    let event = binding.pause_event.swap(null_mut(), Ordering::SeqCst);
    if !event.is_null() {
        // SAFETY: the event that `quiesce` stored and answered with PENDING, taken by one.
        unsafe { NdisCompleteNetPnPEvent(binding.handle(), event.cast(), NDIS_STATUS_SUCCESS) };
    }
}

/// A pause counted as "no frame": tell who asked in vain.
fn running_again(binding: &Binding) {
    binding.frames.tell();
}
