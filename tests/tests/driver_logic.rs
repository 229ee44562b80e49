//! The driver's logic that names no kernel, run natively: the very files of `driver/src`.

#[expect(unreachable_pub, reason = "the driver's own visibility")]
#[path = "../../driver/src/config/keywords.rs"]
mod keywords;
#[allow(unreachable_pub, reason = "the driver's own visibility")]
#[path = "../../driver/src/miniport/oid_table.rs"]
mod oid_table;
#[expect(unreachable_pub, reason = "the driver's own visibility")]
#[path = "../../driver/src/adapter/traffic.rs"]
mod traffic;

use keywords::{JUMBO_PACKET, Keyword, NETWORK_DIRECT, ROCE_FRAME_SIZE, Reading, TECHNOLOGY};
use ndk_types::{
    NDIS_LINK_PARAMETERS, NDIS_NDK_STATISTICS_INFO, OID_802_3_MULTICAST_LIST, OID_GEN_LINK_PARAMETERS, OID_GEN_RCV_OK,
    OID_NDK_SET_STATE, OID_NDK_STATISTICS,
};
use oid_table::{Refusal, TABLE, check_query, check_set};
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use traffic::Traffic;

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
