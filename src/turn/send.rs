//! The Send indication (RFC 8656 section 11.2).

use std::time::Instant;

use crate::stun::{AttributeType, Message};

use super::counters::DropReason;
use super::five_tuple::{ClientPath, Family};
use super::relay_ports::RelayKind;
use super::relaying::Outgoing;
use super::request::is_known;
use super::server::Server;
use super::verdict::Verdict;

impl Server {
    /// Indications are never answered: whatever is wrong drops them.
    pub(super) fn handle_send<'p>(
        &mut self,
        now: Instant,
        from: ClientPath,
        message: &Message<'p>,
    ) -> Verdict<'p> {
        let Some(&key) = self.by_client.get(&from.five_tuple) else {
            return self.dropped(DropReason::NoAllocation);
        };
        // XOR-PEER-ADDRESS and DATA are there, and nothing we do not understand.
        let peer = message.xor_address(AttributeType::XOR_PEER_ADDRESS);
        let (Some(peer), Some(payload)) = (peer, message.attribute(AttributeType::DATA)) else {
            return self.dropped(DropReason::BadIndication);
        };
        if message.unknown_required(is_known).next().is_some() {
            return self.dropped(DropReason::BadIndication);
        }
        let allocation = &self.allocations[key];
        if !allocation.is_live() || allocation.kind == RelayKind::Tcp {
            return self.dropped(DropReason::NoAllocation);
        }
        let Some(relay) = allocation.relay(Family::of(peer.ip())) else {
            return self.dropped(DropReason::WrongFamily);
        };
        // A permission for the peer's address; a Send does not refresh it.
        if !allocation.is_permitted(now, peer.ip()) {
            return self.dropped(DropReason::NoPermission);
        }
        if !self.may_reach(RelayKind::Udp, peer) {
            return self.dropped(DropReason::DeniedPeer);
        }
        let outgoing = Outgoing {
            relay,
            peer,
            own_address: self.relay_ports.address_of(peer),
            dont_fragment: message.attribute(AttributeType::DONT_FRAGMENT).is_some(),
            payload,
        };
        self.relay_to_peer(now, key, outgoing)
    }
}
