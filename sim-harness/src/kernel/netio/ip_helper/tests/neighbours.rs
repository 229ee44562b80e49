//! Neighbours: asked for on the wire, answered or not, remembered for a while.

use super::super::{Family, Resolver, frames};
use super::*;
use ndk_types::{
    MIB_IPNET_ROW2, NlnsIncomplete, NlnsPermanent, NlnsReachable, NlnsStale, NlnsUnreachable, STATUS_BAD_NETWORK_NAME,
    STATUS_INVALID_PARAMETER, STATUS_NOT_FOUND, STATUS_NOT_SUPPORTED, STATUS_SUCCESS,
};
use std::ptr::{from_ref, null, null_mut};
use std::sync::{Mutex, PoisonError};

const THEIRS: [u8; 6] = [2, 0, 0, 0, 0, 9];

/// A wire with one neighbour that answers some questions at once.
#[derive(Default)]
struct Wire {
    asked: Mutex<Vec<(u64, IpAddr, IpAddr)>>,
    /// From which question on it answers.
    answers_from: Option<usize>,
}

impl Wire {
    fn asked(&self) -> Vec<(u64, IpAddr, IpAddr)> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Resolver for Wire {
    fn solicit(&self, machine: &Arc<Machine>, source: IpAddr, target: IpAddr) {
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        asked.push((machine.now(), source, target));
        let number = asked.len();
        drop(asked);
        if self.answers_from.is_some_and(|from| number >= from) {
            machine.netio.ip_helper.learned(machine, LUID, target, THEIRS);
        }
    }
}

fn wire(bench: &Bench, answers_from: Option<usize>) -> Arc<Wire> {
    let wire = Arc::new(Wire { answers_from, ..Wire::default() });
    bench.ip().resolver(LUID, wire.clone());
    wire
}

fn row(of: u64, index: u32, target: &str) -> MIB_IPNET_ROW2 {
    // SAFETY: zero is a value of every field.
    let mut row = unsafe { std::mem::zeroed::<MIB_IPNET_ROW2>() };
    row.Address = sockaddr(target);
    row.InterfaceLuid = luid(of);
    row.InterfaceIndex = index;
    row
}

/// What matters of a row: its state, its hardware address, its flags.
type Known = (i32, Option<[u8; 6]>, u8);

fn known(row: &MIB_IPNET_ROW2) -> Known {
    assert_eq!((value(row.InterfaceLuid), row.InterfaceIndex), (LUID, INDEX));
    assert!([0, 6].contains(&row.PhysicalAddressLength));
    let mac = row.PhysicalAddress.first_chunk().copied().filter(|_| row.PhysicalAddressLength == 6);
    (row.State, mac, row.Flags)
}

fn get(bench: &Bench, target: &str) -> Result<Known, NTSTATUS> {
    bench.enter(|| {
        let mut row = row(LUID, 0, target);
        match import!(GetIpNetEntry2, &raw mut row) {
            STATUS_SUCCESS => Ok(known(&row)),
            status => Err(status),
        }
    })
}

fn resolve_here(mut row: MIB_IPNET_ROW2, source: Option<&str>) -> Result<Known, NTSTATUS> {
    let source = source.map(sockaddr);
    match import!(ResolveIpNetEntry2, &raw mut row, source.as_ref().map_or(null(), from_ref)) {
        STATUS_SUCCESS => Ok(known(&row)),
        status => Err(status),
    }
}

/// When a resolution ended, and how.
type Ended = Arc<Mutex<Vec<(u64, Result<Known, NTSTATUS>)>>>;

/// Resolves on a kernel thread.
fn resolve(bench: &Bench, target: &'static str, ended: &Ended) {
    let ended = ended.clone();
    bench.machine.thread("a driver's work item", move || {
        let result =
            resolve_here(row(LUID, 0, target), Some(if target.contains(':') { "fd00::1" } else { "10.0.0.1" }));
        ended.lock().unwrap().push((Machine::current().now(), result));
    });
}

#[test]
fn a_neighbour_that_answers_is_asked_once_and_is_reachable_for_thirty_seconds() {
    let bench = Bench::new(1);
    let (wire, ended) = (wire(&bench, Some(1)), Ended::default());
    for target in ["10.0.0.9", "fd00::9"] {
        resolve(&bench, target, &ended);
        bench.pass(0);
        assert_eq!(ended.lock().unwrap().pop(), Some((bench.machine.now(), Ok((NlnsReachable, Some(THEIRS), 0)))));
        assert_eq!(get(&bench, target), Ok((NlnsReachable, Some(THEIRS), 0)));
        bench.pass(29);
        assert_eq!(get(&bench, target).unwrap().0, NlnsReachable);
        bench.pass(1);
        assert_eq!(get(&bench, target), Ok((NlnsStale, Some(THEIRS), 0)));
    }
    let asked = [(0, ip("10.0.0.1"), ip("10.0.0.9")), (30 * SECOND, ip("fd00::1"), ip("fd00::9"))];
    assert_eq!(wire.asked(), asked);
}

#[test]
fn a_neighbour_that_is_silent_is_asked_three_times_and_given_up_after_three_seconds() {
    let bench = Bench::new(1);
    let (wire, ended) = (wire(&bench, None), Ended::default());
    assert_eq!(get(&bench, "10.0.0.9"), Err(STATUS_NOT_FOUND));
    resolve(&bench, "10.0.0.9", &ended);
    bench.pass(2);
    assert_eq!((ended.lock().unwrap().len(), get(&bench, "10.0.0.9")), (0, Ok((NlnsIncomplete, None, 0))));
    bench.pass(1);
    assert_eq!(*ended.lock().unwrap(), [(3 * SECOND, Err(STATUS_BAD_NETWORK_NAME))]);
    assert_eq!(wire.asked().iter().map(|asked| asked.0).collect::<Vec<_>>(), [0, SECOND, 2 * SECOND]);
    assert_eq!(get(&bench, "10.0.0.9"), Ok((NlnsUnreachable, None, 2)));
    assert_eq!(bench.machine.check_leaks(), 0);
}

#[test]
fn an_answer_to_the_last_question_is_early_enough() {
    let bench = Bench::new(1);
    let (wire, ended) = (wire(&bench, Some(3)), Ended::default());
    resolve(&bench, "10.0.0.9", &ended);
    bench.pass(5);
    assert_eq!(*ended.lock().unwrap(), [(2 * SECOND, Ok((NlnsReachable, Some(THEIRS), 0)))]);
    assert_eq!(wire.asked().len(), 3);
}

#[test]
fn an_answer_ends_the_wait_at_once_and_for_everybody_who_asked() {
    let bench = Bench::new(1);
    let (wire, ended) = (wire(&bench, None), Ended::default());
    resolve(&bench, "10.0.0.9", &ended);
    resolve(&bench, "10.0.0.9", &ended);
    resolve(&bench, "10.0.0.8", &ended);
    bench.pass(0);
    bench.clock.store(SECOND / 2, Ordering::SeqCst);
    bench.ip().learned(&bench.machine, LUID, ip("10.0.0.9"), THEIRS);
    bench.machine.run_due();
    assert_eq!(*ended.lock().unwrap(), [(SECOND / 2, Ok((NlnsReachable, Some(THEIRS), 0))); 2]);
    bench.pass(9);
    assert_eq!((ended.lock().unwrap().len(), wire.asked().len()), (3, 5));
}

#[test]
fn a_resolution_flushes_what_was_known_and_asks_again() {
    let bench = Bench::new(1);
    let (wire, ended) = (wire(&bench, Some(1)), Ended::default());
    resolve(&bench, "10.0.0.9", &ended);
    bench.pass(1);
    let silent = Arc::new(Wire::default());
    bench.ip().resolver(LUID, silent.clone());
    resolve(&bench, "10.0.0.9", &ended);
    bench.pass(0);
    assert_eq!(get(&bench, "10.0.0.9"), Ok((NlnsIncomplete, None, 0)));
    bench.pass(3);
    assert_eq!(ended.lock().unwrap()[1], (4 * SECOND, Err(STATUS_BAD_NETWORK_NAME)));
    assert_eq!((wire.asked().len(), silent.asked().len()), (1, 3));
}

#[test]
fn what_nobody_asked_for_changes_an_entry_and_makes_none() {
    let bench = Bench::new(1);
    let (_wire, ended) = (wire(&bench, Some(1)), Ended::default());
    let learned = |mac| bench.ip().learned(&bench.machine, LUID, ip("10.0.0.9"), mac);
    learned(THEIRS);
    assert_eq!(get(&bench, "10.0.0.9"), Err(STATUS_NOT_FOUND));
    resolve(&bench, "10.0.0.9", &ended);
    bench.pass(20);
    learned(THEIRS);
    bench.pass(10);
    assert_eq!(get(&bench, "10.0.0.9"), Ok((NlnsStale, Some(THEIRS), 0)));
    resolve(&bench, "10.0.0.9", &ended);
    bench.pass(0);
    learned(MAC);
    assert_eq!(get(&bench, "10.0.0.9"), Ok((NlnsStale, Some(MAC), 0)));
}

#[test]
fn a_neighbour_that_was_written_down_is_never_asked_and_a_next_hop_is_a_router() {
    let bench = Bench::new(1);
    let (wire, ended) = (wire(&bench, None), Ended::default());
    bench.ip().add_neighbour(LUID, ip("10.0.0.254"), THEIRS);
    bench.ip().add_route(ip("0.0.0.0"), 0, Some(ip("10.0.0.254")), LUID, 0);
    resolve(&bench, "10.0.0.254", &ended);
    bench.pass(60);
    bench.ip().learned(&bench.machine, LUID, ip("10.0.0.254"), MAC);
    assert_eq!(*ended.lock().unwrap(), [(0, Ok((NlnsPermanent, Some(THEIRS), 1)))]);
    assert_eq!((get(&bench, "10.0.0.254"), wire.asked().len()), (Ok((NlnsPermanent, Some(THEIRS), 1)), 0));
}

#[test]
fn a_link_that_goes_ends_resolutions_and_takes_the_neighbours_along() {
    let bench = Bench::new(1);
    let ended = Ended::default();
    let answering = wire(&bench, Some(1));
    resolve(&bench, "10.0.0.8", &ended);
    bench.pass(0);
    let silent = wire(&bench, None);
    resolve(&bench, "10.0.0.9", &ended);
    bench.pass(0);
    bench.ip().set_up(LUID, false);
    bench.pass(0);
    let down = (0, Err(STATUS_BAD_NETWORK_NAME));
    assert_eq!(ended.lock().unwrap()[1], down);
    assert_eq!((get(&bench, "10.0.0.8"), get(&bench, "10.0.0.9")), (Err(STATUS_NOT_FOUND), Err(STATUS_NOT_FOUND)));
    resolve(&bench, "10.0.0.9", &ended);
    bench.pass(0);
    assert_eq!(ended.lock().unwrap()[2], down);
    assert_eq!((answering.asked().len(), silent.asked().len()), (1, 1));
}

#[test]
fn an_interface_that_goes_while_a_neighbour_is_asked_for_ends_that() {
    let bench = Bench::new(1);
    let (_wire, ended) = (wire(&bench, None), Ended::default());
    resolve(&bench, "10.0.0.9", &ended);
    bench.pass(0);
    bench.ip().remove_interface(LUID);
    bench.pass(0);
    assert_eq!(*ended.lock().unwrap(), [(0, Err(STATUS_BAD_NETWORK_NAME))]);
    assert_eq!(get(&bench, "10.0.0.9"), Err(STATUS_NOT_FOUND));
}

#[test]
fn without_a_source_the_best_one_asks_and_one_of_another_interface_cannot() {
    let bench = Bench::new(1);
    let wire = wire(&bench, Some(1));
    bench.ip().add_address(LUID, ip("10.0.0.8"), 24, IpDadStatePreferred);
    bench.ip().add_interface(interface(OTHER, 8, "Ethernet 2"));
    bench.ip().add_address(OTHER, ip("10.0.0.7"), 24, IpDadStatePreferred);
    bench.enter(|| {
        assert!(resolve_here(row(0, INDEX, "10.0.0.9"), None).is_ok());
        assert_eq!(wire.asked(), [(0, ip("10.0.0.8"), ip("10.0.0.9"))]);
        assert_eq!(resolve_here(row(LUID, 0, "10.0.0.9"), Some("10.0.0.7")), Err(STATUS_NOT_FOUND));
    });
    bench.ip().remove_address(LUID, ip("fd00::1"));
    bench.enter(|| assert_eq!(resolve_here(row(LUID, 0, "fd00::9"), None), Err(STATUS_BAD_NETWORK_NAME)));
}

#[test]
fn a_row_that_names_no_neighbour_has_the_status_of_its_page() {
    let bench = Bench::new(1);
    wire(&bench, Some(1));
    let get = |mut row: MIB_IPNET_ROW2| import!(GetIpNetEntry2, &raw mut row);
    let resolve = |row| resolve_here(row, None).expect_err("no neighbour");
    let mut family = row(LUID, 0, "10.0.0.9");
    family.Address.si_family = 1;
    bench.enter(|| {
        let nobody = ["0.0.0.0", "::", "224.0.0.1", "ff02::1", "255.255.255.255"].map(|target| row(LUID, 0, target));
        for row in nobody.into_iter().chain([family, row(0, 0, "10.0.0.9")]) {
            assert_eq!((get(row), resolve(row)), (STATUS_INVALID_PARAMETER, STATUS_INVALID_PARAMETER));
        }
        assert_eq!(resolve(row(LUID, 0, "127.0.0.1")), STATUS_INVALID_PARAMETER);
        assert_eq!(resolve(row(LUID, 0, "::1")), STATUS_INVALID_PARAMETER);
        for row in [row(OTHER, INDEX, "10.0.0.9"), row(0, 8, "10.0.0.9")] {
            assert_eq!((get(row), resolve(row)), (STATUS_NOT_FOUND, STATUS_NOT_FOUND));
        }
        assert_eq!(import!(GetIpNetEntry2, null_mut()), STATUS_INVALID_PARAMETER);
        assert_eq!(import!(ResolveIpNetEntry2, null_mut(), null()), STATUS_INVALID_PARAMETER);
        bench.machine.fail_once("ResolveIpNetEntry2");
        assert_eq!(resolve(row(LUID, 0, "10.0.0.9")), STATUS_BAD_NETWORK_NAME);
        assert!(resolve_here(row(LUID, 0, "10.0.0.9"), None).is_ok());
        bench.machine.fail_once("GetIpNetEntry2");
        assert_eq!((get(row(LUID, 0, "10.0.0.9")), get(row(LUID, 0, "10.0.0.9"))), (STATUS_NOT_FOUND, STATUS_SUCCESS));
        bench.ip().set_family(Family::V4, false);
        let row = row(LUID, 0, "10.0.0.9");
        assert_eq!((get(row), resolve(row)), (STATUS_NOT_SUPPORTED, STATUS_NOT_SUPPORTED));
    });
}

/// Lets a TCP/IP stack with one address hear a frame; gives what it sends.
fn heard_by(address: &str, prefix: u8, frame: Vec<u8>) -> Vec<Vec<u8>> {
    let mut stack = crate::tcpip::Stack::new(THEIRS, &[(ip(address), prefix)], 1500, 1);
    stack.deliver(frame);
    stack.poll(0)
}

#[test]
fn questions_are_answered_by_a_real_stack_and_the_answers_are_understood() {
    let (IpAddr::V4(from), IpAddr::V4(to)) = (ip("10.0.0.1"), ip("10.0.0.9")) else { unreachable!() };
    let question = frames::arp_request(MAC, from, to);
    assert_eq!(frames::parse_answer(&question), None);
    let answers = heard_by("10.0.0.9", 24, question);
    assert_eq!(
        answers.iter().filter_map(|frame| frames::parse_answer(frame)).collect::<Vec<_>>(),
        [(to.into(), THEIRS)]
    );
    let (IpAddr::V6(from), IpAddr::V6(to)) = (ip("fd00::1"), ip("fd00::9")) else { unreachable!() };
    let question = frames::neighbour_solicitation(MAC, from, to);
    assert_eq!(frames::parse_answer(&question), None);
    let answers = heard_by("fd00::9", 64, question);
    assert_eq!(
        answers.iter().filter_map(|frame| frames::parse_answer(frame)).collect::<Vec<_>>(),
        [(to.into(), THEIRS)]
    );
    // One bit more or less, or an end too soon, and it is no answer; a hop limit of 254 came over a router.
    let good = answers.into_iter().find(|frame| frames::parse_answer(frame).is_some()).unwrap();
    for cut in 0..good.len() {
        assert_eq!(frames::parse_answer(&good[..cut]), None);
    }
    for place in [21, 54, 60] {
        let mut bad = good.clone();
        bad[place] ^= 1;
        assert_eq!(frames::parse_answer(&bad), None, "byte {place}");
    }
}
