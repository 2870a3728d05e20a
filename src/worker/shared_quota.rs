//! The allocation counts of all workers, behind one lock.
//!
//! Taken when an allocation begins or ends, never for a packet.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crate::turn::{Bucket, QuotaLimits, QuotaReached, QuotaTable, Quotas};

/// A `QuotaTable` that workers share.
#[derive(Debug, Default)]
pub struct SharedQuota(Mutex<QuotaTable>);

impl SharedQuota {
    /// An empty table.
    #[must_use]
    pub fn new(limits: QuotaLimits) -> Self {
        Self(Mutex::new(QuotaTable::new(limits)))
    }

    /// Changes the limits after a reload; see `QuotaTable::set_limits`.
    pub fn set_limits(&self, limits: QuotaLimits) {
        self.table().set_limits(limits);
    }

    /// Returns how many allocations all workers have.
    #[must_use]
    pub fn total(&self) -> u32 {
        self.table().total()
    }

    // The table is consistent after every call, so a panic elsewhere is no reason to stop.
    fn table(&self) -> MutexGuard<'_, QuotaTable> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Quotas for SharedQuota {
    fn acquire(
        &self,
        now: Instant,
        user: &Arc<str>,
        client: IpAddr,
    ) -> Result<Option<Arc<Bucket>>, QuotaReached> {
        self.table().acquire(now, user, client)
    }

    fn release(&self, user: &Arc<str>, client: IpAddr) {
        self.table().release(user, client);
    }
}
