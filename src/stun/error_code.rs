//! The error codes of STUN and TURN.
//!
//! Owns the numbers and the phrases the standards recommend for them, and the
//! layout of ERROR-CODE (RFC 8489 section 14.8). A server picks the code; the
//! phrase is for people and may be left out to keep an answer short.

/// Why a request was refused.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[repr(u16)]
pub enum ErrorCode {
    /// Use the server named in ALTERNATE-SERVER (RFC 8489).
    TryAlternate = 300,
    /// The request is malformed (RFC 8489).
    BadRequest = 400,
    /// No credentials, or wrong ones (RFC 8489).
    Unauthorized = 401,
    /// The credentials are right, the request is not allowed (RFC 8656).
    Forbidden = 403,
    /// An attribute that must be understood is not (RFC 8489).
    UnknownAttribute = 420,
    /// There is no allocation, or already one (RFC 8656).
    AllocationMismatch = 437,
    /// The nonce is too old; try again with the new one (RFC 8489).
    StaleNonce = 438,
    /// This server does not relay that address family (RFC 8656).
    AddressFamilyNotSupported = 440,
    /// Not the credentials the allocation was made with (RFC 8656).
    WrongCredentials = 441,
    /// REQUESTED-TRANSPORT is not supported (RFC 8656).
    UnsupportedTransport = 442,
    /// The peer is of another family than the relayed address (RFC 8656).
    PeerAddressFamilyMismatch = 443,
    /// There is a connection to this peer already (RFC 6062).
    ConnectionAlreadyExists = 446,
    /// The connection to the peer failed (RFC 6062).
    ConnectionTimeoutOrFailure = 447,
    /// This user has as many allocations as allowed (RFC 8656).
    AllocationQuotaReached = 486,
    /// The server failed; the client may try again (RFC 8489).
    ServerError = 500,
    /// The server is full (RFC 8656).
    InsufficientCapacity = 508,
}

impl ErrorCode {
    /// Returns the number, 300 to 699.
    #[must_use]
    pub const fn code(self) -> u16 {
        self as u16
    }

    /// Returns the reason phrase of the standard that defines the code.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::TryAlternate => "Try Alternate",
            Self::BadRequest => "Bad Request",
            Self::Unauthorized => "Unauthenticated",
            Self::Forbidden => "Forbidden",
            Self::UnknownAttribute => "Unknown Attribute",
            Self::AllocationMismatch => "Allocation Mismatch",
            Self::StaleNonce => "Stale Nonce",
            Self::AddressFamilyNotSupported => "Address Family not Supported",
            Self::WrongCredentials => "Wrong Credentials",
            Self::UnsupportedTransport => "Unsupported Transport Protocol",
            Self::PeerAddressFamilyMismatch => "Peer Address Family Mismatch",
            Self::ConnectionAlreadyExists => "Connection Already Exists",
            Self::ConnectionTimeoutOrFailure => "Connection Timeout or Failure",
            Self::AllocationQuotaReached => "Allocation Quota Reached",
            Self::ServerError => "Server Error",
            Self::InsufficientCapacity => "Insufficient Capacity",
        }
    }
}

/// Longest reason phrase in bytes (RFC 8489 section 14.8).
pub(super) const MAX_REASON_LEN: usize = 763;

/// Reads the value of ERROR-CODE; the code is 300 to 699.
pub(super) fn parse_error_code(value: &[u8]) -> Option<(u16, &str)> {
    let (&[_, _, class, number], reason) = value.split_first_chunk()?;
    let class = class & 0x07;
    if !(3..=6).contains(&class) || number > 99 {
        return None;
    }
    let code = u16::from(class) * 100 + u16::from(number);
    Some((code, std::str::from_utf8(reason).ok()?))
}

/// Lays out the fixed part of ERROR-CODE; the reason phrase follows it.
pub(super) fn encode_error_code(code: ErrorCode) -> [u8; 4] {
    let code = code.code();
    let [_, class] = (code / 100).to_be_bytes();
    let [_, number] = (code % 100).to_be_bytes();
    [0, 0, class, number]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_survives_the_way_through_the_wire() {
        for code in [
            ErrorCode::TryAlternate,
            ErrorCode::UnknownAttribute,
            ErrorCode::AllocationQuotaReached,
            ErrorCode::InsufficientCapacity,
        ] {
            let value = encode_error_code(code);
            assert_eq!(parse_error_code(&value), Some((code.code(), "")));
        }
    }

    #[test]
    fn codes_outside_300_to_699_are_refused() {
        assert_eq!(parse_error_code(&[0, 0, 2, 99]), None);
        assert_eq!(parse_error_code(&[0, 0, 7, 0]), None);
        assert_eq!(parse_error_code(&[0, 0, 4, 100]), None);
        assert_eq!(parse_error_code(&[0, 0, 4]), None);
        assert_eq!(parse_error_code(&[0, 0, 4, 1, 0xFF]), None);
        assert_eq!(parse_error_code(&[0, 0, 4, 1, b'x']), Some((401, "x")));
    }
}
