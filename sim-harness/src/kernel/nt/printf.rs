//! What drivers print: DbgPrint and its like, which become lines of the machine's log, and the runtime's `_snprintf` family.
//!
//! Conversions are those of the Microsoft C runtime for kernels, which has no floating point: flags, width, precision (`*` too),
//! the sizes h, l, ll, w, I, I32, I64, z, and d i u x X o p c C s S Z %.

use crate::exports;
use crate::kernel::Machine;
use crate::kernel::export::Export;
use crate::kernel::irql::{self, Irql};
use crate::kernel::wdk::c_only::{ANSI_STRING, VA_LIST};
use crate::kernel::wdk::{PCSTR, PCWSTR, ULONG, UNICODE_STRING};
use std::ptr;

/// The arguments that stand for `...`, one word each.
pub(super) trait Words {
    /// The next one.
    fn next(&mut self) -> u64;

    /// Hears that wide characters are printed.
    fn wide(&mut self) {}
}

/// Arguments of DbgPrint, which takes wide characters at PASSIVE_LEVEL only.
struct Printed<'w, W>(&'w mut W);

impl<W: Words> Words for Printed<'_, W> {
    fn next(&mut self) -> u64 {
        self.0.next()
    }

    fn wide(&mut self) {
        if irql::current() > Irql::Passive {
            Machine::current().violation("irql", "wide characters are printed above PASSIVE_LEVEL");
        }
    }
}

/// Arguments in a list.
struct List(VA_LIST);

impl Words for List {
    fn next(&mut self) -> u64 {
        // SAFETY: the caller's contract: a list with as many arguments as the format has conversions.
        let word = unsafe { self.0.read() };
        self.0 = self.0.wrapping_add(1);
        word
    }
}

/// Arguments that came on the stack; beyond what the border carries there are none.
struct Passed<const N: usize>([u64; N], usize);

impl<const N: usize> Words for Passed<N> {
    fn next(&mut self) -> u64 {
        self.1 += 1;
        self.0.get(self.1 - 1).copied().unwrap_or(0)
    }
}

/// One conversion of a format.
#[derive(Default)]
struct Conversion {
    left: bool,
    zero: bool,
    plus: bool,
    space: bool,
    alternate: bool,
    width: usize,
    precision: Option<usize>,
    /// Bytes of an integer; for characters and strings 2 is wide and 1 is narrow.
    size: Option<usize>,
}

/// The characters of a narrow string, up to `most`.
pub(super) fn narrow(mut at: *const u8, most: usize) -> String {
    if at.is_null() {
        return "(null)".to_owned();
    }
    let mut bytes = Vec::new();
    while bytes.len() < most {
        // SAFETY: the caller's contract: a string that ends with zero, or is as long as the precision.
        let byte = unsafe { at.read() };
        if byte == 0 {
            break;
        }
        bytes.push(byte);
        at = at.wrapping_add(1);
    }
    bytes.into_iter().map(char::from).collect()
}

/// The units of a wide string, up to `most`.
pub(super) fn wide_units(mut at: PCWSTR, most: usize) -> Vec<u16> {
    let mut units = Vec::new();
    while units.len() < most {
        // SAFETY: the caller's contract: a string that ends with zero, or is as long as the precision.
        let unit = unsafe { at.read_unaligned() };
        if unit == 0 {
            break;
        }
        units.push(unit);
        at = at.wrapping_add(1);
    }
    units
}

fn wide(at: PCWSTR, most: usize) -> String {
    if at.is_null() { "(null)".to_owned() } else { String::from_utf16_lossy(&wide_units(at, most)) }
}

/// A counted string by its address: wide or narrow.
fn counted(address: u64, is_wide: bool) -> String {
    if address == 0 {
        return "(null)".to_owned();
    }
    if is_wide {
        super::runtime::text(ptr::with_exposed_provenance::<UNICODE_STRING>(address as usize))
    } else {
        let string = ptr::with_exposed_provenance::<ANSI_STRING>(address as usize);
        // SAFETY: the caller's contract: a counted string.
        let string = unsafe { string.read() };
        narrow(string.Buffer, usize::from(string.Length))
    }
}

/// Fills in a format. `is_wide` says what a plain `%s` and `%c` are.
pub(super) fn format(format: &str, is_wide: bool, words: &mut impl Words) -> String {
    let mut out = String::new();
    let mut rest = format.chars().peekable();
    while let Some(next) = rest.next() {
        if next != '%' {
            out.push(next);
            continue;
        }
        let mut how = Conversion::default();
        while let Some(&flag) = rest.peek() {
            match flag {
                '-' => how.left = true,
                '0' => how.zero = true,
                '+' => how.plus = true,
                ' ' => how.space = true,
                '#' => how.alternate = true,
                _ => break,
            }
            rest.next();
        }
        how.width = number(&mut rest, words).unwrap_or(0);
        if rest.next_if_eq(&'.').is_some() {
            how.precision = Some(number(&mut rest, words).unwrap_or(0));
        }
        how.size = size(&mut rest);
        let Some(kind) = rest.next() else { break };
        out.push_str(&convert(kind, &how, is_wide, words));
    }
    out
}

type Rest<'r> = std::iter::Peekable<std::str::Chars<'r>>;

fn number(rest: &mut Rest<'_>, words: &mut impl Words) -> Option<usize> {
    if rest.next_if_eq(&'*').is_some() {
        return usize::try_from(words.next() as i32).ok();
    }
    let mut value = None;
    while let Some(digit) = rest.peek().and_then(|digit| digit.to_digit(10)) {
        value = Some(value.unwrap_or(0_usize).saturating_mul(10).saturating_add(digit as usize));
        rest.next();
    }
    value
}

fn size(rest: &mut Rest<'_>) -> Option<usize> {
    let first = rest.next_if(|next| matches!(next, 'h' | 'l' | 'w' | 'I' | 'z' | 'j' | 't'))?;
    Some(match first {
        'h' if rest.next_if_eq(&'h').is_some() => 1,
        'h' => 1,
        'l' if rest.next_if_eq(&'l').is_some() => 8,
        'l' | 'w' => 2,
        'I' if rest.next_if_eq(&'3').is_some() => {
            rest.next_if_eq(&'2');
            4
        }
        'I' if rest.next_if_eq(&'6').is_some() => {
            rest.next_if_eq(&'4');
            8
        }
        _ => 8,
    })
}

fn convert(kind: char, how: &Conversion, is_wide: bool, words: &mut impl Words) -> String {
    let most = how.precision.unwrap_or(usize::MAX);
    // An upper-case S or C is of the other width than the format; h and l, w say it outright.
    let wide_text = |upper: bool| match how.size {
        Some(1) => false,
        Some(_) => true,
        None => is_wide != upper,
    };
    match kind {
        '%' => "%".to_owned(),
        's' | 'S' => {
            let at = words.next() as usize;
            let text = if wide_text(kind == 'S') {
                words.wide();
                wide(ptr::with_exposed_provenance(at), most)
            } else {
                narrow(ptr::with_exposed_provenance(at), most)
            };
            pad(&text, how)
        }
        'Z' => {
            let is_wide = how.size == Some(2);
            if is_wide {
                words.wide();
            }
            pad(&counted(words.next(), is_wide), how)
        }
        'c' | 'C' => {
            let unit = words.next();
            let unit = if wide_text(kind == 'C') { unit as u16 } else { u16::from(unit as u8) };
            pad(&char::from_u32(u32::from(unit)).unwrap_or('\u{fffd}').to_string(), how)
        }
        'p' => pad(&format!("{:016X}", words.next()), how),
        'd' | 'i' => {
            let value = words.next();
            let value = match how.size {
                Some(8) => value.cast_signed(),
                Some(1) => i64::from(value as i16),
                _ => i64::from(value as i32),
            };
            let sign = match (value < 0, how.plus, how.space) {
                (true, _, _) => "-",
                (_, true, _) => "+",
                (_, _, true) => " ",
                _ => "",
            };
            integer(sign, &value.unsigned_abs().to_string(), how)
        }
        'u' | 'x' | 'X' | 'o' => {
            let value = words.next();
            let value = match how.size {
                Some(8) => value,
                Some(1) => value & 0xffff,
                _ => value & 0xffff_ffff,
            };
            let (prefix, digits) = match kind {
                'u' => ("", value.to_string()),
                'o' => ("", format!("{value:o}")),
                'x' => ("0x", format!("{value:x}")),
                _ => ("0X", format!("{value:X}")),
            };
            integer(if how.alternate && value != 0 { prefix } else { "" }, &digits, how)
        }
        other => format!("%{other}"),
    }
}

/// Sign, prefix, digits: with zeroes up to the precision, or up to the width when that is asked for.
fn integer(prefix: &str, digits: &str, how: &Conversion) -> String {
    let wanted = match how.precision {
        Some(precision) => precision,
        None if how.zero && !how.left => how.width.saturating_sub(prefix.len()),
        None => 0,
    };
    let zeroes = "0".repeat(wanted.saturating_sub(digits.len()).min(1024));
    pad(&format!("{prefix}{zeroes}{digits}"), how)
}

fn pad(text: &str, how: &Conversion) -> String {
    let missing = how.width.saturating_sub(text.chars().count()).min(1024);
    let fill = " ".repeat(missing);
    if how.left { format!("{text}{fill}") } else { format!("{fill}{text}") }
}

/// A line for the machine's log.
fn print(prefix: &str, format: PCSTR, words: &mut impl Words) -> ULONG {
    let text = narrow_format(format, &mut Printed(words));
    let machine = Machine::current();
    for line in text.trim_end_matches(['\n', '\r']).lines() {
        machine.log(format!("debug print: {prefix}{line}"));
    }
    0
}

fn narrow_format(at: PCSTR, words: &mut impl Words) -> String {
    format(&narrow(at.cast(), usize::MAX), false, words)
}

/// Puts text into a buffer of `room` units as `_snprintf` does: the zero at the end only where there is room for it, -1 when
/// the text is cut.
fn put<T: Copy + Default>(buffer: *mut T, room: usize, units: &[T]) -> i32 {
    let kept = units.len().min(room);
    // SAFETY: the caller's contract: a buffer of so many units.
    unsafe { ptr::copy_nonoverlapping(units.as_ptr(), buffer, kept) };
    if units.len() < room {
        // SAFETY: as above: the unit behind the text is in the buffer.
        unsafe { buffer.wrapping_add(units.len()).write(T::default()) };
    }
    if units.len() > room { -1 } else { units.len() as i32 }
}

fn put_narrow(buffer: *mut u8, room: usize, text: &str) -> i32 {
    let bytes: Vec<u8> = text.chars().map(|one| u8::try_from(one).unwrap_or(b'?')).collect();
    put(buffer, room, &bytes)
}

fn put_wide(buffer: *mut u16, room: usize, text: &str) -> i32 {
    put(buffer, room, &text.encode_utf16().collect::<Vec<_>>())
}

/// The `_s` functions end the run where text does not fit with its zero; here that is a violation and an empty string.
fn put_safely<T: Copy + Default>(buffer: *mut T, room: usize, units: &[T], name: &str) -> i32 {
    if units.len() < room {
        return put(buffer, room, units);
    }
    let text = format!("{name} of {} characters into room for {room}", units.len());
    Machine::current().violation("string", text);
    if room > 0 { put(buffer, room, &[]) - 1 } else { -1 }
}

macro_rules! printing {
    ($($(#[$meta:meta])* fn $name:ident($($fixed:ident: $type:ty),*; $($word:ident)*) -> $result:ty = |$words:ident| $body:expr;)*) => {
        ndk_types::abi! {
            $(
                $(#[$meta])*
                unsafe extern "C" fn $name($($fixed: $type,)* $($word: u64),*) -> $result {
                    let mut $words = Passed([$($word),*], 0);
                    $body
                }
            )*
        }
    };
}

printing! {
    fn dbg_print(format: PCSTR; a b c d e f g h i j k l m n o) -> ULONG =
        |words| print("", format, &mut words);
    fn dbg_print_ex(_component: ULONG, _level: ULONG, format: PCSTR; a b c d e f g h i j k l m) -> ULONG =
        |words| print("", format, &mut words);
    fn snprintf(buffer: *mut u8, room: usize, format: PCSTR; a b c d e f g h i j k l m) -> i32 =
        |words| put_narrow(buffer, room, &narrow_format(format, &mut words));
    fn sprintf_s(buffer: *mut u8, room: usize, format: PCSTR; a b c d e f g h i j k l m) -> i32 = |words| {
        let text = narrow_format(format, &mut words);
        put_safely(buffer, room, &text.chars().map(|one| one as u8).collect::<Vec<_>>(), "sprintf_s")
    };
    fn snwprintf(buffer: *mut u16, room: usize, form: PCWSTR; a b c d e f g h i j k l m) -> i32 =
        |words| put_wide(buffer, room, &format(&wide(form, usize::MAX), true, &mut words));
    fn swprintf_s(buffer: *mut u16, room: usize, form: PCWSTR; a b c d e f g h i j k l m) -> i32 = |words| {
        let text = format(&wide(form, usize::MAX), true, &mut words);
        put_safely(buffer, room, &text.encode_utf16().collect::<Vec<_>>(), "swprintf_s")
    };
}

ndk_types::abi! {
    unsafe extern "C" fn v_dbg_print_ex(_component: ULONG, _level: ULONG, format: PCSTR, list: VA_LIST) -> ULONG {
        print("", format, &mut List(list))
    }

    unsafe extern "C" fn v_dbg_print_ex_with_prefix(
        prefix: PCSTR,
        _component: ULONG,
        _level: ULONG,
        format: PCSTR,
        list: VA_LIST,
    ) -> ULONG {
        print(&narrow(prefix.cast(), usize::MAX), format, &mut List(list))
    }

    unsafe extern "C" fn vsnprintf(buffer: *mut u8, room: usize, format: PCSTR, list: VA_LIST) -> i32 {
        put_narrow(buffer, room, &narrow_format(format, &mut List(list)))
    }

    unsafe extern "C" fn vsnwprintf(buffer: *mut u16, room: usize, form: PCWSTR, list: VA_LIST) -> i32 {
        put_wide(buffer, room, &format(&wide(form, usize::MAX), true, &mut List(list)))
    }
}

pub(super) fn exports() -> impl IntoIterator<Item = Export> {
    exports! { "ntoskrnl.exe" in crate::kernel::wdk::c_only;
        DbgPrint <= High = dbg_print,
        DbgPrintEx <= High = dbg_print_ex,
        vDbgPrintEx <= High = v_dbg_print_ex,
        vDbgPrintExWithPrefix <= High = v_dbg_print_ex_with_prefix,
        _snprintf <= High = snprintf,
        sprintf_s <= High = sprintf_s,
        _vsnprintf <= High = vsnprintf,
        _snwprintf <= High = snwprintf,
        swprintf_s <= High = swprintf_s,
        _vsnwprintf <= High = vsnwprintf,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str, words: &[u64]) -> String {
        format(text, false, &mut List(words.as_ptr()))
    }

    #[test]
    fn integers_have_signs_widths_precisions_and_sizes() {
        let minus = (-5_i64).cast_unsigned();
        assert_eq!(shown("%d|%5d|%-5d|%05d|%+d", &[minus, minus, minus, minus, 7]), "-5|   -5|-5   |-0005|+7");
        assert_eq!(
            shown("%u %hu %I64u %llx", &[u64::MAX, 0x1_0002, u64::MAX, 0xfeed_0000_0001]),
            "4294967295 2 18446744073709551615 feed00000001"
        );
        assert_eq!(shown("%x %X %#x %08X %.3d %o", &[0xab, 0xab, 0xab, 0xab, 7, 8]), "ab AB 0xab 000000AB 007 10");
        assert_eq!(shown("%*d|%-*d|%.*d", &[4, 1, 4, 1, 2, 1]), "   1|1   |01");
        assert_eq!(shown("%p %% %c %lld %zu", &[0xabc, 65, minus, 9]), "0000000000000ABC % A -5 9");
        assert_eq!(shown("%08x %I32d %q", &[0x1_0000_0001, minus]), "00000001 -5 %q");
    }

    #[test]
    fn strings_are_narrow_wide_or_counted() {
        let wide: Vec<u16> = "wide\0".encode_utf16().collect();
        let counted = UNICODE_STRING { Length: 4, MaximumLength: 10, Buffer: wide.as_ptr().cast_mut() };
        let ansi = ANSI_STRING { Length: 3, MaximumLength: 3, Buffer: b"ans".as_ptr().cast_mut() };
        let narrow = c"narrow".as_ptr().expose_provenance() as u64;
        let at = wide.as_ptr().expose_provenance() as u64;
        let counted = (&raw const counted).expose_provenance() as u64;
        let ansi = (&raw const ansi).expose_provenance() as u64;
        assert_eq!(shown("%s %ws %S %ls %.3s", &[narrow, at, at, at, narrow]), "narrow wide wide wide nar");
        assert_eq!(
            shown("%wZ %Z %s [%9s] [%-9s]", &[counted, ansi, 0, narrow, narrow]),
            "wi ans (null) [   narrow] [narrow   ]"
        );
        let units = [at, narrow, narrow];
        assert_eq!(format("%s %S %hs", true, &mut List(units.as_ptr())), "wide narrow narrow");
    }

    #[test]
    fn a_buffer_that_is_too_short_gets_no_zero_and_says_so() {
        let mut buffer = [0xff_u8; 6];
        assert_eq!((put_narrow(buffer.as_mut_ptr(), 6, "abc"), buffer), (3, *b"abc\0\xff\xff"));
        assert_eq!((put_narrow(buffer.as_mut_ptr(), 3, "xyz"), buffer), (3, *b"xyz\0\xff\xff"));
        assert_eq!((put_narrow(buffer.as_mut_ptr(), 2, "abc"), buffer), (-1, *b"abz\0\xff\xff"));
    }
}
