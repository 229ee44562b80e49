//! What tests of the loaded image start with: two hosts on a wire, requests of the protocols above them, and the end, at which
//! nothing may be left and no rule broken.
#![allow(dead_code, reason = "each test uses what it needs")]

use ndk_types::{
    NDIS_OID, NDIS_REQUEST_TYPE, NDIS_STATUS, NDK_VERSION, NdisRequestQueryInformation, NdisRequestSetInformation,
    OID_NDK_SET_STATE,
};
use sim_harness::bed::{Bed, ipv4};
use sim_harness::consumer::Adapter;
use sim_harness::demo;
use sim_harness::image;
use sim_harness::kernel::host::bed::ImageBed;
use sim_harness::kernel::host::{Host, Shape};
use sim_harness::kernel::irql::{self, Irql};
use sim_harness::kernel::ndis::oids::{self, Answer};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

/// The highest NDKPI version.
pub(crate) const VERSION: NDK_VERSION = NDK_VERSION { Major: 2, Minor: 1 };

/// The image.
pub(crate) fn image() -> &'static [u8] {
    static IMAGE: OnceLock<Vec<u8>> = OnceLock::new();
    IMAGE.get_or_init(|| std::fs::read(image::build(false).unwrap()).unwrap())
}

/// Two plain hosts on a wire, driver and all, once `change` has had its way with their shapes.
pub(crate) fn pair_of(seed: u64, change: impl Fn(&mut Shape)) -> ImageBed {
    let shapes = [0, 1].map(|number| {
        let mut shape = Shape::plain(number, seed);
        change(&mut shape);
        shape
    });
    ImageBed::of(image(), seed, &shapes).unwrap()
}

/// Two plain hosts on a wire, driver and all.
pub(crate) fn pair(seed: u64) -> ImageBed {
    pair_of(seed, |_| ())
}

/// One host of this shape, without a wire.
pub(crate) fn alone(shape: &Shape) -> Arc<Host> {
    let host = Host::new(shape, Arc::new(AtomicU64::new(0)));
    host.start(image()).unwrap();
    host
}

/// A host's driver goes, and nothing is held against it.
pub(crate) fn gone(host: &Host) {
    let left = host.unload();
    assert_eq!(host.machine.verifier.take(), []);
    assert_eq!(left, 0);
}

/// Both drivers go, and nothing is held against them.
pub(crate) fn ends(bed: ImageBed) {
    assert_eq!(bed.end(), Vec::<String>::new());
}

/// A regular request, at PASSIVE_LEVEL.
pub(crate) fn ask(host: &Host, kind: NDIS_REQUEST_TYPE, oid: NDIS_OID, body: &[u8]) -> Answer {
    let instance = host.instance().expect("an instance");
    irql::at(Irql::Passive, || oids::request(&host.machine, instance, kind, oid, body)).0
}

/// A direct request at a level.
pub(crate) fn direct(host: &Host, level: Irql, kind: NDIS_REQUEST_TYPE, oid: NDIS_OID, body: &[u8]) -> Answer {
    oids::direct_request(&host.machine, host.instance().expect("an instance"), level, kind, oid, body)
}

/// A direct query at DISPATCH_LEVEL into `room` bytes.
pub(crate) fn query(host: &Host, oid: NDIS_OID, room: usize) -> Answer {
    direct(host, Irql::Dispatch, NdisRequestQueryInformation, oid, &vec![0xcc; room])
}

/// OID_NDK_SET_STATE, and nothing that follows from it yet.
pub(crate) fn request_state(host: &Host, on: bool) -> NDIS_STATUS {
    ask(host, NdisRequestSetInformation, OID_NDK_SET_STATE, &[u8::from(on)]).status
}

/// OID_NDK_SET_STATE, and what follows from it.
pub(crate) fn set_state(host: &Host, on: bool) -> NDIS_STATUS {
    let status = request_state(host, on);
    host.settle();
    status
}

/// What a kernel thread of a host does; whether it has done it.
pub(crate) fn on_thread(host: &Host, name: &str, body: impl FnOnce() + Send + 'static) -> Arc<AtomicBool> {
    let done = Arc::new(AtomicBool::new(false));
    let ended = done.clone();
    host.machine.thread(name, move || {
        body();
        ended.store(true, Ordering::SeqCst);
    });
    host.settle();
    done
}

/// A file goes there and back over RDMA.
pub(crate) fn transfer(bed: &mut ImageBed, bytes: usize, watch: impl FnMut(u64) -> bool) {
    let file: Vec<u8> = (0..bytes).map(|place| ((place * 31) >> 3) as u8).collect();
    let adapters = [0, 1].map(|host| bed.open(host, VERSION).unwrap());
    moves(bed, adapters, &file, watch);
}

fn moves(bed: &mut ImageBed, adapters: [Adapter; 2], file: &[u8], watch: impl FnMut(u64) -> bool) {
    let moved = demo::transfer(bed, adapters, [ipv4(0), ipv4(1)], file, watch).unwrap();
    assert!(moved.back == file, "what came back is another file");
    assert_eq!(moved.leaks, 0);
}

/// A number in an answer.
pub(crate) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_ne_bytes(bytes[at..at + 4].try_into().unwrap())
}

/// A counter in an answer.
pub(crate) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_ne_bytes(bytes[at..at + 8].try_into().unwrap())
}
