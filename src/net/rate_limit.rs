//! Limits on open connections, per source and in total, and on requests over
//! time, per source.
//!
//! A source is one IPv4 address or one IPv6 /64, which is what one subscriber
//! has. Both tables are bounded: connections by their total, requests by a number
//! of sources. Locked once when a connection opens and once when it closes, and
//! once for a request.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Counts open connections. Clones share the counters.
#[derive(Clone, Debug)]
pub struct ConnectionLimit {
    table: Arc<Mutex<Table>>,
}

/// A place for one open connection, freed when dropped: keep it beside the
/// connection, wherever that goes.
#[derive(Debug)]
#[must_use = "dropping it frees the place"]
pub struct Admission {
    table: Arc<Mutex<Table>>,
    source: Source,
}

/// Why a connection was not admitted.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Refusal {
    /// Its source has as many as one source may have.
    #[error("too many connections from this source")]
    Source,
    /// There are as many as there may be at all.
    #[error("too many connections")]
    Total,
}

#[derive(Debug)]
struct Table {
    per_source: u32,
    total: usize,
    open: HashMap<Source, u32>,
    open_total: usize,
}

/// An IPv4 address, or the network half of an IPv6 address.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
enum Source {
    V4([u8; 4]),
    V6([u8; 8]),
}

impl ConnectionLimit {
    /// Makes an empty table that admits `per_source` connections of one source
    /// and `total` connections of all sources at a time.
    #[must_use]
    pub fn new(per_source: u32, total: usize) -> Self {
        Self {
            table: Arc::new(Mutex::new(Table {
                per_source,
                total,
                open: HashMap::new(),
                open_total: 0,
            })),
        }
    }

    /// Changes the limits. Connections that are open stay, also above them.
    pub fn set_limits(&self, per_source: u32, total: usize) {
        let mut table = lock(&self.table);
        table.per_source = per_source;
        table.total = total;
    }

    /// Admits a connection from `from`.
    ///
    /// # Errors
    /// When a limit is reached: close the connection without an answer.
    pub fn admit(&self, from: IpAddr) -> Result<Admission, Refusal> {
        let source = Source::of(from);
        let mut table = lock(&self.table);
        if table.open_total >= table.total {
            return Err(Refusal::Total);
        }
        let open = table.open.get(&source).copied().unwrap_or_default();
        if open >= table.per_source {
            return Err(Refusal::Source);
        }
        table.open.insert(source, open + 1);
        table.open_total += 1;
        Ok(Admission {
            table: Arc::clone(&self.table),
            source,
        })
    }

    /// Returns how many connections are open.
    #[must_use]
    pub fn open(&self) -> usize {
        lock(&self.table).open_total
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        let mut table = lock(&self.table);
        table.open_total -= 1;
        let left = table.open.get(&self.source).copied().unwrap_or_default();
        if left <= 1 {
            table.open.remove(&self.source);
        } else {
            table.open.insert(self.source, left - 1);
        }
    }
}

impl Source {
    fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(v4) => Self::V4(v4.octets()),
            IpAddr::V6(v6) => {
                let [a, b, c, d, e, f, g, h, ..] = v6.octets();
                Self::V6([a, b, c, d, e, f, g, h])
            }
        }
    }
}

/// Takes the lock. Nothing under it can panic, so poison means nothing.
fn lock(table: &Mutex<Table>) -> MutexGuard<'_, Table> {
    table.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Counts requests over time, per source: a token bucket for each.
///
/// The table forgets sources whose bucket is full again, and when none is, the
/// new source is let through uncounted: the number of connections bounds it.
#[derive(Debug)]
pub struct RequestLimit {
    per_second: AtomicU32,
    table: Mutex<Buckets>,
}

#[derive(Debug, Default)]
struct Buckets {
    of: HashMap<Source, Bucket>,
    /// When full buckets were last looked for.
    purged: Option<Instant>,
}

#[derive(Clone, Copy, Debug)]
struct Bucket {
    tokens: f32,
    filled: Instant,
}

impl RequestLimit {
    /// Makes an empty table for `per_second` requests of each source, and
    /// [`REQUEST_BURST`] times as many at once; 0 is no limit.
    #[must_use]
    pub fn new(per_second: u32) -> Self {
        Self {
            per_second: AtomicU32::new(per_second),
            table: Mutex::default(),
        }
    }

    /// Changes the limit.
    pub fn set_limit(&self, per_second: u32) {
        self.per_second.store(per_second, Ordering::Relaxed);
    }

    /// Counts a request; `false` when there were too many.
    #[must_use]
    pub fn admit(&self, now: Instant, from: IpAddr) -> bool {
        let per_second = self.per_second.load(Ordering::Relaxed);
        if per_second == 0 {
            return true;
        }
        #[expect(clippy::cast_precision_loss, reason = "a limit has few digits")]
        let rate = per_second as f32;
        let burst = rate * REQUEST_BURST;
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        let source = Source::of(from);
        if table.of.len() >= MAX_BUCKETS && !table.of.contains_key(&source) {
            table.purge(now, rate, burst);
            if table.of.len() >= MAX_BUCKETS {
                return true;
            }
        }
        let bucket = table.of.entry(source).or_insert(Bucket {
            tokens: burst,
            filled: now,
        });
        bucket.tokens = bucket.at(now, rate, burst);
        bucket.filled = now;
        let is_admitted = bucket.tokens >= 1.0;
        if is_admitted {
            bucket.tokens -= 1.0;
        }
        is_admitted
    }
}

impl Buckets {
    /// Forgets full buckets, not more often than it is worth: it looks at all.
    fn purge(&mut self, now: Instant, rate: f32, burst: f32) {
        if self.purged.is_some_and(|at| now < at + PURGE_INTERVAL) {
            return;
        }
        self.purged = Some(now);
        self.of
            .retain(|_, bucket| bucket.at(now, rate, burst) < burst);
    }
}

impl Bucket {
    fn at(&self, now: Instant, rate: f32, burst: f32) -> f32 {
        let passed = now.saturating_duration_since(self.filled).as_secs_f32();
        passed.mul_add(rate, self.tokens).min(burst)
    }
}

/// How many seconds' worth of requests may come at once: a page with its files.
pub const REQUEST_BURST: f32 = 4.0;

/// A flood from many sources may cost this look once a second.
const PURGE_INTERVAL: Duration = Duration::from_secs(1);

/// Sources that are remembered; 32 bytes each.
const MAX_BUCKETS: usize = 16_384;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_has_its_own_limit_and_gets_places_back() {
        let limit = ConnectionLimit::new(2, 100);
        let one = limit.admit(ip("192.0.2.1")).unwrap();
        let _two = limit.admit(ip("192.0.2.1")).unwrap();
        assert_eq!(limit.admit(ip("192.0.2.1")).unwrap_err(), Refusal::Source);
        let _other = limit.admit(ip("192.0.2.2")).unwrap();
        drop(one);
        let _again = limit.admit(ip("192.0.2.1")).unwrap();
        assert_eq!(limit.open(), 3);
    }

    #[test]
    fn an_ipv6_source_is_a_64_bit_prefix_and_a_mapped_address_is_ipv4() {
        let limit = ConnectionLimit::new(1, 100);
        let _one = limit.admit(ip("2001:db8:0:1::1")).unwrap();
        assert!(limit.admit(ip("2001:db8:0:1:ffff::2")).is_err());
        let _two = limit.admit(ip("2001:db8:0:2::1")).unwrap();
        let _three = limit.admit(ip("::ffff:192.0.2.1")).unwrap();
        assert!(limit.admit(ip("192.0.2.1")).is_err());
    }

    #[test]
    fn the_total_bounds_the_table_and_an_empty_table_holds_nothing() {
        let limit = ConnectionLimit::new(1, 50);
        let address = |n: u32| IpAddr::from(n.to_be_bytes());
        let held: Vec<_> = (0..50).map(|n| limit.admit(address(n)).unwrap()).collect();
        assert_eq!(limit.admit(address(50)).unwrap_err(), Refusal::Total);
        assert_eq!(lock(&limit.table).open.len(), 50);
        drop(held);
        assert_eq!(limit.open(), 0);
        assert!(lock(&limit.table).open.is_empty());
    }

    #[test]
    fn lower_limits_hold_for_new_connections_only() {
        let limit = ConnectionLimit::new(3, 100);
        let held: Vec<_> = (0..3).map(|_| limit.admit(ip("192.0.2.1"))).collect();
        limit.set_limits(1, 100);
        assert_eq!(limit.open(), 3);
        drop(held);
        let _one = limit.admit(ip("192.0.2.1")).unwrap();
        assert!(limit.admit(ip("192.0.2.1")).is_err());
    }

    #[test]
    fn requests_are_counted_for_each_source_and_forgotten() {
        let now = crate::clock::now();
        let limit = RequestLimit::new(10);
        let admitted = |at, from| (0..100).filter(|_| limit.admit(at, ip(from))).count();
        assert_eq!(admitted(now, "192.0.2.1"), 40);
        assert_eq!(admitted(now, "192.0.2.2"), 40);
        let later = now + Duration::from_secs(1);
        assert_eq!(admitted(later, "192.0.2.1"), 10);
        for n in 0..MAX_BUCKETS {
            let address = u32::try_from(n).unwrap();
            assert!(limit.admit(later, IpAddr::from(address.to_be_bytes())));
        }
        let much_later = later + Duration::from_secs(10);
        assert!(limit.admit(much_later, ip("203.0.113.1")));
        assert_eq!(limit.table.lock().unwrap().of.len(), 1);
        limit.set_limit(0);
        assert_eq!(admitted(much_later, "203.0.113.1"), 100);
    }

    #[test]
    fn an_admission_can_be_dropped_on_another_thread() {
        let limit = ConnectionLimit::new(1, 1);
        let place = limit.admit(ip("192.0.2.1")).unwrap();
        std::thread::spawn(move || drop(place)).join().unwrap();
        assert_eq!(limit.open(), 0);
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }
}
