//! IP Helper as a driver sees it, by the calls of an image: what it answers, what it waits for, and what it catches.

mod misuse;
mod neighbours;
mod notifications;
mod routes;
mod tables;

use super::{Interface, IpHelper};
use crate::kernel::Machine;
use ndk_types::{IpDadStatePreferred, NET_LUID, NTSTATUS, SOCKADDR_INET};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Calls `$name` as an image does: the hook hears of it first.
macro_rules! import {
    ($name:ident $(, $argument:expr)* $(,)?) => {{
        let name = stringify!($name);
        let (place, address) = $crate::kernel::Machine::current().export_place("netio.sys", name).expect(name);
        let hook = $crate::kernel::machine::on_import;
        hook($crate::kernel::stack::Gate::new(name.to_owned(), place, address, hook).import());
        // SAFETY: the table's entry has this type: `exports!` checked it.
        let function: ndk_types::prototype::$name = unsafe { std::mem::transmute(address) };
        // SAFETY: the arguments are memory that is there; what they break is what the test is about.
        unsafe { function($($argument),*) }
    }};
}
use import;

const SECOND: u64 = 1_000_000_000;
/// The interface most tests are about.
const LUID: u64 = 0x6_0000_0001_0000;
const OTHER: u64 = 0x6_0000_0002_0000;
const INDEX: u32 = 7;
const MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn sockaddr(text: &str) -> SOCKADDR_INET {
    super::rows::from_ip(ip(text), 0)
}

fn luid(value: u64) -> NET_LUID {
    NET_LUID { Value: value }
}

fn value(luid: NET_LUID) -> u64 {
    // SAFETY: every bit pattern is a value.
    unsafe { luid.Value }
}

fn interface(luid: u64, index: u32, alias: &str) -> Interface {
    Interface { luid, index, alias: alias.to_owned(), mtu: 1500, mac: MAC }
}

/// A machine with an interface that has 10.0.0.1/24 and fd00::1/64.
struct Bench {
    machine: Arc<Machine>,
    clock: Arc<AtomicU64>,
}

impl Bench {
    fn new(seed: u64) -> Self {
        let bench = Self::bare(seed);
        bench.ip().add_interface(interface(LUID, INDEX, "Ethernet 1"));
        bench.ip().add_address(LUID, ip("10.0.0.1"), 24, IpDadStatePreferred);
        bench.ip().add_address(LUID, ip("fd00::1"), 64, IpDadStatePreferred);
        bench
    }

    fn bare(seed: u64) -> Self {
        let clock = Arc::new(AtomicU64::new(0));
        Self { machine: Machine::new("bench", clock.clone(), seed), clock }
    }

    fn ip(&self) -> &IpHelper {
        &self.machine.netio.ip_helper
    }

    fn enter<R>(&self, f: impl FnOnce() -> R) -> R {
        self.machine.enter(f)
    }

    /// Lets time pass, and everything that is due happen, until `seconds` are over.
    fn pass(&self, seconds: u64) {
        let end = self.machine.now() + seconds * SECOND;
        self.machine.settle();
        while let Some(due) = self.machine.next_due().filter(|&due| due <= end) {
            self.clock.store(due.max(self.machine.now()), Ordering::SeqCst);
            self.machine.run_due();
        }
        self.clock.store(end, Ordering::SeqCst);
        self.machine.run_due();
    }

    /// The rules that were broken.
    fn broken(&self) -> Vec<(&'static str, &'static str)> {
        self.machine.verifier.take().into_iter().map(|violation| (violation.rule, violation.call)).collect()
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        crate::kernel::irql::set(crate::kernel::irql::Irql::Passive);
        self.machine.sched.abandon();
        if !std::thread::panicking() {
            let broken = self.machine.verifier.take();
            assert!(broken.is_empty(), "rules were broken that the test did not look for: {broken:?}");
        }
    }
}

/// What a conversion gives: its status and its result.
fn to_index(of: u64) -> (NTSTATUS, u32) {
    let mut index = u32::MAX;
    let from = luid(of);
    (import!(ConvertInterfaceLuidToIndex, &raw const from, &raw mut index), index)
}

#[test]
fn every_function_of_ip_helper_that_the_driver_may_import_is_there() {
    let machine = Bench::bare(1);
    let all: &[&str] = &[
        "GetUnicastIpAddressTable",
        "GetIpInterfaceEntry",
        "GetIfEntry2",
        "GetBestRoute2",
        "GetIpNetEntry2",
        "ResolveIpNetEntry2",
        "FreeMibTable",
        "NotifyUnicastIpAddressChange",
        "NotifyRouteChange2",
        "NotifyIpInterfaceChange",
        "CancelMibChangeNotify2",
        "ConvertInterfaceLuidToIndex",
        "ConvertInterfaceIndexToLuid",
        "ConvertInterfaceLuidToAlias",
        "ConvertInterfaceAliasToLuid",
    ];
    let missing: Vec<_> = all.iter().filter(|name| machine.machine.export_place("NETIO.SYS", name).is_none()).collect();
    assert!(missing.is_empty(), "{missing:?}");
    assert_eq!(super::exports().len(), all.len());
}

#[test]
fn an_index_an_alias_and_a_luid_lead_to_one_another() {
    let bench = Bench::new(1);
    bench.enter(|| {
        assert_eq!(to_index(LUID), (ndk_types::STATUS_SUCCESS, INDEX));
        let mut back = luid(1);
        assert_eq!(import!(ConvertInterfaceIndexToLuid, INDEX, &raw mut back), ndk_types::STATUS_SUCCESS);
        assert_eq!(value(back), LUID);
        let (mut alias, from) = ([0xffff_u16; 11], luid(LUID));
        let status = import!(ConvertInterfaceLuidToAlias, &raw const from, alias.as_mut_ptr(), alias.len());
        assert_eq!((status, String::from_utf16_lossy(&alias).as_str()), (ndk_types::STATUS_SUCCESS, "Ethernet 1\0"));
        let mut back = luid(1);
        let status = import!(ConvertInterfaceAliasToLuid, alias.as_ptr(), &raw mut back);
        assert_eq!((status, value(back)), (ndk_types::STATUS_SUCCESS, LUID));
    });
}

#[test]
fn a_conversion_of_what_is_not_there_fails_and_clears_its_result() {
    let bench = Bench::new(1);
    let invalid = ndk_types::STATUS_INVALID_PARAMETER;
    bench.enter(|| {
        assert_eq!((to_index(OTHER), to_index(0)), ((invalid, 0), (invalid, 0)));
        let mut back = luid(1);
        assert_eq!((import!(ConvertInterfaceIndexToLuid, 9, &raw mut back), value(back)), (invalid, 0));
        back = luid(1);
        assert_eq!((import!(ConvertInterfaceIndexToLuid, 0, &raw mut back), value(back)), (invalid, 0));
        let name: Vec<u16> = "Ethernet 2\0".encode_utf16().collect();
        back = luid(1);
        assert_eq!((import!(ConvertInterfaceAliasToLuid, name.as_ptr(), &raw mut back), value(back)), (invalid, 0));
        let endless = [u16::from(b'E'); 300];
        assert_eq!(import!(ConvertInterfaceAliasToLuid, endless.as_ptr(), &raw mut back), invalid);
        let (mut alias, from) = ([0_u16; 300], luid(OTHER));
        assert_eq!(import!(ConvertInterfaceLuidToAlias, &raw const from, alias.as_mut_ptr(), 257), invalid);
        let here = luid(LUID);
        let short = import!(ConvertInterfaceLuidToAlias, &raw const here, alias.as_mut_ptr(), 10);
        assert_eq!((short, alias[0]), (ndk_types::STATUS_NO_MEMORY, 0));
    });
}

#[test]
fn a_conversion_that_is_to_fail_does_so_once() {
    let bench = Bench::new(1);
    for name in ["ConvertInterfaceLuidToIndex", "ConvertInterfaceIndexToLuid", "ConvertInterfaceAliasToLuid"] {
        bench.machine.fail_once(name);
    }
    bench.enter(|| {
        let name: Vec<u16> = "Ethernet 1\0".encode_utf16().collect();
        let (mut back, mut statuses) = (luid(1), Vec::new());
        for _ in 0..2 {
            statuses.push(to_index(LUID).0);
            statuses.push(import!(ConvertInterfaceIndexToLuid, INDEX, &raw mut back));
            statuses.push(import!(ConvertInterfaceAliasToLuid, name.as_ptr(), &raw mut back));
        }
        let (invalid, good) = (ndk_types::STATUS_INVALID_PARAMETER, ndk_types::STATUS_SUCCESS);
        assert_eq!(statuses, [invalid, invalid, invalid, good, good, good]);
    });
}
