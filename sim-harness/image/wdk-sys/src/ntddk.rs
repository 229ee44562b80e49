//! Functions of ntoskrnl.exe. Each is documented on its page nf-wdm-<name> or nf-ntddk-<name> of the driver documentation.

use super::types::*;

imports! {
    "ntoskrnl.exe";

    // Pool.
    fn ExAllocatePool2(Flags: POOL_FLAGS, NumberOfBytes: SIZE_T, Tag: ULONG) -> PVOID;
    fn ExFreePool(P: PVOID);
    fn ExFreePoolWithTag(P: PVOID, Tag: ULONG);

    // IRQL and spin locks.
    fn KeGetCurrentIrql() -> KIRQL;
    fn KfRaiseIrql(NewIrql: KIRQL) -> KIRQL;
    fn KeLowerIrql(NewIrql: KIRQL);
    fn KeInitializeSpinLock(SpinLock: PKSPIN_LOCK);
    fn KeAcquireSpinLockRaiseToDpc(SpinLock: PKSPIN_LOCK) -> KIRQL;
    fn KeReleaseSpinLock(SpinLock: PKSPIN_LOCK, NewIrql: KIRQL);
    fn KeAcquireSpinLockAtDpcLevel(SpinLock: PKSPIN_LOCK);
    fn KeReleaseSpinLockFromDpcLevel(SpinLock: PKSPIN_LOCK);

    // Events and waits.
    fn KeInitializeEvent(Event: PRKEVENT, Type: EVENT_TYPE, State: BOOLEAN);
    fn KeSetEvent(Event: PRKEVENT, Increment: KPRIORITY, Wait: BOOLEAN) -> LONG;
    fn KeClearEvent(Event: PRKEVENT);
    fn KeReadStateEvent(Event: PRKEVENT) -> LONG;
    fn KeWaitForSingleObject(Object: PVOID, WaitReason: KWAIT_REASON, WaitMode: KPROCESSOR_MODE, Alertable: BOOLEAN, Timeout: PLARGE_INTEGER) -> NTSTATUS;
    fn KeDelayExecutionThread(WaitMode: KPROCESSOR_MODE, Alertable: BOOLEAN, Interval: PLARGE_INTEGER) -> NTSTATUS;

    // DPCs, timers, work items.
    fn KeInitializeDpc(Dpc: PRKDPC, DeferredRoutine: PKDEFERRED_ROUTINE, DeferredContext: PVOID);
    fn KeInsertQueueDpc(Dpc: PRKDPC, SystemArgument1: PVOID, SystemArgument2: PVOID) -> BOOLEAN;
    fn KeRemoveQueueDpc(Dpc: PRKDPC) -> BOOLEAN;
    fn KeFlushQueuedDpcs();
    fn KeSetImportanceDpc(Dpc: PRKDPC, Importance: KDPC_IMPORTANCE);
    fn ExAllocateTimer(Callback: PEXT_CALLBACK, CallbackContext: PVOID, Attributes: ULONG) -> PEX_TIMER;
    fn ExSetTimer(Timer: PEX_TIMER, DueTime: LONGLONG, Period: LONGLONG, Parameters: PEXT_SET_PARAMETERS) -> BOOLEAN;
    fn ExCancelTimer(Timer: PEX_TIMER, Parameters: PVOID) -> BOOLEAN;
    fn ExDeleteTimer(Timer: PEX_TIMER, Cancel: BOOLEAN, Wait: BOOLEAN, Parameters: PEXT_DELETE_PARAMETERS) -> BOOLEAN;
    fn IoAllocateWorkItem(DeviceObject: PDEVICE_OBJECT) -> PIO_WORKITEM;
    fn IoQueueWorkItem(IoWorkItem: PIO_WORKITEM, WorkerRoutine: PIO_WORKITEM_ROUTINE, QueueType: WORK_QUEUE_TYPE, Context: PVOID);
    fn IoQueueWorkItemEx(IoWorkItem: PIO_WORKITEM, WorkerRoutine: PIO_WORKITEM_ROUTINE_EX, QueueType: WORK_QUEUE_TYPE, Context: PVOID);
    fn IoFreeWorkItem(IoWorkItem: PIO_WORKITEM);

    // Time and processors.
    fn KeQueryPerformanceCounter(PerformanceFrequency: PLARGE_INTEGER) -> LARGE_INTEGER;
    fn KeGetCurrentProcessorNumberEx(ProcNumber: PPROCESSOR_NUMBER) -> ULONG;
    fn KeQueryActiveProcessorCountEx(GroupNumber: USHORT) -> ULONG;

    // MDLs.
    fn IoAllocateMdl(VirtualAddress: PVOID, Length: ULONG, SecondaryBuffer: BOOLEAN, ChargeQuota: BOOLEAN, Irp: PVOID) -> PMDL;
    fn IoFreeMdl(Mdl: PMDL);
    fn MmBuildMdlForNonPagedPool(MemoryDescriptorList: PMDL);
    fn MmMapLockedPagesSpecifyCache(MemoryDescriptorList: PMDL, AccessMode: KPROCESSOR_MODE, CacheType: MEMORY_CACHING_TYPE, RequestedAddress: PVOID, BugCheckOnFailure: ULONG, Priority: ULONG) -> PVOID;
    fn MmUnmapLockedPages(BaseAddress: PVOID, MemoryDescriptorList: PMDL);

    // The event log.
    fn IoAllocateErrorLogEntry(IoObject: PVOID, EntrySize: UCHAR) -> PVOID;
    fn IoWriteErrorLogEntry(ElEntry: PVOID);

    // Strings, the debugger, the end.
    fn RtlInitUnicodeString(DestinationString: PUNICODE_STRING, SourceString: PCWSTR);
    fn RtlEqualUnicodeString(String1: PCUNICODE_STRING, String2: PCUNICODE_STRING, CaseInSensitive: BOOLEAN) -> BOOLEAN;
    fn KeBugCheckEx(BugCheckCode: ULONG, BugCheckParameter1: SIZE_T, BugCheckParameter2: SIZE_T, BugCheckParameter3: SIZE_T, BugCheckParameter4: SIZE_T) -> !;

    // What compiled code calls.
    fn memcpy(Destination: PVOID, Source: *const core::ffi::c_void, Count: SIZE_T) -> PVOID;
    fn memmove(Destination: PVOID, Source: *const core::ffi::c_void, Count: SIZE_T) -> PVOID;
    fn memset(Destination: PVOID, Value: i32, Count: SIZE_T) -> PVOID;
    fn memcmp(Left: *const core::ffi::c_void, Right: *const core::ffi::c_void, Count: SIZE_T) -> i32;
    fn strlen(String: PCSTR) -> SIZE_T;
}
