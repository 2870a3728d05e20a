//! Socket options that neither `socket2` nor `nix` offers, as safe functions.
//!
//! They concern fragmentation only. What a relay wants is that the kernel
//! splits a datagram that does not fit, as a router would have done.

use std::io;
use std::os::fd::AsFd;

use nix::libc;
use nix::sys::socket::sockopt::Ipv6DontFrag;
use nix::sys::socket::{GetSockOpt, SetSockOpt};
use nix::{getsockopt_impl, setsockopt_impl, sockopt_impl};

/// Lets the kernel split IPv4 datagrams that do not fit, and clears DF on them.
///
/// RFC 8656 section 14 wants DF clear. `OMIT` rather than `DONT`: it also
/// ignores the path MTU that a forged "fragmentation needed" would have us
/// believe, and only `DONT` keeps such errors away from the error queue, where
/// the DONT-FRAGMENT attribute needs them.
///
/// # Errors
/// What `setsockopt` reports.
pub fn allow_fragments_v4(socket: &impl AsFd) -> io::Result<()> {
    Ok(IpMtuDiscover.set(socket, &libc::IP_PMTUDISC_OMIT)?)
}

/// Sets DF on IPv4 datagrams, without a path MTU check of our own, so that the
/// router that cannot forward one is the one that says so.
///
/// # Errors
/// What `setsockopt` reports.
pub fn forbid_fragments_v4(socket: &impl AsFd) -> io::Result<()> {
    Ok(IpMtuDiscover.set(socket, &libc::IP_PMTUDISC_PROBE)?)
}

/// Lets the kernel split IPv6 datagrams that do not fit the path.
///
/// No IPv6 router fragments (RFC 8200 section 5), so the sender has to heed the
/// path MTU: `WANT`.
///
/// # Errors
/// What `setsockopt` reports.
pub fn allow_fragments_v6(socket: &impl AsFd) -> io::Result<()> {
    Ipv6MtuDiscover.set(socket, &libc::IPV6_PMTUDISC_WANT)?;
    Ok(Ipv6DontFrag.set(socket, &false)?)
}

/// Makes the kernel send IPv6 datagrams whole or not at all.
///
/// # Errors
/// What `setsockopt` reports.
pub fn forbid_fragments_v6(socket: &impl AsFd) -> io::Result<()> {
    Ipv6MtuDiscover.set(socket, &libc::IPV6_PMTUDISC_PROBE)?;
    Ok(Ipv6DontFrag.set(socket, &true)?)
}

/// Tells whether IPv4 datagrams of this socket may be split.
///
/// # Errors
/// What `getsockopt` reports.
pub fn fragments_allowed_v4(socket: &impl AsFd) -> io::Result<bool> {
    Ok(IpMtuDiscover.get(socket)? == libc::IP_PMTUDISC_OMIT)
}

/// Tells whether IPv6 datagrams of this socket may be split.
///
/// # Errors
/// What `getsockopt` reports.
pub fn fragments_allowed_v6(socket: &impl AsFd) -> io::Result<bool> {
    let heeds_path = Ipv6MtuDiscover.get(socket)? == libc::IPV6_PMTUDISC_WANT;
    Ok(heeds_path && !Ipv6DontFrag.get(socket)?)
}

sockopt_impl!(
    /// `IP_MTU_DISCOVER` of ip(7).
    IpMtuDiscover,
    Both,
    libc::IPPROTO_IP,
    libc::IP_MTU_DISCOVER,
    libc::c_int
);

sockopt_impl!(
    /// `IPV6_MTU_DISCOVER` of ipv6(7).
    Ipv6MtuDiscover,
    Both,
    libc::IPPROTO_IPV6,
    libc::IPV6_MTU_DISCOVER,
    libc::c_int
);

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;

    use super::*;

    #[test]
    fn a_fresh_ipv4_socket_sets_df_until_told_otherwise() {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        assert!(!fragments_allowed_v4(&socket).unwrap());
        allow_fragments_v4(&socket).unwrap();
        assert!(fragments_allowed_v4(&socket).unwrap());
        forbid_fragments_v4(&socket).unwrap();
        assert!(!fragments_allowed_v4(&socket).unwrap());
    }

    #[test]
    fn ipv6_fragmentation_goes_off_and_on() {
        let socket = UdpSocket::bind("[::1]:0").unwrap();
        forbid_fragments_v6(&socket).unwrap();
        assert!(!fragments_allowed_v6(&socket).unwrap());
        allow_fragments_v6(&socket).unwrap();
        assert!(fragments_allowed_v6(&socket).unwrap());
    }
}
