//! What the driver image makes of its registry keys and of the system's secret: keywords that are absurd, missing or cannot be
//! read, pairings that are none, and the same run again from the same seed.

use sim_harness::image;
use sim_harness::kernel::host::{Host, Shape};
use sim_harness::kernel::ndis::bindings;
use sim_harness::kernel::ndis::native::Nic;
use sim_harness::kernel::nt::registry::Value;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

fn image() -> Vec<u8> {
    std::fs::read(image::build(false).unwrap()).unwrap()
}

/// A host that `prepare` changes before its driver starts.
fn started(shape: &Shape, prepare: impl FnOnce(&Host)) -> Arc<Host> {
    let host = Host::new(shape, Arc::new(AtomicU64::new(0)));
    prepare(&host);
    host.start(&image()).unwrap();
    host
}

/// The driver goes, and nothing is held against it.
fn end(host: &Host) {
    assert_eq!(host.unload(), 0);
    assert_eq!(host.machine.verifier.take(), []);
}

/// INF-01: a value that cannot be is replaced by the default, and the event log says so.
#[test]
fn keywords_that_are_absurd_get_their_defaults_and_a_line_each_in_the_event_log() {
    let mut shape = Shape::plain(0, 1);
    shape.set("*JumboPacket", "9000");
    shape.set("*NetworkDirectTechnology", "1");
    let host = started(&shape, |_| ());
    assert!(host.instance().is_some());
    let mut lines = host.machine.log_lines();
    lines.retain(|line| line.starts_with("event log"));
    let technology = r#"event log: 0xa0000004 [1] "*NetworkDirectTechnology""#;
    assert_eq!(lines, [technology, r#"event log: 0xa0000004 [9000] "*JumboPacket""#]);
    end(&host);
}

/// NdisReadConfiguration gives a value as it is, whatever was asked for.
#[test]
fn a_keyword_that_is_no_number_counts_as_missing() {
    let mut shape = Shape::plain(0, 1);
    shape.set("*NetworkDirectRoCEFrameSize", "large");
    shape.set("*JumboPacket", "");
    let host = started(&shape, |_| ());
    assert!(host.instance().is_some());
    assert!(!host.machine.log_lines().iter().any(|line| line.starts_with("event log")));
    end(&host);
}

/// W-02: the pairing is a list of names, or one name; anything else pairs nothing.
#[test]
fn a_pairing_is_strings_and_a_number_or_bytes_are_none() {
    let pairing = |value: Value| {
        let host = started(&Shape::plain(0, 1), |host| {
            let key = bindings::key_of(&host.nic.attributes().name);
            host.machine.nt.registry.set(&key, "UpperBindings", value.clone());
        });
        let paired = host.instance().is_some();
        end(&host);
        paired
    };
    let device = r"\DEVICE\{534F4654-4E44-4B00-8000-000000000010}";
    assert!(pairing(Value::Sz(device.to_owned())));
    assert!(pairing(Value::MultiSz(vec![device.to_owned(), r"\DEVICE\{2}".to_owned()])));
    let none = [Value::Dword(1), Value::Binary(vec![0x5c; 64]), Value::MultiSz(Vec::new()), Value::Sz(String::new())];
    for value in none {
        assert!(!pairing(value.clone()), "{value:?}");
    }
}

/// Failures that pages promise, of the first call or of the first few: the driver goes on without what it did not get.
#[test]
fn a_start_without_a_key_a_value_a_work_item_or_a_secret_leaves_nothing_behind() {
    let names = [
        "NdisOpenConfigurationEx",
        "NdisReadConfiguration",
        "NdisAllocateIoWorkItem",
        "BCryptGenRandom",
        "IoAllocateErrorLogEntry",
        "IoAllocateWorkItem",
    ];
    for name in names {
        for count in 1..=4 {
            let mut shape = Shape::plain(0, 1);
            shape.set("*JumboPacket", "1");
            let host = Host::new(&shape, Arc::new(AtomicU64::new(0)));
            (0..count).for_each(|_| host.machine.fail_once(name));
            let _ = host.start(&image());
            assert_eq!(host.unload(), 0, "{name} {count}");
            assert_eq!(host.machine.verifier.take(), [], "{name} {count}");
        }
    }
}

/// Without a secret there is no instance: numbers that could be guessed are worse than none.
#[test]
fn an_adapter_without_a_secret_is_not_initialised() {
    let host = started(&Shape::plain(0, 1), |host| host.machine.fail_once("BCryptGenRandom"));
    assert_eq!(host.instance(), None);
    end(&host);
}
