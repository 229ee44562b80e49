//! netioddk.h: the Network Module Registrar.

#![expect(missing_docs, reason = "C names verbatim; Microsoft documents fields and constants")]

use crate::{GUID, HANDLE, LUID, NTSTATUS, abi, layout};
use core::ffi::c_void;

/// Names a network programming interface.
pub type NPIID = GUID;
/// A pointer to the name of a network programming interface.
pub type PNPIID = *const NPIID;

/// How a module is named.
pub type NPI_MODULEID_TYPE = i32;
pub const MIT_GUID: NPI_MODULEID_TYPE = 1;
pub const MIT_IF_LUID: NPI_MODULEID_TYPE = 2;

/// A module's name: a GUID, or a LUID of an interface.
#[repr(C)]
#[derive(Clone, Copy)]
pub union NPI_MODULEID_NAME {
    pub Guid: GUID,
    pub IfLuid: LUID,
}

/// A module's identity. C's union has no name; here it is `Anonymous`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct NPI_MODULEID {
    pub Length: u16,
    pub Type: NPI_MODULEID_TYPE,
    pub Anonymous: NPI_MODULEID_NAME,
}

layout!(NPI_MODULEID, 24, 4, Length 0, Type 4, Anonymous 8, Anonymous.Guid 8, Anonymous.IfLuid 8);

/// What a module registers for.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct NPI_REGISTRATION_INSTANCE {
    pub Version: u16,
    pub Size: u16,
    pub NpiId: PNPIID,
    pub ModuleId: *const NPI_MODULEID,
    pub Number: u32,
    pub NpiSpecificCharacteristics: *const c_void,
}

layout!(
    NPI_REGISTRATION_INSTANCE, 40, 8, Version 0, Size 2, NpiId 8, ModuleId 16, Number 24,
    NpiSpecificCharacteristics 32
);

/// A handle and a dispatch table.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct NPI {
    pub Handle: HANDLE,
    pub Dispatch: *const c_void,
}

layout!(NPI, 16, 8, Handle 0, Dispatch 8);

abi! {
    /// Offers a provider to a client. PASSIVE_LEVEL.
    pub type PNPI_CLIENT_ATTACH_PROVIDER_FN = Option<unsafe extern "C" fn(
        NmrBindingHandle: HANDLE,
        ClientContext: *mut c_void,
        ProviderRegistrationInstance: *mut NPI_REGISTRATION_INSTANCE
    ) -> NTSTATUS>;

    /// Tells a client to let go of a provider. At or below DISPATCH_LEVEL.
    pub type PNPI_CLIENT_DETACH_PROVIDER_FN = Option<unsafe extern "C" fn(
        ClientBindingContext: *mut c_void
    ) -> NTSTATUS>;

    /// The binding is over on both sides. At or below DISPATCH_LEVEL.
    pub type PNPI_CLIENT_CLEANUP_BINDING_CONTEXT_FN = Option<unsafe extern "C" fn(ClientBindingContext: *mut c_void)>;

    /// Offers a client to a provider. PASSIVE_LEVEL.
    pub type PNPI_PROVIDER_ATTACH_CLIENT_FN = Option<unsafe extern "C" fn(
        NmrBindingHandle: HANDLE,
        ProviderContext: *mut c_void,
        ClientRegistrationInstance: *mut NPI_REGISTRATION_INSTANCE,
        ClientBindingContext: *mut c_void,
        ClientDispatch: *const c_void,
        ProviderBindingContext: *mut *mut c_void,
        ProviderDispatch: *mut *const c_void
    ) -> NTSTATUS>;

    /// Tells a provider to let go of a client. At or below DISPATCH_LEVEL.
    pub type PNPI_PROVIDER_DETACH_CLIENT_FN = Option<unsafe extern "C" fn(
        ProviderBindingContext: *mut c_void
    ) -> NTSTATUS>;

    /// The binding is over on both sides. At or below DISPATCH_LEVEL.
    pub type PNPI_PROVIDER_CLEANUP_BINDING_CONTEXT_FN = Option<unsafe extern "C" fn(
        ProviderBindingContext: *mut c_void
    )>;
}

/// What a client registers.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct NPI_CLIENT_CHARACTERISTICS {
    pub Version: u16,
    pub Length: u16,
    pub ClientAttachProvider: PNPI_CLIENT_ATTACH_PROVIDER_FN,
    pub ClientDetachProvider: PNPI_CLIENT_DETACH_PROVIDER_FN,
    pub ClientCleanupBindingContext: PNPI_CLIENT_CLEANUP_BINDING_CONTEXT_FN,
    pub ClientRegistrationInstance: NPI_REGISTRATION_INSTANCE,
}

layout!(
    NPI_CLIENT_CHARACTERISTICS, 72, 8, Version 0, Length 2, ClientAttachProvider 8, ClientDetachProvider 16,
    ClientCleanupBindingContext 24, ClientRegistrationInstance 32
);

/// What a provider registers.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct NPI_PROVIDER_CHARACTERISTICS {
    pub Version: u16,
    pub Length: u16,
    pub ProviderAttachClient: PNPI_PROVIDER_ATTACH_CLIENT_FN,
    pub ProviderDetachClient: PNPI_PROVIDER_DETACH_CLIENT_FN,
    pub ProviderCleanupBindingContext: PNPI_PROVIDER_CLEANUP_BINDING_CONTEXT_FN,
    pub ProviderRegistrationInstance: NPI_REGISTRATION_INSTANCE,
}

layout!(
    NPI_PROVIDER_CHARACTERISTICS, 72, 8, Version 0, Length 2, ProviderAttachClient 8, ProviderDetachClient 16,
    ProviderCleanupBindingContext 24, ProviderRegistrationInstance 32
);
