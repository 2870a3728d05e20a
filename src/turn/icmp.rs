//! ICMP errors for what a relay sent, reported to the client (RFC 8656 section 11.5).

use std::net::SocketAddr;
use std::time::Instant;

use crate::stun::{AttributeType, Builder, Class, Method, TransactionId};

use super::five_tuple::{Family, RelayId};
use super::server::{RelayOwner, Server};
use super::verdict::Output;

use rand::Rng as _;

/// What an ICMP error said.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct IcmpError {
    /// The peer that the failed datagram was for.
    pub peer: SocketAddr,
    /// ICMP or ICMPv6 type.
    pub icmp_type: u8,
    /// Its code.
    pub code: u8,
    /// The MTU for "fragmentation needed" and "packet too big", else 0.
    pub data: u32,
}

impl Server {
    /// Reports an error that the driver read from a relay socket.
    pub fn handle_icmp_error(&mut self, now: Instant, relay: RelayId, error: IcmpError) {
        let RelayOwner::Allocation(key) = self.relays[relay.0 as usize].owner else {
            return;
        };
        let allocation = &self.allocations[key];
        // Only the types that the section lists, and only for permitted peers.
        let is_listed = match Family::of(error.peer.ip()) {
            Family::V4 => matches!(error.icmp_type, 3 | 11),
            Family::V6 => matches!(error.icmp_type, 1..=3),
        };
        if !is_listed || !allocation.is_permitted(now, error.peer.ip()) {
            return;
        }
        let path = allocation.path;
        let mut transaction = [0; 12];
        self.rng.fill_bytes(&mut transaction);
        let mut message = Vec::with_capacity(64);
        let mut builder = Builder::new(
            &mut message,
            Class::Indication,
            Method::DATA,
            TransactionId::new(transaction),
        );
        builder.xor_address(AttributeType::XOR_PEER_ADDRESS, error.peer);
        builder.attribute(AttributeType::ICMP, &icmp_value(error));
        self.outputs.push_back(Output::Send {
            client: path,
            message,
        });
    }
}

/// RFC 8656 section 18.13: 16 reserved bits, 7 bits of type, 9 bits of code, error data.
fn icmp_value(error: IcmpError) -> [u8; 8] {
    let type_and_code = u16::from(error.icmp_type) << 9 | u16::from(error.code);
    let mut value = [0; 8];
    value[2..4].copy_from_slice(&type_and_code.to_be_bytes());
    value[4..8].copy_from_slice(&error.data.to_be_bytes());
    value
}
