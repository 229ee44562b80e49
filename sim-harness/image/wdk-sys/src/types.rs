//! ntdef.h, wdm.h: types in the shapes bindgen gives them on Windows. `c_long` is 32 bits wide there, so it is spelled `i32` here.

use core::ffi::c_void;

pub type CHAR = i8;
pub type CCHAR = i8;
pub type UCHAR = u8;
pub type BOOLEAN = UCHAR;
pub type USHORT = u16;
pub type CSHORT = i16;
pub type WCHAR = u16;
pub type LONG = i32;
pub type ULONG = u32;
pub type LONGLONG = i64;
pub type ULONGLONG = u64;
pub type ULONG64 = u64;
pub type ULONG_PTR = u64;
pub type SIZE_T = usize;
pub type PVOID = *mut c_void;
pub type HANDLE = PVOID;
pub type PCSTR = *const CHAR;
pub type PCWSTR = *const WCHAR;
pub type NTSTATUS = LONG;
pub type KIRQL = UCHAR;
pub type PKIRQL = *mut KIRQL;
pub type KPROCESSOR_MODE = CCHAR;
pub type KSPIN_LOCK = ULONG_PTR;
pub type PKSPIN_LOCK = *mut KSPIN_LOCK;
pub type KPRIORITY = LONG;
pub type POOL_FLAGS = ULONG64;
pub type PIO_WORKITEM = *mut _IO_WORKITEM;
pub type PEX_TIMER = *mut _EX_TIMER;

/// Opaque.
#[repr(C)]
pub struct _IO_WORKITEM {
    _unused: [u8; 0],
}

/// Opaque.
#[repr(C)]
pub struct _EX_TIMER {
    _unused: [u8; 0],
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct _UNICODE_STRING {
    pub Length: USHORT,
    pub MaximumLength: USHORT,
    pub Buffer: *mut WCHAR,
}
pub type UNICODE_STRING = _UNICODE_STRING;
pub type PUNICODE_STRING = *mut _UNICODE_STRING;
pub type PCUNICODE_STRING = *const _UNICODE_STRING;

#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct _LARGE_INTEGER__bindgen_ty_1 {
    pub LowPart: ULONG,
    pub HighPart: LONG,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub union _LARGE_INTEGER {
    pub __bindgen_anon_1: _LARGE_INTEGER__bindgen_ty_1,
    pub u: _LARGE_INTEGER__bindgen_ty_1,
    pub QuadPart: LONGLONG,
}
pub type LARGE_INTEGER = _LARGE_INTEGER;
pub type PLARGE_INTEGER = *mut _LARGE_INTEGER;

#[repr(C)]
#[derive(Clone, Copy)]
pub struct _LIST_ENTRY {
    pub Flink: *mut _LIST_ENTRY,
    pub Blink: *mut _LIST_ENTRY,
}
pub type LIST_ENTRY = _LIST_ENTRY;

#[repr(C)]
#[derive(Clone, Copy)]
pub struct _MDL {
    pub Next: *mut _MDL,
    pub Size: CSHORT,
    pub MdlFlags: CSHORT,
    pub Process: PVOID,
    pub MappedSystemVa: PVOID,
    pub StartVa: PVOID,
    pub ByteCount: ULONG,
    pub ByteOffset: ULONG,
}
pub type MDL = _MDL;
pub type PMDL = *mut _MDL;

/// The fields of DISPATCHER_HEADER are a nest of unions; nobody but the kernel looks inside.
#[repr(C, align(8))]
#[derive(Clone, Copy, Default)]
pub struct _DISPATCHER_HEADER {
    pub Lock: [LONG; 6],
}

#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct _KEVENT {
    pub Header: _DISPATCHER_HEADER,
}
pub type KEVENT = _KEVENT;
pub type PRKEVENT = *mut _KEVENT;
pub type PKEVENT = *mut _KEVENT;

#[repr(C)]
#[derive(Clone, Copy)]
pub struct _KDPC {
    pub __bindgen_anon_1: u32,
    pub DpcListEntry: *mut c_void,
    pub ProcessorHistory: ULONG_PTR,
    pub DeferredRoutine: PKDEFERRED_ROUTINE,
    pub DeferredContext: PVOID,
    pub SystemArgument1: PVOID,
    pub SystemArgument2: PVOID,
    pub DpcData: PVOID,
}
pub type KDPC = _KDPC;
pub type PKDPC = *mut _KDPC;
pub type PRKDPC = *mut _KDPC;

/// Opaque but for what a driver sets; 336 bytes.
#[repr(C)]
pub struct _DRIVER_OBJECT {
    pub Type: CSHORT,
    pub Size: CSHORT,
    pub DeviceObject: *mut _DEVICE_OBJECT,
    pub Flags: ULONG,
    pub DriverStart: PVOID,
    pub DriverSize: ULONG,
    pub DriverSection: PVOID,
    pub DriverExtension: PDRIVER_EXTENSION,
    pub DriverName: _UNICODE_STRING,
    pub HardwareDatabase: PUNICODE_STRING,
    pub FastIoDispatch: PVOID,
    pub DriverInit: PVOID,
    pub DriverStartIo: PDRIVER_STARTIO,
    pub DriverUnload: PDRIVER_UNLOAD,
    pub MajorFunction: [PDRIVER_DISPATCH; 28],
}
pub type DRIVER_OBJECT = _DRIVER_OBJECT;
pub type PDRIVER_OBJECT = *mut _DRIVER_OBJECT;

#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct _PROCESSOR_NUMBER {
    pub Group: USHORT,
    pub Number: UCHAR,
    pub Reserved: UCHAR,
}
pub type PROCESSOR_NUMBER = _PROCESSOR_NUMBER;
pub type PPROCESSOR_NUMBER = *mut _PROCESSOR_NUMBER;

#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct _EXT_SET_PARAMETERS_V0 {
    pub Version: ULONG,
    pub Reserved: ULONG,
    pub NoWakeTolerance: LONGLONG,
}
pub type PEXT_SET_PARAMETERS = *mut _EXT_SET_PARAMETERS_V0;

callbacks! {
    type PEXT_DELETE_CALLBACK = fn(Context: PVOID);
    type PEXT_CALLBACK = fn(Timer: PEX_TIMER, Context: PVOID);
    type PKDEFERRED_ROUTINE = fn(Dpc: PKDPC, DeferredContext: PVOID, SystemArgument1: PVOID, SystemArgument2: PVOID);
    type PIO_WORKITEM_ROUTINE = fn(DeviceObject: PDEVICE_OBJECT, Context: PVOID);
    type PIO_WORKITEM_ROUTINE_EX = fn(IoObject: PVOID, Context: PVOID, IoWorkItem: PIO_WORKITEM);
    type PDRIVER_UNLOAD = fn(DriverObject: *mut _DRIVER_OBJECT);
    type PKSTART_ROUTINE = fn(StartContext: PVOID);
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct _EXT_DELETE_PARAMETERS {
    pub Version: ULONG,
    pub Reserved: ULONG,
    pub DeleteCallback: PEXT_DELETE_CALLBACK,
    pub DeleteContext: PVOID,
}
pub type EXT_DELETE_PARAMETERS = _EXT_DELETE_PARAMETERS;
pub type PEXT_DELETE_PARAMETERS = *mut _EXT_DELETE_PARAMETERS;

/// The enumerations of C: modules of constants.
macro_rules! c_enum {
    ($module:ident, $alias:ident { $($name:ident = $value:literal),* $(,)? }) => {
        pub mod $module {
            pub type Type = i32;
            $(pub const $name: Type = $value;)*
        }
        pub type $alias = $module::Type;
    };
}

c_enum!(_EVENT_TYPE, EVENT_TYPE { NotificationEvent = 0, SynchronizationEvent = 1 });
c_enum!(_WORK_QUEUE_TYPE, WORK_QUEUE_TYPE { CriticalWorkQueue = 0, DelayedWorkQueue = 1, HyperCriticalWorkQueue = 2, NormalWorkQueue = 3 });
c_enum!(_KWAIT_REASON, KWAIT_REASON { Executive = 0 });
c_enum!(_MODE, MODE { KernelMode = 0, UserMode = 1, MaximumMode = 2 });
c_enum!(_MEMORY_CACHING_TYPE, MEMORY_CACHING_TYPE { MmNonCached = 0, MmCached = 1, MmWriteCombined = 2 });
c_enum!(_MM_PAGE_PRIORITY, MM_PAGE_PRIORITY { LowPagePriority = 0, NormalPagePriority = 16, HighPagePriority = 32 });
c_enum!(_KDPC_IMPORTANCE, KDPC_IMPORTANCE { LowImportance = 0, MediumImportance = 1, HighImportance = 2, MediumHighImportance = 3 });

#[path = "types/io.rs"]
mod io;
#[path = "types/sync.rs"]
mod sync;

pub use io::*;
pub use sync::*;

const _: () = {
    assert!(size_of::<KDPC>() == 64);
    assert!(size_of::<KEVENT>() == 24);
    assert!(size_of::<MDL>() == 48);
    assert!(size_of::<DRIVER_OBJECT>() == 336);
    assert!(size_of::<UNICODE_STRING>() == 16);
};
