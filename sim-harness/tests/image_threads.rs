//! Consumers on threads of their own over the driver image, on hosts of several processors: frames, timers, deferred calls and
//! work items run at the same time as they do. What one thread can't show.

use ndk_types::*;
use sim_harness::bed::{Bed, ipv4};
use sim_harness::conformance::pair::{Host, VERSION, arrival, close_adapter, wait};
use sim_harness::consumer::{Adapter, Connector, Failed};
use sim_harness::image;
use sim_harness::kernel::host::bed::ImageBed;
use sim_harness::kernel::host::{INDEX, Shape};
use sim_harness::kernel::irql::{self, Irql};
use sim_harness::kernel::ndis::{bindings, oids, pnp};
use sim_harness::kernel::{Machine, host};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

/// Bytes of a slot of a buffer, and the slots that are used: as many requests are outstanding at once.
const SLOT: usize = 8000;
const SLOTS: usize = 8;

/// Something whose NDK functions may be called on any thread, as NDK says.
struct Anywhere<T>(T);

// SAFETY: handles are pointers to objects of the provider, which NDK lets any thread use; what is to be serialised is.
unsafe impl<T> Send for Anywhere<T> {}
// SAFETY: as above.
unsafe impl<T> Sync for Anywhere<T> {}

/// Two connected queue pairs of host 0 and host 1.
struct Link {
    client: Host,
    server: Host,
    active: Connector,
    passive: Connector,
}

fn bed(processors: usize) -> ImageBed {
    let image = std::fs::read(image::build(false).unwrap()).unwrap();
    let shapes = [0, 1].map(|number| Shape { processors, ..Shape::plain(number, 1) });
    ImageBed::of(&image, 1, &shapes).unwrap()
}

fn connect(bed: &mut ImageBed, port: u16) -> Link {
    let (client, server) = (Host::new(bed, 0), Host::new(bed, 1));
    let to = SocketAddr::new(ipv4(1), port);
    let listener = server.adapter.listen(to).unwrap();
    let active = client.adapter.create_connector().unwrap();
    let connecting = active.connect(&client.qp, ipv4(0), to, 4, b"");
    let passive = arrival(bed, &listener);
    let (accepting, _) = passive.accept(&server.qp, 4, b"");
    assert_eq!(wait(bed, connecting), STATUS_SUCCESS);
    active.complete_connect().unwrap();
    assert_eq!(wait(bed, accepting), STATUS_SUCCESS);
    listener.close();
    Link { client, server, active, passive }
}

/// Closes both ends, whatever is under way on them.
fn close(bed: &mut ImageBed, link: Link) {
    let Link { client, server, active, passive } = link;
    active.close();
    passive.close();
    for host in [client, server] {
        let Host { adapter, cq, pd, qp, lam, buffer, .. } = host;
        assert!(buffer.guards_are_whole());
        pd.close();
        cq.close();
        qp.close();
        adapter.release_lam(lam);
        close_adapter(bed, adapter);
    }
}

/// Tells the others when a thread panics, so that none waits for it.
struct Alarm<'a>(&'a AtomicBool);

impl Drop for Alarm<'_> {
    fn drop(&mut self) {
        self.0.fetch_or(thread::panicking(), Ordering::SeqCst);
    }
}

type Task<'a> = Box<dyn FnOnce(&AtomicBool) + Send + 'a>;

/// Runs tasks on a thread each, and the world on this one until they are done.
fn beside(bed: &mut ImageBed, tasks: Vec<Task<'_>>) {
    let failed = AtomicBool::new(false);
    thread::scope(|scope| {
        let threads: Vec<_> = tasks
            .into_iter()
            .map(|task| {
                let failed = &failed;
                scope.spawn(move || {
                    let _alarm = Alarm(failed);
                    task(failed);
                })
            })
            .collect();
        while threads.iter().any(|thread| !thread.is_finished()) {
            if !bed.step() {
                thread::sleep(Duration::from_micros(50));
            }
        }
    });
    assert!(!failed.load(Ordering::SeqCst));
}

fn idle(failed: &AtomicBool) {
    assert!(!failed.load(Ordering::SeqCst), "another thread failed");
    thread::yield_now();
}

fn bytes(number: usize) -> Vec<u8> {
    (0..SLOT - number * 7 % 6000).map(|at| (number * 31 + at) as u8).collect()
}

/// Sends so many messages of different lengths.
fn send(host: &Host, count: usize, failed: &AtomicBool) {
    let (mut sent, mut done) = (0, 0);
    while done < count {
        if sent < count && sent < done + SLOTS {
            let (at, message) = (sent % SLOTS * SLOT, bytes(sent));
            host.buffer.write(at, &message);
            host.qp.send(sent, &[host.sge(at, message.len() as u32)], 0).unwrap();
            sent += 1;
        }
        for result in host.cq.poll() {
            assert_eq!((result.Status, result.RequestContext.addr()), (STATUS_SUCCESS, done));
            done += 1;
        }
        idle(failed);
    }
}

/// Receives them, and looks at every byte.
fn receive(host: &Host, count: usize, failed: &AtomicBool) {
    let (mut posted, mut done) = (0, 0);
    while done < count {
        while posted < count && posted < done + SLOTS {
            host.qp.receive(posted, &[host.sge(posted % SLOTS * SLOT, SLOT as u32)]).unwrap();
            posted += 1;
        }
        for result in host.cq.poll() {
            assert_eq!((result.Status, result.RequestContext.addr()), (STATUS_SUCCESS, done));
            let message = bytes(done);
            assert!(host.buffer.read(done % SLOTS * SLOT, message.len()) == message, "message {done}");
            done += 1;
        }
        idle(failed);
    }
}

/// Opens an adapter as a consumer on any thread does.
fn open(machine: &Arc<Machine>) -> Option<Adapter> {
    let (opened, _) = irql::at(Irql::Passive, || pnp::open_ndk_adapter(machine, INDEX, VERSION));
    let machine = machine.clone();
    opened.ok().map(|object| Adapter::opened(object, move |object| pnp::close_ndk_adapter(&machine, object)))
}

/// Makes and closes objects, so many times; how often it was let in.
fn come_and_go(machine: &Arc<Machine>, rounds: usize, failed: &AtomicBool) -> usize {
    let mut opened = 0;
    for _ in 0..rounds {
        if let Some(adapter) = open(machine) {
            opened += 1;
            let (cq, _) = adapter.create_cq(8).unwrap();
            let pd = adapter.create_pd().unwrap();
            let qp = pd.create_qp(&cq, 4, 1, 0).unwrap();
            pd.close();
            cq.close();
            qp.close();
            // This is the wait for them.
            adapter.close();
        }
        idle(failed);
    }
    opened
}

fn switch(host: &host::Host, on: bool) {
    let instance = host.instance().expect("an instance");
    let body = [u8::from(on)];
    irql::at(Irql::Passive, || {
        oids::request(&host.machine, instance, NdisRequestSetInformation, OID_NDK_SET_STATE, &body)
    });
}

/// QP-11, CQ-48, MR-30: what one thread posts to a queue pair, another to its peer's, while others do the same with theirs and
/// objects come and go: every message arrives once, whole and in order.
#[test]
fn messages_of_several_queue_pairs_arrive_whole_and_in_order_beside_objects_that_come_and_go() {
    let mut bed = bed(3);
    let links: Vec<_> = (0..3).map(|number| Anywhere(connect(&mut bed, 5000 + number))).collect();
    let machines: Vec<_> = bed.hosts.iter().map(|host| host.machine.clone()).collect();
    let mut tasks: Vec<Task<'_>> = Vec::new();
    for link in &links {
        tasks.push(Box::new(move |failed| send(&{ link }.0.client, 150, failed)));
        tasks.push(Box::new(move |failed| receive(&{ link }.0.server, 150, failed)));
    }
    for machine in &machines {
        tasks.push(Box::new(move |failed| assert_eq!(come_and_go(machine, 40, failed), 40)));
    }
    beside(&mut bed, tasks);
    for link in links {
        close(&mut bed, link.0);
    }
    assert_eq!(bed.end(), [""; 0]);
}

/// QP-12, QP-13, ADP-14, LT-10: one end goes in the middle of what the other sends; every request still comes back once.
#[test]
fn a_close_that_races_with_receives_flushes_every_request_once() {
    let mut bed = bed(2);
    for round in 0..12_usize {
        let link = Anywhere(connect(&mut bed, 6000));
        for number in 0..SLOTS {
            link.0.server.qp.receive(number, &[link.0.server.sge(number * SLOT, SLOT as u32)]).unwrap();
        }
        let disconnected = AtomicBool::new(false);
        let shared = &link;
        let sender = move |failed: &AtomicBool| {
            let host = &{ shared }.0.client;
            let (mut posted, mut done) = (Vec::new(), Vec::new());
            for number in 0..SLOTS {
                // The other end may be gone already; what was taken comes back.
                match host.qp.send(number, &[host.sge(0, 4000)], 0) {
                    Ok(()) => posted.push(number),
                    Err(refused) => assert_eq!(refused, Failed("NdkSend", STATUS_CONNECTION_INVALID)),
                }
            }
            while done.len() < posted.len() {
                done.extend(host.cq.poll().iter().map(|result| result.RequestContext.addr()));
                idle(failed);
            }
            assert_eq!(done, posted, "round {round}");
        };
        let gone = &disconnected;
        let closer = move |_: &AtomicBool| {
            for _ in 0..round * 20 {
                thread::yield_now();
            }
            let host = &{ shared }.0;
            host.server.qp.flush();
            host.passive.disconnect();
            gone.store(true, Ordering::SeqCst);
        };
        beside(&mut bed, vec![Box::new(sender), Box::new(closer)]);
        assert!(disconnected.load(Ordering::SeqCst));
        link.0.server.qp.flush();
        close(&mut bed, link.0);
    }
    assert_eq!(bed.end(), [""; 0]);
}

/// ADP-09, PNP-03, PNP-06, OID-04: NDK goes off and on while consumers open and close adapters: each is let in or refused, and
/// whoever was let in is waited for.
#[test]
fn opens_that_race_with_ndk_going_off_and_on_are_waited_for_or_refused() {
    let mut bed = bed(3);
    let host = bed.hosts[0].clone();
    let (machine, over) = (host.machine.clone(), AtomicBool::new(false));
    let (machine, over, host) = (&machine, &over, &host);
    let mut tasks: Vec<Task<'_>> = Vec::new();
    for _ in 0..3 {
        tasks.push(Box::new(move |failed| {
            while !over.load(Ordering::SeqCst) {
                come_and_go(machine, 1, failed);
            }
        }));
    }
    tasks.push(Box::new(move |failed| {
        for round in 0..30 {
            switch(host, round % 2 == 1);
            let announced = || host.tcpip.seen().ndk_events > round;
            while !announced() {
                idle(failed);
            }
        }
        over.store(true, Ordering::SeqCst);
    }));
    beside(&mut bed, tasks);
    assert_eq!(bed.end(), [""; 0]);
}

/// W-07, PNP-09, PNP-10: the NIC is pulled out while traffic arrives on every processor; then the driver unloads.
#[test]
fn a_nic_that_goes_while_frames_arrive_leaves_nothing_behind() {
    for _ in 0..3 {
        let mut bed = bed(3);
        let link = Anywhere(connect(&mut bed, 7000));
        let one = bed.hosts[1].clone();
        let shared = &link;
        let sender = move |failed: &AtomicBool| {
            let host = &{ shared }.0.client;
            for number in 0..SLOTS {
                host.qp.send(number, &[host.sge(0, SLOT as u32)], 0).unwrap();
            }
            for _ in 0..200 {
                idle(failed);
            }
            bindings::remove_nic(&one.machine, one.nic_handle);
            // The consumer there learns that NDK goes.
            while one.tcpip.seen().ndk_events == 0 {
                idle(failed);
            }
        };
        let server = &link.0.server;
        (0..SLOTS).for_each(|at| server.qp.receive(at, &[server.sge(at * SLOT, SLOT as u32)]).unwrap());
        beside(&mut bed, vec![Box::new(sender)]);
        close(&mut bed, link.0);
        assert_eq!(bed.end(), [""; 0]);
    }
}
