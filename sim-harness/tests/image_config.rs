//! What the driver image makes of its registry keys and of the system's secret: keywords that are absurd, missing or cannot be
//! read, pairings that are none, and the same run again from the same seed.

use sim_harness::conformance::pair::{self, Pair, results};
use sim_harness::image;
use sim_harness::kernel::host::bed::ImageBed;
use sim_harness::kernel::host::{Host, Shape};
use sim_harness::kernel::ndis::native::Nic;
use sim_harness::kernel::ndis::{bindings, miniports};
use sim_harness::kernel::nt::registry::Value;
use sim_harness::kernel::stack;
use sim_harness::memory::within;
use sim_harness::wire::Verdict;
use std::cell::RefCell;
use std::rc::Rc;
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

/// INF-07, INF-08, INF-09: a frame size that the packets have no room for is not the active one, and the event log says which is;
/// a change of a keyword holds from the next start of the miniport on.
#[test]
fn the_active_frame_size_is_the_largest_that_fits_and_is_logged_when_it_is_not_the_one_configured() {
    let mut shape = Shape::plain(0, 1).with_mtu(9000);
    shape.set("*NetworkDirectRoCEFrameSize", "4096");
    shape.set("*JumboPacket", "1514");
    let host = started(&shape, |_| ());
    let logged = |host: &Host| host.machine.log_lines().iter().filter(|line| line.starts_with("event log")).count();
    let line = r#"event log: 0xa0000005 [1024] "*NetworkDirectRoCEFrameSize""#;
    assert!(host.machine.log_lines().iter().any(|one| one == line), "{:?}", host.machine.log_lines());
    let key = host.key.clone();
    host.machine.nt.registry.set(&key, "*JumboPacket", Value::Sz("9014".to_owned()));
    miniports::disable_device(&host.machine, &host.device);
    host.settle();
    miniports::enable_device(&host.machine, &host.device);
    host.settle();
    assert!(host.instance().is_some());
    assert_eq!(logged(&host), 1, "4096 fits now");
    end(&host);
}

/// INF-10, INF-11, REG-08
#[test]
fn network_direct_is_an_integer_that_switches_ndk_off_and_leaves_the_capabilities() {
    let ndk = |value: Option<&str>| {
        let mut shape = Shape::plain(0, 1);
        shape.keywords.retain(|(name, _)| *name != "*NetworkDirect");
        if let Some(value) = value {
            shape.set("*NetworkDirect", value);
        }
        let host = started(&shape, |_| ());
        let ndk = miniports::attributes(&host.machine, host.instance().unwrap()).unwrap().ndk.unwrap();
        end(&host);
        (ndk.enabled, ndk.limits)
    };
    let on = ndk(Some("1"));
    assert!(on.0 && on.1[0] > 0);
    assert_eq!(ndk(Some("0")), (false, on.1));
    for default in [None, Some("7"), Some("on")] {
        assert_eq!(ndk(default), on, "{default:?}");
    }
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

/// Every frame of a connection over two driver images, with its time and sender; and the bytes that a stranger must not guess.
fn played(image: &[u8], seed: u64) -> Vec<(u64, usize, Vec<u8>)> {
    let mut bed = ImageBed::new(image, seed).unwrap();
    let frames = Rc::new(RefCell::new(Vec::new()));
    for host in 0..2 {
        let frames = frames.clone();
        bed.world.set_rule(host, move |now: u64, frame: &[u8], _: u64| {
            frames.borrow_mut().push((now, host, frame.to_vec()));
            Verdict::Pass
        });
    }
    // Each side's buffer is in its own machine's memory.
    let [client, server] = [0, 1].map(|host| {
        let memory = bed.hosts[host].machine.nt.memory.clone();
        within(memory, || pair::Host::new(&mut bed, host))
    });
    let pair = Pair::connect(&mut bed, client, server);
    pair.server.qp.receive(0, &[pair.server.sge(0, 8000)]).unwrap();
    pair.client.qp.send(0, &[pair.client.sge(0, 8000)], 0).unwrap();
    assert_eq!(results(&mut bed, &pair.client, 50).len(), 1);
    pair.close(&mut bed);
    assert_eq!(bed.end(), [""; 0]);
    frames.take()
}

/// DESIGN D8: queue pair numbers, first PSNs, tokens: everything the driver draws follows from the machine's seed.
#[test]
fn a_run_of_the_image_is_the_same_again_from_its_seed_and_another_from_another() {
    let image = image();
    let [one, again, other] = [7, 7, 8].map(|seed| played(&image, seed));
    assert!(one.len() > 20, "a connection and a message of eight packets");
    let differ = one.iter().zip(&again).position(|(left, right)| left != right);
    assert_eq!((differ, one.len()), (None, again.len()));
    let texts = |run: &[(u64, usize, Vec<u8>)]| run.iter().map(|(_, _, frame)| frame.clone()).collect::<Vec<_>>();
    assert_ne!(texts(&one), texts(&other));
}

/// W-44: below the driver on a kernel stack are the NIC's driver and NDIS, above it the consumer and the way down again. Theirs
/// run on the simulator's own stack here, so the driver must leave them room on a real one.
#[test]
fn the_driver_leaves_ten_of_the_24_kib_of_a_kernel_stack_to_others() {
    played(&image(), 9);
    let deepest = stack::deepest();
    assert!((1024..=stack::STACK - 10 * 1024).contains(&deepest), "{deepest} bytes");
}
