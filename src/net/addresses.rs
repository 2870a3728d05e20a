//! IP addresses: of this host, and as they appear on dual-stack sockets.

use std::net::SocketAddr;

/// Turns an IPv4-mapped IPv6 address (`::ffff:192.0.2.1`) into the IPv4 address
/// it stands for; any other address stays as it is.
#[must_use]
pub fn unmap(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}
