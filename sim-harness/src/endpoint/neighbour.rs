//! ARP and IPv6 neighbour discovery, as much as a host needs: it answers for its own addresses and asks for others'.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

const ARP: u16 = 0x0806;
const IPV6: u16 = 0x86dd;
const ICMPV6: u8 = 58;
const SOLICITATION: u8 = 135;
const ADVERTISEMENT: u8 = 136;

/// What a frame told about neighbours.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Told {
    /// Nothing: it is no neighbour frame, or one that does not concern us.
    Nothing,
    /// An address has this hardware address.
    Neighbour(IpAddr, [u8; 6]),
    /// Somebody asks for us: the answer to send.
    Asked(Vec<u8>),
}

fn ethernet(to: [u8; 6], from: [u8; 6], ethertype: u16) -> Vec<u8> {
    [&to[..], &from[..], &ethertype.to_be_bytes()].concat()
}

fn arp(operation: u16, to: [u8; 6], us: ([u8; 6], Ipv4Addr), them: ([u8; 6], Ipv4Addr)) -> Vec<u8> {
    let mut frame = ethernet(to, us.0, ARP);
    frame.extend_from_slice(&[0, 1, 8, 0, 6, 4]);
    frame.extend_from_slice(&operation.to_be_bytes());
    frame.extend_from_slice(&us.0);
    frame.extend_from_slice(&us.1.octets());
    frame.extend_from_slice(&them.0);
    frame.extend_from_slice(&them.1.octets());
    frame
}

/// An ICMPv6 neighbour message with our hardware address as its option.
fn icmpv6(kind: u8, flags: u8, to: ([u8; 6], Ipv6Addr), us: ([u8; 6], Ipv6Addr), target: Ipv6Addr) -> Vec<u8> {
    let mut message = vec![kind, 0, 0, 0, flags, 0, 0, 0];
    message.extend_from_slice(&target.octets());
    // Source link-layer address in a solicitation, target link-layer address in an advertisement.
    message.extend_from_slice(&[if kind == SOLICITATION { 1 } else { 2 }, 1]);
    message.extend_from_slice(&us.0);
    let sum = checksum(us.1, to.1, &message);
    message[2..4].copy_from_slice(&sum.to_be_bytes());
    let mut frame = ethernet(to.0, us.0, IPV6);
    frame.extend_from_slice(&[0x60, 0, 0, 0]);
    frame.extend_from_slice(&(message.len() as u16).to_be_bytes());
    frame.extend_from_slice(&[ICMPV6, 255]);
    frame.extend_from_slice(&us.1.octets());
    frame.extend_from_slice(&to.1.octets());
    frame.extend_from_slice(&message);
    frame
}

fn checksum(from: Ipv6Addr, to: Ipv6Addr, message: &[u8]) -> u16 {
    let length = (message.len() as u32).to_be_bytes();
    let bytes = [&from.octets()[..], &to.octets()[..], &length, &[0, 0, 0, ICMPV6], message].concat();
    let mut sum: u32 =
        bytes.chunks(2).map(|word| u32::from(u16::from_be_bytes([word[0], word.get(1).copied().unwrap_or(0)]))).sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

/// The question "who has `wanted`?".
pub(super) fn ask(mac: [u8; 6], own: IpAddr, wanted: IpAddr) -> Option<Vec<u8>> {
    match (own, wanted) {
        (IpAddr::V4(own), IpAddr::V4(wanted)) => Some(arp(1, [0xff; 6], (mac, own), ([0; 6], wanted))),
        (IpAddr::V6(own), IpAddr::V6(wanted)) => {
            let [.., a, b, c] = wanted.octets();
            let group = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 1, 0xff00 | u16::from(a), u16::from_be_bytes([b, c]));
            Some(icmpv6(SOLICITATION, 0, ([0x33, 0x33, 0xff, a, b, c], group), (mac, own), wanted))
        }
        _ => None,
    }
}

/// What a frame tells.
pub(super) fn hear(mac: [u8; 6], own: &[IpAddr], frame: &[u8]) -> Told {
    match frame.get(12..14).map(|bytes| u16::from_be_bytes([bytes[0], bytes[1]])) {
        Some(ARP) => hear_arp(mac, own, frame).unwrap_or(Told::Nothing),
        Some(IPV6) => hear_icmpv6(mac, own, frame).unwrap_or(Told::Nothing),
        _ => Told::Nothing,
    }
}

fn hear_arp(mac: [u8; 6], own: &[IpAddr], frame: &[u8]) -> Option<Told> {
    let body: &[u8; 28] = frame.get(14..)?.first_chunk()?;
    let sender: [u8; 6] = body[8..14].try_into().ok()?;
    let sender_ip = Ipv4Addr::from(<[u8; 4]>::try_from(&body[14..18]).ok()?);
    let target_ip = Ipv4Addr::from(<[u8; 4]>::try_from(&body[24..28]).ok()?);
    match u16::from_be_bytes([body[6], body[7]]) {
        1 if own.contains(&IpAddr::V4(target_ip)) => {
            Some(Told::Asked(arp(2, sender, (mac, target_ip), (sender, sender_ip))))
        }
        2 => Some(Told::Neighbour(IpAddr::V4(sender_ip), sender)),
        _ => None,
    }
}

fn hear_icmpv6(mac: [u8; 6], own: &[IpAddr], frame: &[u8]) -> Option<Told> {
    let packet = frame.get(14..)?;
    if *packet.get(6)? != ICMPV6 {
        return None;
    }
    let sender: [u8; 6] = frame.get(6..12)?.try_into().ok()?;
    let source = Ipv6Addr::from(<[u8; 16]>::try_from(packet.get(8..24)?).ok()?);
    let target = Ipv6Addr::from(<[u8; 16]>::try_from(packet.get(48..64)?).ok()?);
    match *packet.get(40)? {
        SOLICITATION if own.contains(&IpAddr::V6(target)) => {
            // Solicited and override.
            Some(Told::Asked(icmpv6(ADVERTISEMENT, 0x60, (sender, source), (mac, target), target)))
        }
        ADVERTISEMENT => Some(Told::Neighbour(IpAddr::V6(target), sender)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_is_answered_by_who_is_asked_and_by_nobody_else() {
        let (us, them) = ([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]);
        for (own, wanted) in [("10.9.0.1", "10.9.0.2"), ("fd00:9::1", "fd00:9::2")] {
            let (own, wanted): (IpAddr, IpAddr) = (own.parse().unwrap(), wanted.parse().unwrap());
            let question = ask(us, own, wanted).unwrap();
            assert_eq!(hear(us, &[own], &question), Told::Nothing);
            let Told::Asked(answer) = hear(them, &[wanted], &question) else { panic!("not asked") };
            assert_eq!(hear(us, &[own], &answer), Told::Neighbour(wanted, them));
        }
    }
}
