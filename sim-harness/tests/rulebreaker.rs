//! rulebreaker.sys beside softndk.sys: each rule that it breaks is caught, by name, and the machine goes on.

use sim_harness::image;
use sim_harness::kernel::driver::Driver;
use sim_harness::kernel::host::{Host, INDEX, Shape};
use sim_harness::kernel::nt::io;
use sim_harness::kernel::verifier::Violation;
use std::sync::Arc;

#[expect(unreachable_pub, reason = "the image's own file")]
#[path = "../image/rulebreaker/src/deeds.rs"]
mod deeds;

/// A host with both drivers, on which one deed is done; what the verifier says of it, and what of the unloads.
fn after(deed: u32) -> [Vec<Violation>; 2] {
    let read = |name| std::fs::read(image::build_named(name, false).unwrap()).unwrap();
    let host = Host::new(&Shape::plain(0, 1), Arc::default());
    host.start(&read("softndk")).unwrap();
    let driver = Driver::start(&host.machine, &read("rulebreaker"), "rulebreaker").unwrap();
    let file = io::open(&host.machine, deeds::DEVICE).unwrap();
    assert_eq!(host.machine.verifier.take(), []);
    let _ = io::device_io_control(&host.machine, &file, deed, &INDEX.to_le_bytes(), 0);
    host.settle();
    let broken = host.machine.verifier.take();
    io::close(&host.machine, file);
    driver.unload();
    host.unload();
    [broken, host.machine.verifier.take()]
}

/// The deed breaks this rule, the message says of what, and nothing else is wrong, then or at the end.
fn is_caught(deed: u32, rule: &str, words: &[&str]) {
    let [broken, later] = after(deed);
    let caught = broken.iter().filter(|violation| violation.rule == rule);
    let says = |violation: &&Violation| words.iter().all(|word| violation.to_string().contains(word));
    assert!(caught.clone().any(|violation| says(&violation)), "{broken:?}");
    assert!(broken.iter().all(|violation| violation.rule == rule), "{broken:?}");
    assert_eq!(later, []);
}

#[test]
fn a_consumer_that_behaves_hears_nothing() {
    assert_eq!(after(deeds::BEHAVE), [vec![], vec![]]);
}

#[test]
fn a_post_while_another_is_under_way_is_caught() {
    is_caught(deeds::POST_WITHIN_A_POST, "WR-50", &["NdkReceive on NDK_QP", "while NdkReceive is under way"]);
}

#[test]
fn an_object_closed_twice_is_caught() {
    is_caught(deeds::CLOSE_TWICE, "LT-20", &["NdkCloseCq on NDK_CQ", "its close was issued before"]);
}

#[test]
fn an_object_used_after_its_close_is_caught() {
    is_caught(deeds::USE_AFTER_CLOSE, "LT-20", &["NdkGetCqResults on NDK_CQ", "its close was issued before"]);
}

#[test]
fn a_call_at_the_wrong_irql_is_caught() {
    is_caught(deeds::ASK_AT_DISPATCH, "COM-05", &["NdkQueryAdapterInfo is for PASSIVE_LEVEL", "DISPATCH_LEVEL"]);
}

#[test]
fn objects_left_open_under_a_closed_adapter_are_caught() {
    for what in ["NDK_CQ", "NDK_PD", "NDK_QP"] {
        is_caught(deeds::LEAK_OBJECTS, "leak", &[what, "is open and its NDK_ADAPTER is closed"]);
    }
}

#[test]
fn a_mapping_left_under_a_closed_adapter_is_caught() {
    is_caught(deeds::LEAK_A_MAPPING, "leak", &["NdkBuildLAM", "is not released"]);
}

#[test]
fn an_adapter_closed_twice_is_caught() {
    is_caught(deeds::CLOSE_THE_ADAPTER_TWICE, "wsk", &["NDK_ADAPTER", "it is not open"]);
}

#[test]
fn a_wait_at_dispatch_level_is_caught() {
    is_caught(deeds::WAIT_AT_DISPATCH, "irql", &["KeWaitForSingleObject", "DISPATCH_LEVEL"]);
}

#[test]
fn a_request_that_is_returned_pending_and_not_marked_is_caught() {
    is_caught(deeds::PEND_UNMARKED, "irp", &["pending"]);
}

#[test]
fn a_request_completed_twice_is_caught() {
    is_caught(deeds::COMPLETE_TWICE, "irp", &["IofCompleteRequest"]);
}

#[test]
fn a_byte_behind_a_block_of_pool_is_caught() {
    is_caught(deeds::WRITE_BEHIND_A_BLOCK, "pool", &["bytes behind block", "ExFreePoolWithTag"]);
}

#[test]
fn a_lock_that_is_kept_is_caught() {
    let [broken, _] = after(deeds::KEEP_A_LOCK);
    assert!(broken.iter().any(|violation| violation.text.contains("DISPATCH_LEVEL")), "{broken:?}");
}

/// What only shows when the driver is gone.
#[test]
fn a_block_of_pool_left_behind_is_caught() {
    let [broken, later] = after(deeds::LEAK_A_BLOCK);
    assert_eq!(broken, []);
    assert_eq!(later.len(), 1, "{later:?}");
    assert!(later[0].rule == "leak" && later[0].text.contains("'rule'"), "{later:?}");
}

#[test]
fn an_adapter_left_open_is_caught() {
    let [broken, later] = after(deeds::LEAK_THE_ADAPTER);
    let all: Vec<_> = broken.iter().chain(&later).collect();
    assert!(all.iter().any(|violation| violation.text.contains("NDK_ADAPTER")), "{all:?}");
}
