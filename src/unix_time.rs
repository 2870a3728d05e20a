//! Wall-clock time as a value.
//!
//! Cores take it as an argument beside `now`; only `clock` produces it. It is
//! used where a credential or a certificate names a calendar time, never for
//! measuring how long something takes.

use std::time::Duration;

/// Seconds since 1970-01-01T00:00:00Z, without leap seconds.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Hash)]
pub struct UnixTime(pub u64);

impl UnixTime {
    /// Returns how long it is from `self` until `later`, zero when that is past.
    #[must_use]
    pub fn until(self, later: Self) -> Duration {
        Duration::from_secs(later.0.saturating_sub(self.0))
    }

    /// Returns the time `span` after this one; fractions of a second are cut.
    #[must_use]
    pub fn plus(self, span: Duration) -> Self {
        Self(self.0.saturating_add(span.as_secs()))
    }
}
