//! The best route and its source.

use super::*;
use crate::kernel::netio::ip_helper::Family;
use ndk_types::{
    IpDadStateDeprecated, IpDadStateTentative, MIB_IPFORWARD_ROW2, STATUS_INVALID_PARAMETER,
    STATUS_NETWORK_UNREACHABLE, STATUS_NOT_FOUND, STATUS_NOT_SUPPORTED, STATUS_SUCCESS,
};
use std::ptr::{from_ref, null, null_mut};

/// What matters of an answer: prefix, next hop, loopback, source.
type Found = (String, IpAddr, bool, IpAddr);

/// Asks as a driver does.
fn ask(of: Option<u64>, index: u32, source: Option<&str>, destination: &str) -> Result<Found, NTSTATUS> {
    let source = source.map(sockaddr);
    let destination = sockaddr(destination);
    let mut named = of.map(luid);
    // SAFETY: zero is a value of every field.
    let mut route = unsafe { std::mem::zeroed::<MIB_IPFORWARD_ROW2>() };
    let mut best = sockaddr("0.0.0.0");
    let status = import!(
        GetBestRoute2,
        named.as_mut().map_or(null_mut(), std::ptr::from_mut),
        index,
        source.as_ref().map_or(null(), from_ref),
        &raw const destination,
        0,
        &raw mut route,
        &raw mut best,
    );
    if status != STATUS_SUCCESS {
        return Err(status);
    }
    let ip = |address| super::super::rows::to_ip(address).unwrap();
    let prefix = format!("{}/{}", ip(&route.DestinationPrefix.Prefix), route.DestinationPrefix.PrefixLength);
    Ok((prefix, ip(&route.NextHop), route.Loopback != 0, ip(&best)))
}

/// Asks for the best route of the interface the tests are about.
fn best(source: Option<&str>, destination: &str) -> Result<Found, NTSTATUS> {
    ask(Some(LUID), 0, source, destination)
}

fn found(prefix: &str, next_hop: &str, source: &str) -> Found {
    (prefix.to_owned(), ip(next_hop), false, ip(source))
}

#[test]
fn the_longest_prefix_wins_and_an_address_makes_its_network_on_link() {
    let bench = Bench::new(1);
    bench.ip().add_route(ip("0.0.0.0"), 0, Some(ip("10.0.0.254")), LUID, 0);
    bench.ip().add_route(ip("10.1.2.3"), 16, Some(ip("10.0.0.253")), LUID, 500);
    bench.ip().add_route(ip("::"), 0, Some(ip("fd00::fe")), LUID, 0);
    bench.enter(|| {
        assert_eq!(best(None, "10.0.0.9"), Ok(found("10.0.0.0/24", "0.0.0.0", "10.0.0.1")));
        assert_eq!(best(None, "10.1.255.1"), Ok(found("10.1.0.0/16", "10.0.0.253", "10.0.0.1")));
        assert_eq!(best(None, "8.8.8.8"), Ok(found("0.0.0.0/0", "10.0.0.254", "10.0.0.1")));
        assert_eq!(best(None, "fd00::9"), Ok(found("fd00::/64", "::", "fd00::1")));
        assert_eq!(best(None, "2001:db8::1"), Ok(found("::/0", "fd00::fe", "fd00::1")));
        let own = Ok(("10.0.0.1/32".to_owned(), ip("0.0.0.0"), true, ip("10.0.0.1")));
        assert_eq!(best(None, "10.0.0.1"), own);
        // As if the source were not there.
        assert_eq!(best(Some("0.0.0.0"), "8.8.8.8"), best(None, "8.8.8.8"));
    });
}

#[test]
fn of_equally_long_prefixes_the_smaller_metric_wins_then_the_older_route() {
    let bench = Bench::new(1);
    let via = |hop: &str, metric| bench.ip().add_route(ip("0.0.0.0"), 0, Some(ip(hop)), LUID, metric);
    via("10.0.0.250", 20);
    via("10.0.0.251", 10);
    via("10.0.0.252", 10);
    bench.enter(|| assert_eq!(best(None, "8.8.8.8"), Ok(found("0.0.0.0/0", "10.0.0.251", "10.0.0.1"))));
    bench.ip().remove_route(ip("0.0.0.0"), 0, LUID);
    bench.enter(|| assert_eq!(best(None, "8.8.8.8"), Err(STATUS_NETWORK_UNREACHABLE)));
}

#[test]
fn without_a_route_or_a_link_or_an_address_the_network_is_unreachable() {
    let bench = Bench::new(1);
    bench.ip().add_interface(interface(OTHER, 8, "Ethernet 2"));
    bench.enter(|| {
        assert_eq!(best(None, "8.8.8.8"), Err(STATUS_NETWORK_UNREACHABLE));
        assert!(best(None, "10.0.0.9").is_ok());
        bench.ip().set_up(LUID, false);
        assert_eq!(best(None, "10.0.0.9"), Err(STATUS_NETWORK_UNREACHABLE));
        bench.ip().set_up(LUID, true);
        bench.ip().add_route(ip("8.8.8.8"), 32, None, OTHER, 0);
        assert_eq!(ask(Some(OTHER), 0, None, "8.8.8.8"), Err(STATUS_NETWORK_UNREACHABLE));
        assert_eq!(best(None, "8.8.8.8"), Err(STATUS_NETWORK_UNREACHABLE));
    });
}

#[test]
fn a_source_names_its_interface_and_no_other_has_a_route_then() {
    let bench = Bench::new(1);
    bench.ip().add_address(LUID, ip("10.0.0.2"), 24, IpDadStatePreferred);
    bench.ip().add_interface(interface(OTHER, 8, "Ethernet 2"));
    bench.ip().add_address(OTHER, ip("10.0.0.3"), 24, IpDadStatePreferred);
    bench.enter(|| {
        assert_eq!(best(Some("10.0.0.2"), "10.0.0.9"), Ok(found("10.0.0.0/24", "0.0.0.0", "10.0.0.2")));
        assert_eq!(best(Some("10.0.0.3"), "10.0.0.9"), Err(STATUS_NETWORK_UNREACHABLE));
        assert_eq!(best(Some("10.0.0.4"), "10.0.0.9"), Err(STATUS_NOT_FOUND));
        assert_eq!(best(Some("fd00::1"), "10.0.0.9"), Err(STATUS_INVALID_PARAMETER));
        bench.ip().add_address(LUID, ip("10.0.0.2"), 24, IpDadStateTentative);
        assert_eq!(best(Some("10.0.0.2"), "10.0.0.9"), Err(STATUS_NOT_FOUND));
    });
}

#[test]
fn the_best_source_is_in_scope_preferred_and_shares_most_with_the_destination() {
    let bench = Bench::new(1);
    for (address, state) in [
        ("fe80::1", IpDadStatePreferred),
        ("fd00::2:1", IpDadStateDeprecated),
        ("fd00::1:1", IpDadStatePreferred),
        ("fd00::2:2", IpDadStateTentative),
    ] {
        bench.ip().add_address(LUID, ip(address), 64, state);
    }
    let source = |destination| bench.enter(|| best(None, destination)).map(|found| found.3);
    assert_eq!(source("fd00::1:9"), Ok(ip("fd00::1:1")));
    assert_eq!(source("fd00::9"), Ok(ip("fd00::1")));
    assert_eq!(source("fe80::9"), Ok(ip("fe80::1")));
    // The one that shares more is deprecated, and the next one not yet tried.
    assert_eq!(source("fd00::2:9"), Ok(ip("fd00::1")));
    bench.ip().remove_address(LUID, ip("fd00::1"));
    bench.ip().remove_address(LUID, ip("fd00::1:1"));
    assert_eq!(source("fd00::9"), Ok(ip("fd00::2:1")));
}

#[test]
fn the_interface_is_named_by_its_luid_or_without_one_by_its_index() {
    let bench = Bench::new(1);
    bench.enter(|| {
        let good = Ok(found("10.0.0.0/24", "0.0.0.0", "10.0.0.1"));
        assert_eq!(ask(None, INDEX, None, "10.0.0.9"), good);
        assert_eq!(ask(Some(0), INDEX, None, "10.0.0.9"), good);
        assert_eq!(ask(Some(LUID), 99, None, "10.0.0.9"), good);
        assert_eq!(ask(Some(OTHER), INDEX, None, "10.0.0.9"), Err(STATUS_NOT_FOUND));
        assert_eq!(ask(None, 8, None, "10.0.0.9"), Err(STATUS_NOT_FOUND));
        assert_eq!(ask(None, 0, None, "10.0.0.9"), Err(STATUS_INVALID_PARAMETER));
    });
}

#[test]
fn a_question_that_is_none_has_the_status_of_its_page() {
    let bench = Bench::new(1);
    bench.enter(|| {
        let mut named = luid(LUID);
        let (mut family, there) = (sockaddr("10.0.0.9"), sockaddr("10.0.0.9"));
        family.si_family = 1;
        // SAFETY: zero is a value of every field.
        let mut route = unsafe { std::mem::zeroed::<MIB_IPFORWARD_ROW2>() };
        let mut best_source = sockaddr("0.0.0.0");
        let (route, best_source) = (&raw mut route, &raw mut best_source);
        for (destination, route, best_source) in [
            (null(), route, best_source),
            (&raw const family, route, best_source),
            (&raw const there, null_mut(), best_source),
            (&raw const there, route, null_mut()),
        ] {
            let status = import!(GetBestRoute2, &raw mut named, 0, null(), destination, 0, route, best_source);
            assert_eq!(status, STATUS_INVALID_PARAMETER);
        }
        bench.machine.fail_once("GetBestRoute2");
        assert_eq!(best(None, "10.0.0.9"), Err(STATUS_NOT_FOUND));
        bench.ip().set_family(Family::V4, false);
        assert_eq!(best(None, "10.0.0.9"), Err(STATUS_NOT_SUPPORTED));
    });
}
