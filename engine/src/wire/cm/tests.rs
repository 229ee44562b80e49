//! Connection-manager messages there and back.

use super::*;

#[test]
fn the_service_ids_of_the_known_ports() {
    assert_eq!(service_id(7174), 0x0000_0000_0106_1c06);
    for port in [445, 5445, 4420, 7174] {
        assert_eq!(service_port(service_id(port)), Some(port));
    }
    assert_eq!(service_port(0x0000_0000_0111_1c06), None);
}

#[test]
fn every_reject_reason_survives() {
    for value in 0..=40 {
        assert_eq!(RejReason::from_wire(value).to_wire(), value);
    }
}

#[test]
fn any_req_survives_the_wire() {
    let mut mad = [0; MAD_LEN];
    for (at, byte) in mad.iter_mut().enumerate() {
        *byte = (at * 37 + 11) as u8;
    }
    MadHeader::communication(77, attribute::REQ).write(&mut mad);
    let (header, message) = Message::parse(&mad).unwrap();
    let again = message.emit(header.transaction_id);
    assert_eq!(Message::parse(&again).unwrap().1, message);
}

#[test]
fn an_ip_cm_header_survives_and_another_version_is_refused() {
    for (source, destination) in [("10.9.0.2", "10.9.0.1"), ("fd00:9::2", "fd00:9::1")] {
        let header = IpCmHeader {
            source_port: 0x40ce,
            source: source.parse().unwrap(),
            destination: destination.parse().unwrap(),
        };
        let mut data = [0; REQ_PRIVATE_LEN];
        header.write(&mut data);
        assert_eq!(IpCmHeader::parse(&data), Some(header));
        data[0] = 1;
        assert_eq!(IpCmHeader::parse(&data), None);
    }
}

#[test]
fn what_is_no_cm_message_is_refused() {
    assert_eq!(Message::parse(&[0; 255]), Err(CmError::Length));
    assert_eq!(Message::parse(&[0; MAD_LEN]), Err(CmError::Class));
    let mut mad = [0; MAD_LEN];
    MadHeader::communication(1, attribute::LAP).write(&mut mad);
    assert_eq!(Message::parse(&mad), Err(CmError::Attribute(attribute::LAP)));
}
