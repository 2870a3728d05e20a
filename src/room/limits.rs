//! What one client may send, and how long the server waits for it.
//!
//! `welcome` tells clients the sizes; docs/protocol.md explains them.

use std::time::Duration;

/// Longest message, in bytes.
pub const MESSAGE: usize = 65_536;

/// Longest SDP, in bytes: a session of 20 video lines of a browser fits.
pub const SDP: usize = 49_152;

/// Longest candidate with its object around it, in bytes.
pub const CANDIDATE: usize = 2_048;

/// Most candidates in one message.
pub const CANDIDATES: usize = 64;

/// Longest chat message, in bytes.
pub const CHAT: usize = 4_000;

/// Longest name, in characters.
pub const NAME: usize = crate::auth::MAX_NAME_LEN;

/// Longest state, in bytes of its JSON.
pub const STATE: usize = 1_024;

/// Longest reason of a kick, in bytes.
pub const REASON: usize = 200;

/// Messages per second of one connection, over a longer time.
pub const RATE: u32 = 50;

/// Messages at once: the candidates of a few peers.
pub const BURST: u32 = 200;

/// Refused messages in a row after which a connection is closed.
pub const REFUSED: u32 = 200;

/// Sessions that wait for a place in one room.
pub const WAITING: usize = 50;

/// Identities that were sent out of one room; the oldest is forgotten first.
pub const BARRED: usize = 256;

/// Messages kept for a resume.
pub const RING: usize = 256;

/// Bytes kept for a resume.
pub const RING_BYTES: usize = 64 << 10;

/// How long a connection may take to say who it is.
pub const HELLO: Duration = Duration::from_secs(5);

/// How long a session waits for its client to come back.
pub const RESUME: Duration = Duration::from_secs(30);

/// Silence after which the server pings; clients do the same.
pub const PING: Duration = Duration::from_secs(10);

/// Silence after which the other side is gone.
pub const DEAD: Duration = Duration::from_secs(25);
