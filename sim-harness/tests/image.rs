//! The driver image in the simulated kernel: it loads, every import is bound, its entry runs.

use sim_harness::image;
use sim_harness::kernel::Machine;
use sim_harness::kernel::driver::{Driver, StartError};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

fn machine() -> Arc<Machine> {
    Machine::new("one", Arc::new(AtomicU64::new(0)), 7)
}

/// Section headers start behind the optional header; a section's flags are its last four bytes.
fn make_code_writable(bytes: &mut [u8]) {
    let word = |bytes: &[u8], at: usize| u16::from_le_bytes([bytes[at], bytes[at + 1]]) as usize;
    let header = word(bytes, 0x3c);
    let sections = header + 24 + word(bytes, header + 20);
    bytes[sections + 39] |= 0x80;
}

/// D6, D7, W-05, W-44
#[test]
fn the_image_loads_between_guard_pages_and_its_entry_binds_the_framework() {
    let bytes = std::fs::read(image::build(false).unwrap()).unwrap();
    let machine = machine();
    let driver = Driver::start(&machine, &bytes, "softndk").unwrap();
    assert!(machine.kmdf.is_bound(driver.object()));
    assert!(driver.image().contains(driver.image().entry));
    assert!(driver.image().imports().any(|name| name == "WdfVersionBind"));
    assert_eq!(machine.verifier.take(), []);
    assert_eq!(driver.unload(), 0);
}

/// REG-01, REG-02, REG-03, REG-04, W-01, W-04, W-05, W-09
#[test]
fn the_driver_registers_both_edges_and_ndk_and_its_unload_undoes_all_of_it() {
    let bytes = std::fs::read(image::build(false).unwrap()).unwrap();
    let machine = machine();
    for _ in 0..2 {
        let driver = Driver::start(&machine, &bytes, "softndk").unwrap();
        assert!(machine.ndis.is_intermediate() && machine.ndis.is_ndk_provider());
        assert_eq!(driver.unload(), 0);
        assert!(!machine.ndis.is_intermediate() && !machine.ndis.is_ndk_provider());
    }
    assert_eq!(machine.verifier.take(), []);
}

/// REG-05, W-04: every call of the entry that can fail fails once.
#[test]
fn an_entry_that_fails_half_way_undoes_what_it_did() {
    let bytes = std::fs::read(image::build(false).unwrap()).unwrap();
    for call in
        ["WdfDriverCreate", "NdisMRegisterMiniportDriver", "NdisSetOptionalHandlers", "NdisRegisterProtocolDriver"]
    {
        let machine = machine();
        machine.fail_once(call);
        let refused = Driver::start(&machine, &bytes, "softndk").unwrap_err();
        assert!(matches!(refused, StartError::Entry(status) if status < 0), "{call}: {refused}");
        assert_eq!(machine.verifier.take(), [], "{call}");
        // And it starts when nothing fails.
        assert_eq!(Driver::start(&machine, &bytes, "softndk").unwrap().unload(), 0, "{call}");
        assert_eq!(machine.verifier.take(), [], "{call}");
    }
}

#[test]
fn an_image_whose_code_may_be_written_is_refused_by_the_loader_and_by_the_checks() {
    let mut bytes = std::fs::read(image::build(false).unwrap()).unwrap();
    make_code_writable(&mut bytes);
    let faults = image::inspect(&bytes).unwrap().faults;
    assert!(faults.iter().any(|fault| fault.contains("both writable and executable")), "{faults:?}");
    let refused = Driver::start(&machine(), &bytes, "softndk").unwrap_err();
    assert!(refused.to_string().contains("both written and executed"), "{refused}");
}

/// D10: no panic is reachable from the data path, since none is in the image; a debug build has overflow checks and others.
#[test]
fn an_optimised_image_has_no_function_that_panics() {
    let panics = |name, release| image::panics::of(&image::build_named(name, release).unwrap()).unwrap();
    for name in image::NAMES {
        assert_eq!(panics(name, true), [""; 0], "{name}");
        let bytes = std::fs::read(image::build_named(name, true).unwrap()).unwrap();
        assert_eq!(image::inspect(&bytes).unwrap().faults, [""; 0], "{name}");
    }
    assert!(!panics("softndk", false).is_empty(), "the map of a debug build names what it can panic with");
}
