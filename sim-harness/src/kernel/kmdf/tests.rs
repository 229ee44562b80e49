//! The framework's rules (W-05), each broken on purpose.

use super::*;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

/// The rules that are broken with a driver object, each with what is said of it.
fn broken(driver: impl FnOnce(PDRIVER_OBJECT)) -> Vec<(&'static str, String)> {
    let machine = Machine::new("framework", Arc::new(AtomicU64::new(0)), 1);
    machine.enter(|| driver(ptr::without_provenance_mut(0x1000)));
    machine.verifier.take().into_iter().map(|one| (one.rule, one.text)).collect()
}

fn assert_rules(broken: &[(&'static str, String)], expected: &[(&str, &str)]) {
    let same = broken.len() == expected.len()
        && broken.iter().zip(expected).all(|((rule, text), (wanted, words))| rule == wanted && text.contains(words));
    assert!(same, "broken: {broken:#?}, expected: {expected:#?}");
}

/// Binds as the entry stub does; the globals.
fn bind(driver: PDRIVER_OBJECT, count: u32) -> *mut Globals {
    let (name, mut table, mut globals) = ("KmdfLibrary\0", ptr::null(), ptr::null_mut());
    let units: Vec<u16> = name.encode_utf16().collect();
    let mut info = BindInfo {
        size: size_of::<BindInfo>() as u32,
        component: units.as_ptr(),
        major: 1,
        minor: 31,
        build: 0,
        count,
        table: &raw mut table,
        module: ptr::null_mut(),
    };
    // SAFETY: the loader's contract: a bind information, and room for the globals; no path.
    unsafe { version_bind(driver, ptr::null_mut(), &raw mut info, &raw mut globals) };
    globals
}

fn create(globals: *mut Globals, driver: PDRIVER_OBJECT, flags: u32) -> PVOID {
    let size = size_of::<DriverConfig>() as u32;
    let config = DriverConfig { size, device_add: None, unload: None, flags, tag: 0 };
    let mut handle = ptr::null_mut();
    // SAFETY: the page of WdfDriverCreate: a valid configuration, room for the handle.
    unsafe { driver_create(globals, driver, ptr::null(), ptr::null(), &raw const config, &raw mut handle) };
    handle
}

fn create_device(globals: *mut Globals, driver: PVOID, device: usize) {
    let (none, mut handle) = (ptr::null_mut(), ptr::null_mut());
    let device = ptr::without_provenance_mut(device);
    // SAFETY: the page of WdfDeviceMiniportCreate: room for the handle; the device object is not looked into.
    unsafe { device_miniport_create(globals, driver, ptr::null(), device, none, none, &raw mut handle) };
}

/// What a miniport driver does: nothing is held against it.
#[test]
fn a_driver_that_binds_creates_unloads_and_unbinds_breaks_nothing() {
    let rules = broken(|driver| {
        let globals = bind(driver, 1);
        let handle = create(globals, driver, NO_DISPATCH_OVERRIDE);
        // SAFETY: its own globals and driver.
        unsafe { driver_miniport_unload(globals, handle) };
        // SAFETY: as above.
        unsafe { version_unbind(ptr::null_mut(), ptr::null_mut(), globals) };
    });
    assert_rules(&rules, &[]);
}

#[test]
fn a_driver_without_the_miniport_flag_created_twice_or_left_with_a_device_is_caught() {
    let rules = broken(|driver| {
        let globals = bind(driver, 1);
        let handle = create(globals, driver, 0);
        create(globals, driver, NO_DISPATCH_OVERRIDE);
        create_device(globals, handle, 0);
        create_device(globals, ptr::null_mut(), 0x2000);
        create_device(globals, handle, 0x2000);
        // SAFETY: its own globals, and a handle that is none.
        unsafe { object_delete(globals, handle) };
        // SAFETY: its own globals and driver.
        unsafe { driver_miniport_unload(globals, handle) };
        // SAFETY: the same again.
        unsafe { driver_miniport_unload(globals, handle) };
    });
    let expected = [
        ("W-05", "without WdfDriverInitNoDispatchOverride"),
        ("kmdf", "WdfDriverCreate twice"),
        ("kmdf", "without the miniport's device object"),
        ("kmdf", "which is no driver"),
        ("kmdf", "which is no device"),
        ("W-05", "a framework device left"),
        ("W-05", "WdfDriverMiniportUnload of"),
    ];
    assert_rules(&rules, &expected);
}

#[test]
fn drivers_that_bind_twice_wrongly_or_not_at_all_are_caught() {
    let rules = broken(|driver| {
        bind(driver, 1);
        bind(driver, 1);
        bind(driver, 100_000);
        let mut none = Globals { driver: ptr::null_mut(), flags: 0, tag: 0, name: [0; 32], displace_unload: 0 };
        create(&raw mut none, driver, NO_DISPATCH_OVERRIDE);
        // SAFETY: globals that are nobody's.
        unsafe { version_unbind(ptr::null_mut(), ptr::null_mut(), &raw mut none) };
    });
    let expected = [
        ("kmdf", "binds to the framework twice"),
        ("kmdf", "that KMDF 1.33 does not take"),
        ("W-05", "WdfDriverCreate for a driver that is not bound"),
        ("W-05", "WdfVersionUnbind by a driver that is not bound"),
    ];
    assert_rules(&rules, &expected);
}
