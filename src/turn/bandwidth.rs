//! A token bucket that several workers share without a lock.
//!
//! It keeps one number, the time at which the bucket would be empty of debt
//! (the generic cell rate algorithm, ITU-T I.371 annex A), and moves it by
//! compare-and-swap. Over the limit the packet is dropped and the caller counts it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// A limit in bytes per second with a burst of a quarter of a second.
#[derive(Debug)]
pub struct Bucket {
    bytes_per_second: u64,
    origin: Instant,
    /// Nanoseconds after `origin` at which everything taken so far is paid for.
    paid_at: AtomicU64,
}

impl Bucket {
    /// Makes a full bucket; `origin` is any time before the first use, and a
    /// rate of zero counts as one byte per second.
    #[must_use]
    pub fn new(origin: Instant, bytes_per_second: u64) -> Self {
        Self {
            bytes_per_second: bytes_per_second.max(1),
            origin,
            paid_at: AtomicU64::new(0),
        }
    }

    /// Returns the limit in bytes per second.
    #[must_use]
    pub fn bytes_per_second(&self) -> u64 {
        self.bytes_per_second
    }

    /// Takes `bytes` out at `now` that have passed already, on credit if need be:
    /// a byte stream cannot drop any, but it can wait until [`Self::has_room`].
    pub fn spend(&self, now: Instant, bytes: usize) {
        let now = self.at(now);
        let cost = self.cost(bytes);
        let _ = self
            .paid_at
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |paid_at| {
                Some(paid_at.max(now).saturating_add(cost))
            });
    }

    /// Whether [`Self::take`] would pass something at `now`.
    #[must_use]
    pub fn has_room(&self, now: Instant) -> bool {
        self.paid_at.load(Ordering::Relaxed) <= self.at(now).saturating_add(nanoseconds(BURST))
    }

    /// Takes `bytes` out at `now`; false when the limit is reached.
    #[must_use]
    pub fn take(&self, now: Instant, bytes: usize) -> bool {
        let (now, cost) = (self.at(now), self.cost(bytes));
        let limit = now.saturating_add(nanoseconds(BURST));
        self.paid_at
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |paid_at| {
                (paid_at <= limit).then(|| paid_at.max(now).saturating_add(cost))
            })
            .is_ok()
    }

    fn at(&self, now: Instant) -> u64 {
        nanoseconds(now.saturating_duration_since(self.origin))
    }

    /// Returns how many nanoseconds pay for `bytes`.
    fn cost(&self, bytes: usize) -> u64 {
        (bytes as u64).saturating_mul(1_000_000_000) / self.bytes_per_second
    }
}

/// How much of the rate may pass at once: a keyframe at call rates, not more.
pub(super) const BURST: Duration = Duration::from_millis(250);

fn nanoseconds(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passes_the_rate_over_ten_seconds_and_no_more() {
        let start = crate::clock::now();
        let bucket = Bucket::new(start, 100_000);
        let mut passed = 0;
        for millisecond in 0..10_000 {
            let now = start + Duration::from_millis(millisecond);
            passed += usize::from(bucket.take(now, 1_000)) * 1_000;
        }

        assert!((1_000_000..=1_030_000).contains(&passed), "{passed}");
    }

    #[test]
    fn a_silent_time_does_not_save_up_more_than_the_burst() {
        let start = crate::clock::now();
        let bucket = Bucket::new(start, 100_000);
        let later = start + Duration::from_secs(3600);
        let passed = (0..1_000).filter(|_| bucket.take(later, 1_000)).count();

        assert_eq!(passed, 26);
    }

    #[test]
    fn what_was_spent_on_credit_is_paid_before_more_passes() {
        let start = crate::clock::now();
        let bucket = Bucket::new(start, 100_000);
        bucket.spend(start, 100_000);

        assert!(!bucket.has_room(start + Duration::from_millis(740)));
        assert!(!bucket.take(start + Duration::from_millis(740), 1));
        assert!(bucket.has_room(start + Duration::from_millis(750)));
    }
}
