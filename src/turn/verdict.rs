//! The answers of the core: verdicts on the data path, outputs on the control path.

use std::net::SocketAddr;

use super::counters::DropReason;
use super::five_tuple::{ClientPath, RelayId};
use super::relay_ports::{RelayKind, RelayPort};
use super::tcp_relay::ConnectionId;

/// What to do with one datagram that just came in.
#[derive(Debug)]
#[must_use]
pub enum Verdict<'p> {
    /// Send `payload` to `peer` from `relay`.
    ToPeer {
        /// The relay socket to send from.
        relay: RelayId,
        /// Where to.
        peer: SocketAddr,
        /// Whether the packet must not be fragmented (DONT-FRAGMENT).
        dont_fragment: bool,
        /// Application data, a part of the input.
        payload: &'p [u8],
    },
    /// Send `header`, `payload` and its padding to the client, as one datagram or frame.
    ToClient {
        /// Where to.
        client: ClientPath,
        /// What comes before and after the payload.
        header: Header,
        /// Application data, a part of the input.
        payload: &'p [u8],
    },
    /// Hand `payload` to another worker's `Server::handle_sibling_datagram`.
    ToSibling {
        /// Which worker.
        worker: u16,
        /// Its relayed address.
        to: RelayPort,
        /// The relayed address that it comes from.
        from: SocketAddr,
        /// Application data, a part of the input.
        payload: &'p [u8],
    },
    /// There may be outputs to carry out; nothing to forward.
    Consumed,
    /// The datagram went nowhere, and why; already counted.
    Dropped(DropReason),
}

/// What is put around application data on its way to a client: a ChannelData
/// header or a Data indication.
#[derive(Clone, Copy, Debug)]
pub struct Header {
    pub(super) bytes: [u8; MAX_HEADER_LEN],
    pub(super) len: u8,
    pub(super) padding: u8,
}

impl Header {
    /// Returns the bytes before the payload.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }

    /// Returns how many zero bytes follow the payload, 0 to 3.
    #[must_use]
    pub fn padding(&self) -> usize {
        usize::from(self.padding)
    }
}

/// STUN header, XOR-PEER-ADDRESS with IPv6, head of DATA.
pub const MAX_HEADER_LEN: usize = 20 + 24 + 4;

/// A side effect for the driver to carry out, in order.
#[derive(Debug)]
pub enum Output {
    /// Send a message to the client.
    Send {
        /// Where to.
        client: ClientPath,
        /// A whole STUN message.
        message: Vec<u8>,
    },
    /// Bind a relay socket, then call `handle_relay_bound` or `handle_relay_failed`.
    BindRelay {
        /// Its name from now on.
        relay: RelayId,
        /// Where to bind it.
        address: SocketAddr,
        /// A UDP socket, or a TCP listener.
        kind: RelayKind,
    },
    /// Close a relay socket; the name is free again.
    CloseRelay(RelayId),
    /// Connect to `peer` from the address of `relay`, then call
    /// `handle_peer_connected` or `handle_peer_failed` (RFC 6062 section 5.2).
    ConnectPeer {
        /// The name of the connection.
        connection: ConnectionId,
        /// The address to connect from.
        local: SocketAddr,
        /// Where to.
        peer: SocketAddr,
    },
    /// From now on copy bytes between the client's stream and the peer
    /// connection (RFC 6062 section 5.4). Comes after the success response.
    JoinConnection {
        /// The peer connection.
        connection: ConnectionId,
        /// The client's data connection.
        client: ClientPath,
    },
    /// Close a peer connection, and the client's data connection with it.
    CloseConnection(ConnectionId),
}
