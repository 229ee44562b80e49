//! Counted strings: UNICODE_STRING and ANSI_STRING, made, copied, converted, compared.
//!
//! What a function allocates is a block of the pool, which its RtlFree... gives back.

use super::printf::{narrow, wide_units};
use super::runtime::text;
use crate::exports;
use crate::kernel::Machine;
use crate::kernel::export::Export;
use crate::kernel::wdk::c_only::{ANSI_STRING, PANSI_STRING, PCANSI_STRING};
use crate::kernel::wdk::{
    BOOLEAN, LONG, NTSTATUS, PCSTR, PCUNICODE_STRING, PCWSTR, PULONG, PUNICODE_STRING, SIZE_T, ULONG, UNICODE_STRING,
    WCHAR,
};
use ndk_types::{
    STATUS_BUFFER_OVERFLOW, STATUS_BUFFER_TOO_SMALL, STATUS_INVALID_PARAMETER, STATUS_NO_MEMORY, STATUS_SUCCESS,
};
use std::cmp::Ordering;
use std::ffi::c_void;
use std::ptr;

/// The tag of strings that are allocated, as the real kernel has it.
const TAG: u32 = u32::from_le_bytes(*b"Strg");

/// The units of a counted string.
fn units(string: PCUNICODE_STRING) -> Vec<u16> {
    // SAFETY: the callers' pages: a valid counted string.
    let string = unsafe { string.read() };
    let read = |place: usize| {
        // SAFETY: as above: so many characters are there.
        unsafe { string.Buffer.wrapping_add(place).read_unaligned() }
    };
    (0..usize::from(string.Length / 2)).map(read).collect()
}

/// A character in upper case, as far as one unit has one.
fn upper(unit: u16) -> u16 {
    let mut upper = char::from_u32(u32::from(unit)).into_iter().flat_map(char::to_uppercase);
    match (upper.next(), upper.next()) {
        (Some(one), None) => u16::try_from(u32::from(one)).unwrap_or(unit),
        _ => unit,
    }
}

fn folded(string: PCUNICODE_STRING, fold: BOOLEAN) -> Vec<u16> {
    let units = units(string);
    if fold == 0 { units } else { units.into_iter().map(upper).collect() }
}

/// Writes units behind the first `at` of a string's buffer, as many as there is room for, and a zero where there is.
fn write(string: PUNICODE_STRING, at: usize, units: &[u16]) -> usize {
    // SAFETY: the callers' pages: a valid counted string with a buffer of MaximumLength bytes.
    let fields = unsafe { &mut *string };
    let room = usize::from(fields.MaximumLength / 2).saturating_sub(at);
    let kept = units.len().min(room);
    for (place, unit) in units[..kept].iter().enumerate() {
        // SAFETY: inside the buffer (above).
        unsafe { fields.Buffer.wrapping_add(at + place).write_unaligned(*unit) };
    }
    if kept < room {
        // SAFETY: as above.
        unsafe { fields.Buffer.wrapping_add(at + kept).write_unaligned(0) };
    }
    fields.Length = ((at + kept) * 2) as u16;
    kept
}

fn append(string: PUNICODE_STRING, more: &[u16]) -> NTSTATUS {
    // SAFETY: the callers' pages: a valid counted string.
    let fields = unsafe { string.read() };
    let at = usize::from(fields.Length / 2);
    if at + more.len() > usize::from(fields.MaximumLength / 2) {
        return STATUS_BUFFER_TOO_SMALL;
    }
    write(string, at, more);
    STATUS_SUCCESS
}

/// A new buffer for a string; NULL without memory.
fn allocate(bytes: usize) -> *mut u8 {
    let machine = Machine::current();
    machine.nt.pool.allocate(&machine.nt.memory, bytes, TAG, true).unwrap_or(ptr::null_mut())
}

fn free(buffer: *mut u8) {
    let machine = Machine::current();
    if !buffer.is_null() && machine.nt.pool.free(&machine.nt.memory, buffer, TAG).is_err() {
        let text = format!("the buffer {:#x} of a string is freed and was not allocated for one", buffer.addr());
        machine.violation("pool", text);
    }
}

/// The value of a number in text and the number of digits, in a base that the text may say itself when it is 0.
fn integer(units: &[u16], base: u32) -> Option<u32> {
    let text: Vec<char> = char::decode_utf16(units.iter().copied()).map(|unit| unit.unwrap_or('?')).collect();
    let text = text.iter().skip_while(|one| **one <= ' ').copied().collect::<Vec<_>>();
    let (negative, text) = match text.split_first() {
        Some(('-', rest)) => (true, rest),
        Some(('+', rest)) => (false, rest),
        _ => (false, &text[..]),
    };
    let (base, digits) = match (base, text) {
        (0, ['0', 'x', rest @ ..]) => (16, rest),
        (0, ['0', 'o', rest @ ..]) => (8, rest),
        (0, ['0', 'b', rest @ ..]) => (2, rest),
        (0, all) => (10, all),
        (2 | 8 | 10 | 16, all) => (base, all),
        _ => return None,
    };
    let mut value = 0_u32;
    for digit in digits.iter().map_while(|one| one.to_digit(base)) {
        value = value.wrapping_mul(base).wrapping_add(digit);
    }
    Some(if negative { value.wrapping_neg() } else { value })
}

ndk_types::abi! {
    unsafe extern "C" fn rtl_init_ansi_string(destination: PANSI_STRING, source: PCSTR) {
        // SAFETY: the page: NULL or a string that ends with zero.
        let length = if source.is_null() { 0 } else { (unsafe { libc::strlen(source) }) as u16 };
        let whole = if source.is_null() { 0 } else { length + 1 };
        let string = ANSI_STRING { Length: length, MaximumLength: whole, Buffer: source.cast_mut().cast() };
        // SAFETY: the page: room for a counted string.
        unsafe { destination.write(string) };
    }

    unsafe extern "C" fn rtl_copy_unicode_string(destination: PUNICODE_STRING, source: PCUNICODE_STRING) {
        let units = if source.is_null() { Vec::new() } else { units(source) };
        write(destination, 0, &units);
    }

    unsafe extern "C" fn rtl_append_unicode_to_string(destination: PUNICODE_STRING, source: PCWSTR) -> NTSTATUS {
        if source.is_null() { STATUS_SUCCESS } else { append(destination, &wide_units(source, usize::MAX)) }
    }

    unsafe extern "C" fn rtl_append_unicode_string_to_string(
        destination: PUNICODE_STRING,
        source: PCUNICODE_STRING,
    ) -> NTSTATUS {
        append(destination, &units(source))
    }

    unsafe extern "C" fn rtl_ansi_string_to_unicode_string(
        destination: PUNICODE_STRING,
        source: PCANSI_STRING,
        allocates: BOOLEAN,
    ) -> NTSTATUS {
        // SAFETY: the page: a valid counted string.
        let source = unsafe { source.read() };
        let units: Vec<u16> = narrow(source.Buffer, usize::from(source.Length)).encode_utf16().collect();
        let bytes = (units.len() + 1) * 2;
        if allocates != 0 {
            let buffer = allocate(bytes);
            if buffer.is_null() {
                return STATUS_NO_MEMORY;
            }
            let string = UNICODE_STRING { Length: 0, MaximumLength: bytes as u16, Buffer: buffer.cast() };
            // SAFETY: the page: room for a counted string.
            unsafe { destination.write(string) };
        }
        // SAFETY: as above, or the caller's own string.
        let room = unsafe { (*destination).MaximumLength };
        if usize::from(room) < bytes {
            return STATUS_BUFFER_OVERFLOW;
        }
        write(destination, 0, &units);
        STATUS_SUCCESS
    }

    unsafe extern "C" fn rtl_unicode_string_to_ansi_string(
        destination: PANSI_STRING,
        source: PCUNICODE_STRING,
        allocates: BOOLEAN,
    ) -> NTSTATUS {
        let mut bytes: Vec<u8> = text(source).chars().map(|one| u8::try_from(one).unwrap_or(b'?')).collect();
        bytes.push(0);
        // SAFETY: the page: room for a counted string, or the caller's own.
        let fields = unsafe { &mut *destination };
        if allocates != 0 {
            fields.Buffer = allocate(bytes.len());
            if fields.Buffer.is_null() {
                return STATUS_NO_MEMORY;
            }
            fields.MaximumLength = bytes.len() as u16;
        }
        if usize::from(fields.MaximumLength) < bytes.len() {
            return STATUS_BUFFER_OVERFLOW;
        }
        // SAFETY: a buffer of MaximumLength bytes.
        unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), fields.Buffer, bytes.len()) };
        fields.Length = (bytes.len() - 1) as u16;
        STATUS_SUCCESS
    }

    unsafe extern "C" fn rtl_free_unicode_string(string: PUNICODE_STRING) {
        // SAFETY: the page: a string that was allocated.
        let fields = unsafe { &mut *string };
        free(std::mem::replace(&mut fields.Buffer, ptr::null_mut()).cast());
        (fields.Length, fields.MaximumLength) = (0, 0);
    }

    unsafe extern "C" fn rtl_free_ansi_string(string: PANSI_STRING) {
        // SAFETY: the page: a string that was allocated.
        let fields = unsafe { &mut *string };
        free(std::mem::replace(&mut fields.Buffer, ptr::null_mut()));
        (fields.Length, fields.MaximumLength) = (0, 0);
    }

    unsafe extern "C" fn rtl_unicode_string_to_integer(
        string: PCUNICODE_STRING,
        base: ULONG,
        value: PULONG,
    ) -> NTSTATUS {
        let Some(number) = integer(&units(string), base) else { return STATUS_INVALID_PARAMETER };
        // SAFETY: the page: room for the value.
        unsafe { value.write(number) };
        STATUS_SUCCESS
    }

    unsafe extern "C" fn rtl_integer_to_unicode_string(
        value: ULONG,
        base: ULONG,
        string: PUNICODE_STRING,
    ) -> NTSTATUS {
        let text = match base {
            0 | 10 => value.to_string(),
            2 => format!("{value:b}"),
            8 => format!("{value:o}"),
            16 => format!("{value:X}"),
            _ => return STATUS_INVALID_PARAMETER,
        };
        let units: Vec<u16> = text.encode_utf16().collect();
        // SAFETY: the page: a valid counted string.
        let room = unsafe { (*string).MaximumLength };
        if usize::from(room) < units.len() * 2 {
            return STATUS_BUFFER_OVERFLOW;
        }
        write(string, 0, &units);
        STATUS_SUCCESS
    }

    unsafe extern "C" fn rtl_compare_unicode_string(
        left: PCUNICODE_STRING,
        right: PCUNICODE_STRING,
        ignore_case: BOOLEAN,
    ) -> LONG {
        match folded(left, ignore_case).cmp(&folded(right, ignore_case)) {
            Ordering::Less => -1,
            Ordering::Equal => 0,
            Ordering::Greater => 1,
        }
    }

    unsafe extern "C" fn rtl_prefix_unicode_string(
        prefix: PCUNICODE_STRING,
        string: PCUNICODE_STRING,
        ignore_case: BOOLEAN,
    ) -> BOOLEAN {
        BOOLEAN::from(folded(string, ignore_case).starts_with(&folded(prefix, ignore_case)))
    }

    unsafe extern "C" fn rtl_upcase_unicode_char(unit: WCHAR) -> WCHAR {
        upper(unit)
    }

    unsafe extern "C" fn rtl_compare_memory(left: *const c_void, right: *const c_void, length: SIZE_T) -> SIZE_T {
        // SAFETY: the page: so many bytes on either side.
        let left = unsafe { std::slice::from_raw_parts(left.cast::<u8>(), length) };
        // SAFETY: as above.
        let right = unsafe { std::slice::from_raw_parts(right.cast::<u8>(), length) };
        left.iter().zip(right).take_while(|(left, right)| left == right).count()
    }
}

pub(super) fn exports() -> impl IntoIterator<Item = Export> {
    exports! { "ntoskrnl.exe" in crate::kernel::wdk::c_only;
        RtlInitAnsiString <= High = rtl_init_ansi_string,
        RtlInitString <= High = rtl_init_ansi_string,
        RtlCopyUnicodeString <= High = rtl_copy_unicode_string,
        RtlAppendUnicodeToString <= High = rtl_append_unicode_to_string,
        RtlAppendUnicodeStringToString <= High = rtl_append_unicode_string_to_string,
        RtlAnsiStringToUnicodeString <= Passive = rtl_ansi_string_to_unicode_string,
        RtlUnicodeStringToAnsiString <= Passive = rtl_unicode_string_to_ansi_string,
        RtlFreeUnicodeString <= Apc = rtl_free_unicode_string,
        RtlFreeAnsiString <= Apc = rtl_free_ansi_string,
        RtlUnicodeStringToInteger <= Passive = rtl_unicode_string_to_integer,
        RtlIntegerToUnicodeString <= Passive = rtl_integer_to_unicode_string,
        RtlCompareUnicodeString <= Passive = rtl_compare_unicode_string,
        RtlPrefixUnicodeString <= Passive = rtl_prefix_unicode_string,
        RtlUpcaseUnicodeChar <= Apc = rtl_upcase_unicode_char,
        RtlCompareMemory <= High = rtl_compare_memory,
    }
}
