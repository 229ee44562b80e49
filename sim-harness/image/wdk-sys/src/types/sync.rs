//! Objects to wait for, locks, threads, lists and rundown protection of wdm.h, in the shapes bindgen gives them.

use super::*;

pub type PHANDLE = *mut HANDLE;
pub type PUCHAR = *mut UCHAR;
pub type PULONG64 = *mut ULONG64;
pub type PULONG = *mut ULONG;
pub type PLONG = *mut LONG;
pub type PCHAR = *mut CHAR;
pub type PWSTR = *mut WCHAR;
pub type LONG_PTR = i64;
pub type ACCESS_MASK = ULONG;
pub type ULONG32 = u32;

/// Opaque.
#[repr(C)]
pub struct _KTHREAD {
    _unused: [u8; 0],
}
pub type PKTHREAD = *mut _KTHREAD;
pub type PRKTHREAD = *mut _KTHREAD;
pub type PETHREAD = *mut _KTHREAD;

/// Opaque.
#[repr(C)]
pub struct _KPROCESS {
    _unused: [u8; 0],
}
pub type PEPROCESS = *mut _KPROCESS;

/// Opaque.
#[repr(C)]
pub struct _OBJECT_TYPE {
    _unused: [u8; 0],
}
pub type POBJECT_TYPE = *mut _OBJECT_TYPE;

#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct _OBJECT_HANDLE_INFORMATION {
    pub HandleAttributes: ULONG,
    pub GrantedAccess: ACCESS_MASK,
}
pub type POBJECT_HANDLE_INFORMATION = *mut _OBJECT_HANDLE_INFORMATION;

#[repr(C)]
#[derive(Clone, Copy)]
pub struct _OBJECT_ATTRIBUTES {
    pub Length: ULONG,
    pub RootDirectory: HANDLE,
    pub ObjectName: PUNICODE_STRING,
    pub Attributes: ULONG,
    pub SecurityDescriptor: PVOID,
    pub SecurityQualityOfService: PVOID,
}
pub type OBJECT_ATTRIBUTES = _OBJECT_ATTRIBUTES;
pub type POBJECT_ATTRIBUTES = *mut _OBJECT_ATTRIBUTES;

#[repr(C)]
#[derive(Clone, Copy)]
pub struct _CLIENT_ID {
    pub UniqueProcess: HANDLE,
    pub UniqueThread: HANDLE,
}
pub type CLIENT_ID = _CLIENT_ID;
pub type PCLIENT_ID = *mut _CLIENT_ID;

#[repr(C)]
#[derive(Clone, Copy)]
pub struct _KTIMER {
    pub Header: _DISPATCHER_HEADER,
    pub DueTime: u64,
    pub TimerListEntry: LIST_ENTRY,
    pub Dpc: *mut _KDPC,
    pub Processor: USHORT,
    pub TimerType: USHORT,
    pub Period: ULONG,
}
pub type KTIMER = _KTIMER;
pub type PKTIMER = *mut _KTIMER;

#[repr(C)]
#[derive(Clone, Copy)]
pub struct _KMUTANT {
    pub Header: _DISPATCHER_HEADER,
    pub MutantListEntry: LIST_ENTRY,
    pub OwnerThread: *mut _KTHREAD,
    pub MutantFlags: UCHAR,
    pub ApcDisable: UCHAR,
}
pub type KMUTANT = _KMUTANT;
pub type KMUTEX = _KMUTANT;
pub type PRKMUTEX = *mut _KMUTANT;

#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct _KSEMAPHORE {
    pub Header: _DISPATCHER_HEADER,
    pub Limit: LONG,
}
pub type KSEMAPHORE = _KSEMAPHORE;
pub type PRKSEMAPHORE = *mut _KSEMAPHORE;

#[repr(C)]
#[derive(Clone, Copy)]
pub struct _FAST_MUTEX {
    pub Count: LONG,
    pub Owner: PVOID,
    pub Contention: ULONG,
    pub Event: KEVENT,
    pub OldIrql: ULONG,
}
pub type FAST_MUTEX = _FAST_MUTEX;
pub type PFAST_MUTEX = *mut _FAST_MUTEX;

/// 48 bytes.
pub type KWAIT_BLOCK = [u64; 6];
pub type PKWAIT_BLOCK = *mut KWAIT_BLOCK;

#[repr(C)]
#[derive(Clone, Copy)]
pub struct _KSPIN_LOCK_QUEUE {
    pub Next: *mut _KSPIN_LOCK_QUEUE,
    pub Lock: PKSPIN_LOCK,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct _KLOCK_QUEUE_HANDLE {
    pub LockQueue: _KSPIN_LOCK_QUEUE,
    pub OldIrql: KIRQL,
}
pub type KLOCK_QUEUE_HANDLE = _KLOCK_QUEUE_HANDLE;
pub type PKLOCK_QUEUE_HANDLE = *mut _KLOCK_QUEUE_HANDLE;

#[repr(C)]
#[derive(Clone, Copy)]
pub union _EX_RUNDOWN_REF__bindgen_ty_1 {
    pub Count: ULONG_PTR,
    pub Ptr: PVOID,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct _EX_RUNDOWN_REF {
    pub __bindgen_anon_1: _EX_RUNDOWN_REF__bindgen_ty_1,
}
pub type EX_RUNDOWN_REF = _EX_RUNDOWN_REF;
pub type PEX_RUNDOWN_REF = *mut _EX_RUNDOWN_REF;

#[repr(C)]
#[derive(Clone, Copy)]
pub struct _SINGLE_LIST_ENTRY {
    pub Next: *mut _SINGLE_LIST_ENTRY,
}
pub type SINGLE_LIST_ENTRY = _SINGLE_LIST_ENTRY;
pub type PSINGLE_LIST_ENTRY = *mut _SINGLE_LIST_ENTRY;
pub type PLIST_ENTRY = *mut _LIST_ENTRY;

#[repr(C, align(16))]
#[derive(Clone, Copy)]
pub struct _SLIST_ENTRY {
    pub Next: *mut _SLIST_ENTRY,
}
pub type SLIST_ENTRY = _SLIST_ENTRY;
pub type PSLIST_ENTRY = *mut _SLIST_ENTRY;

#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct _SLIST_HEADER__bindgen_ty_1 {
    pub Alignment: ULONGLONG,
    pub Region: ULONGLONG,
}

#[repr(C, align(16))]
#[derive(Clone, Copy)]
pub union _SLIST_HEADER {
    pub __bindgen_anon_1: _SLIST_HEADER__bindgen_ty_1,
}
pub type SLIST_HEADER = _SLIST_HEADER;
pub type PSLIST_HEADER = *mut _SLIST_HEADER;

c_enum!(_TIMER_TYPE, TIMER_TYPE { NotificationTimer = 0, SynchronizationTimer = 1 });
c_enum!(_WAIT_TYPE, WAIT_TYPE { WaitAll = 0, WaitAny = 1 });
c_enum!(_LOCK_OPERATION, LOCK_OPERATION { IoReadAccess = 0, IoWriteAccess = 1, IoModifyAccess = 2 });

const _: () = {
    assert!(size_of::<OBJECT_ATTRIBUTES>() == 48);
    assert!(size_of::<KTIMER>() == 64);
    assert!(size_of::<KMUTANT>() == 56);
    assert!(size_of::<KSEMAPHORE>() == 32);
    assert!(size_of::<FAST_MUTEX>() == 56);
    assert!(size_of::<KLOCK_QUEUE_HANDLE>() == 24);
    assert!(size_of::<SLIST_HEADER>() == 16);
};
