//! What drivers written in C do with strings, lookaside lists and functions by name; and what they do wrong.

use crate::kernel::bad_drivers::{broken, import};
use crate::kernel::irql::{self, Irql};
use crate::kernel::wdk::c_only::{ANSI_STRING, COMPARE};
use crate::kernel::wdk::*;
use ndk_types::{STATUS_BUFFER_OVERFLOW, STATUS_BUFFER_TOO_SMALL, STATUS_INVALID_PARAMETER, STATUS_SUCCESS};
use std::ffi::c_void;
use std::ptr;

const TAG: u32 = u32::from_le_bytes(*b"Test");

/// A wide string that ends with zero.
fn wide(text: &str) -> Vec<u16> {
    text.encode_utf16().chain([0]).collect()
}

/// A counted string over a wide one.
fn counted(units: &mut [u16], length: usize) -> UNICODE_STRING {
    UNICODE_STRING { Length: (length * 2) as u16, MaximumLength: (units.len() * 2) as u16, Buffer: units.as_mut_ptr() }
}

fn text(string: &UNICODE_STRING) -> String {
    super::runtime::text(ptr::from_ref(string))
}

#[test]
fn counted_strings_are_copied_appended_and_cut_where_there_is_no_room() {
    let rules = broken(|_, _| {
        let (mut from, mut to) = (wide("one"), [0xffff_u16; 6]);
        let from = counted(&mut from, 3);
        let mut string = counted(&mut to, 0);
        import!(c_only: RtlCopyUnicodeString, &raw mut string, &raw const from);
        assert_eq!(text(&string), "one");
        let two = wide("two");
        assert_eq!(import!(c_only: RtlAppendUnicodeToString, &raw mut string, two.as_ptr()), STATUS_SUCCESS);
        assert_eq!(text(&string), "onetwo");
        let more = import!(c_only: RtlAppendUnicodeStringToString, &raw mut string, &raw const from);
        assert_eq!((more, text(&string)), (STATUS_BUFFER_TOO_SMALL, "onetwo".into()));
        string.MaximumLength = 4;
        import!(c_only: RtlCopyUnicodeString, &raw mut string, &raw const from);
        assert_eq!(text(&string), "on");
        import!(c_only: RtlCopyUnicodeString, &raw mut string, ptr::null());
        assert_eq!(string.Length, 0);
        assert_eq!(import!(c_only: RtlAppendUnicodeToString, &raw mut string, ptr::null()), STATUS_SUCCESS);
    });
    assert_eq!(rules, []);
}

#[test]
fn counted_strings_are_compared_with_and_without_case() {
    let rules = broken(|_, _| {
        let (mut left, mut right) = (wide("Alpha"), wide("aLPHABET"));
        let (left, right) = (counted(&mut left, 5), counted(&mut right, 8));
        let (left, right) = (&raw const left, &raw const right);
        let compared = [0, 1].map(|fold| import!(c_only: RtlCompareUnicodeString, left, right, fold));
        assert_eq!((compared, import!(c_only: RtlCompareUnicodeString, left, left, 0)), ([-1, -1], 0));
        assert_eq!(import!(c_only: RtlCompareUnicodeString, right, left, 1), 1);
        let prefix = [0, 1].map(|fold| import!(c_only: RtlPrefixUnicodeString, left, right, fold));
        assert_eq!((prefix, import!(c_only: RtlPrefixUnicodeString, right, left, 1)), ([0, 1], 0));
        assert_eq!(import!(c_only: RtlUpcaseUnicodeChar, 0xe4), 0xc4);
        let bytes = (b"abcd".as_ptr().cast(), b"abxd".as_ptr().cast());
        assert_eq!(import!(c_only: RtlCompareMemory, bytes.0, bytes.1, 4), 2);
    });
    assert_eq!(rules, []);
}

#[test]
fn strings_are_converted_into_buffers_of_the_pool_that_are_freed_once() {
    let rules = broken(|machine, _| {
        let mut ansi = ANSI_STRING { Length: 0, MaximumLength: 0, Buffer: ptr::null_mut() };
        import!(c_only: RtlInitAnsiString, &raw mut ansi, c"narrow".as_ptr());
        assert_eq!((ansi.Length, ansi.MaximumLength), (6, 7));
        let mut string = counted(&mut [], 0);
        let status = import!(c_only: RtlAnsiStringToUnicodeString, &raw mut string, &raw const ansi, 1);
        assert_eq!((status, text(&string)), (STATUS_SUCCESS, "narrow".into()));
        let mut back = ANSI_STRING { Length: 0, MaximumLength: 3, Buffer: ptr::null_mut() };
        let status = import!(c_only: RtlUnicodeStringToAnsiString, &raw mut back, &raw const string, 0);
        assert_eq!(status, STATUS_BUFFER_OVERFLOW);
        let status = import!(c_only: RtlUnicodeStringToAnsiString, &raw mut back, &raw const string, 1);
        assert_eq!((status, back.Length, back.MaximumLength), (STATUS_SUCCESS, 6, 7));
        assert_eq!(machine.check_leaks(), 2);
        import!(c_only: RtlFreeAnsiString, &raw mut back);
        import!(c_only: RtlFreeUnicodeString, &raw mut string);
        import!(c_only: RtlFreeUnicodeString, &raw mut string);
        assert_eq!((machine.check_leaks(), machine.verifier.take().len()), (0, 2));
        let mut own = [0; 4];
        let mut never = counted(&mut own, 0);
        import!(c_only: RtlFreeUnicodeString, &raw mut never);
    });
    assert_eq!(rules, [("pool", "RtlFreeUnicodeString")]);
}

#[test]
fn numbers_are_read_and_written_in_their_base() {
    let rules = broken(|_, _| {
        let read = |what: &str, base| {
            let mut units = wide(what);
            let string = counted(&mut units, what.len());
            let mut value = 77;
            let status = import!(c_only: RtlUnicodeStringToInteger, &raw const string, base, &raw mut value);
            (status, value)
        };
        assert_eq!((read("  42x", 0), read("0x1F", 0), read("ff", 16)), ((0, 42), (0, 31), (0, 255)));
        assert_eq!((read("-1", 10), read("101", 2)), ((0, u32::MAX), (0, 5)));
        assert_eq!(read("1", 7), (STATUS_INVALID_PARAMETER, 77));
        let mut room = [0; 4];
        let mut string = counted(&mut room, 0);
        assert_eq!(import!(c_only: RtlIntegerToUnicodeString, 0xbeef, 16, &raw mut string), STATUS_SUCCESS);
        assert_eq!(text(&string), "BEEF");
        assert_eq!(import!(c_only: RtlIntegerToUnicodeString, 12345, 10, &raw mut string), STATUS_BUFFER_OVERFLOW);
    });
    assert_eq!(rules, []);
}

#[test]
fn addresses_are_read_and_written() {
    let rules = broken(|_, _| {
        let (input, mut end, mut v4) = (wide("10.0.0.7:80"), ptr::null(), [0; 4]);
        let status = import!(c_only: RtlIpv4StringToAddressW, input.as_ptr(), 1, &raw mut end, &raw mut v4);
        assert_eq!((status, v4, end), (STATUS_SUCCESS, [10, 0, 0, 7], input[8..].as_ptr()));
        let mut port = 0;
        let status = import!(c_only: RtlIpv4StringToAddressExW, input.as_ptr(), 1, &raw mut v4, &raw mut port);
        assert_eq!((status, port), (STATUS_SUCCESS, 80_u16.to_be()));
        let bad = wide("10.0.0");
        let status = import!(c_only: RtlIpv4StringToAddressW, bad.as_ptr(), 1, &raw mut end, &raw mut v4);
        assert_eq!((status, end), (STATUS_INVALID_PARAMETER, bad.as_ptr()));
        let (input, mut v6, mut scope) = (wide("[fe80::7%4]:9"), [0; 16], 0);
        let status =
            import!(c_only: RtlIpv6StringToAddressExW, input.as_ptr(), &raw mut v6, &raw mut scope, &raw mut port);
        assert_eq!((status, v6[0], v6[15], scope, port), (STATUS_SUCCESS, 0xfe, 7, 4, 9_u16.to_be()));
        let mut room = [1_u16; 46];
        let end = import!(c_only: RtlIpv6AddressToStringW, &raw const v6, room.as_mut_ptr());
        assert_eq!((end.addr() - room.as_ptr().addr(), &room[..8]), (14, &wide("fe80::7")[..]));
        let end = import!(c_only: RtlIpv4AddressToStringW, &raw const v4, room.as_mut_ptr());
        assert_eq!((end.addr() - room.as_ptr().addr(), &room[..9]), (16, &wide("10.0.0.7")[..]));
        let plain = wide("::ffff:1.2.3.4");
        let mut rest = ptr::null();
        let status = import!(c_only: RtlIpv6StringToAddressW, plain.as_ptr(), &raw mut rest, &raw mut v6);
        assert_eq!((status, &v6[10..]), (STATUS_SUCCESS, &[0xff, 0xff, 1, 2, 3, 4][..]));
    });
    assert_eq!(rules, []);
}

#[test]
fn strings_of_c_are_compared_searched_and_copied() {
    let rules = broken(|_, _| {
        let (abc, abd) = (c"abc".as_ptr(), c"ABD".as_ptr());
        assert_eq!((import!(c_only: strcmp, abc, abd), import!(c_only: _stricmp, abc, abd)), (1, -1));
        assert_eq!((import!(c_only: _strnicmp, abc, abd, 2), import!(c_only: strncmp, abc, abc, 9)), (0, 0));
        assert_eq!(import!(c_only: strchr, abc, i32::from(b'c')).addr() - abc.addr(), 2);
        assert!(import!(c_only: strchr, abc, i32::from(b'x')).is_null());
        let dots = c"a.b.c".as_ptr();
        assert_eq!(import!(c_only: strrchr, dots, i32::from(b'.')).addr() - dots.addr(), 3);
        assert_eq!(import!(c_only: strstr, abc, c"bc".as_ptr()).addr() - abc.addr(), 1);
        assert!(import!(c_only: strstr, abc, c"bcd".as_ptr()).is_null());
        assert_eq!((import!(c_only: atoi, c" -12x".as_ptr()), import!(c_only: _wtoi, wide("34").as_ptr())), (-12, 34));
        let mut room = [b'z'.cast_signed(); 8];
        import!(c_only: strcpy, room.as_mut_ptr(), abc);
        import!(c_only: strcat, room.as_mut_ptr(), c"de".as_ptr());
        assert_eq!(room.map(i8::cast_unsigned), *b"abcde\0zz");
        import!(c_only: strncpy, room.as_mut_ptr(), abd, 5);
        assert_eq!(room.map(i8::cast_unsigned), *b"ABD\0\0\0zz");
        assert_eq!(import!(c_only: strnlen, room.as_ptr(), 2), 2);
        let (left, mut wide_room) = (wide("Wide"), [0xffff_u16; 10]);
        import!(c_only: wcscpy, wide_room.as_mut_ptr(), left.as_ptr());
        import!(c_only: wcscat, wide_room.as_mut_ptr(), left.as_ptr());
        assert_eq!((import!(c_only: wcslen, wide_room.as_ptr()), import!(c_only: wcsnlen, left.as_ptr(), 2)), (8, 2));
        assert_eq!(import!(c_only: _wcsnicmp, wide_room.as_ptr(), wide("wIDE").as_ptr(), 4), 0);
        assert_eq!(import!(c_only: wcscmp, left.as_ptr(), wide("Wider").as_ptr()), -1);
        assert_eq!(import!(c_only: wcsrchr, wide_room.as_ptr(), 0x57).addr() - wide_room.as_ptr().addr(), 8);
        assert_eq!(
            import!(c_only: wcsstr, wide_room.as_ptr(), wide("eW").as_ptr()).addr() - wide_room.as_ptr().addr(),
            6
        );
        assert_eq!((import!(c_only: tolower, 65), import!(c_only: towupper, 98)), (97, 66));
    });
    assert_eq!(rules, []);
}

#[test]
fn too_little_room_for_a_safe_function_is_caught_and_leaves_an_empty_string() {
    let rules = broken(|_, _| {
        let mut room = [b'z'.cast_signed(); 4];
        assert_eq!(import!(c_only: strcpy_s, room.as_mut_ptr(), 4, c"abc".as_ptr()), 0);
        assert_eq!((import!(c_only: strcat_s, room.as_mut_ptr(), 4, c"d".as_ptr()), room[0]), (34, 0));
        let mut wide_room = [1_u16; 3];
        assert_eq!((import!(c_only: wcscpy_s, wide_room.as_mut_ptr(), 3, wide("abc").as_ptr()), wide_room[0]), (34, 0));
        assert_eq!(import!(c_only: wcscat_s, wide_room.as_mut_ptr(), 3, ptr::null()), 22);
        let (to, from) = (room.as_mut_ptr().cast(), b"12345".as_ptr().cast());
        assert_eq!((import!(c_only: memcpy_s, to, 4, from, 4), import!(c_only: memmove_s, to, 4, from, 5)), (0, 34));
        let count = import!(c_only: sprintf_s, to.cast(), 4, c"%d".as_ptr(), 12345, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
        assert_eq!(count, -1);
    });
    let calls = ["strcat_s", "wcscpy_s", "wcscat_s", "memmove_s", "sprintf_s"];
    assert_eq!(rules, calls.map(|call| ("string", call)));
}

unsafe extern "win64" fn by_value(left: *const c_void, right: *const c_void) -> i32 {
    // SAFETY: the test sorts numbers.
    let (left, right) = (unsafe { left.cast::<u32>().read() }, unsafe { right.cast::<u32>().read() });
    left.cmp(&right) as i32
}

#[test]
fn arrays_are_sorted_and_searched_with_the_drivers_comparison() {
    let rules = broken(|_, _| {
        let mut numbers: Vec<u32> = (0..50).map(|place| (place * 37 + 11) % 50).collect();
        let compare: COMPARE = by_value;
        import!(c_only: qsort, numbers.as_mut_ptr().cast(), 50, 4, compare);
        assert_eq!(numbers, (0..50).collect::<Vec<_>>());
        let find = |key: u32| {
            let base = numbers.as_ptr().cast();
            import!(c_only: bsearch, (&raw const key).cast(), base, 50, 4, compare).addr()
        };
        assert_eq!((find(33) - numbers.as_ptr().addr(), find(50)), (33 * 4, 0));
        import!(c_only: qsort, numbers.as_mut_ptr().cast(), 0, 4, compare);
    });
    assert_eq!(rules, []);
}

#[test]
fn debug_prints_are_lines_of_the_log_and_wide_ones_are_for_passive_level() {
    let rules = broken(|machine, _| {
        let wide = wide("wide");
        let at = wide.as_ptr().expose_provenance() as u64;
        let print = |format: &std::ffi::CStr, first| import!(c_only: DbgPrintEx, 0, 0, format.as_ptr(), first, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
        print(c"%u of %u\n", 3);
        let list = [5_u64];
        import!(c_only: vDbgPrintExWithPrefix, c"toy: ".as_ptr(), 0, 0, c"%d\n".as_ptr(), list.as_ptr());
        irql::set(Irql::Dispatch);
        print(c"plain", 0);
        print(c"%ws", at);
        assert_eq!(machine.log_lines()[..3], ["debug print: 3 of 7", "debug print: toy: 5", "debug print: plain"]);
    });
    assert_eq!(rules, [("irql", "DbgPrintEx")]);
}

/// What the inline functions of C do with a lookaside list.
fn through(list: *mut u8, offset: usize) -> usize {
    // SAFETY: an initialized list, whose pointers these are.
    unsafe { list.wrapping_add(offset).cast::<usize>().read() }
}

#[repr(C, align(16))]
struct Lookaside([u8; 128]);

#[test]
fn a_lookaside_list_gives_blocks_of_the_pool_and_is_deleted_once() {
    type Allocate = unsafe extern "win64" fn(i32, usize, u32) -> PVOID;
    type Free = unsafe extern "win64" fn(PVOID);
    let rules = broken(|machine, _| {
        let mut list = Box::new(Lookaside([0xff; 128]));
        let at: *mut u8 = list.0.as_mut_ptr();
        let none = ptr::null_mut();
        import!(c_only: ExInitializeNPagedLookasideList, at.cast(), none, none, 0, 40, TAG, 0);
        // SAFETY: the pointers of a list are functions of these types.
        let allocate: Allocate = unsafe { std::mem::transmute(through(at, 0x30)) };
        // SAFETY: as above.
        let free: Free = unsafe { std::mem::transmute(through(at, 0x38)) };
        // SAFETY: what the list says of itself.
        let block = unsafe { allocate(512, 40, TAG) };
        // SAFETY: a block of the pool.
        unsafe { ptr::write_bytes(block.cast::<u8>(), 1, 40) };
        assert_eq!(machine.check_leaks(), 2);
        // SAFETY: the block above.
        unsafe { free(block) };
        import!(c_only: ExDeleteNPagedLookasideList, at.cast());
        assert_eq!((machine.check_leaks(), machine.verifier.take().len()), (0, 2));
        import!(c_only: ExDeleteNPagedLookasideList, at.cast());
        import!(c_only: ExInitializeLookasideListEx, at.cast(), none, none, 512, 0, 40, TAG, 0);
        import!(c_only: ExInitializeLookasideListEx, at.cast(), none, none, 512, 0, 40, TAG, 0);
        irql::set(Irql::Dispatch);
        import!(c_only: ExAllocatePoolWithTag, 1, 8, TAG);
        machine.fail_once("ExAllocatePoolWithTag");
        assert!(import!(c_only: ExAllocatePoolWithTag, 512, 8, TAG).is_null());
    });
    let list = |call| ("list", call);
    let calls = [list("ExDeleteNPagedLookasideList"), list("ExInitializeLookasideListEx")];
    assert_eq!(rules, [&calls[..], &[("irql", "ExAllocatePoolWithTag")]].concat());
}

#[test]
fn a_function_is_found_by_name_and_its_gate_tells_that_it_was_called() {
    type Level = unsafe extern "win64" fn() -> u8;
    let rules = broken(|_, _| {
        let mut name = wide("KeGetCurrentIrql");
        let mut name = counted(&mut name, 16);
        let found = import!(MmGetSystemRoutineAddress, &raw mut name);
        assert_eq!(import!(MmGetSystemRoutineAddress, &raw mut name), found);
        // SAFETY: the function of this name has this type.
        let level: Level = unsafe { std::mem::transmute(found) };
        irql::set(Irql::Apc);
        // SAFETY: it may be called at any level.
        assert_eq!(unsafe { level() }, 1);
        assert_eq!(crate::kernel::verifier::call(), "KeGetCurrentIrql");
        irql::set(Irql::Passive);
        let mut none = wide("KeNobodyHasThis");
        let mut none = counted(&mut none, 15);
        assert!(import!(MmGetSystemRoutineAddress, &raw mut none).is_null());
    });
    assert_eq!(rules, []);
}
