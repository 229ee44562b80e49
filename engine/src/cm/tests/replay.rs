//! What Linux was recorded saying, said to our agent in either role; and our own numbers held against Linux's.

use super::peer::*;
use super::*;
use crate::wire::parse;

/// The recorded exchanges: rping over IPv4 and IPv6, a port where nobody listens, SMB Direct mounts.
const CAPTURES: [&[u8]; 7] = [
    include_bytes!("../../../../tests/data/captures/a_rping_v4_mtu1024.pcap"),
    include_bytes!("../../../../tests/data/captures/a_rping_v4_mtu4096.pcap"),
    include_bytes!("../../../../tests/data/captures/b_rping_v6_mtu1024.pcap"),
    include_bytes!("../../../../tests/data/captures/c_rej_noport_mtu1024.pcap"),
    include_bytes!("../../../../tests/data/captures/c_rej_noport_v6_mtu1024.pcap"),
    include_bytes!("../../../../tests/data/captures/f_smbdirect_mount_rw48k_umount_v4_mtu1024.pcap"),
    include_bytes!("../../../../tests/data/captures/f_smbdirect_mount_rw48k_umount_v6_mtu1024.pcap"),
];

/// A recorded message with the way back to its sender.
struct Line {
    path: AddressVector,
    tid: u64,
    message: Message,
}

fn lines(mut file: &[u8]) -> Vec<Line> {
    let mut lines = Vec::new();
    file = &file[24..];
    while let Some((record, rest)) = file.split_first_chunk::<16>() {
        let (frame, rest) = rest.split_at(u32::from_le_bytes(record[8..12].try_into().unwrap()) as usize);
        file = rest;
        let Ok(packet) = parse(frame) else { continue };
        if packet.bth.dest_qp == Qpn::GENERAL_SERVICES {
            let (header, message) = Message::parse(packet.payload).unwrap();
            lines.push(Line { path: way_back(&packet), tid: header.transaction_id, message });
        }
    }
    lines
}

/// The recorded message as it would have been said to `id`.
fn to(id: ConnectionId, message: Message) -> Message {
    let mut message = message;
    match &mut message {
        Message::Req(_) | Message::SidrReq(_) | Message::SidrRep(_) => (),
        Message::Rep(rep) => rep.remote_comm_id = id.0,
        Message::Rtu(ids) | Message::Drep(ids) => ids.remote_comm_id = id.0,
        Message::Rej(rej) => rej.remote_comm_id = id.0,
        Message::Mra(mra) => mra.remote_comm_id = id.0,
        Message::Dreq(dreq) => (dreq.remote_comm_id, dreq.remote_qpn) = (id.0, Qpn::new(OUR_QPN)),
    }
    message
}

#[test]
fn the_captures_hold_what_they_are_said_to_hold() {
    let names = |file: &[u8]| lines(file).iter().map(|line| line.message.name()).collect::<Vec<_>>();
    let whole = ["REQ", "REP", "RTU", "DREQ", "DREP"];
    let held: Vec<_> = CAPTURES.iter().map(|file| names(file)).collect();
    assert_eq!(held[0], whole);
    assert_eq!(held[3], ["REQ", "REJ"]);
    assert_eq!(held[5], ["REQ", "REJ", "REQ", "REP", "RTU", "DREQ", "DREP"]);
    assert_eq!(held[6], ["REQ", "REJ"].repeat(4));
}

/// Linux connects to us: what it said is expected at every point, and what we answer is the message that Linux answered,
/// in the transaction in which Linux did, along the way back.
#[test]
fn what_linux_said_as_the_active_side_is_answered_as_linux_answered() {
    for file in CAPTURES {
        let mut desk = Desk::new();
        for line in lines(file) {
            if desk.path.destination != line.path.destination && !matches!(line.message, Message::Req(_)) {
                // Linux's answer: ours has to be its like.
                match &line.message {
                    Message::Rep(_) => desk.accept(),
                    Message::Rej(said) => {
                        let (id, reason) = (desk.id, said.reason);
                        desk.agent.reject(desk.now, id, reason, &said.private_data, &mut desk.sheet).unwrap();
                    }
                    Message::Drep(_) => desk.disconnect().unwrap(),
                    other => panic!("{}", other.name()),
                }
                let (path, tid, ours) = desk.sheet.one();
                assert_eq!((ours.name(), tid, path), (line.message.name(), line.tid, desk.path));
                desk.sheet.told.clear();
                continue;
            }
            desk.path = line.path;
            desk.hear_in(line.tid, &to(desk.id, line.message));
            assert!(desk.sheet.said.is_empty());
            let expected = match &line.message {
                Message::Req(req) => {
                    let seen = desk.sheet.told[0];
                    desk.id = seen.0;
                    let ip = desk.sheet.ip.unwrap();
                    assert_eq!((ip.source, ip.destination), (line.path.destination, line.path.source));
                    Seen::Request(crate::wire::cm::service_port(req.service_id).unwrap())
                }
                Message::Rtu(_) => Seen::Established,
                Message::Dreq(_) => Seen::DisconnectRequested,
                other => panic!("{}", other.name()),
            };
            assert_eq!(desk.sheet.take().1, [expected]);
        }
        assert_eq!(desk.agent.counters(), CmCounters::default());
    }
}

/// We connect, and Linux answers as it was recorded answering.
#[test]
fn what_linux_answered_is_understood_by_our_active_side() {
    for file in CAPTURES {
        let mut desk = Desk::new();
        for line in lines(file) {
            match &line.message {
                Message::Req(_) => {
                    desk.path = line.path;
                    desk.connect();
                }
                Message::SidrReq(_) | Message::SidrRep(_) => panic!("no datagram service was recorded"),
                Message::Rtu(_) => desk.agent.complete(desk.id, &mut desk.sheet).unwrap(),
                Message::Dreq(_) => desk.disconnect().unwrap(),
                Message::Rep(_) | Message::Rej(_) | Message::Mra(_) | Message::Drep(_) => {
                    desk.hear_in(line.tid, &to(desk.id, line.message));
                    let expected = match &line.message {
                        Message::Rep(_) => Seen::Accepted,
                        Message::Rej(said) => Seen::Rejected(said.reason),
                        _ => Seen::Disconnected(true),
                    };
                    assert_eq!(desk.sheet.take(), (Vec::new(), std::vec![expected]));
                    continue;
                }
            }
            assert_eq!(desk.sheet.take(), (std::vec![line.message.name()], Vec::new()));
        }
        assert_eq!(desk.agent.counters(), CmCounters::default());
    }
}

/// T-50, T-29. Our REQ is rping's in every field that says not who we are but how we connect; the channel adapter's GUID
/// has our prefix.
#[test]
fn our_req_says_what_linux_says() {
    let linux = lines(CAPTURES[0]);
    let (path, Message::Req(theirs)) = (linux[0].path, &linux[0].message) else { panic!() };
    let mut desk = Desk::new();
    // As if we were the one who was recorded.
    desk.path = AddressVector { source: path.destination, destination: path.source, ..path };
    desk.connect();
    let (_, _, Message::Req(ours)) = desk.sheet.one() else { panic!() };
    assert_eq!(ours.local_ca_guid >> 32, u64::from(GUID_PREFIX));
    assert_eq!((ours.path_mtu, theirs.path_mtu), (3, 3));
    assert_eq!((ours.primary.local_ack_timeout, ours.primary.hop_limit), (17, 64));
    assert_eq!((ours.retry_count, ours.rnr_retry_count, ours.max_cm_retries), (7, 7, 15));
    assert_eq!((ours.local_cm_response_timeout, ours.remote_cm_response_timeout), (20, 20));
    // Linux hashes a flow label out of its ports; ours is 0, as it is in our packets.
    let primary = Path { flow_label: theirs.primary.flow_label, ..ours.primary };
    let same = Req {
        primary,
        local_comm_id: theirs.local_comm_id,
        local_ca_guid: theirs.local_ca_guid,
        local_qpn: theirs.local_qpn,
        starting_psn: theirs.starting_psn,
        responder_resources: theirs.responder_resources,
        initiator_depth: theirs.initiator_depth,
        private_data: theirs.private_data,
        ..ours
    };
    assert_eq!(same, *theirs);
}

/// The same for the REP.
#[test]
fn our_rep_says_what_linux_says() {
    let linux = lines(CAPTURES[0]);
    let Message::Rep(theirs) = &linux[1].message else { panic!() };
    let mut desk = Desk::in_state(State::ReqRcvd);
    desk.accept();
    let (_, tid, Message::Rep(ours)) = desk.sheet.one() else { panic!() };
    assert_eq!((tid, ours.remote_comm_id, ours.local_comm_id), (PEER_TID, PEER, desk.id.0));
    assert_eq!(ours.local_ca_guid >> 32, u64::from(GUID_PREFIX));
    assert_eq!((ours.target_ack_delay, ours.rnr_retry_count), (15, 7));
    let same = Rep {
        local_comm_id: theirs.local_comm_id,
        remote_comm_id: theirs.remote_comm_id,
        local_qpn: theirs.local_qpn,
        starting_psn: theirs.starting_psn,
        responder_resources: theirs.responder_resources,
        initiator_depth: theirs.initiator_depth,
        local_ca_guid: theirs.local_ca_guid,
        private_data: theirs.private_data,
        ..ours
    };
    assert_eq!(same, *theirs);
}

/// T-43. The largest standard MTU that a link's payload holds: 1024 at 1500 bytes, 4096 at 9000.
#[test]
fn the_path_mtu_codes_are_the_standard_ones() {
    let codes = [(256, 1), (512, 2), (1024, 3), (1440, 3), (2048, 4), (4095, 4), (4096, 5), (8940, 5)];
    for (bytes, code) in codes {
        assert_eq!(mtu_code(bytes), code);
        assert!(mtu_bytes(code).unwrap() <= bytes);
    }
    assert_eq!((mtu_bytes(0), mtu_bytes(6), mtu_bytes(15)), (None, None, None));
}

/// CN-27. Both sides' numbers of READs reach the other side as they were given.
#[test]
fn read_limits_and_queue_pairs_cross_unchanged() {
    let mut desk = Desk::new();
    desk.connect();
    let (_, _, Message::Req(said)) = desk.sheet.one() else { panic!() };
    let given = endpoint(OUR_QPN);
    assert_eq!((said.local_qpn, said.starting_psn), (given.qpn, given.starting_psn));
    assert_eq!((said.responder_resources, said.initiator_depth), (4, 2));
    assert_eq!(said.service_id, 0x0000_0000_0106_1c06);
    assert_eq!(&said.private_data[IpCmHeader::LEN..][..6], b"hello\0");
    let ip = IpCmHeader::parse(&said.private_data).unwrap();
    assert_eq!((ip.source_port, ip.source, ip.destination), (50_000, desk.path.source, desk.path.destination));
    desk = Desk::in_state(State::ReqRcvd);
    desk.accept();
    let (_, _, Message::Rep(said)) = desk.sheet.one() else { panic!() };
    assert_eq!((said.local_qpn, said.starting_psn), (given.qpn, given.starting_psn));
    assert_eq!((said.responder_resources, said.initiator_depth), (4, 2));
}
