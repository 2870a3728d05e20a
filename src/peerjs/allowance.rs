//! How fast one peer may send: a token bucket kept as one time.
//!
//! Knows no clock and no peers; `broker.rs` asks it before it carries out a
//! message.

use std::time::{Duration, Instant};

use super::limits;

/// A bucket of [`limits::BURST`] tokens that gains [`limits::RATE`] a second.
#[derive(Clone, Copy, Debug)]
pub(super) struct Allowance {
    /// When the bucket is full again.
    full_at: Instant,
}

impl Allowance {
    /// A full bucket.
    pub(super) const fn new(now: Instant) -> Self {
        Self { full_at: now }
    }

    /// Takes a token; `false` when there is none.
    pub(super) fn take(&mut self, now: Instant) -> bool {
        let full_at = self.full_at.max(now) + PER_MESSAGE;
        if full_at - now > WHOLE {
            return false;
        }
        self.full_at = full_at;
        true
    }
}

/// The time in which a token comes back.
const PER_MESSAGE: Duration = Duration::from_secs(1)
    .checked_div(limits::RATE)
    .expect("not 0");

/// The time in which an empty bucket fills.
const WHOLE: Duration = PER_MESSAGE.saturating_mul(limits::BURST);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;

    #[test]
    fn a_burst_is_taken_and_then_the_rate() {
        let mut now = clock::now();
        let mut allowance = Allowance::new(now);
        let burst = std::iter::repeat_with(|| allowance.take(now)).take_while(|taken| *taken);
        assert_eq!(burst.count(), limits::BURST as usize);
        now += Duration::from_secs(1);
        let second = std::iter::repeat_with(|| allowance.take(now)).take_while(|taken| *taken);
        assert_eq!(second.count(), limits::RATE as usize);
    }

    #[test]
    fn silence_fills_the_bucket_and_no_more() {
        let mut now = clock::now();
        let mut allowance = Allowance::new(now);
        now += Duration::from_secs(3600);
        let burst = std::iter::repeat_with(|| allowance.take(now)).take_while(|taken| *taken);
        assert_eq!(burst.count(), limits::BURST as usize);
    }
}
