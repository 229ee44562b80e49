//! Properties of the wire formats: what is emitted parses to the same, what is damaged is noticed, what is not ours is left
//! alone, and nothing that arrives can do harm.

use proptest::prelude::*;
use roce_engine::crc::TableCrc32;
use roce_engine::key::RKey;
use roce_engine::psn::{Msn, Psn, Qpn};
use roce_engine::wire::cm::Message;
use roce_engine::wire::headers::{Aeth, Bth, Ext, Reth, Syndrome};
use roce_engine::wire::opcode::Opcode;
use roce_engine::wire::template::{AddressVector, FrameTemplate, udp_source_port};
use roce_engine::wire::{ParseError, parse};
use std::net::IpAddr;

fn path(ipv6: bool, vlan_tci: Option<u16>) -> AddressVector {
    let [source, destination]: [IpAddr; 2] = if ipv6 {
        ["fd00:9::1".parse().unwrap(), "fd00:9::2".parse().unwrap()]
    } else {
        ["10.9.0.1".parse().unwrap(), "10.9.0.2".parse().unwrap()]
    };
    AddressVector {
        source_mac: [2, 0, 0, 0, 0, 1],
        destination_mac: [2, 0, 0, 0, 0, 2],
        vlan_tci,
        source,
        destination,
        hop_limit: 64,
        dscp: 0,
        source_port: 0xc123,
    }
}

fn emit(path: &AddressVector, bth: &Bth, ext: &Ext, payload: &[u8]) -> Vec<u8> {
    let template = FrameTemplate::new(path).unwrap();
    let mut frame = vec![0xa5; template.frame_len(ext, payload.len())];
    let filled = template.emit(TableCrc32, &mut frame, bth, ext, payload.len(), |place| {
        place.copy_from_slice(payload);
        Ok::<(), ()>(())
    });
    filled.unwrap();
    frame
}

fn write_only(payload: &[u8], ipv6: bool) -> Vec<u8> {
    let reth = Reth { va: 0x1234_5678_9abc, r_key: RKey(77), dma_len: payload.len() as u32 };
    let bth = Bth::new(Opcode::RdmaWriteOnly, Qpn::new(0x117), Psn::new(9));
    emit(&path(ipv6, None), &bth, &Ext::Reth(reth), payload)
}

proptest! {
    #[test]
    fn what_is_emitted_parses_to_the_same(
        psn in 0u32..0x100_0000, qpn in 2u32..0xff_ffff, payload in prop::collection::vec(any::<u8>(), 0..600),
        ipv6: bool, tag in prop::option::of(0u16..0x1000), solicited: bool, ack_req: bool, kind in 0..3,
    ) {
        let (opcode, ext) = match kind {
            0 => (Opcode::SendOnly, Ext::None),
            1 => (Opcode::SendOnlyWithInvalidate, Ext::Ieth(RKey(psn))),
            _ => (Opcode::RdmaReadResponseOnly, Ext::Aeth(Aeth { syndrome: Syndrome::ACK, msn: Msn::new(psn) })),
        };
        let mut bth = Bth::new(opcode, Qpn::new(qpn), Psn::new(psn));
        (bth.solicited, bth.ack_req) = (solicited, ack_req);
        let mut frame = emit(&path(ipv6, tag), &bth, &ext, &payload);
        // Ethernet padding changes nothing: the ICRC is found by the IP length (T-33).
        frame.extend_from_slice(&[0x5a; 9]);
        let packet = parse(&frame).unwrap();
        bth.pad_count = packet.bth.pad_count;
        prop_assert_eq!((packet.bth, packet.ext, packet.payload), (bth, ext, &payload[..]));
        prop_assert_eq!(packet.ethernet.vlan_tci, tag);
        prop_assert!(packet.icrc_ok(TableCrc32));
        prop_assert_eq!((payload.len() + packet.pad.len()) % 4, 0);
    }

    #[test]
    fn a_flipped_bit_of_what_the_icrc_covers_is_noticed(
        payload in prop::collection::vec(any::<u8>(), 1..300), ipv6: bool, at: prop::sample::Index, bit in 0u8..8,
    ) {
        let frame = write_only(&payload, ipv6);
        let transport = if ipv6 { 14 + 40 + 8 } else { 14 + 20 + 8 };
        let mut damaged = frame.clone();
        let byte = transport + at.index(frame.len() - transport);
        damaged[byte] ^= 1 << bit;
        // The byte of FECN and BECN is not covered: a switch may set it.
        let covered = byte != transport + 4;
        let noticed = parse(&damaged).map_or(true, |packet| !packet.icrc_ok(TableCrc32));
        prop_assert_eq!(noticed, covered);
    }

    #[test]
    fn arbitrary_bytes_do_no_harm(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        if let Ok(packet) = parse(&bytes) {
            let _ = packet.icrc_ok(TableCrc32);
            let _ = packet.to_string();
        }
        let _ = Message::parse(&bytes);
    }

    #[test]
    fn a_damaged_frame_does_no_harm(
        payload in prop::collection::vec(any::<u8>(), 0..100), ipv6: bool, cut: prop::sample::Index,
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
    ) {
        let mut frame = write_only(&payload, ipv6);
        for (at, byte) in damage {
            let at = at.index(frame.len());
            frame[at] = byte;
        }
        frame.truncate(cut.index(frame.len() + 1));
        if let Ok(packet) = parse(&frame) {
            let mut again = vec![0; packet.frame_len()];
            prop_assert!(packet.emit(&mut again).is_some());
            let _ = packet.to_string();
        }
    }

    #[test]
    fn distances_of_sequence_numbers_add_up(base in 0u32..0x100_0000, step in 0u32..0x80_0000) {
        let base = Psn::new(base);
        prop_assert_eq!(base.add(step).since(base), step.cast_signed());
        prop_assert_eq!(base.since(base.add(step)), -step.cast_signed());
    }

    /// T-33
    #[test]
    fn the_source_port_is_a_constant_of_the_pair_in_the_upper_quarter(a in 0u32..0x100_0000, b in 0u32..0x100_0000) {
        let port = udp_source_port(Qpn::new(a), Qpn::new(b));
        prop_assert!(port >= 0xc000);
        prop_assert_eq!(port, udp_source_port(Qpn::new(a), Qpn::new(b)));
    }
}

/// T-33
#[test]
fn fragments_options_and_extension_headers_are_not_ours() {
    let frame = write_only(b"payload!", false);
    let with = |at: usize, value: u8| {
        let mut frame = frame.clone();
        frame[at] = value;
        parse(&frame).unwrap_err()
    };
    assert_eq!(with(14, 0x46), ParseError::IpOptions);
    assert_eq!(with(20, 0x20), ParseError::Fragment);
    assert_eq!(with(21, 1), ParseError::Fragment);
    assert_eq!(with(14, 0x65), ParseError::IpVersion);
    assert_eq!(with(23, 6), ParseError::NotUdp);
    assert_eq!(with(24, 0), ParseError::IpChecksum);
    let frame = write_only(b"payload!", true);
    for extension in [0, 43, 44, 60] {
        let mut frame = frame.clone();
        frame[14 + 6] = extension;
        let error = parse(&frame).unwrap_err();
        assert_eq!(error, ParseError::ExtensionHeader);
        assert!(error.is_foreign());
    }
}

#[test]
fn lengths_that_disagree_are_refused() {
    let frame = write_only(b"payload!", true);
    let mut udp = frame.clone();
    udp[14 + 40 + 5] ^= 4;
    assert_eq!(parse(&udp).unwrap_err(), ParseError::UdpLength);
    assert_eq!(parse(&frame[..frame.len() - 1]).unwrap_err(), ParseError::Truncated);
    let mut opcode = frame.clone();
    opcode[14 + 40 + 8] = 0x1f;
    assert_eq!(parse(&opcode).unwrap_err(), ParseError::UnknownOpcode(0x1f));
    let mut version = frame;
    version[14 + 40 + 8 + 1] |= 3;
    assert_eq!(parse(&version).unwrap_err(), ParseError::TransportVersion(3));
}

/// The UDP checksum is left out, as Linux does, and DF is set.
#[test]
fn frames_leave_without_udp_checksum_and_unfragmentable() {
    let frame = write_only(b"payload!", false);
    assert_eq!(frame[14 + 20 + 6..14 + 20 + 8], [0, 0]);
    assert_eq!(frame[20], 0x40);
    assert_eq!(frame[15] & 3, 0, "Not-ECT");
}
