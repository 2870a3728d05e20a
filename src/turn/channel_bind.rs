//! ChannelBind (RFC 8656 section 12.2).

use std::time::Instant;

use crate::stun::AttributeType;
use crate::stun::channel_data::ChannelNumber;

use super::allocation::{CHANNEL_LIFETIME, Channel, PERMISSION_LIFETIME};
use super::five_tuple::Family;
use super::refusal::Refusal;
use super::relay_ports::RelayKind;
use super::request::Request;
use super::server::Server;

impl Server {
    pub(super) fn handle_channel_bind(
        &mut self,
        now: Instant,
        request: &Request<'_>,
        key: usize,
    ) -> Result<(), Refusal> {
        // Both attributes are there, and the number is in the range: 0x4000 to
        // 0x7FFF, since RFC 5766 clients go beyond RFC 8656's 0x4FFF.
        let number = request
            .message
            .u32(AttributeType::CHANNEL_NUMBER)
            .and_then(|value| u16::try_from(value >> 16).ok())
            .and_then(ChannelNumber::new)
            .ok_or(Refusal::BadRequest(
                "CHANNEL-NUMBER missing or out of range",
            ))?;
        let peer = request
            .message
            .xor_address(AttributeType::XOR_PEER_ADDRESS)
            .ok_or(Refusal::BadRequest("XOR-PEER-ADDRESS missing or malformed"))?;

        // The number is not bound to another peer, nor the peer to another number.
        let allocation = &mut self.allocations[key];
        allocation.channels.retain(|channel| channel.is_bound(now));
        let is_taken = |c: &Channel| (c.number == number) != (c.peer == peer);
        if allocation.channels.iter().any(is_taken) {
            return Err(Refusal::BadRequest("channel or peer already bound"));
        }

        // The peer is of a family that the allocation has, and allowed.
        let Some(relay) = self.allocations[key].relay(Family::of(peer.ip())) else {
            return Err(Refusal::PeerFamilyMismatch);
        };
        if !self.may_reach(RelayKind::Udp, peer) {
            return Err(Refusal::DeniedPeer);
        }

        // RFC 6062 section 4: no channels on a TCP allocation.
        if self.allocations[key].kind == RelayKind::Tcp {
            return Err(Refusal::BadRequest("no channels on a TCP allocation"));
        }

        // Bind or refresh, and the permission with it.
        let own_address = self.relay_ports.address_of(peer);
        let (channels, permissions) = (
            self.options.channels_per_allocation,
            self.options.permissions_per_allocation,
        );
        let allocation = &mut self.allocations[key];
        let is_new = !allocation.channels.iter().any(|c| c.number == number);
        if is_new && allocation.channels.len() >= channels {
            return Err(Refusal::TooMany("channels of this allocation used up"));
        }
        if !allocation.permit(now, peer.ip(), permissions) {
            return Err(Refusal::TooMany("permissions of this allocation used up"));
        }
        let expires_at = now + CHANNEL_LIFETIME;
        let permitted_until = now + PERMISSION_LIFETIME;
        allocation.channels.retain(|c| c.number != number);
        allocation.channels.push(Channel {
            number,
            peer,
            expires_at,
            permitted_until,
            relay,
            own_address,
        });
        self.outputs.push_back(request.reply.success(|_| {}));
        Ok(())
    }
}
