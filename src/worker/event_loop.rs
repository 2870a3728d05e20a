//! The loop of a worker: wait, read what is ready, let the core decide, send.
//!
//! One turn reads each ready source once, within a limit, so that no socket
//! starves the others; what is not drained stays in the queue for the next turn.
//! Readiness is edge-triggered: a source leaves the queue only when it is drained.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::thread;
use std::time::{Duration, Instant};

use mio::{Events, Interest, Poll, Waker};
use rtrb::Consumer;
use slab::Slab;
use tracing::{debug, error};

use crate::clock;
use crate::net::udp::{RecvBatch, SendBatch, UdpEndpoint};
use crate::stun::framing;
use crate::turn::{ClientPath, FiveTuple, RelayId, Server, Transport, Verdict};
use crate::unix_time::UnixTime;

use super::command::{Command, DriverCounters, Mailbox, NewClient, Report, WorkerHandle};
use super::egress::{Egress, Front};
use super::peer_stream::{PENDING_LIMIT, Stage};
use super::relay_socket::{Socket, icmp_error};
use super::sibling::{self, SiblingLinks};
use super::source::{Link, Source};
use super::stream::{Mode, Stream};

/// Settings of the driver.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Most bytes that wait for a slow TCP or TLS reader, per stream.
    pub stream_queue: usize,
}

/// One worker before its thread runs.
pub struct Worker {
    poll: Poll,
    server: Server,
    egress: Egress,
    incoming: Vec<Option<Consumer<u8>>>,
    recv: RecvBatch,
    /// For stream reads and datagrams of siblings.
    scratch: Box<[u8]>,
    ready: VecDeque<Source>,
    options: Options,
    mailbox: Mailbox,
    receiver: Receiver<Command>,
    is_stopping: bool,
}

/// What a worker needs before it is made, because its siblings know it.
pub struct Prepared {
    poll: Poll,
    mailbox: Mailbox,
    receiver: Receiver<Command>,
    links: SiblingLinks,
}

impl Prepared {
    /// Prepares `count` workers that know each other.
    ///
    /// # Errors
    /// When the kernel has no more descriptors.
    pub fn all(count: usize) -> io::Result<Vec<Self>> {
        let mut polls = Vec::new();
        for _ in 0..count {
            let poll = Poll::new()?;
            let waker = Waker::new(poll.registry(), Source::Mailbox.token())?;
            polls.push((poll, Mailbox::new(Arc::new(waker))));
        }
        let mailboxes: Vec<Mailbox> = polls
            .iter()
            .map(|(_, (mailbox, _))| mailbox.clone())
            .collect();
        let links = sibling::link(&mailboxes);
        let prepared = polls
            .into_iter()
            .zip(links)
            .map(|((poll, (mailbox, receiver)), links)| Self {
                poll,
                mailbox,
                receiver,
                links,
            });
        Ok(prepared.collect())
    }
}

impl Worker {
    /// Makes a worker around its core and its front sockets.
    ///
    /// # Errors
    /// When the kernel refuses to register a socket.
    pub fn new(
        prepared: Prepared,
        server: Server,
        fronts: Vec<UdpSocket>,
        options: Options,
    ) -> io::Result<Self> {
        let Prepared {
            poll,
            mailbox,
            receiver,
            links,
        } = prepared;
        let mut open = Vec::new();
        for (index, socket) in (0..).zip(fronts) {
            let mut endpoint = UdpEndpoint::front(socket)?;
            let token = Source::Front(index).token();
            poll.registry()
                .register(&mut endpoint, token, Interest::READABLE)?;
            open.push(Front {
                endpoint,
                is_queued: false,
            });
        }
        let egress = Egress {
            registry: poll.registry().try_clone()?,
            fronts: open,
            relays: Vec::new(),
            streams: Slab::new(),
            deadlines: BTreeSet::new(),
            peers: Slab::new(),
            by_connection: BTreeMap::new(),
            siblings: links.outgoing,
            batch: SendBatch::new(),
            dirty: Vec::new(),
            woken: Vec::new(),
            counters: DriverCounters::default(),
            bind_warned_at: None,
        };
        Ok(Self {
            poll,
            server,
            egress,
            incoming: links.incoming,
            recv: RecvBatch::new(),
            scratch: vec![0; SCRATCH_LEN].into_boxed_slice(),
            ready: VecDeque::new(),
            options,
            mailbox,
            receiver,
            is_stopping: false,
        })
    }

    /// Starts the thread.
    ///
    /// # Errors
    /// When no thread can be had.
    pub fn spawn(self, index: usize) -> io::Result<WorkerHandle> {
        let mailbox = self.mailbox.clone();
        let name = format!("worker-{index}");
        let thread = thread::Builder::new()
            .name(name)
            .spawn(move || self.run())?;
        Ok(WorkerHandle {
            mailbox,
            thread: Some(thread),
        })
    }

    fn run(mut self) {
        let mut events = Events::with_capacity(EVENTS);
        while !self.is_stopping {
            let timeout = self.timeout(clock::now());
            match self.poll.poll(&mut events, timeout) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => {
                    error!(%error, "cannot wait for events, worker stops");
                    return;
                }
            }
            for event in &events {
                self.enqueue(Source::from_token(event.token()), event.is_error());
            }
            self.turn();
        }
        self.egress.flush();
    }

    /// How long the loop may sleep.
    fn timeout(&self, now: Instant) -> Option<Duration> {
        if !self.ready.is_empty() {
            return Some(Duration::ZERO);
        }
        let streams = self.egress.deadlines.first().map(|(at, _)| *at);
        let next = self
            .server
            .poll_timeout()
            .into_iter()
            .chain(streams)
            .min()?;
        Some(next.saturating_duration_since(now))
    }

    fn turn(&mut self) {
        let (now, unix_now) = (clock::now(), clock::unix_now());
        self.server.handle_timeout(now);
        self.egress.carry_out_outputs(now, &mut self.server);
        self.look_after_streams(now);
        for _ in 0..self.ready.len() {
            let Some(source) = self.ready.pop_front() else {
                break;
            };
            self.set_queued(source, false);
            let is_drained = match source {
                Source::Mailbox => {
                    self.read_mailbox(now, unix_now);
                    self.read_siblings(now)
                }
                Source::Front(index) => {
                    (0..FRONT_READS_PER_TURN).any(|_| self.read_front(now, unix_now, index))
                }
                Source::Relay(relay) => self.read_relay(now, relay),
                Source::Stream(key) => self.read_stream(now, unix_now, key),
                Source::Peer(key) => self.read_peer(now, key),
            };
            if !is_drained {
                self.enqueue(source, false);
            }
        }
        self.write_streams(now);
        self.egress.flush();
        while let Some(source) = self.egress.woken.pop() {
            self.enqueue(source, false);
        }
    }

    fn read_front(&mut self, now: Instant, unix_now: UnixTime, index: u32) -> bool {
        let Self {
            server,
            egress,
            recv,
            ..
        } = self;
        let endpoint = egress.fronts[index as usize].endpoint.clone();
        if endpoint.recv(recv).is_err() {
            return true;
        }
        let local = endpoint.local_address();
        for datagram in recv.datagrams() {
            let ip = datagram.local_ip.unwrap_or_else(|| local.ip());
            let path = ClientPath {
                five_tuple: FiveTuple {
                    client: datagram.source,
                    server: SocketAddr::new(ip, local.port()),
                    transport: Transport::Udp,
                },
                link: Link::Front(index).id(),
            };
            let verdict = server.handle_client_datagram(now, unix_now, path, datagram.bytes);
            if matches!(verdict, Verdict::Consumed) {
                egress.carry_out_outputs(now, server);
            } else {
                egress.carry_out(verdict);
            }
        }
        recv.is_drained()
    }

    fn read_relay(&mut self, now: Instant, relay: RelayId) -> bool {
        let Self {
            server,
            egress,
            recv,
            ..
        } = self;
        let Some(Some(socket)) = egress.relays.get_mut(relay.0 as usize) else {
            return true;
        };
        let has_errors = std::mem::take(&mut socket.has_errors);
        let endpoint = match &socket.kind {
            Socket::Udp(endpoint) => endpoint.clone(),
            Socket::Tcp(_) => return self.accept_peer(now, relay),
        };
        if has_errors {
            for _ in 0..ERRORS_PER_TURN {
                let Some(error) = endpoint.read_error() else {
                    break;
                };
                server.handle_icmp_error(now, relay, icmp_error(error));
            }
            egress.carry_out_outputs(now, server);
        }
        if endpoint.recv(recv).is_err() {
            return true;
        }
        for datagram in recv.datagrams() {
            let verdict = server.handle_peer_datagram(now, relay, datagram.source, datagram.bytes);
            egress.carry_out(verdict);
        }
        recv.is_drained()
    }

    fn read_siblings(&mut self, now: Instant) -> bool {
        let Self {
            server,
            egress,
            incoming,
            scratch,
            ..
        } = self;
        let mut is_drained = true;
        for ring in incoming.iter_mut().flatten() {
            let mut left = DATAGRAMS_PER_TURN;
            while left > 0 {
                let Some((to, from, len)) = sibling::pop(ring, scratch) else {
                    break;
                };
                let verdict = server.handle_sibling_datagram(now, to, from, &scratch[..len]);
                egress.carry_out(verdict);
                left -= 1;
            }
            is_drained &= left > 0;
        }
        is_drained
    }

    fn read_mailbox(&mut self, now: Instant, unix_now: UnixTime) {
        while let Ok(command) = self.receiver.try_recv() {
            match command {
                Command::Client(client) => self.add_client(now, unix_now, *client),
                Command::Reconfigure(options, directory) => {
                    self.server.reconfigure(now, *options, directory);
                }
                Command::SetAlternate(alternate) => self.server.set_alternate(alternate),
                // The control side may have stopped waiting.
                Command::Report(sender) => drop(sender.send(self.report())),
                Command::Stop => self.is_stopping = true,
            }
            self.egress.carry_out_outputs(now, &mut self.server);
        }
    }

    fn report(&self) -> Report {
        Report {
            turn: self.server.counters().clone(),
            udp: self.egress.batch.counters(),
            driver: self.egress.counters,
            allocations: self.server.allocations(),
            streams: self.egress.streams.len(),
        }
    }

    fn add_client(&mut self, now: Instant, unix_now: UnixTime, client: NewClient) {
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

    fn read_stream(&mut self, now: Instant, unix_now: UnixTime, key: u32) -> bool {
        for _ in 0..READS_PER_TURN {
            let Some(stream) = self.egress.streams.get_mut(key as usize) else {
                return true;
            };
            if let Mode::Joined(peer) = stream.mode
                && self
                    .egress
                    .peers
                    .get(peer as usize)
                    .is_some_and(|peer| !peer.has_room())
            {
                // The peer wakes this stream when it has written. The event may
                // have meant that the socket takes bytes again.
                self.egress.dirty.push(key);
                return true;
            }
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

    fn handle_stream_bytes(&mut self, now: Instant, unix_now: UnixTime, key: u32, bytes: Vec<u8>) {
        if !bytes.is_empty() {
            self.handle_frames(now, unix_now, key, &bytes);
        }
    }

    /// Cuts `bytes` into frames and gives each to the core; keeps the rest for later.
    fn handle_frames(&mut self, now: Instant, unix_now: UnixTime, key: u32, bytes: &[u8]) {
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
    fn move_stream(&mut self, key: u32, worker: u16, early: Vec<u8>) {
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

    fn forward_to_peer(&mut self, now: Instant, key: u32, bytes: &[u8]) {
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

    fn accept_peer(&mut self, now: Instant, relay: RelayId) -> bool {
        for _ in 0..ACCEPTS_PER_TURN {
            let Some(Some(socket)) = self.egress.relays.get(relay.0 as usize) else {
                return true;
            };
            let Socket::Tcp(listener) = &socket.kind else {
                return true;
            };
            let Ok((socket, peer)) = listener.accept() else {
                return true;
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

    fn read_peer(&mut self, now: Instant, key: u32) -> bool {
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

    fn copy_from_peer(&mut self, now: Instant, key: u32, stream_key: u32) -> bool {
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

    fn write_streams(&mut self, now: Instant) {
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
    fn look_after_streams(&mut self, now: Instant) {
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

    fn close_stream(&mut self, now: Instant, key: u32) {
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

    fn close_peer(&mut self, now: Instant, key: u32) {
        if let Some(peer) = self.egress.remove_peer(now, key) {
            self.server.handle_connection_closed(peer.connection);
        }
    }

    /// Puts a source into the queue unless it is there already.
    fn enqueue(&mut self, source: Source, has_errors: bool) {
        if has_errors
            && let Source::Relay(relay) = source
            && let Some(Some(socket)) = self.egress.relays.get_mut(relay.0 as usize)
        {
            socket.has_errors = true;
        }
        if self.set_queued(source, true) {
            self.ready.push_back(source);
        }
    }

    /// Changes the mark of a source; true when it was different (or the source has none).
    fn set_queued(&mut self, source: Source, value: bool) -> bool {
        let egress = &mut self.egress;
        let mark = match source {
            Source::Mailbox => None,
            Source::Front(index) => egress
                .fronts
                .get_mut(index as usize)
                .map(|f| &mut f.is_queued),
            Source::Relay(relay) => match egress.relays.get_mut(relay.0 as usize) {
                Some(Some(socket)) => Some(&mut socket.is_queued),
                Some(None) | None => return false,
            },
            Source::Stream(key) => egress
                .streams
                .get_mut(key as usize)
                .map(|s| &mut s.is_queued),
            Source::Peer(key) => egress.peers.get_mut(key as usize).map(|p| &mut p.is_queued),
        };
        mark.is_none_or(|mark| std::mem::replace(mark, value) != value)
    }
}

/// Events taken per wait.
const EVENTS: usize = 1024;

/// As large as the largest frame or datagram.
const SCRATCH_LEN: usize = 68 * 1024;

// Limits on the work per turn and source.
const DATAGRAMS_PER_TURN: usize = 256;
/// A front socket carries all its clients, a relay socket a few peers of one: with
/// equal shares the clients would starve as soon as many relays are busy.
const FRONT_READS_PER_TURN: usize = 16;
const READS_PER_TURN: usize = 4;
const ACCEPTS_PER_TURN: usize = 16;
const ERRORS_PER_TURN: usize = 16;

/// RFC 8489 has no number; a client speaks first and at once.
const FIRST_REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

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
