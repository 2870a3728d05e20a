//! What workers must agree on: how many allocations there are, and which relay
//! ports are reserved for a next allocation.
//!
//! Asked when an allocation begins or ends, never for a packet. The core knows
//! it as a trait; the driver implements it by sharing one [`Books`].

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use super::bandwidth::Bucket;
use super::quota::{QuotaReached, QuotaTable};
use super::relay_ports::RelayPort;

/// The books of all workers.
pub trait Ledger: Send + Sync {
    /// Counts one more allocation for `user` from `client`.
    ///
    /// Returns the bandwidth bucket that all allocations of the user share, if
    /// there is a limit.
    ///
    /// # Errors
    /// Names the limit that is reached; nothing is counted then.
    fn acquire(
        &self,
        now: Instant,
        user: &Arc<str>,
        client: IpAddr,
    ) -> Result<Option<Arc<Bucket>>, QuotaReached>;

    /// Takes one allocation back that [`Ledger::acquire`] counted.
    fn release(&self, user: &Arc<str>, client: IpAddr);

    /// Notes that a port is kept for a next allocation, which names `token`. The
    /// caller has acquired a place for it; it is released with the reservation.
    fn reserve(&self, token: ReservationToken, reservation: Reservation);

    /// Takes a reservation out, for its `user` only; acquire a place anew.
    fn claim(&self, token: ReservationToken, user: &str) -> Option<RelayPort>;

    /// Takes a reservation out whose time is over.
    fn withdraw(&self, token: ReservationToken) -> Option<RelayPort>;
}

/// RESERVATION-TOKEN (RFC 8656 section 18.10).
pub type ReservationToken = [u8; 8];

/// A port that is kept for a next allocation.
#[derive(Clone, Debug)]
pub struct Reservation {
    /// The port.
    pub port: RelayPort,
    /// Who may have it.
    pub user: Arc<str>,
    /// Where the client is for whom it is counted.
    pub client: IpAddr,
}

/// One set of books.
///
/// Allocations and relay ports bound its size: each reservation holds a port.
#[derive(Debug, Default)]
pub struct Books {
    /// Allocations by user and address.
    pub quota: QuotaTable,
    reservations: BTreeMap<ReservationToken, Reservation>,
}

impl Books {
    /// Empty books.
    #[must_use]
    pub fn new(quota: QuotaTable) -> Self {
        Self {
            quota,
            reservations: BTreeMap::new(),
        }
    }

    /// See [`Ledger::reserve`].
    pub fn reserve(&mut self, token: ReservationToken, reservation: Reservation) {
        self.reservations.insert(token, reservation);
    }

    /// See [`Ledger::claim`].
    pub fn claim(&mut self, token: ReservationToken, user: &str) -> Option<RelayPort> {
        let reservation = self.reservations.get(&token)?;
        if *reservation.user != *user {
            return None;
        }
        self.withdraw(token)
    }

    /// See [`Ledger::withdraw`].
    pub fn withdraw(&mut self, token: ReservationToken) -> Option<RelayPort> {
        let reservation = self.reservations.remove(&token)?;
        self.quota.release(&reservation.user, reservation.client);
        Some(reservation.port)
    }

    /// Returns how many reservations wait.
    #[must_use]
    pub fn reservations(&self) -> usize {
        self.reservations.len()
    }
}
