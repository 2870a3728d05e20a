//! Who sent an authenticated request.
//!
//! What the `turn` core keeps with an allocation: whom to count it for, when the
//! credential ends, and the key that later requests must be signed with and
//! answers are signed with.

use std::sync::Arc;

use crate::stun::{IntegrityAlgorithm, LongTermKey};
use crate::unix_time::UnixTime;

/// A user whose credentials were right. Cheap to clone; no `Debug`, because it
/// holds the key.
#[derive(Clone)]
pub struct Identity {
    username: Arc<str>,
    user: Arc<str>,
    expires: Option<UnixTime>,
    key: LongTermKey,
    integrity: IntegrityAlgorithm,
    is_session: bool,
}

impl Identity {
    pub(super) const fn new(
        username: Arc<str>,
        user: Arc<str>,
        expires: Option<UnixTime>,
        key: LongTermKey,
        integrity: IntegrityAlgorithm,
    ) -> Self {
        Self {
            username,
            user,
            expires,
            key,
            integrity,
            is_session: false,
        }
    }

    /// Notes that the credential belongs to a session of signaling.
    pub(super) const fn of_session(mut self) -> Self {
        self.is_session = true;
        self
    }

    /// Returns the whole username, also when the client sent USERHASH. Requests
    /// on an allocation must come with the one it was made with.
    #[must_use]
    pub const fn username(&self) -> &Arc<str> {
        &self.username
    }

    /// Whether both are the same user with the same username. A name alone may be a
    /// static user's and have the form of a REST credential as well.
    #[must_use]
    pub fn is_same_user(&self, other: &Self) -> bool {
        self.username == other.username && self.user == other.user
    }

    /// Returns who quotas are counted for: the username without its expiry, so
    /// that a user gains nothing by fetching more REST credentials. A REST
    /// username that is nothing but an expiry names nobody and counts for itself.
    #[must_use]
    pub const fn user(&self) -> &Arc<str> {
        &self.user
    }

    /// Returns the session that the credential belongs to, and ends with.
    #[must_use]
    pub const fn session(&self) -> Option<&Arc<str>> {
        if self.is_session {
            Some(&self.user)
        } else {
            None
        }
    }

    /// Returns when a REST credential ends; a static user has no end.
    #[must_use]
    pub const fn expires(&self) -> Option<UnixTime> {
        self.expires
    }

    /// Says whether the credential has ended; it has in the second it names.
    #[must_use]
    pub fn is_expired(&self, now: UnixTime) -> bool {
        self.expires.is_some_and(|expires| expires <= now)
    }

    /// Returns the key that the request was signed with.
    #[must_use]
    pub const fn key(&self) -> &LongTermKey {
        &self.key
    }

    /// Returns the algorithm that the request was signed with, which the answer
    /// has to use as well (RFC 8489 section 9.2.4).
    #[must_use]
    pub const fn integrity(&self) -> IntegrityAlgorithm {
        self.integrity
    }
}
