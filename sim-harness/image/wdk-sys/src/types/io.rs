//! The I/O manager's part of wdm.h: devices, files, requests and their stack locations, in the shapes bindgen gives them.
//! Sizes and offsets are those of Windows on x64; C drivers reach into these structures without a function call.

use super::*;

pub type PIRP = *mut _IRP;
pub type IRP = _IRP;
pub type PIO_STACK_LOCATION = *mut _IO_STACK_LOCATION;
pub type IO_STACK_LOCATION = _IO_STACK_LOCATION;
pub type PFILE_OBJECT = *mut _FILE_OBJECT;
pub type FILE_OBJECT = _FILE_OBJECT;
pub type PIO_STATUS_BLOCK = *mut _IO_STATUS_BLOCK;
pub type IO_STATUS_BLOCK = _IO_STATUS_BLOCK;

callbacks! {
    type PDRIVER_DISPATCH = fn(DeviceObject: *mut _DEVICE_OBJECT, Irp: *mut _IRP) -> NTSTATUS;
    type PDRIVER_CANCEL = fn(DeviceObject: *mut _DEVICE_OBJECT, Irp: *mut _IRP);
    type PDRIVER_STARTIO = fn(DeviceObject: *mut _DEVICE_OBJECT, Irp: *mut _IRP);
    type PDRIVER_ADD_DEVICE = fn(DriverObject: *mut _DRIVER_OBJECT, PhysicalDeviceObject: *mut _DEVICE_OBJECT) -> NTSTATUS;
    type PIO_COMPLETION_ROUTINE = fn(DeviceObject: PDEVICE_OBJECT, Irp: PIRP, Context: PVOID) -> NTSTATUS;
}

pub type PIO_CSQ = *mut _IO_CSQ;
pub type PIO_CSQ_IRP_CONTEXT = *mut _IO_CSQ_IRP_CONTEXT;

callbacks! {
    type PIO_CSQ_INSERT_IRP = fn(Csq: *mut _IO_CSQ, Irp: PIRP);
    type PIO_CSQ_INSERT_IRP_EX = fn(Csq: *mut _IO_CSQ, Irp: PIRP, InsertContext: PVOID) -> NTSTATUS;
    type PIO_CSQ_REMOVE_IRP = fn(Csq: *mut _IO_CSQ, Irp: PIRP);
    type PIO_CSQ_PEEK_NEXT_IRP = fn(Csq: *mut _IO_CSQ, Irp: PIRP, PeekContext: PVOID) -> PIRP;
    type PIO_CSQ_ACQUIRE_LOCK = fn(Csq: *mut _IO_CSQ, Irql: PKIRQL);
    type PIO_CSQ_RELEASE_LOCK = fn(Csq: *mut _IO_CSQ, Irql: KIRQL);
    type PIO_CSQ_COMPLETE_CANCELED_IRP = fn(Csq: *mut _IO_CSQ, Irp: PIRP);
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct _IO_CSQ {
    pub Type: ULONG,
    pub CsqInsertIrp: PIO_CSQ_INSERT_IRP,
    pub CsqRemoveIrp: PIO_CSQ_REMOVE_IRP,
    pub CsqPeekNextIrp: PIO_CSQ_PEEK_NEXT_IRP,
    pub CsqAcquireLock: PIO_CSQ_ACQUIRE_LOCK,
    pub CsqReleaseLock: PIO_CSQ_RELEASE_LOCK,
    pub CsqCompleteCanceledIrp: PIO_CSQ_COMPLETE_CANCELED_IRP,
    pub ReservePointer: PVOID,
}
pub type IO_CSQ = _IO_CSQ;

#[repr(C)]
#[derive(Clone, Copy)]
pub struct _IO_CSQ_IRP_CONTEXT {
    pub Type: ULONG,
    pub Irp: *mut _IRP,
    pub Csq: *mut _IO_CSQ,
}
pub type IO_CSQ_IRP_CONTEXT = _IO_CSQ_IRP_CONTEXT;

#[repr(C)]
#[derive(Clone, Copy)]
pub union _IO_STATUS_BLOCK__bindgen_ty_1 {
    pub Status: NTSTATUS,
    pub Pointer: PVOID,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct _IO_STATUS_BLOCK {
    pub __bindgen_anon_1: _IO_STATUS_BLOCK__bindgen_ty_1,
    pub Information: ULONG_PTR,
}

#[repr(C)]
pub struct _DRIVER_EXTENSION {
    pub DriverObject: *mut _DRIVER_OBJECT,
    pub AddDevice: PDRIVER_ADD_DEVICE,
    pub Count: ULONG,
    pub ServiceKeyName: UNICODE_STRING,
}
pub type PDRIVER_EXTENSION = *mut _DRIVER_EXTENSION;

#[repr(C)]
#[derive(Clone, Copy)]
pub struct _KDEVICE_QUEUE {
    pub Type: CSHORT,
    pub Size: CSHORT,
    pub DeviceListHead: LIST_ENTRY,
    pub Lock: KSPIN_LOCK,
    pub Busy: u64,
}
pub type KDEVICE_QUEUE = _KDEVICE_QUEUE;

#[repr(C, align(16))]
pub struct _DEVICE_OBJECT {
    pub Type: CSHORT,
    pub Size: USHORT,
    pub ReferenceCount: LONG,
    pub DriverObject: *mut _DRIVER_OBJECT,
    pub NextDevice: *mut _DEVICE_OBJECT,
    pub AttachedDevice: *mut _DEVICE_OBJECT,
    pub CurrentIrp: *mut _IRP,
    pub Timer: PVOID,
    pub Flags: ULONG,
    pub Characteristics: ULONG,
    pub Vpb: PVOID,
    pub DeviceExtension: PVOID,
    pub DeviceType: ULONG,
    pub StackSize: CCHAR,
    pub Queue: [u64; 9],
    pub AlignmentRequirement: ULONG,
    pub DeviceQueue: KDEVICE_QUEUE,
    pub Dpc: KDPC,
    pub ActiveThreadCount: ULONG,
    pub SecurityDescriptor: PVOID,
    pub DeviceLock: KEVENT,
    pub SectorSize: USHORT,
    pub Spare1: USHORT,
    pub DeviceObjectExtension: PVOID,
    pub Reserved: PVOID,
}
pub type DEVICE_OBJECT = _DEVICE_OBJECT;
pub type PDEVICE_OBJECT = *mut _DEVICE_OBJECT;

#[repr(C)]
pub struct _FILE_OBJECT {
    pub Type: CSHORT,
    pub Size: CSHORT,
    pub DeviceObject: PDEVICE_OBJECT,
    pub Vpb: PVOID,
    pub FsContext: PVOID,
    pub FsContext2: PVOID,
    pub SectionObjectPointer: PVOID,
    pub PrivateCacheMap: PVOID,
    pub FinalStatus: NTSTATUS,
    pub RelatedFileObject: *mut _FILE_OBJECT,
    pub LockOperation: BOOLEAN,
    pub DeletePending: BOOLEAN,
    pub ReadAccess: BOOLEAN,
    pub WriteAccess: BOOLEAN,
    pub DeleteAccess: BOOLEAN,
    pub SharedRead: BOOLEAN,
    pub SharedWrite: BOOLEAN,
    pub SharedDelete: BOOLEAN,
    pub Flags: ULONG,
    pub FileName: UNICODE_STRING,
    pub CurrentByteOffset: LARGE_INTEGER,
    pub Waiters: ULONG,
    pub Busy: ULONG,
    pub LastLock: PVOID,
    pub Lock: KEVENT,
    pub Event: KEVENT,
    pub CompletionContext: PVOID,
    pub IrpListLock: KSPIN_LOCK,
    pub IrpList: LIST_ENTRY,
    pub FileObjectExtension: PVOID,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub union _IRP__bindgen_ty_1 {
    pub MasterIrp: *mut _IRP,
    pub IrpCount: LONG,
    pub SystemBuffer: PVOID,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub union _IRP__bindgen_ty_2 {
    pub AsynchronousParameters: [PVOID; 2],
    pub AllocationSize: LARGE_INTEGER,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct _IRP__bindgen_ty_3__bindgen_ty_1__bindgen_ty_1__bindgen_ty_1 {
    pub DriverContext: [PVOID; 4],
}

#[repr(C)]
#[derive(Clone, Copy)]
pub union _IRP__bindgen_ty_3__bindgen_ty_1__bindgen_ty_1 {
    pub DeviceQueueEntry: [u64; 3],
    pub __bindgen_anon_1: _IRP__bindgen_ty_3__bindgen_ty_1__bindgen_ty_1__bindgen_ty_1,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub union _IRP__bindgen_ty_3__bindgen_ty_1__bindgen_ty_2__bindgen_ty_1 {
    pub CurrentStackLocation: *mut _IO_STACK_LOCATION,
    pub PacketType: ULONG,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct _IRP__bindgen_ty_3__bindgen_ty_1__bindgen_ty_2 {
    pub ListEntry: LIST_ENTRY,
    pub __bindgen_anon_1: _IRP__bindgen_ty_3__bindgen_ty_1__bindgen_ty_2__bindgen_ty_1,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct _IRP__bindgen_ty_3__bindgen_ty_1 {
    pub __bindgen_anon_1: _IRP__bindgen_ty_3__bindgen_ty_1__bindgen_ty_1,
    pub Thread: PETHREAD,
    pub AuxiliaryBuffer: *mut CHAR,
    pub __bindgen_anon_2: _IRP__bindgen_ty_3__bindgen_ty_1__bindgen_ty_2,
    pub OriginalFileObject: PFILE_OBJECT,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub union _IRP__bindgen_ty_3 {
    pub Overlay: _IRP__bindgen_ty_3__bindgen_ty_1,
    pub Apc: [u64; 11],
    pub CompletionKey: PVOID,
}

#[repr(C, align(16))]
pub struct _IRP {
    pub Type: CSHORT,
    pub Size: USHORT,
    pub AllocationProcessorNumber: USHORT,
    pub Reserved: USHORT,
    pub MdlAddress: PMDL,
    pub Flags: ULONG,
    pub AssociatedIrp: _IRP__bindgen_ty_1,
    pub ThreadListEntry: LIST_ENTRY,
    pub IoStatus: IO_STATUS_BLOCK,
    pub RequestorMode: KPROCESSOR_MODE,
    pub PendingReturned: BOOLEAN,
    pub StackCount: CHAR,
    pub CurrentLocation: CHAR,
    pub Cancel: BOOLEAN,
    pub CancelIrql: KIRQL,
    pub ApcEnvironment: CCHAR,
    pub AllocationFlags: UCHAR,
    pub UserIosb: PIO_STATUS_BLOCK,
    pub UserEvent: PKEVENT,
    pub Overlay: _IRP__bindgen_ty_2,
    pub CancelRoutine: PDRIVER_CANCEL,
    pub UserBuffer: PVOID,
    pub Tail: _IRP__bindgen_ty_3,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct _IO_STACK_LOCATION__bindgen_ty_1__bindgen_ty_1 {
    pub SecurityContext: PVOID,
    pub Options: ULONG,
    pub __bindgen_padding_0: u32,
    pub FileAttributes: USHORT,
    pub ShareAccess: USHORT,
    pub __bindgen_padding_1: u32,
    pub EaLength: ULONG,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct _IO_STACK_LOCATION__bindgen_ty_1__bindgen_ty_4 {
    pub Length: ULONG,
    pub __bindgen_padding_0: u32,
    pub Key: ULONG,
    pub Flags: ULONG,
    pub ByteOffset: LARGE_INTEGER,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct _IO_STACK_LOCATION__bindgen_ty_1__bindgen_ty_18 {
    pub OutputBufferLength: ULONG,
    pub __bindgen_padding_0: u32,
    pub InputBufferLength: ULONG,
    pub __bindgen_padding_1: u32,
    pub IoControlCode: ULONG,
    pub __bindgen_padding_2: u32,
    pub Type3InputBuffer: PVOID,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct _IO_STACK_LOCATION__bindgen_ty_1__bindgen_ty_41 {
    pub Argument1: PVOID,
    pub Argument2: PVOID,
    pub Argument3: PVOID,
    pub Argument4: PVOID,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub union _IO_STACK_LOCATION__bindgen_ty_1 {
    pub Create: _IO_STACK_LOCATION__bindgen_ty_1__bindgen_ty_1,
    pub Read: _IO_STACK_LOCATION__bindgen_ty_1__bindgen_ty_4,
    pub Write: _IO_STACK_LOCATION__bindgen_ty_1__bindgen_ty_4,
    pub DeviceIoControl: _IO_STACK_LOCATION__bindgen_ty_1__bindgen_ty_18,
    pub Others: _IO_STACK_LOCATION__bindgen_ty_1__bindgen_ty_41,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct _IO_STACK_LOCATION {
    pub MajorFunction: UCHAR,
    pub MinorFunction: UCHAR,
    pub Flags: UCHAR,
    pub Control: UCHAR,
    pub Parameters: _IO_STACK_LOCATION__bindgen_ty_1,
    pub DeviceObject: PDEVICE_OBJECT,
    pub FileObject: PFILE_OBJECT,
    pub CompletionRoutine: PIO_COMPLETION_ROUTINE,
    pub Context: PVOID,
}

c_enum!(_FILE_INFORMATION_CLASS, FILE_INFORMATION_CLASS { FileBasicInformation = 4, FileStandardInformation = 5, FileDispositionInformation = 13, FilePositionInformation = 14, FileEndOfFileInformation = 20 });
c_enum!(_KEY_INFORMATION_CLASS, KEY_INFORMATION_CLASS { KeyBasicInformation = 0 });
c_enum!(_KEY_VALUE_INFORMATION_CLASS, KEY_VALUE_INFORMATION_CLASS { KeyValueBasicInformation = 0, KeyValueFullInformation = 1, KeyValuePartialInformation = 2 });

pub const IRP_MJ_CREATE: ULONG = 0x00;
pub const IRP_MJ_CLOSE: ULONG = 0x02;
pub const IRP_MJ_READ: ULONG = 0x03;
pub const IRP_MJ_WRITE: ULONG = 0x04;
pub const IRP_MJ_DEVICE_CONTROL: ULONG = 0x0e;
pub const IRP_MJ_CLEANUP: ULONG = 0x12;
pub const IRP_MJ_MAXIMUM_FUNCTION: ULONG = 0x1b;

pub const FILE_DEVICE_NETWORK: ULONG = 0x12;
pub const FILE_DEVICE_UNKNOWN: ULONG = 0x22;
pub const FILE_DEVICE_SECURE_OPEN: ULONG = 0x100;
pub const DO_BUFFERED_IO: ULONG = 0x04;
pub const DO_EXCLUSIVE: ULONG = 0x08;
pub const DO_DIRECT_IO: ULONG = 0x10;
pub const DO_DEVICE_INITIALIZING: ULONG = 0x80;
pub const IO_NO_INCREMENT: ULONG = 0;
pub const SL_PENDING_RETURNED: ULONG = 0x01;
pub const SL_INVOKE_ON_CANCEL: ULONG = 0x20;
pub const SL_INVOKE_ON_SUCCESS: ULONG = 0x40;
pub const SL_INVOKE_ON_ERROR: ULONG = 0x80;
pub const METHOD_BUFFERED: ULONG = 0;
pub const FILE_ANY_ACCESS: ULONG = 0;

const _: () = {
    use core::mem::offset_of;
    assert!(size_of::<IO_CSQ>() == 64);
    assert!(size_of::<IO_CSQ_IRP_CONTEXT>() == 24);
    assert!(size_of::<IO_STATUS_BLOCK>() == 16);
    assert!(size_of::<DEVICE_OBJECT>() == 336);
    assert!(offset_of!(DEVICE_OBJECT, DeviceExtension) == 0x40);
    assert!(offset_of!(DEVICE_OBJECT, AlignmentRequirement) == 0x98);
    assert!(offset_of!(DEVICE_OBJECT, Dpc) == 0xc8);
    assert!(offset_of!(DEVICE_OBJECT, DeviceLock) == 0x118);
    assert!(offset_of!(DEVICE_OBJECT, DeviceObjectExtension) == 0x138);
    assert!(size_of::<FILE_OBJECT>() == 216);
    assert!(offset_of!(FILE_OBJECT, FileName) == 0x58);
    assert!(size_of::<IRP>() == 208);
    assert!(offset_of!(IRP, IoStatus) == 0x30);
    assert!(offset_of!(IRP, Cancel) == 0x44);
    assert!(offset_of!(IRP, CancelRoutine) == 0x68);
    assert!(offset_of!(IRP, Tail) == 0x78);
    assert!(offset_of!(_IRP__bindgen_ty_3__bindgen_ty_1, __bindgen_anon_2) == 0x30);
    assert!(size_of::<IO_STACK_LOCATION>() == 72);
    assert!(offset_of!(IO_STACK_LOCATION, DeviceObject) == 0x28);
    assert!(offset_of!(IO_STACK_LOCATION, CompletionRoutine) == 0x38);
};
