//! ndkping.sys beside softndk.sys on two hosts: pings, bandwidth, both protocols, loss, cancels, unloads in the middle of a run,
//! every failure that its calls can have; the verifier has nothing to say.

use sim_harness::bed::{ipv4, ipv6};
use sim_harness::image;
use sim_harness::kernel::driver::Driver;
use sim_harness::kernel::host::ndkping::ioctl::{
    self, Address, Bandwidth, BandwidthReport, Listen, Listening, Ping, PingReport, QueryAdapter, VersionReport,
};
use sim_harness::kernel::host::ndkping::{self as program, Failure, from_bytes, to_bytes};
use sim_harness::kernel::host::program::Program;
use sim_harness::kernel::host::{Host, INDEX, Shape};
use sim_harness::kernel::nt::io::{self, Request};
use sim_harness::wire::Manners;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

const STATUS_CANCELLED: i32 = 0xc000_0120_u32.cast_signed();
const STATUS_CONNECTION_REFUSED: i32 = 0xc000_0236_u32.cast_signed();
const PORT: u16 = 7171;

fn images() -> (Vec<u8>, Vec<u8>) {
    let read = |name| std::fs::read(image::build_named(name, false).unwrap()).unwrap();
    (read("softndk"), read("ndkping"))
}

fn start(host: &Arc<Host>, image: &[u8]) -> Program {
    Program::start(host, image, "ndkping", ioctl::DEVICE).unwrap()
}

/// What is known without the world.
fn version(program: &Program) -> VersionReport {
    let (status, answer) = program.ask(ioctl::VERSION, &[], size_of::<VersionReport>());
    assert_eq!(status, 0);
    from_bytes(&answer)
}

/// Two hosts with both drivers.
struct Pair(program::Pair);

impl Pair {
    fn new(seed: u64) -> Self {
        let (provider, consumer) = images();
        Self(program::Pair::start(&provider, &consumer, seed, 1500).unwrap())
    }

    /// Lets things happen until a request is answered.
    fn wait<A: program::Plain>(&mut self, request: &Request) -> Result<A, i32> {
        match self.0.wait("the request", request) {
            Ok(answer) => Ok(answer),
            Err(Failure::Refused(_, status)) => Err(status),
            Err(other) => panic!("{other}"),
        }
    }

    fn running(&self) -> u32 {
        version(&self.0.programs[0]).running
    }

    fn host(&self, host: usize) -> &Arc<Host> {
        self.0.programs[host].host()
    }

    fn step(&mut self, times: usize) {
        for _ in 0..times {
            self.0.bed.world.step();
        }
    }

    fn listen(&mut self, at: SocketAddr) -> SocketAddr {
        self.0.listen(at).unwrap()
    }

    fn ping(&self, wanted: &Ping) -> Request {
        self.0.submit::<_, PingReport>(0, ioctl::PING, wanted)
    }

    fn start_bandwidth(&self, wanted: &Bandwidth) -> Request {
        self.0.submit::<_, BandwidthReport>(0, ioctl::BANDWIDTH, wanted)
    }

    fn bandwidth(&mut self, wanted: &Bandwidth) -> BandwidthReport {
        let request = self.start_bandwidth(wanted);
        self.wait(&request).unwrap()
    }

    /// Lets things happen until a machine's threads have ended.
    fn wait_for_threads(&mut self, host: usize) {
        let machine = self.host(host).machine.clone();
        assert!(self.0.bed.run_until(|| machine.sched.alive() == 0), "{:?}", machine.sched.waits());
    }

    /// Ends everything; nothing is left and nothing was broken.
    fn end(self) {
        assert_eq!(self.0.end(), Vec::<String>::new());
    }
}

fn ping_of(from: IpAddr, to: SocketAddr) -> Ping {
    program::ping(from, to, 20, 256)
}

fn bandwidth_of(from: IpAddr, to: SocketAddr, operation: u32) -> Bandwidth {
    program::bandwidth(from, to, operation, (8192, 6, 400_000))
}

/// W-05 has no part in it: a WDM driver; its device and its link come and go, and its registration with WSK.
#[test]
fn the_driver_starts_answers_and_unloads() {
    let (_, image) = images();
    let host = Host::new(&Shape::plain(0, 1), Arc::default());
    for _ in 0..2 {
        let program = start(&host, &image);
        assert_eq!(version(&program), VersionReport { interface: ioctl::INTERFACE_VERSION, running: 0 });
        assert_eq!(program.ask(ioctl::STOP, &[], 0), (0, vec![]));
        assert_eq!(program.end(), 0);
    }
    assert_eq!(host.machine.verifier.take(), []);
}

/// Every call of the entry that can fail fails once.
#[test]
fn an_entry_that_fails_half_way_leaves_nothing() {
    let (_, image) = images();
    let host = Host::new(&Shape::plain(0, 1), Arc::default());
    for call in ["ExAllocatePool2", "WskRegister", "IoCreateDevice", "IoCreateSymbolicLink"] {
        host.machine.fail_once(call);
        assert!(Driver::start(&host.machine, &image, "ndkping").is_err(), "{call}");
        assert_eq!(host.machine.verifier.take(), [], "{call}");
    }
    assert_eq!(start(&host, &image).end(), 0);
    assert_eq!(host.machine.verifier.take(), []);
}

#[test]
fn an_adapter_tells_about_itself() {
    let mut pair = Pair::new(1);
    let wanted = QueryAdapter { interface: INDEX, reserved: 0 };
    let request = pair.0.submit::<_, ioctl::AdapterReport>(0, ioctl::QUERY_ADAPTER, &wanted);
    let report: ioctl::AdapterReport = pair.wait(&request).unwrap();
    assert_eq!((report.major, report.minor, report.technology), (1, 2, 4));
    assert!(report.max_transfer_length >= 1 << 20);
    let nowhere = QueryAdapter { interface: INDEX + 1, reserved: 0 };
    let request = pair.0.submit::<_, ioctl::AdapterReport>(0, ioctl::QUERY_ADAPTER, &nowhere);
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
        assert_eq!(pair.running(), 0);
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
        pair.0.bed.world.set_manners(host, Manners { loss: 0.02, ..Manners::GOOD });
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
        pair.step(steps);
        assert!(io::cancel(&pair.host(0).machine, &request), "{steps}");
        pair.host(0).settle();
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
    let machine = pair.host(0).machine.clone();
    let file = io::open(&machine, ioctl::DEVICE).unwrap();
    let wanted = Ping { count: 60_000, ..ping_of(ipv4(0), to) };
    let request = io::submit(&machine, &file, ioctl::PING, &to_bytes(&wanted), size_of::<PingReport>()).unwrap();
    pair.step(300);
    assert_eq!(pair.running(), 1);
    let closer = machine.clone();
    machine.thread("a program that ends", move || io::close(&closer, file));
    pair.host(0).settle();
    assert_eq!(pair.wait::<PingReport>(&request), Err(STATUS_CANCELLED));
    pair.wait_for_threads(0);
    pair.end();
}

/// The listener stops in the middle of every kind of run: the other side hears of it.
#[test]
fn a_run_whose_listener_stops_ends_with_a_failure() {
    let mut pair = Pair::new(9);
    for (number, operation) in [ioctl::SEND, ioctl::READ, ioctl::WRITE].into_iter().enumerate() {
        let to = pair.listen(SocketAddr::new(ipv4(1), PORT));
        let wanted = Bandwidth { total: 1 << 30, flags: 0, ..bandwidth_of(ipv4(0), to, operation) };
        let request = pair.start_bandwidth(&wanted);
        pair.step(400 + 100 * number);
        assert!(!request.is_done(), "it is in the middle");
        assert!(pair.0.stop(1));
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
        let request = pair.start_bandwidth(&wanted);
        pair.step(steps);
        let program = pair.0.programs.remove(side);
        let host = program.host().clone();
        let left = Arc::new(std::sync::Mutex::new(None));
        let place = left.clone();
        // The end waits for the world: it runs on a thread of the machine. A listener has no handle that ends it.
        host.machine.thread("an unload", move || *place.lock().unwrap() = Some(program.end()));
        host.settle();
        let machine = host.machine.clone();
        assert!(pair.0.bed.run_until(|| machine.sched.alive() == 0), "{side} {steps}: {:?}", machine.sched.waits());
        assert_eq!(*left.lock().unwrap(), Some(0), "{side} {steps}");
        let outcome = pair.wait::<BandwidthReport>(&request);
        assert!(outcome.is_err(), "{side} {steps}");
        assert_eq!(side == 0, outcome == Err(STATUS_CANCELLED), "{side} {steps}: {outcome:?}");
        pair.0.programs.insert(side, start(&host, &images().1));
        pair.end();
    }
}

/// Each call that can fail fails once, on either side: the request is refused, nothing is left, and the next one succeeds.
#[test]
fn whatever_fails_once_is_undone() {
    let mut pair = Pair::new(11);
    let calls = ["PsCreateSystemThread", "WskCaptureProviderNPI", "WskControlClient", "WskOpenNdkAdapter"];
    for call in calls {
        pair.host(0).machine.fail_once(call);
        let request = pair.ping(&ping_of(ipv4(0), SocketAddr::new(ipv4(1), PORT)));
        let failure = pair.wait::<PingReport>(&request).unwrap_err();
        assert!(failure != STATUS_CONNECTION_REFUSED, "{call} did not fail");
        assert_eq!(pair.running(), 0, "{call}");
        pair.host(1).machine.fail_once(call);
        let wanted = Listen { interface: INDEX, local: SocketAddr::new(ipv4(1), PORT).into(), ..Listen::default() };
        let request = pair.0.submit::<_, Listening>(1, ioctl::LISTEN, &wanted);
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
                let machine = pair.host(side).machine.clone();
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
    let program = &pair.0.programs[0];
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
        let (status, _) = program.ask(ioctl::PING, &to_bytes(&wanted), room);
        assert_eq!(status, ndk_types::STATUS_INVALID_PARAMETER, "{wanted:?}");
    }
    let (status, _) = program.ask(ioctl::PING, &to_bytes(&good), room - 1);
    assert_eq!(status, ndk_types::STATUS_BUFFER_TOO_SMALL);
    let (status, _) = program.ask(ioctl::PING, &to_bytes(&0u32), room);
    assert_eq!(status, ndk_types::STATUS_INVALID_BUFFER_SIZE);
    let (status, _) = program.ask(0x22_e018, &to_bytes(&good), room);
    assert_eq!(status, ndk_types::STATUS_INVALID_DEVICE_REQUEST);
    pair.end();
}

/// What the command line prints comes from here.
#[test]
fn a_measurement_has_every_figure_and_leaves_nothing() {
    let (provider, consumer) = images();
    for (ipv6, loss, mtu) in [(false, 0.0, 1500), (true, 0.01, 9000)] {
        let options = program::Options {
            provider: provider.clone(),
            consumer: consumer.clone(),
            loss,
            mtu,
            ipv6,
            total: 1 << 20,
            seed: 14,
        };
        let measured = program::measure(&options).unwrap();
        assert_eq!(measured.violations, Vec::<String>::new());
        assert!([measured.pings.send, measured.pings.read, measured.pings.write].iter().all(|one| one.count == 200));
        assert!(
            measured.bandwidths.iter().all(|one| one.bytes == 1 << 20 && one.nanoseconds > 0 && one.mismatches == 0)
        );
    }
}
