//! The names by which programs know what went wrong.

use serde::Serialize;

/// Code of an `error` message; docs/protocol.md says what to do about each.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "docs/protocol.md explains each by its name")]
pub enum ErrorCode {
    BadMessage,
    UnknownType,
    TooLarge,
    RateLimited,
    HelloRequired,
    Unauthorized,
    TokenExpired,
    WrongRoom,
    Forbidden,
    AlreadyJoined,
    NotJoined,
    RoomFull,
    RoomLocked,
    Kicked,
    NoSuchPeer,
    ForgedSender,
    StaleGeneration,
    BadGeneration,
    SessionGone,
    ModeUnavailable,
    ServerFull,
    Draining,
}

impl ErrorCode {
    /// All there are, in the order of docs/protocol.md.
    pub const ALL: [Self; 22] = [
        Self::BadMessage,
        Self::UnknownType,
        Self::TooLarge,
        Self::RateLimited,
        Self::HelloRequired,
        Self::Unauthorized,
        Self::TokenExpired,
        Self::WrongRoom,
        Self::Forbidden,
        Self::AlreadyJoined,
        Self::NotJoined,
        Self::RoomFull,
        Self::RoomLocked,
        Self::Kicked,
        Self::NoSuchPeer,
        Self::ForgedSender,
        Self::StaleGeneration,
        Self::BadGeneration,
        Self::SessionGone,
        Self::ModeUnavailable,
        Self::ServerFull,
        Self::Draining,
    ];
}

/// WebSocket close code of the private range (RFC 6455 section 7.4.2).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum CloseCode {
    /// The protocol was broken.
    Protocol,
    /// No token, or one that does not hold.
    Auth,
    /// A moderator sent the client out.
    Kicked,
    /// Nothing came for too long.
    Idle,
    /// A newer connection took the session over.
    Replaced,
    /// Too many messages, or too slow in reading them.
    Rate,
    /// The server stops.
    Draining,
}

impl CloseCode {
    /// Returns the number on the wire.
    #[must_use]
    pub const fn number(self) -> u16 {
        match self {
            Self::Protocol => 4400,
            Self::Auth => 4401,
            Self::Kicked => 4403,
            Self::Idle => 4408,
            Self::Replaced => 4409,
            Self::Rate => 4429,
            Self::Draining => 4503,
        }
    }

    /// Returns the reason in the close frame.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Protocol => "protocol error",
            Self::Auth => "not authorized",
            Self::Kicked => "kicked",
            Self::Idle => "nothing came for too long",
            Self::Replaced => "replaced by a newer connection",
            Self::Rate => "too many messages, or too slow in reading",
            Self::Draining => "the server stops, come back in a moment",
        }
    }
}
