//! What rulebreaker.sys can be asked to do: control codes, METHOD_BUFFERED, with the interface index of the adapter as input. No
//! kernel names: the harness includes this file.

/// What a program opens.
pub const DEVICE: &str = r"\\.\rulebreaker";

const fn code(function: u32) -> u32 {
    (0x22 << 16) | (3 << 14) | (function << 2)
}

/// Opens, makes, closes in order: breaks nothing.
pub const BEHAVE: u32 = code(0x900);
/// Posts a receive while another post of the receive queue is under way.
pub const POST_WITHIN_A_POST: u32 = code(0x901);
/// Closes a CQ twice.
pub const CLOSE_TWICE: u32 = code(0x902);
/// Takes completions of a CQ whose close was issued.
pub const USE_AFTER_CLOSE: u32 = code(0x903);
/// Asks for the adapter's information at DISPATCH_LEVEL.
pub const ASK_AT_DISPATCH: u32 = code(0x904);
/// Closes the adapter with a CQ, a protection domain and a queue pair open.
pub const LEAK_OBJECTS: u32 = code(0x905);
/// Closes the adapter with a mapping that was not released.
pub const LEAK_A_MAPPING: u32 = code(0x906);
/// Closes no adapter at all.
pub const LEAK_THE_ADAPTER: u32 = code(0x907);
/// Closes the adapter twice.
pub const CLOSE_THE_ADAPTER_TWICE: u32 = code(0x908);
/// Waits for an event at DISPATCH_LEVEL.
pub const WAIT_AT_DISPATCH: u32 = code(0x909);
/// Returns STATUS_PENDING and has not marked the request.
pub const PEND_UNMARKED: u32 = code(0x90a);
/// Completes a request twice.
pub const COMPLETE_TWICE: u32 = code(0x90b);
/// Leaves a block of pool behind.
pub const LEAK_A_BLOCK: u32 = code(0x90c);
/// Writes behind a block of pool.
pub const WRITE_BEHIND_A_BLOCK: u32 = code(0x90d);
/// Comes back from its dispatch routine with a spin lock held.
pub const KEEP_A_LOCK: u32 = code(0x90e);
