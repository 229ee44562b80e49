//! Golden frames: everything Linux soft-RoCE was recorded saying is understood, and said again byte for byte.

use pcap_file::pcap::PcapReader;
use roce_engine::crc::TableCrc32;
use roce_engine::psn::Qpn;
use roce_engine::wire::cm::{IpCmHeader, Message};
use roce_engine::wire::headers::{Ext, NakCode, Syndrome, rnr_timer_ns};
use roce_engine::wire::mad::{MAD_LEN, MadHeader};
use roce_engine::wire::opcode::Opcode;
use roce_engine::wire::{Packet, parse};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::File;
use std::net::IpAddr;
use std::path::PathBuf;

fn captures() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("data/captures")
}

fn frames(name: &str) -> Vec<Vec<u8>> {
    let mut reader = PcapReader::new(File::open(captures().join(name)).unwrap()).unwrap();
    let mut frames = Vec::new();
    while let Some(packet) = reader.next_packet() {
        frames.push(packet.unwrap().data.into_owned());
    }
    frames
}

/// What the independent decoder found in one file.
#[derive(Default)]
struct Expected {
    name: String,
    ipv4: usize,
    ipv6: usize,
    cm: Vec<String>,
    operations: BTreeMap<String, usize>,
}

fn expected() -> Vec<Expected> {
    let text = std::fs::read_to_string(captures().join("expected.txt")).unwrap();
    let mut files: Vec<Expected> = Vec::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let (kind, rest) = line.split_once(' ').unwrap();
        if kind == "file" {
            files.push(Expected { name: rest.to_owned(), ..Expected::default() });
            continue;
        }
        let file = files.last_mut().unwrap();
        match kind {
            "roce" => {
                let (v4, v6) = rest.split_once(' ').unwrap();
                (file.ipv4, file.ipv6) = (v4.parse().unwrap(), v6.parse().unwrap());
            }
            "cm" => file.cm.push(rest.to_owned()),
            "ops" => {
                let count = |item: &str| item.rsplit_once('=').map(|(name, n)| (name.to_owned(), n.parse().unwrap()));
                file.operations = rest.split(", ").map(|item| count(item).unwrap()).collect();
            }
            other => panic!("unknown line {other}"),
        }
    }
    files
}

/// The packets of a file; a frame that is RoCE and does not parse fails the test.
fn packets(frames: &[Vec<u8>]) -> Vec<Packet<'_>> {
    frames
        .iter()
        .filter_map(|frame| match parse(frame) {
            Ok(packet) => Some(packet),
            Err(error) if error.is_foreign() => None,
            Err(error) => panic!("{}: {frame:02x?}", error.reason()),
        })
        .collect()
}

/// The decoder's name of what a packet does.
fn operation(packet: &Packet<'_>) -> String {
    let name = match packet.bth.opcode {
        Opcode::UdSendOnly if packet.bth.dest_qp == Qpn::GENERAL_SERVICES => {
            let mad: &[u8; MAD_LEN] = packet.payload.try_into().unwrap();
            return match (Message::parse(mad), MadHeader::from_bytes(mad).attribute_id) {
                (Ok((_, message)), _) => format!("UD_SEND CM-{}", message.name()),
                (Err(_), 0x17) => "UD_SEND CM-SIDR_REQ".to_owned(),
                (Err(_), 0x18) => "UD_SEND CM-SIDR_REP".to_owned(),
                (Err(error), attribute) => panic!("{error:?} {attribute:#x}"),
            };
        }
        Opcode::Acknowledge => match packet.ext {
            Ext::Aeth(aeth) => {
                return match aeth.syndrome {
                    Syndrome::Ack { credits } => format!("ACK ACK credit={credits}"),
                    Syndrome::Nak(NakCode::PsnSequenceError) => "ACK NAK PSN_SEQ".to_owned(),
                    Syndrome::RnrNak { timer } => {
                        let hundredths = rnr_timer_ns(timer) / 10_000;
                        format!("ACK RNR_NAK timer={timer}({}.{:02}ms)", hundredths / 100, hundredths % 100)
                    }
                    other => panic!("unexpected {other:?}"),
                };
            }
            other => panic!("an ACK with {other:?}"),
        },
        Opcode::SendFirst => "SEND_FIRST",
        Opcode::SendMiddle => "SEND_MIDDLE",
        Opcode::SendLast => "SEND_LAST",
        Opcode::SendOnly => "SEND_ONLY",
        Opcode::SendOnlyWithInvalidate => "SEND_ONLY_INV",
        Opcode::RdmaWriteFirst => "WRITE_FIRST",
        Opcode::RdmaWriteMiddle => "WRITE_MIDDLE",
        Opcode::RdmaWriteLast => "WRITE_LAST",
        Opcode::RdmaWriteLastWithImmediate => "WRITE_LAST_IMM",
        Opcode::RdmaWriteOnly => "WRITE_ONLY",
        Opcode::RdmaWriteOnlyWithImmediate => "WRITE_ONLY_IMM",
        Opcode::RdmaReadRequest => "READ_REQ",
        Opcode::RdmaReadResponseFirst => "READ_RESP_FIRST",
        Opcode::RdmaReadResponseMiddle => "READ_RESP_MIDDLE",
        Opcode::RdmaReadResponseLast => "READ_RESP_LAST",
        Opcode::RdmaReadResponseOnly => "READ_RESP_ONLY",
        Opcode::AtomicAcknowledge => "ATOMIC_ACK",
        Opcode::CompareSwap => "CMP_SWAP",
        Opcode::FetchAdd => "FETCH_ADD",
        Opcode::UdSendOnlyWithImmediate => "UD_SEND_IMM",
        Opcode::UdSendOnly => "UD_SEND",
        other => panic!("{} is in no capture", other.name()),
    };
    name.to_owned()
}

fn hex(bytes: &[u8]) -> String {
    let used = bytes.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
    bytes.iter().take(used).fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

/// The decoder's line for a REQ, REP or REJ.
fn cm_line(source: IpAddr, transaction_id: u64, message: &Message) -> Option<String> {
    let fields = match message {
        Message::SidrReq(_) | Message::SidrRep(_) => panic!("no datagram service was recorded"),
        Message::Req(req) => format!(
            "lcid={:08x} svc={:016x} qpn={:06x} respres={} depth={} psn={:06x} remTO={} locTO={} retry={} e2e={} \
             mtu={} rnr={} maxcm={} srq={} ackTO={} pd={}",
            req.local_comm_id,
            req.service_id,
            req.local_qpn.get(),
            req.responder_resources,
            req.initiator_depth,
            req.starting_psn.get(),
            req.remote_cm_response_timeout,
            req.local_cm_response_timeout,
            req.retry_count,
            u8::from(req.end_to_end_flow_control),
            req.path_mtu,
            req.rnr_retry_count,
            req.max_cm_retries,
            u8::from(req.srq),
            req.primary.local_ack_timeout,
            hex(&req.private_data)
        ),
        Message::Rep(rep) => format!(
            "lcid={:08x} rcid={:08x} qpn={:06x} psn={:06x} respres={} depth={} ackdelay={} e2e={} rnr={} srq={} pd={}",
            rep.local_comm_id,
            rep.remote_comm_id,
            rep.local_qpn.get(),
            rep.starting_psn.get(),
            rep.responder_resources,
            rep.initiator_depth,
            rep.target_ack_delay,
            u8::from(rep.end_to_end_flow_control),
            rep.rnr_retry_count,
            u8::from(rep.srq),
            hex(&rep.private_data)
        ),
        Message::Rej(rej) => format!(
            "lcid={:08x} rcid={:08x} msg={} reason={} pd={}",
            rej.local_comm_id,
            rej.remote_comm_id,
            match rej.rejected {
                roce_engine::wire::cm::About::Req => 0,
                roce_engine::wire::cm::About::Rep => 1,
                roce_engine::wire::cm::About::Other(bits) => bits,
            },
            rej.reason.to_wire(),
            hex(&rej.private_data)
        ),
        Message::Rtu(_) | Message::Mra(_) | Message::Dreq(_) | Message::Drep(_) => return None,
    };
    let name = message.name();
    Some(format!("{source} qkey=0x80010000 srcqp=0x1 CM {name} tid={transaction_id:#x} {fields}"))
}

#[test]
fn every_recorded_frame_parses_and_has_the_right_icrc() {
    for file in expected() {
        let frames = frames(&file.name);
        let packets = packets(&frames);
        let ipv4 = packets.iter().filter(|packet| packet.ip.source().is_ipv4()).count();
        assert_eq!((ipv4, packets.len() - ipv4), (file.ipv4, file.ipv6), "{}", file.name);
        for packet in &packets {
            assert!(packet.icrc_ok(TableCrc32), "{}: {packet:?}", file.name);
        }
    }
}

#[test]
fn every_capture_is_among_the_expected_ones() {
    let listed: Vec<_> = expected().into_iter().map(|file| file.name).collect();
    let mut found = 0;
    for entry in std::fs::read_dir(captures()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "pcap") {
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            assert!(listed.contains(&name), "{name}");
            found += 1;
        }
    }
    assert_eq!(found, listed.len());
}

#[test]
fn every_recorded_frame_is_rebuilt_byte_for_byte() {
    for file in expected() {
        for frame in frames(&file.name) {
            let Ok(packet) = parse(&frame) else { continue };
            let mut rebuilt = vec![0xa5; packet.frame_len()];
            assert_eq!(packet.emit(&mut rebuilt), Some(packet.frame_len()));
            assert_eq!(rebuilt, frame[..packet.frame_len()], "{}: {packet:?}", file.name);
        }
    }
}

#[test]
fn the_operations_of_every_capture_are_counted_as_the_other_decoder_counted_them() {
    for file in expected() {
        let frames = frames(&file.name);
        let mut counted = BTreeMap::new();
        for packet in packets(&frames) {
            *counted.entry(operation(&packet)).or_insert(0) += 1;
        }
        assert_eq!(counted, file.operations, "{}", file.name);
    }
}

#[test]
fn every_cm_message_reads_as_the_other_decoder_read_it_and_is_said_again_byte_for_byte() {
    let (mut messages, mut looked_for) = (0, 0);
    for file in expected() {
        let frames = frames(&file.name);
        let mut lines = Vec::new();
        for packet in packets(&frames) {
            if packet.bth.opcode != Opcode::UdSendOnly || packet.bth.dest_qp != Qpn::GENERAL_SERVICES {
                continue;
            }
            let Ok((header, message)) = Message::parse(packet.payload) else {
                continue;
            };
            // Of datagram services only what a refusal needs is read.
            if let Message::SidrReq(sidr) | Message::SidrRep(sidr) = message {
                assert_eq!((sidr.service_id >> 16, header.transaction_id >> 32), (0x111, 2), "{}", file.name);
                looked_for += 1;
                continue;
            }
            assert_eq!(message.emit(header.transaction_id), packet.payload, "{}", file.name);
            messages += 1;
            lines.extend(cm_line(packet.ip.source(), header.transaction_id, &message));
        }
        assert_eq!(lines, file.cm, "{}", file.name);
    }
    assert!(messages > 200 && looked_for >= 2, "{messages}, {looked_for}");
}

/// The RDMA IP CM header names the addresses the packet itself has.
#[test]
fn every_req_carries_its_own_addresses_in_its_private_data() {
    let mut requests = 0;
    for file in expected() {
        let frames = frames(&file.name);
        for packet in packets(&frames) {
            if packet.bth.dest_qp != Qpn::GENERAL_SERVICES {
                continue;
            }
            let Ok((_, Message::Req(req))) = Message::parse(packet.payload) else {
                continue;
            };
            let header = IpCmHeader::parse(&req.private_data).unwrap();
            assert_eq!((header.source, header.destination), (packet.ip.source(), packet.ip.destination()));
            let mut again = req.private_data;
            header.write(&mut again);
            assert_eq!(again, req.private_data);
            requests += 1;
        }
    }
    assert!(requests > 50);
}
