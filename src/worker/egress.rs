//! The way out of a worker: verdicts and outputs become packets, frames and sockets.
//!
//! Decides nothing: it carries out what the core says, through the sockets it owns.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::time::{Duration, Instant};

use mio::{Interest, Registry};
use slab::Slab;
use tracing::warn;

use crate::net::bind;
use crate::net::udp::{SendBatch, UdpEndpoint};
use crate::turn::{ClientPath, ConnectionId, Output, RelayId, RelayKind, Server, Verdict};

use super::command::DriverCounters;
use super::peer_stream::{PeerStream, Stage};
use super::relay_socket::{RelaySocket, Socket};
use super::sibling::Outgoing;
use super::source::{Link, Source};
use super::stream::{Mode, Stream};

/// A front UDP socket.
pub(super) struct Front {
    pub(super) endpoint: UdpEndpoint,
    pub(super) is_queued: bool,
}

/// Everything a worker sends through.
pub(super) struct Egress {
    pub(super) registry: Registry,
    pub(super) fronts: Vec<Front>,
    /// Indexed by `RelayId`, which the core hands out densely.
    pub(super) relays: Vec<Option<RelaySocket>>,
    pub(super) streams: Slab<Stream>,
    /// When the loop looks after a stream, or closes a peer connection.
    pub(super) deadlines: BTreeSet<(Instant, Source)>,
    /// Sources that are not drained and left alone until `resume_at`.
    pub(super) paused: BTreeSet<Source>,
    pub(super) resume_at: Option<Instant>,
    pub(super) peers: Slab<PeerStream>,
    pub(super) by_connection: BTreeMap<ConnectionId, u32>,
    pub(super) siblings: Vec<Option<Outgoing>>,
    pub(super) batch: SendBatch,
    /// Streams with something to write.
    pub(super) dirty: Vec<u32>,
    /// Sources that the loop should look at though no event came for them.
    pub(super) woken: Vec<Source>,
    pub(super) counters: DriverCounters,
    pub(super) bind_warned_at: Option<Instant>,
}

impl Egress {
    /// Sends what a verdict says.
    pub(super) fn carry_out(&mut self, verdict: Verdict<'_>) {
        match verdict {
            Verdict::ToPeer {
                relay,
                peer,
                dont_fragment,
                payload,
            } => {
                let Some(Some(socket)) = self.relays.get(relay.0 as usize) else {
                    return;
                };
                let Socket::Udp(endpoint) = &socket.kind else {
                    return;
                };
                if dont_fragment {
                    self.batch.send_whole(endpoint, peer, None, payload);
                } else {
                    self.batch.push(endpoint, peer, None, &[], payload, 0);
                }
            }
            Verdict::ToClient {
                client,
                header,
                payload,
            } => match Link::from_id(client.link) {
                Link::Front(index) => {
                    let front = &self.fronts[index as usize];
                    let source = Some(client.five_tuple.server.ip());
                    let (to, pad) = (client.five_tuple.client, header.padding());
                    self.batch
                        .push(&front.endpoint, to, source, header.as_bytes(), payload, pad);
                }
                Link::Stream(key) => {
                    let Some(stream) = self.stream_of(client, key) else {
                        return;
                    };
                    let (header, pad) = (&header, header.padding());
                    let dropped = stream.outbox.push_data(header.as_bytes(), payload, pad);
                    self.counters.slow_reader_drops += dropped;
                    self.dirty.push(key);
                }
            },
            Verdict::ToSibling {
                worker,
                to,
                from,
                payload,
            } => {
                let sibling = self
                    .siblings
                    .get_mut(usize::from(worker))
                    .and_then(Option::as_mut);
                if !sibling.is_some_and(|sibling| sibling.push(to, from, payload)) {
                    self.counters.sibling_drops += 1;
                }
            }
            Verdict::Consumed | Verdict::Dropped(_) => {}
        }
    }

    /// Carries out every output that the core has queued, and what follows from it.
    pub(super) fn carry_out_outputs(&mut self, now: Instant, server: &mut Server) {
        while let Some(output) = server.poll_output() {
            match output {
                Output::Send { client, message } => self.send_message(now, client, &message),
                Output::BindRelay {
                    relay,
                    address,
                    kind,
                } => match RelaySocket::open(&self.registry, relay, address, kind) {
                    Ok(socket) => {
                        self.put_relay(relay, socket);
                        server.handle_relay_bound(now, relay);
                    }
                    Err(error) => {
                        self.warn_bind(now, &error, kind, address);
                        server.handle_relay_failed(now, relay);
                    }
                },
                // What was relayed before the close still leaves.
                Output::CloseRelay(relay) => {
                    self.batch.flush();
                    if let Some(slot) = self.relays.get_mut(relay.0 as usize) {
                        *slot = None;
                    }
                }
                Output::ConnectPeer {
                    connection,
                    local,
                    peer,
                } => {
                    let connected = bind::tcp_connect_from(local, peer)
                        .and_then(|socket| self.put_peer(socket, connection, Stage::Connecting));
                    if connected.is_err() {
                        server.handle_peer_failed(now, connection);
                    }
                }
                Output::JoinConnection { connection, client } => self.join(connection, client),
                Output::MoveClient {
                    client,
                    worker,
                    message,
                } => {
                    if let Link::Stream(key) = Link::from_id(client.link)
                        && let Some(stream) = self.stream_of(client, key)
                    {
                        stream.moving = Some((worker, message));
                    }
                }
                Output::CloseConnection(connection) => self.close_connection(now, connection),
            }
        }
    }

    /// Ends a turn of the loop: everything that waits for more leaves now.
    pub(super) fn flush(&mut self) {
        self.batch.flush();
        for sibling in self.siblings.iter_mut().flatten() {
            sibling.wake();
        }
    }

    /// Takes over a peer connection; returns its key.
    pub(super) fn put_peer(
        &mut self,
        mut socket: mio::net::TcpStream,
        connection: ConnectionId,
        stage: Stage,
    ) -> io::Result<()> {
        let entry = self.peers.vacant_entry();
        let key = key_of(entry.key());
        let interest = Interest::READABLE | Interest::WRITABLE;
        self.registry
            .register(&mut socket, Source::Peer(key).token(), interest)?;
        entry.insert(PeerStream::new(socket, connection, stage));
        self.by_connection.insert(connection, key);
        Ok(())
    }

    /// Takes over a client's stream; returns its key.
    pub(super) fn put_stream(&mut self, mut stream: Stream) -> io::Result<u32> {
        let entry = self.streams.vacant_entry();
        let key = key_of(entry.key());
        let interest = Interest::READABLE | Interest::WRITABLE;
        self.registry
            .register(stream.socket_mut(), Source::Stream(key).token(), interest)?;
        self.deadlines.insert((stream.due, Source::Stream(key)));
        entry.insert(stream);
        Ok(key)
    }

    /// Removes a stream from what the worker waits for; the caller tells the core.
    pub(super) fn remove_stream(&mut self, key: u32) -> Option<Stream> {
        let mut stream = self.streams.try_remove(key as usize)?;
        self.deadlines.remove(&(stream.due, Source::Stream(key)));
        // The epoll entry goes with the socket.
        let _ = self.registry.deregister(stream.socket_mut());
        Some(stream)
    }

    /// Closes a stream as soon as it has written what waits, or after a while.
    pub(super) fn end_stream(&mut self, now: Instant, key: u32) {
        let Some(stream) = self.streams.get_mut(key as usize) else {
            return;
        };
        if stream.is_closing {
            return;
        }
        stream.is_closing = true;
        let source = Source::Stream(key);
        self.deadlines.remove(&(stream.due, source));
        stream.due = now + CLOSING_TIME;
        self.deadlines.insert((stream.due, source));
        self.woken.push(source);
    }

    /// The same for a peer connection, when its stream is gone.
    pub(super) fn end_peer(&mut self, now: Instant, key: u32) {
        let Some(peer) = self.peers.get_mut(key as usize) else {
            return;
        };
        let (source, due) = (Source::Peer(key), now + CLOSING_TIME);
        peer.stage = Stage::Draining;
        peer.due = Some(due);
        self.deadlines.insert((due, source));
        self.woken.push(source);
    }

    /// Removes a peer connection, and closes the stream joined to it once its
    /// bytes are written.
    pub(super) fn remove_peer(&mut self, now: Instant, key: u32) -> Option<PeerStream> {
        let mut peer = self.peers.try_remove(key as usize)?;
        self.by_connection.remove(&peer.connection);
        if let Some(due) = peer.due {
            self.deadlines.remove(&(due, Source::Peer(key)));
        }
        // The epoll entry goes with the socket.
        let _ = self.registry.deregister(peer.socket_mut());
        if let Stage::Joined(stream) = peer.stage
            && let Some(joined) = self.streams.get_mut(stream as usize)
        {
            // The key of the peer connection may soon be another one's.
            joined.mode = Mode::Ended;
            self.end_stream(now, stream);
        }
        Some(peer)
    }

    fn send_message(&mut self, now: Instant, client: ClientPath, message: &[u8]) {
        match Link::from_id(client.link) {
            Link::Front(index) => {
                let front = &self.fronts[index as usize];
                let source = Some(client.five_tuple.server.ip());
                let to = client.five_tuple.client;
                self.batch
                    .push(&front.endpoint, to, source, &[], message, 0);
            }
            Link::Stream(key) => {
                let Some(stream) = self.stream_of(client, key) else {
                    return;
                };
                if stream.outbox.push_message(message) {
                    self.dirty.push(key);
                } else {
                    self.end_stream(now, key);
                }
            }
        }
    }

    /// Finds the stream, unless it has closed and another client has its key.
    fn stream_of(&mut self, client: ClientPath, key: u32) -> Option<&mut Stream> {
        let stream = self.streams.get_mut(key as usize)?;
        (stream.five_tuple == client.five_tuple).then_some(stream)
    }

    fn put_relay(&mut self, relay: RelayId, socket: RelaySocket) {
        let index = relay.0 as usize;
        if index >= self.relays.len() {
            self.relays.resize_with(index + 1, || None);
        }
        self.relays[index] = Some(socket);
    }

    fn join(&mut self, connection: ConnectionId, client: ClientPath) {
        let Link::Stream(stream_key) = Link::from_id(client.link) else {
            return;
        };
        let Some(&peer_key) = self.by_connection.get(&connection) else {
            return;
        };
        let Some(stream) = self.stream_of(client, stream_key) else {
            return;
        };
        stream.mode = Mode::Joined(peer_key);
        self.peers[peer_key as usize].stage = Stage::Joined(stream_key);
        self.woken.push(Source::Peer(peer_key));
    }

    fn close_connection(&mut self, now: Instant, connection: ConnectionId) {
        if let Some(&key) = self.by_connection.get(&connection) {
            self.remove_peer(now, key);
        }
    }

    fn warn_bind(
        &mut self,
        now: Instant,
        error: &io::Error,
        kind: RelayKind,
        address: std::net::SocketAddr,
    ) {
        self.counters.bind_failures += 1;
        // A port in use by another program is expected now and then.
        if error.kind() == io::ErrorKind::AddrInUse {
            return;
        }
        let is_due = self
            .bind_warned_at
            .is_none_or(|at| now.duration_since(at) >= WARN_INTERVAL);
        if is_due {
            self.bind_warned_at = Some(now);
            warn!(%error, ?kind, %address, "cannot open a relay socket");
        }
    }
}

fn key_of(index: usize) -> u32 {
    u32::try_from(index).expect("fewer streams than file descriptors")
}

/// How long a connection may take to write its last bytes: its reader is slow,
/// and may have stopped for good.
const CLOSING_TIME: Duration = Duration::from_secs(30);

const WARN_INTERVAL: Duration = Duration::from_secs(60);
