//! IP addresses: which ones this host has, which ones the internet can reach,
//! and what they look like on dual-stack sockets.
//!
//! Nothing here sends a packet except [`resolve`]. Choosing the address to
//! announce is in `discover.rs`.

use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6, UdpSocket};

use nix::ifaddrs::getifaddrs;
use nix::net::if_::InterfaceFlags;

/// An address family of the internet.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Family {
    /// Returns the family of an address; a mapped address is IPv6.
    #[must_use]
    pub fn of(ip: IpAddr) -> Self {
        match ip {
            IpAddr::V4(_) => Self::V4,
            IpAddr::V6(_) => Self::V6,
        }
    }

    /// Returns the wildcard address of the family with port 0.
    #[must_use]
    pub fn wildcard(self) -> SocketAddr {
        match self {
            Self::V4 => SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
            Self::V6 => SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
        }
    }
}

/// Turns an IPv4-mapped IPv6 address (`::ffff:192.0.2.1`) into the IPv4 address
/// it stands for; any other address stays as it is.
#[must_use]
pub fn unmap(address: SocketAddr) -> SocketAddr {
    match (address, address.ip().to_canonical()) {
        (SocketAddr::V6(_), IpAddr::V4(v4)) => SocketAddrV4::new(v4, address.port()).into(),
        // Rebuilding it would lose the scope of a link-local address.
        (SocketAddr::V4(_) | SocketAddr::V6(_), _) => address,
    }
}

/// Turns an IPv4 address into the IPv4-mapped IPv6 address that a dual-stack
/// socket sends to; any other address stays as it is.
#[must_use]
pub fn map(address: SocketAddr) -> SocketAddr {
    match address {
        SocketAddr::V4(v4) => SocketAddrV6::new(v4.ip().to_ipv6_mapped(), v4.port(), 0, 0).into(),
        SocketAddr::V6(_) => address,
    }
}

/// Returns every address of every interface that is up, loopback included, in
/// the order of the interfaces and without repetition.
///
/// # Errors
/// What the kernel reports; in a sandbox, that `AF_NETLINK` is forbidden.
pub fn interface_addresses() -> io::Result<Vec<IpAddr>> {
    let mut found = Vec::new();
    for interface in getifaddrs()? {
        let is_up = interface.flags.contains(InterfaceFlags::IFF_UP);
        let Some(address) = interface.address.filter(|_| is_up) else {
            continue;
        };
        let v4 = address.as_sockaddr_in().map(|v4| IpAddr::V4(v4.ip()));
        let v6 = address.as_sockaddr_in6().map(|v6| IpAddr::V6(v6.ip()));
        let Some(ip) = v4.or(v6) else {
            continue;
        };
        if !found.contains(&ip) {
            found.push(ip);
        }
    }
    Ok(found)
}

/// Returns the IPv6 addresses of this host that may be gone tomorrow or do not
/// work: temporary (RFC 8981), deprecated, tentative and duplicate ones. Empty
/// when the kernel does not tell.
#[must_use]
pub fn unstable_addresses() -> Vec<IpAddr> {
    let table = fs::read_to_string("/proc/net/if_inet6").unwrap_or_default();
    table.lines().filter_map(unstable_address).collect()
}

/// Returns the address this host would send from to the internet at large, by
/// its routing table. Nothing is sent.
#[must_use]
pub fn default_source(family: Family) -> Option<IpAddr> {
    // Any address behind the default route does; that of a root name server
    // (a.root-servers.net) is in nobody's list of addresses to be dropped.
    let internet: SocketAddr = match family {
        Family::V4 => SocketAddr::from((Ipv4Addr::new(198, 41, 0, 4), 53)),
        Family::V6 => {
            let ip = Ipv6Addr::new(0x2001, 0x503, 0xba3e, 0, 0, 0, 2, 0x30);
            SocketAddr::from((ip, 53))
        }
    };
    let socket = UdpSocket::bind(family.wildcard()).ok()?;
    // For UDP this only looks up the route and fixes the source.
    socket.connect(internet).ok()?;
    let ip = socket.local_addr().ok()?.ip();
    (!ip.is_unspecified()).then_some(ip)
}

/// Looks up a host name and returns its addresses, at least one, in the order
/// of the resolver and without repetition. An address is its own name.
///
/// # Errors
/// When the name does not exist, has no address, or no resolver answers.
pub async fn resolve(name: &str) -> io::Result<Vec<IpAddr>> {
    let bare = name.trim_start_matches('[').trim_end_matches(']');
    let mut found = Vec::new();
    for address in tokio::net::lookup_host((bare, 0)).await? {
        let ip = address.ip().to_canonical();
        if !found.contains(&ip) {
            found.push(ip);
        }
    }
    if found.is_empty() {
        return Err(io::Error::new(
            io::ErrorKind::NotFound,
            "the name has no address",
        ));
    }
    Ok(found)
}

/// Tells whether the internet at large can reach an address, by the registries
/// of special-purpose addresses (RFC 6890).
#[must_use]
pub fn is_global(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(v4) => {
            let bits = v4.to_bits();
            let special = |(net, len): &(Ipv4Addr, u32)| (bits ^ net.to_bits()) >> (32 - len) == 0;
            !SPECIAL_V4.iter().any(special)
        }
        IpAddr::V6(v6) => {
            let bits = v6.to_bits();
            let special = |(net, len): &(Ipv6Addr, u32)| (bits ^ net.to_bits()) >> (128 - len) == 0;
            // Unicast is assigned from 2000::/3 only (RFC 4291 section 2.4).
            bits >> 125 == 1 && !SPECIAL_V6.iter().any(special)
        }
    }
}

/// IPv4 networks that are not global unicast (IANA special-purpose registry).
const SPECIAL_V4: &[(Ipv4Addr, u32)] = &[
    (Ipv4Addr::new(0, 0, 0, 0), 8),
    (Ipv4Addr::new(10, 0, 0, 0), 8),
    (Ipv4Addr::new(100, 64, 0, 0), 10),
    (Ipv4Addr::new(127, 0, 0, 0), 8),
    (Ipv4Addr::new(169, 254, 0, 0), 16),
    (Ipv4Addr::new(172, 16, 0, 0), 12),
    (Ipv4Addr::new(192, 0, 0, 0), 24),
    (Ipv4Addr::new(192, 0, 2, 0), 24),
    (Ipv4Addr::new(192, 88, 99, 0), 24),
    (Ipv4Addr::new(192, 168, 0, 0), 16),
    (Ipv4Addr::new(198, 18, 0, 0), 15),
    (Ipv4Addr::new(198, 51, 100, 0), 24),
    (Ipv4Addr::new(203, 0, 113, 0), 24),
    (Ipv4Addr::new(224, 0, 0, 0), 3),
];

/// Networks inside 2000::/3 that are not global unicast: protocol assignments
/// with Teredo, documentation (two), 6to4.
const SPECIAL_V6: &[(Ipv6Addr, u32)] = &[
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23),
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32),
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20),
    (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16),
];

/// Reads a line of `/proc/net/if_inet6` (address, interface index, prefix
/// length, scope and flags in hexadecimal, then the interface).
fn unstable_address(line: &str) -> Option<IpAddr> {
    // IFA_F_TEMPORARY, IFA_F_DADFAILED, IFA_F_DEPRECATED, IFA_F_TENTATIVE.
    const UNSTABLE: u32 = 0x01 | 0x08 | 0x20 | 0x40;
    let mut fields = line.split_ascii_whitespace();
    let bits = u128::from_str_radix(fields.next()?, 16).ok()?;
    let flags = u32::from_str_radix(fields.nth(3)?, 16).ok()?;
    (flags & UNSTABLE != 0).then_some(IpAddr::V6(Ipv6Addr::from_bits(bits)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mapping_goes_there_and_back_and_keeps_scopes() {
        for text in ["192.0.2.1:7", "[2001:db8::1]:7", "[fe80::1%3]:7"] {
            let address: SocketAddr = text.parse().unwrap();
            assert_eq!(unmap(map(address)), address);
            assert!(map(address).is_ipv6());
            assert_eq!(unmap(address), address);
        }
        let mapped: SocketAddr = "[::ffff:192.0.2.1]:7".parse().unwrap();
        assert_eq!(unmap(mapped), "192.0.2.1:7".parse().unwrap());
    }

    #[test]
    fn the_loopback_address_is_among_those_of_the_interfaces() {
        let all = interface_addresses().unwrap();
        assert!(all.contains(&ip("127.0.0.1")), "{all:?}");
        let mut unique = all.clone();
        unique.sort();
        unique.dedup();
        assert_eq!(unique.len(), all.len());
        // On a host with a default route, its source is one of them.
        for family in [Family::V4, Family::V6] {
            let source = default_source(family);
            assert!(source.is_none_or(|ip| all.contains(&ip)), "{source:?}");
        }
    }

    #[test]
    fn special_addresses_are_not_global() {
        for text in [
            "0.1.2.3",
            "10.0.0.1",
            "100.64.0.1",
            "100.127.255.255",
            "127.0.0.1",
            "169.254.1.1",
            "172.31.255.255",
            "192.0.0.8",
            "192.168.1.1",
            "198.19.0.1",
            "203.0.113.9",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:10.0.0.1",
            "64:ff9b::1",
            "fd00::1",
            "fe80::1",
            "ff02::1",
            "2001:0:1::1",
            "2001:db8::1",
            "2002:c000:204::1",
            "3fff::1",
        ] {
            assert!(!is_global(ip(text)), "{text}");
        }
        for text in [
            "1.1.1.1",
            "9.255.255.255",
            "100.128.0.0",
            "172.32.0.0",
            "198.41.0.4",
            "223.255.255.255",
            "::ffff:1.1.1.1",
            "2001:200::1",
            "2003::1",
            "2a01:4f8::1",
        ] {
            assert!(is_global(ip(text)), "{text}");
        }
    }

    #[test]
    fn addresses_that_come_and_go_are_found_by_their_flags() {
        let line = |flags: &str| format!("20010db8000000000000000000000001 02 40 00 {flags} eth0");
        let address = Some(ip("2001:db8::1"));
        for flags in ["01", "21", "40", "08"] {
            assert_eq!(unstable_address(&line(flags)), address, "{flags}");
        }
        for flags in ["80", "00", "x"] {
            assert_eq!(unstable_address(&line(flags)), None, "{flags}");
        }
        assert_eq!(unstable_address(""), None);
    }

    #[tokio::test]
    async fn names_and_addresses_resolve() {
        assert_eq!(resolve("192.0.2.1").await.unwrap(), [ip("192.0.2.1")]);
        assert_eq!(resolve("[2001:db8::1]").await.unwrap(), [ip("2001:db8::1")]);
        let local = resolve("localhost").await.unwrap();
        assert!(local.iter().all(IpAddr::is_loopback), "{local:?}");
        // RFC 6761 section 6.4: `invalid` never exists.
        assert!(resolve("nowhere.invalid").await.is_err());
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }
}
