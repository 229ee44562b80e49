//! Word of changes: who is told what, when, and when no more.

use super::super::{Family, rows};
use super::*;
use crate::kernel::irql::{self, Irql};
use crate::kernel::sched::Woken;
use ndk_types::{
    AF_INET, AF_INET6, AF_UNSPEC, HANDLE, IP_ADDRESS_PREFIX, IpDadStateTentative, MIB_IPFORWARD_ROW2,
    MIB_IPINTERFACE_ROW, MIB_NOTIFICATION_TYPE, MIB_UNICASTIPADDRESS_ROW, MibAddInstance, MibDeleteInstance,
    MibInitialNotification, MibParameterNotification, STATUS_INVALID_PARAMETER, STATUS_NO_MEMORY, STATUS_SUCCESS,
};
use std::ffi::c_void;
use std::ptr::{self, null_mut};
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;

/// What a driver's callbacks heard, and how they behave.
#[derive(Default)]
pub(super) struct Listener {
    heard: Mutex<Vec<(MIB_NOTIFICATION_TYPE, String)>>,
    pub(super) handle: Mutex<usize>,
    /// Its callback waits until it may go on.
    slow: AtomicBool,
    /// It cancels itself from inside.
    pub(super) suicidal: AtomicBool,
    inside: AtomicBool,
}

impl Listener {
    pub(super) fn context(&self) -> *mut c_void {
        ptr::from_ref(self).cast_mut().cast()
    }

    fn heard(&self) -> Vec<(MIB_NOTIFICATION_TYPE, String)> {
        std::mem::take(&mut self.heard.lock().unwrap())
    }

    fn hear(&'static self, kind: MIB_NOTIFICATION_TYPE, what: Option<String>) {
        assert!(!self.inside.swap(true, Ordering::SeqCst), "a second call while one runs");
        assert_eq!(irql::current(), Irql::Passive);
        assert_eq!(what.is_none(), kind == MibInitialNotification);
        self.heard.lock().unwrap().push((kind, what.unwrap_or_default()));
        if self.suicidal.load(Ordering::SeqCst) {
            let own = ptr::without_provenance_mut(*self.handle.lock().unwrap());
            assert_eq!(import!(CancelMibChangeNotify2, own), STATUS_SUCCESS);
        }
        if self.slow.load(Ordering::SeqCst) {
            Machine::current().wait("a slow driver", None, || !self.slow.load(Ordering::SeqCst));
        }
        self.inside.store(false, Ordering::SeqCst);
    }
}

/// A listener that outlives everything: callbacks may come as long as its machine is there.
pub(super) fn listener() -> &'static Listener {
    Box::leak(Box::default())
}

fn of(context: *mut c_void) -> &'static Listener {
    // SAFETY: every context in these tests is a `Listener` that is never freed.
    unsafe { &*context.cast::<Listener>() }
}

ndk_types::abi! {
    pub(super) unsafe extern "C" fn address_changed(
        context: *mut c_void,
        row: *mut MIB_UNICASTIPADDRESS_ROW,
        kind: MIB_NOTIFICATION_TYPE
    ) {
        // SAFETY: the page: NULL or a row.
        let row = unsafe { row.as_ref() };
        let text = |row: &MIB_UNICASTIPADDRESS_ROW| {
            assert_eq!((value(row.InterfaceLuid), row.InterfaceIndex), (LUID, INDEX));
            format!("{}/{} {}", rows::to_ip(&row.Address).unwrap(), row.OnLinkPrefixLength, row.DadState)
        };
        of(context).hear(kind, row.map(text));
    }

    unsafe extern "C" fn route_changed(context: *mut c_void, row: *mut MIB_IPFORWARD_ROW2, kind: MIB_NOTIFICATION_TYPE) {
        // SAFETY: the page: NULL or a row.
        let row = unsafe { row.as_ref() };
        let text = |row: &MIB_IPFORWARD_ROW2| {
            let IP_ADDRESS_PREFIX { Prefix, PrefixLength } = row.DestinationPrefix;
            format!("{}/{PrefixLength} by {}", rows::to_ip(&Prefix).unwrap(), rows::to_ip(&row.NextHop).unwrap())
        };
        of(context).hear(kind, row.map(text));
    }

    unsafe extern "C" fn interface_changed(
        context: *mut c_void,
        row: *mut MIB_IPINTERFACE_ROW,
        kind: MIB_NOTIFICATION_TYPE
    ) {
        // SAFETY: the page: NULL or a row.
        let row = unsafe { row.as_ref() };
        let text = |row: &MIB_IPINTERFACE_ROW| format!("{} mtu {} up {}", row.Family, row.NlMtu, row.Connected);
        of(context).hear(kind, row.map(text));
    }
}

/// Registers for addresses.
pub(super) fn register(family: u32, listener: &Listener, initial: bool) -> NTSTATUS {
    let mut handle: HANDLE = ptr::without_provenance_mut(1);
    let (callback, context) = (Some(address_changed as _), listener.context());
    let status =
        import!(NotifyUnicastIpAddressChange, family as u16, callback, context, initial.into(), &raw mut handle);
    assert_eq!(handle.is_null(), status != STATUS_SUCCESS);
    *listener.handle.lock().unwrap() = handle.addr();
    status
}

pub(super) fn cancel(listener: &Listener) -> NTSTATUS {
    let handle: HANDLE = ptr::without_provenance_mut(*listener.handle.lock().unwrap());
    import!(CancelMibChangeNotify2, handle)
}

fn said(kind: MIB_NOTIFICATION_TYPE, what: &str) -> (MIB_NOTIFICATION_TYPE, String) {
    (kind, what.to_owned())
}

#[test]
fn a_driver_hears_of_every_change_of_an_address_on_a_kernel_thread_in_order() {
    let (bench, ear) = (Bench::new(1), listener());
    assert_eq!(bench.enter(|| register(AF_UNSPEC, ear, false)), STATUS_SUCCESS);
    bench.ip().add_address(LUID, ip("10.0.0.2"), 24, IpDadStateTentative);
    assert!(ear.heard().is_empty(), "told by the thread that made the change");
    bench.ip().add_address(LUID, ip("10.0.0.2"), 24, IpDadStatePreferred);
    bench.ip().add_address(LUID, ip("10.0.0.2"), 24, IpDadStatePreferred);
    bench.ip().remove_address(LUID, ip("fd00::1"));
    bench.machine.settle();
    let all = [
        said(MibAddInstance, "10.0.0.2/24 1"),
        said(MibParameterNotification, "10.0.0.2/24 4"),
        said(MibDeleteInstance, "fd00::1/64 4"),
    ];
    assert_eq!(ear.heard(), all);
    bench.ip().set_up(LUID, false);
    bench.machine.settle();
    let tentative = |text| said(MibParameterNotification, text);
    assert_eq!(ear.heard(), [tentative("10.0.0.1/24 1"), tentative("10.0.0.2/24 1")]);
    assert_eq!(bench.enter(|| cancel(ear)), STATUS_SUCCESS);
    assert_eq!(bench.machine.check_leaks(), 0);
}

#[test]
fn each_kind_of_registration_hears_of_its_own_rows_and_of_its_own_family() {
    let (bench, ears) = (Bench::new(1), [listener(), listener(), listener()]);
    bench.enter(|| {
        assert_eq!(register(AF_INET6, ears[0], false), STATUS_SUCCESS);
        let mut handle: HANDLE = null_mut();
        let (callback, context) = (Some(route_changed as _), ears[1].context());
        let status = import!(NotifyRouteChange2, AF_INET as u16, callback, context, 0, &raw mut handle);
        assert_eq!(status, STATUS_SUCCESS);
        *ears[1].handle.lock().unwrap() = handle.addr();
        let (callback, context) = (Some(interface_changed as _), ears[2].context());
        let status = import!(NotifyIpInterfaceChange, AF_UNSPEC as u16, callback, context, 0, &raw mut handle);
        assert_eq!(status, STATUS_SUCCESS);
        *ears[2].handle.lock().unwrap() = handle.addr();
    });
    bench.ip().add_address(LUID, ip("10.0.1.1"), 24, IpDadStatePreferred);
    bench.ip().add_address(LUID, ip("fd00::2"), 64, IpDadStatePreferred);
    bench.ip().add_route(ip("0.0.0.0"), 0, Some(ip("10.0.0.254")), LUID, 0);
    bench.ip().set_mtu(LUID, 9000);
    bench.machine.settle();
    assert_eq!(ears[0].heard(), [said(MibAddInstance, "fd00::2/64 4")]);
    let routes = ["10.0.1.0/24 by 0.0.0.0", "10.0.1.1/32 by 0.0.0.0", "0.0.0.0/0 by 10.0.0.254"];
    assert_eq!(ears[1].heard(), routes.map(|text| said(MibAddInstance, text)));
    let mtu = ["2 mtu 9000 up 1", "23 mtu 9000 up 1"];
    assert_eq!(ears[2].heard(), mtu.map(|text| said(MibParameterNotification, text)));
    bench.ip().set_family(Family::V6, false);
    bench.ip().remove_interface(LUID);
    bench.ip().add_interface(interface(LUID, INDEX, "Ethernet 1"));
    bench.machine.settle();
    assert_eq!(ears[0].heard(), [said(MibDeleteInstance, "fd00::2/64 4"), said(MibDeleteInstance, "fd00::1/64 4")]);
    assert_eq!(ears[1].heard().iter().filter(|heard| heard.0 == MibDeleteInstance).count(), 5);
    let comes_and_goes = [
        said(MibDeleteInstance, "23 mtu 9000 up 1"),
        said(MibDeleteInstance, "2 mtu 9000 up 1"),
        said(MibAddInstance, "2 mtu 1500 up 1"),
    ];
    assert_eq!(ears[2].heard(), comes_and_goes);
    bench.enter(|| ears.iter().for_each(|ear| assert_eq!(cancel(ear), STATUS_SUCCESS)));
    assert_eq!(bench.machine.check_leaks(), 0);
}

#[test]
fn an_initial_notification_comes_once_before_or_soon_after_registration_returns_as_the_seed_has_it() {
    let mut orders = Vec::new();
    for seed in 0..32 {
        let (bench, ear) = (Bench::new(seed), listener());
        assert_eq!(bench.enter(|| register(AF_UNSPEC, ear, true)), STATUS_SUCCESS);
        let early = ear.heard();
        bench.machine.settle();
        let late = ear.heard();
        orders.push(early.len());
        assert_eq!([early, late].concat(), [said(MibInitialNotification, "")]);
        bench.ip().add_address(LUID, ip("10.0.0.2"), 24, IpDadStatePreferred);
        bench.machine.settle();
        assert_eq!(ear.heard(), [said(MibAddInstance, "10.0.0.2/24 4")]);
        assert_eq!(bench.enter(|| cancel(ear)), STATUS_SUCCESS);
    }
    assert!(orders.contains(&0) && orders.contains(&1), "{orders:?}");
}

#[test]
fn nothing_is_heard_after_a_cancellation_not_even_of_what_was_before() {
    let (bench, ear) = (Bench::new(1), listener());
    bench.enter(|| register(AF_UNSPEC, ear, false));
    bench.ip().remove_address(LUID, ip("fd00::1"));
    assert_eq!(bench.enter(|| cancel(ear)), STATUS_SUCCESS);
    bench.ip().remove_address(LUID, ip("10.0.0.1"));
    bench.pass(1);
    assert!(ear.heard().is_empty());
}

#[test]
fn a_cancellation_waits_for_the_callback_that_runs_and_others_do_not() {
    let (bench, ears) = (Bench::new(1), [listener(), listener()]);
    bench.enter(|| ears.iter().for_each(|ear| assert_eq!(register(AF_UNSPEC, ear, false), STATUS_SUCCESS)));
    ears[0].slow.store(true, Ordering::SeqCst);
    bench.ip().remove_address(LUID, ip("fd00::1"));
    bench.ip().remove_address(LUID, ip("10.0.0.1"));
    bench.machine.settle();
    // One callback is inside; what the other registration is told does not wait for it.
    assert_eq!((ears[0].heard().len(), ears[1].heard().len()), (1, 2));
    let done = Arc::new(AtomicBool::new(false));
    let over = done.clone();
    bench.machine.thread("a driver that stops", move || {
        assert_eq!((cancel(ears[1]), cancel(ears[0])), (STATUS_SUCCESS, STATUS_SUCCESS));
        over.store(true, Ordering::SeqCst);
    });
    bench.machine.settle();
    assert!(!done.load(Ordering::SeqCst), "cancelled while its callback runs");
    assert_eq!(bench.machine.sched.waits(), ["a slow driver", "the end of a notification's callback"]);
    ears[0].slow.store(false, Ordering::SeqCst);
    bench.machine.settle();
    assert!(done.load(Ordering::SeqCst) && ears[0].heard().is_empty());
    assert_eq!(bench.machine.check_leaks(), 0);
}

#[test]
fn a_cancellation_that_the_callback_waits_for_is_a_deadlock() {
    let (bench, ear) = (Bench::new(1), listener());
    bench.enter(|| register(AF_UNSPEC, ear, false));
    ear.slow.store(true, Ordering::SeqCst);
    bench.ip().remove_address(LUID, ip("fd00::1"));
    bench.machine.settle();
    bench.enter(|| cancel(ear));
    assert_eq!(bench.broken(), [("deadlock", "CancelMibChangeNotify2")]);
    ear.slow.store(false, Ordering::SeqCst);
    let woken = bench.enter(|| bench.machine.wait("the callback", None, || !ear.inside.load(Ordering::SeqCst)));
    assert_eq!(woken, Woken::Condition);
}

#[test]
fn a_registration_that_is_none_has_the_status_of_its_page_and_no_handle() {
    let (bench, ear) = (Bench::new(1), listener());
    bench.enter(|| {
        assert_eq!(register(1, ear, false), STATUS_INVALID_PARAMETER);
        bench.machine.fail_once("NotifyUnicastIpAddressChange");
        assert_eq!(register(AF_UNSPEC, ear, false), STATUS_NO_MEMORY);
        let mut handle: HANDLE = ptr::without_provenance_mut(1);
        let (callback, context) = (Some(route_changed as _), ear.context());
        bench.machine.fail_once("NotifyRouteChange2");
        let status = import!(NotifyRouteChange2, AF_INET as u16, callback, context, 1, &raw mut handle);
        assert!(status == STATUS_NO_MEMORY && handle.is_null());
        handle = ptr::without_provenance_mut(1);
        let callback = Some(interface_changed as _);
        let status = import!(NotifyIpInterfaceChange, 99, callback, context, 1, &raw mut handle);
        assert!(status == STATUS_INVALID_PARAMETER && handle.is_null());
        bench.machine.fail_once("NotifyIpInterfaceChange");
        let status = import!(NotifyIpInterfaceChange, AF_INET as u16, callback, context, 1, &raw mut handle);
        assert!(status == STATUS_NO_MEMORY && handle.is_null());
        assert_eq!(import!(CancelMibChangeNotify2, null_mut()), STATUS_INVALID_PARAMETER);
    });
    bench.pass(1);
    assert!(ear.heard().is_empty());
    assert_eq!(bench.machine.check_leaks(), 0);
}
