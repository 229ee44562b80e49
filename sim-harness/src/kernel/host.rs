//! A host: a simulated machine with a NIC, the driver image bound to it, a virtual miniport over it, and TCP/IP above that. It is
//! a station of the virtual world like a natively built provider.

pub mod bed;
pub mod companion;
pub mod exercise;
pub mod ndkping;
pub mod program;
pub mod tcpip;

use super::Machine;
use super::driver::{Driver, StartError};
use super::irql::{self, Irql};
use super::ndis::adapters::{Choices, Device};
use super::ndis::native::Nic;
use super::ndis::{bindings, data_path, miniports};
use super::nic::{Behaviour, SimNic};
use super::nt::registry::Value;
use crate::station::{Station, Wants};
use ndk_provider::platform::{NextHop, Unresolved};
use std::net::IpAddr;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tcpip::TcpIp;

/// The interface index of a host's virtual miniport.
pub const INDEX: u32 = 10;
/// The interface index of its NIC.
const NIC_INDEX: u32 = 20;
/// The registry's class key of network adapters.
const CLASS: &str = r"\REGISTRY\MACHINE\SYSTEM\ControlSet001\Control\Class\{4d36e972-e325-11ce-bfc1-08002be10318}";

/// One frame of so many goes to any processor instead of its flow's.
const STRAY: u64 = 64;
/// How soon a host of several processors looks again at what is due.
const AGAIN_NS: u64 = 100_000;

/// A number that the frames of a flow have in common: addresses and ports, or whatever is there.
fn flow(frame: &[u8]) -> usize {
    let (headers, _) = frame.split_at(frame.len().min(62));
    let (addresses, ports) = match headers.get(12..14) {
        Some([0x08, 0x00]) => (26..34, 34..38),
        Some([0x86, 0xdd]) => (22..54, 54..58),
        _ => (0..12, 0..0),
    };
    let bytes = [addresses, ports].into_iter().filter_map(|range| headers.get(range)).flatten();
    let mixed = bytes.fold(0_usize, |hash, &byte| hash.wrapping_mul(0x0100_0193) ^ usize::from(byte));
    mixed ^ mixed >> 7
}

/// What a host is made of.
#[derive(Clone, Debug)]
pub struct Shape {
    /// What people call it.
    pub name: String,
    /// Its MAC address.
    pub mac: [u8; 6],
    /// Its addresses, each with the length of its prefix.
    pub addresses: Vec<(IpAddr, u8)>,
    /// The largest IP packet of its NIC.
    pub mtu: u32,
    /// How its NIC behaves from the start.
    pub nic: Behaviour,
    /// Keywords of the virtual miniport, as the registry has them.
    pub keywords: Vec<(&'static str, String)>,
    /// What the pages leave open.
    pub choices: Choices,
    /// Whether UpperBindings names the virtual miniport (W-02).
    pub paired: bool,
    /// Whether the virtual device is there and started.
    pub device_started: bool,
    /// Whether its NIC has receive side scaling.
    pub rss: bool,
    /// Its chances come from this.
    pub seed: u64,
    /// How many processors run at the same time; 0: one thing at a time, the same again from the seed.
    pub processors: usize,
}

impl Shape {
    /// Host `number` of a run, with a plain NIC of 1500 bytes.
    pub fn plain(number: usize, seed: u64) -> Self {
        Self {
            name: format!("host {number}"),
            mac: [2, 0, 0, 0, 0, number as u8 + 1],
            addresses: vec![(crate::bed::ipv4(number), 24), (crate::bed::ipv6(number), 64)],
            mtu: 1500,
            nic: Behaviour::default(),
            keywords: vec![
                ("*NetworkDirect", "1".to_owned()),
                ("*NetworkDirectTechnology", "4".to_owned()),
                ("*NetworkDirectRoCEFrameSize", "1024".to_owned()),
                ("*JumboPacket", "1514".to_owned()),
            ],
            choices: Choices::default(),
            paired: true,
            device_started: true,
            rss: false,
            seed: seed.wrapping_mul(64).wrapping_add(number as u64),
            processors: 0,
        }
    }

    /// The same with this MTU, and keywords that make use of it.
    #[must_use]
    pub fn with_mtu(mut self, mtu: u32) -> Self {
        self.mtu = mtu;
        let (frame, jumbo) = if mtu >= 9000 { ("4096", "9014") } else { ("1024", "1514") };
        self.set("*NetworkDirectRoCEFrameSize", frame);
        self.set("*JumboPacket", jumbo);
        self
    }

    /// Sets a keyword.
    pub fn set(&mut self, name: &'static str, value: &str) {
        self.keywords.retain(|(there, _)| *there != name);
        self.keywords.push((name, value.to_owned()));
    }
}

/// The registry key of the virtual miniport's keywords.
fn key() -> String {
    format!(r"{CLASS}\0010")
}

/// See the module's text.
pub struct Host {
    /// The machine.
    pub machine: Arc<Machine>,
    /// TCP/IP above the virtual miniport.
    pub tcpip: Arc<TcpIp>,
    /// Its NIC.
    pub nic: Arc<SimNic>,
    /// The NIC as NDIS knows it.
    pub nic_handle: usize,
    /// The virtual device's name.
    pub device: String,
    /// The registry key of its keywords.
    pub key: String,
    driver: Mutex<Option<Driver>>,
    timer: Mutex<Option<u64>>,
}

/// An unload under way.
#[derive(Debug, Default)]
pub struct Unload(Mutex<Option<usize>>);

impl Unload {
    fn end(&self, left: usize) {
        *lock(&self.0) = Some(left);
    }

    /// What the driver left behind, once it is gone.
    pub fn left(&self) -> Option<usize> {
        *lock(&self.0)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Host {
    /// A machine with its NIC and its virtual device; the driver is still to be started.
    pub fn new(shape: &Shape, clock: Arc<AtomicU64>) -> Arc<Self> {
        let machine = Machine::with_processors(&shape.name, clock, shape.seed, shape.processors);
        let device = r"\DEVICE\{534F4654-4E44-4B00-8000-000000000010}".to_owned();
        let key = key();
        for (name, value) in &shape.keywords {
            machine.nt.registry.set(&key, name, Value::Sz(value.clone()));
        }
        let mut attributes = SimNic::ethernet(shape.mac, NIC_INDEX);
        attributes.mtu = shape.mtu;
        attributes.rss = shape.rss;
        if shape.paired {
            let pairing = Value::MultiSz(vec![device.clone()]);
            machine.nt.registry.set(&bindings::key_of(&attributes.name), "UpperBindings", pairing);
        }
        machine.ndis.adapters.choose(shape.choices);
        let virtual_device = Device {
            name: device.clone(),
            luid: 6 << 48 | u64::from(INDEX) << 24,
            index: INDEX,
            key: key.clone(),
            started: shape.device_started,
        };
        miniports::add_device(&machine, virtual_device);
        let nic = SimNic::new(attributes, shape.seed);
        nic.behave(|behaviour| behaviour.clone_from(&shape.nic));
        let nic_handle = bindings::nic_handle(&machine);
        nic.attach(Arc::new(data_path::Up(nic_handle)));
        bindings::add_nic(&machine, nic_handle, nic.clone());
        let tcpip = TcpIp::new(shape.addresses.clone(), shape.seed);
        machine.ndis.adapters.set_above(tcpip.clone());
        let (driver, timer) = (Mutex::new(None), Mutex::new(None));
        Arc::new(Self { machine, tcpip, nic, nic_handle, device, key, driver, timer })
    }

    /// Loads and starts the driver, and lets what follows from that happen: the bind, the initialisation, the restart.
    pub fn start(&self, image: &[u8]) -> Result<(), StartError> {
        let driver = Driver::start(&self.machine, image, "softndk")?;
        *lock(&self.driver) = Some(driver);
        self.machine.settle();
        Ok(())
    }

    /// Begins to unload the driver, on a kernel thread: it waits for what it has given away. What it left behind is told at the
    /// end.
    pub fn begin_unload(&self) -> Arc<Unload> {
        let unload = Arc::new(Unload::default());
        let Some(driver) = lock(&self.driver).take() else {
            unload.end(0);
            return unload;
        };
        let ending = unload.clone();
        self.machine.thread("the unload", move || ending.end(driver.unload()));
        unload
    }

    /// Unloads the driver; the number of things it left behind. One that would need the world to go on is a violation, and
    /// stays as it is.
    pub fn unload(&self) -> usize {
        let unload = self.begin_unload();
        self.settle();
        self.left_by(&unload)
    }

    /// What an unload left; a violation if it is not over.
    pub fn left_by(&self, unload: &Unload) -> usize {
        unload.left().unwrap_or_else(|| {
            let waits = self.machine.sched.waits().join(", ");
            self.machine.violation("deadlock", format!("the unload does not end; kernel threads wait for {waits}"));
            1
        })
    }

    /// Somebody changes a keyword of the virtual miniport, which looks at it when it is initialised again (PNP-08).
    pub fn set_keyword(&self, name: &str, value: &str) {
        self.machine.nt.registry.set(&key(), name, Value::Sz(value.to_owned()));
    }

    /// The instance of the virtual miniport, while there is one.
    pub fn instance(&self) -> Option<usize> {
        self.machine.ndis.adapters.instances().first().copied()
    }

    /// A frame arrives from the wire. On a machine of several processors one of them takes it, later: the one of its flow, as
    /// receive side scaling has it, and now and then another, as when the flows are spread anew.
    pub fn receive(&self, frame: &[u8]) {
        if self.machine.processors().is_some() {
            let (nic, frame) = (self.nic.clone(), frame.to_vec());
            let flow = flow(&frame);
            let processor = (!self.machine.nt.random_u64().is_multiple_of(STRAY)).then_some(flow);
            self.machine.post(processor, move |machine| nic.deliver(machine, &frame));
            return;
        }
        self.machine.enter(|| irql::at(Irql::Dispatch, || self.nic.deliver(&self.machine, frame)));
        self.settle();
    }

    /// Does what is due now.
    pub fn run_due(&self) {
        self.machine.run_due();
        if self.machine.processors().is_some() {
            let nic = self.nic.clone();
            self.machine.post(None, move |machine| nic.run_due(machine));
            return;
        }
        self.machine.enter(|| irql::at(Irql::Dispatch, || self.nic.run_due(&self.machine)));
        self.settle();
    }

    /// Lets kernel threads, deferred calls and TCP/IP go on until nothing more happens at this moment.
    pub fn settle(&self) {
        self.machine.settle();
        self.tcpip.poll(&self.machine);
        self.machine.settle();
    }

    /// When [`Self::run_due`] has something to do.
    pub fn next_due(&self) -> Option<u64> {
        let due = [self.machine.next_due(), self.nic.next_due(), self.tcpip.wake_at(&self.machine)];
        due.into_iter().flatten().min()
    }
}

/// A host on the virtual wire.
pub struct HostStation(pub Arc<Host>);

impl Station for HostStation {
    fn mac(&self) -> [u8; 6] {
        self.0.nic.attributes().mac
    }

    fn addresses(&self) -> Vec<IpAddr> {
        self.0.tcpip.addresses()
    }

    fn wants(&mut self) -> Wants {
        let several = self.0.machine.processors().is_some();
        if several {
            // Nobody waits for them: the world's thread is one more processor.
            self.0.tcpip.poll(&self.0.machine);
        } else {
            self.0.settle();
        }
        let mut due = self.0.next_due().unwrap_or(u64::MAX);
        let mut timer = lock(&self.0.timer);
        let now = self.0.machine.now();
        if several && due <= now {
            // It has been given to a processor that did not come to it yet; or nobody has been asked, and soon is.
            due = timer.filter(|&asked| asked > now).unwrap_or(now + AGAIN_NS);
        }
        let changed = timer.replace(due) != Some(due);
        Wants { frames: self.0.nic.take_frames(), timer: changed.then_some(due), ..Wants::default() }
    }

    fn deliver(&mut self, frame: &[u8]) {
        self.0.receive(frame);
    }

    fn sent(&mut self, _frame: Vec<u8>) {}

    fn on_timer(&mut self) {
        *lock(&self.0.timer) = None;
        self.0.run_due();
    }

    fn on_deferred(&mut self) {}

    fn on_resolved(&mut self, _token: u64, _answer: Result<NextHop, Unresolved>) {}
}
