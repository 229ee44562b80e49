//! NDK on and off, and the handlers that open and close an NDK_ADAPTER.
//!
//! What is wanted (by OID_NDK_SET_STATE, by the lower edge) is written down at once; one work item, never two at a time,
//! announces it with NetEventNDKEnable or NetEventNDKDisable (OID-04, OID-06, OID-09, PNP-01). While a disable waits for
//! consumers, nobody else does.

use crate::adapter::Adapter;
use crate::binding::rundown::Rundown;
use crate::kernel::{Event, WorkItem};
use crate::miniport::turn::Turn;
use core::ffi::c_void;
use core::sync::atomic::{AtomicBool, Ordering};
use ndk_provider::port::Port;
use ndk_types::{
    NDIS_HANDLE, NDIS_OBJECT_HEADER, NDIS_OBJECT_TYPE_DEFAULT, NDIS_OPEN_NDK_ADAPTER_PARAMETERS,
    NDIS_SIZEOF_NET_PNP_EVENT_NOTIFICATION_REVISION_1, NDIS_STATUS, NDIS_STATUS_INVALID_PARAMETER,
    NDIS_STATUS_NOT_SUPPORTED, NDIS_STATUS_SUCCESS, NDK_ADAPTER, NET_PNP_EVENT_CODE, NET_PNP_EVENT_NOTIFICATION,
    NET_PNP_EVENT_NOTIFICATION_REVISION_1, NdisMNetPnPEvent, NetEventNDKDisable, NetEventNDKEnable,
};

/// Whether NDK is on.
pub struct NdkSwitch {
    /// `*NetworkDirect` (OID-05, PNP-07).
    allowed: bool,
    wanted: AtomicBool,
    /// The NIC or the device goes away: off for good.
    gone: AtomicBool,
    /// What the protocols above were told last.
    announced: AtomicBool,
    turn: Turn,
    /// Set when NDK is off for good.
    off: Event,
    working: Rundown,
    work: WorkItem,
}

impl NdkSwitch {
    /// On if `allowed`; `None` without memory. PASSIVE_LEVEL.
    ///
    /// # Safety
    /// `miniport` is the handle that MiniportInitializeEx was given; this is dropped before MiniportHaltEx returns.
    pub unsafe fn try_new(miniport: NDIS_HANDLE, allowed: bool) -> Option<Self> {
        Some(Self {
            allowed,
            wanted: AtomicBool::new(allowed),
            gone: AtomicBool::new(false),
            announced: AtomicBool::new(allowed),
            turn: Turn::idle(),
            off: Event::try_new()?,
            working: Rundown::try_new()?,
            // SAFETY: the caller's handle.
            work: unsafe { WorkItem::try_new(miniport) }?,
        })
    }

    /// Changes are taken from here on.
    pub fn open(&self) {
        self.working.open();
    }

    /// OID_NDK_SET_STATE; at or below DISPATCH_LEVEL.
    pub fn set(&self, adapter: &Adapter, enabled: bool) -> NDIS_STATUS {
        if enabled && !self.allowed {
            return NDIS_STATUS_NOT_SUPPORTED;
        }
        self.wanted.store(enabled, Ordering::SeqCst);
        self.look(adapter);
        NDIS_STATUS_SUCCESS
    }

    /// The NIC goes away: returns when NDK is off and no NDK_ADAPTER is open (W-07). PASSIVE_LEVEL.
    pub fn lower_gone(&self, adapter: &Adapter) {
        if self.take_away(adapter) {
            self.off.wait();
        }
    }

    /// The virtual device or the NIC is gone: off for good, without waiting for it (PNP-11). False when the adapter is being
    /// closed. At or below DISPATCH_LEVEL.
    pub fn take_away(&self, adapter: &Adapter) -> bool {
        self.gone.store(true, Ordering::SeqCst);
        self.look(adapter)
    }

    /// MiniportHaltEx: no change is under way any more, and no NDK_ADAPTER is open. PASSIVE_LEVEL.
    pub fn close(&self, adapter: &Adapter) {
        self.working.close_and_wait();
        // NDIS unbound the protocols above before, so nobody is left to be told.
        adapter.port().disable();
        wait_for_consumers(adapter.port());
    }

    /// Has the work item look at what is wanted; false when the adapter is being closed.
    fn look(&self, adapter: &Adapter) -> bool {
        if !self.working.enter() {
            return false;
        }
        if self.turn.ask() {
            let context = core::ptr::from_ref(adapter).cast_mut().cast();
            // SAFETY: not queued: nobody is busy; the adapter stays, since `close` waits for `working`.
            unsafe { self.work.queue(Some(work), context) };
        } else {
            // Whoever is busy holds an entry of its own, and looks again.
            self.working.leave(1);
        }
        true
    }

    /// The work item's turn. PASSIVE_LEVEL.
    fn run(&self, adapter: &Adapter) {
        loop {
            self.turn.begin();
            self.announce(adapter);
            if self.turn.end() {
                return self.working.leave(1);
            }
        }
    }

    /// Makes what the protocols above know what is wanted.
    fn announce(&self, adapter: &Adapter) {
        let gone = self.gone.load(Ordering::SeqCst);
        let on = self.wanted.load(Ordering::SeqCst) && !gone;
        if on != self.announced.swap(on, Ordering::SeqCst) {
            if on {
                adapter.port().enable();
                notify(adapter.miniport(), NetEventNDKEnable);
            } else {
                // PNP-06: refused before anybody is told.
                adapter.port().disable();
                notify(adapter.miniport(), NetEventNDKDisable);
                wait_for_consumers(adapter.port());
            }
        }
        if gone {
            self.off.set();
        }
    }
}

/// Returns when no NDK_ADAPTER is open. PASSIVE_LEVEL.
fn wait_for_consumers(port: &Port<crate::platform::WindowsPlatform>) {
    while port.open_adapters() != 0 && !port.wait_for_closed_adapters() {
        crate::kernel::sleep_milliseconds(10);
    }
}

/// Tells the protocols above; a disable returns when they have closed what they had (PNP-03). PASSIVE_LEVEL.
fn notify(miniport: NDIS_HANDLE, code: NET_PNP_EVENT_CODE) {
    // SAFETY: a structure of integers and pointers, for which zero is a value.
    let mut event = unsafe { core::mem::zeroed::<NET_PNP_EVENT_NOTIFICATION>() };
    event.Header = NDIS_OBJECT_HEADER {
        Type: NDIS_OBJECT_TYPE_DEFAULT,
        Revision: NET_PNP_EVENT_NOTIFICATION_REVISION_1,
        Size: NDIS_SIZEOF_NET_PNP_EVENT_NOTIFICATION_REVISION_1,
    };
    event.NetPnPEvent.NetEvent = code;
    // SAFETY: NdisMNetPnPEvent: a live miniport, a complete event, PASSIVE_LEVEL, outside of any OID request (OID-07).
    // The result counts for power and removal queries only.
    let _ = unsafe { NdisMNetPnPEvent(miniport, &raw mut event) };
}

ndk_types::abi! {
    unsafe extern "C" fn work(context: *mut c_void, _work: NDIS_HANDLE) {
        // SAFETY: `look` queued it with an adapter that `close` keeps until this has left.
        if let Some(adapter) = unsafe { context.cast::<Adapter>().as_ref() } {
            adapter.ndk().run(adapter);
        }
    }

    /// OPEN_NDK_ADAPTER_HANDLER.
    ///
    /// # Safety
    /// NDIS's contract. PASSIVE_LEVEL.
    pub unsafe extern "C" fn open_ndk_adapter(
        context: NDIS_HANDLE,
        parameters: *mut NDIS_OPEN_NDK_ADAPTER_PARAMETERS,
        ndk_adapter: *mut *mut NDK_ADAPTER,
    ) -> NDIS_STATUS {
        // SAFETY: NDIS gives MiniportAdapterContext of an instance that is not halted.
        let adapter = unsafe { context.cast::<Adapter>().as_ref() };
        // SAFETY: valid parameters.
        let parameters = unsafe { parameters.as_ref() };
        let (Some(adapter), Some(parameters)) = (adapter, parameters) else { return NDIS_STATUS_INVALID_PARAMETER };
        match Port::open_adapter(adapter.port(), parameters.Version) {
            Ok(opened) => {
                // SAFETY: a place for the result.
                unsafe { ndk_adapter.write(opened) };
                NDIS_STATUS_SUCCESS
            }
            Err(status) => status,
        }
    }

    /// CLOSE_NDK_ADAPTER_HANDLER: returns when everything under the instance is closed.
    ///
    /// # Safety
    /// NDIS's contract. PASSIVE_LEVEL.
    pub unsafe extern "C" fn close_ndk_adapter(context: NDIS_HANDLE, ndk_adapter: *mut NDK_ADAPTER) {
        // SAFETY: NDIS gives MiniportAdapterContext of an instance that is not halted.
        if let Some(adapter) = unsafe { context.cast::<Adapter>().as_ref() } {
            // SAFETY: opened by the handler above, closed once.
            unsafe { Port::close_adapter(adapter.port(), ndk_adapter) };
        }
    }
}
