//! Applications of WSK that keep its rules; `broken` has those that break each of them on purpose, `direct` one that comes by the
//! registrar itself.

mod broken;
mod direct;

use super::consumer::{Consumer, Registered, ndk_table};
use super::*;
use crate::kernel::Machine;
use ndk_types::{
    NDIS_STATUS_BAD_VERSION, NDK_ADAPTER, NDK_OBJECT_HEADER, NDK_OBJECT_HEADER_RESERVED_BLOCK, NDK_VERSION, NTSTATUS,
    NdkObjectTypeAdapter, STATUS_DEVICE_NOT_READY, STATUS_INSUFFICIENT_RESOURCES, STATUS_INVALID_PARAMETER,
    STATUS_NOINTERFACE, STATUS_NOT_FOUND, STATUS_NOT_SUPPORTED, STATUS_SUCCESS, WSK_INFINITE_WAIT, WSK_NO_WAIT,
    WSK_PROVIDER_NPI,
};
use std::ptr::{self, null_mut as null};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

const V1: NDK_VERSION = NDK_VERSION { Major: 1, Minor: 2 };
const V2: NDK_VERSION = NDK_VERSION { Major: 2, Minor: 1 };
const INDEX: u32 = 7;

/// A provider that makes adapters of nothing but their header.
struct Provider {
    /// What the next adapters look like.
    header: Mutex<NDK_OBJECT_HEADER>,
    has_table: bool,
    /// Hands out one adapter again and again.
    again: bool,
    /// Opens wait until this is set.
    go: Arc<AtomicBool>,
    made: Mutex<Vec<usize>>,
    said: Arc<Mutex<Vec<String>>>,
}

impl Provider {
    fn new() -> Self {
        let reserved = NDK_OBJECT_HEADER_RESERVED_BLOCK { rf: [ptr::null_mut(); 4] };
        Self {
            header: Mutex::new(NDK_OBJECT_HEADER {
                Version: V2,
                ObjectType: NdkObjectTypeAdapter,
                NdkReserved: reserved,
            }),
            has_table: true,
            again: false,
            go: Arc::new(AtomicBool::new(true)),
            made: Mutex::default(),
            said: Arc::default(),
        }
    }

    fn say(&self, what: String) {
        self.said.lock().unwrap().push(what);
    }
}

// SAFETY: the header's pointers are NULL, or none that is followed.
unsafe impl Send for Provider {}
// SAFETY: as above.
unsafe impl Sync for Provider {}

impl NdkDoor for Provider {
    fn open_ndk_adapter(
        &self,
        machine: &Arc<Machine>,
        index: u32,
        version: NDK_VERSION,
    ) -> Result<*mut NDK_ADAPTER, NTSTATUS> {
        let go = self.go.clone();
        machine.wait("the provider", None, move || go.load(Ordering::SeqCst));
        self.say(format!("opens {index} for {}.{}", version.Major, version.Minor));
        if index != INDEX {
            return Err(STATUS_NOT_SUPPORTED);
        }
        if version.Minor > 2 {
            return Err(NDIS_STATUS_BAD_VERSION);
        }
        if let Some(&there) = self.made.lock().unwrap().first().filter(|_| self.again) {
            return Ok(ptr::with_exposed_provenance_mut(there));
        }
        // The table is never called.
        let table = if self.has_table { ptr::dangling() } else { ptr::null() };
        let header = *self.header.lock().unwrap();
        let adapter = Box::into_raw(Box::new(NDK_ADAPTER { Header: header, Dispatch: table }));
        self.made.lock().unwrap().push(adapter.expose_provenance());
        Ok(adapter)
    }

    fn close_ndk_adapter(&self, _machine: &Arc<Machine>, adapter: *mut NDK_ADAPTER) {
        let at = self.made.lock().unwrap().iter().position(|&made| made == adapter.addr());
        self.say(format!("closes {at:?}"));
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        for adapter in self.made.lock().unwrap().drain(..) {
            // SAFETY: made by `Box::into_raw` above, freed once.
            drop(unsafe { Box::from_raw(ptr::with_exposed_provenance_mut::<NDK_ADAPTER>(adapter)) });
        }
    }
}

fn machine() -> (Arc<Machine>, Arc<AtomicU64>) {
    let clock = Arc::new(AtomicU64::new(0));
    (Machine::new("wsk", clock.clone(), 11), clock)
}

fn with(provider: Provider) -> (Arc<Machine>, Arc<Mutex<Vec<String>>>) {
    let ((machine, _), said) = (machine(), provider.said.clone());
    machine.netio.wsk.set_door(Arc::new(provider));
    (machine, said)
}

fn rules(machine: &Machine) -> Vec<&'static str> {
    machine.verifier.take().iter().map(|violation| violation.rule).collect()
}

fn captured(machine: &Arc<Machine>) -> (Registered, WSK_PROVIDER_NPI) {
    let registered = Registered::new(machine, 0x100).unwrap();
    let npi = registered.capture(WSK_NO_WAIT).unwrap();
    (registered, npi)
}

fn end(registered: Registered, captures: u32) {
    for _ in 0..captures {
        registered.release();
    }
    registered.deregister();
    registered.free();
}

/// What a kernel thread does with a machine, and what becomes of it.
fn on_thread<T: Send + 'static>(
    machine: &Arc<Machine>,
    name: &str,
    body: impl FnOnce(&Arc<Machine>) -> T + Send + 'static,
) -> Arc<Mutex<Option<T>>> {
    let (result, inner) = (Arc::new(Mutex::new(None)), machine.clone());
    let place = result.clone();
    machine.thread(name, move || {
        let done = body(&inner);
        *place.lock().unwrap() = Some(done);
    });
    machine.settle();
    result
}

/// NMR-03, NMR-04, OQ-48: from WskRegister to WskOpenNdkAdapter and back; each consumer is a client of its own.
#[test]
fn a_consumer_opens_and_closes_adapters_and_leaves_nothing() {
    let (machine, said) = with(Provider::new());
    let [one, other] = [(); 2].map(|()| Consumer::new(&machine).unwrap());
    assert_ne!(format!("{one:?}"), format!("{other:?}"));
    let first = one.open(INDEX, V2).unwrap();
    let second = other.open(INDEX, V2).unwrap();
    assert_ne!(first, second);
    one.close(first);
    drop(one);
    assert_eq!(machine.netio.leaks().len(), 1, "the other's adapter");
    other.close(second);
    drop(other);
    assert_eq!(*said.lock().unwrap(), ["opens 7 for 2.1", "opens 7 for 2.1", "closes Some(0)", "closes Some(1)"]);
    assert_eq!((rules(&machine), machine.check_leaks()), (vec![], 0));
}

/// ADP-02: what the provider answers is what the consumer gets, and then there is no adapter.
#[test]
fn an_open_that_fails_says_why() {
    let (machine, _) = with(Provider::new());
    let consumer = Consumer::new(&machine).unwrap();
    assert_eq!(consumer.open(INDEX, NDK_VERSION { Major: 2, Minor: 3 }), Err(NDIS_STATUS_BAD_VERSION));
    assert_eq!(consumer.open(INDEX + 1, V2), Err(STATUS_NOT_SUPPORTED));
    machine.fail_once("WskOpenNdkAdapter");
    assert_eq!(consumer.open(INDEX, V2), Err(STATUS_INSUFFICIENT_RESOURCES));
    let adapter = consumer.open(INDEX, V2).unwrap();
    consumer.close(adapter);
    drop(consumer);
    assert_eq!((rules(&machine), machine.netio.leaks()), (vec![], vec![]));
    // And NDIS, which opens where nobody else does, knows of no interface here.
    let (bare, _) = self::machine();
    assert_eq!(Consumer::new(&bare).unwrap().open(INDEX, V2), Err(STATUS_NOT_FOUND));
}

/// Each function that can fail fails once, and what was done before is undone.
#[test]
fn a_consumer_that_is_refused_half_way_leaves_nothing() {
    let (machine, _) = with(Provider::new());
    let refusals = [
        ("WskRegister", STATUS_INSUFFICIENT_RESOURCES),
        ("WskCaptureProviderNPI", STATUS_DEVICE_NOT_READY),
        ("WskControlClient", STATUS_INSUFFICIENT_RESOURCES),
    ];
    for (call, status) in refusals {
        machine.fail_once(call);
        assert_eq!(Consumer::new(&machine).err(), Some(status), "{call}");
    }
    let registered = Registered::new(&machine, 0x100).unwrap();
    machine.fail_once("WskQueryProviderCharacteristics");
    assert_eq!(registered.versions(), Err(STATUS_DEVICE_NOT_READY));
    end(registered, 0);
    assert_eq!((rules(&machine), machine.netio.leaks()), (vec![], vec![]));
    drop(Consumer::new(&machine).unwrap());
}

/// NMR-03: the subsystem declines a version it does not speak; the application asks for its versions and comes again.
#[test]
fn a_version_that_is_not_there_is_declined_and_the_range_is_told() {
    let (machine, _) = machine();
    for version in [0, 0x101, 0x200] {
        let registered = Registered::new(&machine, version).unwrap();
        assert_eq!(registered.capture(WSK_INFINITE_WAIT).err(), Some(STATUS_NOINTERFACE), "{version:#x}");
        assert_eq!(registered.versions(), Ok((0x100, 0x100)));
        end(registered, 0);
    }
    let (registered, npi) = captured(&machine);
    // SAFETY: a captured NPI has a table.
    assert_eq!(unsafe { (*npi.Dispatch).Version }, 0x100);
    end(registered, 1);
    assert_eq!((rules(&machine), machine.netio.leaks()), (vec![], vec![]));
}

/// NMR-01: an application that is there before the subsystem is bound to it when it comes; until then it may poll or wait.
#[test]
fn a_capture_waits_for_the_subsystem_as_long_as_it_was_told() {
    let (machine, clock) = machine();
    stop(&machine);
    let registered = Registered::new(&machine, 0x100).unwrap();
    assert_eq!(registered.capture(WSK_NO_WAIT).err(), Some(STATUS_DEVICE_NOT_READY));
    assert_eq!(registered.versions(), Err(STATUS_DEVICE_NOT_READY));
    let registered = Arc::new(registered);
    let capture = |timeout| {
        let registered = registered.clone();
        on_thread(&machine, "an application", move |_| registered.capture(timeout).map(|_| ()))
    };
    let short = capture(5);
    let forever = capture(WSK_INFINITE_WAIT);
    assert_eq!(machine.next_due(), Some(5_000_000));
    clock.store(4_999_999, Ordering::SeqCst);
    machine.run_due();
    assert_eq!((*short.lock().unwrap(), *forever.lock().unwrap()), (None, None));
    clock.store(5_000_000, Ordering::SeqCst);
    machine.run_due();
    assert_eq!((*short.lock().unwrap(), *forever.lock().unwrap()), (Some(Err(STATUS_DEVICE_NOT_READY)), None));
    start(&machine);
    machine.settle();
    assert_eq!(*forever.lock().unwrap(), Some(Ok(())));
    assert_eq!(registered.versions(), Ok((0x100, 0x100)));
    machine.sched.abandon();
    end(Arc::into_inner(registered).unwrap(), 1);
    assert_eq!((rules(&machine), machine.netio.leaks()), (vec![], vec![]));
}

/// The page of WskCaptureProviderNPI: WskDeregister ends waits, and later captures fail.
#[test]
fn a_deregistration_ends_the_wait_of_a_capture() {
    let (machine, _) = machine();
    stop(&machine);
    let registered = Arc::new(Registered::new(&machine, 0x100).unwrap());
    let waits = registered.clone();
    let waiting = on_thread(&machine, "waits", move |_| waits.capture(WSK_INFINITE_WAIT).err());
    registered.deregister();
    machine.settle();
    assert_eq!(*waiting.lock().unwrap(), Some(Some(STATUS_DEVICE_NOT_READY)));
    assert_eq!(registered.capture(WSK_INFINITE_WAIT).err(), Some(STATUS_DEVICE_NOT_READY));
    machine.sched.abandon();
    Arc::into_inner(registered).unwrap().free();
    assert_eq!((rules(&machine), machine.netio.leaks()), (vec![], vec![]));
}

/// The page of WskDeregister, NMR-06, NMR-08: it returns when the last capture is released and the last call has returned; no new
/// capture succeeds meanwhile.
#[test]
fn a_deregistration_waits_for_captures_and_for_calls() {
    let provider = Provider::new();
    let go = provider.go.clone();
    go.store(false, Ordering::SeqCst);
    let (machine, said) = with(provider);
    let (registered, npi) = captured(&machine);
    registered.capture(WSK_NO_WAIT).unwrap();
    let registered = Arc::new(registered);
    let table = ndk_table(&machine, &npi).unwrap();
    let client = npi.Client.addr();
    let opened = on_thread(&machine, "opens", move |_| {
        let mut adapter = ptr::null_mut();
        // SAFETY: a captured client, our variable.
        let status = unsafe {
            table.WskOpenNdkAdapter.unwrap()(ptr::without_provenance_mut(client), V1, INDEX, &raw mut adapter)
        };
        (status, adapter.addr())
    });
    let leaves = registered.clone();
    let gone = on_thread(&machine, "leaves", move |_| leaves.deregister());
    assert_eq!(machine.sched.waits(), ["the provider", "the end of an NMR registration"]);
    assert_eq!(registered.capture(WSK_NO_WAIT).err(), Some(STATUS_DEVICE_NOT_READY));
    registered.release();
    registered.release();
    machine.settle();
    assert_eq!((*gone.lock().unwrap(), *opened.lock().unwrap()), (None, None), "a call is under way");
    go.store(true, Ordering::SeqCst);
    machine.settle();
    assert_eq!(*gone.lock().unwrap(), Some(()));
    assert_eq!(opened.lock().unwrap().unwrap().0, STATUS_SUCCESS);
    assert_eq!(*said.lock().unwrap(), ["opens 7 for 1.2"]);
    machine.sched.abandon();
    Arc::into_inner(registered).unwrap().free();
    // The adapter is open, and nobody can close it any more. The header says 2.1, where major version 1 was asked for.
    assert_eq!((rules(&machine), machine.netio.leaks().len()), (vec!["ADP-03", "wsk"], 1));
}
