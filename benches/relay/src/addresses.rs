//! Who has which address in the two namespaces (`netns.sh` makes them).
//!
//! The network is a /16, named by its first two octets: the generator is
//! NET.0.1, the server NET.0.2, clients start at NET.16.1, peers at NET.128.1.

use std::net::{Ipv4Addr, SocketAddrV4};

/// Every client sends from this port.
pub const CLIENT_PORT: u16 = 40_000;

/// Every peer listens on this port.
pub const PEER_PORT: u16 = 41_000;

/// The floor's relay socket of allocation 0; the others follow.
const FIRST_RELAY_PORT: u16 = 50_000;

/// A /16 network.
#[derive(Clone, Copy)]
pub struct Net(u32);

impl Net {
    /// Parses the first two octets, as in `198.18`.
    pub fn parse(text: &str) -> Option<Self> {
        let (a, b) = text.split_once('.')?;
        let (a, b): (u8, u8) = (a.parse().ok()?, b.parse().ok()?);
        Some(Self(u32::from_be_bytes([a, b, 0, 0])))
    }

    /// The server's address.
    pub fn server(self) -> Ipv4Addr {
        Ipv4Addr::from(self.0 | 2)
    }

    /// The client of allocation `index`.
    pub fn client(self, index: usize) -> Ipv4Addr {
        Ipv4Addr::from(self.0 + (16 << 8) + 1 + index as u32)
    }

    /// The allocation of the client at `address`; far out of range for others.
    pub fn client_index(self, address: Ipv4Addr) -> usize {
        u32::from(address).wrapping_sub(u32::from(self.client(0))) as usize
    }

    /// The peer of allocation `index`.
    pub fn peer(self, index: usize) -> SocketAddrV4 {
        let address = self.0 + (128 << 8) + 1 + index as u32;
        SocketAddrV4::new(Ipv4Addr::from(address), PEER_PORT)
    }

    /// The floor's relayed address of allocation `index`.
    pub fn fixed_relay(self, index: usize) -> SocketAddrV4 {
        SocketAddrV4::new(self.server(), FIRST_RELAY_PORT + index as u16)
    }
}
