//! Rules of the transport that show at the provider's two edges: what it asks of the system, and what is on the wire.

use ndk_types::*;
use sim_harness::bed::{Bed, NativeBed};
use sim_harness::conformance::pair::{Pair, results};
use sim_harness::wire::Verdict;
use std::cell::RefCell;
use std::rc::Rc;

/// Bytes of a frame with a MAD over IPv4: Ethernet, IP, UDP, BTH, DETH, the MAD, ICRC. They leave through no lane.
const MAD_FRAME: usize = 14 + 20 + 8 + 12 + 8 + 256 + 4;

fn send(pair: &Pair, number: usize, length: u32) {
    pair.server.qp.receive(number, &[pair.server.sge(number * 8192, length)]).unwrap();
    pair.client.qp.send(number, &[pair.client.sge(number * 8192, length)], 0).unwrap();
}

/// T-11: whoever takes or sends a frame in a lane is at DISPATCH_LEVEL; and comes down again.
#[test]
fn the_owner_of_a_lane_is_not_preempted() {
    let mut bed = NativeBed::new(1);
    let pair = Pair::new(&mut bed);
    (0..4).for_each(|number| send(&pair, number, 8000));
    assert_eq!(results(&mut bed, &pair.client, 50).len(), 4);
    for host in 0..2 {
        let tray = bed.node(host).tray();
        assert_eq!(tray.raised, 0);
        let lanes: Vec<_> = tray.preemptible.iter().filter(|&&length| length != MAD_FRAME).collect();
        assert_eq!(lanes, [&0; 0], "host {host}");
    }
    pair.close(&mut bed);
}

/// T-01, T-13: frames leave in PSN order, however many requests are under way; and a run of them is acknowledged once.
#[test]
fn frames_leave_in_the_order_of_their_numbers() {
    let mut bed = NativeBed::new(2);
    let pair = Pair::new(&mut bed);
    let seen = Rc::new(RefCell::new(Vec::new()));
    let notes = seen.clone();
    bed.world.set_rule(0, move |_: u64, frame: &[u8], _: u64| {
        // The BTH comes after Ethernet, IPv4 and UDP; its last three bytes are the PSN.
        let bth = &frame[42..54];
        if bth[0] < 0x20 {
            notes.borrow_mut().push(u32::from_be_bytes([0, bth[9], bth[10], bth[11]]));
        }
        Verdict::Pass
    });
    (0..6).for_each(|number| send(&pair, number, 8000));
    assert_eq!(results(&mut bed, &pair.client, 50).len(), 6);
    let psns = seen.borrow().clone();
    assert_eq!(psns.len(), 6 * 8, "eight packets a message and none twice");
    assert!(psns.windows(2).all(|pair| pair[1] == (pair[0] + 1) & 0xff_ffff), "{psns:?}");
    pair.close(&mut bed);
}

/// T-25, T-30: the very frame that asks for the acknowledgement is lost; the message arrives once all the same, soon.
#[test]
fn a_lost_last_packet_is_sent_again_long_before_anybody_gives_up() {
    let mut bed = NativeBed::new(3);
    let pair = Pair::new(&mut bed);
    let mut lost = 0;
    bed.world.set_rule(0, move |_: u64, frame: &[u8], _: u64| {
        // SEND LAST, the first time.
        if frame[42] == 2 && lost == 0 {
            lost += 1;
            Verdict::Drop
        } else {
            Verdict::Pass
        }
    });
    send(&pair, 0, 8000);
    let begin = bed.now();
    let ended = results(&mut bed, &pair.client, 60);
    assert_eq!(ended.iter().map(|result| result.Status).collect::<Vec<_>>(), [STATUS_SUCCESS]);
    assert!(bed.now() - begin <= 67_000_000);
    assert_eq!(bed.world.wire_counters(0).lost, 1);
    pair.close(&mut bed);
}
