//! Rules of power, broken on purpose: NDIS is told behind the driver's back that an edge sleeps, and the driver goes on.

use super::bindings;
use super::oids;
use crate::image;
use crate::kernel::Machine;
use crate::kernel::host::{Host, Shape};
use ndk_types::*;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, OnceLock};

/// A host whose driver runs, its binding and its instance.
fn started() -> (Arc<Host>, usize, usize) {
    static IMAGE: OnceLock<Vec<u8>> = OnceLock::new();
    let bytes = IMAGE.get_or_init(|| std::fs::read(image::build(false).unwrap()).unwrap());
    let host = Host::new(&Shape::plain(0, 1), Arc::new(AtomicU64::new(0)));
    host.start(bytes).unwrap();
    let binding = host.machine.ndis.adapters.binding_of(host.nic_handle).unwrap();
    let instance = host.instance().unwrap();
    assert_eq!(host.machine.verifier.take(), []);
    (host, binding, instance)
}

/// What was held against the driver, by the first words of each; it is then unloaded.
fn caught(host: &Host, undo: impl FnOnce(&Arc<Machine>)) -> Vec<(&'static str, String)> {
    let broken = host.machine.verifier.take();
    undo(&host.machine);
    assert_eq!((host.unload(), host.machine.verifier.take()), (0, Vec::new()));
    let mut all: Vec<_> = broken.into_iter().map(|one| (one.rule, one.text)).collect();
    all.dedup();
    all
}

fn sleep_below(machine: &Machine, binding: usize, asleep: bool) {
    machine.adapters().bindings.get_mut(&binding).unwrap().asleep = asleep;
}

fn sleep_above(machine: &Machine, instance: usize, asleep: bool) {
    machine.adapters().miniports.get_mut(&instance).unwrap().asleep = asleep;
}

fn text(text: &str) -> Vec<(&'static str, String)> {
    vec![("W-08", text.to_owned())]
}

/// W-08
#[test]
fn a_request_to_a_nic_that_sleeps_is_caught() {
    let (host, binding, instance) = started();
    sleep_below(&host.machine, binding, true);
    let filter = NDIS_PACKET_TYPE_DIRECTED.to_ne_bytes();
    oids::request(&host.machine, instance, NdisRequestSetInformation, OID_GEN_CURRENT_PACKET_FILTER, &filter);
    let wrong = caught(&host, |machine| sleep_below(machine, binding, false));
    assert_eq!(wrong, text("NdisOidRequest to a NIC that sleeps"));
}

/// W-08
#[test]
fn a_send_to_a_nic_that_sleeps_is_caught() {
    let (host, binding, _) = started();
    sleep_below(&host.machine, binding, true);
    host.tcpip.with(|stack| stack.ping(crate::bed::ipv4(1), 1)).unwrap();
    host.settle();
    let wrong = caught(&host, |machine| sleep_below(machine, binding, false));
    assert_eq!(wrong, text("NdisSendNetBufferLists to a NIC that sleeps"));
}

/// W-08
#[test]
fn a_sleep_that_is_complete_before_the_last_send_is_back_is_caught() {
    let (host, binding, _) = started();
    host.machine.adapters().bindings.get_mut(&binding).unwrap().sends += 1;
    host.machine.enter(|| bindings::set_power(&host.machine, binding, NetDeviceStateD3));
    let wrong = caught(&host, |machine| machine.adapters().bindings.get_mut(&binding).unwrap().sends -= 1);
    assert_eq!(wrong, text("NetEventSetPower is complete while the NIC has 1 lists and 0 requests"));
}

/// W-08
#[test]
fn an_instance_that_says_something_in_its_sleep_is_caught() {
    let (host, _, instance) = started();
    sleep_above(&host.machine, instance, true);
    // A broadcast for TCP/IP.
    let mut frame = [0; 60];
    frame[..6].fill(0xff);
    frame[12..14].copy_from_slice(&[8, 6]);
    host.receive(&frame);
    host.nic.set_link(&host.machine, false);
    let wrong = caught(&host, |machine| sleep_above(machine, instance, false));
    let calls = ["NdisMIndicateReceiveNetBufferLists", "NdisMIndicateStatusEx"];
    let each = calls.map(|call| ("W-08", format!("{call} by an instance that sleeps")));
    assert_eq!(wrong, each);
}
