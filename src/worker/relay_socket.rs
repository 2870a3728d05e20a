//! The sockets behind relayed transport addresses.

use std::io;
use std::net::SocketAddr;

use mio::net::TcpListener;
use mio::{Interest, Registry};

use crate::net::udp::UdpEndpoint;
use crate::net::{bind, icmp};
use crate::turn::{IcmpError, RelayId, RelayKind};

use super::source::Source;

/// One relay socket, with what the loop remembers about it.
#[derive(Debug)]
pub(super) struct RelaySocket {
    pub(super) kind: Socket,
    /// Whether the loop has it in its queue.
    pub(super) is_queued: bool,
    /// Whether its error queue has something.
    pub(super) has_errors: bool,
}

#[derive(Debug)]
pub(super) enum Socket {
    Udp(UdpEndpoint),
    Tcp(TcpListener),
}

impl RelaySocket {
    /// Binds the socket and registers it.
    pub(super) fn open(
        registry: &Registry,
        relay: RelayId,
        address: SocketAddr,
        kind: RelayKind,
    ) -> io::Result<Self> {
        let token = Source::Relay(relay).token();
        let kind = match kind {
            RelayKind::Udp => {
                let mut endpoint = UdpEndpoint::relay(bind::relay_udp(address)?)?;
                registry.register(&mut endpoint, token, Interest::READABLE)?;
                Socket::Udp(endpoint)
            }
            RelayKind::Tcp => {
                let mut listener = bind::relay_tcp_listener(address)?;
                registry.register(&mut listener, token, Interest::READABLE)?;
                Socket::Tcp(listener)
            }
        };
        Ok(Self {
            kind,
            is_queued: false,
            has_errors: false,
        })
    }
}

/// Turns an entry of a socket's error queue into the core's words.
pub(super) fn icmp_error(error: icmp::IcmpError) -> IcmpError {
    IcmpError {
        peer: error.peer,
        icmp_type: error.icmp_type,
        code: error.icmp_code,
        data: error.data,
    }
}
