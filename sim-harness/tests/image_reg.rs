//! REG: what an instance of the loaded image says of itself when it is initialised, held against what it then is.
//!
//! What attributes have to look like at all (their order, headers, flags, NULL pointers) NDIS watches whenever the image runs:
//! a rule that is broken is a violation, and [`on_image::gone`] and [`on_image::ends`] want none.

mod on_image;

use ndk_types::*;
use on_image::{VERSION, alone, ask, ends, gone, pair, set_state, transfer, u32_at, u64_at};
use sim_harness::bed::Bed;
use sim_harness::conformance::pair::Pair;
use sim_harness::kernel::host::{Host, Shape};
use sim_harness::kernel::ndis::attributes::Ndk;
use sim_harness::kernel::ndis::{miniports, pnp};
use std::mem::offset_of;

/// A plain host whose `*NetworkDirect` is this.
fn keyword(value: &str) -> Shape {
    let mut shape = Shape::plain(0, 1);
    shape.set("*NetworkDirect", value);
    shape
}

/// The NDK attributes of a host's instance.
fn ndk(host: &Host) -> Ndk {
    miniports::attributes(&host.machine, host.instance().expect("an instance")).unwrap().ndk.expect("NDK attributes")
}

/// REG-06, REG-07, REG-08, REG-18, INF-10, INF-11: NDK attributes come last and always; they say whether NDK is on.
#[test]
fn an_instance_says_that_ndk_is_on_exactly_when_it_is() {
    for (value, on) in [("1", true), ("0", false), ("2", true), ("no number", true)] {
        let host = alone(&keyword(value));
        let instance = host.instance().expect("it is initialised all the same");
        let seen = miniports::attributes(&host.machine, instance).unwrap();
        assert!(seen.registered && seen.general.is_some());
        assert_eq!(ndk(&host).enabled, on, "{value}");
        let opened = pnp::open_on(&host.machine, instance, VERSION);
        assert_eq!(opened.as_ref().err(), (!on).then_some(&NDIS_STATUS_ADAPTER_NOT_READY), "{value}");
        if let Ok(adapter) = opened {
            pnp::close_ndk_adapter(&host.machine, adapter);
        }
        gone(&host);
    }
    let mut missing = Shape::plain(0, 1);
    missing.keywords.clear();
    let host = alone(&missing);
    assert!(ndk(&host).enabled, "as the INF file has it");
    gone(&host);
}

/// REG-08, PNP-15: NDK that was switched off is on again after a restart, as the keyword has it.
#[test]
fn an_instance_that_is_made_again_says_what_holds_then() {
    let host = alone(&keyword("1"));
    assert_eq!(set_state(&host, false), STATUS_SUCCESS);
    for on in [true, false, true] {
        miniports::disable_device(&host.machine, &host.device);
        host.settle();
        assert_eq!(host.instance(), None);
        host.set_keyword("*NetworkDirect", if on { "1" } else { "0" });
        miniports::enable_device(&host.machine, &host.device);
        host.settle();
        assert_eq!((ndk(&host).enabled, host.tcpip.seen().ndk), (on, on));
    }
    gone(&host);
}

/// REG-10, REG-13, REG-14: the same is reported whether NDK is on or off, and every counter is there.
#[test]
fn capabilities_do_not_depend_on_the_state_of_ndk() {
    let said = ["1", "0"].map(|value| {
        let host = alone(&keyword(value));
        let ndk = ndk(&host);
        gone(&host);
        ndk
    });
    let [on, off] = &said;
    assert_eq!((on.limits, on.missing_counters), (off.limits, off.missing_counters));
    assert_eq!(on.info, off.info);
    assert_eq!((on.missing_counters, on.info.FRMRPageCount >= 16), (0, true));
}

/// REG-09, REG-11: what NdkQueryAdapterInfo tells is what was told at initialisation, field by field.
#[test]
fn the_adapter_info_is_the_one_of_the_attributes() {
    let mut bed = pair(2);
    let told = ndk(&bed.hosts[0]);
    let adapter = bed.open(0, told.info.Version).unwrap();
    assert_eq!(adapter.info().unwrap(), told.info);
    adapter.close();
    ends(bed);
}

/// REG-12: the adapter as a whole has no limit of reads, each connection has.
#[test]
fn reads_are_limited_for_each_connection_and_not_for_the_adapter() {
    let mut bed = pair(3);
    let told = ndk(&bed.hosts[0]);
    assert_eq!(told.limits[4..6], [0, 0]);
    let most = (told.info.MaxInboundReadLimit, told.info.MaxOutboundReadLimit);
    assert!(most.0 > 0 && most.1 > 0);
    // A connection asks for as much as there is, and for more.
    for asked in [most.0, most.0 + 1, u32::MAX] {
        let (inbound, outbound, _) = connected(&mut bed, asked);
        assert_eq!((inbound, outbound), most, "{asked} asked for");
    }
    ends(bed);
}

/// Connects with this limit of reads on both sides; what the client then has, in and out.
fn connected(bed: &mut sim_harness::kernel::host::bed::ImageBed, reads: u32) -> (u32, u32, Vec<u8>) {
    use sim_harness::bed::ipv4;
    use sim_harness::conformance::pair::{Host, arrival, smb, wait};
    let (client, server) = (Host::new(bed, 0), Host::new(bed, 1));
    let listener = server.adapter.listen(smb(1)).unwrap();
    let active = client.adapter.create_connector().unwrap();
    let connecting = active.connect(&client.qp, ipv4(0), smb(1), reads, b"");
    let passive = arrival(bed, &listener);
    let (accepting, server_events) = passive.accept(&server.qp, reads, b"");
    assert_eq!(wait(bed, connecting), STATUS_SUCCESS);
    let client_events = active.complete_connect().unwrap();
    assert_eq!(wait(bed, accepting), STATUS_SUCCESS);
    let data = active.connection_data().unwrap();
    Pair { client, server, active, passive, listener, client_events, server_events }.close(bed);
    data
}

/// REG-17: BAD_VERSION of the NDK attributes ends the initialisation, and everything before it is undone.
#[test]
fn an_ndis_that_knows_no_ndk_attributes_gets_no_instance() {
    let host = Host::new(&Shape::plain(0, 1), std::sync::Arc::default());
    host.machine.fail_once("NdisMSetMiniportAttributes(NDK)");
    host.start(on_image::image()).unwrap();
    assert_eq!(host.instance(), None);
    let lines = host.machine.log_lines();
    assert!(lines.iter().any(|line| line.contains("MiniportInitializeEx") && line.contains("0xc0010004")), "{lines:?}");
    gone(&host);
}

/// Received and sent bytes of OID_GEN_STATISTICS.
fn octets(host: &Host) -> [u64; 2] {
    let answer = ask(host, NdisRequestQueryInformation, OID_GEN_STATISTICS, &[0; size_of::<NDIS_STATISTICS_INFO>()]);
    assert_eq!(answer.status, STATUS_SUCCESS);
    let flags = u32_at(&answer.buffer, offset_of!(NDIS_STATISTICS_INFO, SupportedStatistics));
    assert_ne!(flags & NDIS_STATISTICS_FLAGS_VALID_BYTES_RCV, 0);
    [offset_of!(NDIS_STATISTICS_INFO, ifHCInOctets), offset_of!(NDIS_STATISTICS_INFO, ifHCOutOctets)]
        .map(|at| u64_at(&answer.buffer, at))
}

/// REG-19: the general statistics grow by RDMA's frames too.
#[test]
fn the_general_statistics_count_the_traffic_of_ndk() {
    let mut bed = pair(5);
    let hosts = bed.hosts.clone();
    let before = [0, 1].map(|host| (octets(&hosts[host]), ndk_octets(&mut bed, host)));
    transfer(&mut bed, 1 << 20, |_| true);
    for host in [0, 1] {
        let (general, rdma) = (octets(&hosts[host]), ndk_octets(&mut bed, host));
        for way in [0, 1] {
            let (all, ndk) = (general[way] - before[host].0[way], rdma[way] - before[host].1[way]);
            assert!(ndk > 1 << 20 && all >= ndk && all < ndk + ndk / 10, "host {host}: {all} in all, {ndk} of NDK");
        }
    }
    ends(bed);
}

/// RDMA's octets in and out, by OID_NDK_STATISTICS.
fn ndk_octets(bed: &mut dyn Bed, host: usize) -> [u64; 2] {
    let mut room = [0; size_of::<NDIS_NDK_STATISTICS_INFO>()];
    bed.query(host, OID_NDK_STATISTICS, &mut room).unwrap();
    let counters = offset_of!(NDIS_NDK_STATISTICS_INFO, CounterSet);
    let fields = [
        offset_of!(NDIS_NDK_PERFORMANCE_COUNTERS, RDMAInOctets),
        offset_of!(NDIS_NDK_PERFORMANCE_COUNTERS, RDMAOutOctets),
    ];
    fields.map(|at| u64_at(&room, counters + at))
}
