//! What of ndkping.sys names no kernel, run natively: the very files of `ndkping/src`.

#[allow(unreachable_pub, dead_code, reason = "the driver's own visibility, and what only it uses")]
#[path = "../../ndkping/src/course.rs"]
mod course;
#[allow(unreachable_pub, dead_code, reason = "the driver's own visibility, and what only it uses")]
#[path = "../../ndkping/src/hello.rs"]
mod hello;
#[allow(unreachable_pub, dead_code, reason = "the driver's own visibility, and what only it uses")]
#[path = "../../ndkping/src/ioctl.rs"]
mod ioctl;
#[expect(unreachable_pub, reason = "the driver's own visibility")]
#[path = "../../ndkping/src/lane.rs"]
mod lane;
#[expect(unreachable_pub, reason = "the driver's own visibility")]
#[path = "../../ndkping/src/latency.rs"]
mod latency;
#[expect(unreachable_pub, reason = "the driver's own visibility")]
#[path = "../../ndkping/src/number.rs"]
mod number;
#[allow(unreachable_pub, dead_code, reason = "the driver's own visibility, and what only it uses")]
#[path = "../../ndkping/src/pattern.rs"]
mod pattern;

use course::{Course, Debt, Kind};
use hello::{Credit, Hello, LENGTH, Mode, Welcome};
use ioctl::Latency;
use lane::Lane;
use number::Number;
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;

#[test]
fn percentiles_are_samples_at_their_nearest_rank() {
    assert_eq!(latency::summarise(&mut []), Latency::default());
    let one = Latency { count: 1, min: 7, average: 7, max: 7, p50: 7, p99: 7 };
    assert_eq!(latency::summarise(&mut [7]), one);
    let mut hundred: Vec<u64> = (1..=100).rev().collect();
    let wanted = Latency { count: 100, min: 1, average: 50, max: 100, p50: 50, p99: 99 };
    assert_eq!(latency::summarise(&mut hundred), wanted);
    // Any order, with equal ones.
    for count in 1..70_u64 {
        let mut mixed: Vec<u64> = (0..count).map(|at| at.wrapping_mul(0x9e37_79b9_7f4a_7c15) % 23).collect();
        let mut sorted = mixed.clone();
        sorted.sort_unstable();
        let said = latency::summarise(&mut mixed);
        assert_eq!((&mixed, said.min, said.max), (&sorted, sorted[0], sorted[count as usize - 1]));
        assert_eq!(said.p50, sorted[count.div_ceil(2) as usize - 1], "{count}");
    }
    let mut large = [u64::MAX; 3];
    assert_eq!(latency::summarise(&mut large).average, u64::MAX);
}

#[test]
fn addresses_go_there_and_back() {
    for text in ["10.9.0.1:445", "[fd00:9::1]:0", "[fe80::1%7]:65535"] {
        let address: SocketAddr = text.parse().unwrap();
        assert_eq!(ioctl::Address::from(address).to_socket_address(), Some(address));
    }
    assert_eq!(ioctl::Address::default().to_socket_address(), None);
    let v4 = ioctl::Address::from("1.2.3.4:5".parse::<SocketAddr>().unwrap());
    assert_eq!((v4.family, v4.port, &v4.bytes[..5]), (2, 5, &[1, 2, 3, 4, 0][..]));
}

/// The codes are what CTL_CODE makes of their parts: 0x22, read and write access, 0x800 and up, METHOD_BUFFERED.
#[test]
fn control_codes_are_those_the_script_sends() {
    let codes = [ioctl::VERSION, ioctl::QUERY_ADAPTER, ioctl::LISTEN, ioctl::PING, ioctl::BANDWIDTH, ioctl::STOP];
    assert_eq!(codes, [0x22_e000, 0x22_e004, 0x22_e008, 0x22_e00c, 0x22_e010, 0x22_e014]);
    let script = include_str!("../../inf/ndkping.ps1").to_lowercase();
    for code in codes {
        assert!(script.contains(&format!("{code:#x}")), "{code:#x}");
    }
}

#[test]
fn what_is_told_is_understood_and_nothing_else_is() {
    let hello = Hello { mode: Mode::Sink, verify: true, size: 4096, depth: 16, count: u32::MAX };
    let welcome = Welcome { address: 0xffff_9000_0123_4567, length: 65_536, token: 0x1234_5600 };
    let credit = Credit { credits: 8, mismatches: u64::MAX - 1 };
    assert_eq!(Hello::from_bytes(&hello.to_bytes()), Some(hello));
    assert_eq!(Welcome::from_bytes(&welcome.to_bytes()), Some(welcome));
    assert_eq!(Credit::from_bytes(&credit.to_bytes()), Some(credit));
    // Padded by the transport (CN-23), cut short, of another kind, of another version, of a stranger.
    let mut padded = [0; 56];
    padded[..LENGTH].copy_from_slice(&hello.to_bytes());
    assert_eq!(Hello::from_bytes(&padded), Some(hello));
    assert_eq!(Hello::from_bytes(&hello.to_bytes()[..LENGTH - 1]), None);
    assert_eq!(Hello::from_bytes(&welcome.to_bytes()), None);
    assert_eq!(Credit::from_bytes(&hello.to_bytes()), None);
    for at in 0..9 {
        let mut other = hello.to_bytes();
        other[at] ^= 0x40;
        assert_eq!(Hello::from_bytes(&other), None, "byte {at}");
    }
}

#[test]
fn numbers_of_requests_go_there_and_back() {
    for number in [Number::Receive(0), Number::Initiator(127), Number::Credit(3)] {
        assert_eq!(Number::from_context(number.to_context()), Some(number));
    }
    for stranger in [0, 1, 4 << 16, usize::MAX] {
        assert_eq!(Number::from_context(stranger), None);
    }
}

#[test]
fn the_pattern_of_every_place_is_another() {
    let salts = [pattern::MEMORY, pattern::STREAM, pattern::WRITTEN, pattern::UNTOUCHED];
    let mut seen = BTreeSet::new();
    for salt in salts.into_iter().flat_map(|salt| [salt, salt + 1, salt + u64::from(ioctl::DEPTH_MAX) - 1]) {
        assert!(seen.insert(pattern::bytes(16, salt).collect::<Vec<_>>()), "{salt:#x}");
    }
    // A piece that landed elsewhere in its buffer shows, and lengths need not be whole words.
    let long: Vec<_> = pattern::bytes(4099, 1).collect();
    assert_eq!(long.len(), 4099);
    assert!(long.chunks_exact(8).collect::<BTreeSet<_>>().len() == 512);
}

/// Posts what may be posted; gives the places.
fn post_all(course: &mut Course) -> Vec<u32> {
    let mut places = Vec::new();
    while let Some(place) = course.next() {
        course.posted();
        places.push(place);
    }
    places
}

#[test]
fn reads_are_posted_as_deep_as_asked_for_and_their_places_are_taken_in_turn() {
    let mut course = Course::new(Kind::Read, 5, 3);
    assert_eq!(post_all(&mut course), [0, 1, 2]);
    assert_eq!(course.completed(), Some(0));
    assert_eq!(post_all(&mut course), [0]);
    assert_eq!([course.completed(), course.completed()], [Some(1), Some(2)]);
    assert_eq!(post_all(&mut course), [1]);
    assert!(!course.is_over());
    assert_eq!([course.completed(), course.completed()], [Some(0), Some(1)]);
    assert!(course.is_over());
    assert_eq!(course.completed(), None, "nothing is under way");
}

#[test]
fn a_ping_waits_for_its_echo_and_for_its_send() {
    for echo_first in [true, false] {
        let mut course = Course::new(Kind::Echo, 2, 1);
        assert!(!course.echoed(), "nobody waits for an echo");
        assert_eq!(post_all(&mut course), [0]);
        if echo_first {
            assert!(course.echoed());
            assert!(!course.echoed(), "one echo a ping");
        } else {
            assert_eq!(course.completed(), Some(0));
        }
        assert_eq!(course.next(), None);
        if echo_first {
            assert_eq!(course.completed(), Some(0));
        } else {
            assert!(course.echoed());
        }
        assert_eq!(course.next(), Some(0));
    }
}

#[test]
fn a_stream_sends_as_far_as_its_credits_go_and_is_over_when_all_have_arrived() {
    let mut course = Course::new(Kind::Stream, 6, 4);
    assert_eq!(post_all(&mut course), [0, 1, 2, 3]);
    (0..4).for_each(|place| assert_eq!(course.completed(), Some(place)));
    assert_eq!(course.next(), None, "all were sent, none has arrived");
    assert!(!course.credited(5), "more than was sent");
    assert!(course.credited(2));
    assert_eq!(post_all(&mut course), [0, 1]);
    (0..2).for_each(|place| assert_eq!(course.completed(), Some(place)));
    assert_eq!((course.done(), course.arrived(), course.is_over()), (6, 2, false));
    assert!(course.credited(4) && course.is_over());
}

/// A server that gives credits as `Debt` says never leaves a client that keeps to them waiting, whatever depth and count.
#[test]
fn credits_come_back_before_the_stream_stops_and_at_its_end() {
    for depth in 1..=9 {
        for count in 1..=25 {
            let (mut course, mut debt) = (Course::new(Kind::Stream, u64::from(count), depth), Debt::new(depth, count));
            for _ in 0..count {
                let sent = post_all(&mut course).len();
                for _ in 0..sent {
                    assert!(course.completed().is_some());
                    debt.received();
                }
                if let Some(credits) = debt.due() {
                    debt.paid();
                    assert!(course.credited(credits), "depth {depth}, count {count}");
                }
            }
            assert!(course.is_over(), "depth {depth}, count {count}");
            assert_eq!(debt.due(), None);
        }
    }
}

#[test]
fn whoever_finds_the_lane_taken_leaves_a_mark_that_is_found() {
    let (lane, turns) = (Lane::default(), AtomicU32::new(0));
    assert!(!lane.enter(|| {
        // From inside: a mark, no second turn inside the first.
        if turns.fetch_add(1, Ordering::SeqCst) == 0 {
            assert!(!lane.enter(|| unreachable!("it is taken")));
        }
    }));
    assert_eq!(turns.load(Ordering::SeqCst), 2);
    lane.end();
    assert!(lane.is_empty());
    assert!(!lane.enter(|| unreachable!("it has ended")));
}

#[test]
fn whoever_leaves_an_ended_lane_says_that_it_is_empty() {
    let lane = Lane::default();
    let emptied = lane.enter(|| {
        lane.end();
        assert!(!lane.is_empty());
    });
    assert!(emptied && lane.is_empty());
}

#[test]
fn one_at_a_time_is_in_the_lane_and_no_mark_is_lost() {
    const EACH: u32 = 20_000;
    let (lane, inside) = (Lane::default(), AtomicBool::new(false));
    let (wanted, seen) = (AtomicU32::new(0), AtomicU32::new(0));
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                for _ in 0..EACH {
                    wanted.fetch_add(1, Ordering::SeqCst);
                    let _ = lane.enter(|| {
                        assert!(!inside.swap(true, Ordering::SeqCst), "two are inside");
                        seen.store(wanted.load(Ordering::SeqCst), Ordering::SeqCst);
                        inside.store(false, Ordering::SeqCst);
                    });
                }
            });
        }
    });
    assert_eq!(seen.load(Ordering::SeqCst), 3 * EACH, "the last mark was seen");
}
