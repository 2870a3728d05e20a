//! Timers by due time: set, move, take what is due, each in O(log n).
//!
//! The key says what is due. A key has at most one deadline, which its owner
//! remembers and hands back to move or clear it.

use std::collections::BTreeSet;
use std::time::Instant;

/// A set of deadlines ordered by time.
#[derive(Debug)]
pub(super) struct Deadlines<K> {
    set: BTreeSet<(Instant, K)>,
}

impl<K: Copy + Ord> Deadlines<K> {
    /// An empty set.
    pub(super) fn new() -> Self {
        Self {
            set: BTreeSet::new(),
        }
    }

    /// Adds a deadline.
    pub(super) fn set(&mut self, at: Instant, key: K) {
        self.set.insert((at, key));
    }

    /// Removes the deadline of `key` that was set for `at`.
    pub(super) fn clear(&mut self, at: Instant, key: K) {
        self.set.remove(&(at, key));
    }

    /// Returns the earliest deadline.
    pub(super) fn next(&self) -> Option<Instant> {
        self.set.first().map(|(at, _)| *at)
    }

    /// Takes the earliest deadline out when it is due at `now`.
    pub(super) fn pop_due(&mut self, now: Instant) -> Option<K> {
        if self.next()? > now {
            return None;
        }
        self.set.pop_first().map(|(_, key)| key)
    }
}
