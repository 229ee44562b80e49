//! Addresses as IP Helper spells them, and back.
//!
//! No kernel name is used here: `tests/tests/driver_logic.rs` runs this file natively.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use ndk_types::{AF_INET, AF_INET6, IN_ADDR, IN6_ADDR, SOCKADDR_IN, SOCKADDR_IN6, SOCKADDR_INET};

/// `address` without a port; a link-local one belongs to the interface with index `scope`.
pub fn from_ip(address: IpAddr, scope: u32) -> SOCKADDR_INET {
    match address {
        IpAddr::V4(address) => SOCKADDR_INET {
            Ipv4: SOCKADDR_IN {
                sin_family: AF_INET as u16,
                sin_addr: IN_ADDR { S_addr: u32::from_ne_bytes(address.octets()) },
                ..SOCKADDR_IN::default()
            },
        },
        IpAddr::V6(address) => SOCKADDR_INET {
            Ipv6: SOCKADDR_IN6 {
                sin6_family: AF_INET6 as u16,
                sin6_addr: IN6_ADDR { Byte: address.octets() },
                sin6_scope_id: if address.is_unicast_link_local() { scope } else { 0 },
                ..SOCKADDR_IN6::default()
            },
        },
    }
}

/// The address in a socket address; `None` for another family.
pub fn to_ip(address: &SOCKADDR_INET) -> Option<IpAddr> {
    // SAFETY: every member of the union begins with the family, and every bit pattern is one.
    match u32::from(unsafe { address.si_family }) {
        AF_INET => {
            // SAFETY: the family says so, and every bit pattern is an address.
            let v4 = unsafe { address.Ipv4 };
            Some(IpAddr::V4(Ipv4Addr::from(v4.sin_addr.S_addr.to_ne_bytes())))
        }
        AF_INET6 => {
            // SAFETY: as above.
            let v6 = unsafe { address.Ipv6 };
            Some(IpAddr::V6(Ipv6Addr::from(v6.sin6_addr.Byte)))
        }
        _ => None,
    }
}
