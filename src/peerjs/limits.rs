//! How much a PeerJS client may send and leave waiting.
//!
//! Numbers only; who counts stands beside each. `docs/peerjs.md` shows them to
//! app developers, so change both.

use std::time::Duration;

/// Longest message in bytes; `parse` refuses a longer one.
pub const MESSAGE: usize = 64 << 10;

/// Longest peer id in characters, all of them ASCII.
pub const ID: usize = 64;

/// Longest `token` in bytes: the text by which a client proves that an id is its own.
pub const TOKEN: usize = 256;

/// How long a message waits for a peer that is not there. The server that the
/// PeerJS project publishes waits as long.
pub const WAIT: Duration = Duration::from_secs(5);

/// Silence after which a peer is gone. Clients send HEARTBEAT every 5 s, but
/// browsers run the timers of a hidden page only once a minute.
pub const SILENCE: Duration = Duration::from_secs(90);

/// Messages that wait from one peer for one other: an offer with its candidates.
pub const WAITING_MESSAGES: usize = 64;

/// Bytes that wait for one peer, so that all of it fits into what a driver holds
/// for one connection (64 KiB).
pub const WAITING_FOR_ONE: usize = 48 << 10;

/// Bytes that wait from one peer, with [`OVERHEAD`] for each message.
pub const WAITING_FROM_ONE: usize = 256 << 10;

/// Bytes that wait from all peers, with [`OVERHEAD`] for each message.
pub const WAITING: usize = 16 << 20;

/// What a waiting message costs beside its text, so that many short ones are not free.
pub const OVERHEAD: usize = 256;

/// Messages a second of one peer, in the long run.
pub const RATE: u32 = 50;

/// Messages of one peer at once.
pub const BURST: u32 = 200;
