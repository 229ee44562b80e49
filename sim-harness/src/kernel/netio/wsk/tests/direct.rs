//! An application that is a client of the registrar itself, without WskRegister.

use super::*;
use ndk_types::{
    HANDLE, NPI_CLIENT_CHARACTERISTICS, NPI_MODULEID, NPI_MODULEID_NAME, NPI_REGISTRATION_INSTANCE,
    PFN_WSK_CLIENT_EVENT, WSK_CLIENT_DISPATCH, WSK_PROVIDER_CHARACTERISTICS,
};
use std::ffi::c_void;

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

    unsafe extern "C" fn event_direct(
        context: *mut c_void,
        _event: u32,
        _information: *mut c_void,
        _length: usize
    ) -> NTSTATUS {
        Direct::of(context).said.lock().unwrap().push("is called");
        STATUS_SUCCESS
    }

    unsafe extern "C" fn detach_direct(context: *mut c_void) -> NTSTATUS {
        Direct::of(context).said.lock().unwrap().push("detaches");
        STATUS_SUCCESS
    }

    unsafe extern "C" fn clean_direct(context: *mut c_void) {
        Direct::of(context).said.lock().unwrap().push("cleans up");
    }
}

/// NMR-03, NMR-05, NMR-06, NMR-08, NMR-09: without WskRegister. A version that is declined may be followed by another; the subsystem
/// pends its detachment while a call is under way, and both clean up after that. The client has a callback, and hears nothing more
/// through it once it is asked to detach.
#[test]
fn an_application_may_come_by_the_registrar_itself() {
    let provider = Provider::new();
    let go = provider.go.clone();
    go.store(false, Ordering::SeqCst);
    let (machine, _) = with(provider);
    let event: PFN_WSK_CLIENT_EVENT = Some(event_direct);
    let table = |version| WSK_CLIENT_DISPATCH { Version: version, Reserved: 0, WskClientEvent: event };
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
