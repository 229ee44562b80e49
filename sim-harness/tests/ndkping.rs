//! ndkping.sys beside softndk.sys on two hosts: pings, bandwidth, both protocols, loss, cancels, unloads in the middle of a run,
//! every failure that its calls can have; the verifier has nothing to say.

use sim_harness::bed::{ipv4, ipv6};
use sim_harness::image;
use sim_harness::kernel::driver::Driver;
use sim_harness::kernel::host::bed::ImageBed;
use sim_harness::kernel::host::{Host, INDEX};
use sim_harness::kernel::nt::io::{self, File, Request};
use sim_harness::wire::Manners;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

#[allow(unreachable_pub, dead_code, reason = "the driver's own file")]
#[path = "../../ndkping/src/ioctl.rs"]
mod ioctl;

use ioctl::{Address, Bandwidth, BandwidthReport, Listen, Listening, Ping, PingReport, QueryAdapter, VersionReport};

const STATUS_CANCELLED: i32 = 0xc000_0120_u32.cast_signed();
const STATUS_CONNECTION_REFUSED: i32 = 0xc000_0236_u32.cast_signed();
const PORT: u16 = 7171;

/// A structure's bytes. All of them are made of integers without padding.
fn bytes_of<T: Copy>(value: &T) -> Vec<u8> {
    // SAFETY: the structures of `ioctl` have no padding, so every byte is written.
    unsafe { std::slice::from_raw_parts(std::ptr::from_ref(value).cast(), size_of::<T>()) }.to_vec()
}

fn from_bytes<T: Copy>(bytes: &[u8]) -> T {
    assert_eq!(bytes.len(), size_of::<T>());
    // SAFETY: as many bytes as the structure has, which is made of integers.
    unsafe { bytes.as_ptr().cast::<T>().read_unaligned() }
}

fn images() -> (Vec<u8>, Vec<u8>) {
    let read = |name| std::fs::read(image::build_named(name, false).unwrap()).unwrap();
    (read("softndk"), read("ndkping"))
}

/// ndkping on one host, and a handle on it.
struct Consumer {
    host: Arc<Host>,
    driver: Driver,
    file: File,
}

impl Consumer {
    fn start(host: &Arc<Host>, image: &[u8]) -> Self {
        let driver = Driver::start(&host.machine, image, "ndkping").unwrap();
        let file = io::open(&host.machine, ioctl::DEVICE).unwrap();
        Self { host: host.clone(), driver, file }
    }

    fn submit<T: Copy>(&self, code: u32, input: &T, room: usize) -> Request {
        let request = io::submit(&self.host.machine, &self.file, code, &bytes_of(input), room).unwrap();
        self.host.settle();
        request
    }

    /// A request that is answered at once.
    fn ask(&self, code: u32, room: usize) -> Vec<u8> {
        let (status, answer) = io::device_io_control(&self.host.machine, &self.file, code, &[], room).unwrap();
        assert_eq!(status, 0);
        answer
    }

    fn running(&self) -> u32 {
        from_bytes::<VersionReport>(&self.ask(ioctl::VERSION, size_of::<VersionReport>())).running
    }

    /// Closes the handle and unloads; nothing of the driver may be left.
    fn end(self) {
        io::close(&self.host.machine, self.file);
        assert_eq!(self.driver.unload(), 0);
    }
}

/// Two hosts with both drivers.
struct Pair {
    bed: ImageBed,
    consumers: Vec<Consumer>,
}

impl Pair {
    fn new(seed: u64) -> Self {
        let (provider, consumer) = images();
        let bed = ImageBed::new(&provider, seed).unwrap();
        let consumers = bed.hosts.iter().map(|host| Consumer::start(host, &consumer)).collect();
        Self { bed, consumers }
    }

    /// Lets things happen until a request is answered.
    fn wait<T: Copy>(&mut self, request: &Request) -> Result<T, i32> {
        assert!(self.bed.run_until(|| request.is_done()), "the request is never answered");
        let (status, answer) = request.take().unwrap();
        if status < 0 { Err(status) } else { Ok(from_bytes(&answer)) }
    }

    fn listen(&mut self, at: SocketAddr) -> SocketAddr {
        let wanted = Listen { interface: INDEX, local: at.into(), ..Listen::default() };
        let request = self.consumers[1].submit(ioctl::LISTEN, &wanted, size_of::<Listening>());
        self.wait::<Listening>(&request).unwrap().local.to_socket_address().unwrap()
    }

    fn ping(&self, wanted: &Ping) -> Request {
        self.consumers[0].submit(ioctl::PING, wanted, size_of::<PingReport>())
    }

    fn bandwidth(&mut self, wanted: &Bandwidth) -> BandwidthReport {
        let request = self.consumers[0].submit(ioctl::BANDWIDTH, wanted, size_of::<BandwidthReport>());
        self.wait(&request).unwrap()
    }

    /// Stops the listener, while the world goes on.
    fn stop(&mut self) {
        let consumer = &self.consumers[1];
        let (machine, file) = (consumer.host.machine.clone(), io::open(&consumer.host.machine, ioctl::DEVICE).unwrap());
        let asker = machine.clone();
        machine.thread("a program that stops ndkping", move || {
            let (status, _) = io::device_io_control(&asker, &file, ioctl::STOP, &[], 0).unwrap();
            assert_eq!(status, 0);
            io::close(&asker, file);
        });
        consumer.host.settle();
        assert!(self.bed.run_until(|| machine.sched.alive() == 0), "{:?}", machine.sched.waits());
    }

    /// Ends everything; nothing is left and nothing was broken.
    fn end(mut self) {
        self.stop();
        self.consumers.into_iter().for_each(Consumer::end);
        assert_eq!(self.bed.end(), Vec::<String>::new());
    }
}

fn ping_of(from: IpAddr, to: SocketAddr) -> Ping {
    Ping {
        interface: INDEX,
        operations: ioctl::SEND | ioctl::READ | ioctl::WRITE,
        count: 20,
        size: 256,
        timeout: 5_000,
        reserved: 0,
        local: Address::from(SocketAddr::new(from, 0)),
        remote: Address::from(to),
    }
}

fn bandwidth_of(from: IpAddr, to: SocketAddr, operation: u32) -> Bandwidth {
    Bandwidth {
        interface: INDEX,
        operation,
        size: 8192,
        depth: 6,
        timeout: 5_000,
        flags: ioctl::VERIFY,
        total: 400_000,
        local: Address::from(SocketAddr::new(from, 0)),
        remote: Address::from(to),
    }
}

/// W-05 has no part in it: a WDM driver; its device and its link come and go, and its registration with WSK.
#[test]
fn the_driver_starts_answers_and_unloads() {
    let (_, image) = images();
    let host = Host::new(&sim_harness::kernel::host::Shape::plain(0, 1), Arc::default());
    for _ in 0..2 {
        let consumer = Consumer::start(&host, &image);
        let version: VersionReport = from_bytes(&consumer.ask(ioctl::VERSION, size_of::<VersionReport>()));
        assert_eq!(version, VersionReport { interface: ioctl::INTERFACE_VERSION, running: 0 });
        assert_eq!(consumer.ask(ioctl::STOP, 0), [0; 0]);
        consumer.end();
    }
    assert_eq!(host.machine.verifier.take(), []);
}

/// Every call of the entry that can fail fails once.
#[test]
fn an_entry_that_fails_half_way_leaves_nothing() {
    let (_, image) = images();
    let host = Host::new(&sim_harness::kernel::host::Shape::plain(0, 1), Arc::default());
    for call in ["ExAllocatePool2", "WskRegister", "IoCreateDevice", "IoCreateSymbolicLink"] {
        host.machine.fail_once(call);
        assert!(Driver::start(&host.machine, &image, "ndkping").is_err(), "{call}");
        assert_eq!(host.machine.verifier.take(), [], "{call}");
    }
    Consumer::start(&host, &image).end();
    assert_eq!(host.machine.verifier.take(), []);
}

#[test]
fn an_adapter_tells_about_itself() {
    let mut pair = Pair::new(1);
    let wanted = QueryAdapter { interface: INDEX, reserved: 0 };
    let request = pair.consumers[0].submit(ioctl::QUERY_ADAPTER, &wanted, size_of::<ioctl::AdapterReport>());
    let report: ioctl::AdapterReport = pair.wait(&request).unwrap();
    assert_eq!((report.major, report.minor, report.technology), (1, 2, 4));
    assert!(report.max_transfer_length >= 1 << 20);
    let nowhere = QueryAdapter { interface: INDEX + 1, reserved: 0 };
    let request = pair.consumers[0].submit(ioctl::QUERY_ADAPTER, &nowhere, size_of::<ioctl::AdapterReport>());
    assert!(pair.wait::<ioctl::AdapterReport>(&request).is_err());
    pair.end();
}

#[test]
fn pings_are_timed_over_both_protocols() {
    let mut pair = Pair::new(2);
    for [from, to] in [[ipv4(0), ipv4(1)], [ipv6(0), ipv6(1)]] {
        let to = pair.listen(SocketAddr::new(to, 0));
        assert!(to.port() >= 49_152, "CN-03");
        let request = pair.ping(&ping_of(from, to));
        let report: PingReport = pair.wait(&request).unwrap();
        for latency in [report.send, report.read, report.write] {
            assert_eq!(latency.count, 20);
            assert!(latency.min > 0 && latency.min <= latency.p50 && latency.p50 <= latency.p99, "{latency:?}");
            assert!(latency.p99 <= latency.max && latency.average <= latency.max, "{latency:?}");
        }
        assert_eq!(pair.consumers[0].running(), 0);
    }
    pair.end();
}

#[test]
fn what_is_moved_is_what_arrives_at_any_depth() {
    let mut pair = Pair::new(3);
    let to = pair.listen(SocketAddr::new(ipv4(1), PORT));
    for operation in [ioctl::SEND, ioctl::READ, ioctl::WRITE] {
        for (depth, size) in [(1, 512), (6, 8192), (16, 3000)] {
            let wanted = Bandwidth { depth, size, ..bandwidth_of(ipv4(0), to, operation) };
            let report = pair.bandwidth(&wanted);
            let operations = wanted.total.div_ceil(u64::from(size));
            let expected = (operations * u64::from(size), operations, 0);
            assert_eq!((report.bytes, report.operations, report.mismatches), expected, "{operation} {depth}");
            assert!(report.nanoseconds > 0);
        }
    }
    pair.end();
}

#[test]
fn loss_slows_a_run_and_breaks_nothing() {
    let mut pair = Pair::new(4);
    let to = pair.listen(SocketAddr::new(ipv6(1), PORT));
    for host in 0..2 {
        pair.bed.world.set_manners(host, Manners { loss: 0.02, ..Manners::GOOD });
    }
    let request = pair.ping(&ping_of(ipv6(0), to));
    assert_eq!(pair.wait::<PingReport>(&request).unwrap().send.count, 20);
    for operation in [ioctl::SEND, ioctl::READ, ioctl::WRITE] {
        let report = pair.bandwidth(&bandwidth_of(ipv6(0), to, operation));
        assert_eq!((report.operations, report.mismatches), (49, 0));
    }
    pair.end();
}

#[test]
fn a_connection_that_nobody_listens_for_is_refused() {
    let mut pair = Pair::new(5);
    let request = pair.ping(&ping_of(ipv4(0), SocketAddr::new(ipv4(1), PORT)));
    assert_eq!(pair.wait::<PingReport>(&request), Err(STATUS_CONNECTION_REFUSED));
    pair.end();
}

#[test]
fn a_run_that_is_cancelled_ends_and_its_listener_goes_on() {
    let mut pair = Pair::new(6);
    let to = pair.listen(SocketAddr::new(ipv4(1), PORT));
    // At different times: before the connection stands, while it does, in the middle of the run.
    for steps in [0, 1, 5, 20, 60, 200] {
        let request = pair.ping(&Ping { count: 60_000, ..ping_of(ipv4(0), to) });
        for _ in 0..steps {
            pair.bed.world.step();
        }
        let consumer = &pair.consumers[0];
        assert!(io::cancel(&consumer.host.machine, &request), "{steps}");
        consumer.host.settle();
        assert_eq!(pair.wait::<PingReport>(&request), Err(STATUS_CANCELLED), "{steps}");
    }
    let request = pair.ping(&ping_of(ipv4(0), to));
    assert!(pair.wait::<PingReport>(&request).is_ok());
    pair.end();
}

/// The request's handle is closed: nobody will hear the answer, and the run ends.
#[test]
fn a_run_ends_with_the_handle_it_came_through() {
    let mut pair = Pair::new(8);
    let to = pair.listen(SocketAddr::new(ipv4(1), PORT));
    let machine = pair.consumers[0].host.machine.clone();
    let file = io::open(&machine, ioctl::DEVICE).unwrap();
    let wanted = Ping { count: 60_000, ..ping_of(ipv4(0), to) };
    let request = io::submit(&machine, &file, ioctl::PING, &bytes_of(&wanted), size_of::<PingReport>()).unwrap();
    for _ in 0..300 {
        pair.bed.world.step();
    }
    assert_eq!(pair.consumers[0].running(), 1);
    let closer = machine.clone();
    machine.thread("a program that ends", move || io::close(&closer, file));
    pair.consumers[0].host.settle();
    assert_eq!(pair.wait::<PingReport>(&request), Err(STATUS_CANCELLED));
    assert!(pair.bed.run_until(|| machine.sched.alive() == 0), "{:?}", machine.sched.waits());
    pair.end();
}

/// The listener stops in the middle of every kind of run: the other side hears of it.
#[test]
fn a_run_whose_listener_stops_ends_with_a_failure() {
    let mut pair = Pair::new(9);
    for (number, operation) in [ioctl::SEND, ioctl::READ, ioctl::WRITE].into_iter().enumerate() {
        let to = pair.listen(SocketAddr::new(ipv4(1), PORT));
        let wanted = Bandwidth { total: 1 << 30, flags: 0, ..bandwidth_of(ipv4(0), to, operation) };
        let request = pair.consumers[0].submit(ioctl::BANDWIDTH, &wanted, size_of::<BandwidthReport>());
        for _ in 0..400 + 100 * number {
            pair.bed.world.step();
        }
        assert!(!request.is_done(), "it is in the middle");
        pair.stop();
        let failure = pair.wait::<BandwidthReport>(&request).unwrap_err();
        assert!(failure < 0 && failure != STATUS_CANCELLED, "{failure:#x}");
    }
    pair.end();
}

/// Unloads in the middle of a run, on either side, as soon as no handle is open: everything ends, and is closed in order.
#[test]
fn an_unload_in_the_middle_of_a_run_ends_everything() {
    for (side, steps) in [(0, 3), (0, 40), (0, 300), (1, 40), (1, 300)] {
        let mut pair = Pair::new(10);
        let to = pair.listen(SocketAddr::new(ipv6(1), PORT));
        let wanted = Bandwidth { total: 1 << 30, flags: 0, ..bandwidth_of(ipv6(0), to, ioctl::READ) };
        let request = pair.consumers[0].submit(ioctl::BANDWIDTH, &wanted, size_of::<BandwidthReport>());
        for _ in 0..steps {
            pair.bed.world.step();
        }
        let Consumer { host, driver, file } = pair.consumers.remove(side);
        let machine = host.machine.clone();
        let left = Arc::new(std::sync::Mutex::new(None));
        let (unloader, place) = (machine.clone(), left.clone());
        // Both wait for the world: they run on a thread of the machine. A listener has no handle that ends it.
        machine.thread("an unload", move || {
            io::close(&unloader, file);
            *place.lock().unwrap() = Some(driver.unload());
        });
        host.settle();
        assert!(pair.bed.run_until(|| machine.sched.alive() == 0), "{side} {steps}: {:?}", machine.sched.waits());
        assert_eq!(*left.lock().unwrap(), Some(0), "{side} {steps}");
        let outcome = pair.wait::<BandwidthReport>(&request);
        assert!(outcome.is_err(), "{side} {steps}");
        assert_eq!(side == 0, outcome == Err(STATUS_CANCELLED), "{side} {steps}: {outcome:?}");
        pair.consumers.insert(side, Consumer::start(&host, &images().1));
        pair.end();
    }
}

/// Each call that can fail fails once, on either side: the request is refused, nothing is left, and the next one succeeds.
#[test]
fn whatever_fails_once_is_undone() {
    let mut pair = Pair::new(11);
    let calls = ["PsCreateSystemThread", "WskCaptureProviderNPI", "WskControlClient", "WskOpenNdkAdapter"];
    for call in calls {
        pair.consumers[0].host.machine.fail_once(call);
        let request = pair.ping(&ping_of(ipv4(0), SocketAddr::new(ipv4(1), PORT)));
        let failure = pair.wait::<PingReport>(&request).unwrap_err();
        assert!(failure != STATUS_CONNECTION_REFUSED, "{call} did not fail");
        assert_eq!(pair.consumers[0].running(), 0, "{call}");
        pair.consumers[1].host.machine.fail_once(call);
        let wanted = Listen { interface: INDEX, local: SocketAddr::new(ipv4(1), PORT).into(), ..Listen::default() };
        let request = pair.consumers[1].submit(ioctl::LISTEN, &wanted, size_of::<Listening>());
        assert!(pair.wait::<Listening>(&request).is_err(), "{call}");
    }
    let to = pair.listen(SocketAddr::new(ipv4(1), PORT));
    let request = pair.ping(&ping_of(ipv4(0), to));
    assert!(pair.wait::<PingReport>(&request).is_ok());
    pair.end();
}

/// Every allocation of a run fails once, on either side, the provider's among them: the run is refused or succeeds, nothing is
/// left, and the next run succeeds.
#[test]
fn every_allocation_that_fails_is_survived() {
    for side in 0..2 {
        let mut pair = Pair::new(13);
        let to = pair.listen(SocketAddr::new(ipv4(1), PORT));
        let wanted = Ping { count: 2, ..ping_of(ipv4(0), to) };
        let mut refused = 0;
        for call in ["IoAllocateMdl", "ExAllocatePool2"] {
            for good in 0.. {
                let machine = pair.consumers[side].host.machine.clone();
                machine.fail_after(call, good);
                let request = pair.ping(&wanted);
                refused += u32::from(pair.wait::<PingReport>(&request).is_err());
                if machine.forget_failures() > 0 {
                    assert!(good > 1, "{call} was hardly called");
                    break;
                }
            }
        }
        assert!(refused > 4, "{refused}");
        let request = pair.ping(&wanted);
        assert!(pair.wait::<PingReport>(&request).is_ok());
        pair.end();
    }
}

/// More clients than a listener serves at once: the rest is refused, and there is room again when they are done.
#[test]
fn a_listener_that_is_full_refuses_and_has_room_again() {
    let mut pair = Pair::new(12);
    let to = pair.listen(SocketAddr::new(ipv4(1), PORT));
    let wanted = Ping { count: 300, operations: ioctl::SEND, ..ping_of(ipv4(0), to) };
    let requests: Vec<_> = (0..10).map(|_| pair.ping(&wanted)).collect();
    let outcomes: Vec<_> = requests.iter().map(|request| pair.wait::<PingReport>(request)).collect();
    let served = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
    assert_eq!(served, 8, "{outcomes:?}");
    let request = pair.ping(&wanted);
    assert!(pair.wait::<PingReport>(&request).is_ok());
    pair.end();
}

#[test]
fn requests_that_make_no_sense_are_refused() {
    let pair = Pair::new(7);
    let good = ping_of(ipv4(0), SocketAddr::new(ipv4(1), PORT));
    let room = size_of::<PingReport>();
    let strange = [
        Ping { operations: 0, ..good },
        Ping { operations: 8, ..good },
        Ping { count: 0, ..good },
        Ping { count: ioctl::COUNT_MAX + 1, ..good },
        Ping { size: 0, ..good },
        Ping { size: ioctl::PING_SIZE_MAX + 1, ..good },
        Ping { remote: Address::from(SocketAddr::new(ipv6(1), PORT)), ..good },
        Ping { local: Address::default(), remote: Address::default(), ..good },
    ];
    for wanted in strange {
        let (status, _) = pair.consumers[0].submit(ioctl::PING, &wanted, room).take().expect("refused at once");
        assert_eq!(status, ndk_types::STATUS_INVALID_PARAMETER, "{wanted:?}");
    }
    let (status, _) = pair.consumers[0].submit(ioctl::PING, &good, room - 1).take().unwrap();
    assert_eq!(status, ndk_types::STATUS_BUFFER_TOO_SMALL);
    let (status, _) = pair.consumers[0].submit(ioctl::PING, &0u32, room).take().unwrap();
    assert_eq!(status, ndk_types::STATUS_INVALID_BUFFER_SIZE);
    let (status, _) = pair.consumers[0].submit(0x22_e018, &good, room).take().unwrap();
    assert_eq!(status, ndk_types::STATUS_INVALID_DEVICE_REQUEST);
    pair.end();
}
