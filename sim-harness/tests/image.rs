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
    let driver = Driver::start(&machine, &bytes, "softndk");
    match driver {
        Ok(driver) => {
            assert!(machine.kmdf.is_bound(driver.object()));
            assert!(driver.image().contains(driver.image().entry));
            assert!(driver.image().imports().any(|name| name == "WdfVersionBind"));
            assert_eq!(machine.log_lines().len(), 1, "{:?}", machine.log_lines());
            assert_eq!(machine.verifier.take(), []);
        }
        // A simulated kernel that lacks a library says which functions of it.
        Err(StartError::Load(error)) => assert!(error.to_string().starts_with("imports without"), "{error}"),
        Err(error) => panic!("{error}"),
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
