//! Applications of WSK that keep its rules, and applications that break each of them on purpose.

use super::consumer::{Consumer, Registered, ndk_table};
use super::*;
use crate::kernel::Machine;
use crate::kernel::irql::{self, Irql};
use ndk_types::{
    HANDLE, NDIS_STATUS_BAD_VERSION, NDK_ADAPTER, NDK_OBJECT_HEADER, NDK_OBJECT_HEADER_RESERVED_BLOCK, NDK_VERSION,
    NPI_CLIENT_CHARACTERISTICS, NPI_MODULEID, NPI_MODULEID_NAME, NPI_REGISTRATION_INSTANCE, NTSTATUS,
    NdkObjectTypeAdapter, NdkObjectTypeCq, STATUS_DEVICE_NOT_READY, STATUS_INSUFFICIENT_RESOURCES,
    STATUS_INVALID_PARAMETER, STATUS_NOINTERFACE, STATUS_NOT_FOUND, STATUS_NOT_SUPPORTED, STATUS_SUCCESS,
    WSK_CLIENT_DISPATCH, WSK_INFINITE_WAIT, WSK_NO_WAIT, WSK_PROVIDER_CHARACTERISTICS, WSK_PROVIDER_NPI,
    WSKNDK_GET_WSK_PROVIDER_NDK_DISPATCH,
};
use std::ffi::c_void;
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

/// An application that is a client of the registrar itself, as the pages on NMR and WSK have it.
#[derive(Default)]
struct Direct {
    /// Tables to try, in order.
    tables: Vec<WSK_CLIENT_DISPATCH>,
    statuses: Mutex<Vec<NTSTATUS>>,
    npi: Mutex<Option<(usize, usize)>>,
    said: Mutex<Vec<&'static str>>,
}

impl Direct {
    fn of<'a>(context: *mut c_void) -> &'a Self {
        // SAFETY: every context is one that outlives its registration.
        unsafe { &*context.cast::<Self>() }
    }
}

ndk_types::abi! {
    unsafe extern "C" fn attach_direct(
        binding: HANDLE,
        context: *mut c_void,
        subsystem: *mut NPI_REGISTRATION_INSTANCE
    ) -> NTSTATUS {
        let own = Direct::of(context);
        // SAFETY: the registrar's promise.
        let versions = unsafe { (*subsystem).NpiSpecificCharacteristics }.cast::<WSK_PROVIDER_CHARACTERISTICS>();
        // SAFETY: the interface's convention.
        assert_eq!(unsafe { (*versions).HighestVersion }, 0x100);
        let mut status = STATUS_NOINTERFACE;
        for table in &own.tables {
            let (mut client, mut dispatch) = (null(), ptr::null());
            let table = ptr::from_ref(table).cast();
            // SAFETY: the registrar's binding, our context and table, our variables.
            status = unsafe { nmr::client_attach(binding, context, table, &raw mut client, &raw mut dispatch) };
            own.statuses.lock().unwrap().push(status);
            if status == STATUS_SUCCESS {
                *own.npi.lock().unwrap() = Some((client.addr(), dispatch.expose_provenance()));
                break;
            }
        }
        status
    }

    unsafe extern "C" fn detach_direct(context: *mut c_void) -> NTSTATUS {
        Direct::of(context).said.lock().unwrap().push("detaches");
        STATUS_SUCCESS
    }

    unsafe extern "C" fn clean_direct(context: *mut c_void) {
        Direct::of(context).said.lock().unwrap().push("cleans up");
    }
}

/// NMR-03, NMR-06, NMR-08, NMR-09: without WskRegister. A version that is declined may be followed by another; the subsystem pends its
/// detachment while a call is under way, and both clean up after that.
#[test]
fn an_application_may_come_by_the_registrar_itself() {
    let provider = Provider::new();
    let go = provider.go.clone();
    go.store(false, Ordering::SeqCst);
    let (machine, _) = with(provider);
    let table = |version| WSK_CLIENT_DISPATCH { Version: version, Reserved: 0, WskClientEvent: None };
    let direct = Box::new(Direct { tables: vec![table(0x200), table(0x100)], ..Direct::default() });
    let id = NPI_MODULEID { Length: 24, Type: 1, Anonymous: NPI_MODULEID_NAME { Guid: NPI_WSK_INTERFACE_ID } };
    let characteristics = NPI_CLIENT_CHARACTERISTICS {
        Version: 0,
        Length: 72,
        ClientAttachProvider: Some(attach_direct),
        ClientDetachProvider: Some(detach_direct),
        ClientCleanupBindingContext: Some(clean_direct),
        ClientRegistrationInstance: NPI_REGISTRATION_INSTANCE {
            Version: 0,
            Size: 40,
            NpiId: &raw const NPI_WSK_INTERFACE_ID,
            ModuleId: &raw const id,
            Number: 0,
            NpiSpecificCharacteristics: ptr::null(),
        },
    };
    let (_, register) = machine.export_place("netio.sys", "NmrRegisterClient").unwrap();
    // SAFETY: the export has this type.
    let register: ndk_types::prototype::NmrRegisterClient = unsafe { std::mem::transmute(register) };
    let (context, mut handle) = (ptr::from_ref(&*direct).cast_mut().cast(), null());
    // SAFETY: the structures outlive the registration.
    let status = machine.enter(|| unsafe { register(&raw const characteristics, context, &raw mut handle) });
    assert_eq!(status, STATUS_SUCCESS);
    machine.settle();
    assert_eq!(*direct.statuses.lock().unwrap(), [STATUS_NOINTERFACE, STATUS_SUCCESS]);
    let (client, dispatch) = direct.npi.lock().unwrap().unwrap();
    let npi = WSK_PROVIDER_NPI {
        Client: ptr::without_provenance_mut(client),
        Dispatch: ptr::with_exposed_provenance(dispatch),
    };
    let ndk = ndk_table(&machine, &npi).unwrap();
    let opened = on_thread(&machine, "opens", move |_| {
        let (mut adapter, client) = (null(), ptr::without_provenance_mut(client));
        // SAFETY: an attached client, our variable.
        let status = unsafe { ndk.WskOpenNdkAdapter.unwrap()(client, V2, INDEX, &raw mut adapter) };
        assert_eq!(status, STATUS_SUCCESS);
        // SAFETY: as above; opened just now.
        unsafe { ndk.WskCloseNdkAdapter.unwrap()(client, adapter) };
    });
    machine.enter(|| nmr::deregister(handle, true));
    machine.settle();
    assert_eq!(*direct.said.lock().unwrap(), ["detaches"], "the subsystem's detachment is pending");
    go.store(true, Ordering::SeqCst);
    machine.enter(|| nmr::wait_deregistered(handle, true));
    assert_eq!(*direct.said.lock().unwrap(), ["detaches", "cleans up"]);
    machine.settle();
    assert_eq!(*opened.lock().unwrap(), Some(()));
    // The open was under way; the close came when the client was gone.
    assert_eq!((rules(&machine), machine.netio.leaks().len()), (vec!["wsk", "wsk"], 1));
}

/// ADP-03, ADP-07, COM-12, COM-13, COM-15, broken by a provider.
#[test]
fn an_adapter_that_is_handed_out_wrongly_is_a_violation() {
    type Break = fn(&mut Provider);
    let all: [(Break, &[&str]); 6] = [
        (|_| (), &[]),
        (|provider| provider.header.get_mut().unwrap().Version.Minor = 0, &["ADP-03", "ADP-03"]),
        (|provider| provider.header.get_mut().unwrap().ObjectType = NdkObjectTypeCq, &["COM-12", "COM-12"]),
        (|provider| provider.header.get_mut().unwrap().NdkReserved.rf[2] = ptr::dangling_mut(), &["COM-13", "COM-13"]),
        (|provider| provider.has_table = false, &["COM-15", "COM-15"]),
        (|provider| provider.again = true, &["ADP-07"]),
    ];
    for (number, (change, broken)) in all.into_iter().enumerate() {
        let mut provider = Provider::new();
        change(&mut provider);
        let (machine, _) = with(provider);
        let consumer = Consumer::new(&machine).unwrap();
        let [first, second] = [(); 2].map(|()| consumer.open(INDEX, V2).unwrap());
        assert_eq!(rules(&machine), broken, "change {number}");
        consumer.close(first);
        consumer.close(second);
    }
}

/// The control codes of the page are not supported; 'NDKD' wants a buffer that holds the table.
#[test]
fn control_codes_other_than_ndkd_are_not_supported() {
    let (machine, _) = machine();
    let (registered, npi) = captured(&machine);
    // SAFETY: a captured NPI has a table.
    let table = unsafe { npi.Dispatch.read() };
    let control = |code, input: usize, size: usize, irp: usize| {
        let (mut place, mut returned) = ([0_usize; 3], 0_usize);
        let (into, none) = (place.as_mut_ptr().cast(), ptr::null_mut());
        let irp = ptr::without_provenance_mut(irp);
        let control = table.WskControlClient.unwrap();
        // SAFETY: a captured client and our buffers; nothing follows the IRP.
        let status =
            machine.enter(|| unsafe { control(npi.Client, code, input, none, size, into, &raw mut returned, irp) });
        (status, returned, place.iter().filter(|&&word| word != 0).count())
    };
    let ndkd = WSKNDK_GET_WSK_PROVIDER_NDK_DISPATCH;
    assert_eq!(control(ndkd, 0, 16, 0), (STATUS_SUCCESS, 16, 2));
    assert_eq!(control(ndkd, 0, 24, 0), (STATUS_SUCCESS, 16, 2));
    assert_eq!(control(ndkd, 0, 8, 0), (STATUS_INVALID_PARAMETER, 0, 0));
    assert_eq!(control(ndkd, 4, 16, 0), (STATUS_INVALID_PARAMETER, 0, 0));
    for code in [2, 3, 4, 5, 6, 7, 8, 0xffff] {
        assert_eq!(control(code, 0, 16, 0), (STATUS_NOT_SUPPORTED, 0, 0), "{code}");
    }
    assert_eq!(rules(&machine), [""; 0]);
    assert_eq!(control(ndkd, 0, 16, 0x1000).0, STATUS_SUCCESS);
    assert_eq!(rules(&machine), ["wsk"]);
    end(registered, 1);
}

/// Sockets and names are not supported, and say so in the log.
#[test]
fn sockets_and_names_are_not_supported() {
    let (machine, _) = machine();
    let (registered, npi) = captured(&machine);
    // SAFETY: a captured NPI has a table.
    let table = unsafe { npi.Dispatch.read() };
    let client = npi.Client;
    let statuses = machine.enter(|| {
        // SAFETY: a captured client; nothing follows the other arguments.
        let socket = unsafe {
            table.WskSocket.unwrap()(client, 2, 1, 6, 0, null(), ptr::null(), null(), null(), null(), null())
        };
        // SAFETY: as above.
        let connect = unsafe {
            let table = table.WskSocketConnect.unwrap();
            table(client, 1, 6, null(), null(), 0, null(), ptr::null(), null(), null(), null(), null())
        };
        // SAFETY: as above.
        let address = unsafe {
            let table = table.WskGetAddressInfo.unwrap();
            table(client, null(), null(), 0, null(), null(), null(), null(), null(), null())
        };
        // SAFETY: as above.
        let name =
            unsafe { table.WskGetNameInfo.unwrap()(client, null(), 0, null(), null(), 0, null(), null(), null()) };
        [socket, connect, address, name]
    });
    assert_eq!(statuses, [STATUS_NOT_SUPPORTED; 4]);
    assert_eq!((machine.log_lines().len(), rules(&machine)), (4, vec![]));
    // SAFETY: as above.
    machine.enter(|| unsafe { table.WskFreeAddressInfo.unwrap()(client, null()) });
    assert_eq!(rules(&machine), ["wsk"]);
    end(registered, 1);
}

/// Broken: what an application may not do with its registration.
#[test]
fn a_registration_is_used_as_its_pages_say_or_it_is_a_violation() {
    let (machine, _) = machine();
    let registered = Registered::new(&machine, 0x100).unwrap();
    registered.release();
    assert_eq!(rules(&machine), ["wsk"], "released, and not captured");
    irql::set(Irql::Dispatch);
    assert!(registered.capture(WSK_NO_WAIT).is_ok());
    registered.release();
    assert_eq!(rules(&machine), [""; 0], "polling is for any level");
    assert!(registered.capture(1).is_ok());
    assert_eq!(rules(&machine), ["irql"], "waiting is not");
    irql::set(Irql::Passive);
    registered.release();
    // SAFETY: our own block, which nobody reads now.
    unsafe { (*registered.block()).ReservedRegistrationContext = ptr::null_mut() };
    // SAFETY: our own table, which nobody reads now.
    unsafe { (*registered.dispatch()).Version = 0x101 };
    registered.deregister();
    assert_eq!(rules(&machine), ["wsk", "NMR-02"], "written to, both block and table");
    registered.deregister();
    assert_eq!(rules(&machine), ["wsk"], "deregistered twice");
    // SAFETY: our own block.
    unsafe { (*registered.block()).ReservedRegistrationState = 0 };
    assert_eq!(registered.capture(WSK_NO_WAIT).err(), Some(STATUS_INVALID_PARAMETER));
    assert_eq!(rules(&machine), ["wsk"], "a block that is none");
    registered.free();
}

/// Broken: a block that is registered already, a table that is none, and one with something in Reserved.
#[test]
fn a_registration_is_made_of_a_free_block_and_a_table() {
    let (machine, _) = machine();
    let registered = Registered::new(&machine, 0x100).unwrap();
    let register = |dispatch, block| {
        let (_, address) = machine.export_place("netio.sys", "WskRegister").unwrap();
        // SAFETY: the export has this type.
        let register: ndk_types::prototype::WskRegister = unsafe { std::mem::transmute(address) };
        let mut npi = ndk_types::WSK_CLIENT_NPI { ClientContext: ptr::null_mut(), Dispatch: dispatch };
        // SAFETY: our structures.
        machine.enter(|| unsafe { register(&raw mut npi, block) })
    };
    assert_eq!(register(registered.dispatch(), registered.block()), STATUS_INVALID_PARAMETER);
    assert_eq!(register(ptr::null(), registered.block()), STATUS_INVALID_PARAMETER);
    assert_eq!(register(registered.dispatch(), ptr::null_mut()), STATUS_INVALID_PARAMETER);
    assert_eq!(rules(&machine), ["wsk", "wsk", "wsk"]);
    registered.deregister();
    // SAFETY: our own table, of no registration.
    unsafe { (*registered.dispatch()).Reserved = 1 };
    assert_eq!(register(registered.dispatch(), registered.block()), STATUS_SUCCESS);
    assert_eq!(rules(&machine), ["wsk"]);
    end(registered, 0);
    assert_eq!((rules(&machine), machine.netio.leaks()), (vec![], vec![]));
}

/// Broken: calls of a client that is released, or gone.
#[test]
fn a_client_calls_only_while_its_npi_is_captured() {
    let (machine, _) = with(Provider::new());
    let (registered, npi) = captured(&machine);
    registered.release();
    assert!(ndk_table(&machine, &npi).is_ok());
    assert_eq!(rules(&machine), ["wsk"]);
    registered.deregister();
    assert_eq!(ndk_table(&machine, &npi).err(), Some(STATUS_INVALID_PARAMETER));
    assert_eq!(rules(&machine), ["wsk"]);
    registered.free();
}

/// ADP-14, broken: adapters closed twice, closed by somebody else, opened above PASSIVE_LEVEL, or left open.
#[test]
fn an_adapter_is_opened_and_closed_once_at_passive_level_by_its_client() {
    let (machine, said) = with(Provider::new());
    let [one, other] = [(); 2].map(|()| Consumer::new(&machine).unwrap());
    let adapter = one.open(INDEX, V2).unwrap();
    one.close(adapter);
    one.close(adapter);
    assert_eq!(rules(&machine), ["wsk"], "closed twice");
    assert_eq!(said.lock().unwrap().len(), 2, "the provider hears of one close");
    let adapter = one.open(INDEX, V2).unwrap();
    other.close(adapter);
    assert_eq!(rules(&machine), ["wsk"], "closed by another");
    irql::set(Irql::Apc);
    let adapter = one.open(INDEX, V2).unwrap();
    one.close(adapter);
    irql::set(Irql::Passive);
    let broken: Vec<_> = machine.verifier.take().iter().map(|violation| (violation.rule, violation.call)).collect();
    assert_eq!(broken, [("irql", "WskOpenNdkAdapter"), ("irql", "WskCloseNdkAdapter")]);
    one.open(INDEX, V2).unwrap();
    drop(one);
    assert_eq!(rules(&machine), ["wsk"], "left open");
    assert_eq!(machine.netio.leaks().len(), 1);
}

/// The page of WskReleaseProviderNPI: a driver, whose calls come from the image stack, registers and forgets; what it left behind
/// is told, and what an application of the simulator still has is not.
#[test]
fn a_registration_that_a_driver_leaves_behind_is_a_leak() {
    unsafe extern "win64" fn driver(machine: *const Arc<Machine>) {
        // SAFETY: the caller's machine.
        std::mem::forget(Consumer::new(unsafe { &*machine }).unwrap());
    }
    let (machine, _) = machine();
    let own = Consumer::new(&machine).unwrap();
    assert_eq!(machine.netio.leaks(), [""; 0]);
    let entry: unsafe extern "win64" fn(*const Arc<Machine>) = driver;
    // SAFETY: the machine outlives the call.
    machine.callback("the entry", Irql::Passive, || unsafe { crate::call_image!(entry, &raw const machine) });
    let leaks = machine.netio.leaks();
    assert!(leaks.len() == 1 && leaks[0].contains("WSK_REGISTRATION"), "{leaks:?}");
    drop(own);
    assert_eq!((machine.netio.leaks().len(), rules(&machine)), (1, vec![]));
}

/// Broken: an application that keeps its capture never gets out of WskDeregister.
#[test]
fn a_capture_that_is_kept_is_a_deadlock_with_a_name() {
    let (machine, _) = machine();
    let (registered, _) = captured(&machine);
    registered.deregister();
    assert_eq!(rules(&machine), ["deadlock"]);
    registered.free();
}
