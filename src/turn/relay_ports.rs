//! The relay ports of a process: which are free, and whose the others are.
//!
//! One table for all workers, an atomic entry per port. A worker takes ports
//! from its own slice of the range first, so that workers seldom meet; any worker
//! may read whose a port is (a peer that is a relayed address of ours is reached
//! in memory), take over a reserved one, and give back what it holds.

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicU16, Ordering};

use rand::{Rng, RngExt as _};

use super::options::RelayAddress;

/// The relay ports of all relay addresses.
#[derive(Debug)]
pub struct RelayPorts {
    addresses: Vec<RelayAddress>,
    range: RangeInclusive<u16>,
    workers: u16,
    /// One table per relay address, an entry per port of the range: 0 when free,
    /// else the worker's number plus one, with [`LIVE`] and [`TCP`].
    tables: Vec<Box<[AtomicU16]>>,
}

/// What a relay socket carries.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum RelayKind {
    /// Datagrams (RFC 8656).
    Udp,
    /// Connections (RFC 6062).
    Tcp,
}

/// A port of a relay address.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct RelayPort {
    /// Index of the relay address.
    pub address: usize,
    /// The port.
    pub port: u16,
}

/// What a port must satisfy (RFC 8656 section 18.8, EVEN-PORT).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum PortWish {
    /// Any port.
    Any,
    /// An even port.
    Even,
    /// An even port whose successor is free too, and can be taken next.
    EvenPair,
}

impl RelayPorts {
    /// Makes the table with every port free.
    #[must_use]
    pub fn new(addresses: Vec<RelayAddress>, range: RangeInclusive<u16>, workers: u16) -> Self {
        let table = || range.clone().map(|_| AtomicU16::new(FREE)).collect();
        Self {
            tables: addresses.iter().map(|_| table()).collect(),
            addresses,
            range,
            workers,
        }
    }

    /// Takes a port of `address` that fits `wish`: out of the slice of `worker`, or
    /// out of the whole range when that is used up.
    ///
    /// The search starts at a random place, so that ports are hard to guess.
    pub(super) fn take(
        &self,
        worker: u16,
        address: usize,
        wish: PortWish,
        rng: &mut impl Rng,
    ) -> Option<u16> {
        let own = slice(&self.range, worker, self.workers);
        self.take_in(own, worker, address, wish, rng)
            .or_else(|| self.take_in(self.range.clone(), worker, address, wish, rng))
    }

    fn take_in(
        &self,
        slice: RangeInclusive<u16>,
        worker: u16,
        address: usize,
        wish: PortWish,
        rng: &mut impl Rng,
    ) -> Option<u16> {
        if slice.is_empty() {
            return None;
        }
        let start = rng.random_range(slice.clone());
        (start..=*slice.end())
            .chain(*slice.start()..start)
            .find(|&port| {
                let is_even = port.is_multiple_of(2);
                let fits = match wish {
                    PortWish::Any => true,
                    PortWish::Even => is_even,
                    PortWish::EvenPair => is_even && self.is_free(address, port.saturating_add(1)),
                };
                fits && self.take_exact(worker, RelayPort { address, port })
            })
    }

    /// Takes one port if it is free.
    pub(super) fn take_exact(&self, worker: u16, port: RelayPort) -> bool {
        self.entry(port).is_some_and(|entry| {
            let exchange =
                |from, to| entry.compare_exchange(from, to, Ordering::Relaxed, Ordering::Relaxed);
            exchange(FREE, worker + 1).is_ok()
        })
    }

    /// Gives a port to `worker` that another one took and did not bind.
    pub(super) fn hand_over(&self, worker: u16, port: RelayPort) {
        self.store(port, worker + 1);
    }

    /// Marks a port as bound: peers may be relayed to it in memory from now on.
    pub(super) fn set_live(&self, worker: u16, port: RelayPort, kind: RelayKind) {
        self.store(port, (worker + 1) | LIVE | kind.bit());
    }

    /// Gives a port back.
    pub(super) fn release(&self, port: RelayPort) {
        self.store(port, FREE);
    }

    /// Returns the index of the relay address whose local or announced IP is that of `peer`.
    pub(super) fn address_of(&self, peer: SocketAddr) -> Option<usize> {
        let ip = peer.ip();
        self.addresses
            .iter()
            .position(|a| a.local == ip || a.announced == ip)
    }

    /// Returns the worker that has bound `port`, if one has.
    pub(super) fn worker_of(&self, port: RelayPort, kind: RelayKind) -> Option<u16> {
        // Relaxed: a reader that misses a change by a moment drops or sends one
        // datagram as if it had come a moment earlier.
        let value = self.entry(port)?.load(Ordering::Relaxed);
        let is_match = value & LIVE != 0 && value & TCP == kind.bit();
        is_match.then(|| (value & WORKER) - 1)
    }

    fn is_free(&self, address: usize, port: u16) -> bool {
        let entry = self.entry(RelayPort { address, port });
        entry.is_some_and(|entry| entry.load(Ordering::Relaxed) == FREE)
    }

    fn store(&self, port: RelayPort, value: u16) {
        if let Some(entry) = self.entry(port) {
            entry.store(value, Ordering::Relaxed);
        }
    }

    fn entry(&self, RelayPort { address, port }: RelayPort) -> Option<&AtomicU16> {
        let index = port.checked_sub(*self.range.start())?;
        self.tables.get(address)?.get(usize::from(index))
    }
}

impl RelayKind {
    fn bit(self) -> u16 {
        match self {
            Self::Udp => 0,
            Self::Tcp => TCP,
        }
    }
}

/// Returns the part of `range` that belongs to `worker` of `workers`.
///
/// Parts are disjoint, and begin at an even offset so that no pair of ports is
/// cut in two. With more workers than pairs, some get an empty part.
fn slice(range: &RangeInclusive<u16>, worker: u16, workers: u16) -> RangeInclusive<u16> {
    let bound = |part: u16| {
        if part == workers {
            return range.len();
        }
        let even = range.len() * usize::from(part) / usize::from(workers);
        even & !1
    };
    let (from, to) = (bound(worker), bound(worker + 1));
    let at = |offset: usize| *range.start() + u16::try_from(offset).expect("within a range of u16");
    if from == to {
        RangeInclusive::new(1, 0)
    } else {
        at(from)..=at(to - 1)
    }
}

const FREE: u16 = 0;
const LIVE: u16 = 1 << 15;
const TCP: u16 = 1 << 14;
const WORKER: u16 = TCP - 1;

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;
    use rand::rngs::StdRng;

    use super::*;

    fn ports(range: RangeInclusive<u16>, workers: u16) -> RelayPorts {
        let ip = "203.0.113.1".parse().unwrap();
        RelayPorts::new(
            vec![RelayAddress {
                local: ip,
                announced: ip,
            }],
            range,
            workers,
        )
    }

    #[test]
    fn every_port_is_given_once_and_then_none() {
        let mut rng = StdRng::seed_from_u64(1);
        let pool = ports(50_000..=50_009, 1);
        let mut given: Vec<u16> =
            std::iter::from_fn(|| pool.take(0, 0, PortWish::Any, &mut rng)).collect();
        given.sort_unstable();

        assert_eq!(given, (50_000..=50_009).collect::<Vec<_>>());
        pool.release(RelayPort {
            address: 0,
            port: 50_003,
        });
        assert_eq!(pool.take(0, 0, PortWish::Any, &mut rng), Some(50_003));
    }

    #[test]
    fn a_pair_is_even_and_its_second_port_can_be_taken_next() {
        let mut rng = StdRng::seed_from_u64(2);
        let pool = ports(50_001..=50_004, 1);
        let exact = |port| pool.take_exact(0, RelayPort { address: 0, port });

        assert_eq!(pool.take(0, 0, PortWish::EvenPair, &mut rng), Some(50_002));
        assert!(exact(50_003));
        assert!(!exact(50_003));
        assert!(!exact(50_005));
        assert_eq!(pool.take(0, 0, PortWish::EvenPair, &mut rng), None);
        assert_eq!(pool.take(0, 0, PortWish::Even, &mut rng), Some(50_004));
        assert_eq!(pool.take(0, 0, PortWish::Any, &mut rng), Some(50_001));
        assert_eq!(pool.take(0, 0, PortWish::Any, &mut rng), None);
    }

    #[test]
    fn workers_take_from_slices_that_cover_the_range_without_overlap() {
        for workers in 1..=7 {
            let range = 49_152..=65_535;
            let mut next = 49_152_u32;
            for worker in 0..workers {
                let part = slice(&range, worker, workers);
                assert_eq!(u32::from(*part.start()), next);
                assert!(part.start().is_multiple_of(2));
                next = u32::from(*part.end()) + 1;
            }
            assert_eq!(next, 65_536);
        }
    }

    #[test]
    fn a_worker_whose_slice_is_used_up_takes_what_others_have_free() {
        let mut rng = StdRng::seed_from_u64(3);
        let pool = ports(50_000..=50_009, 2);
        let given: Vec<u16> =
            std::iter::from_fn(|| pool.take(1, 0, PortWish::Any, &mut rng)).collect();

        assert_eq!(given.len(), 10);
        assert!(given[..5].iter().all(|port| *port >= 50_004));
        assert_eq!(pool.take(0, 0, PortWish::Any, &mut rng), None);
    }

    #[test]
    fn a_bound_port_tells_its_worker_and_kind_until_it_is_released() {
        let pool = ports(50_000..=50_009, 2);
        let port = RelayPort {
            address: 0,
            port: 50_008,
        };
        assert!(pool.take_exact(1, port));
        assert_eq!(pool.worker_of(port, RelayKind::Udp), None);
        pool.hand_over(0, port);
        pool.set_live(0, port, RelayKind::Udp);

        assert_eq!(pool.worker_of(port, RelayKind::Udp), Some(0));
        assert_eq!(pool.worker_of(port, RelayKind::Tcp), None);
        pool.release(port);
        assert_eq!(pool.worker_of(port, RelayKind::Udp), None);
    }
}
