//! Questions to neighbours as whole Ethernet frames, and what an answer says.

use smoltcp::phy::ChecksumCapabilities;
use smoltcp::wire::{
    ArpOperation, ArpPacket, ArpRepr, EthernetAddress, EthernetFrame, EthernetProtocol, EthernetRepr, Icmpv6Packet,
    Icmpv6Repr, IpProtocol, Ipv6Packet, Ipv6Repr, NdiscRepr,
};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The hop limit that shows that a message of neighbour discovery came over no router (RFC 4861, 7.1).
const ON_LINK: u8 = 255;

fn ethernet(header: &EthernetRepr, payload: usize, fill: impl FnOnce(&mut [u8])) -> Vec<u8> {
    let mut bytes = vec![0; header.buffer_len() + payload];
    let mut frame = EthernetFrame::new_unchecked(&mut bytes);
    header.emit(&mut frame);
    fill(frame.payload_mut());
    bytes
}

/// "Who has `target`?", asked of everybody by `source`, who has `mac`.
pub fn arp_request(mac: [u8; 6], source: Ipv4Addr, target: Ipv4Addr) -> Vec<u8> {
    let request = ArpRepr::EthernetIpv4 {
        operation: ArpOperation::Request,
        source_hardware_addr: EthernetAddress(mac),
        source_protocol_addr: source,
        target_hardware_addr: EthernetAddress([0; 6]),
        target_protocol_addr: target,
    };
    let header = EthernetRepr {
        src_addr: EthernetAddress(mac),
        dst_addr: EthernetAddress::BROADCAST,
        ethertype: EthernetProtocol::Arp,
    };
    ethernet(&header, request.buffer_len(), |payload| request.emit(&mut ArpPacket::new_unchecked(payload)))
}

/// A neighbour solicitation for `target`, to its solicited-node group, by `source`, who has `mac`.
pub fn neighbour_solicitation(mac: [u8; 6], source: Ipv6Addr, target: Ipv6Addr) -> Vec<u8> {
    let [.., a, b, c] = target.octets();
    let group = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 1, 0xff00 | u16::from(a), u16::from_be_bytes([b, c]));
    let lladdr = Some(EthernetAddress(mac).into());
    let message = Icmpv6Repr::Ndisc(NdiscRepr::NeighborSolicit { target_addr: target, lladdr });
    let packet = Ipv6Repr {
        src_addr: source,
        dst_addr: group,
        next_header: IpProtocol::Icmpv6,
        payload_len: message.buffer_len(),
        hop_limit: ON_LINK,
    };
    let header = EthernetRepr {
        src_addr: EthernetAddress(mac),
        dst_addr: EthernetAddress([0x33, 0x33, 0xff, a, b, c]),
        ethertype: EthernetProtocol::Ipv6,
    };
    ethernet(&header, packet.buffer_len() + packet.payload_len, |payload| {
        let mut outer = Ipv6Packet::new_unchecked(payload);
        packet.emit(&mut outer);
        let mut inner = Icmpv6Packet::new_unchecked(outer.payload_mut());
        message.emit(&source, &group, &mut inner, &ChecksumCapabilities::default());
    })
}

/// Who answered, and with which hardware address, if the frame is an ARP reply or a neighbour advertisement.
pub fn parse_answer(frame: &[u8]) -> Option<(IpAddr, [u8; 6])> {
    let frame = EthernetFrame::new_checked(frame).ok()?;
    match frame.ethertype() {
        EthernetProtocol::Arp => arp_reply(frame.payload()),
        EthernetProtocol::Ipv6 => advertisement(frame.payload()),
        _ => None,
    }
}

fn arp_reply(packet: &[u8]) -> Option<(IpAddr, [u8; 6])> {
    let ArpRepr::EthernetIpv4 { operation, source_hardware_addr, source_protocol_addr, .. } =
        ArpRepr::parse(&ArpPacket::new_checked(packet).ok()?).ok()?
    else {
        return None;
    };
    (operation == ArpOperation::Reply).then_some((source_protocol_addr.into(), source_hardware_addr.0))
}

fn advertisement(packet: &[u8]) -> Option<(IpAddr, [u8; 6])> {
    let packet = Ipv6Packet::new_checked(packet).ok()?;
    if packet.next_header() != IpProtocol::Icmpv6 || packet.hop_limit() != ON_LINK {
        return None;
    }
    let message = Icmpv6Packet::new_checked(packet.payload()).ok()?;
    let checksums = ChecksumCapabilities::default();
    match Icmpv6Repr::parse(&packet.src_addr(), &packet.dst_addr(), &message, &checksums).ok()? {
        Icmpv6Repr::Ndisc(NdiscRepr::NeighborAdvert { target_addr, lladdr: Some(mac), .. }) => {
            Some((target_addr.into(), mac.as_bytes().try_into().ok()?))
        }
        _ => None,
    }
}
