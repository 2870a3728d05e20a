//! Which relay ports of this process are in use, for all workers to read.
//!
//! A peer that is one of our own relayed transport addresses is reached in
//! memory, and is the only exception to the rule that our own addresses are not
//! peers. Each worker sets and clears the bits of its own ports; any worker reads them.

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicU64, Ordering};

use super::options::RelayAddress;
use super::port_pool;

/// The relayed transport addresses of this process.
#[derive(Debug)]
pub struct LivePorts {
    addresses: Vec<RelayAddress>,
    range: RangeInclusive<u16>,
    workers: u16,
    udp: Vec<Bits>,
    tcp: Vec<Bits>,
}

/// What a relay socket carries.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum RelayKind {
    /// Datagrams (RFC 8656).
    Udp,
    /// Connections (RFC 6062).
    Tcp,
}

/// A peer address that is ours and whose port is in use.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct OwnRelay {
    /// Index of the relay address.
    pub(super) address: usize,
    /// The relay port.
    pub(super) port: u16,
    /// The worker whose relay it is.
    pub(super) worker: u16,
}

impl LivePorts {
    /// Makes the table with no port in use.
    #[must_use]
    pub fn new(addresses: Vec<RelayAddress>, range: RangeInclusive<u16>, workers: u16) -> Self {
        let bits = || addresses.iter().map(|_| Bits::default()).collect();
        Self {
            udp: bits(),
            tcp: bits(),
            addresses,
            range,
            workers,
        }
    }

    /// Returns the index of the relay address whose local or announced IP is that of `peer`.
    pub(super) fn address_of(&self, peer: SocketAddr) -> Option<usize> {
        let ip = peer.ip();
        self.addresses
            .iter()
            .position(|a| a.local == ip || a.announced == ip)
    }

    /// Looks `port` of relay address `address` up among the ports in use.
    pub(super) fn find(&self, kind: RelayKind, address: usize, port: u16) -> Option<OwnRelay> {
        if !self.bits(kind)[address].is_set(port) {
            return None;
        }
        let worker = port_pool::owner(&self.range, port, self.workers)?;
        Some(OwnRelay {
            address,
            port,
            worker,
        })
    }

    pub(super) fn set(&self, kind: RelayKind, address: usize, port: u16, in_use: bool) {
        self.bits(kind)[address].set(port, in_use);
    }

    fn bits(&self, kind: RelayKind) -> &[Bits] {
        match kind {
            RelayKind::Udp => &self.udp,
            RelayKind::Tcp => &self.tcp,
        }
    }
}

/// One bit per port, 8 KiB.
#[derive(Debug)]
struct Bits(Box<[AtomicU64]>);

impl Default for Bits {
    fn default() -> Self {
        Self((0..=u16::MAX / 64).map(|_| AtomicU64::new(0)).collect())
    }
}

impl Bits {
    // Relaxed: a reader that misses a change by a moment drops or sends one
    // datagram as if it had come a moment earlier.
    fn is_set(&self, port: u16) -> bool {
        self.0[usize::from(port / 64)].load(Ordering::Relaxed) >> (port % 64) & 1 == 1
    }

    fn set(&self, port: u16, value: bool) {
        let word = &self.0[usize::from(port / 64)];
        let bit = 1 << (port % 64);
        if value {
            word.fetch_or(bit, Ordering::Relaxed);
        } else {
            word.fetch_and(!bit, Ordering::Relaxed);
        }
    }
}
