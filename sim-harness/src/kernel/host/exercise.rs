//! What `sim-harness driver` does: the image from its start to its unload on several hosts, used as Windows would use it.
//!
//! The demo's transfer runs beside a TCP transfer of the stacks above the driver; NDK is switched off under an open adapter
//! and on again; a NIC is pulled out in the middle of a transfer; every host unloads. The verifier watches all of it.

use super::bed::ImageBed;
use super::companion::Companion;
use super::{Host, Shape};
use crate::bed::{Bed, ipv4, ipv6};
use crate::consumer::{Adapter, Failed};
use crate::demo::{Trouble, transfer};
use crate::kernel::driver::StartError;
use crate::kernel::irql::{self, Irql};
use crate::kernel::ndis::{bindings, oids, pnp};
use crate::kernel::stack;
use crate::wire::Manners;
use ndk_provider::limits::Limits;
use ndk_types::{NDK_VERSION, NdisRequestSetInformation, OID_NDK_SET_STATE};
use std::fmt;
use std::fs::File;
use std::net::IpAddr;
use std::sync::Arc;

/// What to run.
pub struct Options {
    /// The image.
    pub image: Vec<u8>,
    /// Hosts on the wire, two at least.
    pub hosts: usize,
    /// Probability that a frame is lost.
    pub loss: f64,
    /// IP MTU of the link, in bytes.
    pub mtu: u32,
    /// IPv6 instead of IPv4.
    pub ipv6: bool,
    /// Bytes of the file that RDMA moves.
    pub size: usize,
    /// Bytes that TCP moves each way beside it.
    pub tcp_size: usize,
    /// Seed of everything by chance.
    pub seed: u64,
    /// Processors of each host that run at the same time; 0: the same run again from the seed.
    pub processors: usize,
    /// Where to write what crosses the wire.
    pub pcap: Option<File>,
}

/// One thing that was done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Its name.
    pub name: &'static str,
    /// What came of it.
    pub text: String,
}

/// What came of it all.
#[derive(Debug, Default)]
pub struct Report {
    /// What was done, in order.
    pub steps: Vec<Step>,
    /// Rules that were broken, each with its host.
    pub violations: Vec<String>,
    /// What was left behind.
    pub leaks: Vec<String>,
    /// Why a step did not come to its end.
    pub failures: Vec<String>,
    /// Bytes moved by RDMA, and by TCP.
    pub moved: [u64; 2],
    /// Frames on the wire.
    pub frames: u64,
    /// The most of its stack that the image used, in bytes.
    pub stack: usize,
    /// Virtual nanoseconds.
    pub virtual_ns: u64,
}

impl Report {
    /// Whether everything was done, nothing broken and nothing left.
    pub fn is_good(&self) -> bool {
        self.violations.is_empty() && self.leaks.is_empty() && self.failures.is_empty()
    }
}

/// Why a run ended early.
#[derive(Debug)]
enum Why {
    Start(StartError),
    Consumer(Failed),
    Transfer(Trouble),
    Other(String),
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Start(error) => error.fmt(f),
            Self::Consumer(failed) => failed.fmt(f),
            Self::Transfer(trouble) => trouble.fmt(f),
            Self::Other(text) => f.write_str(text),
        }
    }
}

impl From<Failed> for Why {
    fn from(failed: Failed) -> Self {
        Self::Consumer(failed)
    }
}

impl From<Trouble> for Why {
    fn from(trouble: Trouble) -> Self {
        Self::Transfer(trouble)
    }
}

fn other<T>(text: impl Into<String>) -> Result<T, Why> {
    Err(Why::Other(text.into()))
}

/// The bed with TCP beside what runs on it.
struct Beside<'a> {
    bed: &'a mut ImageBed,
    tcp: &'a mut Companion,
}

impl Bed for Beside<'_> {
    fn open(&mut self, host: usize, version: NDK_VERSION) -> Result<Adapter, Failed> {
        self.bed.open(host, version)
    }

    fn step(&mut self) -> bool {
        self.tcp.work(&self.bed.hosts);
        self.bed.step()
    }

    fn now(&self) -> u64 {
        self.bed.now()
    }

    fn set_manners(&mut self, host: usize, manners: Manners) {
        self.bed.set_manners(host, manners);
    }

    fn limits(&self) -> Limits {
        self.bed.limits()
    }
}

/// A run.
struct Run<'a> {
    bed: ImageBed,
    report: Report,
    options: &'a Options,
    progress: &'a mut dyn FnMut(&Step),
}

/// Runs it; `progress` is told each thing that was done.
pub fn run(mut options: Options, mut progress: impl FnMut(&Step)) -> Report {
    let shape = |number| {
        let mut shape = Shape::plain(number, options.seed).with_mtu(options.mtu);
        shape.processors = options.processors;
        shape
    };
    let shapes: Vec<_> = (0..options.hosts).map(shape).collect();
    let pcap = options.pcap.take();
    let mut bed = match ImageBed::of(&options.image, options.seed, &shapes) {
        Ok(bed) => bed,
        Err(error) => {
            let failures = vec![Why::Start(error).to_string()];
            return Report { failures, ..Report::default() };
        }
    };
    if let Some(Err(error)) = pcap.map(|file| bed.world.record(file)) {
        return Report { failures: vec![format!("writing the pcap file: {error}")], ..Report::default() };
    }
    for host in 0..options.hosts {
        bed.world.set_manners(host, Manners { loss: options.loss, ..Manners::GOOD });
    }
    let mut run = Run { bed, report: Report::default(), options: &options, progress: &mut progress };
    if let Err(why) = run.all() {
        run.report.failures.push(why.to_string());
    }
    run.end()
}

impl Run<'_> {
    fn step(&mut self, name: &'static str, text: String) {
        let step = Step { name, text };
        (self.progress)(&step);
        self.report.steps.push(step);
    }

    fn address(&self, host: usize) -> IpAddr {
        if self.options.ipv6 { ipv6(host) } else { ipv4(host) }
    }

    fn all(&mut self) -> Result<(), Why> {
        self.started()?;
        for host in 0..self.options.hosts - 1 {
            self.transfer(host, host + 1)?;
        }
        self.switch(1)?;
        self.removal(0, 1)
    }

    /// Every host is bound, initialised and running.
    fn started(&mut self) -> Result<(), Why> {
        for host in self.bed.hosts.clone() {
            let Some(instance) = host.instance() else {
                let log = host.machine.log_lines().join("; ");
                return other(format!("{} has no virtual miniport: {log}", host.machine.name));
            };
            let ndk = if pnp::is_ndk_enabled(&host.machine, instance) { "on" } else { "off" };
            let text = format!("loaded, bound to its NIC, virtual miniport up, NDK {ndk}");
            self.step("start", format!("{}: {text}", host.machine.name));
        }
        Ok(())
    }

    /// The demo from one host to another, and TCP both ways beside it.
    fn transfer(&mut self, from: usize, to: usize) -> Result<(), Why> {
        let file = self.file(self.options.size);
        let addresses = [self.address(from), self.address(to)];
        let mut tcp = Companion::new([from, to], addresses, self.options.tcp_size, self.options.seed);
        let start = self.bed.now();
        let version = NDK_VERSION { Major: 2, Minor: 1 };
        let adapters = [self.bed.open(from, version)?, self.bed.open(to, version)?];
        let mut beside = Beside { bed: &mut self.bed, tcp: &mut tcp };
        let moved = transfer(&mut beside, adapters, addresses, &file, |_| true)?;
        while !tcp.is_done() {
            tcp.work(&self.bed.hosts);
            if !self.bed.step() {
                return other(format!("TCP does not go on: {}", tcp.state()));
            }
        }
        if moved.back != file || moved.leaks > 0 {
            return other(format!("what RDMA brought back is not what went, or {} things are left", moved.leaks));
        }
        if !tcp.is_good() {
            return other("what TCP brought is not what was sent");
        }
        self.report.moved[0] += moved.bytes;
        self.report.moved[1] += tcp.bytes();
        let text = format!(
            "{} MiB by RDMA there and back, hash equal; {} KiB by TCP beside it, equal; {} ms of virtual time",
            file.len() >> 20,
            tcp.bytes() >> 10,
            (self.bed.now() - start) / 1_000_000
        );
        self.step("transfer", format!("host {from} to host {to}: {text}"));
        Ok(())
    }

    /// NDK off under an open adapter, and on again (OID-04, PNP-03, PNP-05, PNP-13).
    fn switch(&mut self, host: usize) -> Result<(), Why> {
        let version = NDK_VERSION { Major: 2, Minor: 1 };
        let adapter = self.bed.open(host, version)?;
        let one = self.bed.hosts[host].clone();
        set_state(&one, false);
        let told = self.bed.run_until(|| !one.tcpip.seen().ndk && one.tcpip.seen().ndk_events > 0);
        if !told {
            return other("nobody was told that NDK is being disabled");
        }
        if let Ok(second) = self.bed.open(host, version) {
            second.close();
            return other("an adapter was opened while NDK is being disabled");
        }
        adapter.close();
        one.settle();
        set_state(&one, true);
        if !self.bed.run_until(|| one.tcpip.seen().ndk) {
            return other("nobody was told that NDK is enabled again");
        }
        let file = self.file(1 << 20);
        let adapters = [self.bed.open(host, version)?, self.bed.open(host - 1, version)?];
        let addresses = [self.address(host), self.address(host - 1)];
        let moved = transfer(&mut self.bed, adapters, addresses, &file, |_| true)?;
        if moved.back != file || moved.leaks > 0 {
            return other("the transfer after NDK was enabled again");
        }
        self.report.moved[0] += moved.bytes;
        self.step("switch", format!("host {host}: NDK off under an open adapter, on again, 1 MiB moved"));
        Ok(())
    }

    /// A NIC goes in the middle of a transfer (W-07, PNP-10).
    fn removal(&mut self, host: usize, peer: usize) -> Result<(), Why> {
        let version = NDK_VERSION { Major: 2, Minor: 1 };
        let file = self.file(self.options.size);
        let adapters = [self.bed.open(host, version)?, self.bed.open(peer, version)?];
        let addresses = [self.address(host), self.address(peer)];
        let one = self.bed.hosts[host].clone();
        let (half, mut pulled) = (file.len() as u64, false);
        let events = one.tcpip.seen().ndk_events;
        let outcome = transfer(&mut self.bed, adapters, addresses, &file, |bytes| {
            if bytes >= half / 2 && !pulled {
                pulled = true;
                bindings::remove_nic(&one.machine, one.nic_handle);
            }
            // A consumer that is told to close closes.
            one.tcpip.seen().ndk_events == events
        });
        if outcome.is_ok() {
            return other("the transfer came to its end without a NIC");
        }
        let watched = one.clone();
        if !self.bed.run_until(move || watched.machine.ndis.adapters.binding_of(watched.nic_handle).is_none()) {
            return other(format!("the unbind does not end: {}", one.machine.sched.waits().join("; ")));
        }
        self.step(
            "removal",
            format!("host {host}: the NIC went in the middle of a transfer; everything closed, unbound"),
        );
        Ok(())
    }

    fn file(&self, size: usize) -> Vec<u8> {
        let mut bytes = vec![0; size];
        crate::dice::Dice::new(self.options.seed, 0x6669_6c65).fill(&mut bytes);
        bytes
    }

    /// Unloads everywhere, and takes the verifiers' results.
    fn end(mut self) -> Report {
        for _ in 0..10_000 {
            if !self.bed.step() {
                break;
            }
        }
        self.report.virtual_ns = self.bed.now();
        self.report.frames = (0..self.options.hosts).map(|host| self.bed.world.wire_counters(host).frames).sum();
        for (number, host) in self.bed.hosts.clone().into_iter().enumerate() {
            let left = self.bed.unload(number);
            let (leaks, violations): (Vec<_>, Vec<_>) =
                host.machine.verifier.take().into_iter().partition(|violation| violation.rule == "leak");
            let text = |violation: crate::kernel::verifier::Violation| format!("{}: {violation}", host.machine.name);
            self.report.leaks.extend(leaks.into_iter().map(text));
            self.report.violations.extend(violations.into_iter().map(text));
            self.step("unload", format!("{}: unloaded, {left} things left", host.machine.name));
        }
        self.report.stack = stack::deepest();
        self.report
    }
}

/// OID_NDK_SET_STATE.
fn set_state(host: &Arc<Host>, enabled: bool) {
    let Some(instance) = host.instance() else { return };
    irql::at(Irql::Passive, || {
        let body = [u8::from(enabled)];
        oids::request(&host.machine, instance, NdisRequestSetInformation, OID_NDK_SET_STATE, &body)
    });
    host.settle();
}
