//! Peer connections of TCP allocations in the loop (RFC 6062): accepting and
//! connecting them, and copying bytes between them and the streams joined to them.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::turn::RelayId;

use super::egress::Egress;
use super::event_loop::{READS_PER_TURN, Worker};
use super::peer_stream::{PENDING_LIMIT, Stage};
use super::relay_socket::Socket;
use super::source::Source;

impl Worker {
    /// Whether the bytes of a stream may be read for its peer connection; if not,
    /// something wakes the stream when they may.
    pub(super) fn may_read_for_peer(&mut self, now: Instant, key: u32, peer_key: u32) -> bool {
        let Some(peer) = self.egress.peers.get(peer_key as usize) else {
            return true;
        };
        if !self.server.may_copy(now, peer.connection) {
            self.pause(now, Source::Stream(key));
            return false;
        }
        // The peer wakes the stream when it has written.
        peer.has_room()
    }

    /// Looks at a source again a moment later, though no event may come for it.
    fn pause(&mut self, now: Instant, source: Source) {
        self.egress.paused.insert(source);
        self.egress.resume_at.get_or_insert(now + PAUSE);
    }

    /// Looks again at the sources whose pause is over.
    pub(super) fn resume_paused(&mut self, now: Instant) {
        if self.egress.resume_at.take_if(|at| *at <= now).is_some() {
            for source in std::mem::take(&mut self.egress.paused) {
                self.enqueue(source, false);
            }
        }
    }

    pub(super) fn forward_to_peer(&mut self, now: Instant, key: u32, bytes: &[u8]) {
        let Some(peer) = self.egress.peers.get_mut(key as usize) else {
            return;
        };
        self.server
            .handle_connection_data(now, peer.connection, true, bytes.len());
        peer.push(bytes);
        if peer.write().is_err() {
            self.close_peer(now, key);
        }
    }

    pub(super) fn accept_peer(&mut self, now: Instant, relay: RelayId) -> bool {
        for _ in 0..ACCEPTS_PER_TURN {
            let Some(Some(socket)) = self.egress.relays.get(relay.0 as usize) else {
                return true;
            };
            let Socket::Tcp(listener) = &socket.kind else {
                return true;
            };
            let (socket, peer) = match listener.accept() {
                Ok(accepted) => accepted,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return true,
                // The peer gave up while it waited.
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => continue,
                Err(_) => {
                    // No descriptors: no event comes for the peers that wait already.
                    self.pause(now, Source::Relay(relay));
                    return true;
                }
            };
            let peer = SocketAddr::new(peer.ip().to_canonical(), peer.port());
            let Some(id) = self.server.handle_peer_connection(now, relay, peer) else {
                continue;
            };
            if self.egress.put_peer(socket, id, Stage::Waiting).is_err() {
                self.server.handle_connection_closed(id);
            }
            self.egress.carry_out_outputs(now, &mut self.server);
        }
        false
    }

    pub(super) fn read_peer(&mut self, now: Instant, key: u32) -> bool {
        let Some(peer) = self.egress.peers.get_mut(key as usize) else {
            return true;
        };
        match peer.stage {
            Stage::Connecting => {
                match peer.connect_result() {
                    None => return true,
                    Some(Ok(())) => {
                        peer.stage = Stage::Waiting;
                        self.server.handle_peer_connected(now, peer.connection);
                    }
                    Some(Err(_)) => {
                        let connection = peer.connection;
                        self.egress.remove_peer(now, key);
                        self.server.handle_peer_failed(now, connection);
                    }
                }
                self.egress.carry_out_outputs(now, &mut self.server);
                true
            }
            Stage::Waiting => true,
            Stage::Joined(stream) => self.copy_from_peer(now, key, stream),
            Stage::Draining => self.drain_peer(now, key),
        }
    }

    pub(super) fn copy_from_peer(&mut self, now: Instant, key: u32, stream_key: u32) -> bool {
        for _ in 0..READS_PER_TURN {
            let Egress {
                peers,
                streams,
                woken,
                dirty,
                ..
            } = &mut self.egress;
            let (Some(peer), Some(stream)) = (
                peers.get_mut(key as usize),
                streams.get_mut(stream_key as usize),
            ) else {
                return true;
            };
            let had_room = peer.has_room();
            if peer.write().is_err() {
                self.close_peer(now, key);
                return true;
            }
            if !had_room && peer.has_room() {
                woken.push(Source::Stream(stream_key));
            }
            if stream.outbox.len() >= PENDING_LIMIT {
                // The stream wakes this peer when it has written.
                return true;
            }
            if !self.server.may_copy(now, peer.connection) {
                self.pause(now, Source::Peer(key));
                return true;
            }
            match peer.read(&mut self.scratch) {
                Ok(0) => {
                    self.close_peer(now, key);
                    return true;
                }
                Ok(len) => {
                    self.server
                        .handle_connection_data(now, peer.connection, false, len);
                    stream.outbox.push_bytes(&self.scratch[..len]);
                    dirty.push(stream_key);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return true,
                Err(_) => {
                    self.close_peer(now, key);
                    return true;
                }
            }
        }
        false
    }

    /// Writes what is left for a peer whose client has gone, and closes then.
    fn drain_peer(&mut self, now: Instant, key: u32) -> bool {
        let Some(peer) = self.egress.peers.get_mut(key as usize) else {
            return true;
        };
        // What the peer says goes nowhere, but left unread it would make the
        // close a reset, which takes our last bytes with it.
        let mut is_drained = false;
        for _ in 0..READS_PER_TURN {
            if !matches!(peer.read(&mut self.scratch), Ok(1..)) {
                is_drained = true;
                break;
            }
        }
        if peer.write().is_err() || peer.is_flushed() {
            self.close_peer(now, key);
        }
        is_drained
    }

    pub(super) fn close_peer(&mut self, now: Instant, key: u32) {
        if let Some(peer) = self.egress.remove_peer(now, key) {
            self.server.handle_connection_closed(peer.connection);
        }
    }
}

/// How long a joined connection over its bandwidth limit, or a listener that the
/// kernel gives no descriptor for, is left alone.
const PAUSE: Duration = Duration::from_millis(10);

/// Limit on the work per turn and listener.
const ACCEPTS_PER_TURN: usize = 16;

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::{Ipv4Addr, TcpListener, TcpStream};
    use std::sync::Arc;

    use mio::Events;

    use crate::auth::{self, Directory};
    use crate::clock;
    use crate::turn::{
        self, BudgetOptions, ConnectionId, FiveTuple, NonceKey, PeerPolicy, QuotaLimits,
        RelayPorts, Server, Shared, Transport,
    };
    use crate::worker::client_streams::FIRST_REQUEST_TIMEOUT;
    use crate::worker::stream::{Mode, Stream};
    use crate::worker::{Options, Prepared, SharedLedger};

    use super::*;

    #[test]
    fn a_stream_whose_peer_has_gone_does_not_write_to_the_next_one() {
        let (mut worker, now) = worker();
        let (key, mut client) = stream(&mut worker, now);
        let (peer_key, _peer) = peer(&mut worker, ConnectionId(1));
        join(&mut worker, key, peer_key);
        let waiting = &mut worker.egress.streams[key as usize];
        waiting.outbox.push_bytes(b"last words");
        worker.close_peer(now, peer_key);
        let (next_key, mut next) = peer(&mut worker, ConnectionId(2));
        assert_eq!(next_key, peer_key, "the key is used again");

        client.write_all(b"for the first peer").unwrap();
        wait_for(&mut worker, Source::Stream(key));
        worker.read_stream(now, clock::unix_now(), key);
        worker.close_peer(now, next_key);
        assert_eq!(read_all(&mut next), b"");
        worker.write_streams(now);
        assert_eq!(read_all(&mut client), b"last words");
    }

    #[test]
    fn a_peer_whose_stream_has_gone_does_not_write_to_the_next_one() {
        let (mut worker, now) = worker();
        let (key, _client) = stream(&mut worker, now);
        let (peer_key, mut peer) = peer(&mut worker, ConnectionId(1));
        join(&mut worker, key, peer_key);
        worker.egress.peers[peer_key as usize].push(b"last words");
        worker.close_stream(now, key);
        let (next_key, _next) = stream(&mut worker, now);
        assert_eq!(next_key, key, "the key is used again");

        peer.write_all(b"for the first client").unwrap();
        wait_for(&mut worker, Source::Peer(peer_key));
        worker.read_peer(now, peer_key);
        let next = &worker.egress.streams[next_key as usize];
        assert!(next.outbox.is_empty() && !next.is_closing);
        assert_eq!(read_all(&mut peer), b"last words");
    }

    #[test]
    fn a_reader_that_has_stopped_cannot_keep_a_closing_connection() {
        let (mut worker, now) = worker();
        let (key, _client) = stream(&mut worker, now);
        let (peer_key, _peer) = peer(&mut worker, ConnectionId(1));
        worker.egress.end_stream(now, key);
        worker.egress.end_peer(now, peer_key);
        worker.look_after_streams(now + Duration::from_secs(29));
        assert_eq!(
            (worker.egress.streams.len(), worker.egress.peers.len()),
            (1, 1)
        );

        worker.look_after_streams(now + Duration::from_secs(30));
        assert!(worker.egress.streams.is_empty() && worker.egress.peers.is_empty());
        assert!(worker.egress.deadlines.is_empty());
    }

    #[test]
    fn a_client_that_ends_its_side_still_gets_its_answers() {
        let (mut worker, now) = worker();
        let (key, mut client) = stream(&mut worker, now);
        let mut request = vec![0, 1, 0, 0, 0x21, 0x12, 0xA4, 0x42];
        request.extend([7; 12]);
        client.write_all(&request).unwrap();
        client.shutdown(std::net::Shutdown::Write).unwrap();
        wait_for(&mut worker, Source::Stream(key));
        worker.read_stream(now, clock::unix_now(), key);

        assert_eq!(read_all(&mut client).len(), 32);
        assert!(worker.egress.streams.is_empty());
    }

    fn worker() -> (Worker, Instant) {
        let now = clock::now();
        let options = turn::Options {
            relay_addresses: Vec::new(),
            relay_ports: 50_000..=50_001,
            worker: 0,
            workers: 1,
            default_lifetime: Duration::from_secs(600),
            max_lifetime: Duration::from_secs(600),
            tcp_relay: true,
            peer_policy: PeerPolicy::default(),
            permissions_per_allocation: 1,
            channels_per_allocation: 1,
            budget: BudgetOptions {
                per_prefix: 0,
                total: 0,
            },
            bandwidth: None,
        };
        let directory = Directory::new(auth::Options {
            realm: "example.org".to_owned(),
            users: Vec::new(),
            rest_secrets: Vec::new(),
        });
        let shared = Shared {
            directory: Arc::new(directory),
            nonce: NonceKey::new(now, &[1; 32]),
            ledger: Arc::new(SharedLedger::new(QuotaLimits::default())),
            relay_ports: Arc::new(RelayPorts::new(Vec::new(), 50_000..=50_001, 1)),
        };
        let server = Server::new(now, options, shared, [7; 32]);
        let prepared = Prepared::all(1).unwrap().remove(0);
        let options = Options { stream_queue: 1024 };
        (
            Worker::new(prepared, server, Vec::new(), options).unwrap(),
            now,
        )
    }

    fn stream(worker: &mut Worker, now: Instant) -> (u32, TcpStream) {
        let (ours, client) = connection();
        let five_tuple = FiveTuple {
            client: client.local_addr().unwrap(),
            server: client.peer_addr().unwrap(),
            transport: Transport::Tcp,
        };
        let due = now + FIRST_REQUEST_TIMEOUT;
        let stream = Stream::new(ours, None, five_tuple, 1024, due, Box::new(()));
        (worker.egress.put_stream(stream).unwrap(), client)
    }

    fn peer(worker: &mut Worker, id: ConnectionId) -> (u32, TcpStream) {
        let (ours, peer) = connection();
        worker.egress.put_peer(ours, id, Stage::Waiting).unwrap();
        (worker.egress.by_connection[&id], peer)
    }

    fn join(worker: &mut Worker, key: u32, peer_key: u32) {
        worker.egress.streams[key as usize].mode = Mode::Joined(peer_key);
        worker.egress.peers[peer_key as usize].stage = Stage::Joined(key);
    }

    /// A nonblocking end for the worker, and the other one.
    fn connection() -> (mio::net::TcpStream, TcpStream) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let theirs = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        theirs
            .set_read_timeout(Some(Duration::from_secs(10)))
            .unwrap();
        let ours = listener.accept().unwrap().0;
        ours.set_nonblocking(true).unwrap();
        (mio::net::TcpStream::from_std(ours), theirs)
    }

    fn wait_for(worker: &mut Worker, source: Source) {
        let mut events = Events::with_capacity(16);
        let is_it = |event: &mio::event::Event| {
            event.is_readable() && Source::from_token(event.token()) == source
        };
        while !events.iter().any(is_it) {
            worker
                .poll
                .poll(&mut events, Some(Duration::from_secs(10)))
                .unwrap();
            assert!(!events.is_empty(), "nothing came");
        }
    }

    fn read_all(socket: &mut TcpStream) -> Vec<u8> {
        let mut bytes = Vec::new();
        socket.read_to_end(&mut bytes).unwrap();
        bytes
    }
}
