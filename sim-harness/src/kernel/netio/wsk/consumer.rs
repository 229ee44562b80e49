//! An application of WSK in the simulator: it goes the whole way from WskRegister to WskOpenNdkAdapter as a kernel consumer
//! does, through the exports, so that what holds for a driver's calls holds for its own.

use crate::kernel::Machine;
use crate::kernel::machine::on_import;
use crate::kernel::stack::Gate;
use ndk_types::{
    NDK_ADAPTER, NDK_VERSION, NET_IFINDEX, NTSTATUS, PWSK_CLIENT, STATUS_SUCCESS, WSK_CLIENT_DISPATCH, WSK_CLIENT_NPI,
    WSK_NO_WAIT, WSK_PROVIDER_CHARACTERISTICS, WSK_PROVIDER_NDK_DISPATCH, WSK_PROVIDER_NPI, WSK_REGISTRATION,
    WSKNDK_GET_WSK_PROVIDER_NDK_DISPATCH, prototype,
};
use std::ffi::c_void;
use std::ptr;
use std::sync::Arc;

/// A status that is not STATUS_SUCCESS.
fn checked(status: NTSTATUS) -> Result<(), NTSTATUS> {
    if status == STATUS_SUCCESS { Ok(()) } else { Err(status) }
}

/// Calls `$name` of netio.sys as an image does.
macro_rules! import {
    ($machine:expr, $name:ident $(, $argument:expr)*) => {{
        let machine: &Arc<Machine> = $machine;
        let name = stringify!($name);
        let (place, address) = machine.export_place("netio.sys", name).expect("WSK is there");
        let gate = Gate::new(name.to_owned(), place, address, on_import);
        // SAFETY: the export has this type: `exports!` checked it.
        let function: prototype::$name = unsafe { std::mem::transmute(gate.address()) };
        // SAFETY: the arguments are the registration's own, which outlive it, or the caller's.
        machine.enter(|| unsafe { function($($argument),*) })
    }};
}

/// WskRegister and what goes with it: what an application calls before it has a dispatch table.
pub struct Registered {
    machine: Arc<Machine>,
    block: *mut WSK_REGISTRATION,
    dispatch: *mut WSK_CLIENT_DISPATCH,
}

impl std::fmt::Debug for Registered {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Registered({:#x})", self.block.addr())
    }
}

// SAFETY: both pointers are blocks that this owns.
unsafe impl Send for Registered {}
// SAFETY: the calls below may come from any thread at once, as WSK has it.
unsafe impl Sync for Registered {}

impl Registered {
    /// Registers for a version of WSK.
    pub fn new(machine: &Arc<Machine>, version: u16) -> Result<Self, NTSTATUS> {
        let dispatch =
            Box::into_raw(Box::new(WSK_CLIENT_DISPATCH { Version: version, Reserved: 0, WskClientEvent: None }));
        let empty = WSK_REGISTRATION {
            ReservedRegistrationState: 0,
            ReservedRegistrationContext: ptr::null_mut(),
            ReservedRegistrationLock: 0,
        };
        let new = Self { machine: machine.clone(), block: Box::into_raw(Box::new(empty)), dispatch };
        let mut npi = WSK_CLIENT_NPI { ClientContext: ptr::null_mut(), Dispatch: dispatch };
        match checked(import!(machine, WskRegister, &raw mut npi, new.block)) {
            Ok(()) => Ok(new),
            Err(status) => {
                new.free();
                Err(status)
            }
        }
    }

    /// WskCaptureProviderNPI. For every success there is to be one [`Registered::release`].
    pub fn capture(&self, timeout: u32) -> Result<WSK_PROVIDER_NPI, NTSTATUS> {
        let mut npi = WSK_PROVIDER_NPI { Client: ptr::null_mut(), Dispatch: ptr::null() };
        checked(import!(&self.machine, WskCaptureProviderNPI, self.block, timeout, &raw mut npi))?;
        Ok(npi)
    }

    /// WskReleaseProviderNPI.
    pub fn release(&self) {
        import!(&self.machine, WskReleaseProviderNPI, self.block);
    }

    /// WskQueryProviderCharacteristics: the lowest and the highest version.
    pub fn versions(&self) -> Result<(u16, u16), NTSTATUS> {
        let mut there = WSK_PROVIDER_CHARACTERISTICS { HighestVersion: 0, LowestVersion: 0 };
        checked(import!(&self.machine, WskQueryProviderCharacteristics, self.block, &raw mut there))?;
        Ok((there.LowestVersion, there.HighestVersion))
    }

    /// WskDeregister, which waits for captures and calls.
    pub fn deregister(&self) {
        import!(&self.machine, WskDeregister, self.block);
    }

    /// The block, for whoever breaks a rule with it.
    pub const fn block(&self) -> *mut WSK_REGISTRATION {
        self.block
    }

    /// The table it is registered with, likewise.
    pub const fn dispatch(&self) -> *mut WSK_CLIENT_DISPATCH {
        self.dispatch
    }

    /// The memory goes; the registration is over, or never was.
    pub fn free(self) {
        // SAFETY: made by `Box::into_raw` in `new`; consumed here.
        drop(unsafe { Box::from_raw(self.block) });
        // SAFETY: as above.
        drop(unsafe { Box::from_raw(self.dispatch) });
    }
}

/// WskControlClient('NDKD').
pub fn ndk_table(machine: &Arc<Machine>, npi: &WSK_PROVIDER_NPI) -> Result<WSK_PROVIDER_NDK_DISPATCH, NTSTATUS> {
    let mut table = WSK_PROVIDER_NDK_DISPATCH { WskOpenNdkAdapter: None, WskCloseNdkAdapter: None };
    let (size, place) = (size_of_val(&table), (&raw mut table).cast::<c_void>());
    let (none, nowhere, no_irp) = (ptr::null_mut(), ptr::null_mut(), ptr::null_mut());
    // SAFETY: a captured NPI has a table.
    let control = unsafe { (*npi.Dispatch).WskControlClient }.expect("every slot is filled");
    let code = WSKNDK_GET_WSK_PROVIDER_NDK_DISPATCH;
    // SAFETY: the page of WskControlClient: a captured client, no input, our buffer, no IRP.
    checked(machine.enter(|| unsafe { control(npi.Client, code, 0, none, size, place, nowhere, no_irp) }))?;
    Ok(table)
}

/// A consumer of NDK: registered, captured, with the table in its hands. It lets go of all that when dropped; what it opened is to
/// be closed before.
pub struct Consumer {
    registered: Option<Registered>,
    machine: Arc<Machine>,
    client: PWSK_CLIENT,
    table: WSK_PROVIDER_NDK_DISPATCH,
}

// SAFETY: the client is a number, and the table's functions may be called from any thread.
unsafe impl Send for Consumer {}
// SAFETY: as above.
unsafe impl Sync for Consumer {}

impl std::fmt::Debug for Consumer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Consumer(WSK_CLIENT {:#x})", self.client.addr())
    }
}

impl Consumer {
    /// Goes from WskRegister to the table.
    pub fn new(machine: &Arc<Machine>) -> Result<Self, NTSTATUS> {
        let registered = Registered::new(machine, 0x100)?;
        let table = registered.capture(WSK_NO_WAIT).and_then(|npi| {
            let table = ndk_table(machine, &npi).inspect_err(|_| registered.release())?;
            Ok((npi.Client, table))
        });
        match table {
            Ok((client, table)) => Ok(Self { registered: Some(registered), machine: machine.clone(), client, table }),
            Err(status) => {
                registered.deregister();
                registered.free();
                Err(status)
            }
        }
    }

    /// WskOpenNdkAdapter. PASSIVE_LEVEL.
    pub fn open(&self, index: NET_IFINDEX, version: NDK_VERSION) -> Result<*mut NDK_ADAPTER, NTSTATUS> {
        let open = self.table.WskOpenNdkAdapter.expect("every slot is filled");
        let mut adapter = ptr::null_mut();
        // SAFETY: a captured client and our variable.
        checked(self.machine.enter(|| unsafe { open(self.client, version, index, &raw mut adapter) }))?;
        Ok(adapter)
    }

    /// WskCloseNdkAdapter, which waits for everything that was made of it. PASSIVE_LEVEL.
    pub fn close(&self, adapter: *mut NDK_ADAPTER) {
        let close = self.table.WskCloseNdkAdapter.expect("every slot is filled");
        // SAFETY: a captured client; whether the adapter is open is looked at there.
        self.machine.enter(|| unsafe { close(self.client, adapter) });
    }
}

impl Drop for Consumer {
    fn drop(&mut self) {
        if let Some(registered) = self.registered.take() {
            registered.release();
            registered.deregister();
            registered.free();
        }
    }
}
