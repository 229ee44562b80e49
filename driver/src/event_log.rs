//! Lines in the system's event log: what happened, with its number, and the reason as text.
//!
//! A peer can make events happen, so each adapter writes a limited number of lines. At or below DISPATCH_LEVEL.

use crate::entry;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicU32, Ordering};
use ndk_provider::platform::Event;
use wdk_sys::ntddk::{IoAllocateErrorLogEntry, IoWriteErrorLogEntry};

/// Lines an adapter may write.
const LINES: u32 = 256;
/// Characters of a reason that are kept, its zero included: an entry has 152 bytes at most (wdm.h).
const UNITS: usize = 48;

/// IO_ERROR_LOG_PACKET of wdm.h, with one word of dump data and the text behind it.
#[repr(C)]
struct Packet {
    major_function: u8,
    retry_count: u8,
    dump_data_size: u16,
    number_of_strings: u16,
    string_offset: u16,
    event_category: u16,
    error_code: i32,
    unique_error_value: u32,
    final_status: i32,
    sequence_number: u32,
    io_control_code: u32,
    device_offset: i64,
    dump_data: u32,
    text: [u16; UNITS],
}

const _: () = {
    assert!(core::mem::offset_of!(Packet, error_code) == 12);
    assert!(core::mem::offset_of!(Packet, dump_data) == 40);
    assert!(size_of::<Packet>() <= 152);
};

/// An adapter's lines.
pub struct Log(AtomicU32);

impl Log {
    /// With every line still to write.
    pub const fn new() -> Self {
        Self(AtomicU32::new(0))
    }

    /// Writes a line for `event`, unless there were too many.
    pub fn note(&self, event: Event) {
        // Warnings (severity 2) of this driver's own.
        let (code, number, reason) = match event {
            Event::QueuePairFailed { qpn, reason } => (0xA000_0001_u32, qpn, reason),
            Event::CompletionQueueOverrun => (0xA000_0002, 0, "completion queue overrun"),
            Event::ConnectionLost { reason } => (0xA000_0003, 0, reason),
            _ => return,
        };
        if self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |now| (now < LINES).then(|| now + 1)).is_ok() {
            write(code.cast_signed(), number, reason);
        }
    }
}

impl Default for Log {
    fn default() -> Self {
        Self::new()
    }
}

/// A keyword's value cannot be, and its default holds: the value, and the keyword's name. PASSIVE_LEVEL.
pub fn note_keyword(name: &str, value: u32) {
    write(0xA000_0004_u32.cast_signed(), value, name);
}

/// RoCE frames are smaller than the keyword says (INF-08): the size that is active, and the keyword's name. PASSIVE_LEVEL.
pub fn note_frame_size(name: &str, active: u32) {
    write(0xA000_0005_u32.cast_signed(), active, name);
}

fn write(error_code: i32, number: u32, reason: &str) {
    let Some(driver) = NonNull::new(entry::driver_object()) else { return };
    // SAFETY: IoAllocateErrorLogEntry: our driver object, a size within the limit, at or below DISPATCH_LEVEL.
    let entry = unsafe { IoAllocateErrorLogEntry(driver.as_ptr().cast(), size_of::<Packet>() as u8) };
    let Some(entry) = NonNull::new(entry.cast::<Packet>()) else { return };
    let mut text = [0; UNITS];
    text.iter_mut().take(UNITS - 1).zip(reason.encode_utf16()).for_each(|(to, unit)| *to = unit);
    let packet = Packet {
        major_function: 0,
        retry_count: 0,
        dump_data_size: size_of::<u32>() as u16,
        number_of_strings: 1,
        string_offset: core::mem::offset_of!(Packet, text) as u16,
        event_category: 0,
        error_code,
        unique_error_value: 0,
        final_status: 0,
        sequence_number: 0,
        io_control_code: 0,
        device_offset: 0,
        dump_data: number,
        text,
    };
    // SAFETY: room for the packet, as asked; the system's entries are aligned for one.
    unsafe { entry.write(packet) };
    // SAFETY: IoWriteErrorLogEntry: a filled entry, which is the system's from here on.
    unsafe { IoWriteErrorLogEntry(entry.as_ptr().cast()) };
}
