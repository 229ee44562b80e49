//! What WSK refuses, and applications and providers that break its rules, each on purpose.

use super::*;
use crate::kernel::bad_drivers::import;
use crate::kernel::irql::{self, Irql};
use crate::kernel::nt::io::{self, status::MORE_PROCESSING_REQUIRED};
use crate::kernel::wdk::{
    PDEVICE_OBJECT, PIO_STACK_LOCATION, PIRP, SL_INVOKE_ON_CANCEL, SL_INVOKE_ON_ERROR, SL_INVOKE_ON_SUCCESS,
};
use ndk_types::{
    NdkObjectTypeCq, PWSK_CLIENT, WSK_PROVIDER_DISPATCH, WSK_TRANSPORT_LIST_CHANGE,
    WSKNDK_GET_WSK_PROVIDER_NDK_DISPATCH,
};
use std::ffi::c_void;

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

/// A request with one stack location, which says in [`SAID`] what it was completed with.
fn request() -> PIRP {
    unsafe extern "win64" fn completed(_device: PDEVICE_OBJECT, irp: PIRP, _context: *mut c_void) -> NTSTATUS {
        // SAFETY: a completed request.
        let status = unsafe { (*irp).IoStatus };
        // SAFETY: both members of the union begin with the status.
        SAID.lock().unwrap().push(unsafe { status.__bindgen_anon_1.Status });
        MORE_PROCESSING_REQUIRED
    }
    let irp = import!(IoAllocateIrp, 1, 0);
    let location: PIO_STACK_LOCATION = irp.wrapping_add(1).cast();
    // SAFETY: the request's one location, which IoSetCompletionRoutine, inline in C, fills in like this.
    let location = unsafe { &mut *location };
    location.CompletionRoutine = Some(completed);
    location.Control = (SL_INVOKE_ON_SUCCESS | SL_INVOKE_ON_ERROR | SL_INVOKE_ON_CANCEL) as u8;
    irp
}

/// What requests were completed with.
static SAID: Mutex<Vec<NTSTATUS>> = Mutex::new(Vec::new());

/// Sockets and names are not supported: each call says so in the log, by its status, and by its IRP's.
#[test]
fn sockets_and_names_are_not_supported() {
    let (machine, _) = machine();
    let (registered, npi) = captured(&machine);
    // SAFETY: a captured NPI has a table.
    let table = unsafe { npi.Dispatch.read() };
    let client = npi.Client;
    type Call = fn(&WSK_PROVIDER_DISPATCH, PWSK_CLIENT, *mut c_void) -> NTSTATUS;
    let calls: [Call; 5] = [
        // SAFETY: a captured client; nothing follows the arguments but the request.
        |table, client, irp| unsafe {
            table.WskSocket.unwrap()(client, 2, 1, 6, 0, null(), ptr::null(), null(), null(), null(), irp)
        },
        |table, client, irp| {
            let connect = table.WskSocketConnect.unwrap();
            // SAFETY: as above.
            unsafe { connect(client, 1, 6, null(), null(), 0, null(), ptr::null(), null(), null(), null(), irp) }
        },
        |table, client, irp| {
            let resolve = table.WskGetAddressInfo.unwrap();
            // SAFETY: as above.
            unsafe { resolve(client, null(), null(), 0, null(), null(), null(), null(), null(), irp) }
        },
        // SAFETY: as above.
        |table, client, irp| unsafe {
            table.WskGetNameInfo.unwrap()(client, null(), 0, null(), null(), 0, null(), null(), irp)
        },
        // SAFETY: as above.
        |table, client, irp| unsafe {
            table.WskControlClient.unwrap()(client, WSK_TRANSPORT_LIST_CHANGE, 0, null(), 0, null(), null(), irp)
        },
    ];
    for (number, call) in calls.iter().enumerate() {
        machine.enter(|| {
            let irp = request();
            assert_eq!(call(&table, client, irp.cast()), STATUS_NOT_SUPPORTED);
            assert_eq!(*SAID.lock().unwrap(), vec![STATUS_NOT_SUPPORTED; number + 1]);
            import!(IoFreeIrp, irp);
        });
    }
    assert_eq!((machine.log_lines().len(), rules(&machine)), (5, vec![]));
    machine.enter(|| {
        let irp = request();
        io::next_location(irp);
        assert_eq!(calls[0](&table, client, irp.cast()), STATUS_NOT_SUPPORTED);
        io::complete(&machine, irp, STATUS_SUCCESS, 0);
        import!(IoFreeIrp, irp);
    });
    assert_eq!(SAID.lock().unwrap().pop(), Some(STATUS_SUCCESS), "not by WSK");
    assert_eq!(rules(&machine), ["wsk"], "no stack location");
    machine.enter(|| calls[0](&table, client, null()));
    assert_eq!(rules(&machine), ["wsk"], "no IRP");
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
