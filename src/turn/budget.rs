//! How many answers a stranger may draw from us.
//!
//! A token bucket per IPv4 /32 or IPv6 /64 in a table of fixed size, and one
//! for all together, so that a spoofed source address gets few packets from us
//! and a flood from many sources costs bounded memory and bandwidth. Sources
//! that share a slot share its budget, which only an attacker's flood makes likely.

use std::hash::BuildHasher as _;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use hashbrown::DefaultHashBuilder;

/// Limits for unauthenticated answers over UDP.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct BudgetOptions {
    /// Answers per second for one IPv4 /32 or IPv6 /64, with a burst of ten
    /// seconds' worth; 0 means no limit.
    pub per_prefix: u32,
    /// Answers per second for all together, per worker, with a burst of one
    /// second's worth; 0 means no limit.
    pub total: u32,
}

/// The budget of one worker.
pub(super) struct Budget {
    origin: Instant,
    options: BudgetOptions,
    hasher: DefaultHashBuilder,
    slots: Box<[Slot]>,
    total: Slot,
}

/// Millisecond after the origin at which everything taken is paid for, in 1/1024 ms.
#[derive(Clone, Copy, Default)]
struct Slot(u64);

impl Budget {
    pub(super) fn new(origin: Instant, options: BudgetOptions) -> Self {
        Self {
            origin,
            options,
            hasher: DefaultHashBuilder::default(),
            slots: vec![Slot::default(); SLOTS].into_boxed_slice(),
            total: Slot::default(),
        }
    }

    pub(super) fn set_options(&mut self, options: BudgetOptions) {
        self.options = options;
    }

    /// Takes one answer to `client` out of the budget; false when it is used up.
    pub(super) fn take(&mut self, now: Instant, client: IpAddr) -> bool {
        let now = ticks(now.saturating_duration_since(self.origin));
        let index = usize::try_from(self.hasher.hash_one(prefix(client))).unwrap_or(0) % SLOTS;
        self.slots[index].take(now, self.options.per_prefix, PREFIX_BURST)
            && self.total.take(now, self.options.total, TOTAL_BURST)
    }
}

impl Slot {
    fn take(&mut self, now: u64, per_second: u32, burst: Duration) -> bool {
        if per_second == 0 {
            return true;
        }
        if self.0 > now + ticks(burst) {
            return false;
        }
        self.0 = self.0.max(now) + TICKS_PER_SECOND / u64::from(per_second);
        true
    }
}

/// What one budget is for: a household or a host, whatever its addresses.
fn prefix(client: IpAddr) -> u64 {
    match client {
        IpAddr::V4(ip) => u64::from(u32::from(ip)),
        IpAddr::V6(ip) => u64::try_from(u128::from(ip) >> 64).expect("the upper half"),
    }
}

fn ticks(span: Duration) -> u64 {
    u64::try_from(span.as_micros())
        .unwrap_or(u64::MAX / 4)
        .saturating_mul(1024)
        / 1000
}

/// A page of clients takes several requests each at the start of a call.
const PREFIX_BURST: Duration = Duration::from_secs(10);
const TOTAL_BURST: Duration = Duration::from_secs(1);
const TICKS_PER_SECOND: u64 = 1024 * 1000;
/// 128 KiB: few enough to stay in the second-level cache.
const SLOTS: usize = 16_384;

#[cfg(test)]
mod tests {
    use super::*;

    fn budget(per_prefix: u32, total: u32) -> (Budget, Instant) {
        let now = crate::clock::now();
        (Budget::new(now, BudgetOptions { per_prefix, total }), now)
    }

    #[test]
    fn one_source_gets_its_rate_and_the_burst() {
        let (mut budget, start) = budget(20, 0);
        let client = "192.0.2.7".parse().unwrap();
        let answered = (0..60_000)
            .filter(|ms| budget.take(start + Duration::from_millis(*ms), client))
            .count();

        assert!((1_390..=1_410).contains(&answered), "{answered}");
    }

    #[test]
    fn many_sources_share_the_total() {
        let (mut budget, start) = budget(20, 1_000);
        let answered = (0..100_000_u32)
            .filter(|n| budget.take(start, IpAddr::V4((*n).into())))
            .count();

        assert!((1_000..=1_002).contains(&answered), "{answered}");
    }

    #[test]
    fn addresses_of_one_ipv6_subnet_share_a_budget() {
        let (mut budget, start) = budget(20, 0);
        let answered = (0..1_000_u128)
            .filter(|n| budget.take(start, IpAddr::V6((0x2001_0db8_u128 << 96 | n).into())))
            .count();

        assert!((200..=202).contains(&answered), "{answered}");
    }

    #[test]
    fn zero_means_no_limit() {
        let (mut budget, start) = budget(0, 0);
        assert!((0..10_000).all(|_| budget.take(start, "192.0.2.7".parse().unwrap())));
    }
}
