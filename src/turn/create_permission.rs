//! CreatePermission (RFC 8656 section 10).

use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use crate::stun::AttributeType;

use super::five_tuple::Family;
use super::refusal::Refusal;
use super::relay_ports::{RelayKind, RelayPort};
use super::request::Request;
use super::server::Server;

impl Server {
    pub(super) fn handle_create_permission(
        &mut self,
        now: Instant,
        request: &Request<'_>,
        key: usize,
    ) -> Result<(), Refusal> {
        // One XOR-PEER-ADDRESS at least, all well-formed; all or nothing.
        let peers: Option<Vec<IpAddr>> = request
            .message
            .xor_addresses(AttributeType::XOR_PEER_ADDRESS)
            .map(|peer| peer.map(|p| p.ip()))
            .collect();
        let peers = peers.filter(|peers| !peers.is_empty());
        let Some(peers) = peers else {
            return Err(Refusal::BadRequest("XOR-PEER-ADDRESS missing or malformed"));
        };
        let allocation = &self.allocations[key];
        // Each of a family that the allocation has.
        if peers
            .iter()
            .any(|ip| allocation.relay(Family::of(*ip)).is_none())
        {
            return Err(Refusal::PeerFamilyMismatch);
        }
        // Each allowed by the policy.
        if peers.iter().any(|ip| !self.may_permit(*ip)) {
            return Err(Refusal::DeniedPeer);
        }
        let limit = self.options.permissions_per_allocation;
        if !allocation.fits_permissions(now, &peers, limit) {
            return Err(Refusal::TooMany("permissions of this allocation used up"));
        }
        let allocation = &mut self.allocations[key];
        for peer in peers {
            allocation.permit(now, peer, limit);
        }
        self.outputs.push_back(request.reply.success(|_| {}));
        Ok(())
    }

    /// Whether a permission may name `peer`. Ports do not count here, so an
    /// address of ours is allowed when peers may have relayed addresses on it.
    fn may_permit(&self, peer: IpAddr) -> bool {
        self.relay_ports
            .address_of(SocketAddr::new(peer, 0))
            .is_some()
            || self.options.peer_policy.check(peer).is_ok()
    }

    /// Whether data may go to `peer`: a relayed transport address of ours in the
    /// range that is handed over in memory, or what the policy allows.
    pub(super) fn may_reach(&self, kind: RelayKind, peer: SocketAddr) -> bool {
        let own = self.relay_ports.address_of(peer);
        let is_relay = own.is_some_and(|address| {
            let port = RelayPort {
                address,
                port: peer.port(),
            };
            self.relay_ports.worker_of(port, kind).is_some()
        });
        is_relay || self.options.peer_policy.check(peer.ip()).is_ok()
    }
}
