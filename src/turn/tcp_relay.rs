//! Peer connections of TCP allocations (RFC 6062): their life from Connect or an
//! incoming connection to the moment the driver joins two streams.
//!
//! The bytes themselves never pass here; the driver copies them and reports how many.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use rand::{Rng as _, RngExt as _};

use crate::auth::Identity;
use crate::stun::{AttributeType, Builder, Class, Method, TransactionId};

use super::five_tuple::RelayId;
use super::refusal::Refusal;
use super::request::Reply;
use super::server::{RelayOwner, Server, Timer};
use super::verdict::Output;

/// CONNECTION-ID (RFC 6062 section 6.2.1); the first byte is the worker that
/// holds the peer connection, so that any worker can tell where it belongs.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ConnectionId(pub u32);

impl ConnectionId {
    /// Returns the worker that holds the peer connection.
    #[must_use]
    pub fn worker(self) -> u16 {
        u16::try_from(self.0 >> 24).unwrap_or(0)
    }
}

/// A connection between a relayed transport address and a peer.
pub(super) struct PeerConnection {
    pub(super) allocation: usize,
    pub(super) peer: SocketAddr,
    pub(super) stage: ConnectionStage,
    pub(super) due: Instant,
}

/// How far a peer connection has come.
pub(super) enum ConnectionStage {
    /// The driver connects; this is how to answer the Connect request.
    Connecting(Box<(Reply, Identity)>),
    /// Established, waiting for the client's ConnectionBind.
    Waiting,
    /// Joined with the client's data connection.
    Joined,
}

impl Server {
    /// Reports that `ConnectPeer` succeeded.
    pub fn handle_peer_connected(&mut self, now: Instant, id: ConnectionId) {
        let due = now + BIND_TIMEOUT;
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        let stage = std::mem::replace(&mut connection.stage, ConnectionStage::Waiting);
        let ConnectionStage::Connecting(answer) = stage else {
            return;
        };
        self.deadlines.clear(connection.due, Timer::Connection(id));
        connection.due = due;
        self.deadlines.set(due, Timer::Connection(id));
        self.outputs.push_back(answer.0.success(|builder| {
            builder.u32(AttributeType::CONNECTION_ID, id.0);
        }));
    }

    /// Reports that `ConnectPeer` failed; the client is told 447.
    pub fn handle_peer_failed(&mut self, now: Instant, id: ConnectionId) {
        let Some(connection) = self.forget_connection(id) else {
            return;
        };
        if let ConnectionStage::Connecting(answer) = connection.stage {
            let (reply, identity) = *answer;
            self.refuse(now, &identity, &reply, &Refusal::ConnectionFailed);
        }
    }

    /// Takes a connection that a peer made to a relayed transport address
    /// (RFC 6062 section 5.3); `None` means: close it.
    pub fn handle_peer_connection(
        &mut self,
        now: Instant,
        relay: RelayId,
        peer: SocketAddr,
    ) -> Option<ConnectionId> {
        let RelayOwner::Allocation(key) = self.relays[relay.0 as usize].owner else {
            return None;
        };
        let allocation = &self.allocations[key];
        if !allocation.is_permitted(now, peer.ip())
            || allocation.connections.len() >= MAX_CONNECTIONS
        {
            return None;
        }
        let path = allocation.path;
        let id = self.insert_connection(now, key, peer, ConnectionStage::Waiting);
        let mut transaction = [0; 12];
        self.rng.fill_bytes(&mut transaction);
        let mut message = Vec::with_capacity(64);
        let mut builder = Builder::new(
            &mut message,
            Class::Indication,
            Method::CONNECTION_ATTEMPT,
            TransactionId::new(transaction),
        );
        builder.u32(AttributeType::CONNECTION_ID, id.0);
        builder.xor_address(AttributeType::XOR_PEER_ADDRESS, peer);
        self.outputs.push_back(Output::Send {
            client: path,
            message,
        });
        Some(id)
    }

    /// Reports that a peer connection, or the data connection joined to it, is closed.
    pub fn handle_connection_closed(&mut self, id: ConnectionId) {
        self.forget_connection(id);
    }

    /// Whether the bandwidth limits let bytes pass over a joined connection now;
    /// false means: read nothing, and ask again a moment later.
    #[must_use]
    pub fn may_copy(&self, now: Instant, id: ConnectionId) -> bool {
        let Some(connection) = self.connections.get(&id) else {
            return true;
        };
        let user = self.allocations[connection.allocation]
            .user_bandwidth
            .as_ref();
        let all = self.options.bandwidth.as_ref();
        user.into_iter()
            .chain(all)
            .all(|bucket| bucket.has_room(now))
    }

    /// Counts bytes that the driver copied over a joined connection.
    pub fn handle_connection_data(
        &mut self,
        now: Instant,
        id: ConnectionId,
        is_from_client: bool,
        bytes: usize,
    ) {
        let Some(connection) = self.connections.get(&id) else {
            return;
        };
        let allocation = &mut self.allocations[connection.allocation];
        let (of_allocation, of_all) = if is_from_client {
            (&mut allocation.from_client, &mut self.counters.from_clients)
        } else {
            (&mut allocation.to_client, &mut self.counters.to_clients)
        };
        of_allocation.add(bytes);
        of_all.add(bytes);
        let user = allocation.user_bandwidth.as_ref();
        for bucket in user.into_iter().chain(self.options.bandwidth.as_ref()) {
            bucket.spend(now, bytes);
        }
    }

    pub(super) fn insert_connection(
        &mut self,
        now: Instant,
        key: usize,
        peer: SocketAddr,
        stage: ConnectionStage,
    ) -> ConnectionId {
        let worker = u32::from(self.options.worker) << 24;
        // Random, so that a data connection cannot be had by counting.
        let id = loop {
            let id = ConnectionId(worker | self.rng.random_range(1..1 << 24));
            if !self.connections.contains_key(&id) {
                break id;
            }
        };
        let due = now + BIND_TIMEOUT;
        self.connections.insert(
            id,
            PeerConnection {
                allocation: key,
                peer,
                stage,
                due,
            },
        );
        self.deadlines.set(due, Timer::Connection(id));
        self.allocations[key].connections.push(id);
        id
    }

    pub(super) fn handle_connection_timeout(&mut self, now: Instant, id: ConnectionId) {
        self.outputs.push_back(Output::CloseConnection(id));
        self.handle_peer_failed(now, id);
    }

    /// Closes the connections of an allocation to those peers it may not or
    /// cannot have any more; a Connect that waits is answered 447.
    pub(super) fn end_connections_to(
        &mut self,
        now: Instant,
        key: usize,
        is_ended: impl Fn(IpAddr) -> bool,
    ) {
        let mut ended = self.allocations[key].connections.clone();
        ended.retain(|id| is_ended(self.connections[id].peer.ip()));
        for id in ended {
            self.outputs.push_back(Output::CloseConnection(id));
            self.handle_peer_failed(now, id);
        }
    }

    /// Closes what hangs on a dying allocation.
    pub(super) fn end_connections(&mut self, connections: &[ConnectionId]) {
        for id in connections {
            if let Some(connection) = self.connections.remove(id) {
                self.deadlines.clear(connection.due, Timer::Connection(*id));
                self.outputs.push_back(Output::CloseConnection(*id));
            }
        }
    }

    fn forget_connection(&mut self, id: ConnectionId) -> Option<PeerConnection> {
        let connection = self.connections.remove(&id)?;
        self.deadlines.clear(connection.due, Timer::Connection(id));
        self.allocations[connection.allocation]
            .connections
            .retain(|other| *other != id);
        Some(connection)
    }
}

/// RFC 6062 sections 5.2 and 5.4: 30 s each to connect and to bind.
pub(super) const BIND_TIMEOUT: Duration = Duration::from_secs(30);

/// Peer connections of one allocation at a time.
pub(super) const MAX_CONNECTIONS: usize = 64;
