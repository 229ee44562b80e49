//! Callbacks of changes: each registration's one after another, on a kernel thread at PASSIVE_LEVEL; none after its
//! cancellation has returned, which waits for one that runs, and therefore cannot come from inside it.

use super::Family;
use super::rows;
use super::tables::Row;
use crate::kernel::Machine;
use crate::kernel::irql::Irql;
use ndk_types::{
    HANDLE, MIB_NOTIFICATION_TYPE, MibInitialNotification, NTSTATUS, PIPFORWARD_CHANGE_CALLBACK,
    PIPINTERFACE_CHANGE_CALLBACK, PUNICAST_IPADDRESS_CHANGE_CALLBACK, STATUS_INVALID_PARAMETER, STATUS_SUCCESS,
};
use std::collections::{BTreeMap, VecDeque};
use std::ffi::c_void;
use std::ptr;
use std::sync::{Arc, Weak};
use std::thread::ThreadId;

/// What is called.
#[derive(Clone, Copy)]
pub(super) enum Callback {
    Address(PUNICAST_IPADDRESS_CHANGE_CALLBACK),
    Route(PIPFORWARD_CHANGE_CALLBACK),
    Interface(PIPINTERFACE_CHANGE_CALLBACK),
}

impl Callback {
    fn is_there(self) -> bool {
        match self {
            Self::Address(callback) => callback.is_some(),
            Self::Route(callback) => callback.is_some(),
            Self::Interface(callback) => callback.is_some(),
        }
    }

    fn wants(self, row: &Row) -> bool {
        matches!(
            (self, row),
            (Self::Address(_), Row::Address(_))
                | (Self::Route(_), Row::Route(_))
                | (Self::Interface(_), Row::Interface(_))
        )
    }
}

/// What happened; without a row it is the confirmation that the callback is registered.
type Event = (Option<Row>, MIB_NOTIFICATION_TYPE);

struct Registration {
    /// Not the machine's owner: the registration is a part of it.
    machine: Weak<Machine>,
    callback: Callback,
    context: usize,
    family: Option<Family>,
    events: VecDeque<Event>,
    /// Somebody calls back until there are no more events.
    busy: bool,
    /// The thread inside the callback.
    inside: Option<ThreadId>,
    cancelled: bool,
}

/// The registrations of one machine.
#[derive(Default)]
pub(super) struct Notifications {
    last: usize,
    all: BTreeMap<usize, Registration>,
}

impl Notifications {
    /// Notes what happened with every registration that wants to know; gives those nobody calls yet.
    pub(super) fn post(&mut self, changes: &[(Row, MIB_NOTIFICATION_TYPE)]) -> Vec<(Arc<Machine>, usize)> {
        let mut idle = Vec::new();
        for (&handle, registration) in self.all.iter_mut().filter(|(_, registration)| !registration.cancelled) {
            let (callback, family) = (registration.callback, registration.family);
            let wanted = |row: &Row| callback.wants(row) && family.is_none_or(|family| family == row.family());
            let events = changes.iter().filter(|(row, _)| wanted(row)).map(|&(row, kind)| (Some(row), kind));
            registration.events.extend(events);
            if !registration.events.is_empty()
                && !registration.busy
                && let Some(machine) = registration.machine.upgrade()
            {
                registration.busy = true;
                idle.push((machine, handle));
            }
        }
        idle
    }

    pub(super) fn leaks(&self) -> impl Iterator<Item = String> {
        self.all.keys().map(|handle| format!("IP Helper notification {handle:#x}, never cancelled"))
    }
}

/// Has a kernel thread call back.
pub(super) fn start(machine: &Arc<Machine>, handle: usize) {
    machine.thread("a notification of IP Helper", move || deliver(&Machine::current(), handle));
}

/// Calls back until there is nothing more to tell.
fn deliver(machine: &Arc<Machine>, handle: usize) {
    loop {
        let mut state = machine.netio.ip_helper.state();
        let Some(registration) = state.notifications.all.get_mut(&handle) else { return };
        let Some((row, kind)) = registration.events.pop_front() else {
            registration.busy = false;
            return;
        };
        let (callback, context) = (registration.callback, registration.context);
        registration.inside = Some(std::thread::current().id());
        drop(state);
        call(machine, callback, ptr::with_exposed_provenance_mut(context), row, kind);
        if let Some(registration) = machine.netio.ip_helper.state().notifications.all.get_mut(&handle) {
            registration.inside = None;
        }
    }
}

fn call(
    machine: &Arc<Machine>,
    callback: Callback,
    context: *mut c_void,
    row: Option<Row>,
    kind: MIB_NOTIFICATION_TYPE,
) {
    match callback {
        Callback::Address(Some(callback)) => {
            let mut row =
                row.and_then(|row| if let Row::Address(row) = row { Some(rows::unicast(&row)) } else { None });
            let row = row.as_mut().map_or(ptr::null_mut(), ptr::from_mut);
            let what = "PUNICAST_IPADDRESS_CHANGE_CALLBACK";
            // SAFETY: the page of NotifyUnicastIpAddressChange: its context, and a row or NULL.
            unsafe { crate::call_driver!(machine, what, Irql::Passive, callback, context, row, kind) };
        }
        Callback::Route(Some(callback)) => {
            let mut row = row.and_then(|row| if let Row::Route(row) = row { Some(rows::forward(&row)) } else { None });
            let row = row.as_mut().map_or(ptr::null_mut(), ptr::from_mut);
            let what = "PIPFORWARD_CHANGE_CALLBACK";
            // SAFETY: the page of NotifyRouteChange2: its context, and a row or NULL.
            unsafe { crate::call_driver!(machine, what, Irql::Passive, callback, context, row, kind) };
        }
        Callback::Interface(Some(callback)) => {
            let mut row =
                row.and_then(|row| if let Row::Interface(row) = row { Some(rows::ip_interface(&row)) } else { None });
            let row = row.as_mut().map_or(ptr::null_mut(), ptr::from_mut);
            let what = "PIPINTERFACE_CHANGE_CALLBACK";
            // SAFETY: the page of NotifyIpInterfaceChange: its context, and a row or NULL.
            unsafe { crate::call_driver!(machine, what, Irql::Passive, callback, context, row, kind) };
        }
        _ => {}
    }
}

/// Registers a callback; gives its handle. With `initial` it is called once the registration is complete: before this
/// returns or soon after, as the machine's seed has it, since the pages do not say which.
pub(super) fn register(
    machine: &Arc<Machine>,
    callback: Callback,
    context: *mut c_void,
    family: Option<Family>,
    initial: bool,
    place: *mut HANDLE,
) -> NTSTATUS {
    if place.is_null() || !callback.is_there() {
        machine.violation("notification", "a registration without a callback or a place for its handle");
        return STATUS_INVALID_PARAMETER;
    }
    let mut registration = Registration {
        machine: Arc::downgrade(machine),
        callback,
        context: context.expose_provenance(),
        family,
        events: VecDeque::new(),
        busy: initial,
        inside: None,
        cancelled: false,
    };
    if initial {
        registration.events.push_back((None, MibInitialNotification));
    }
    let handle = {
        let mut state = machine.netio.ip_helper.state();
        state.notifications.last += 16;
        // No address of anything: whoever looks inside faults.
        let handle = 0x20_0000 + state.notifications.last;
        state.notifications.all.insert(handle, registration);
        handle
    };
    // SAFETY: the page: a place for the handle.
    unsafe { place.write(ptr::without_provenance_mut(handle)) };
    if initial && machine.nt.random_u64() & 1 == 0 {
        deliver(machine, handle);
    } else if initial {
        start(machine, handle);
    }
    STATUS_SUCCESS
}

/// Ends a registration.
pub(super) fn cancel(machine: &Arc<Machine>, handle: HANDLE) -> NTSTATUS {
    let number = handle.addr();
    let ip_helper = &machine.netio.ip_helper;
    let mut state = ip_helper.state();
    let Some(registration) = state.notifications.all.get_mut(&number).filter(|there| !there.cancelled) else {
        drop(state);
        machine.violation("notification", format!("{number:#x} is cancelled and is no registration"));
        return STATUS_INVALID_PARAMETER;
    };
    registration.cancelled = true;
    registration.events.clear();
    let inside = registration.inside;
    drop(state);
    if inside == Some(std::thread::current().id()) {
        machine.violation("deadlock", format!("registration {number:#x} is cancelled from inside its own callback"));
    } else if inside.is_some() {
        let owner = machine.clone();
        machine.wait("the end of a notification's callback", None, move || {
            let state = owner.netio.ip_helper.state();
            state.notifications.all.get(&number).is_none_or(|registration| registration.inside.is_none())
        });
    }
    ip_helper.state().notifications.all.remove(&number);
    STATUS_SUCCESS
}
