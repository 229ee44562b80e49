//! Every rule that the simulated NDIS holds against an intermediate driver, broken on purpose by a small one that otherwise keeps
//! them all: a run of it as it is breaks none, so that none is reported by accident.

mod attributes;
mod binding;
mod driver;
mod handlers;
mod lists_on_their_way;
mod ndk;
mod requests;
mod states;

use super::adapters::{Choices, Device, Edge};
use super::lists::tests::ndis;
use super::lists::{Holder, Nbl};
use super::native::{NicAttributes, ProtocolAbove};
use super::{bindings, data_path, miniports, oids, pnp};
use crate::kernel::Machine;
use crate::kernel::irql::{self, Irql};
use crate::kernel::nic::SimNic;
use driver::{DEVICE, Deeds, Driver, LUID};
use ndk_types::*;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

const MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];
/// The interface index of the virtual miniport.
const INDEX: u32 = 10;

/// A frame from the NIC's address to everybody.
fn frame() -> Vec<u8> {
    let mut frame = vec![0xff; 6];
    frame.extend(MAC);
    frame.resize(60, 7);
    frame
}

/// A protocol above that keeps what it gets while `keep` is set.
#[derive(Default)]
struct Above {
    keep: AtomicUsize,
    received: AtomicUsize,
    sent: AtomicUsize,
    kept: Mutex<Vec<Nbl>>,
    /// NDK_ADAPTERs it closes when NDK is disabled, as exposed addresses.
    adapters: Mutex<Vec<usize>>,
}

impl Above {
    fn give_back(&self, machine: &Arc<Machine>, instance: usize) {
        let kept = std::mem::take(&mut *self.kept.lock().unwrap());
        if !kept.is_empty() {
            data_path::protocol_return(machine, instance, &kept);
        }
    }
}

impl ProtocolAbove for Above {
    fn bound(&self, _machine: &Arc<Machine>, _instance: usize, _adapter: &NicAttributes) {}

    fn unbound(&self, machine: &Arc<Machine>, instance: usize) {
        self.give_back(machine, instance);
    }

    fn received(&self, machine: &Arc<Machine>, lists: Vec<Nbl>, resources: bool) {
        self.received.fetch_add(lists.len(), Ordering::SeqCst);
        if !resources {
            self.kept.lock().unwrap().extend(lists);
        }
        if self.keep.load(Ordering::SeqCst) == 0 {
            self.give_back(machine, machine.ndis.adapters.instances()[0]);
        }
    }

    fn sent(&self, machine: &Arc<Machine>, lists: Vec<Nbl>) {
        self.sent.fetch_add(lists.len(), Ordering::SeqCst);
        for list in lists {
            machine.ndis.lists.destroy(machine, list);
        }
    }

    fn status(&self, _machine: &Arc<Machine>, _code: NDIS_STATUS, _buffer: &[u8]) {}

    fn ndk_changed(&self, machine: &Arc<Machine>, enabled: bool) {
        if !enabled {
            for adapter in std::mem::take(&mut *self.adapters.lock().unwrap()) {
                pnp::close_ndk_adapter(machine, std::ptr::with_exposed_provenance_mut(adapter));
            }
        }
    }
}

/// A machine with a NIC, the driver, and a protocol above it.
struct Bench {
    machine: Arc<Machine>,
    nic: Arc<SimNic>,
    nic_handle: usize,
    above: Arc<Above>,
    driver: Arc<Driver>,
}

impl Bench {
    fn new(deeds: Deeds) -> Self {
        let clock = Arc::new(AtomicU64::new(0));
        let machine = Machine::new("bad", clock, 77);
        let device = Device {
            name: DEVICE.to_owned(),
            luid: LUID,
            index: INDEX,
            key: r"\REGISTRY\MACHINE\bad".to_owned(),
            started: true,
        };
        miniports::add_device(&machine, device);
        let nic = SimNic::new(SimNic::ethernet(MAC, 20), 1);
        let nic_handle = bindings::nic_handle(&machine);
        nic.attach(Arc::new(data_path::Up(nic_handle)));
        bindings::add_nic(&machine, nic_handle, nic.clone());
        let above = Arc::new(Above::default());
        machine.ndis.adapters.set_above(above.clone());
        Self { machine, nic, nic_handle, above, driver: Driver::new(deeds) }
    }

    /// Registers the driver; the bind and the initialisation follow from that.
    fn start(&self) {
        self.machine.enter(|| {
            assert_eq!(self.driver.register_miniport(), NDIS_STATUS_SUCCESS);
            assert_eq!(self.driver.register_protocol(), NDIS_STATUS_SUCCESS);
            self.driver.associate();
        });
        self.settle();
    }

    fn settle(&self) {
        self.machine.settle();
        self.machine.enter(|| irql::at(Irql::Dispatch, || self.nic.run_due(&self.machine)));
        self.machine.settle();
    }

    /// Runs something on a kernel thread, since it may wait, until that and everything else is over.
    fn on_thread(&self, what: impl FnOnce(&Arc<Machine>, &Arc<Driver>) + Send + 'static) {
        let (machine, driver) = (self.machine.clone(), self.driver.clone());
        self.machine.thread("the test", move || what(&machine, &driver));
        self.settle();
    }

    /// Runs something as the driver at PASSIVE_LEVEL.
    fn driver<R>(&self, what: impl FnOnce(&Driver) -> R) -> R {
        self.machine.enter(|| what(&self.driver))
    }

    fn instance(&self) -> usize {
        self.machine.ndis.adapters.instances().first().copied().unwrap_or(0)
    }

    fn binding(&self) -> usize {
        self.machine.ndis.adapters.binding_of(self.nic_handle).unwrap_or(0)
    }

    /// The protocol above sends a frame.
    fn send(&self) {
        let list = self.machine.ndis.lists.build(&self.machine, Holder::Above, &[&frame()], self.instance()).unwrap();
        self.machine.enter(|| {
            irql::at(Irql::Dispatch, || data_path::protocol_send(&self.machine, self.instance(), &[list], 0));
        });
        self.settle();
    }

    /// A frame arrives at the NIC.
    fn receive(&self) {
        self.machine.enter(|| irql::at(Irql::Dispatch, || self.nic.deliver(&self.machine, &frame())));
        self.settle();
    }

    /// Deregisters the driver.
    fn stop(&self) {
        self.on_thread(|_, driver| {
            driver.deregister_protocol();
            driver.deregister_miniport();
        });
    }

    /// The rules broken so far, each with what is said of it.
    fn broken(&self) -> Vec<(&'static str, String)> {
        self.machine.verifier.take().into_iter().map(|one| (one.rule, one.text)).collect()
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        self.machine.sched.abandon();
        irql::set(Irql::Passive);
    }
}

/// Holds what was broken against what was to be: the rules in order, and words of what is said of each.
fn assert_rules(broken: &[(&'static str, String)], expected: &[(&str, &str)]) {
    let same = broken.len() == expected.len()
        && broken.iter().zip(expected).all(|((rule, text), (wanted, words))| rule == wanted && text.contains(words));
    assert!(same, "broken: {broken:#?}, expected: {expected:#?}");
}

/// A driver with these deeds runs, `script` happens to it, and it is unloaded; the rules are these, leaks among them.
fn breaks(deeds: Deeds, script: impl FnOnce(&Bench), expected: &[(&str, &str)]) {
    let bench = Bench::new(deeds);
    bench.start();
    script(&bench);
    bench.stop();
    bench.machine.check_leaks();
    assert_rules(&bench.broken(), expected);
}

/// Somebody waits for what a driver owes and never does.
fn assert_waits(bench: &Bench, what: &str) {
    bench.machine.check_leaks();
    let (broken, text) = (bench.broken(), format!("a thread still waits for {what}"));
    assert_eq!(broken.iter().filter(|one| **one == ("leak", text.clone())).count(), 1, "{broken:#?}");
}

/// Everything that a driver has to do, once.
fn everything(bench: &Bench) {
    assert_eq!(bench.machine.ndis.adapters.edge(bench.instance()), Some(Edge::Running));
    bench.send();
    bench.receive();
    assert_eq!((bench.above.sent.load(Ordering::SeqCst), bench.above.received.load(Ordering::SeqCst)), (1, 1));
    assert_eq!(bench.nic.take_frames(), [frame()]);
    bench.on_thread(|machine, driver| {
        let instance = driver.instance().addr();
        let answer = oids::request(machine, instance, NdisRequestQueryInformation, OID_GEN_VENDOR_ID, &[0; 4]);
        assert_eq!(answer.status, NDIS_STATUS_SUCCESS);
        let kind = NdisRequestMethod;
        let answer = oids::direct_request(machine, instance, Irql::Dispatch, kind, OID_NDK_CONNECTIONS, &[0; 4]);
        assert_eq!(answer.status, NDIS_STATUS_SUCCESS);
        driver.status(driver.instance());
        driver.announce(NetEventNDKDisable, |_| {});
        driver.announce(NetEventNDKEnable, |_| {});
    });
    let adapter = bench.machine.enter(|| pnp::open_ndk_adapter(&bench.machine, INDEX, NDK_VERSION::default()).unwrap());
    bench.machine.enter(|| pnp::close_ndk_adapter(&bench.machine, adapter));
    let (binding, instance) = (bench.binding(), bench.instance());
    bench.on_thread(move |machine, _| {
        miniports::pause(machine, instance);
        bindings::pause(machine, binding);
        bindings::restart(machine, binding);
        miniports::restart(machine, instance);
    });
    bench.send();
    assert_eq!(bench.nic.take_frames().len(), 1);
}

/// The driver keeps every rule, whatever the pages leave open: what the other tests find is what they broke.
#[test]
fn a_driver_that_keeps_the_rules_breaks_none() {
    for choice in 0..8 {
        let bench = Bench::new(Deeds::KEPT);
        bench.machine.ndis.adapters.choose(Choices {
            open_pends: choice & 1 != 0,
            close_pends: choice & 2 != 0,
            initialise_later: choice & 4 != 0,
            bind_at_once: false,
        });
        bench.start();
        everything(&bench);
        bench.stop();
        assert_eq!((bench.machine.check_leaks(), bench.broken()), (0, vec![]), "choice {choice}");
    }
}

/// D8: a broken rule says with which seed it can be seen again.
#[test]
fn a_broken_rule_names_the_seed() {
    let bench = Bench::new(Deeds::KEPT);
    bench.driver(Driver::associate);
    let all = bench.machine.verifier.take();
    assert!(all.len() == 1 && all[0].seed == 77 && all[0].to_string().ends_with("seed 77)"), "{all:?}");
}
