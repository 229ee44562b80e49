//! Functions of ntoskrnl.exe that drivers written in C import and wdk-sys does not bind, or binds with a variable number of
//! arguments. Those that take `...` have as many words here as the border carries over.

use super::types::*;
use core::ffi::c_void;

pub type PANSI_STRING = *mut ANSI_STRING;
pub type PCANSI_STRING = *const ANSI_STRING;

#[repr(C)]
#[derive(Clone, Copy)]
pub struct ANSI_STRING {
    pub Length: USHORT,
    pub MaximumLength: USHORT,
    pub Buffer: *mut u8,
}

/// `va_list`: one word after the other.
pub type VA_LIST = *const u64;
/// A comparison for sorting and searching.
pub type COMPARE = unsafe extern "win64" fn(*const c_void, *const c_void) -> i32;
/// Words that stand for `...`.
type W = u64;

imports! {
    "ntoskrnl.exe";

    // Pool and lookaside lists.
    fn ExAllocatePoolWithTag(PoolType: i32, NumberOfBytes: SIZE_T, Tag: ULONG) -> PVOID;
    fn ExAllocatePool(PoolType: i32, NumberOfBytes: SIZE_T) -> PVOID;
    fn ExInitializeNPagedLookasideList(Lookaside: PVOID, Allocate: PVOID, Free: PVOID, Flags: ULONG, Size: SIZE_T, Tag: ULONG, Depth: USHORT);
    fn ExDeleteNPagedLookasideList(Lookaside: PVOID);
    fn ExInitializePagedLookasideList(Lookaside: PVOID, Allocate: PVOID, Free: PVOID, Flags: ULONG, Size: SIZE_T, Tag: ULONG, Depth: USHORT);
    fn ExDeletePagedLookasideList(Lookaside: PVOID);
    fn ExInitializeLookasideListEx(Lookaside: PVOID, Allocate: PVOID, Free: PVOID, PoolType: i32, Flags: ULONG, Size: SIZE_T, Tag: ULONG, Depth: USHORT) -> NTSTATUS;
    fn ExDeleteLookasideListEx(Lookaside: PVOID);

    // Printing.
    fn DbgPrint(Format: PCSTR, a: W, b: W, c: W, d: W, e: W, f: W, g: W, h: W, i: W, j: W, k: W, l: W, m: W, n: W, o: W) -> ULONG;
    fn DbgPrintEx(Component: ULONG, Level: ULONG, Format: PCSTR, a: W, b: W, c: W, d: W, e: W, f: W, g: W, h: W, i: W, j: W, k: W, l: W, m: W) -> ULONG;
    fn vDbgPrintEx(Component: ULONG, Level: ULONG, Format: PCSTR, Arguments: VA_LIST) -> ULONG;
    fn vDbgPrintExWithPrefix(Prefix: PCSTR, Component: ULONG, Level: ULONG, Format: PCSTR, Arguments: VA_LIST) -> ULONG;
    fn _snprintf(Buffer: *mut u8, Count: SIZE_T, Format: PCSTR, a: W, b: W, c: W, d: W, e: W, f: W, g: W, h: W, i: W, j: W, k: W, l: W, m: W) -> i32;
    fn sprintf_s(Buffer: *mut u8, Count: SIZE_T, Format: PCSTR, a: W, b: W, c: W, d: W, e: W, f: W, g: W, h: W, i: W, j: W, k: W, l: W, m: W) -> i32;
    fn _vsnprintf(Buffer: *mut u8, Count: SIZE_T, Format: PCSTR, Arguments: VA_LIST) -> i32;
    fn _snwprintf(Buffer: *mut u16, Count: SIZE_T, Format: PCWSTR, a: W, b: W, c: W, d: W, e: W, f: W, g: W, h: W, i: W, j: W, k: W, l: W, m: W) -> i32;
    fn swprintf_s(Buffer: *mut u16, Count: SIZE_T, Format: PCWSTR, a: W, b: W, c: W, d: W, e: W, f: W, g: W, h: W, i: W, j: W, k: W, l: W, m: W) -> i32;
    fn _vsnwprintf(Buffer: *mut u16, Count: SIZE_T, Format: PCWSTR, Arguments: VA_LIST) -> i32;

    // Counted strings.
    fn RtlInitAnsiString(Destination: PANSI_STRING, Source: PCSTR);
    fn RtlInitString(Destination: PANSI_STRING, Source: PCSTR);
    fn RtlCopyUnicodeString(Destination: PUNICODE_STRING, Source: PCUNICODE_STRING);
    fn RtlAppendUnicodeToString(Destination: PUNICODE_STRING, Source: PCWSTR) -> NTSTATUS;
    fn RtlAppendUnicodeStringToString(Destination: PUNICODE_STRING, Source: PCUNICODE_STRING) -> NTSTATUS;
    fn RtlAnsiStringToUnicodeString(Destination: PUNICODE_STRING, Source: PCANSI_STRING, Allocate: BOOLEAN) -> NTSTATUS;
    fn RtlUnicodeStringToAnsiString(Destination: PANSI_STRING, Source: PCUNICODE_STRING, Allocate: BOOLEAN) -> NTSTATUS;
    fn RtlFreeUnicodeString(String: PUNICODE_STRING);
    fn RtlFreeAnsiString(String: PANSI_STRING);
    fn RtlUnicodeStringToInteger(String: PCUNICODE_STRING, Base: ULONG, Value: PULONG) -> NTSTATUS;
    fn RtlIntegerToUnicodeString(Value: ULONG, Base: ULONG, String: PUNICODE_STRING) -> NTSTATUS;
    fn RtlCompareUnicodeString(String1: PCUNICODE_STRING, String2: PCUNICODE_STRING, CaseInSensitive: BOOLEAN) -> LONG;
    fn RtlPrefixUnicodeString(String1: PCUNICODE_STRING, String2: PCUNICODE_STRING, CaseInSensitive: BOOLEAN) -> BOOLEAN;
    fn RtlUpcaseUnicodeChar(Source: WCHAR) -> WCHAR;
    fn RtlCompareMemory(Source1: *const c_void, Source2: *const c_void, Length: SIZE_T) -> SIZE_T;

    // Addresses of IP as text.
    fn RtlIpv4StringToAddressW(S: PCWSTR, Strict: BOOLEAN, Terminator: *mut PCWSTR, Addr: *mut [u8; 4]) -> NTSTATUS;
    fn RtlIpv4StringToAddressExW(S: PCWSTR, Strict: BOOLEAN, Addr: *mut [u8; 4], Port: *mut USHORT) -> NTSTATUS;
    fn RtlIpv4AddressToStringW(Addr: *const [u8; 4], S: PWSTR) -> PWSTR;
    fn RtlIpv6StringToAddressW(S: PCWSTR, Terminator: *mut PCWSTR, Addr: *mut [u8; 16]) -> NTSTATUS;
    fn RtlIpv6StringToAddressExW(S: PCWSTR, Addr: *mut [u8; 16], ScopeId: PULONG, Port: *mut USHORT) -> NTSTATUS;
    fn RtlIpv6AddressToStringW(Addr: *const [u8; 16], S: PWSTR) -> PWSTR;

    // The C runtime's part.
    fn strcmp(a: PCSTR, b: PCSTR) -> i32;
    fn strncmp(a: PCSTR, b: PCSTR, n: SIZE_T) -> i32;
    fn _stricmp(a: PCSTR, b: PCSTR) -> i32;
    fn _strnicmp(a: PCSTR, b: PCSTR, n: SIZE_T) -> i32;
    fn strnlen(s: PCSTR, n: SIZE_T) -> SIZE_T;
    fn strcpy(to: PCHAR, from: PCSTR) -> PCHAR;
    fn strncpy(to: PCHAR, from: PCSTR, n: SIZE_T) -> PCHAR;
    fn strcat(to: PCHAR, from: PCSTR) -> PCHAR;
    fn strchr(s: PCSTR, c: i32) -> PCSTR;
    fn strrchr(s: PCSTR, c: i32) -> PCSTR;
    fn strstr(s: PCSTR, what: PCSTR) -> PCSTR;
    fn strcpy_s(to: PCHAR, room: SIZE_T, from: PCSTR) -> i32;
    fn strcat_s(to: PCHAR, room: SIZE_T, from: PCSTR) -> i32;
    fn atoi(s: PCSTR) -> i32;
    fn wcslen(s: PCWSTR) -> SIZE_T;
    fn wcsnlen(s: PCWSTR, n: SIZE_T) -> SIZE_T;
    fn wcscmp(a: PCWSTR, b: PCWSTR) -> i32;
    fn wcsncmp(a: PCWSTR, b: PCWSTR, n: SIZE_T) -> i32;
    fn _wcsicmp(a: PCWSTR, b: PCWSTR) -> i32;
    fn _wcsnicmp(a: PCWSTR, b: PCWSTR, n: SIZE_T) -> i32;
    fn wcscpy(to: PWSTR, from: PCWSTR) -> PWSTR;
    fn wcsncpy(to: PWSTR, from: PCWSTR, n: SIZE_T) -> PWSTR;
    fn wcscat(to: PWSTR, from: PCWSTR) -> PWSTR;
    fn wcschr(s: PCWSTR, c: WCHAR) -> PCWSTR;
    fn wcsrchr(s: PCWSTR, c: WCHAR) -> PCWSTR;
    fn wcsstr(s: PCWSTR, what: PCWSTR) -> PCWSTR;
    fn wcscpy_s(to: PWSTR, room: SIZE_T, from: PCWSTR) -> i32;
    fn wcscat_s(to: PWSTR, room: SIZE_T, from: PCWSTR) -> i32;
    fn _wtoi(s: PCWSTR) -> i32;
    fn tolower(c: i32) -> i32;
    fn toupper(c: i32) -> i32;
    fn towlower(c: WCHAR) -> WCHAR;
    fn towupper(c: WCHAR) -> WCHAR;
    fn memcpy_s(to: PVOID, room: SIZE_T, from: *const c_void, n: SIZE_T) -> i32;
    fn memmove_s(to: PVOID, room: SIZE_T, from: *const c_void, n: SIZE_T) -> i32;
    fn qsort(base: PVOID, count: SIZE_T, size: SIZE_T, compare: COMPARE);
    fn bsearch(key: *const c_void, base: *const c_void, count: SIZE_T, size: SIZE_T, compare: COMPARE) -> *const c_void;

    // Security.
    fn RtlCreateSecurityDescriptor(Descriptor: PVOID, Revision: ULONG) -> NTSTATUS;
    fn RtlSetDaclSecurityDescriptor(Descriptor: PVOID, Present: BOOLEAN, Dacl: PVOID, Defaulted: BOOLEAN) -> NTSTATUS;
    fn RtlLengthSecurityDescriptor(Descriptor: PVOID) -> ULONG;
    fn RtlValidSecurityDescriptor(Descriptor: PVOID) -> BOOLEAN;
    fn RtlCreateAcl(Acl: PVOID, Length: ULONG, Revision: ULONG) -> NTSTATUS;
    fn RtlAddAccessAllowedAce(Acl: PVOID, Revision: ULONG, Mask: ACCESS_MASK, Sid: PVOID) -> NTSTATUS;
    fn RtlInitializeSid(Sid: PVOID, Authority: *const [u8; 6], Count: UCHAR) -> NTSTATUS;
    fn RtlSubAuthoritySid(Sid: PVOID, Number: ULONG) -> PULONG;
    fn RtlLengthRequiredSid(Count: ULONG) -> ULONG;
    fn RtlLengthSid(Sid: PVOID) -> ULONG;
    fn RtlValidSid(Sid: PVOID) -> BOOLEAN;
    fn RtlCopySid(Room: ULONG, Destination: PVOID, Source: PVOID) -> NTSTATUS;

    // Event tracing.
    fn EtwRegister(ProviderId: *const [u8; 16], EnableCallback: PVOID, CallbackContext: PVOID, RegHandle: PULONG64) -> NTSTATUS;
    fn EtwUnregister(RegHandle: ULONG64) -> NTSTATUS;
    fn EtwSetInformation(RegHandle: ULONG64, Class: i32, Information: PVOID, Length: ULONG) -> NTSTATUS;
    fn EtwWrite(RegHandle: ULONG64, Event: *const c_void, ActivityId: *const c_void, Count: ULONG, Data: *const c_void) -> NTSTATUS;
    fn EtwWriteTransfer(RegHandle: ULONG64, Event: *const c_void, ActivityId: *const c_void, RelatedActivityId: *const c_void, Count: ULONG, Data: *const c_void) -> NTSTATUS;
    fn EtwEventEnabled(RegHandle: ULONG64, Event: *const c_void) -> BOOLEAN;
    fn EtwProviderEnabled(RegHandle: ULONG64, Level: UCHAR, Keyword: ULONGLONG) -> BOOLEAN;
    fn EtwActivityIdControl(Code: ULONG, ActivityId: *mut [u8; 16]) -> NTSTATUS;
    fn IoWMIRegistrationControl(DeviceObject: PDEVICE_OBJECT, Action: ULONG) -> NTSTATUS;
}

imports! {
    "ntoskrnl.exe";

    // The system.
    fn KeBugCheck(BugCheckCode: ULONG) -> !;
    fn ExRaiseStatus(Status: NTSTATUS) -> !;
    fn RtlGetVersion(VersionInformation: PULONG) -> NTSTATUS;
    fn PsGetVersion(MajorVersion: PULONG, MinorVersion: PULONG, BuildNumber: PULONG, CSDVersion: PUNICODE_STRING) -> BOOLEAN;
    fn ExGetPreviousMode() -> KPROCESSOR_MODE;
    fn IoGetCurrentProcess() -> PEPROCESS;
    fn ExUuidCreate(Uuid: *mut [u8; 16]) -> NTSTATUS;
    fn RtlRandomEx(Seed: PULONG) -> ULONG;
    fn ExQueueWorkItem(WorkItem: PWORK_QUEUE_ITEM, QueueType: WORK_QUEUE_TYPE);

    // Resources: locks that several may share.
    fn ExInitializeResourceLite(Resource: PVOID) -> NTSTATUS;
    fn ExDeleteResourceLite(Resource: PVOID) -> NTSTATUS;
    fn ExAcquireResourceExclusiveLite(Resource: PVOID, Wait: BOOLEAN) -> BOOLEAN;
    fn ExAcquireResourceSharedLite(Resource: PVOID, Wait: BOOLEAN) -> BOOLEAN;
    fn ExReleaseResourceLite(Resource: PVOID);
    fn ExIsResourceAcquiredExclusiveLite(Resource: PVOID) -> BOOLEAN;
    fn ExIsResourceAcquiredSharedLite(Resource: PVOID) -> ULONG;

    // What WPP looks for by name.
    fn WmiTraceMessage(LoggerHandle: ULONG64, MessageFlags: ULONG, MessageGuid: *const [u8; 16], MessageNumber: USHORT) -> NTSTATUS;
    fn WmiQueryTraceInformation(Class: i32, Information: PVOID, Length: ULONG, RequiredLength: PULONG, Buffer: PVOID) -> NTSTATUS;
    fn EtwRegisterClassicProvider(Provider: *const [u8; 16], Type: ULONG, Callback: PVOID, Context: PVOID, RegHandle: PULONG64) -> NTSTATUS;
}

/// A work item of the old kind.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct WORK_QUEUE_ITEM {
    pub List: LIST_ENTRY,
    pub WorkerRoutine: Option<unsafe extern "win64" fn(PVOID)>,
    pub Parameter: PVOID,
}
pub type PWORK_QUEUE_ITEM = *mut WORK_QUEUE_ITEM;
