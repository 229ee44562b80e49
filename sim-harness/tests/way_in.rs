//! Frames that come in where they do not belong: whose they are, and what is counted.

use ndk_provider::crc32::HostCrc32;
use ndk_types::STATUS_SUCCESS;
use roce_engine::wire::parse;
use roce_engine::wire::template::{AddressVector, FrameTemplate};
use sim_harness::bed::NativeBed;
use sim_harness::conformance::pair::{Pair, results};

/// A pair whose client has just sent 8 bytes: the frame, still in the tray.
fn sent(bed: &mut NativeBed) -> (Pair, Vec<u8>) {
    let pair = Pair::new(bed);
    while !bed.node(0).tray().frames.is_empty() {
        bed.world.settle();
    }
    pair.server.qp.receive(1, &[pair.server.sge(0, 8)]).unwrap();
    pair.client.qp.send(2, &[pair.client.sge(0, 8)], 0).unwrap();
    let frame = bed.node(0).tray().frames.last().expect("the send left").clone();
    (pair, frame)
}

/// What the server's port says to a frame: whether it is somebody else's.
fn is_foreign(bed: &NativeBed, frame: &[u8]) -> bool {
    let mut foreign = false;
    bed.world.port(1).receive(&[frame], |_| foreign = true);
    foreign
}

/// A stranger who knows everything but sends from its own address moves nothing, and the genuine frame still counts.
#[test]
fn a_queue_pair_takes_frames_of_its_peer_alone() {
    let mut bed = NativeBed::new(3);
    let (pair, frame) = sent(&mut bed);
    let genuine = parse(&frame).unwrap();
    let path = AddressVector {
        source_mac: [2, 0, 0, 0, 0, 9],
        destination_mac: genuine.ethernet.destination,
        vlan_tci: None,
        source: [10, 9, 0, 77].into(),
        destination: genuine.ip.destination(),
        hop_limit: 64,
        dscp: 0,
        source_port: genuine.udp.source_port,
    };
    let template = FrameTemplate::new(&path).unwrap();
    let mut forged = vec![0; template.frame_len(&genuine.ext, genuine.payload.len())];
    let filled =
        template.emit(HostCrc32::detect(), &mut forged, &genuine.bth, &genuine.ext, genuine.payload.len(), |payload| {
            payload.fill(0xee);
            Ok::<(), ()>(())
        });
    assert!(filled.is_ok() && parse(&forged).unwrap().icrc_ok(HostCrc32::detect()));
    assert!(!is_foreign(&bed, &forged));
    assert_eq!(bed.world.port(1).counters.wrong_source.get(), 1);
    assert!(pair.server.cq.poll().is_empty());
    assert_eq!(results(&mut bed, &pair.server, 5)[0].Status, STATUS_SUCCESS);
    assert_eq!(pair.server.buffer.read(0, 8), [0; 8]);
    pair.close(&mut bed);
}

/// A frame with a broken IP header is ours to drop only if the port behind it is RoCEv2's.
#[test]
fn broken_frames_of_others_are_left_to_others() {
    let mut bed = NativeBed::new(3);
    let (pair, frame) = sent(&mut bed);
    let other_port = |mut frame: Vec<u8>| {
        frame[36..38].copy_from_slice(&53u16.to_be_bytes());
        frame
    };
    let mut wrong_sum = frame.clone();
    wrong_sum[24] ^= 1;
    let mut wrong_version = frame.clone();
    wrong_version[14] = 0x65;
    let short = frame[..frame.len() - 8].to_vec();
    for broken in [wrong_sum, wrong_version, short] {
        assert!(!is_foreign(&bed, &broken));
        assert!(is_foreign(&bed, &other_port(broken)));
    }
    // Too short to tell whose it is.
    assert!(is_foreign(&bed, &frame[..34]));
    let counters = bed.world.port(1).counters.snapshot();
    assert_eq!((counters.malformed, counters.foreign), (3, 4));
    pair.close(&mut bed);
}
