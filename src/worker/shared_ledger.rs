//! The books of all workers, behind one lock.
//!
//! Taken when an allocation begins or ends, never for a packet.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crate::turn::{
    Books, Bucket, Ledger, QuotaLimits, QuotaReached, QuotaTable, RelayPort, Reservation,
    ReservationToken,
};

/// A `Books` that workers share.
#[derive(Debug, Default)]
pub struct SharedLedger(Mutex<Books>);

impl SharedLedger {
    /// Empty books.
    #[must_use]
    pub fn new(limits: QuotaLimits) -> Self {
        Self(Mutex::new(Books::new(QuotaTable::new(limits))))
    }

    /// Changes the limits after a reload; see `QuotaTable::set_limits`.
    pub fn set_limits(&self, limits: QuotaLimits) {
        self.books().quota.set_limits(limits);
    }

    // The books are consistent after every call, so a panic elsewhere is no reason to stop.
    fn books(&self) -> MutexGuard<'_, Books> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ledger for SharedLedger {
    fn acquire(
        &self,
        now: Instant,
        user: &Arc<str>,
        client: IpAddr,
    ) -> Result<Option<Arc<Bucket>>, QuotaReached> {
        self.books().quota.acquire(now, user, client)
    }

    fn release(&self, user: &Arc<str>, client: IpAddr) {
        self.books().quota.release(user, client);
    }

    fn reserve(&self, token: ReservationToken, reservation: Reservation) {
        self.books().reserve(token, reservation);
    }

    fn claim(&self, token: ReservationToken, user: &str) -> Option<RelayPort> {
        self.books().claim(token, user)
    }

    fn withdraw(&self, token: ReservationToken) -> Option<RelayPort> {
        self.books().withdraw(token)
    }
}
