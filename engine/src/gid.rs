//! Global identifiers, which RoCEv2 makes of IP addresses.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A GID: an IPv6 address, or an IPv4 address mapped into one (`::ffff:a.b.c.d`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Gid(pub [u8; 16]);

impl Gid {
    /// The GID of an address.
    pub fn from_ip(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(v4) => Self::from_ipv4(v4),
            IpAddr::V6(v6) => Self::from_ipv6(v6),
        }
    }

    /// The GID of an IPv4 address.
    pub const fn from_ipv4(address: Ipv4Addr) -> Self {
        Self(address.to_ipv6_mapped().octets())
    }

    /// The GID of an IPv6 address.
    pub const fn from_ipv6(address: Ipv6Addr) -> Self {
        Self(address.octets())
    }

    /// The address it was made of.
    pub const fn as_ip(self) -> IpAddr {
        Ipv6Addr::from_octets(self.0).to_canonical()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gid_gives_back_the_address_it_was_made_of() {
        for text in ["10.9.0.1", "fd00:9::1", "::1"] {
            let address: IpAddr = text.parse().unwrap();
            assert_eq!(Gid::from_ip(address).as_ip(), address);
        }
    }
}
