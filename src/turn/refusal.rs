//! Why a request is refused, and how that is told to the client and the log.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::stun::{AttributeType, ErrorCode};

use super::quota::QuotaReached;

/// A reason to answer with an error response.
///
/// Every variant has one error code; the variants are finer than the codes so
/// that the log can say what an operator would want to know.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Refusal {
    /// 400: a missing or malformed attribute, named.
    BadRequest(&'static str),
    /// 401: the credential has expired.
    Expired,
    /// 403: the peer policy.
    DeniedPeer,
    /// 420, with UNKNOWN-ATTRIBUTES.
    UnknownAttributes(Vec<AttributeType>),
    /// 437
    AllocationMismatch,
    /// 440
    FamilyNotSupported,
    /// 441
    WrongCredentials,
    /// 442
    UnsupportedTransport,
    /// 443
    PeerFamilyMismatch,
    /// 446
    ConnectionAlreadyExists,
    /// 447
    ConnectionFailed,
    /// 486
    Quota(QuotaReached),
    /// 508: no relay port, or no reservation with this token.
    NoPort,
    /// 508: permissions, channels or connections of this allocation are used up.
    TooMany(&'static str),
    /// 300, with ALTERNATE-SERVER.
    TryAlternate(Alternate),
}

/// The server that a draining server names instead of itself (RFC 8489 section 10).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Alternate {
    /// Its transport address.
    pub address: SocketAddr,
    /// Its domain name, which TLS clients need to check its certificate.
    pub domain: Option<String>,
}

impl Refusal {
    pub(super) fn code(&self) -> ErrorCode {
        match self {
            Self::BadRequest(_) => ErrorCode::BadRequest,
            Self::Expired => ErrorCode::Unauthorized,
            Self::DeniedPeer => ErrorCode::Forbidden,
            Self::UnknownAttributes(_) => ErrorCode::UnknownAttribute,
            Self::AllocationMismatch => ErrorCode::AllocationMismatch,
            Self::FamilyNotSupported => ErrorCode::AddressFamilyNotSupported,
            Self::WrongCredentials => ErrorCode::WrongCredentials,
            Self::UnsupportedTransport => ErrorCode::UnsupportedTransport,
            Self::PeerFamilyMismatch => ErrorCode::PeerAddressFamilyMismatch,
            Self::ConnectionAlreadyExists => ErrorCode::ConnectionAlreadyExists,
            Self::ConnectionFailed => ErrorCode::ConnectionTimeoutOrFailure,
            Self::Quota(_) => ErrorCode::AllocationQuotaReached,
            Self::NoPort | Self::TooMany(_) => ErrorCode::InsufficientCapacity,
            Self::TryAlternate(_) => ErrorCode::TryAlternate,
        }
    }

    /// Returns the reason in words, for the log.
    pub(super) fn cause(&self) -> &'static str {
        match self {
            Self::BadRequest(what) => what,
            Self::Expired => "credential expired",
            Self::DeniedPeer => "peer denied by turn.deny_peers",
            Self::UnknownAttributes(_) => "unknown attribute",
            Self::AllocationMismatch => "no such allocation, or one exists already",
            Self::FamilyNotSupported => "no relay address of this family",
            Self::WrongCredentials => "allocation belongs to another user",
            Self::UnsupportedTransport => "transport not offered",
            Self::PeerFamilyMismatch => "peer of another address family",
            Self::ConnectionAlreadyExists => "peer connection exists already",
            Self::ConnectionFailed => "peer connection failed",
            Self::Quota(QuotaReached::User) => "limits.allocations_per_user reached",
            Self::Quota(QuotaReached::Address) => "limits.allocations_per_ip reached",
            Self::Quota(QuotaReached::Total) => "limits.allocations reached",
            Self::NoPort => "no relay port free in turn.relay_ports",
            Self::TooMany(what) => what,
            Self::TryAlternate(_) => "draining",
        }
    }
}

/// Lets one line per cause and minute into the log.
#[derive(Debug, Default)]
pub(super) struct RefusalLog {
    /// Bounded: causes are a closed set of static texts.
    causes: BTreeMap<&'static str, Cause>,
}

#[derive(Debug)]
struct Cause {
    logged_at: Instant,
    suppressed: u64,
}

impl RefusalLog {
    /// Asks whether `cause` may be logged at `now`; returns how many were left
    /// out since the last time.
    pub(super) fn admit(&mut self, now: Instant, cause: &'static str) -> Option<u64> {
        let Some(entry) = self.causes.get_mut(cause) else {
            self.causes.insert(
                cause,
                Cause {
                    logged_at: now,
                    suppressed: 0,
                },
            );
            return Some(0);
        };
        if now.saturating_duration_since(entry.logged_at) < LOG_INTERVAL {
            entry.suppressed += 1;
            return None;
        }
        entry.logged_at = now;
        Some(std::mem::take(&mut entry.suppressed))
    }
}

const LOG_INTERVAL: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_is_logged_once_a_minute_with_the_number_left_out() {
        let start = crate::clock::now();
        let mut log = RefusalLog::default();

        assert_eq!(log.admit(start, "a"), Some(0));
        assert_eq!(log.admit(start, "a"), None);
        assert_eq!(log.admit(start, "b"), Some(0));
        assert_eq!(log.admit(start + Duration::from_secs(30), "a"), None);
        assert_eq!(log.admit(start + Duration::from_secs(60), "a"), Some(2));
    }
}
