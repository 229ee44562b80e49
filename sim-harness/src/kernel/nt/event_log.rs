//! The system's event log: entries of drivers (IO_ERROR_LOG_PACKET), each checked when it is written, become lines of the
//! machine's log: `event log: 0xa0000001 [7] "the reason"`, the code, the numbers, the strings.
//!
//! Entries are pool of their own tag, so that one written past its end is caught, and one that is never written is a leak.

use super::pool::Block;
use super::runtime::free;
use crate::exports;
use crate::kernel::Machine;
use crate::kernel::export::Export;
use crate::kernel::wdk::{PVOID, UCHAR};
use std::ptr;

/// The tag of entries.
const TAG: u32 = u32::from_le_bytes(*b"IoEr");
/// ERROR_LOG_MAXIMUM_SIZE of wdm.h, for 64 bits.
const MAXIMUM_SIZE: usize = 240;
/// The size of IO_ERROR_LOG_PACKET.
const PACKET: usize = 48;
/// Where its members are.
const DUMP_DATA_SIZE: usize = 2;
const NUMBER_OF_STRINGS: usize = 4;
const STRING_OFFSET: usize = 6;
const ERROR_CODE: usize = 12;
const DUMP_DATA: usize = 40;

/// An entry as its driver filled it.
struct Entry<'a>(&'a [u8]);

impl Entry<'_> {
    fn short(&self, at: usize) -> usize {
        self.0.get(at..at + 2).map_or(0, |bytes| usize::from(u16::from_le_bytes([bytes[0], bytes[1]])))
    }

    fn long(&self, at: usize) -> u32 {
        self.0.get(at..at + 4).map_or(0, |bytes| u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
    }

    /// The dump data, as numbers.
    fn numbers(&self) -> Result<Vec<u32>, String> {
        let size = self.short(DUMP_DATA_SIZE);
        if !size.is_multiple_of(4) {
            return Err(format!("DumpDataSize is {size}, which is no multiple of four"));
        }
        if DUMP_DATA + size > self.0.len() {
            return Err(format!("{size} bytes of dump data in an entry of {}", self.0.len()));
        }
        Ok((0..size / 4).map(|number| self.long(DUMP_DATA + number * 4)).collect())
    }

    /// The insertion strings, which end with zero each.
    fn strings(&self) -> Result<Vec<String>, String> {
        let (count, offset) = (self.short(NUMBER_OF_STRINGS), self.short(STRING_OFFSET));
        if count == 0 {
            return Ok(Vec::new());
        }
        if offset < DUMP_DATA + self.short(DUMP_DATA_SIZE) || !offset.is_multiple_of(2) {
            return Err(format!("strings at offset {offset}, inside the packet or between two characters"));
        }
        let behind = self.0.get(offset..).unwrap_or_default();
        let units: Vec<u16> = behind.chunks_exact(2).map(|unit| u16::from_le_bytes([unit[0], unit[1]])).collect();
        let ended: Vec<_> = units.split_inclusive(|&unit| unit == 0).filter_map(|one| one.strip_suffix(&[0])).collect();
        if ended.len() < count {
            return Err(format!("{count} strings, of which {} end inside the entry", ended.len()));
        }
        Ok(ended.into_iter().take(count).map(String::from_utf16_lossy).collect())
    }

    fn line(&self) -> Result<String, String> {
        let code = format!("event log: {:#010x} {:?}", self.long(ERROR_CODE), self.numbers()?);
        let strings = self.strings()?.into_iter().map(|string| format!("{string:?}"));
        Ok([code].into_iter().chain(strings).collect::<Vec<_>>().join(" "))
    }
}

ndk_types::abi! {
    unsafe extern "C" fn io_allocate_error_log_entry(object: PVOID, size: UCHAR) -> PVOID {
        let machine = Machine::current();
        let size = usize::from(size);
        if object.is_null() || !(PACKET..=MAXIMUM_SIZE).contains(&size) {
            let text = format!("an entry of {size} bytes for object {:#x}", object.addr());
            machine.violation("event log", text);
            return ptr::null_mut();
        }
        if machine.take_failure("IoAllocateErrorLogEntry") {
            return ptr::null_mut();
        }
        let block = machine.nt.pool.allocate(&machine.nt.memory, size, TAG, true);
        block.map_or(ptr::null_mut(), <*mut u8>::cast)
    }

    unsafe extern "C" fn io_write_error_log_entry(entry: PVOID) {
        let machine = Machine::current();
        let live = machine.nt.pool.live();
        let found = live.into_iter().find(|(at, block)| *at == entry.addr() && block.tag == TAG);
        let Some((_, Block { bytes, .. })) = found else {
            machine.violation("event log", format!("{:#x} is written and is no entry", entry.addr()));
            return;
        };
        // SAFETY: the block's own bytes, whose last user hands them over.
        let line = Entry(unsafe { std::slice::from_raw_parts(entry.cast::<u8>(), bytes) }).line();
        match line {
            Ok(line) => machine.log(line),
            Err(wrong) => machine.violation("event log", wrong),
        }
        free(entry, TAG);
    }
}

pub(super) fn exports() -> impl IntoIterator<Item = Export> {
    exports! { "ntoskrnl.exe" in crate::kernel::wdk::ntddk;
        IoAllocateErrorLogEntry <= Dispatch = io_allocate_error_log_entry,
        IoWriteErrorLogEntry <= Dispatch = io_write_error_log_entry,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::AtomicU64;

    const OBJECT: usize = 0x1000;

    fn machine() -> Arc<Machine> {
        Machine::new("logged", Arc::new(AtomicU64::new(0)), 1)
    }

    fn allocate(object: usize, size: u8) -> *mut u8 {
        // SAFETY: any numbers: what is wrong is told.
        unsafe { io_allocate_error_log_entry(ptr::without_provenance_mut(object), size) }.cast()
    }

    fn write(entry: *mut u8) {
        // SAFETY: any address: what is no entry is told.
        unsafe { io_write_error_log_entry(entry.cast()) };
    }

    /// An entry of 64 bytes: the sizes and offsets given, code 7, one number and the texts.
    fn filled(dump: u16, strings: u16, offset: u16, texts: &str) -> *mut u8 {
        let entry = allocate(OBJECT, 64);
        assert!(!entry.is_null());
        let mut bytes = vec![0; 12];
        bytes.splice(2..8, [dump, strings, offset].iter().flat_map(|number| number.to_le_bytes()));
        bytes.extend(7_u32.to_le_bytes());
        bytes.resize(40, 0);
        bytes.extend(0x2a_u32.to_le_bytes());
        bytes.extend(texts.encode_utf16().flat_map(u16::to_le_bytes));
        assert!(bytes.len() <= 64);
        // SAFETY: an entry of 64 bytes.
        unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), entry, bytes.len()) };
        entry
    }

    /// The machine's lines after `driver`, and the rules it broke.
    fn logged(driver: impl FnOnce()) -> (Vec<String>, Vec<&'static str>) {
        let machine = machine();
        machine.enter(driver);
        machine.check_leaks();
        (machine.log_lines(), machine.verifier.take().into_iter().map(|violation| violation.rule).collect())
    }

    #[test]
    fn an_entry_becomes_a_line_with_its_code_its_numbers_and_its_strings_and_is_freed() {
        let (lines, rules) = logged(|| {
            write(filled(4, 2, 44, "one\0two\0"));
            write(filled(0, 0, 0, ""));
        });
        assert_eq!(lines, [r#"event log: 0x00000007 [42] "one" "two""#, "event log: 0x00000007 []"]);
        assert_eq!(rules, [""; 0]);
    }

    #[test]
    fn sizes_offsets_and_strings_that_do_not_fit_are_told_and_not_logged() {
        let (lines, rules) = logged(|| {
            write(filled(3, 0, 0, ""));
            write(filled(28, 0, 0, ""));
            write(filled(4, 1, 42, ""));
            write(filled(0, 1, 45, ""));
            write(filled(4, 2, 44, "one\0endles"));
            write(filled(4, 1, 66, ""));
        });
        assert_eq!((lines.len(), rules), (0, vec!["event log"; 6]));
    }

    #[test]
    fn an_entry_is_as_large_as_a_packet_and_no_larger_than_the_system_allows() {
        let (_, rules) = logged(|| {
            assert!(allocate(OBJECT, 47).is_null() && allocate(OBJECT, 241).is_null() && allocate(0, 64).is_null());
            for size in [48, 240] {
                write(allocate(OBJECT, size));
            }
        });
        assert_eq!(rules, ["event log"; 3]);
    }

    #[test]
    fn an_entry_is_written_once_and_one_that_never_is_is_a_leak() {
        let (lines, rules) = logged(|| {
            let entry = filled(0, 0, 0, "");
            write(entry);
            write(entry);
            write(ptr::without_provenance_mut(OBJECT));
            allocate(OBJECT, 64);
        });
        assert_eq!((lines.len(), rules), (1, vec!["event log", "event log", "leak"]));
    }

    #[test]
    fn an_allocation_fails_once() {
        let machine = machine();
        machine.fail_once("IoAllocateErrorLogEntry");
        machine.enter(|| {
            assert!(allocate(OBJECT, 64).is_null());
            write(allocate(OBJECT, 64));
        });
        assert_eq!(machine.verifier.take(), []);
    }
}
