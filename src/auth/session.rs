//! TURN credentials that belong to a session of signaling and end with it.
//!
//! They are REST credentials of a secret that nobody else knows, whose user is
//! the session. The [`Directory`](crate::auth::Directory) accepts them only as
//! long as [`Sessions`] says that the session lives.

use std::sync::Arc;
use std::time::Duration;

use crate::auth::issue::{Credentials, issue};
use crate::auth::rest::RestSecret;
use crate::secret::Secret;
use crate::unix_time::UnixTime;

/// Knows which sessions there are.
///
/// Asked on the relay's threads whenever somebody authenticates with credentials
/// of a session: it must answer at once and from any thread. A session must be
/// gone from here before its allocations are ended, or a request in between could
/// make a new one.
pub trait Sessions: Send + Sync {
    /// Says whether `session` is there: in a room, or waiting to be resumed.
    fn is_live(&self, session: &str) -> bool;
}

/// What a directory needs to accept credentials of sessions. Keep both over a
/// reload, or all sessions lose their allocations.
#[derive(Clone)]
pub struct SessionAccess {
    /// The session secret: random, and known to nobody outside this process.
    pub secret: Secret,
    /// Which sessions there are.
    pub sessions: Arc<dyn Sessions>,
}

/// Issues credentials of sessions. No `Debug`: the secret is in it.
#[derive(Clone)]
pub struct SessionCredentials {
    secret: Secret,
    ttl: Duration,
}

impl SessionCredentials {
    /// Takes the session secret, which the directory has to know as well, and how
    /// long one credential lasts.
    #[must_use]
    pub const fn new(secret: Secret, ttl: Duration) -> Self {
        Self { secret, ttl }
    }

    /// Makes a credential for `session`, which ends [`ttl`](Self::ttl) after `now`
    /// or with the session.
    ///
    /// The user of its allocations is `session`; it should be short and without
    /// colons.
    #[must_use]
    pub fn issue(&self, session: &str, now: UnixTime) -> Credentials {
        issue(&self.secret, Some(session), now, self.ttl)
    }

    /// Returns how long a credential lasts.
    #[must_use]
    pub const fn ttl(&self) -> Duration {
        self.ttl
    }
}

/// The session secret with the state of its HMAC, and whom to ask.
pub(super) struct SessionKey {
    secret: RestSecret,
    sessions: Arc<dyn Sessions>,
}

impl SessionKey {
    pub(super) fn new(access: SessionAccess) -> Self {
        Self {
            secret: RestSecret::new(&access.secret),
            sessions: access.sessions,
        }
    }

    pub(super) const fn secret(&self) -> &RestSecret {
        &self.secret
    }

    pub(super) fn is_live(&self, session: &str) -> bool {
        self.sessions.is_live(session)
    }
}
