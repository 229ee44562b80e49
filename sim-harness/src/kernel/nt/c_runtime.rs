//! The C runtime's functions that ntoskrnl exports: strings that end with zero, narrow and wide, sorting and searching.
//!
//! The `_s` functions end a program that gives too little room; here that is a violation, and the string stays empty.

use crate::exports;
use crate::kernel::Machine;
use crate::kernel::export::Export;
use crate::kernel::wdk::c_only::COMPARE;
use crate::kernel::wdk::{PCHAR, PCSTR, PCWSTR, PVOID, PWSTR, SIZE_T, WCHAR};
use std::ffi::c_void;
use std::ptr;

/// EINVAL and ERANGE.
const INVALID: i32 = 22;
const RANGE: i32 = 34;

/// A character of a string, narrow or wide.
trait Unit: Copy + Eq {
    const ZERO: Self;
    fn value(self) -> u32;
}

impl Unit for i8 {
    const ZERO: Self = 0;
    fn value(self) -> u32 {
        u32::from(self.cast_unsigned())
    }
}

impl Unit for u16 {
    const ZERO: Self = 0;
    fn value(self) -> u32 {
        u32::from(self)
    }
}

/// One character.
fn at<U: Unit>(string: *const U, place: usize) -> U {
    // SAFETY: the callers' contract: a string that ends with zero, and nobody asks beyond.
    unsafe { string.wrapping_add(place).read_unaligned() }
}

fn put<U: Unit>(string: *mut U, place: usize, unit: U) {
    // SAFETY: the callers' contract: a buffer with room for what is put there.
    unsafe { string.wrapping_add(place).write_unaligned(unit) };
}

fn length<U: Unit>(string: *const U, most: usize) -> usize {
    (0..most).find(|&place| at(string, place) == U::ZERO).unwrap_or(most)
}

fn lower(unit: u32) -> u32 {
    if (65..=90).contains(&unit) { unit + 32 } else { unit }
}

/// The difference of the first characters that differ, among the first `most`.
fn compare<U: Unit>(left: *const U, right: *const U, most: usize, fold: bool) -> i32 {
    let value = |unit: U| if fold { lower(unit.value()) } else { unit.value() };
    for place in 0..most {
        let (one, other) = (at(left, place), at(right, place));
        if value(one) != value(other) {
            return if value(one) < value(other) { -1 } else { 1 };
        }
        if one == U::ZERO {
            break;
        }
    }
    0
}

/// Copies a string with its zero behind the first `from` characters of another.
fn copy<U: Unit>(to: *mut U, from: usize, source: *const U) -> *mut U {
    let length = length(source, usize::MAX);
    for place in 0..=length {
        put(to, from + place, at(source, place));
    }
    to
}

/// Copies at most `most` characters, and fills what is left of them with zeroes.
fn copy_some<U: Unit>(to: *mut U, source: *const U, most: usize) -> *mut U {
    let length = length(source, most);
    for place in 0..most {
        put(to, place, if place < length { at(source, place) } else { U::ZERO });
    }
    to
}

/// The place of a character, its last one when that is asked for; NULL when there is none.
fn find<U: Unit>(string: *const U, unit: u32, last: bool) -> *const U {
    let mut places = 0..=length(string, usize::MAX);
    let is_it = |&place: &usize| at(string, place).value() == unit;
    let place = if last { places.rfind(is_it) } else { places.find(is_it) };
    place.map_or(ptr::null(), |place| string.wrapping_add(place))
}

fn find_string<U: Unit>(string: *const U, what: *const U) -> *const U {
    let (whole, part) = (length(string, usize::MAX), length(what, usize::MAX));
    let starts = |place: usize| (0..part).all(|behind| at(string, place + behind) == at(what, behind));
    let place = (0..=whole.saturating_sub(part)).find(|&place| part <= whole && starts(place));
    place.map_or(ptr::null(), |place| string.wrapping_add(place))
}

fn copy_safely<U: Unit>(to: *mut U, room: usize, appends: bool, source: *const U, name: &str) -> i32 {
    if to.is_null() || source.is_null() || room == 0 {
        Machine::current().violation("string", format!("{name} with NULL or no room"));
        return INVALID;
    }
    let from = if appends { length(to.cast_const(), room) } else { 0 };
    let length = length(source, usize::MAX);
    if from + length >= room {
        let text = format!("{name} of {length} characters behind {from} into room for {room}");
        Machine::current().violation("string", text);
        put(to, 0, U::ZERO);
        return RANGE;
    }
    copy(to, from, source);
    0
}

fn number<U: Unit>(string: *const U) -> i32 {
    let mut place = 0;
    while matches!(at(string, place).value(), 9..=13 | 32) {
        place += 1;
    }
    let negative = at(string, place).value() == 45;
    place += usize::from(matches!(at(string, place).value(), 43 | 45));
    let mut value = 0_i32;
    while let digit @ 48..=57 = at(string, place).value() {
        value = value.wrapping_mul(10).wrapping_add((digit - 48) as i32);
        place += 1;
    }
    if negative { value.wrapping_neg() } else { value }
}

fn bytes_safely(to: PVOID, room: usize, from: *const c_void, count: usize, name: &str) -> i32 {
    if count == 0 {
        return 0;
    }
    if to.is_null() || from.is_null() || room < count {
        Machine::current().violation("string", format!("{name} of {count} bytes into room for {room}"));
        return if to.is_null() || from.is_null() { INVALID } else { RANGE };
    }
    // SAFETY: the caller's contract: two ranges of so many bytes.
    unsafe { ptr::copy(from.cast::<u8>(), to.cast::<u8>(), count) };
    0
}

/// What a comparison of the driver says of two elements.
fn ask(compare: COMPARE, left: *const c_void, right: *const c_void) -> i32 {
    let machine = Machine::current();
    // SAFETY: the function's contract: two elements of the caller's array, or its key and one.
    unsafe { crate::call_either!(machine, compare, left, right) }
}

/// A heap: the greatest of a node and its children comes up.
fn sift(array: *mut u8, size: usize, mut node: usize, count: usize, compare: COMPARE) {
    let element = |place: usize| array.wrapping_add(place * size);
    loop {
        let mut greatest = node;
        for child in [2 * node + 1, 2 * node + 2] {
            if child < count && ask(compare, element(child).cast(), element(greatest).cast()) > 0 {
                greatest = child;
            }
        }
        if greatest == node {
            return;
        }
        // SAFETY: two different elements of the caller's array.
        unsafe { ptr::swap_nonoverlapping(element(node), element(greatest), size) };
        node = greatest;
    }
}

ndk_types::abi! {
    unsafe extern "C" fn strcmp(left: PCSTR, right: PCSTR) -> i32 {
        compare(left, right, usize::MAX, false)
    }
    unsafe extern "C" fn strncmp(left: PCSTR, right: PCSTR, most: SIZE_T) -> i32 {
        compare(left, right, most, false)
    }
    unsafe extern "C" fn stricmp(left: PCSTR, right: PCSTR) -> i32 {
        compare(left, right, usize::MAX, true)
    }
    unsafe extern "C" fn strnicmp(left: PCSTR, right: PCSTR, most: SIZE_T) -> i32 {
        compare(left, right, most, true)
    }
    unsafe extern "C" fn strnlen(string: PCSTR, most: SIZE_T) -> SIZE_T {
        length(string, most)
    }
    unsafe extern "C" fn strcpy(to: PCHAR, from: PCSTR) -> PCHAR {
        copy(to, 0, from)
    }
    unsafe extern "C" fn strncpy(to: PCHAR, from: PCSTR, most: SIZE_T) -> PCHAR {
        copy_some(to, from, most)
    }
    unsafe extern "C" fn strcat(to: PCHAR, from: PCSTR) -> PCHAR {
        copy(to, length(to.cast_const(), usize::MAX), from)
    }
    unsafe extern "C" fn strchr(string: PCSTR, unit: i32) -> PCSTR {
        find(string, unit as u32 & 0xff, false)
    }
    unsafe extern "C" fn strrchr(string: PCSTR, unit: i32) -> PCSTR {
        find(string, unit as u32 & 0xff, true)
    }
    unsafe extern "C" fn strstr(string: PCSTR, what: PCSTR) -> PCSTR {
        find_string(string, what)
    }
    unsafe extern "C" fn strcpy_s(to: PCHAR, room: SIZE_T, from: PCSTR) -> i32 {
        copy_safely(to, room, false, from, "strcpy_s")
    }
    unsafe extern "C" fn strcat_s(to: PCHAR, room: SIZE_T, from: PCSTR) -> i32 {
        copy_safely(to, room, true, from, "strcat_s")
    }
    unsafe extern "C" fn atoi(string: PCSTR) -> i32 {
        number(string)
    }
    unsafe extern "C" fn wcslen(string: PCWSTR) -> SIZE_T {
        length(string, usize::MAX)
    }
    unsafe extern "C" fn wcsnlen(string: PCWSTR, most: SIZE_T) -> SIZE_T {
        length(string, most)
    }
    unsafe extern "C" fn wcscmp(left: PCWSTR, right: PCWSTR) -> i32 {
        compare(left, right, usize::MAX, false)
    }
    unsafe extern "C" fn wcsncmp(left: PCWSTR, right: PCWSTR, most: SIZE_T) -> i32 {
        compare(left, right, most, false)
    }
    unsafe extern "C" fn wcsicmp(left: PCWSTR, right: PCWSTR) -> i32 {
        compare(left, right, usize::MAX, true)
    }
    unsafe extern "C" fn wcsnicmp(left: PCWSTR, right: PCWSTR, most: SIZE_T) -> i32 {
        compare(left, right, most, true)
    }
    unsafe extern "C" fn wcscpy(to: PWSTR, from: PCWSTR) -> PWSTR {
        copy(to, 0, from)
    }
    unsafe extern "C" fn wcsncpy(to: PWSTR, from: PCWSTR, most: SIZE_T) -> PWSTR {
        copy_some(to, from, most)
    }
    unsafe extern "C" fn wcscat(to: PWSTR, from: PCWSTR) -> PWSTR {
        copy(to, length(to.cast_const(), usize::MAX), from)
    }
    unsafe extern "C" fn wcschr(string: PCWSTR, unit: WCHAR) -> PCWSTR {
        find(string, u32::from(unit), false)
    }
    unsafe extern "C" fn wcsrchr(string: PCWSTR, unit: WCHAR) -> PCWSTR {
        find(string, u32::from(unit), true)
    }
    unsafe extern "C" fn wcsstr(string: PCWSTR, what: PCWSTR) -> PCWSTR {
        find_string(string, what)
    }
    unsafe extern "C" fn wcscpy_s(to: PWSTR, room: SIZE_T, from: PCWSTR) -> i32 {
        copy_safely(to, room, false, from, "wcscpy_s")
    }
    unsafe extern "C" fn wcscat_s(to: PWSTR, room: SIZE_T, from: PCWSTR) -> i32 {
        copy_safely(to, room, true, from, "wcscat_s")
    }
    unsafe extern "C" fn wtoi(string: PCWSTR) -> i32 {
        number(string)
    }
    unsafe extern "C" fn tolower(unit: i32) -> i32 {
        if (65..=90).contains(&unit) { unit + 32 } else { unit }
    }
    unsafe extern "C" fn toupper(unit: i32) -> i32 {
        if (97..=122).contains(&unit) { unit - 32 } else { unit }
    }
    unsafe extern "C" fn towlower(unit: WCHAR) -> WCHAR {
        lower(u32::from(unit)) as WCHAR
    }
    unsafe extern "C" fn towupper(unit: WCHAR) -> WCHAR {
        if (97..=122).contains(&unit) { unit - 32 } else { unit }
    }
    unsafe extern "C" fn memcpy_s(to: PVOID, room: SIZE_T, from: *const c_void, count: SIZE_T) -> i32 {
        bytes_safely(to, room, from, count, "memcpy_s")
    }
    unsafe extern "C" fn memmove_s(to: PVOID, room: SIZE_T, from: *const c_void, count: SIZE_T) -> i32 {
        bytes_safely(to, room, from, count, "memmove_s")
    }

    unsafe extern "C" fn qsort(base: PVOID, count: SIZE_T, size: SIZE_T, compare: COMPARE) {
        let array = base.cast::<u8>();
        for node in (0..count / 2).rev() {
            sift(array, size, node, count, compare);
        }
        for end in (1..count).rev() {
            // SAFETY: the first element and another one of the caller's array.
            unsafe { ptr::swap_nonoverlapping(array, array.wrapping_add(end * size), size) };
            sift(array, size, 0, end, compare);
        }
    }

    unsafe extern "C" fn bsearch(
        key: *const c_void,
        base: *const c_void,
        count: SIZE_T,
        size: SIZE_T,
        compare: COMPARE,
    ) -> *const c_void {
        let (mut low, mut high) = (0, count);
        while low < high {
            let middle = low + (high - low) / 2;
            let element = base.cast::<u8>().wrapping_add(middle * size).cast();
            match ask(compare, key, element) {
                0 => return element,
                less if less < 0 => high = middle,
                _ => low = middle + 1,
            }
        }
        ptr::null()
    }
}

pub(super) fn exports() -> impl IntoIterator<Item = Export> {
    exports! { "ntoskrnl.exe" in crate::kernel::wdk::c_only;
        strcmp <= High = strcmp,
        strncmp <= High = strncmp,
        _stricmp <= High = stricmp,
        _strnicmp <= High = strnicmp,
        strnlen <= High = strnlen,
        strcpy <= High = strcpy,
        strncpy <= High = strncpy,
        strcat <= High = strcat,
        strchr <= High = strchr,
        strrchr <= High = strrchr,
        strstr <= High = strstr,
        strcpy_s <= High = strcpy_s,
        strcat_s <= High = strcat_s,
        atoi <= High = atoi,
        wcslen <= High = wcslen,
        wcsnlen <= High = wcsnlen,
        wcscmp <= High = wcscmp,
        wcsncmp <= High = wcsncmp,
        _wcsicmp <= High = wcsicmp,
        _wcsnicmp <= High = wcsnicmp,
        wcscpy <= High = wcscpy,
        wcsncpy <= High = wcsncpy,
        wcscat <= High = wcscat,
        wcschr <= High = wcschr,
        wcsrchr <= High = wcsrchr,
        wcsstr <= High = wcsstr,
        wcscpy_s <= High = wcscpy_s,
        wcscat_s <= High = wcscat_s,
        _wtoi <= High = wtoi,
        tolower <= High = tolower,
        toupper <= High = toupper,
        towlower <= High = towlower,
        towupper <= High = towupper,
        memcpy_s <= High = memcpy_s,
        memmove_s <= High = memmove_s,
        qsort <= High = qsort,
        bsearch <= High = bsearch,
    }
}
