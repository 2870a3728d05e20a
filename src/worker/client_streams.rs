//! TCP and TLS clients in the loop: taking them over, reading their frames,
//! writing what waits for them, closing those that came to nothing.

use std::io;
use std::time::{Duration, Instant};

use tracing::debug;

use crate::stun::framing;
use crate::turn::{ClientPath, Verdict};
use crate::unix_time::UnixTime;

use super::command::{Command, NewClient};
use super::event_loop::{READS_PER_TURN, Worker};
use super::peer_stream::PENDING_LIMIT;
use super::source::{Link, Source};
use super::stream::{Mode, Stream};

impl Worker {
    pub(super) fn add_client(&mut self, now: Instant, unix_now: UnixTime, client: NewClient) {
        let NewClient {
            socket,
            tls,
            early,
            unsent,
            five_tuple,
            permit,
        } = client;
        let socket = mio::net::TcpStream::from_std(socket);
        let due = now + FIRST_REQUEST_TIMEOUT;
        let limit = self.options.stream_queue;
        let mut stream = Stream::new(socket, tls, five_tuple, limit, due, permit);
        if !unsent.is_empty() {
            stream.outbox.push_bytes(&unsent);
        }
        match self.egress.put_stream(stream) {
            Ok(key) => {
                self.handle_stream_bytes(now, unix_now, key, early);
                // Bytes may wait in the TLS session already.
                self.enqueue(Source::Stream(key), false);
            }
            Err(error) => debug!(%error, "cannot take over a stream"),
        }
    }

    pub(super) fn read_stream(&mut self, now: Instant, unix_now: UnixTime, key: u32) -> bool {
        for _ in 0..READS_PER_TURN {
            let Some(stream) = self.egress.streams.get_mut(key as usize) else {
                return true;
            };
            if let Mode::Joined(peer) = stream.mode
                && !self.may_read_for_peer(now, key, peer)
            {
                // The event may have meant that the socket takes bytes again.
                self.egress.dirty.push(key);
                return true;
            }
            let Some(stream) = self.egress.streams.get_mut(key as usize) else {
                return true;
            };
            let len = match stream.read(&mut self.scratch) {
                Ok(0) => {
                    self.close_stream(now, key);
                    return true;
                }
                Ok(len) => len,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.egress.dirty.push(key);
                    return true;
                }
                Err(error) => {
                    debug!(%error, "stream broke");
                    self.close_stream(now, key);
                    return true;
                }
            };
            match stream.mode {
                Mode::Framed if stream.inbox.is_empty() => {
                    // The usual case: whole frames, handled where they were read.
                    let bytes = std::mem::take(&mut self.scratch);
                    self.handle_frames(now, unix_now, key, &bytes[..len]);
                    self.scratch = bytes;
                }
                Mode::Framed => {
                    let mut bytes = std::mem::take(&mut stream.inbox);
                    bytes.extend_from_slice(&self.scratch[..len]);
                    self.handle_frames(now, unix_now, key, &bytes);
                }
                Mode::Joined(peer) => {
                    let bytes = std::mem::take(&mut self.scratch);
                    self.forward_to_peer(now, peer, &bytes[..len]);
                    self.scratch = bytes;
                }
                Mode::Ended => {}
            }
        }
        self.egress.dirty.push(key);
        !self.egress.streams.contains(key as usize)
    }

    pub(super) fn handle_stream_bytes(
        &mut self,
        now: Instant,
        unix_now: UnixTime,
        key: u32,
        bytes: Vec<u8>,
    ) {
        if !bytes.is_empty() {
            self.handle_frames(now, unix_now, key, &bytes);
        }
    }

    /// Cuts `bytes` into frames and gives each to the core; keeps the rest for later.
    pub(super) fn handle_frames(
        &mut self,
        now: Instant,
        unix_now: UnixTime,
        key: u32,
        bytes: &[u8],
    ) {
        let Some(stream) = self.egress.streams.get(key as usize) else {
            return;
        };
        let path = ClientPath {
            five_tuple: stream.five_tuple,
            link: Link::Stream(key).id(),
        };
        let mut rest = bytes;
        loop {
            let Some(stream) = self.egress.streams.get_mut(key as usize) else {
                return;
            };
            if let Some((worker, mut early)) = stream.moving.take() {
                early.extend_from_slice(rest);
                return self.move_stream(key, worker, early);
            }
            match stream.mode {
                Mode::Framed => {}
                // Everything after ConnectionBind is the peer's (RFC 6062 section 5.4).
                Mode::Joined(peer) => return self.forward_to_peer(now, peer, rest),
                Mode::Ended => return,
            }
            match framing::frame_len(rest) {
                Ok(Some(len)) if len <= rest.len() => {
                    stream.is_heard = true;
                    let (frame, after) = rest.split_at(len);
                    rest = after;
                    let Self { server, egress, .. } = self;
                    let verdict = server.handle_client_datagram(now, unix_now, path, frame);
                    if matches!(verdict, Verdict::Consumed) {
                        egress.carry_out_outputs(now, server);
                    } else {
                        egress.carry_out(verdict);
                    }
                }
                Ok(_) => {
                    // Bounded: a frame is at most 64 KiB and its header.
                    stream.inbox = rest.to_vec();
                    return;
                }
                Err(_) => {
                    self.egress.counters.broken_streams += 1;
                    return self.close_stream(now, key);
                }
            }
        }
    }

    /// Gives a stream to the worker that holds what its client asks for.
    pub(super) fn move_stream(&mut self, key: u32, worker: u16, early: Vec<u8>) {
        let Some(stream) = self.egress.remove_stream(key) else {
            return;
        };
        let client = Box::new(stream.into_client(early));
        let sibling = self
            .egress
            .siblings
            .get(usize::from(worker))
            .and_then(Option::as_ref);
        // A full mailbox drops the client, as it does with new ones.
        let _ = sibling.map(|sibling| sibling.mailbox.try_send(Command::Client(client)));
    }

    pub(super) fn write_streams(&mut self, now: Instant) {
        let mut dirty = std::mem::take(&mut self.egress.dirty);
        dirty.sort_unstable();
        dirty.dedup();
        for key in dirty.drain(..) {
            let Some(stream) = self.egress.streams.get_mut(key as usize) else {
                continue;
            };
            let is_broken = stream.write().is_err();
            let has_room = stream.outbox.len() < PENDING_LIMIT;
            if is_broken || (stream.is_closing && stream.is_flushed()) {
                self.close_stream(now, key);
            } else if let Mode::Joined(peer) = stream.mode
                && has_room
                && self
                    .egress
                    .peers
                    .get(peer as usize)
                    .is_some_and(|peer| !peer.is_queued)
            {
                self.egress.woken.push(Source::Peer(peer));
            }
        }
        // Keeps its capacity; nothing was added meanwhile.
        self.egress.dirty = dirty;
    }

    /// Closes streams that came to nothing, and sets the next look at the others.
    pub(super) fn look_after_streams(&mut self, now: Instant) {
        while let Some(&(due, source)) = self.egress.deadlines.first() {
            if due > now {
                return;
            }
            self.egress.deadlines.pop_first();
            let key = match source {
                Source::Stream(key) => key,
                Source::Peer(key) => {
                    self.close_peer(now, key);
                    continue;
                }
                Source::Mailbox | Source::Front(_) | Source::Relay(_) => continue,
            };
            let Some(stream) = self.egress.streams.get_mut(key as usize) else {
                continue;
            };
            let is_used = std::mem::take(&mut stream.is_heard)
                || stream.mode != Mode::Framed
                || self.server.has_allocation(&stream.five_tuple);
            stream.due = now + IDLE_TIMEOUT;
            self.egress.deadlines.insert((stream.due, source));
            if stream.is_closing {
                self.close_stream(now, key);
            } else if !is_used {
                self.egress.counters.idle_streams += 1;
                self.close_stream(now, key);
            }
        }
    }

    pub(super) fn close_stream(&mut self, now: Instant, key: u32) {
        let Some(mut stream) = self.egress.remove_stream(key) else {
            return;
        };
        // A client that has ended its side may still want its answers.
        let _ = stream.write();
        stream.close();
        match stream.mode {
            Mode::Framed => self.server.handle_client_closed(now, stream.five_tuple),
            Mode::Joined(peer) => self.egress.end_peer(now, peer),
            Mode::Ended => {}
        }
        self.egress.carry_out_outputs(now, &mut self.server);
    }
}

/// RFC 8489 has no number; a client speaks first and at once.
pub(super) const FIRST_REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// How often a stream must be heard when it has no allocation.
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::{Ipv4Addr, TcpListener, TcpStream};

    use crate::auth::{self, Directory};
    use crate::turn::{
        self, BudgetOptions, ConnectionId, NonceKey, PeerPolicy, QuotaLimits, RelayPorts, Shared,
    };
    use crate::worker::SharedLedger;

    use mio::Events;
    use std::sync::Arc;

    use crate::clock;
    use crate::turn::{FiveTuple, Server, Transport};
    use crate::worker::event_loop::{Options, Prepared};
    use crate::worker::peer_stream::Stage;

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
            sessions: None,
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
