//! What a driver may import, and where each function is documented.

/// Functions of ntoskrnl.exe on pages of wdm.h.
const WDM: &[&str] = &[
    "ExAcquireFastMutex",
    "ExAcquireRundownProtection",
    "ExAcquireRundownProtectionEx",
    "ExAllocatePool2",
    "ExAllocateTimer",
    "ExCancelTimer",
    "ExDeleteTimer",
    "ExFreePool",
    "ExFreePoolWithTag",
    "ExInitializeRundownProtection",
    "ExInterlockedInsertHeadList",
    "ExInterlockedInsertTailList",
    "ExInterlockedRemoveHeadList",
    "ExLocalTimeToSystemTime",
    "ExQueryDepthSList",
    "ExReInitializeRundownProtection",
    "ExReleaseFastMutex",
    "ExReleaseRundownProtection",
    "ExReleaseRundownProtectionEx",
    "ExRundownCompleted",
    "ExSetTimer",
    "ExSystemTimeToLocalTime",
    "ExTryToAcquireFastMutex",
    "ExWaitForRundownProtectionRelease",
    "InitializeSListHead",
    "IoAcquireCancelSpinLock",
    "IoAllocateErrorLogEntry",
    "IoAllocateIrp",
    "IoAllocateMdl",
    "IoAllocateWorkItem",
    "IoCancelIrp",
    "IoCreateDevice",
    "IoCreateSymbolicLink",
    "IoCsqInitialize",
    "IoCsqInitializeEx",
    "IoCsqInsertIrp",
    "IoCsqInsertIrpEx",
    "IoCsqRemoveIrp",
    "IoCsqRemoveNextIrp",
    "IoDeleteDevice",
    "IoDeleteSymbolicLink",
    "IoFreeIrp",
    "IoFreeMdl",
    "IoFreeWorkItem",
    "IoInitializeIrp",
    "IoQueueWorkItem",
    "IoQueueWorkItemEx",
    "IoReleaseCancelSpinLock",
    "IoReuseIrp",
    "IoWriteErrorLogEntry",
    "IofCallDriver",
    "KeAcquireInStackQueuedSpinLock",
    "KeAcquireInStackQueuedSpinLockAtDpcLevel",
    "KeAcquireSpinLockAtDpcLevel",
    "KeAcquireSpinLockRaiseToDpc",
    "KeAreApcsDisabled",
    "KeBugCheckEx",
    "KeCancelTimer",
    "KeClearEvent",
    "KeDelayExecutionThread",
    "KeEnterCriticalRegion",
    "KeFlushQueuedDpcs",
    "KeGetCurrentIrql",
    "KeGetCurrentProcessorNumberEx",
    "KeGetCurrentThread",
    "KeInitializeDpc",
    "KeInitializeEvent",
    "KeInitializeMutex",
    "KeInitializeSemaphore",
    "KeInitializeSpinLock",
    "KeInitializeTimer",
    "KeInitializeTimerEx",
    "KeInsertQueueDpc",
    "KeLeaveCriticalRegion",
    "KeLowerIrql",
    "KeQueryActiveProcessorCountEx",
    "KeQueryInterruptTime",
    "KeQueryInterruptTimePrecise",
    "KeQueryPerformanceCounter",
    "KeQueryPriorityThread",
    "KeQuerySystemTimePrecise",
    "KeQueryTimeIncrement",
    "KeReadStateEvent",
    "KeReadStateMutex",
    "KeReadStateSemaphore",
    "KeReadStateTimer",
    "KeReleaseInStackQueuedSpinLock",
    "KeReleaseInStackQueuedSpinLockFromDpcLevel",
    "KeReleaseMutex",
    "KeReleaseSemaphore",
    "KeReleaseSpinLock",
    "KeReleaseSpinLockFromDpcLevel",
    "KeRemoveQueueDpc",
    "KeResetEvent",
    "KeSetEvent",
    "KeSetImportanceDpc",
    "KeSetPriorityThread",
    "KeSetTimer",
    "KeSetTimerEx",
    "KeStallExecutionProcessor",
    "KeTryToAcquireSpinLockAtDpcLevel",
    "KeWaitForMultipleObjects",
    "KeWaitForSingleObject",
    "MmBuildMdlForNonPagedPool",
    "MmGetSystemRoutineAddress",
    "MmMapLockedPagesSpecifyCache",
    "MmProbeAndLockPages",
    "MmUnlockPages",
    "MmUnmapLockedPages",
    "ObReferenceObjectByHandle",
    "ObfReferenceObject",
    "PsCreateSystemThread",
    "PsTerminateSystemThread",
    "RtlEqualUnicodeString",
    "RtlInitUnicodeString",
    "ZwClose",
    "ZwCreateFile",
    "ZwCreateKey",
    "ZwDeleteKey",
    "ZwDeleteValueKey",
    "ZwEnumerateKey",
    "ZwFlushKey",
    "ZwOpenFile",
    "ZwOpenKey",
    "ZwQueryInformationFile",
    "ZwQueryValueKey",
    "ZwReadFile",
    "ZwSetInformationFile",
    "ZwSetValueKey",
    "ZwWriteFile",
];

/// The rest of ntoskrnl.exe, with the page each is on.
const NTOSKRNL: &[(&str, &str)] = &[
    // The function behind IoCompleteRequest.
    ("IofCompleteRequest", "ddi/wdm/nf-wdm-iocompleterequest"),
    ("KeSetBasePriorityThread", "ddi/ntddk/nf-ntddk-kesetbaseprioritythread"),
    // The function behind ObDereferenceObject.
    ("ObfDereferenceObject", "ddi/wdm/nf-wdm-obdereferenceobject"),
    // The functions behind ExInterlocked...SList.
    ("ExpInterlockedPushEntrySList", "ddi/wdm/nf-wdm-exinterlockedpushentryslist"),
    ("ExpInterlockedPopEntrySList", "ddi/wdm/nf-wdm-exinterlockedpopentryslist"),
    ("ExpInterlockedFlushSList", "ddi/wdm/nf-wdm-exinterlockedflushslist"),
    ("PsGetCurrentProcessId", "ddi/ntddk/nf-ntddk-psgetcurrentprocessid"),
    ("PsGetCurrentThreadId", "ddi/ntddk/nf-ntddk-psgetcurrentthreadid"),
    ("ZwDeleteFile", "ddi/ntifs/nf-ntifs-zwdeletefile"),
    // The function behind KeRaiseIrql.
    ("KfRaiseIrql", "ddi/wdm/nf-wdm-keraiseirql"),
    ("memcmp", "ddi/wdm/nf-wdm-rtlcomparememory"),
    ("memcpy", "ddi/wdm/nf-wdm-rtlcopymemory"),
    ("memmove", "ddi/wdm/nf-wdm-rtlmovememory"),
    ("memset", "ddi/wdm/nf-wdm-rtlfillmemory"),
    // Of the C library that the kernel exports.
    ("strlen", "ddi/ntstrsafe/nf-ntstrsafe-rtlstringcblengtha"),
];

/// Functions of NDIS.SYS, all on pages of ndis.h.
const NDIS: &str = include_str!("../../../ndk-types/src/imports/ndis.rs");
/// Functions of CNG.SYS, all on pages of bcrypt.h.
const CNG: &str = include_str!("../../../ndk-types/src/imports/cng.rs");
/// Functions of NETIO.SYS: the Network Module Registrar, WSK, the IP Helper.
const NETIO: &str = include_str!("../../../ndk-types/src/imports/netio.rs");

const DRIVER_PAGES: &str = "https://learn.microsoft.com/windows-hardware/drivers";
const WIN32_PAGES: &str = "https://learn.microsoft.com/windows/win32/api";
/// The loader's contract is in the framework's public source.
const FRAMEWORK: &str = "https://github.com/microsoft/Windows-Driver-Frameworks";

/// Whether a file of prototypes declares this function.
fn declares(prototypes: &str, name: &str) -> bool {
    let declares = |line: &str| {
        let rest = line.trim_start().strip_prefix("fn ").and_then(|rest| rest.strip_prefix(name));
        rest.is_some_and(|rest| rest.starts_with('('))
    };
    prototypes.lines().any(declares)
}

/// The page that documents an import; `None` for one that a driver may not have.
pub(super) fn page(library: &str, name: &str) -> Option<String> {
    let lower = name.to_lowercase();
    match library.to_lowercase().as_str() {
        "ntoskrnl.exe" => {
            if WDM.contains(&name) {
                return Some(format!("{DRIVER_PAGES}/ddi/wdm/nf-wdm-{lower}"));
            }
            let entry = NTOSKRNL.iter().find(|(function, _)| *function == name)?;
            Some(format!("{DRIVER_PAGES}/{}", entry.1))
        }
        "ndis.sys" => declares(NDIS, name).then(|| format!("{DRIVER_PAGES}/ddi/ndis/nf-ndis-{lower}")),
        "cng.sys" => declares(CNG, name).then(|| format!("{WIN32_PAGES}/bcrypt/nf-bcrypt-{lower}")),
        "netio.sys" if !declares(NETIO, name) => None,
        "netio.sys" if name.starts_with("Nmr") => Some(format!("{DRIVER_PAGES}/ddi/netioddk/nf-netioddk-{lower}")),
        "netio.sys" if name.starts_with("Wsk") => Some(format!("{DRIVER_PAGES}/ddi/wsk/nf-wsk-{lower}")),
        "netio.sys" => Some(format!("{WIN32_PAGES}/netioapi/nf-netioapi-{lower}")),
        "wdfldr.sys" if ["WdfVersionBind", "WdfVersionUnbind"].contains(&name) => Some(FRAMEWORK.to_owned()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_on_the_list_has_a_page() {
        let has = |library, name| page(library, name).is_some();
        assert!(
            has("NDIS.SYS", "NdisOpenAdapterEx") && has("NETIO.SYS", "GetBestRoute2") && has("ntoskrnl.exe", "memcpy")
        );
        assert!(has("CNG.SYS", "BCryptGenRandom") && !has("CNG.SYS", "BCryptHash"));
        assert!(has("WDFLDR.SYS", "WdfVersionBind") && !has("WDFLDR.SYS", "WdfVersionBindClass"));
        assert!(!has("NDIS.SYS", "NdisOpen") && !has("ntoskrnl.exe", "ZwLoadDriver") && !has("fltmgr.sys", "memcpy"));
    }

    /// Every function that the kernel's prototypes name is on the list.
    #[test]
    fn every_prototype_of_ntoskrnl_has_a_page() {
        let prototypes = include_str!("../../image/wdk-sys/src/ntddk.rs");
        let names = prototypes.lines().filter_map(|line| line.trim_start().strip_prefix("fn ")?.split('(').next());
        let missing: Vec<_> = names.filter(|name| page("ntoskrnl.exe", name).is_none()).collect();
        assert_eq!(missing, Vec::<&str>::new());
    }
}
