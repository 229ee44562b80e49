//! What the NIC is asked.

use super::*;

/// A request on its own memory.
pub(super) fn request(kind: NDIS_REQUEST_TYPE, oid: NDIS_OID, buffer: &mut [u8]) -> Box<NDIS_OID_REQUEST> {
    // SAFETY: zero is a value of every field.
    let mut request: Box<NDIS_OID_REQUEST> = Box::new(unsafe { std::mem::zeroed() });
    request.RequestType = kind;
    request.DATA.SET_INFORMATION = NDIS_OID_REQUEST_SET_INFORMATION {
        Oid: oid,
        InformationBuffer: buffer.as_mut_ptr().cast(),
        InformationBufferLength: buffer.len() as u32,
        BytesRead: 0xffff,
        BytesNeeded: 0xffff,
    };
    request
}

/// BytesRead or BytesWritten, and BytesNeeded.
fn moved(request: &NDIS_OID_REQUEST) -> (u32, u32) {
    // SAFETY: every request here is a query or a set, whose fields are the same.
    let body = unsafe { request.DATA.SET_INFORMATION };
    (body.BytesRead, body.BytesNeeded)
}

/// Asks: the status, how many bytes were moved, how many are needed.
pub(super) fn ask(bench: &Bench, kind: NDIS_REQUEST_TYPE, oid: NDIS_OID, buffer: &mut [u8]) -> (NDIS_STATUS, u32, u32) {
    let mut request = request(kind, oid, buffer);
    let status = bench.nic.oid(&bench.machine, &raw mut *request);
    let (done, needed) = moved(&request);
    (status, done, needed)
}

fn query(bench: &Bench, oid: NDIS_OID) -> Vec<u8> {
    let mut buffer = vec![0xaa; 256];
    let (status, written, _) = ask(bench, NdisRequestQueryInformation, oid, &mut buffer);
    assert_eq!(status, NDIS_STATUS_SUCCESS, "{oid:#x}");
    buffer.truncate(written as usize);
    buffer
}

/// An NDIS_OFFLOAD_PARAMETERS of revision 3 that says this of coalescing.
pub(super) fn coalescing(what: u8) -> Vec<u8> {
    let mut body = vec![0; usize::from(NDIS_SIZEOF_OFFLOAD_PARAMETERS_REVISION_3)];
    (body[0], body[1], body[2], body[22], body[23]) = (NDIS_OBJECT_TYPE_DEFAULT, 3, 26, what, what);
    body
}

/// W-22
#[test]
fn the_mandatory_oids_are_answered() {
    let bench = Bench::new();
    let number = |oid| u32::from_le_bytes(query(&bench, oid).try_into().expect("four bytes"));
    assert_eq!(number(OID_GEN_MAXIMUM_TOTAL_SIZE), 1514);
    assert_eq!(number(OID_GEN_TRANSMIT_BLOCK_SIZE), 1514);
    assert_eq!(number(OID_GEN_RECEIVE_BLOCK_SIZE), 1514);
    assert_eq!(number(OID_GEN_TRANSMIT_BUFFER_SPACE), 1514 * 512);
    assert_eq!(number(OID_GEN_RECEIVE_BUFFER_SPACE), 1514 * 512);
    assert_eq!(number(OID_GEN_VENDOR_ID), 0x00ff_ffff);
    assert_eq!(number(OID_GEN_VENDOR_DRIVER_VERSION), 0x1_0000);
    assert_eq!(number(OID_802_3_MAXIMUM_LIST_SIZE), 32);
    assert_eq!(query(&bench, OID_GEN_VENDOR_DESCRIPTION).last(), Some(&0));
    assert_eq!(query(&bench, OID_802_3_CURRENT_ADDRESS), MAC);
    assert_eq!(query(&bench, OID_802_3_PERMANENT_ADDRESS), MAC);
    assert_eq!(query(&bench, OID_GEN_INTERRUPT_MODERATION), [0x80, 1, 12, 0, 0, 0, 0, 0, 1, 0, 0, 0]);
    assert_eq!(query(&bench, OID_GEN_LINK_STATE).len(), size_of::<NDIS_LINK_STATE>());
    for (oid, body) in [
        (OID_GEN_CURRENT_LOOKAHEAD, &128_u32.to_le_bytes()[..]),
        (OID_GEN_LINK_PARAMETERS, &[&[0x80, 1, 32, 0][..], &[0; 28]].concat()),
        (OID_PNP_SET_POWER, &[1, 0, 0, 0]),
        (OID_PM_PARAMETERS, &[0x80, 1, 20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
    ] {
        assert_eq!(bench.set(oid, body), NDIS_STATUS_SUCCESS, "{oid:#x}");
    }
    assert_eq!(number(OID_GEN_CURRENT_LOOKAHEAD), 128);
    assert_eq!(bench.set(OID_GEN_NETCARD_LOAD, &[0; 4]), NDIS_STATUS_NOT_SUPPORTED);
    let (status, ..) = ask(&bench, NdisRequestQueryInformation, OID_GEN_DEVICE_PROFILE, &mut [0; 4]);
    assert_eq!(status, NDIS_STATUS_NOT_SUPPORTED);
    let (status, ..) = ask(&bench, NdisRequestMethod, OID_GEN_STATISTICS, &mut [0; 152]);
    assert_eq!(status, NDIS_STATUS_NOT_SUPPORTED);
}

#[test]
fn statistics_are_every_counter_in_its_place() {
    let bench = Bench::new();
    bench.filter(NDIS_PACKET_TYPE_PROMISCUOUS);
    bench.nic.deliver_many(&bench.machine, &[frame(MAC, 1, 100), frame(GROUP, 1, 200), frame(EVERYBODY, 1, 300)]);
    bench.nic.deliver(&bench.machine, &[1, 2]);
    bench.give_back();
    for len in [400, 500] {
        let list = bench.list(&[&frame(GROUP, 1, len)]);
        bench.nic.send(&bench.machine, vec![list]);
    }
    let bytes = query(&bench, OID_GEN_STATISTICS);
    assert_eq!(bytes.len(), size_of::<NDIS_STATISTICS_INFO>());
    // SAFETY: as many bytes as the structure has, of which all values are integers.
    let said = unsafe { bytes.as_ptr().cast::<NDIS_STATISTICS_INFO>().read_unaligned() };
    assert_eq!((said.Header.Type, said.Header.Revision, said.Header.Size), (0x80, 1, 152));
    assert_eq!((said.ifHCInUcastPkts, said.ifHCInMulticastPkts, said.ifHCInBroadcastPkts), (1, 1, 1));
    assert_eq!((said.ifHCInOctets, said.ifHCInUcastOctets, said.ifHCInMulticastOctets), (600, 100, 200));
    assert_eq!((said.ifHCInBroadcastOctets, said.ifInErrors, said.ifInDiscards), (300, 1, 0));
    assert_eq!((said.ifHCOutUcastPkts, said.ifHCOutMulticastPkts, said.ifHCOutBroadcastPkts), (0, 2, 0));
    assert_eq!((said.ifHCOutOctets, said.ifHCOutUcastOctets, said.ifHCOutMulticastOctets), (900, 0, 900));
    assert_eq!((said.ifHCOutBroadcastOctets, said.ifOutErrors, said.ifOutDiscards), (0, 0, 0));
    assert_eq!(query(&bench, OID_GEN_XMIT_OK), 2_u64.to_le_bytes());
    let mut half = [0; 4];
    let answer = ask(&bench, NdisRequestQueryInformation, OID_GEN_RCV_OK, &mut half);
    assert_eq!((answer, half), ((NDIS_STATUS_SUCCESS, 4, 0), 3_u32.to_le_bytes()));
}

#[test]
fn a_buffer_of_the_wrong_length_is_refused_with_the_length_it_takes() {
    let bench = Bench::new();
    let query = NdisRequestQueryInformation;
    let short = NDIS_STATUS_BUFFER_TOO_SHORT;
    assert_eq!(ask(&bench, query, OID_GEN_STATISTICS, &mut [0; 151]), (short, 0, 152));
    assert_eq!(ask(&bench, query, OID_GEN_RCV_OK, &mut [0; 3]), (short, 0, 8));
    assert_eq!(ask(&bench, query, OID_802_3_CURRENT_ADDRESS, &mut []), (short, 0, 6));
    let set = NdisRequestSetInformation;
    let length = NDIS_STATUS_INVALID_LENGTH;
    assert_eq!(ask(&bench, set, OID_GEN_CURRENT_PACKET_FILTER, &mut [0; 3]), (length, 0, 4));
    assert_eq!(ask(&bench, set, OID_802_3_MULTICAST_LIST, &mut [1; 7]), (length, 0, 12));
    assert_eq!(ask(&bench, set, OID_GEN_LINK_PARAMETERS, &mut [0x80, 1, 32, 0]), (length, 0, 32));
    let mut claims_more = coalescing(1);
    claims_more[2] = 27;
    assert_eq!(ask(&bench, set, OID_TCP_OFFLOAD_PARAMETERS, &mut claims_more), (length, 0, 27));
    assert!(bench.nic.coalesces());
}

#[test]
fn filters_and_lists_that_the_nic_does_not_have_are_refused_and_change_nothing() {
    let bench = Bench::new();
    let filter = bench.nic.packet_filter();
    let unknown = NDIS_PACKET_TYPE_DIRECTED | NDIS_PACKET_TYPE_FUNCTIONAL;
    assert_eq!(bench.set(OID_GEN_CURRENT_PACKET_FILTER, &unknown.to_le_bytes()), NDIS_STATUS_NOT_SUPPORTED);
    assert_eq!(bench.nic.packet_filter(), filter);
    assert_eq!(bench.set(OID_802_3_MULTICAST_LIST, &GROUP.repeat(32)), NDIS_STATUS_SUCCESS);
    assert_eq!(bench.set(OID_802_3_MULTICAST_LIST, &GROUP.repeat(33)), NDIS_STATUS_MULTICAST_FULL);
    assert_eq!(bench.nic.multicast().len(), 32);
}

/// W-23
#[test]
fn coalescing_is_switched_off_or_that_is_refused() {
    let bench = Bench::new();
    bench.nic.behave(|now| {
        now.refused.insert(OID_TCP_OFFLOAD_PARAMETERS, NDIS_STATUS_NOT_SUPPORTED);
    });
    assert_eq!(bench.set(OID_TCP_OFFLOAD_PARAMETERS, &coalescing(1)), NDIS_STATUS_NOT_SUPPORTED);
    assert!(bench.nic.coalesces());
    bench.nic.behave(|now| now.refused.clear());
    assert_eq!(bench.set(OID_TCP_OFFLOAD_PARAMETERS, &coalescing(0)), NDIS_STATUS_SUCCESS);
    assert!(bench.nic.coalesces(), "no change was asked for");
    assert_eq!(bench.set(OID_TCP_OFFLOAD_PARAMETERS, &coalescing(1)), NDIS_STATUS_SUCCESS);
    assert!(!bench.nic.coalesces());
    assert_eq!(bench.set(OID_TCP_OFFLOAD_PARAMETERS, &coalescing(2)), NDIS_STATUS_SUCCESS);
    assert!(bench.nic.coalesces());
}

/// W-24
#[test]
fn receive_scaling_is_the_business_of_a_nic_that_has_it() {
    let mut body = vec![0; 44];
    (body[0], body[1], body[2]) = (0x89, 2, 40);
    let without = Bench::new();
    assert_eq!(without.set(OID_GEN_RECEIVE_SCALE_PARAMETERS, &body), NDIS_STATUS_NOT_SUPPORTED);
    let with = Bench::new();
    with.nic.state().attributes.rss = true;
    assert_eq!(with.set(OID_GEN_RECEIVE_SCALE_PARAMETERS, &body), NDIS_STATUS_SUCCESS);
    assert_eq!(with.nic.receive_scaling(), body);
}

#[test]
fn a_pending_request_is_carried_out_and_completed_once_when_its_time_has_come() {
    let bench = Bench::new();
    bench.nic.behave(|now| now.oids = Oids::Pending(100));
    let before = bench.nic.packet_filter();
    let mut filter = NDIS_PACKET_TYPE_PROMISCUOUS.to_le_bytes();
    let mut set = request(NdisRequestSetInformation, OID_GEN_CURRENT_PACKET_FILTER, &mut filter);
    assert_eq!(bench.nic.oid(&bench.machine, &raw mut *set), NDIS_STATUS_PENDING);
    assert_eq!((bench.nic.next_due(), bench.nic.packet_filter()), (Some(100), before));
    bench.at(99);
    assert_eq!(bench.told(), []);
    bench.at(100);
    assert_eq!(bench.told(), [Told::Oid(NDIS_STATUS_SUCCESS)]);
    assert_eq!((bench.nic.packet_filter(), moved(&set)), (NDIS_PACKET_TYPE_PROMISCUOUS, (4, 0)));
    bench.at(1000);
    assert_eq!((bench.told(), bench.nic.next_due()), (vec![], None));
}

#[test]
fn what_pends_without_a_delay_is_done_by_a_kernel_thread() {
    let bench = Bench::new();
    bench.nic.behave(|now| {
        now.oids = Oids::Pending(0);
        now.completion = Completion::Late { lists: 9, delay: 0 };
    });
    let mut lookahead = 64_u32.to_le_bytes();
    let mut set = request(NdisRequestSetInformation, OID_GEN_CURRENT_LOOKAHEAD, &mut lookahead);
    bench.send(1);
    bench.send(2);
    assert_eq!(bench.nic.oid(&bench.machine, &raw mut *set), NDIS_STATUS_PENDING);
    assert_eq!(bench.told(), []);
    bench.machine.settle();
    let ok = NDIS_STATUS_SUCCESS;
    assert_eq!(bench.told(), [Told::Sent(vec![(1, ok), (2, ok)]), Told::Oid(ok)]);
    bench.machine.settle();
    assert_eq!((bench.told(), bench.broken(), bench.nic.next_due()), (vec![], vec![], None));
    bench.machine.sched.abandon();
}
