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
    fn KeQuerySystemTimePrecise(CurrentTime: PLARGE_INTEGER);
    fn KeQueryInterruptTimePrecise(QpcTimeStamp: PULONG64) -> ULONGLONG;
    fn KeQueryInterruptTime() -> ULONGLONG;
    fn KeQueryTimeIncrement() -> ULONG;
    fn KeStallExecutionProcessor(MicroSeconds: ULONG);
    fn ExSystemTimeToLocalTime(SystemTime: PLARGE_INTEGER, LocalTime: PLARGE_INTEGER);
    fn ExLocalTimeToSystemTime(LocalTime: PLARGE_INTEGER, SystemTime: PLARGE_INTEGER);
    fn KeGetCurrentProcessorNumberEx(ProcNumber: PPROCESSOR_NUMBER) -> ULONG;
    fn KeQueryActiveProcessorCountEx(GroupNumber: USHORT) -> ULONG;

    // MDLs.
    fn IoAllocateMdl(VirtualAddress: PVOID, Length: ULONG, SecondaryBuffer: BOOLEAN, ChargeQuota: BOOLEAN, Irp: PIRP) -> PMDL;
    fn IoFreeMdl(Mdl: PMDL);
    fn MmBuildMdlForNonPagedPool(MemoryDescriptorList: PMDL);
    fn MmMapLockedPagesSpecifyCache(MemoryDescriptorList: PMDL, AccessMode: KPROCESSOR_MODE, CacheType: MEMORY_CACHING_TYPE, RequestedAddress: PVOID, BugCheckOnFailure: ULONG, Priority: ULONG) -> PVOID;
    fn MmUnmapLockedPages(BaseAddress: PVOID, MemoryDescriptorList: PMDL);

    fn MmProbeAndLockPages(MemoryDescriptorList: PMDL, AccessMode: KPROCESSOR_MODE, Operation: LOCK_OPERATION);
    fn MmUnlockPages(MemoryDescriptorList: PMDL);

    // Devices and their names.
    fn IoCreateDevice(DriverObject: PDRIVER_OBJECT, DeviceExtensionSize: ULONG, DeviceName: PUNICODE_STRING, DeviceType: ULONG, DeviceCharacteristics: ULONG, Exclusive: BOOLEAN, DeviceObject: *mut PDEVICE_OBJECT) -> NTSTATUS;
    fn IoDeleteDevice(DeviceObject: PDEVICE_OBJECT);
    fn IoCreateSymbolicLink(SymbolicLinkName: PUNICODE_STRING, DeviceName: PUNICODE_STRING) -> NTSTATUS;
    fn IoDeleteSymbolicLink(SymbolicLinkName: PUNICODE_STRING) -> NTSTATUS;

    // Requests.
    fn IoAllocateIrp(StackSize: CCHAR, ChargeQuota: BOOLEAN) -> PIRP;
    fn IoInitializeIrp(Irp: PIRP, PacketSize: USHORT, StackSize: CCHAR);
    fn IoReuseIrp(Irp: PIRP, Iostatus: NTSTATUS);
    fn IoFreeIrp(Irp: PIRP);
    fn IofCallDriver(DeviceObject: PDEVICE_OBJECT, Irp: PIRP) -> NTSTATUS;
    fn IofCompleteRequest(Irp: PIRP, PriorityBoost: CCHAR);
    fn IoCancelIrp(Irp: PIRP) -> BOOLEAN;
    fn IoAcquireCancelSpinLock(Irql: PKIRQL);
    fn IoReleaseCancelSpinLock(Irql: KIRQL);

    // Queues of requests that may be cancelled.
    fn IoCsqInitialize(Csq: PIO_CSQ, CsqInsertIrp: PIO_CSQ_INSERT_IRP, CsqRemoveIrp: PIO_CSQ_REMOVE_IRP, CsqPeekNextIrp: PIO_CSQ_PEEK_NEXT_IRP, CsqAcquireLock: PIO_CSQ_ACQUIRE_LOCK, CsqReleaseLock: PIO_CSQ_RELEASE_LOCK, CsqCompleteCanceledIrp: PIO_CSQ_COMPLETE_CANCELED_IRP) -> NTSTATUS;
    fn IoCsqInitializeEx(Csq: PIO_CSQ, CsqInsertIrp: PIO_CSQ_INSERT_IRP_EX, CsqRemoveIrp: PIO_CSQ_REMOVE_IRP, CsqPeekNextIrp: PIO_CSQ_PEEK_NEXT_IRP, CsqAcquireLock: PIO_CSQ_ACQUIRE_LOCK, CsqReleaseLock: PIO_CSQ_RELEASE_LOCK, CsqCompleteCanceledIrp: PIO_CSQ_COMPLETE_CANCELED_IRP) -> NTSTATUS;
    fn IoCsqInsertIrp(Csq: PIO_CSQ, Irp: PIRP, Context: PIO_CSQ_IRP_CONTEXT);
    fn IoCsqInsertIrpEx(Csq: PIO_CSQ, Irp: PIRP, Context: PIO_CSQ_IRP_CONTEXT, InsertContext: PVOID) -> NTSTATUS;
    fn IoCsqRemoveNextIrp(Csq: PIO_CSQ, PeekContext: PVOID) -> PIRP;
    fn IoCsqRemoveIrp(Csq: PIO_CSQ, Context: PIO_CSQ_IRP_CONTEXT) -> PIRP;

    // Threads, handles, objects.
    fn PsCreateSystemThread(ThreadHandle: PHANDLE, DesiredAccess: ULONG, ObjectAttributes: POBJECT_ATTRIBUTES, ProcessHandle: HANDLE, ClientId: PCLIENT_ID, StartRoutine: PKSTART_ROUTINE, StartContext: PVOID) -> NTSTATUS;
    fn PsTerminateSystemThread(ExitStatus: NTSTATUS) -> NTSTATUS;
    fn KeGetCurrentThread() -> PRKTHREAD;
    fn KeSetPriorityThread(Thread: PKTHREAD, Priority: KPRIORITY) -> KPRIORITY;
    fn KeSetBasePriorityThread(Thread: PKTHREAD, Increment: LONG) -> LONG;
    fn KeQueryPriorityThread(Thread: PKTHREAD) -> KPRIORITY;
    fn KeAreApcsDisabled() -> BOOLEAN;
    fn PsGetCurrentThreadId() -> HANDLE;
    fn PsGetCurrentProcessId() -> HANDLE;
    fn KeEnterCriticalRegion();
    fn KeLeaveCriticalRegion();
    fn ObReferenceObjectByHandle(Handle: HANDLE, DesiredAccess: ACCESS_MASK, ObjectType: POBJECT_TYPE, AccessMode: KPROCESSOR_MODE, Object: *mut PVOID, HandleInformation: POBJECT_HANDLE_INFORMATION) -> NTSTATUS;
    fn ObfReferenceObject(Object: PVOID) -> LONG_PTR;
    fn ObfDereferenceObject(Object: PVOID) -> LONG_PTR;
    fn ZwClose(Handle: HANDLE) -> NTSTATUS;

    // Files and keys of the registry.
    fn ZwCreateFile(FileHandle: PHANDLE, DesiredAccess: ACCESS_MASK, ObjectAttributes: POBJECT_ATTRIBUTES, IoStatusBlock: PIO_STATUS_BLOCK, AllocationSize: PLARGE_INTEGER, FileAttributes: ULONG, ShareAccess: ULONG, CreateDisposition: ULONG, CreateOptions: ULONG, EaBuffer: PVOID, EaLength: ULONG) -> NTSTATUS;
    fn ZwOpenFile(FileHandle: PHANDLE, DesiredAccess: ACCESS_MASK, ObjectAttributes: POBJECT_ATTRIBUTES, IoStatusBlock: PIO_STATUS_BLOCK, ShareAccess: ULONG, OpenOptions: ULONG) -> NTSTATUS;
    fn ZwReadFile(FileHandle: HANDLE, Event: HANDLE, ApcRoutine: PVOID, ApcContext: PVOID, IoStatusBlock: PIO_STATUS_BLOCK, Buffer: PVOID, Length: ULONG, ByteOffset: PLARGE_INTEGER, Key: PULONG) -> NTSTATUS;
    fn ZwWriteFile(FileHandle: HANDLE, Event: HANDLE, ApcRoutine: PVOID, ApcContext: PVOID, IoStatusBlock: PIO_STATUS_BLOCK, Buffer: PVOID, Length: ULONG, ByteOffset: PLARGE_INTEGER, Key: PULONG) -> NTSTATUS;
    fn ZwQueryInformationFile(FileHandle: HANDLE, IoStatusBlock: PIO_STATUS_BLOCK, FileInformation: PVOID, Length: ULONG, FileInformationClass: FILE_INFORMATION_CLASS) -> NTSTATUS;
    fn ZwSetInformationFile(FileHandle: HANDLE, IoStatusBlock: PIO_STATUS_BLOCK, FileInformation: PVOID, Length: ULONG, FileInformationClass: FILE_INFORMATION_CLASS) -> NTSTATUS;
    fn ZwDeleteFile(ObjectAttributes: POBJECT_ATTRIBUTES) -> NTSTATUS;
    fn ZwOpenKey(KeyHandle: PHANDLE, DesiredAccess: ACCESS_MASK, ObjectAttributes: POBJECT_ATTRIBUTES) -> NTSTATUS;
    fn ZwCreateKey(KeyHandle: PHANDLE, DesiredAccess: ACCESS_MASK, ObjectAttributes: POBJECT_ATTRIBUTES, TitleIndex: ULONG, Class: PUNICODE_STRING, CreateOptions: ULONG, Disposition: PULONG) -> NTSTATUS;
    fn ZwQueryValueKey(KeyHandle: HANDLE, ValueName: PUNICODE_STRING, KeyValueInformationClass: KEY_VALUE_INFORMATION_CLASS, KeyValueInformation: PVOID, Length: ULONG, ResultLength: PULONG) -> NTSTATUS;
    fn ZwSetValueKey(KeyHandle: HANDLE, ValueName: PUNICODE_STRING, TitleIndex: ULONG, Type: ULONG, Data: PVOID, DataSize: ULONG) -> NTSTATUS;
    fn ZwDeleteValueKey(KeyHandle: HANDLE, ValueName: PUNICODE_STRING) -> NTSTATUS;
    fn ZwDeleteKey(KeyHandle: HANDLE) -> NTSTATUS;
    fn ZwEnumerateKey(KeyHandle: HANDLE, Index: ULONG, KeyInformationClass: KEY_INFORMATION_CLASS, KeyInformation: PVOID, Length: ULONG, ResultLength: PULONG) -> NTSTATUS;
    fn ZwFlushKey(KeyHandle: HANDLE) -> NTSTATUS;

    // Other objects to wait for.
    fn KeResetEvent(Event: PRKEVENT) -> LONG;
    fn KeWaitForMultipleObjects(Count: ULONG, Object: *mut PVOID, WaitType: WAIT_TYPE, WaitReason: KWAIT_REASON, WaitMode: KPROCESSOR_MODE, Alertable: BOOLEAN, Timeout: PLARGE_INTEGER, WaitBlockArray: PKWAIT_BLOCK) -> NTSTATUS;
    fn KeInitializeMutex(Mutex: PRKMUTEX, Level: ULONG);
    fn KeReadStateMutex(Mutex: PRKMUTEX) -> LONG;
    fn KeReleaseMutex(Mutex: PRKMUTEX, Wait: BOOLEAN) -> LONG;
    fn KeInitializeSemaphore(Semaphore: PRKSEMAPHORE, Count: LONG, Limit: LONG);
    fn KeReadStateSemaphore(Semaphore: PRKSEMAPHORE) -> LONG;
    fn KeReleaseSemaphore(Semaphore: PRKSEMAPHORE, Increment: KPRIORITY, Adjustment: LONG, Wait: BOOLEAN) -> LONG;
    fn KeInitializeTimer(Timer: PKTIMER);
    fn KeInitializeTimerEx(Timer: PKTIMER, Type: TIMER_TYPE);
    fn KeSetTimer(Timer: PKTIMER, DueTime: LARGE_INTEGER, Dpc: PKDPC) -> BOOLEAN;
    fn KeSetTimerEx(Timer: PKTIMER, DueTime: LARGE_INTEGER, Period: LONG, Dpc: PKDPC) -> BOOLEAN;
    fn KeCancelTimer(Timer: PKTIMER) -> BOOLEAN;
    fn KeReadStateTimer(Timer: PKTIMER) -> BOOLEAN;
    fn ExAcquireFastMutex(FastMutex: PFAST_MUTEX);
    fn ExTryToAcquireFastMutex(FastMutex: PFAST_MUTEX) -> BOOLEAN;
    fn ExReleaseFastMutex(FastMutex: PFAST_MUTEX);

    // Queued spin locks.
    fn KeAcquireInStackQueuedSpinLock(SpinLock: PKSPIN_LOCK, LockHandle: PKLOCK_QUEUE_HANDLE);
    fn KeReleaseInStackQueuedSpinLock(LockHandle: PKLOCK_QUEUE_HANDLE);
    fn KeAcquireInStackQueuedSpinLockAtDpcLevel(SpinLock: PKSPIN_LOCK, LockHandle: PKLOCK_QUEUE_HANDLE);
    fn KeReleaseInStackQueuedSpinLockFromDpcLevel(LockHandle: PKLOCK_QUEUE_HANDLE);
    fn KeTryToAcquireSpinLockAtDpcLevel(SpinLock: PKSPIN_LOCK) -> BOOLEAN;

    // Rundown protection.
    fn ExInitializeRundownProtection(RunRef: PEX_RUNDOWN_REF);
    fn ExReInitializeRundownProtection(RunRef: PEX_RUNDOWN_REF);
    fn ExAcquireRundownProtection(RunRef: PEX_RUNDOWN_REF) -> BOOLEAN;
    fn ExAcquireRundownProtectionEx(RunRef: PEX_RUNDOWN_REF, Count: ULONG) -> BOOLEAN;
    fn ExReleaseRundownProtection(RunRef: PEX_RUNDOWN_REF);
    fn ExReleaseRundownProtectionEx(RunRef: PEX_RUNDOWN_REF, Count: ULONG);
    fn ExRundownCompleted(RunRef: PEX_RUNDOWN_REF);
    fn ExWaitForRundownProtectionRelease(RunRef: PEX_RUNDOWN_REF);

    // Lists.
    fn ExInterlockedInsertHeadList(ListHead: PLIST_ENTRY, ListEntry: PLIST_ENTRY, Lock: PKSPIN_LOCK) -> PLIST_ENTRY;
    fn ExInterlockedInsertTailList(ListHead: PLIST_ENTRY, ListEntry: PLIST_ENTRY, Lock: PKSPIN_LOCK) -> PLIST_ENTRY;
    fn ExInterlockedRemoveHeadList(ListHead: PLIST_ENTRY, Lock: PKSPIN_LOCK) -> PLIST_ENTRY;
    fn InitializeSListHead(SListHead: PSLIST_HEADER);
    fn ExpInterlockedPushEntrySList(ListHead: PSLIST_HEADER, ListEntry: PSLIST_ENTRY) -> PSLIST_ENTRY;
    fn ExpInterlockedPopEntrySList(ListHead: PSLIST_HEADER) -> PSLIST_ENTRY;
    fn ExpInterlockedFlushSList(ListHead: PSLIST_HEADER) -> PSLIST_ENTRY;
    fn ExQueryDepthSList(SListHead: PSLIST_HEADER) -> USHORT;

    // Functions by name.
    fn MmGetSystemRoutineAddress(SystemRoutineName: PUNICODE_STRING) -> PVOID;

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
