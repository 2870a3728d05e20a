//! Which relay ports of one address are free in one worker's slice of the range.
//!
//! A bit per port; choosing starts at a random place, so ports are hard to
//! guess, and ends in a bounded scan of the bits, so a full range is noticed.

use std::ops::RangeInclusive;

use rand::{Rng, RngExt as _};

/// The free ports of one slice.
#[derive(Debug)]
pub(super) struct PortPool {
    first: u16,
    taken: Vec<bool>,
    free: usize,
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

impl PortPool {
    /// All ports of `slice` free.
    pub(super) fn new(slice: &RangeInclusive<u16>) -> Self {
        let taken = vec![false; slice.len()];
        Self {
            first: *slice.start(),
            free: taken.len(),
            taken,
        }
    }

    /// Takes a port that fits `wish`.
    pub(super) fn take(&mut self, wish: PortWish, rng: &mut impl Rng) -> Option<u16> {
        if self.free == 0 {
            return None;
        }
        let start = rng.random_range(0..self.taken.len());
        let index = (start..self.taken.len())
            .chain(0..start)
            .find(|&i| self.fits(i, wish))?;
        self.mark(index);
        Some(self.port(index))
    }

    /// Takes `port` if it is free.
    pub(super) fn take_exact(&mut self, port: u16) -> bool {
        let Some(index) = port.checked_sub(self.first).map(usize::from) else {
            return false;
        };
        let is_free = self.taken.get(index) == Some(&false);
        if is_free {
            self.mark(index);
        }
        is_free
    }

    /// Gives `port` back; a port outside the slice is ignored.
    pub(super) fn release(&mut self, port: u16) {
        let Some(index) = port.checked_sub(self.first).map(usize::from) else {
            return;
        };
        if self.taken.get(index) == Some(&true) {
            self.taken[index] = false;
            self.free += 1;
        }
    }

    fn fits(&self, index: usize, wish: PortWish) -> bool {
        let is_free = !self.taken[index];
        let is_even = self.port(index).is_multiple_of(2);
        match wish {
            PortWish::Any => is_free,
            PortWish::Even => is_free && is_even,
            PortWish::EvenPair => is_free && is_even && self.taken.get(index + 1) == Some(&false),
        }
    }

    fn port(&self, index: usize) -> u16 {
        self.first + u16::try_from(index).expect("the slice is a range of u16")
    }

    fn mark(&mut self, index: usize) {
        self.taken[index] = true;
        self.free -= 1;
    }
}

/// Returns the part of `range` that belongs to `worker` of `workers`.
///
/// Parts are disjoint, and begin at an even offset so that no pair of ports is
/// cut in two. With more workers than pairs, the last ones get an empty part.
pub(super) fn slice(range: &RangeInclusive<u16>, worker: u16, workers: u16) -> RangeInclusive<u16> {
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

/// Returns which of `workers` owns `port`, if it lies in `range`.
pub(super) fn owner(range: &RangeInclusive<u16>, port: u16, workers: u16) -> Option<u16> {
    if !range.contains(&port) {
        return None;
    }
    (0..workers).find(|worker| slice(range, *worker, workers).contains(&port))
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;
    use rand::rngs::StdRng;

    use super::*;

    #[test]
    fn every_port_is_given_once_and_then_none() {
        let mut rng = StdRng::seed_from_u64(1);
        let mut pool = PortPool::new(&(50_000..=50_009));
        let mut ports: Vec<u16> =
            std::iter::from_fn(|| pool.take(PortWish::Any, &mut rng)).collect();
        ports.sort_unstable();

        assert_eq!(ports, (50_000..=50_009).collect::<Vec<_>>());
        pool.release(50_003);
        assert_eq!(pool.take(PortWish::Any, &mut rng), Some(50_003));
    }

    #[test]
    fn a_pair_is_even_and_its_second_port_can_be_taken_next() {
        let mut rng = StdRng::seed_from_u64(2);
        let mut pool = PortPool::new(&(50_001..=50_004));

        assert_eq!(pool.take(PortWish::EvenPair, &mut rng), Some(50_002));
        assert!(pool.take_exact(50_003));
        assert!(!pool.take_exact(50_003));
        assert!(!pool.take_exact(50_005));
        assert_eq!(pool.take(PortWish::EvenPair, &mut rng), None);
        assert_eq!(pool.take(PortWish::Even, &mut rng), Some(50_004));
        assert_eq!(pool.take(PortWish::Any, &mut rng), Some(50_001));
        assert_eq!(pool.take(PortWish::Any, &mut rng), None);
    }

    #[test]
    fn slices_cover_the_range_without_overlap() {
        for workers in 1..=7 {
            let range = 49_152..=65_535;
            let mut next = 49_152_u32;
            for worker in 0..workers {
                let part = slice(&range, worker, workers);
                assert_eq!(u32::from(*part.start()), next);
                assert!(part.start().is_multiple_of(2));
                assert_eq!(owner(&range, *part.start(), workers), Some(worker));
                assert_eq!(owner(&range, *part.end(), workers), Some(worker));
                next = u32::from(*part.end()) + 1;
            }
            assert_eq!(next, 65_536);
        }
    }
}
