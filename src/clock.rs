//! The only reader of the clock.
//!
//! Drivers read it once per turn of their loop and hand the result down; cores
//! never see this module, so every one of them runs under virtual time in tests.

#![expect(
    clippy::disallowed_methods,
    reason = "the one place that may read the clock"
)]

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crate::unix_time::UnixTime;

/// Returns the monotonic time.
#[must_use]
pub fn now() -> Instant {
    Instant::now()
}

/// Returns the wall-clock time; a clock set before 1970 reads as zero.
#[must_use]
pub fn unix_now() -> UnixTime {
    let since_epoch = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    UnixTime(since_epoch.as_secs())
}
