//! What happened, by reason. Every reason is a metric label, so the lists are closed.

use std::collections::BTreeMap;

/// Why a datagram or message went nowhere.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum DropReason {
    /// Neither STUN nor ChannelData (RFC 7983), or empty.
    NotTurn,
    /// First bits of STUN, but not a well-formed message.
    MalformedMessage,
    /// A ChannelData message whose length does not fit.
    MalformedChannelData,
    /// FINGERPRINT does not match.
    BadFingerprint,
    /// A response, or an indication that only a server sends.
    UnexpectedClass,
    /// A request method that no standard we serve defines.
    UnknownMethod,
    /// An indication with an attribute we do not understand, or one missing.
    BadIndication,
    /// The budget for unauthenticated answers is used up.
    OverBudget,
    /// ChannelData or Send from a five-tuple without an allocation.
    NoAllocation,
    /// The channel is not bound, or its binding has expired.
    NoChannel,
    /// There is no permission for the peer.
    NoPermission,
    /// The peer policy denies the peer.
    DeniedPeer,
    /// The allocation has no relayed address of the peer's family.
    WrongFamily,
    /// The peer is one of our relayed addresses, but nobody has it.
    NoSuchRelay,
    /// A bandwidth limit is reached.
    OverBandwidth,
    /// Longer than a ChannelData or STUN message can carry.
    TooLong,
}

impl DropReason {
    /// All reasons, in the order of their numbers.
    pub const ALL: [Self; 16] = [
        Self::NotTurn,
        Self::MalformedMessage,
        Self::MalformedChannelData,
        Self::BadFingerprint,
        Self::UnexpectedClass,
        Self::UnknownMethod,
        Self::BadIndication,
        Self::OverBudget,
        Self::NoAllocation,
        Self::NoChannel,
        Self::NoPermission,
        Self::DeniedPeer,
        Self::WrongFamily,
        Self::NoSuchRelay,
        Self::OverBandwidth,
        Self::TooLong,
    ];

    /// Returns the name used in logs and metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::NotTurn => "not_turn",
            Self::MalformedMessage => "malformed_message",
            Self::MalformedChannelData => "malformed_channel_data",
            Self::BadFingerprint => "bad_fingerprint",
            Self::UnexpectedClass => "unexpected_class",
            Self::UnknownMethod => "unknown_method",
            Self::BadIndication => "bad_indication",
            Self::OverBudget => "over_budget",
            Self::NoAllocation => "no_allocation",
            Self::NoChannel => "no_channel",
            Self::NoPermission => "no_permission",
            Self::DeniedPeer => "denied_peer",
            Self::WrongFamily => "wrong_family",
            Self::NoSuchRelay => "no_such_relay",
            Self::OverBandwidth => "over_bandwidth",
            Self::TooLong => "too_long",
        }
    }
}

/// Totals of one server since its start.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Counters {
    /// Dropped datagrams and messages, by [`DropReason`].
    pub dropped: [u64; DropReason::ALL.len()],
    /// Error responses, by error code (a closed set, RFC 8656 section 19).
    pub refused: BTreeMap<u16, u64>,
    /// Allocations that were made.
    pub allocations_created: u64,
    /// Allocations that ended.
    pub allocations_ended: u64,
    /// Binding requests answered.
    pub bindings: u64,
    /// Relayed traffic from clients.
    pub from_clients: Traffic,
    /// Relayed traffic to clients.
    pub to_clients: Traffic,
}

impl Counters {
    /// Counts a drop and passes the reason on.
    pub(super) fn drop(&mut self, reason: DropReason) -> DropReason {
        self.dropped[reason as usize] += 1;
        reason
    }
}

/// Packets and their application data.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Traffic {
    /// Number of packets.
    pub packets: u64,
    /// Bytes of application data.
    pub bytes: u64,
}

impl Traffic {
    /// Counts one packet.
    pub(super) fn add(&mut self, bytes: usize) {
        self.packets += 1;
        self.bytes += bytes as u64;
    }
}
