//! `endpoint` in real time, on loopback: rping between natively built providers, and between them and the driver image in the
//! simulated kernel. Nothing here depends on how long anything takes; the limit ends a run that hangs.

use sim_harness::endpoint::{self, Options};
use sim_harness::image;
use sim_harness::kernel::nic::carrier::UdpCarrier;
use std::net::IpAddr;
use std::sync::LazyLock;
use std::sync::mpsc::{self, Sender};
use std::time::Duration;

/// Nothing takes so long unless it hangs.
const LIMIT: Duration = Duration::from_mins(5);
const COUNT: usize = 3;

/// The image, built once.
static IMAGE: LazyLock<Vec<u8>> = LazyLock::new(|| std::fs::read(image::build(false).unwrap()).unwrap());

/// What a host is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Native,
    Image,
}

use Kind::{Image, Native};

fn options(kind: Kind, [own, peer]: [IpAddr; 2], server: bool, size: usize, mtu: u32) -> Options {
    let image = (kind == Image).then(|| IMAGE.clone());
    Options { addresses: vec![own], peer, ip_mtu: mtu, server, count: COUNT, size, verbose: false, port: 7174, image }
}

/// What one end says.
#[derive(Debug, PartialEq, Eq)]
enum Told {
    Listens,
    Ended(&'static str, Result<usize, String>),
}

/// Runs one end on a thread of its own.
fn begin(name: &'static str, options: Options, carrier: UdpCarrier, tell: Sender<Told>) {
    std::thread::spawn(move || {
        // Nobody listens any more when the other end has failed.
        let listens = || tell.send(Told::Listens).unwrap_or_default();
        let ended = endpoint::run(&options, &carrier, listens).map_err(|trouble| trouble.to_string());
        let _ = tell.send(Told::Ended(name, ended));
    });
}

/// rping from a client of one kind to a server of another, to its end on both sides.
fn ping(client: Kind, server: Kind, addresses: [&str; 2], size: usize, mtu: u32) {
    let [here, there]: [IpAddr; 2] = addresses.map(|address| address.parse().unwrap());
    let (near, far) = UdpCarrier::pair().unwrap();
    let (tell, told) = mpsc::channel();
    let next = || told.recv_timeout(LIMIT).expect("one of the ends goes on");
    begin("the server", options(server, [there, here], true, size, mtu), far, tell.clone());
    assert_eq!(next(), Told::Listens);
    begin("the client", options(client, [here, there], false, size, mtu), near, tell);
    let mut left = vec!["the client", "the server"];
    while !left.is_empty() {
        let Told::Ended(name, outcome) = next() else { unreachable!("a server listens once, a client never") };
        assert_eq!(outcome, Ok(COUNT), "{name}");
        left.retain(|one| *one != name);
    }
}

const V4: [&str; 2] = ["10.9.0.2", "10.9.0.1"];
const V6: [&str; 2] = ["fd00:9::2", "fd00:9::1"];

#[test]
fn a_native_client_pings_a_native_server_over_both_families_in_all_sizes() {
    for addresses in [V4, V6] {
        for size in [64, 4096, 32_768] {
            ping(Native, Native, addresses, size, 1500);
        }
    }
}

#[test]
fn the_image_pings_a_native_server_over_both_families_in_all_sizes() {
    for addresses in [V4, V6] {
        for size in [64, 4096, 32_768] {
            ping(Image, Native, addresses, size, 1500);
        }
    }
}

#[test]
fn a_native_client_pings_the_image_over_both_families_in_all_sizes() {
    for addresses in [V4, V6] {
        for size in [64, 4096, 32_768] {
            ping(Native, Image, addresses, size, 1500);
        }
    }
}

#[test]
fn the_image_pings_the_image_on_another_machine_of_this_process() {
    for (addresses, mtu) in [(V4, 1500), (V6, 9000)] {
        ping(Image, Image, addresses, 100_000, mtu);
    }
}
