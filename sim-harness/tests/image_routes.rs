//! The way to others, through the image: IP Helper's routes and neighbours, addresses that come and go, a gateway.

use ndk_types::*;
use sim_harness::bed::{Bed, ipv4, ipv6};
use sim_harness::conformance::pair::{Host, arrival, pass, smb, wait};
use sim_harness::consumer::{Failed, Listener};
use sim_harness::image;
use sim_harness::kernel::host::Shape;
use sim_harness::kernel::host::bed::ImageBed;
use std::net::{IpAddr, SocketAddr};

fn bed(shapes: &[Shape; 2]) -> ImageBed {
    let bytes = std::fs::read(image::build(false).unwrap()).unwrap();
    ImageBed::of(&bytes, 3, shapes).unwrap()
}

fn plain() -> [Shape; 2] {
    [0, 1].map(|number| Shape::plain(number, 3))
}

/// Connects host 0 to an address; what came of it.
fn connect(bed: &mut ImageBed, client: &Host, from: IpAddr, to: SocketAddr) -> NTSTATUS {
    let active = client.adapter.create_connector().unwrap();
    let connecting = active.connect(&client.qp, from, to, 1, b"");
    let status = wait(bed, connecting);
    active.close();
    status
}

fn luid(bed: &ImageBed, host: usize) -> u64 {
    bed.hosts[host].tcpip.adapter().unwrap().luid
}

/// CN-02, OQ: a neighbour that does not answer, and a network without a way to it.
#[test]
fn a_neighbour_that_does_not_answer_and_a_network_without_a_route_have_statuses_of_their_own() {
    let mut bed = bed(&plain());
    let client = Host::new(&mut bed, 0);
    for (from, silent) in [(ipv4(0), ipv4(98)), (ipv6(0), ipv6(98))] {
        let before = bed.now();
        assert_eq!(connect(&mut bed, &client, from, SocketAddr::new(silent, 445)), STATUS_HOST_UNREACHABLE);
        // It was asked for three times, a second apart, before it was given up.
        assert!(bed.now() - before >= 2_000_000_000, "{}", bed.now() - before);
    }
    let elsewhere = SocketAddr::new(IpAddr::from([172, 16, 0, 1]), 445);
    assert_eq!(connect(&mut bed, &client, ipv4(0), elsewhere), STATUS_NETWORK_UNREACHABLE);
    client.close(&mut bed);
    assert_eq!(bed.end(), [""; 0]);
}

/// A silent neighbour holds up nobody else.
#[test]
fn many_questions_about_silent_neighbours_do_not_hold_up_a_connect_to_another_for_ever() {
    let mut bed = bed(&plain());
    let (client, server) = (Host::new(&mut bed, 0), Host::new(&mut bed, 1));
    let listener = server.adapter.listen(smb(1)).unwrap();
    let silent: Vec<_> = (50..62)
        .map(|number| {
            let (connector, qp) =
                (client.adapter.create_connector().unwrap(), client.pd.create_qp(&client.cq, 8, 2, 0).unwrap());
            let pending = connector.connect(&qp, ipv4(0), SocketAddr::new(ipv4(number), 445), 1, b"");
            (connector, qp, pending)
        })
        .collect();
    let active = client.adapter.create_connector().unwrap();
    let connecting = active.connect(&client.qp, ipv4(0), smb(1), 1, b"");
    let passive = arrival(&mut bed, &listener);
    passive.reject(b"").unwrap();
    assert_eq!(wait(&mut bed, connecting), STATUS_CONNECTION_REFUSED);
    for (connector, qp, pending) in silent {
        assert_eq!(wait(&mut bed, pending), STATUS_HOST_UNREACHABLE);
        connector.close();
        qp.close();
    }
    active.close();
    passive.close();
    listener.close();
    client.close(&mut bed);
    server.close(&mut bed);
    assert_eq!(bed.end(), [""; 0]);
}

/// D5: the frames go to the gateway's MAC address, here that of the other host, which has the address behind it too.
#[test]
fn a_gateway_leads_to_another_subnet() {
    let far: [IpAddr; 2] = [IpAddr::from([10, 77, 0, 1]), IpAddr::from([0xfd77, 0, 0, 0, 0, 0, 0, 1])];
    let mut shapes = plain();
    shapes[1].addresses.push((far[0], 24));
    shapes[1].addresses.push((far[1], 64));
    let mut bed = bed(&shapes);
    let interface = luid(&bed, 0);
    let ip = &bed.hosts[0].machine.clone();
    ip.enter(|| {
        ip.netio.ip_helper.add_route(IpAddr::from([10, 77, 0, 0]), 16, Some(ipv4(1)), interface, 10);
        ip.netio.ip_helper.add_route(IpAddr::from([0xfd77, 0, 0, 0, 0, 0, 0, 0]), 32, Some(ipv6(1)), interface, 10);
    });
    for (from, to) in [(ipv4(0), far[0]), (ipv6(0), far[1])] {
        let (client, server) = (Host::new(&mut bed, 0), Host::new(&mut bed, 1));
        let listener = server.adapter.listen(SocketAddr::new(to, 445)).unwrap();
        let active = client.adapter.create_connector().unwrap();
        let connecting = active.connect(&client.qp, from, SocketAddr::new(to, 445), 1, b"");
        let passive = arrival(&mut bed, &listener);
        let (accepting, _) = passive.accept(&server.qp, 1, b"");
        assert_eq!(wait(&mut bed, connecting), STATUS_SUCCESS);
        active.complete_connect().unwrap();
        assert_eq!(wait(&mut bed, accepting), STATUS_SUCCESS);
        server.qp.receive(1, &[server.sge(0, 8)]).unwrap();
        client.qp.send(2, &[client.sge(0, 8)], 0).unwrap();
        pass(&mut bed, 5);
        assert_eq!((client.cq.poll().len(), server.cq.poll().len()), (1, 1));
        listener.close();
        active.close();
        passive.close();
        client.close(&mut bed);
        server.close(&mut bed);
    }
    assert_eq!(bed.end(), [""; 0]);
}

/// PNP-14: an address that goes is nobody's for new connects and listens; one that comes is.
#[test]
fn an_address_can_be_used_from_when_it_comes_until_it_goes() {
    let mut bed = bed(&plain());
    let (one, new) = (bed.hosts[0].clone(), IpAddr::from([10, 9, 0, 200]));
    let (machine, interface) = (&one.machine, luid(&bed, 0));
    let host = Host::new(&mut bed, 0);
    let listen = |address| host.adapter.listen(SocketAddr::new(address, 445)).map(Listener::close);
    let unknown = Err(Failed("NdkListen", STATUS_INVALID_ADDRESS));
    assert_eq!(listen(new), unknown);
    machine.enter(|| machine.netio.ip_helper.add_address(interface, new, 24, IpDadStateTentative));
    one.settle();
    assert_eq!(listen(new), unknown, "it is not known yet that nobody else has it");
    machine.enter(|| machine.netio.ip_helper.add_address(interface, new, 24, IpDadStatePreferred));
    one.settle();
    assert_eq!(listen(new), Ok(()));
    machine.enter(|| machine.netio.ip_helper.remove_address(interface, ipv4(0)));
    one.settle();
    assert_eq!(listen(ipv4(0)), unknown);
    let status = connect(&mut bed, &host, ipv4(0), smb(1));
    assert_eq!(status, STATUS_INVALID_ADDRESS);
    host.close(&mut bed);
    assert_eq!(bed.end(), [""; 0]);
}
