//! A consumer's way to the driver image: WskRegister, WskCaptureProviderNPI, WskControlClient('NDKD'), WskOpenNdkAdapter.

use ndk_types::{NDIS_STATUS_ADAPTER_NOT_READY, NDIS_STATUS_BAD_VERSION, NDK_VERSION, STATUS_NOT_FOUND};
use sim_harness::consumer::Adapter;
use sim_harness::image;
use sim_harness::kernel::host::{Host, INDEX, Shape};
use sim_harness::kernel::netio::wsk::consumer::Consumer;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

fn version(major: u16, minor: u16) -> NDK_VERSION {
    NDK_VERSION { Major: major, Minor: minor }
}

fn started(shape: &Shape) -> Arc<Host> {
    let bytes = std::fs::read(image::build(false).unwrap()).unwrap();
    let host = Host::new(shape, Arc::new(AtomicU64::new(0)));
    host.start(&bytes).unwrap();
    host
}

/// What a kernel thread of a host does; whether it has done it.
fn on_thread(host: &Host, name: &str, body: impl FnOnce() + Send + 'static) -> Arc<AtomicBool> {
    let done = Arc::new(AtomicBool::new(false));
    let ended = done.clone();
    host.machine.thread(name, move || {
        body();
        ended.store(true, Ordering::SeqCst);
    });
    host.settle();
    done
}

fn unloaded(host: &Host) {
    assert_eq!(host.unload(), 0);
    assert_eq!(host.machine.verifier.take(), []);
}

/// OQ-48, ADP-01, ADP-02, ADP-03, ADP-04: which versions open, and which version it is then.
#[test]
fn every_minor_version_up_to_the_drivers_opens_through_wsk_and_no_other() {
    let host = started(&Shape::plain(0, 3));
    let consumer = Arc::new(Consumer::new(&host.machine).unwrap());
    for (asked, there) in [((1, 0), (1, 2)), ((1, 1), (1, 2)), ((1, 2), (1, 2)), ((2, 0), (2, 1)), ((2, 1), (2, 1))] {
        let object = consumer.open(INDEX, version(asked.0, asked.1)).unwrap();
        let user = consumer.clone();
        let adapter = Adapter::opened(object, move |object| user.close(object));
        let info = adapter.info().unwrap();
        assert_eq!((info.Version.Major, info.Version.Minor), there);
        adapter.close();
    }
    for refused in [(0, 0), (1, 3), (2, 2), (3, 0)] {
        let opened = consumer.open(INDEX, version(refused.0, refused.1));
        assert_eq!(opened, Err(NDIS_STATUS_BAD_VERSION), "{refused:?}");
    }
    assert_eq!(consumer.open(INDEX + 1, version(2, 1)), Err(STATUS_NOT_FOUND));
    drop(consumer);
    unloaded(&host);
}

/// ADP-05: the keyword says no, and the consumer hears why.
#[test]
fn an_interface_whose_ndk_is_off_opens_no_adapter() {
    let mut shape = Shape::plain(0, 4);
    shape.set("*NetworkDirect", "0");
    let host = started(&shape);
    let consumer = Consumer::new(&host.machine).unwrap();
    assert_eq!(consumer.open(INDEX, version(2, 1)), Err(NDIS_STATUS_ADAPTER_NOT_READY));
    drop(consumer);
    unloaded(&host);
}

/// ADP-07, ADP-14: two consumers have an adapter each; a close waits for what was made of its own, and not for the other's.
#[test]
fn a_close_through_wsk_waits_for_everything_under_its_adapter_and_for_nothing_else() {
    let host = started(&Shape::plain(0, 5));
    let [one, other] = [(); 2].map(|()| Arc::new(Consumer::new(&host.machine).unwrap()));
    let [first, second] = [&one, &other].map(|consumer| consumer.open(INDEX, version(2, 1)).unwrap());
    let [first_adapter, second_adapter] = [first, second].map(|object| Adapter::opened(object, |_| ()));
    let [(cq, _), (kept, _)] = [&first_adapter, &second_adapter].map(|adapter| adapter.create_cq(16).unwrap());
    let (address, closes) = (first.expose_provenance(), one.clone());
    let closed = on_thread(&host, "a close", move || closes.close(std::ptr::with_exposed_provenance_mut(address)));
    assert!(!closed.load(Ordering::SeqCst), "its CQ is open");
    cq.close();
    host.settle();
    assert!(closed.load(Ordering::SeqCst), "the other's CQ is none of its business");
    assert!(second_adapter.info().is_ok());
    kept.close();
    other.close(second);
    drop((one, other));
    unloaded(&host);
}

/// NMR-08, ADP-14: a consumer whose close is under way leaves WSK when that has returned, and not before.
#[test]
fn a_deregistration_waits_for_a_close_that_waits_for_its_objects() {
    let host = started(&Shape::plain(0, 6));
    let consumer = Consumer::new(&host.machine).unwrap();
    let object = consumer.open(INDEX, version(2, 1)).unwrap();
    let adapter = Adapter::opened(object, |_| ());
    let (cq, _) = adapter.create_cq(16).unwrap();
    let said = Arc::new(Mutex::new(Vec::new()));
    let (shared, address) = (Arc::new(Mutex::new(Some(consumer))), object.expose_provenance());
    let (closer, log) = (shared.clone(), said.clone());
    on_thread(&host, "a close", move || {
        let consumer = closer.lock().unwrap().take().unwrap();
        consumer.close(std::ptr::with_exposed_provenance_mut(address));
        log.lock().unwrap().push("closed");
        drop(consumer);
        log.lock().unwrap().push("deregistered");
    });
    assert_eq!(*said.lock().unwrap(), [""; 0]);
    cq.close();
    host.settle();
    assert_eq!(*said.lock().unwrap(), ["closed", "deregistered"]);
    unloaded(&host);
}

/// NMR-13: NDIS's optional handlers are the driver's only registration as a provider of NDK.
#[test]
fn the_driver_is_no_module_of_the_registrar() {
    let bytes = std::fs::read(image::build(false).unwrap()).unwrap();
    let imports = image::inspect(&bytes).unwrap().imports;
    assert!(imports.iter().any(|import| import.name == "NdisSetOptionalHandlers"));
    let others: Vec<_> =
        imports.iter().filter(|one| one.name.starts_with("Nmr") || one.name.starts_with("Wsk")).collect();
    assert_eq!(others, [] as [&image::Imported; 0]);
}
