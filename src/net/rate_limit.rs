//! A limit on open connections, per source and in total.
//!
//! A source is one IPv4 address or one IPv6 /64, which is what one subscriber
//! has. The table holds only sources with an open connection, so the total
//! bounds it. Locked once when a connection opens and once when it closes.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

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
