//! How many messages one connection may send.

use std::time::Instant;

use super::limits::{BURST, RATE};

/// A token bucket: full at first, refilled at [`RATE`], at most [`BURST`].
#[derive(Clone, Copy, Debug)]
pub(super) struct Bucket {
    tokens: f64,
    filled: Instant,
}

impl Bucket {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            tokens: f64::from(BURST),
            filled: now,
        }
    }

    /// Takes one message.
    ///
    /// # Errors
    /// Says after how many milliseconds there is room for one.
    pub(super) fn take(&mut self, now: Instant) -> Result<(), u64> {
        let passed = now.saturating_duration_since(self.filled).as_secs_f64();
        self.filled = now;
        self.tokens = passed
            .mul_add(f64::from(RATE), self.tokens)
            .min(f64::from(BURST));
        if self.tokens >= 1.0 {
            self.tokens -= 1.0;
            return Ok(());
        }
        Err(1 + u64::from(1000 / RATE))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::clock;

    #[test]
    fn a_burst_passes_and_then_the_rate_counts() {
        let start = clock::now();
        let mut bucket = Bucket::new(start);
        assert!((0..BURST).all(|_| bucket.take(start).is_ok()));
        assert_eq!(bucket.take(start), Err(21));
        let later = start + Duration::from_millis(1_010);
        let passed = (0..2 * RATE).filter(|_| bucket.take(later).is_ok()).count();
        assert_eq!(passed, 50);
    }
}
