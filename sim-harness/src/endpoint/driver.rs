//! The driver image in real time: a simulated Windows machine whose clock is the real one, and whose NIC is on the wire. TCP/IP
//! above the driver and IP Helper find neighbours and answer for our addresses, through the driver like all else.

use super::{Live, Options, PATIENCE, Trouble, WAITS, step_until};
use crate::kernel::host::{Host, Shape, bed};
use crate::kernel::irql::{self, Irql};
use crate::kernel::ndis::pnp;
use crate::kernel::nic::carrier::{self, Carrier};
use crate::kernel::nt::memory::PhysicalMemory;
use crate::memory;
use ndk_types::NDK_VERSION;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

/// The machine, its wire and the real clock.
struct Machine<'a> {
    carrier: &'a dyn Carrier,
    started: Instant,
    clock: Arc<AtomicU64>,
    host: Arc<Host>,
}

impl Machine<'_> {
    /// The machine's clock goes on; what it shows now. It stands still while the machine works, as between two clock interrupts.
    fn tick(&self) -> u64 {
        let now = self.started.elapsed().as_nanos() as u64;
        self.clock.store(now, Ordering::SeqCst);
        now
    }
}

impl Live for Machine<'_> {
    fn step(&mut self) -> Result<(), Trouble> {
        self.tick();
        self.host.run_due();
        let machine = &self.host.machine;
        let exchange = || carrier::exchange(&self.host.nic, machine, self.carrier);
        let (moved, _) = machine.enter(|| irql::at(Irql::Dispatch, exchange));
        if moved? != (0, 0) {
            self.host.settle();
            return Ok(());
        }
        let [least, most] = WAITS;
        let due = self.host.next_due().map_or(most, |due| Duration::from_nanos(due.saturating_sub(self.tick())));
        self.carrier.wait(due.clamp(least, most))?;
        Ok(())
    }
}

/// The link-local address that goes with a MAC address (EUI-64).
fn link_local(mac: [u8; 6]) -> Ipv6Addr {
    let word = |high: u8, low: u8| u16::from_be_bytes([high, low]);
    let interface = [word(mac[0] ^ 2, mac[1]), word(mac[2], 0xff), word(0xfe, mac[3]), word(mac[4], mac[5])];
    let [first, second, third, fourth] = interface;
    Ipv6Addr::new(0xfe80, 0, 0, 0, first, second, third, fourth)
}

/// The machine as the options have it. Addresses have the prefixes of a small network. As every interface with IPv6 it has a
/// link-local address, too: Linux asks for neighbours from its own.
fn shape(options: &Options) -> Shape {
    let prefix = |address: &IpAddr| if address.is_ipv4() { 24 } else { 64 };
    let mut addresses: Vec<_> = options.addresses.iter().map(|address| (*address, prefix(address))).collect();
    if options.addresses.iter().any(IpAddr::is_ipv6) {
        addresses.push((link_local(options.mac()).into(), 64));
    }
    let plain = Shape::plain(0, super::seed()).with_mtu(options.ip_mtu);
    Shape { name: format!("the machine of {}", options.addresses[0]), mac: options.mac(), addresses, ..plain }
}

/// Unloads the driver, while the machine goes on.
fn end(machine: &mut Machine<'_>) -> Result<(), Trouble> {
    let host = machine.host.clone();
    let mut wrong = Vec::new();
    let open = host.instance().map_or(0, |instance| pnp::open_ndk_adapters(&host.machine, instance));
    if open > 0 {
        wrong.push(format!("{open} NDK_ADAPTERs are still open"));
    }
    let unload = host.begin_unload();
    step_until(machine, || unload.left().is_some())?;
    host.left_by(&unload);
    wrong.extend(host.machine.verifier.take().iter().map(ToString::to_string));
    if wrong.is_empty() { Ok(()) } else { Err(Trouble::Image(wrong)) }
}

/// Runs rping on it.
pub(super) fn run(
    options: &Options,
    image: &[u8],
    carrier: &dyn Carrier,
    ready: impl FnOnce(),
) -> Result<usize, Trouble> {
    let _memory = memory::enter(Arc::new(PhysicalMemory::new(bed::MEMORY)));
    let clock: Arc<AtomicU64> = Arc::default();
    let host = Host::new(&shape(options), clock.clone());
    host.machine.nt.mdls.limit_mappings(bed::MAPPINGS as usize);
    host.start(image).map_err(Trouble::Start)?;
    if host.instance().is_none() {
        return Err(Trouble::Image(host.machine.log_lines()));
    }
    let mut machine = Machine { carrier, started: Instant::now(), clock, host };
    machine.tick();
    let closing: Arc<OnceLock<Arc<AtomicBool>>> = Arc::default();
    let begun = closing.clone();
    let version = NDK_VERSION { Major: 2, Minor: 1 };
    let adapter = bed::open(machine.host.clone(), version, move |_, done| drop(begun.set(done)))?;
    let outcome = super::converse(&mut machine, &adapter, options, ready);
    if outcome.is_err() {
        // What is still open keeps the driver from going; what it broke may be why.
        for violation in machine.host.machine.verifier.take() {
            eprintln!("{violation}");
        }
        for line in machine.host.machine.log_lines() {
            eprintln!("{}: {line}", machine.host.machine.name);
        }
        return outcome;
    }
    adapter.close();
    if !step_until(&mut machine, || closing.get().is_some_and(|done| done.load(Ordering::SeqCst)))? {
        return Err(Trouble::Image(vec![format!("the adapter's close does not end in {} s", PATIENCE.as_secs())]));
    }
    end(&mut machine)?;
    outcome
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_has_a_link_local_address_of_its_mac() {
        assert_eq!(
            link_local([0x02, 0x73, 0x6f, 0x66, 0x00, 0x02]),
            "fe80::73:6fff:fe66:2".parse::<Ipv6Addr>().unwrap()
        );
    }
}
