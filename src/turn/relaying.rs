//! The way of application data: client to peer, peer to client, and in memory
//! when both are ours.
//!
//! Called once per packet. Nothing here allocates, locks, logs or scans more
//! than one allocation's few permissions and channels.

use std::net::SocketAddr;
use std::time::Instant;

use crate::stun::channel_data;

use super::counters::DropReason;
use super::data::data_indication;
use super::five_tuple::{ClientPath, RelayId};
use super::relay_ports::{RelayKind, RelayPort};
use super::server::{RelayOwner, Server};
use super::verdict::{Header, MAX_HEADER_LEN, Verdict};

/// A packet on its way out of a relayed transport address.
pub(super) struct Outgoing<'p> {
    pub(super) relay: RelayId,
    pub(super) peer: SocketAddr,
    /// Index of our relay address when the peer's IP is ours.
    pub(super) own_address: Option<usize>,
    pub(super) dont_fragment: bool,
    pub(super) payload: &'p [u8],
}

impl Server {
    /// Takes ChannelData from a client (RFC 8656 section 12.6).
    pub(super) fn handle_channel_data<'p>(
        &mut self,
        now: Instant,
        from: ClientPath,
        datagram: &'p [u8],
    ) -> Verdict<'p> {
        let Some((number, payload)) = channel_data::parse(datagram) else {
            return self.dropped(DropReason::MalformedChannelData);
        };
        let Some(&key) = self.by_client.get(&from.five_tuple) else {
            return self.dropped(DropReason::NoAllocation);
        };
        let channels = &self.allocations[key].channels;
        let Some(channel) = channels
            .iter()
            .find(|c| c.number == number && c.is_bound(now))
        else {
            return self.dropped(DropReason::NoChannel);
        };
        if now >= channel.permitted_until {
            return self.dropped(DropReason::NoPermission);
        }
        let outgoing = Outgoing {
            relay: channel.relay,
            peer: channel.peer,
            own_address: channel.own_address,
            dont_fragment: false,
            payload,
        };
        self.relay_to_peer(now, key, outgoing)
    }

    /// Takes a datagram that a peer sent to a relayed transport address
    /// (RFC 8656 sections 11.3 and 12.7).
    pub fn handle_peer_datagram<'p>(
        &mut self,
        now: Instant,
        relay: RelayId,
        peer: SocketAddr,
        payload: &'p [u8],
    ) -> Verdict<'p> {
        let RelayOwner::Allocation(key) = self.relays[relay.0 as usize].owner else {
            return self.dropped(DropReason::NoAllocation);
        };
        let allocation = &mut self.allocations[key];
        let is_stream = allocation.path.five_tuple.transport.is_stream();
        let Ok(len) = u16::try_from(payload.len()) else {
            return self.dropped(DropReason::TooLong);
        };
        let channel = allocation
            .channels
            .iter()
            .find(|c| c.peer == peer && c.is_bound(now));
        let header = if let Some(channel) = channel {
            if now >= channel.permitted_until {
                return self.dropped(DropReason::NoPermission);
            }
            let mut bytes = [0; MAX_HEADER_LEN];
            bytes[..4].copy_from_slice(&channel_data::encode_header(channel.number, len));
            // RFC 8656 section 12.5: padding only where the transport is a stream.
            let padding = if is_stream {
                channel_data::padding(payload.len())
            } else {
                0
            };
            Header {
                bytes,
                len: 4,
                padding: u8::try_from(padding).expect("at most 3"),
            }
        } else if allocation.is_permitted(now, peer.ip()) {
            let Some(header) = data_indication(&mut self.rng, peer, len) else {
                return self.dropped(DropReason::TooLong);
            };
            header
        } else {
            return self.dropped(DropReason::NoPermission);
        };
        if !self.may_pass(now, key, payload.len()) {
            return self.dropped(DropReason::OverBandwidth);
        }
        let allocation = &mut self.allocations[key];
        allocation.to_client.add(payload.len());
        self.counters.to_clients.add(payload.len());
        Verdict::ToClient {
            client: allocation.path,
            header,
            payload,
        }
    }

    /// Takes a datagram that another worker relayed to one of our relayed addresses.
    pub fn handle_sibling_datagram<'p>(
        &mut self,
        now: Instant,
        to: RelayPort,
        from: SocketAddr,
        payload: &'p [u8],
    ) -> Verdict<'p> {
        let Some(&relay) = self.by_port.get(&(to, RelayKind::Udp)) else {
            return self.dropped(DropReason::NoSuchRelay);
        };
        self.handle_peer_datagram(now, relay, from, payload)
    }

    /// Sends application data out of an allocation: to the network, or straight
    /// to the other allocation when the peer is a relayed address of ours.
    pub(super) fn relay_to_peer<'p>(
        &mut self,
        now: Instant,
        key: usize,
        outgoing: Outgoing<'p>,
    ) -> Verdict<'p> {
        let Outgoing {
            relay,
            peer,
            own_address,
            dont_fragment,
            payload,
        } = outgoing;
        if !self.may_pass(now, key, payload.len()) {
            return self.dropped(DropReason::OverBandwidth);
        }
        self.allocations[key].from_client.add(payload.len());
        self.counters.from_clients.add(payload.len());
        let Some(address) = own_address else {
            return Verdict::ToPeer {
                relay,
                peer,
                dont_fragment,
                payload,
            };
        };
        let to = RelayPort {
            address,
            port: peer.port(),
        };
        let Some(worker) = self.relay_ports.worker_of(to, RelayKind::Udp) else {
            // Ours but not a relayed address: only where the operator opened it.
            if self.options.peer_policy.check(peer.ip()).is_ok() {
                return Verdict::ToPeer {
                    relay,
                    peer,
                    dont_fragment,
                    payload,
                };
            }
            return self.dropped(DropReason::NoSuchRelay);
        };
        let from = self.announced_address(relay);
        if worker == self.options.worker {
            return self.handle_sibling_datagram(now, to, from, payload);
        }
        Verdict::ToSibling {
            worker,
            to,
            from,
            payload,
        }
    }

    /// Asks the user's and everybody's bandwidth limit for `bytes`.
    pub(super) fn may_pass(&self, now: Instant, key: usize, bytes: usize) -> bool {
        let user = self.allocations[key].user_bandwidth.as_ref();
        user.is_none_or(|bucket| bucket.take(now, bytes))
            && self
                .options
                .bandwidth
                .as_ref()
                .is_none_or(|bucket| bucket.take(now, bytes))
    }
}
