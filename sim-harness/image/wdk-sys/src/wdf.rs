//! wdf.h of KMDF 1.33: the few functions an NDIS miniport driver uses, and how wdk-sys calls them.

use crate::*;

macro_rules! handles {
    ($($name:ident $opaque:ident),*) => {
        $(
            /// Opaque.
            #[repr(C)]
            pub struct $opaque {
                unused: i32,
            }
            pub type $name = *mut $opaque;
        )*
    };
}

handles!(WDFDRIVER WDFDRIVER__, WDFDEVICE WDFDEVICE__);
pub type WDFOBJECT = HANDLE;

#[repr(C)]
#[derive(Clone, Copy)]
pub struct _WDF_DRIVER_GLOBALS {
    pub Driver: WDFDRIVER,
    pub DriverFlags: ULONG,
    pub DriverTag: ULONG,
    pub DriverName: [CHAR; 32],
    pub DisplaceDriverUnload: BOOLEAN,
}
pub type WDF_DRIVER_GLOBALS = _WDF_DRIVER_GLOBALS;
pub type PWDF_DRIVER_GLOBALS = *mut _WDF_DRIVER_GLOBALS;

callbacks! {
    type PFN_WDF_DRIVER_DEVICE_ADD = fn(Driver: WDFDRIVER, DeviceInit: PVOID) -> NTSTATUS;
    type PFN_WDF_DRIVER_UNLOAD = fn(Driver: WDFDRIVER);
    type PFN_WDF_OBJECT_CONTEXT_CLEANUP = fn(Object: WDFOBJECT);
    type PFN_WDF_OBJECT_CONTEXT_DESTROY = fn(Object: WDFOBJECT);
    type PFN_WDFDRIVERMINIPORTUNLOAD = fn(DriverGlobals: PWDF_DRIVER_GLOBALS, Driver: WDFDRIVER);
}

#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct _WDF_DRIVER_CONFIG {
    pub Size: ULONG,
    pub EvtDriverDeviceAdd: PFN_WDF_DRIVER_DEVICE_ADD,
    pub EvtDriverUnload: PFN_WDF_DRIVER_UNLOAD,
    pub DriverInitFlags: ULONG,
    pub DriverPoolTag: ULONG,
}
pub type WDF_DRIVER_CONFIG = _WDF_DRIVER_CONFIG;

#[repr(C)]
#[derive(Clone, Copy)]
pub struct _WDF_OBJECT_CONTEXT_TYPE_INFO {
    pub Size: ULONG,
    pub ContextName: PCSTR,
    pub ContextSize: SIZE_T,
    pub UniqueType: *const _WDF_OBJECT_CONTEXT_TYPE_INFO,
    pub EvtDriverGetUniqueContextType: PVOID,
}
pub type WDF_OBJECT_CONTEXT_TYPE_INFO = _WDF_OBJECT_CONTEXT_TYPE_INFO;

#[repr(C)]
#[derive(Clone, Copy)]
pub struct _WDF_OBJECT_ATTRIBUTES {
    pub Size: ULONG,
    pub EvtCleanupCallback: PFN_WDF_OBJECT_CONTEXT_CLEANUP,
    pub EvtDestroyCallback: PFN_WDF_OBJECT_CONTEXT_DESTROY,
    pub ExecutionLevel: i32,
    pub SynchronizationScope: i32,
    pub ParentObject: WDFOBJECT,
    pub ContextSizeOverride: SIZE_T,
    pub ContextTypeInfo: *const _WDF_OBJECT_CONTEXT_TYPE_INFO,
}
pub type WDF_OBJECT_ATTRIBUTES = _WDF_OBJECT_ATTRIBUTES;
pub type PWDF_OBJECT_ATTRIBUTES = *mut _WDF_OBJECT_ATTRIBUTES;

pub const WDF_NO_OBJECT_ATTRIBUTES: PWDF_OBJECT_ATTRIBUTES = core::ptr::null_mut();
pub const WDF_NO_HANDLE: PVOID = core::ptr::null_mut();

pub mod _WDF_DRIVER_INIT_FLAGS {
    pub type Type = i32;
    pub const WdfDriverInitNonPnpDriver: Type = 1;
    pub const WdfDriverInitNoDispatchOverride: Type = 2;
}

/// Places in the function table.
pub mod _WDFFUNCENUM {
    pub type Type = i32;
    pub const WdfDriverCreateTableIndex: Type = 116;
    pub const WdfDeviceMiniportCreateTableIndex: Type = 200;
    pub const WdfDriverMiniportUnloadTableIndex: Type = 201;
    pub const WdfObjectDeleteTableIndex: Type = 208;
    pub const WdfFunctionTableNumEntries: Type = 458;
}

const _: () = {
    assert!(size_of::<WDF_DRIVER_CONFIG>() == 32);
    assert!(size_of::<WDF_OBJECT_ATTRIBUTES>() == 56);
    assert!(size_of::<WDF_DRIVER_GLOBALS>() == 56);
    assert!(size_of::<WDF_OBJECT_CONTEXT_TYPE_INFO>() == 40);
};

/// Calls a framework function by name, `WdfDriverGlobals` first, as wdk-sys's macro does. Needs an unsafe block.
#[macro_export]
macro_rules! call_unsafe_wdf_function_binding {
    ($name:ident $(, $arg:expr)* $(,)?) => {
        $crate::functions::$name($crate::WdfDriverGlobals $(, $arg)*)
    };
}

/// What the macro calls: each looks its function up in the table that binding filled.
#[doc(hidden)]
pub mod functions {
    use super::*;

    macro_rules! functions {
        ($($name:ident $index:ident ($($arg:ident: $type:ty),*) -> $ret:ty;)*) => {
            $(
                /// # Safety
                /// As the function's page says.
                #[allow(clippy::missing_transmute_annotations)]
                pub unsafe fn $name(globals: PWDF_DRIVER_GLOBALS, $($arg: $type),*) -> $ret {
                    type Function = unsafe extern "C" fn(PWDF_DRIVER_GLOBALS, $($type),*) -> $ret;
                    // SAFETY: binding wrote the table before DriverEntry, and nobody writes it after.
                    let table = unsafe { WdfFunctions_01033 };
                    // SAFETY: the table has more entries than this index.
                    let entry = unsafe { table.add(_WDFFUNCENUM::$index as usize).read() };
                    // SAFETY: this entry is a function of this type (KMDF 1.33).
                    let function: Function = unsafe { core::mem::transmute(entry) };
                    // SAFETY: the caller's contract.
                    unsafe { function(globals, $($arg),*) }
                }
            )*
        };
    }

    functions! {
        WdfDriverCreate WdfDriverCreateTableIndex (driver: PDRIVER_OBJECT, path: PCUNICODE_STRING, attributes: PWDF_OBJECT_ATTRIBUTES, config: *mut WDF_DRIVER_CONFIG, handle: *mut WDFDRIVER) -> NTSTATUS;
        WdfDeviceMiniportCreate WdfDeviceMiniportCreateTableIndex (driver: WDFDRIVER, attributes: PWDF_OBJECT_ATTRIBUTES, device: PDEVICE_OBJECT, attached: PDEVICE_OBJECT, pdo: PDEVICE_OBJECT, handle: *mut WDFDEVICE) -> NTSTATUS;
        WdfObjectDelete WdfObjectDeleteTableIndex (object: WDFOBJECT) -> ();
    }
}
