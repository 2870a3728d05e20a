//! What a broker did since the start, for metrics.
//!
//! Totals only; each is counted in `broker.rs` where it happens.

/// Totals since the start.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Counters {
    /// Peers that were told OPEN, each connection of one counted.
    pub opened: u64,
    /// Connections that were refused: a wrong id, token or key, a taken id, no place.
    pub refused: u64,
    /// Connections that gave way to a newer one of the same peer.
    pub replaced: u64,
    /// Peers that were silent for [`super::limits::SILENCE`].
    pub timed_out: u64,
    /// Peers that sent too much and were closed.
    pub rate_limited: u64,
    /// Messages that reached another peer, those that waited too.
    pub relayed: u64,
    /// Messages that waited for a peer that was not there.
    pub queued: u64,
    /// Messages that were not even kept: too much waited.
    pub overflowed: u64,
    /// EXPIRE messages: somebody was told that a peer is not there.
    pub expired: u64,
    /// Messages of a type that this server does not carry out.
    pub unknown: u64,
    /// Messages that could not be read.
    pub malformed: u64,
}
