//! Connect (RFC 6062 section 5.2): a TCP connection to a peer.

use std::time::Instant;

use crate::stun::AttributeType;

use super::five_tuple::Family;
use super::refusal::Refusal;
use super::relay_ports::RelayKind;
use super::request::Request;
use super::server::Server;
use super::tcp_relay::{ConnectionStage, MAX_CONNECTIONS};
use super::verdict::Output;

impl Server {
    pub(super) fn handle_connect(
        &mut self,
        now: Instant,
        request: &Request<'_>,
        key: usize,
    ) -> Result<(), Refusal> {
        // The allocation is a TCP allocation.
        if self.allocations[key].kind != RelayKind::Tcp {
            return Err(Refusal::BadRequest("Connect needs a TCP allocation"));
        }
        // XOR-PEER-ADDRESS is there, of the allocation's family.
        let peer = request
            .message
            .xor_address(AttributeType::XOR_PEER_ADDRESS)
            .ok_or(Refusal::BadRequest("XOR-PEER-ADDRESS missing or malformed"))?;
        let Some(relay) = self.allocations[key].relay(Family::of(peer.ip())) else {
            return Err(Refusal::PeerFamilyMismatch);
        };
        // There is no connection to this peer yet.
        let connections = &self.allocations[key].connections;
        if connections
            .iter()
            .any(|id| self.connections[id].peer == peer)
        {
            return Err(Refusal::ConnectionAlreadyExists);
        }
        // The peer is allowed.
        if !self.may_reach(RelayKind::Tcp, peer) {
            return Err(Refusal::DeniedPeer);
        }
        if self.allocations[key].connections.len() >= MAX_CONNECTIONS {
            return Err(Refusal::TooMany(
                "peer connections of this allocation used up",
            ));
        }
        let limit = self.options.permissions_per_allocation;
        if !self.allocations[key].permit(now, peer.ip(), limit) {
            return Err(Refusal::TooMany("permissions of this allocation used up"));
        }
        let answer = Box::new((request.reply.clone(), request.identity.clone()));
        let stage = ConnectionStage::Connecting(answer);
        let connection = self.insert_connection(now, key, peer, stage);
        let local = self.local_address(relay);
        self.outputs.push_back(Output::ConnectPeer {
            connection,
            local,
            peer,
        });
        Ok(())
    }
}
