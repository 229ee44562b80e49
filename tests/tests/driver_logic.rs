//! The driver's logic that names no kernel, run natively: the very files of `driver/src`.

#[expect(unreachable_pub, reason = "the driver's own visibility")]
#[path = "../../driver/src/data_path/classify.rs"]
mod classify;
#[expect(unreachable_pub, reason = "the driver's own visibility")]
#[path = "../../driver/src/binding/device_name.rs"]
mod device_name;
#[expect(unreachable_pub, reason = "the driver's own visibility")]
#[path = "../../driver/src/kernel/random/generator.rs"]
mod generator;
#[expect(unreachable_pub, reason = "the driver's own visibility")]
#[path = "../../driver/src/config/keywords.rs"]
mod keywords;
#[allow(unreachable_pub, dead_code, reason = "the driver's own visibility, and what only it uses")]
#[path = "../../driver/src/miniport/oid_table.rs"]
mod oid_table;
#[expect(unreachable_pub, reason = "the driver's own visibility")]
#[path = "../../driver/src/routes/sockaddr.rs"]
mod sockaddr;
#[expect(unreachable_pub, reason = "the driver's own visibility")]
#[path = "../../driver/src/adapter/traffic.rs"]
mod traffic;
#[expect(unreachable_pub, reason = "the driver's own visibility")]
#[path = "../../driver/src/miniport/turn.rs"]
mod turn;

use classify::{HEADERS, is_roce, linear};
use device_name::{DeviceName, UNITS};
use generator::{Generator, SECRET, block};
use keywords::{
    JUMBO_PACKET, Keyword, NETWORK_DIRECT, ROCE_FRAME_SIZE, ROCE_HEADERS, Reading, TECHNOLOGY, active_frame_size,
};
use ndk_types::{
    NDIS_LINK_PARAMETERS, NDIS_NDK_STATISTICS_INFO, OID_802_3_MULTICAST_LIST, OID_GEN_LINK_PARAMETERS, OID_GEN_RCV_OK,
    OID_GEN_RECEIVE_SCALE_PARAMETERS, OID_NDK_SET_STATE, OID_NDK_STATISTICS,
};
use oid_table::{Refusal, SUPPORTED, TABLE, check_query, check_set};
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use traffic::Traffic;
use turn::Turn;

const KEYWORDS: [Keyword; 4] = [NETWORK_DIRECT, TECHNOLOGY, ROCE_FRAME_SIZE, JUMBO_PACKET];

/// The second field onwards of the INF's lines for this keyword.
fn inf_lines(keyword: &Keyword) -> Vec<String> {
    let inf = Path::new(env!("CARGO_MANIFEST_DIR")).join("../inf/softndk.inx");
    let key = format!(r"Ndi\Params\{}", keyword.name);
    std::fs::read_to_string(inf)
        .expect("the INF")
        .lines()
        .filter_map(|line| line.split_once(&key).map(|(_, rest)| rest.to_owned()))
        .filter(|rest| rest.starts_with([',', '\\']))
        .collect()
}

fn quoted(line: &str) -> Vec<&str> {
    line.split('"').skip(1).step_by(2).collect()
}

#[test]
fn the_driver_and_the_inf_have_the_same_defaults() {
    for keyword in KEYWORDS {
        let lines = inf_lines(&keyword);
        let default = lines.iter().find(|line| line.contains("Default,")).expect("a default");
        assert_eq!(quoted(default), [keyword.default.to_string()], "{}", keyword.name);
    }
}

#[test]
fn the_driver_accepts_every_value_that_the_inf_offers() {
    for keyword in KEYWORDS {
        let mut offered = 0;
        for line in inf_lines(&keyword).iter().filter(|line| line.starts_with(r"\enum")) {
            let value = quoted(line)[0].parse().expect("a number");
            assert_eq!(keyword.judge(Some(value)), Reading::Said(value), "{}", keyword.name);
            offered += 1;
        }
        assert_ne!(offered, 0, "{}", keyword.name);
    }
}

#[test]
fn a_missing_or_absurd_keyword_has_its_default() {
    for keyword in KEYWORDS {
        assert_eq!(keyword.judge(None), Reading::Missing);
        assert_eq!(keyword.value(Reading::Missing), keyword.default);
        for absurd in [5, 1513, 65_536, u32::MAX] {
            let reading = keyword.judge(Some(absurd));
            assert_eq!(reading, Reading::Absurd(absurd), "{}", keyword.name);
            assert_eq!(keyword.value(reading), keyword.default);
        }
    }
}

/// W-08.
#[test]
fn nothing_enters_before_restart_or_after_pause() {
    let traffic = Traffic::paused();
    assert!(!traffic.is_running() && !traffic.enter(1));
    traffic.restart();
    assert!(traffic.is_running() && traffic.enter(2));
    assert!(!traffic.pause() && !traffic.enter(1));
    assert_eq!(traffic.under_way(), 2);
}

/// W-08.
#[test]
fn a_pause_with_nothing_under_way_is_complete_at_once() {
    let traffic = Traffic::paused();
    traffic.restart();
    assert!(traffic.enter(3) && !traffic.leave(3));
    assert!(traffic.pause());
}

/// W-08.
#[test]
fn the_last_to_leave_completes_the_pause_and_no_other() {
    let traffic = Traffic::paused();
    traffic.restart();
    assert!(traffic.enter(3));
    assert!(!traffic.pause());
    assert!(!traffic.leave(1) && !traffic.leave(0) && traffic.leave(2));
    traffic.restart();
    assert!(traffic.enter(1) && !traffic.leave(1), "running again: nobody waits");
}

/// W-08.
#[test]
fn under_contention_a_pause_completes_exactly_once() {
    for _ in 0..200 {
        let (traffic, completions) = (Traffic::paused(), AtomicU32::new(0));
        traffic.restart();
        thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    for _ in 0..50 {
                        if traffic.enter(1) && traffic.leave(1) {
                            completions.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                });
            }
            scope.spawn(|| {
                if traffic.pause() {
                    completions.fetch_add(1, Ordering::Relaxed);
                }
            });
        });
        assert_eq!((completions.into_inner(), traffic.under_way()), (1, 0));
    }
}

/// W-22.
#[test]
fn every_oid_of_the_documented_table_is_taken_and_each_once() {
    // From "Mandatory OIDs for miniport drivers", as the documentation orders them.
    let mandatory = [
        0x1_010f, 0x1_010e, 0x1_0209, 0x1_0208, 0x1_0111, 0x2_0102, 0x1_010b, 0x1_0109, 0x2_0106, 0x1_010a, 0x1_0108,
        0x1_010d, 0x1_0116, 0x1_010c, 0x2_0101,
    ];
    for oid in mandatory {
        assert!(TABLE.iter().any(|line| line.oid == oid), "{oid:#x}");
    }
    for line in TABLE {
        assert_eq!(TABLE.iter().filter(|other| other.oid == line.oid).count(), 1, "{:#x}", line.oid);
    }
}

/// W-22, W-24.
#[test]
fn the_list_of_supported_oids_has_the_table_and_receive_side_scaling_once_each() {
    let table = TABLE.iter().map(|line| line.oid).chain([OID_GEN_RECEIVE_SCALE_PARAMETERS]);
    for oid in table {
        assert_eq!(SUPPORTED.iter().filter(|&&listed| listed == oid).count(), 1, "{oid:#x}");
    }
    assert_eq!(SUPPORTED.len(), TABLE.len() + 1);
}

/// OID-08, OID-09.
#[test]
fn whoever_asks_while_a_worker_is_on_its_way_is_looked_after_by_that_worker() {
    let turn = Turn::idle();
    assert!(turn.ask(), "the first sends a worker");
    assert!(!turn.ask(), "queued: none is sent again");
    turn.begin();
    assert!(!turn.ask(), "at work: none is sent either");
    assert!(!turn.end(), "but it looks again");
    turn.begin();
    assert!(turn.end());
    assert!(turn.ask(), "and then the next needs a worker");
}

/// OID-09.
#[test]
fn of_many_who_ask_at_once_one_worker_at_a_time_sees_the_last() {
    let (turn, asked, seen, workers) = (Turn::idle(), AtomicU32::new(0), AtomicU32::new(0), AtomicU32::new(0));
    let work = || {
        assert_eq!(workers.fetch_add(1, Ordering::SeqCst), 0, "one at a time");
        loop {
            turn.begin();
            seen.store(asked.load(Ordering::SeqCst), Ordering::SeqCst);
            // Nobody is at work once `end` says so: whoever asks next may be quicker than the next line.
            workers.fetch_sub(1, Ordering::SeqCst);
            if turn.end() {
                return;
            }
            workers.fetch_add(1, Ordering::SeqCst);
        }
    };
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..500 {
                    asked.fetch_add(1, Ordering::SeqCst);
                    if turn.ask() {
                        work();
                    }
                }
            });
        }
    });
    assert_eq!((asked.into_inner(), seen.into_inner()), (2000, 2000));
}

/// OID-02, OID-03.
#[test]
fn set_state_takes_one_byte_and_names_it_as_needed() {
    assert_eq!(check_set(OID_NDK_SET_STATE, 1), Ok(()));
    for length in [0, 2, 4, u32::MAX] {
        assert_eq!(check_set(OID_NDK_SET_STATE, length), Err(Refusal::Length { needed: 1 }));
    }
    assert_eq!(check_query(OID_NDK_SET_STATE, 1), Err(Refusal::NotSupported));
}

/// OID-11.
#[test]
fn a_query_with_too_little_room_is_told_how_much_is_needed() {
    let needed = size_of::<NDIS_NDK_STATISTICS_INFO>() as u32;
    assert_eq!(check_query(OID_NDK_STATISTICS, needed - 1), Err(Refusal::Length { needed }));
    assert_eq!(check_query(OID_NDK_STATISTICS, needed + 9), Ok(needed));
    assert_eq!(check_set(OID_NDK_STATISTICS, needed), Err(Refusal::NotSupported));
    assert_eq!(check_query(0xffff_ffff, 4), Err(Refusal::NotSupported));
}

#[test]
fn a_counter_comes_in_eight_bytes_or_four() {
    assert_eq!(check_query(OID_GEN_RCV_OK, 3), Err(Refusal::Length { needed: 8 }));
    assert_eq!((check_query(OID_GEN_RCV_OK, 7), check_query(OID_GEN_RCV_OK, 8)), (Ok(4), Ok(8)));
}

#[test]
fn a_multicast_list_is_whole_addresses_and_a_structure_may_be_a_later_one() {
    assert_eq!((check_set(OID_802_3_MULTICAST_LIST, 0), check_set(OID_802_3_MULTICAST_LIST, 12)), (Ok(()), Ok(())));
    assert_eq!(check_set(OID_802_3_MULTICAST_LIST, 7), Err(Refusal::Length { needed: 12 }));
    let needed = size_of::<NDIS_LINK_PARAMETERS>() as u32;
    assert_eq!(check_set(OID_GEN_LINK_PARAMETERS, needed + 8), Ok(()));
    assert_eq!(check_set(OID_GEN_LINK_PARAMETERS, needed - 1), Err(Refusal::Length { needed }));
}

/// A frame of `len` bytes over IPv4 or IPv6, with or without a tag, to UDP port 4791.
fn roce_frame(v6: bool, tagged: bool, len: usize) -> Vec<u8> {
    let mut frame = vec![0x11; 12];
    if tagged {
        frame.extend([0x81, 0, 0x60, 5]);
    }
    if v6 {
        frame.extend([0x86, 0xdd, 0x60, 0, 0, 0, 0, 0, 17, 64]);
        frame.extend([0x22; 32]);
    } else {
        frame.extend([0x08, 0, 0x45, 0, 0, 0, 0, 0, 0x40, 0, 64, 17]);
        frame.extend([0x22; 10]);
    }
    frame.extend([0xc0, 0, 0x12, 0xb7]);
    let next = frame.len() as u8;
    frame.extend((0..).map(|step: u8| next.wrapping_add(step)).take(len.saturating_sub(frame.len())));
    frame
}

/// T-33, T-34.
#[test]
fn rocev2_is_told_from_the_rest_over_both_families_with_and_without_a_tag() {
    for (v6, tagged) in [(false, false), (false, true), (true, false), (true, true)] {
        let frame = roce_frame(v6, tagged, 100);
        assert!(is_roce(&frame), "{v6} {tagged}");
        assert!(is_roce(&frame[..HEADERS]), "the headers are enough: {v6} {tagged}");
        let ip = if tagged { 18 } else { 14 };
        let (udp, protocol) = if v6 { (ip + 40, ip + 6) } else { (ip + 20, ip + 9) };
        for (at, value) in [(udp + 3, 0xb6), (protocol, 6), (protocol, 44), (ip - 1, 0x06)] {
            let mut other = frame.clone();
            other[at] = value;
            assert!(!is_roce(&other), "{v6} {tagged} {at} {value:#x}");
        }
    }
}

/// T-33: what the transport does not speak is the stack's, which answers for it.
#[test]
fn fragments_and_ipv4_options_are_left_to_the_stack() {
    let whole = roce_frame(false, false, 100);
    for (high, low) in [(0x20, 0), (0x60, 0), (0, 1), (0x01, 0), (0x1f, 0xff)] {
        let mut fragment = whole.clone();
        (fragment[20], fragment[21]) = (high, low);
        assert!(!is_roce(&fragment), "{high:#x} {low:#x}");
    }
    let mut options = whole[..34].to_vec();
    options[14] = 0x46;
    options.extend([1; 4]);
    options.extend(&whole[34..]);
    assert!(!is_roce(&options));
}

/// T-34: a frame that ends early is nobody's, and looking at it ends too.
#[test]
fn a_frame_that_ends_within_its_headers_is_not_rocev2() {
    for (v6, tagged) in [(false, false), (true, true)] {
        let frame = roce_frame(v6, tagged, 100);
        let udp = if v6 { 18 + 40 } else { 14 + 20 };
        for len in 0..udp + 4 {
            assert!(!is_roce(&frame[..len]), "{v6} {len}");
        }
        assert!(is_roce(&frame[..udp + 4]));
    }
}

/// T-34.
#[test]
fn headers_are_linearised_however_the_frame_is_cut() {
    let frame = roce_frame(true, true, 90);
    for first in 0..=frame.len() {
        for second in first..=frame.len() {
            let pieces = [&frame[..first], &frame[first..second], &[], &frame[second..]];
            let mut storage = [0; HEADERS];
            let headers = linear(pieces.into_iter(), HEADERS, &mut storage).expect("enough bytes");
            assert_eq!(headers, &frame[..HEADERS], "{first} {second}");
            assert!(is_roce(headers));
        }
    }
}

/// T-34.
#[test]
fn a_frame_in_one_piece_stays_where_it_is_and_one_in_several_is_gathered() {
    let frame = roce_frame(false, false, 80);
    let whole = linear([&[][..], &frame[..]].into_iter(), 80, &mut []).expect("in place");
    assert!(std::ptr::eq(whole, frame.as_slice()));
    let mut room = vec![0; 100];
    let gathered = linear(frame.chunks(7), 80, &mut room).expect("room for it");
    assert_eq!(gathered, frame);
}

/// T-34.
#[test]
fn too_few_bytes_or_too_little_room_is_no_frame() {
    let frame = roce_frame(false, false, 80);
    assert_eq!(linear(frame.chunks(7), 81, &mut [0; 100]), None);
    assert_eq!(linear(frame.chunks(7), 80, &mut [0; 79]), None);
    assert_eq!(linear(std::iter::empty(), 1, &mut [0; 1]), None);
    assert_eq!(linear(std::iter::empty(), 0, &mut []), Some(&[][..]));
}

fn utf16(text: &str) -> Vec<u16> {
    text.encode_utf16().collect()
}

/// W-02, W-03.
#[test]
fn a_pairing_is_the_first_string_of_the_list_and_knows_its_device_in_any_case() {
    let name = DeviceName::first(&utf16("\\Device\\{AB-cd}\0\\Device\\{ef}\0\0")).expect("a name");
    assert_eq!(name.units(), utf16("\\Device\\{AB-cd}"));
    assert!(name.is(&utf16("\\DEVICE\\{ab-CD}")));
    assert!(!name.is(&utf16("\\Device\\{AB-cd")));
    assert!(!name.is(&utf16("\\Device\\{ef}")));
}

/// W-02: without a pairing the bind is refused, and nothing is like no name.
#[test]
fn no_name_and_a_name_without_end_pair_nothing() {
    assert!(DeviceName::first(&[]).is_none());
    assert!(DeviceName::first(&[0, 0]).is_none());
    assert!(DeviceName::first(&[b'x'.into(); UNITS + 1]).is_none());
    assert!(DeviceName::first(&[b'x'.into(); UNITS]).is_some());
    assert!(!DeviceName::none().is(&[]));
}

#[test]
fn an_address_survives_the_way_through_ip_helpers_spelling() {
    for text in ["10.1.2.3", "2001:db8::7", "fe80::1"] {
        let address = text.parse().expect("an address");
        assert_eq!(sockaddr::to_ip(&sockaddr::from_ip(address, 9)), Some(address));
    }
}

/// RFC 8439, 2.3.2.
#[test]
fn a_block_of_the_drivers_generator_is_chacha20s() {
    let key =
        [[0x0302_0100, 0x0706_0504, 0x0b0a_0908, 0x0f0e_0d0c], [0x1312_1110, 0x1716_1514, 0x1b1a_1918, 0x1f1e_1d1c]];
    let words = [
        [0xe4e7_f110, 0x1559_3bd1, 0x1fdd_0f50, 0xc471_20a3],
        [0xc7f4_d1c7, 0x0368_c033, 0x9aaa_2204, 0x4e6c_d4c3],
        [0x4664_82d2, 0x09aa_9f07, 0x05d7_c214, 0xa202_8bd9],
        [0xd19c_12b5, 0xb94e_16de, 0xe883_d0cb, 0x4e3c_50a2],
    ];
    assert_eq!(block(key, 1, [0x0900_0000, 0x4a00_0000, 0]), words);
}

/// A virtual machine set back to an earlier state has the same secret, and another time.
#[test]
fn what_the_drivers_generator_draws_follows_from_its_secret_and_the_times() {
    let draw = |secret: u8, times: [u64; 2], bytes: usize| {
        let mut generator = Generator::new(std::array::from_fn(|place| secret ^ place as u8));
        times.map(|now| {
            let mut drawn = vec![0; bytes];
            generator.fill(now, &mut drawn);
            drawn
        })
    };
    let one = draw(0, [5, 6], 70);
    assert_eq!(one, draw(0, [5, 6], 70));
    assert!(one[0] != one[1] && one != draw(1, [5, 6], 70));
    let set_back = draw(0, [5, 1 << 40], 70);
    assert!(set_back[0] == one[0] && set_back[1] != one[1]);
    assert_ne!(draw(0, [5, 6], 70)[1], draw(0, [5 + (1 << 32), 6], 70)[1]);
    let [long, _] = one;
    assert!(long[..SECRET] != long[SECRET..2 * SECRET] && long[2 * SECRET..] != [0; 6]);
    assert_eq!(draw(0, [5, 6], 3)[0], long[..3]);
}

/// INF-07
#[test]
fn the_active_frame_size_is_the_largest_step_that_is_configured_and_fits() {
    assert_eq!(active_frame_size(4096, 9000), 4096);
    assert_eq!(active_frame_size(1024, 9000), 1024);
    assert_eq!(active_frame_size(4096, 1500), 1024);
    assert_eq!(active_frame_size(4096, 1024 + ROCE_HEADERS), 1024);
    assert_eq!(active_frame_size(4096, 1023 + ROCE_HEADERS), 512);
    assert_eq!((active_frame_size(256, 9000), active_frame_size(4096, 100)), (256, 256));
}
