//! What an operator can decide about the TURN server.

use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use super::bandwidth::Bucket;
use super::budget::BudgetOptions;
use super::five_tuple::Family;
use super::peer_policy::PeerPolicy;

/// Settings of [`super::Server`]. `relay_addresses`, `relay_ports`, `worker` and
/// `workers` are fixed at the start; the rest may change on a reload.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where relay sockets are bound, and what clients are told.
    pub relay_addresses: Vec<RelayAddress>,
    /// Relay ports of all workers together.
    pub relay_ports: RangeInclusive<u16>,
    /// Index of this worker, below `workers`.
    pub worker: u16,
    /// How many workers share the relay ports, at least 1.
    pub workers: u16,
    /// Lifetime of an allocation whose client asks for none; at least 1 s.
    pub default_lifetime: Duration,
    /// Longest lifetime a client can get.
    pub max_lifetime: Duration,
    /// Whether TCP relaying (RFC 6062) is offered.
    pub tcp_relay: bool,
    /// Which peers may be reached.
    pub peer_policy: PeerPolicy,
    /// Permissions one allocation can have at a time.
    pub permissions_per_allocation: usize,
    /// Channels one allocation can have at a time.
    pub channels_per_allocation: usize,
    /// Answers to strangers.
    pub budget: BudgetOptions,
    /// Limit in bytes of all relayed traffic together, shared by the workers.
    pub bandwidth: Option<Arc<Bucket>>,
}

/// An address of ours that relay sockets are bound to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RelayAddress {
    /// The address on this host.
    pub local: IpAddr,
    /// The address peers see and clients are told: another one behind 1:1 NAT,
    /// of the same family.
    pub announced: IpAddr,
}

impl RelayAddress {
    /// Returns the family, which both addresses share.
    #[must_use]
    pub fn family(self) -> Family {
        Family::of(self.local)
    }
}
