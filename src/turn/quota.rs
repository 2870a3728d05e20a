//! How many allocations a user and an address may have, over all workers.
//!
//! `QuotaTable` counts and decides; it has no lock of its own. `ledger.rs` says
//! how workers share it.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use super::bandwidth::Bucket;

/// Limits per user and address; 0 means no limit.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct QuotaLimits {
    /// Allocations of one user at a time.
    pub per_user: u32,
    /// Allocations from one client address (IPv4 /32, IPv6 /64) at a time.
    pub per_address: u32,
    /// Allocations of all users together.
    pub total: u32,
    /// Bytes per second of one user, both directions and all allocations together.
    pub user_bandwidth: u64,
}

/// Which limit an Allocate request met.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum QuotaReached {
    /// `limits.allocations_per_user`
    User,
    /// `limits.allocations_per_ip`
    Address,
    /// `limits.allocations`
    Total,
}

/// The counts. It holds one entry per user and address that
/// has an allocation, so the number of allocations bounds it.
#[derive(Debug, Default)]
pub struct QuotaTable {
    limits: QuotaLimits,
    users: BTreeMap<Arc<str>, UserEntry>,
    addresses: BTreeMap<IpAddr, u32>,
    total: u32,
}

#[derive(Debug)]
struct UserEntry {
    allocations: u32,
    bucket: Option<Arc<Bucket>>,
}

impl QuotaTable {
    /// An empty table.
    #[must_use]
    pub fn new(limits: QuotaLimits) -> Self {
        Self {
            limits,
            ..Self::default()
        }
    }

    /// Changes the limits; allocations that exist already stay. A new bandwidth
    /// limit reaches a user with the next allocation.
    pub fn set_limits(&mut self, limits: QuotaLimits) {
        self.limits = limits;
    }

    /// Returns how many allocations are counted.
    #[must_use]
    pub fn total(&self) -> u32 {
        self.total
    }

    /// See `Ledger::acquire`.
    ///
    /// # Errors
    /// Names the limit that is reached; nothing is counted then.
    pub fn acquire(
        &mut self,
        now: Instant,
        user: &Arc<str>,
        client: IpAddr,
    ) -> Result<Option<Arc<Bucket>>, QuotaReached> {
        let address = prefix(client);
        let of_user = self.users.get(user).map_or(0, |entry| entry.allocations);
        let of_address = self.addresses.get(&address).copied().unwrap_or(0);
        if is_reached(self.limits.total, self.total) {
            return Err(QuotaReached::Total);
        }
        if is_reached(self.limits.per_user, of_user) {
            return Err(QuotaReached::User);
        }
        if is_reached(self.limits.per_address, of_address) {
            return Err(QuotaReached::Address);
        }
        let entry = self
            .users
            .entry(Arc::clone(user))
            .or_insert_with(|| UserEntry {
                allocations: 0,
                bucket: None,
            });
        entry.allocations += 1;
        if entry.bucket.as_ref().map_or(0, |b| b.bytes_per_second()) != self.limits.user_bandwidth {
            entry.bucket = (self.limits.user_bandwidth > 0)
                .then(|| Arc::new(Bucket::new(now, self.limits.user_bandwidth)));
        }
        *self.addresses.entry(address).or_insert(0) += 1;
        self.total += 1;
        Ok(entry.bucket.clone())
    }

    /// See `Ledger::release`.
    pub fn release(&mut self, user: &Arc<str>, client: IpAddr) {
        let Some(entry) = self.users.get_mut(user) else {
            return;
        };
        entry.allocations -= 1;
        if entry.allocations == 0 {
            self.users.remove(user);
        }
        let address = prefix(client);
        if let Some(count) = self.addresses.get_mut(&address) {
            *count -= 1;
            if *count == 0 {
                self.addresses.remove(&address);
            }
        }
        self.total -= 1;
    }
}

fn is_reached(limit: u32, count: u32) -> bool {
    limit != 0 && count >= limit
}

/// One IPv6 subscriber has a /64 at least; counting single addresses would not limit anyone.
fn prefix(client: IpAddr) -> IpAddr {
    match client {
        IpAddr::V4(_) => client,
        IpAddr::V6(ip) => IpAddr::V6((u128::from(ip) & !u128::from(u64::MAX)).into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: QuotaLimits = QuotaLimits {
        per_user: 2,
        per_address: 3,
        total: 4,
        user_bandwidth: 0,
    };

    fn user(name: &str) -> Arc<str> {
        Arc::from(name)
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn each_limit_is_named_when_it_is_reached() {
        let now = crate::clock::now();
        let mut table = QuotaTable::new(LIMITS);
        let (here, there) = (ip("192.0.2.1"), ip("192.0.2.2"));

        assert!(table.acquire(now, &user("alice"), here).is_ok());
        assert!(table.acquire(now, &user("alice"), here).is_ok());
        assert_eq!(
            table.acquire(now, &user("alice"), there).err(),
            Some(QuotaReached::User)
        );
        assert!(table.acquire(now, &user("bob"), here).is_ok());
        assert_eq!(
            table.acquire(now, &user("bob"), here).err(),
            Some(QuotaReached::Address)
        );
        assert!(table.acquire(now, &user("bob"), there).is_ok());
        assert_eq!(
            table.acquire(now, &user("carol"), there).err(),
            Some(QuotaReached::Total)
        );
    }

    #[test]
    fn a_released_allocation_makes_room_and_leaves_nothing_behind() {
        let now = crate::clock::now();
        let mut table = QuotaTable::new(LIMITS);
        for _ in 0..100 {
            assert!(
                table
                    .acquire(now, &user("alice"), ip("2001:db8::1"))
                    .is_ok()
            );
            table.release(&user("alice"), ip("2001:db8::1"));
        }

        assert_eq!(table.total(), 0);
        assert!(table.users.is_empty() && table.addresses.is_empty());
    }

    #[test]
    fn allocations_of_one_user_share_one_bucket() {
        let now = crate::clock::now();
        let limits = QuotaLimits {
            user_bandwidth: 1_000,
            ..LIMITS
        };
        let mut table = QuotaTable::new(limits);
        let one = table
            .acquire(now, &user("alice"), ip("192.0.2.1"))
            .unwrap()
            .unwrap();
        let two = table
            .acquire(now, &user("alice"), ip("192.0.2.2"))
            .unwrap()
            .unwrap();

        assert!(Arc::ptr_eq(&one, &two));
    }
}
