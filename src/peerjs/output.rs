//! What a driver carries out for the broker.
//!
//! Outputs of one connection are in order; nothing comes for a connection after
//! its [`Output::Close`].

/// A WebSocket of the driver; the driver gives each a new number.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ConnectionId(pub u64);

/// A side effect that the driver owes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Output {
    /// Send this JSON as one text frame.
    Send {
        /// To whom.
        connection: ConnectionId,
        /// The whole message.
        text: String,
    },
    /// Write what was sent before, then close.
    Close {
        /// Which; the broker has forgotten it already.
        connection: ConnectionId,
        /// What to say by it.
        code: CloseCode,
    },
}

/// Why a WebSocket is closed. PeerJS clients do not look at it; people who look
/// into their browser do, and find the numbers of `docs/protocol.md`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum CloseCode {
    /// The client said LEAVE.
    Left,
    /// The URL has no usable `id` or `token`.
    BadRequest,
    /// The key is not the default one, or guests may not enter, or the room
    /// token is not valid.
    InvalidKey,
    /// Nothing came for [`super::limits::SILENCE`].
    Silent,
    /// A newer connection of the same peer took over, or the id is another's.
    Replaced,
    /// Too many messages.
    TooMany,
    /// No place, or the server is about to stop.
    Unavailable,
}

impl CloseCode {
    /// Returns the number of the close frame (RFC 6455 section 7.4).
    #[must_use]
    pub const fn number(self) -> u16 {
        match self {
            Self::Left => 1000,
            Self::BadRequest => 4400,
            Self::InvalidKey => 4401,
            Self::Silent => 4408,
            Self::Replaced => 4409,
            Self::TooMany => 4429,
            Self::Unavailable => 4503,
        }
    }

    /// Returns the reason of the close frame, for people.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Left => "left",
            Self::BadRequest => "no usable id or token",
            Self::InvalidKey => "the key is not valid",
            Self::Silent => "nothing came for too long",
            Self::Replaced => "the id is in use by another connection",
            Self::TooMany => "too many messages",
            Self::Unavailable => "come back later",
        }
    }
}
