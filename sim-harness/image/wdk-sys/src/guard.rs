//! Control-flow guard metadata: the load configuration and the two pointers that the loader fills (W-42). On Windows they come
//! from the WDK's libraries.

core::arch::global_asm!(
    // Until a loader fills the pointers: check does nothing, dispatch jumps.
    ".text",
    "softndk_guard_check:",
    "ret",
    "softndk_guard_dispatch:",
    "jmp rax",
    ".section .00cfg,\"dr\"",
    ".p2align 3",
    ".globl __guard_check_icall_fptr",
    "__guard_check_icall_fptr:",
    ".quad softndk_guard_check",
    ".globl __guard_dispatch_icall_fptr",
    "__guard_dispatch_icall_fptr:",
    ".quad softndk_guard_dispatch",
    // IMAGE_LOAD_CONFIG_DIRECTORY64 up to and with GuardEHContinuationCount.
    ".section .rdata,\"dr\"",
    ".p2align 4",
    ".globl _load_config_used",
    "_load_config_used:",
    ".long 0x118",
    ".zero 0x54",
    ".quad 0",                           // SecurityCookie
    ".quad 0",                           // SEHandlerTable
    ".quad 0",                           // SEHandlerCount
    ".quad __guard_check_icall_fptr",    // GuardCFCheckFunctionPointer
    ".quad __guard_dispatch_icall_fptr", // GuardCFDispatchFunctionPointer
    ".quad __guard_fids_table",          // GuardCFFunctionTable
    ".quad __guard_fids_count",          // GuardCFFunctionCount
    ".long __guard_flags",               // GuardFlags
    ".zero 12",                          // CodeIntegrity
    ".quad __guard_iat_table",           // GuardAddressTakenIatEntryTable
    ".quad __guard_iat_count",           // GuardAddressTakenIatEntryCount
    ".quad __guard_longjmp_table",       // GuardLongJumpTargetTable
    ".quad __guard_longjmp_count",       // GuardLongJumpTargetCount
    ".zero 0x48",
    ".quad __guard_eh_cont_table", // GuardEHContinuationTable
    ".quad __guard_eh_cont_count", // GuardEHContinuationCount
);

unsafe extern "C" {
    static _load_config_used: u8;
}

/// Keeps the load configuration in the image, where the linker looks for it.
#[used]
static KEEP: &u8 = {
    // SAFETY: the symbol is defined above; nobody reads through the reference.
    unsafe { &_load_config_used }
};
