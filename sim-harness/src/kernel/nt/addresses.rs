//! Addresses of IP as text and back, as ip2string.h has them. Ports are in network order.

use super::printf::wide_units;
use crate::exports;
use crate::kernel::export::Export;
use crate::kernel::wdk::{BOOLEAN, NTSTATUS, PCWSTR, PULONG, PWSTR, USHORT};
use ndk_types::{STATUS_INVALID_PARAMETER, STATUS_SUCCESS};
use std::net::{Ipv4Addr, Ipv6Addr};

/// A string that ends with zero; characters beyond ASCII belong to no address.
fn ascii(at: PCWSTR) -> String {
    wide_units(at, 512).into_iter().map(|unit| u8::try_from(unit).map_or('?', char::from)).collect()
}

/// A number of an address: decimal, or with 0x and 0 as in C where that is allowed; and the characters it took.
fn part(text: &str, strict: bool) -> Option<(u32, usize)> {
    let (base, skip) = match text.as_bytes() {
        [b'0', b'x' | b'X', ..] if !strict => (16, 2),
        [b'0', b'0'..=b'9', ..] if !strict => (8, 1),
        _ => (10, 0),
    };
    let length = text[skip..].chars().take_while(|one| one.is_digit(base)).count();
    let value = u32::from_str_radix(&text[skip..skip + length], base).ok()?;
    Some((value, skip + length))
}

/// An address of IPv4 at the start of a text, and the characters it took. Strict: four decimal parts.
fn parse_v4(text: &str, strict: bool) -> Option<(Ipv4Addr, usize)> {
    let (mut parts, mut taken) = (Vec::new(), 0);
    loop {
        let (value, length) = part(&text[taken..], strict)?;
        taken += length;
        parts.push(value);
        if parts.len() == 4 || !text[taken..].starts_with('.') {
            break;
        }
        taken += 1;
    }
    let (last, rest) = parts.split_last()?;
    let room = 8 * (4 - rest.len() as u32);
    if (strict && parts.len() != 4) || rest.iter().any(|&part| part > 255) || u64::from(*last) >> room != 0 {
        return None;
    }
    let high = rest.iter().enumerate().fold(0, |sum, (place, part)| sum | part << (24 - 8 * place as u32));
    Some((Ipv4Addr::from(high | last), taken))
}

/// The longest address of IPv6 at the start of a text, and the characters it took.
fn parse_v6(text: &str) -> Option<(Ipv6Addr, usize)> {
    let most = text.chars().take_while(|one| one.is_ascii_hexdigit() || matches!(one, ':' | '.')).count();
    (2..=most).rev().find_map(|length| Some((text[..length].parse().ok()?, length)))
}

fn port(text: &str) -> Option<u16> {
    let (value, length) = part(text, false)?;
    (length == text.len()).then(|| u16::try_from(value).ok()).flatten()
}

/// `address`, `address:port`.
fn parse_v4_with_port(text: &str, strict: bool) -> Option<(Ipv4Addr, u16)> {
    let (address, taken) = parse_v4(text, strict)?;
    let port = match text[taken..].strip_prefix(':') {
        Some(rest) => port(rest)?,
        None if taken == text.len() => 0,
        None => return None,
    };
    Some((address, port))
}

/// `address`, `address%scope`, `[address%scope]:port`.
fn parse_v6_with_port(text: &str) -> Option<(Ipv6Addr, u32, u16)> {
    let (inside, outside) = match text.strip_prefix('[') {
        Some(rest) => rest.split_once(']')?,
        None => (text, ""),
    };
    let (address, scope) = inside.split_once('%').unwrap_or((inside, "0"));
    let (parsed, taken) = parse_v6(address)?;
    let port = if outside.is_empty() { 0 } else { port(outside.strip_prefix(':')?)? };
    (taken == address.len()).then_some(())?;
    Some((parsed, scope.parse().ok()?, port))
}

/// Writes text with its zero; gives where the zero is.
fn write(to: PWSTR, text: &str) -> PWSTR {
    let units = text.encode_utf16().chain([0]);
    let mut end = to;
    for (place, unit) in units.enumerate() {
        end = to.wrapping_add(place);
        // SAFETY: ip2string.h: a buffer for the longest address, 16 characters or 46.
        unsafe { end.write(unit) };
    }
    end
}

fn give<T>(place: *mut T, value: T) {
    // SAFETY: ip2string.h: room for the answer.
    unsafe { place.write(value) };
}

ndk_types::abi! {
    unsafe extern "C" fn ipv4_string_to_address(
        text: PCWSTR,
        strict: BOOLEAN,
        end: *mut PCWSTR,
        address: *mut [u8; 4],
    ) -> NTSTATUS {
        let Some((parsed, taken)) = parse_v4(&ascii(text), strict != 0) else {
            give(end, text);
            return STATUS_INVALID_PARAMETER;
        };
        give(end, text.wrapping_add(taken));
        give(address, parsed.octets());
        STATUS_SUCCESS
    }

    unsafe extern "C" fn ipv4_string_to_address_ex(
        text: PCWSTR,
        strict: BOOLEAN,
        address: *mut [u8; 4],
        port: *mut USHORT,
    ) -> NTSTATUS {
        let Some((parsed, number)) = parse_v4_with_port(&ascii(text), strict != 0) else {
            return STATUS_INVALID_PARAMETER;
        };
        give(address, parsed.octets());
        give(port, number.to_be());
        STATUS_SUCCESS
    }

    unsafe extern "C" fn ipv4_address_to_string(address: *const [u8; 4], text: PWSTR) -> PWSTR {
        // SAFETY: ip2string.h: an address.
        write(text, &Ipv4Addr::from(unsafe { address.read() }).to_string())
    }

    unsafe extern "C" fn ipv6_string_to_address(text: PCWSTR, end: *mut PCWSTR, address: *mut [u8; 16]) -> NTSTATUS {
        let Some((parsed, taken)) = parse_v6(&ascii(text)) else {
            give(end, text);
            return STATUS_INVALID_PARAMETER;
        };
        give(end, text.wrapping_add(taken));
        give(address, parsed.octets());
        STATUS_SUCCESS
    }

    unsafe extern "C" fn ipv6_string_to_address_ex(
        text: PCWSTR,
        address: *mut [u8; 16],
        scope: PULONG,
        port: *mut USHORT,
    ) -> NTSTATUS {
        let Some((parsed, zone, number)) = parse_v6_with_port(&ascii(text)) else { return STATUS_INVALID_PARAMETER };
        give(address, parsed.octets());
        give(scope, zone);
        give(port, number.to_be());
        STATUS_SUCCESS
    }

    unsafe extern "C" fn ipv6_address_to_string(address: *const [u8; 16], text: PWSTR) -> PWSTR {
        // SAFETY: ip2string.h: an address.
        write(text, &Ipv6Addr::from(unsafe { address.read() }).to_string())
    }
}

pub(super) fn exports() -> impl IntoIterator<Item = Export> {
    exports! { "ntoskrnl.exe" in crate::kernel::wdk::c_only;
        RtlIpv4StringToAddressW <= High = ipv4_string_to_address,
        RtlIpv4StringToAddressExW <= High = ipv4_string_to_address_ex,
        RtlIpv4AddressToStringW <= High = ipv4_address_to_string,
        RtlIpv6StringToAddressW <= High = ipv6_string_to_address,
        RtlIpv6StringToAddressExW <= High = ipv6_string_to_address_ex,
        RtlIpv6AddressToStringW <= High = ipv6_address_to_string,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_four_parts_and_looser_ones_are_told_apart() {
        let v4 = |text, strict| parse_v4(text, strict).map(|(address, taken)| (address.to_string(), taken));
        assert_eq!(v4("10.1.2.3 and more", true), Some(("10.1.2.3".into(), 8)));
        assert_eq!(v4("0x0a.010.2.3", false), Some(("10.8.2.3".into(), 12)));
        assert_eq!((v4("10.1", false), v4("10.1", true)), (Some(("10.0.0.1".into(), 4)), None));
        assert_eq!((v4("256.1.1.1", true), v4("10.", true), v4("", false)), (None, None, None));
        assert_eq!(parse_v4_with_port("1.2.3.4:80", true), Some((Ipv4Addr::new(1, 2, 3, 4), 80)));
        assert_eq!((parse_v4_with_port("1.2.3.4:", true), parse_v4_with_port("1.2.3.4x", true)), (None, None));
    }

    #[test]
    fn addresses_of_ipv6_have_scopes_and_ports() {
        let one = Ipv6Addr::LOCALHOST;
        assert_eq!(parse_v6("::1/128"), Some((one, 3)));
        assert_eq!(parse_v6("fe80::1%3").map(|(_, taken)| taken), Some(7));
        assert_eq!(parse_v6_with_port("[::1%5]:4791"), Some((one, 5, 4791)));
        assert_eq!(
            (parse_v6_with_port("::1"), parse_v6_with_port("[::1"), parse_v6("x")),
            (Some((one, 0, 0)), None, None)
        );
    }
}
