//! The TURN server as a state machine: what it holds, its entry points, its timers.
//!
//! No socket, clock or random source of its own. Requests are taken apart in
//! `request.rs` and decided in the file of their method; the way of application
//! data is in `relaying.rs`. The driver carries out [`Output`]s before it reads more.

use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use hashbrown::HashMap;
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use slab::Slab;
use tracing::info;

use crate::auth::Directory;
use crate::redact::Redacted;
use crate::unix_time::UnixTime;

use super::allocation::Allocation;
use super::budget::Budget;
use super::counters::{Counters, DropReason, Traffic};
use super::deadlines::Deadlines;
use super::five_tuple::{ClientPath, FiveTuple, RelayId};
use super::ledger::{Ledger, ReservationToken};
use super::nonce::NonceKey;
use super::options::Options;
use super::refusal::{Alternate, RefusalLog};
use super::relay_ports::{RelayKind, RelayPort, RelayPorts};
use super::tcp_relay::{ConnectionId, PeerConnection};
use super::verdict::{Output, Verdict};

/// A TURN server without sockets, clock or randomness of its own; one per worker.
pub struct Server {
    pub(super) options: Options,
    pub(super) directory: Arc<Directory>,
    pub(super) nonce: NonceKey,
    pub(super) ledger: Arc<dyn Ledger>,
    pub(super) relay_ports: Arc<RelayPorts>,
    pub(super) budget: Budget,
    pub(super) rng: StdRng,
    pub(super) counters: Counters,
    pub(super) refusal_log: RefusalLog,
    pub(super) alternate: Option<Alternate>,

    pub(super) allocations: Slab<Allocation>,
    pub(super) by_client: HashMap<FiveTuple, usize>,
    /// Allocations of sessions of signaling, which end together.
    pub(super) by_session: HashMap<Arc<str>, Vec<usize>>,
    pub(super) relays: Slab<Relay>,
    pub(super) by_port: HashMap<(RelayPort, RelayKind), RelayId>,
    pub(super) connections: BTreeMap<ConnectionId, PeerConnection>,

    pub(super) deadlines: Deadlines<Timer>,
    pub(super) outputs: VecDeque<Output>,
}

/// What the workers of one process share, each through an `Arc` of its own.
#[derive(Clone)]
pub struct Shared {
    /// Users and secrets.
    pub directory: Arc<Directory>,
    /// The key of the nonces.
    pub nonce: NonceKey,
    /// Allocation counts and reservations.
    pub ledger: Arc<dyn Ledger>,
    /// Relay ports, free and taken.
    pub relay_ports: Arc<RelayPorts>,
}

/// A relayed transport address.
pub(super) struct Relay {
    pub(super) kind: RelayKind,
    pub(super) place: RelayPort,
    pub(super) owner: RelayOwner,
}

/// Who a relay belongs to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum RelayOwner {
    /// The allocation at this key, which waits for the socket to be bound.
    Binding(usize),
    /// The allocation at this key.
    Allocation(usize),
    /// Nobody any more, but the driver still owes the answer to `BindRelay`.
    Abandoned,
}

/// What is due at a deadline.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Timer {
    /// The allocation at this key expires.
    Allocation(usize),
    /// A reservation expires.
    Reservation(ReservationToken),
    /// A peer connection was not made or not bound in time.
    Connection(ConnectionId),
}

impl Server {
    /// Makes a server. `now` is any time before the first call, `seed` drives
    /// ports, tokens and transaction ids: give it real randomness in production.
    #[must_use]
    pub fn new(now: Instant, options: Options, shared: Shared, seed: [u8; 32]) -> Self {
        Self {
            budget: Budget::new(now, options.budget),
            options,
            directory: shared.directory,
            nonce: shared.nonce,
            ledger: shared.ledger,
            relay_ports: shared.relay_ports,
            rng: StdRng::from_seed(seed),
            counters: Counters::default(),
            refusal_log: RefusalLog::default(),
            alternate: None,
            allocations: Slab::new(),
            by_client: HashMap::new(),
            by_session: HashMap::new(),
            relays: Slab::new(),
            by_port: HashMap::new(),
            connections: BTreeMap::new(),
            deadlines: Deadlines::new(),
            outputs: VecDeque::new(),
        }
    }

    /// Takes one datagram, or one whole frame of a stream, from a client.
    ///
    /// Application data is answered by the verdict, which borrows `datagram`;
    /// requests are answered through [`Server::poll_output`].
    pub fn handle_client_datagram<'p>(
        &mut self,
        now: Instant,
        unix_now: UnixTime,
        from: ClientPath,
        datagram: &'p [u8],
    ) -> Verdict<'p> {
        // RFC 7983 section 7, with the wider channel range of RFC 5766 that
        // Debian's turnutils_uclient still uses.
        match datagram.first() {
            Some(0x40..=0x7F) => self.handle_channel_data(now, from, datagram),
            Some(0x00..=0x03) => self.handle_message(now, unix_now, from, datagram),
            Some(_) | None => self.dropped(DropReason::NotTurn),
        }
    }

    /// Reports that a stream to a client is closed; its allocation ends (RFC 8656 section 3.1).
    pub fn handle_client_closed(&mut self, now: Instant, five_tuple: FiveTuple) {
        if let Some(&key) = self.by_client.get(&five_tuple) {
            self.end_allocation(now, key, "client disconnected");
        }
    }

    /// Runs every timer that is due at `now`.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some(timer) = self.deadlines.pop_due(now) {
            match timer {
                Timer::Allocation(key) => self.end_allocation(now, key, "expired"),
                Timer::Reservation(token) => self.end_reservation(token),
                Timer::Connection(id) => self.handle_connection_timeout(now, id),
            }
        }
    }

    /// Returns the next side effect to carry out.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// Returns when [`Server::handle_timeout`] wants to be called next.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.deadlines.next()
    }

    /// Takes new settings after a reload, and ends what they no longer allow:
    /// allocations of users who are gone, permissions, channels and connections of
    /// denied peers.
    ///
    /// The fixed fields of [`Options`] keep their values.
    pub fn reconfigure(&mut self, now: Instant, options: Options, directory: Arc<Directory>) {
        self.options = Options {
            relay_addresses: std::mem::take(&mut self.options.relay_addresses),
            relay_ports: self.options.relay_ports.clone(),
            worker: self.options.worker,
            workers: self.options.workers,
            ..options
        };
        self.directory = directory;
        self.budget.set_options(self.options.budget);
        let keys: Vec<usize> = self.allocations.iter().map(|(key, _)| key).collect();
        for key in keys {
            if !self.directory.has_user(&self.allocations[key].identity) {
                self.end_allocation(now, key, "user removed");
                continue;
            }
            self.revoke_denied_peers(now, key);
        }
    }

    /// Ends all allocations that were made with credentials of the session `user`.
    ///
    /// The directory must not take its credentials any more, or the client could
    /// allocate anew. Streams to the client stay open. Other users of that name
    /// keep what they have.
    pub fn end_user(&mut self, now: Instant, user: &str) {
        for key in self.by_session.remove(user).unwrap_or_default() {
            self.end_allocation(now, key, "session ended");
        }
    }

    /// Ends every allocation, which logs its account; the last call before the
    /// server is dropped. Clients are told nothing: they find out by themselves.
    pub fn shut_down(&mut self, now: Instant) {
        let keys: Vec<usize> = self.allocations.iter().map(|(key, _)| key).collect();
        for key in keys {
            self.end_allocation(now, key, "server stopped");
        }
    }

    /// Sends new clients elsewhere from now on, or takes that back with `None`.
    ///
    /// Allocate is answered with 300 (Try Alternate) and ALTERNATE-SERVER;
    /// allocations that exist go on (RFC 8656 section 7.2, step 9).
    pub fn set_alternate(&mut self, alternate: Option<Alternate>) {
        self.alternate = alternate;
    }

    /// Returns the totals since the start.
    #[must_use]
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Returns how many allocations exist.
    #[must_use]
    pub fn allocations(&self) -> usize {
        self.allocations.len()
    }

    /// Whether a client has an allocation: the driver keeps its stream open then.
    #[must_use]
    pub fn has_allocation(&self, five_tuple: &FiveTuple) -> bool {
        self.by_client.contains_key(five_tuple)
    }

    /// Counts a drop and makes the verdict for it.
    pub(super) fn dropped<'p>(&mut self, reason: DropReason) -> Verdict<'p> {
        Verdict::Dropped(self.counters.drop(reason))
    }

    /// Returns the address a relay is bound to.
    pub(super) fn local_address(&self, relay: RelayId) -> SocketAddr {
        let RelayPort { address, port } = self.relays[relay.0 as usize].place;
        SocketAddr::new(self.options.relay_addresses[address].local, port)
    }

    /// Returns the relayed transport address that the world sees.
    pub(super) fn announced_address(&self, relay: RelayId) -> SocketAddr {
        let RelayPort { address, port } = self.relays[relay.0 as usize].place;
        SocketAddr::new(self.options.relay_addresses[address].announced, port)
    }

    /// Ends an allocation, frees what it held, and logs its account.
    pub(super) fn end_allocation(&mut self, now: Instant, key: usize, reason: &'static str) {
        let allocation = self.allocations.remove(key);
        self.by_client.remove(&allocation.path.five_tuple);
        self.forget_session_of(key, &allocation);
        self.deadlines
            .clear(allocation.expires_at, Timer::Allocation(key));
        self.ledger.release(
            allocation.identity.user(),
            allocation.path.five_tuple.client.ip(),
        );
        let relayed = allocation
            .relays
            .first()
            .map(|(_, relay)| self.announced_address(*relay));
        self.end_connections(&allocation.connections);
        for (_, relay) in &allocation.relays {
            self.close_relay(*relay);
        }
        self.abandon_bind(&allocation);
        if allocation.is_live() {
            self.counters.allocations_ended += 1;
            log_end(now, &allocation, relayed, reason);
        }
    }

    /// Closes the socket of a relay and frees its port.
    pub(super) fn close_relay(&mut self, relay: RelayId) {
        self.outputs.push_back(Output::CloseRelay(relay));
        self.forget_relay(relay);
    }

    /// Frees the port of a relay that has no socket (any more).
    pub(super) fn forget_relay(&mut self, relay: RelayId) {
        let Relay { kind, place, .. } = self.relays.remove(relay.0 as usize);
        self.by_port.remove(&(place, kind));
        self.relay_ports.release(place);
    }

    fn forget_session_of(&mut self, key: usize, allocation: &Allocation) {
        let Some(session) = allocation.identity.session() else {
            return;
        };
        if let Some(keys) = self.by_session.get_mut(session) {
            keys.retain(|other| *other != key);
            if keys.is_empty() {
                self.by_session.remove(session);
            }
        }
    }

    fn revoke_denied_peers(&mut self, now: Instant, key: usize) {
        // Out of `self` for as long as `self` changes.
        let policy = std::mem::take(&mut self.options.peer_policy);
        let own = std::mem::take(&mut self.options.relay_addresses);
        let is_own = |ip: IpAddr| own.iter().any(|a| a.local == ip || a.announced == ip);
        let is_denied = |ip: IpAddr| !is_own(ip) && policy.check(ip).is_err();
        let allocation = &mut self.allocations[key];
        allocation.permissions.retain(|p| !is_denied(p.ip));
        allocation.channels.retain(|c| !is_denied(c.peer.ip()));
        self.end_connections_to(now, key, is_denied);
        self.options.peer_policy = policy;
        self.options.relay_addresses = own;
    }
}

fn log_end(now: Instant, allocation: &Allocation, relayed: Option<SocketAddr>, reason: &str) {
    let Traffic {
        packets: packets_out,
        bytes: bytes_out,
    } = allocation.from_client;
    let Traffic {
        packets: packets_in,
        bytes: bytes_in,
    } = allocation.to_client;
    info!(
        client = %Redacted(allocation.path.five_tuple.client),
        transport = %allocation.path.five_tuple.transport,
        user = %Redacted(&**allocation.identity.username()),
        relayed = relayed.map(tracing::field::display),
        seconds = now.saturating_duration_since(allocation.created_at).as_secs(),
        packets_out,
        bytes_out,
        packets_in,
        bytes_in,
        reason,
        "allocation ended"
    );
}
