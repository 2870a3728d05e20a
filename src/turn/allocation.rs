//! One allocation: its relayed addresses, permissions, channels and counts.
//!
//! Holds state and answers questions about it; what a request may do to it is
//! decided in the file of the request's method.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::auth::Identity;
use crate::stun::TransactionId;
use crate::stun::channel_data::ChannelNumber;

use super::allocate::PendingAllocate;
use super::bandwidth::Bucket;
use super::counters::Traffic;
use super::five_tuple::{ClientPath, Family, RelayId};
use super::relay_ports::RelayKind;
use super::tcp_relay::ConnectionId;

/// State of one allocation (RFC 8656 section 3.2).
pub(super) struct Allocation {
    pub(super) path: ClientPath,
    pub(super) identity: Identity,
    pub(super) kind: RelayKind,
    pub(super) stage: Stage,
    /// Primary relayed address first.
    pub(super) relays: Vec<(Family, RelayId)>,
    pub(super) created_at: Instant,
    pub(super) expires_at: Instant,
    pub(super) answer: AllocateAnswer,
    pub(super) permissions: Vec<Permission>,
    pub(super) channels: Vec<Channel>,
    /// Peer connections of a TCP allocation.
    pub(super) connections: Vec<ConnectionId>,
    pub(super) user_bandwidth: Option<Arc<Bucket>>,
    pub(super) from_client: Traffic,
    pub(super) to_client: Traffic,
}

/// Whether the relayed addresses are bound yet.
pub(super) enum Stage {
    /// Waiting for the driver to bind relay sockets.
    Pending(Box<PendingAllocate>),
    /// Answered with success.
    Live,
}

/// What the success response said, so that a retransmission gets the same.
#[derive(Clone, Copy)]
pub(super) struct AllocateAnswer {
    pub(super) transaction: TransactionId,
    /// The family of the primary relayed address.
    pub(super) family: Family,
    pub(super) lifetime: Duration,
    pub(super) reservation_token: Option<[u8; 8]>,
    /// The additional family that could not be had (RFC 8656 section 7.2, step 10).
    pub(super) failed_family: Option<Family>,
}

/// RFC 8656 section 9: by IP address, ports do not matter.
pub(super) struct Permission {
    pub(super) ip: IpAddr,
    pub(super) expires_at: Instant,
}

/// RFC 8656 section 12.
pub(super) struct Channel {
    pub(super) number: ChannelNumber,
    pub(super) peer: SocketAddr,
    pub(super) expires_at: Instant,
    /// When the permission for the peer's address expires: a copy, so that the
    /// data path looks at one entry only.
    pub(super) permitted_until: Instant,
    pub(super) relay: RelayId,
    /// Index of our relay address when the peer's IP is ours.
    pub(super) own_address: Option<usize>,
}

impl Allocation {
    pub(super) fn is_live(&self) -> bool {
        matches!(self.stage, Stage::Live)
    }

    /// Returns the relay that reaches peers of `family`.
    pub(super) fn relay(&self, family: Family) -> Option<RelayId> {
        self.relays
            .iter()
            .find(|(f, _)| *f == family)
            .map(|(_, relay)| *relay)
    }

    pub(super) fn is_permitted(&self, now: Instant, peer: IpAddr) -> bool {
        self.permissions
            .iter()
            .any(|p| p.ip == peer && now < p.expires_at)
    }

    /// Installs or refreshes the permission for `peer`; false when `limit` is reached.
    pub(super) fn permit(&mut self, now: Instant, peer: IpAddr, limit: usize) -> bool {
        let expires_at = now + PERMISSION_LIFETIME;
        if let Some(permission) = self.permissions.iter_mut().find(|p| p.ip == peer) {
            permission.expires_at = expires_at;
        } else {
            self.permissions.retain(|p| now < p.expires_at);
            if self.permissions.len() >= limit {
                return false;
            }
            self.permissions.push(Permission {
                ip: peer,
                expires_at,
            });
        }
        for channel in self.channels.iter_mut().filter(|c| c.peer.ip() == peer) {
            channel.permitted_until = expires_at;
        }
        true
    }

    /// Whether permissions for all of `peers` fit below `limit`.
    pub(super) fn fits_permissions(&self, now: Instant, peers: &[IpAddr], limit: usize) -> bool {
        let is_live = |ip: &IpAddr| self.is_permitted(now, *ip);
        let live = self
            .permissions
            .iter()
            .filter(|p| now < p.expires_at)
            .count();
        let mut new: Vec<&IpAddr> = peers.iter().filter(|ip| !is_live(ip)).collect();
        new.sort_unstable();
        new.dedup();
        live + new.len() <= limit
    }
}

impl Channel {
    pub(super) fn is_bound(&self, now: Instant) -> bool {
        now < self.expires_at
    }
}

/// RFC 8656 section 9.
pub(super) const PERMISSION_LIFETIME: Duration = Duration::from_secs(300);

/// RFC 8656 section 12.
pub(super) const CHANNEL_LIFETIME: Duration = Duration::from_secs(600);
