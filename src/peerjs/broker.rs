//! The peers, their connections and their timers, and what becomes of a message.
//!
//! No socket, clock or random source of its own. Messages are read by `parse`
//! before they come here, outside of any lock; what waits for absent peers is in
//! `mailboxes.rs`. The driver carries out [`Output`]s after every call.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use rand::SeedableRng as _;
use rand::rngs::StdRng;
use serde_json::value::RawValue;
use subtle::ConstantTimeEq as _;
use tracing::{debug, info};

use crate::redact::Redacted;

use super::allowance::Allowance;
use super::counters::Counters;
use super::limits;
use super::mailboxes::{Full, Mailboxes};
use super::message::{self, Kind, Malformed, Request};
use super::output::{CloseCode, ConnectionId, Output};
use super::peer_id::{self, Address, is_peer_id};

/// Settings of a broker.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Options {
    /// Whether peers without a room token may connect.
    pub guests: bool,
    /// Most peers at once.
    pub peers: usize,
}

/// What the caller found out about a client's key.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Access {
    /// It is [`super::DEFAULT_KEY`], which opens the door where guests are let in.
    Guest,
    /// It is a valid token for this room: its holder sees the peers of this room
    /// and no others. A token for `*` belongs to no room; its holder is among the
    /// guests.
    Room(Arc<str>),
    /// It is anything else.
    Refused,
}

/// Brings messages from peer to peer.
pub struct Broker {
    options: Options,
    rng: StdRng,
    is_draining: bool,
    peers: BTreeMap<Address, Peer>,
    connections: BTreeMap<ConnectionId, Address>,
    /// When each connection may have been silent for too long: one entry each,
    /// moved only when it is due, so that a message costs nothing here.
    silences: BTreeSet<(Instant, ConnectionId)>,
    mailboxes: Mailboxes,
    counters: Counters,
    outputs: VecDeque<Output>,
}

/// Who has an id.
struct Peer {
    connection: ConnectionId,
    /// Proves that a new connection is the same peer's.
    token: Box<str>,
    heard_at: Instant,
    /// Its entry in `silences`.
    checked_at: Instant,
    allowance: Allowance,
}

impl Broker {
    /// Makes a broker without peers. `seed` drives the ids it gives: use real
    /// randomness in production.
    #[must_use]
    pub fn new(options: Options, seed: [u8; 32]) -> Self {
        Self {
            options,
            rng: StdRng::from_seed(seed),
            is_draining: false,
            peers: BTreeMap::new(),
            connections: BTreeMap::new(),
            silences: BTreeSet::new(),
            mailboxes: Mailboxes::default(),
            counters: Counters::default(),
            outputs: VecDeque::new(),
        }
    }

    /// Takes over new settings after a reload; whoever is there stays.
    pub const fn set_options(&mut self, options: Options) {
        self.options = options;
    }

    /// Makes an id for a client that wants any; random enough that nobody has it.
    pub fn new_id(&mut self) -> String {
        peer_id::random_id(&mut self.rng)
    }

    /// Takes a connection whose client wants to be `id`. It is told OPEN and all
    /// that waits for it, or why not, and then it is closed.
    ///
    /// `connection` is new. Whoever has the id already gives way when `token` is
    /// the same; so a client gets back in after its network changed.
    pub fn handle_connected(
        &mut self,
        now: Instant,
        connection: ConnectionId,
        id: &str,
        token: &str,
        access: Access,
    ) {
        if !is_peer_id(id) || token.is_empty() || token.len() > limits::TOKEN {
            let text = message::error("The URL has no usable id or token");
            return self.refuse(connection, text, CloseCode::BadRequest);
        }
        let Some(scope) = self.scope(access) else {
            return self.refuse(connection, message::invalid_key(), CloseCode::InvalidKey);
        };
        if self.is_draining {
            let text = message::error("The server is about to stop");
            return self.refuse(connection, text, CloseCode::Unavailable);
        }
        let id = id.into();
        let address = Address { scope, id };
        let before = self.peers.get(&address);
        if before.is_some_and(|peer| !bool::from(peer.token.as_bytes().ct_eq(token.as_bytes()))) {
            return self.refuse(connection, message::id_taken(), CloseCode::Replaced);
        }
        if before.is_none() && self.peers.len() >= self.options.peers {
            let text = message::error("The server has no place left");
            return self.refuse(connection, text, CloseCode::Unavailable);
        }
        let mut allowance = Allowance::new(now);
        if let Some(peer) = before {
            allowance = peer.allowance;
            let older = peer.connection;
            self.counters.replaced += 1;
            self.remove(older, CloseCode::Replaced);
        }
        self.open(now, connection, address, token, allowance);
    }

    /// Takes what `parse` made of a text message.
    pub fn handle_message(
        &mut self,
        now: Instant,
        connection: ConnectionId,
        request: Result<Request<'_>, Malformed>,
    ) {
        let Some(address) = self.connections.get(&connection) else {
            return; // it is being closed
        };
        let address = address.clone();
        let peer = self
            .peers
            .get_mut(&address)
            .expect("a connection goes with its peer");
        peer.heard_at = now;
        if !peer.allowance.take(now) {
            self.counters.rate_limited += 1;
            self.send(connection, message::error("Too many messages"));
            return self.remove(connection, CloseCode::TooMany);
        }
        match request {
            Ok(Request::Heartbeat) => {}
            Ok(Request::Leave) => self.remove(connection, CloseCode::Left),
            Ok(Request::Relay { kind, dst, payload }) => {
                self.relay(now, &address, kind, &dst, payload);
            }
            Ok(Request::Unknown) => self.counters.unknown += 1,
            Err(_) => self.counters.malformed += 1,
        }
    }

    /// Reports that a connection is no more. Its id is free; what it left for
    /// absent peers still waits, as it may come back for the answer.
    pub fn handle_disconnected(&mut self, connection: ConnectionId) {
        self.forget(connection);
    }

    /// Runs every timer that is due at `now`.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some(pair) = self.mailboxes.pop_due(now) {
            let sender = pair.to.of_other(&pair.from);
            self.expire(&sender, &pair.to.id);
        }
        while let Some(&(due, connection)) = self.silences.first() {
            if due > now {
                break;
            }
            self.check_silence(now, due, connection);
        }
    }

    /// Closes every connection and takes no new ones: the process is about to stop.
    pub fn handle_drain(&mut self) {
        self.is_draining = true;
        while let Some((&connection, _)) = self.connections.first_key_value() {
            self.remove(connection, CloseCode::Unavailable);
        }
    }

    /// Returns the next side effect to carry out.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// Returns when [`Broker::handle_timeout`] wants to be called next.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let silence = self.silences.first().map(|(due, _)| *due);
        let mail = self.mailboxes.next_deadline();
        silence.into_iter().chain(mail).min()
    }

    /// Returns the totals since the start.
    #[must_use]
    pub const fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Returns how many peers there are.
    #[must_use]
    pub fn peers(&self) -> usize {
        self.peers.len()
    }

    /// Returns how many bytes wait for absent peers, with
    /// [`limits::OVERHEAD`] for each message; at most [`limits::WAITING`].
    #[must_use]
    pub const fn waiting(&self) -> usize {
        self.mailboxes.total()
    }

    /// Returns among whom a client is, or `None` when it may not come in.
    fn scope(&self, access: Access) -> Option<Arc<str>> {
        match access {
            Access::Guest => self.options.guests.then(|| NO_ROOM.into()),
            Access::Room(room) if &*room == ANY_ROOM => Some(NO_ROOM.into()),
            Access::Room(room) => Some(room),
            Access::Refused => None,
        }
    }

    fn open(
        &mut self,
        now: Instant,
        connection: ConnectionId,
        address: Address,
        token: &str,
        allowance: Allowance,
    ) {
        self.counters.opened += 1;
        info!(connection = connection.0, peer = %Redacted(&*address.id), "PeerJS peer connected");
        self.send(connection, message::OPEN.to_owned());
        for text in self.mailboxes.take(&address) {
            self.counters.relayed += 1;
            self.send(connection, text);
        }
        let checked_at = now + limits::SILENCE;
        self.silences.insert((checked_at, connection));
        self.connections.insert(connection, address.clone());
        let peer = Peer {
            connection,
            token: token.into(),
            heard_at: now,
            checked_at,
            allowance,
        };
        self.peers.insert(address, peer);
    }

    fn relay(
        &mut self,
        now: Instant,
        from: &Address,
        kind: Kind,
        dst: &str,
        payload: Option<&RawValue>,
    ) {
        if !is_peer_id(dst) {
            // Nobody can come by that name.
            return self.expire(from, dst);
        }
        let to = from.of_other(dst);
        let text = message::relay(kind, &from.id, dst, payload);
        if let Some(peer) = self.peers.get(&to) {
            let connection = peer.connection;
            self.counters.relayed += 1;
            return self.send(connection, text);
        }
        if kind == Kind::Leave {
            return; // whoever comes later has no connection to end
        }
        match self.mailboxes.put(now, from, &to, text) {
            Ok(()) => self.counters.queued += 1,
            Err(Full::Later) => self.counters.overflowed += 1,
            Err(Full::Wholly) => {
                self.counters.overflowed += 1;
                self.expire(from, dst);
            }
        }
    }

    /// Tells a peer, if it is still there, that another did not come.
    fn expire(&mut self, sender: &Address, absent: &str) {
        if let Some(peer) = self.peers.get(sender) {
            let connection = peer.connection;
            self.counters.expired += 1;
            self.send(connection, message::expire(absent, &sender.id));
        }
    }

    /// Ends a peer that was silent for too long, or sets the next time to look.
    fn check_silence(&mut self, now: Instant, due: Instant, connection: ConnectionId) {
        self.silences.remove(&(due, connection));
        let peer = self
            .connections
            .get(&connection)
            .and_then(|address| self.peers.get_mut(address))
            .expect("a time to look goes with its peer");
        peer.checked_at = peer.heard_at + limits::SILENCE;
        self.silences.insert((peer.checked_at, connection));
        if peer.checked_at <= now {
            self.counters.timed_out += 1;
            self.remove(connection, CloseCode::Silent);
        }
    }

    fn refuse(&mut self, connection: ConnectionId, text: String, code: CloseCode) {
        self.counters.refused += 1;
        debug!(
            connection = connection.0,
            reason = code.reason(),
            "PeerJS client refused"
        );
        self.send(connection, text);
        self.outputs.push_back(Output::Close { connection, code });
    }

    /// Ends a peer from our side.
    fn remove(&mut self, connection: ConnectionId, code: CloseCode) {
        debug!(
            connection = connection.0,
            reason = code.reason(),
            "PeerJS peer removed"
        );
        self.forget(connection);
        self.outputs.push_back(Output::Close { connection, code });
    }

    fn forget(&mut self, connection: ConnectionId) {
        let Some(address) = self.connections.remove(&connection) else {
            return; // refused, or removed by us
        };
        info!(connection = connection.0, peer = %Redacted(&*address.id), "PeerJS peer left");
        if let Some(peer) = self.peers.remove(&address) {
            self.silences.remove(&(peer.checked_at, connection));
        }
    }

    fn send(&mut self, connection: ConnectionId, text: String) {
        self.outputs.push_back(Output::Send { connection, text });
    }
}

/// The scope of those who came without a room.
const NO_ROOM: &str = "";

/// The room of a token that is good for any.
const ANY_ROOM: &str = "*";
