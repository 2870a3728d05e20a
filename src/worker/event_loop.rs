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
use tracing::error;

use crate::clock;
use crate::net::udp::{RecvBatch, SendBatch, UdpEndpoint};
use crate::turn::{ClientPath, FiveTuple, RelayId, Server, Transport, Verdict};
use crate::unix_time::UnixTime;

use super::command::{Command, DriverCounters, Mailbox, Report, WorkerHandle};
use super::egress::{Egress, Front};
use super::relay_socket::{Socket, icmp_error};
use super::sibling::{self, SiblingLinks};
use super::source::{Link, Source};

/// Settings of the driver.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Most bytes that wait for a slow TCP or TLS reader, per stream.
    pub stream_queue: usize,
}

/// One worker before its thread runs.
pub struct Worker {
    pub(super) poll: Poll,
    pub(super) server: Server,
    pub(super) egress: Egress,
    incoming: Vec<Option<Consumer<u8>>>,
    recv: RecvBatch,
    /// For stream reads and datagrams of siblings.
    pub(super) scratch: Box<[u8]>,
    ready: VecDeque<Source>,
    pub(super) options: Options,
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
            paused: BTreeSet::new(),
            resume_at: None,
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
        Ok(WorkerHandle { mailbox, thread })
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
        let next = [self.server.poll_timeout(), streams, self.egress.resume_at]
            .into_iter()
            .flatten()
            .min()?;
        Some(next.saturating_duration_since(now))
    }

    fn turn(&mut self) {
        let (now, unix_now) = (clock::now(), clock::unix_now());
        self.server.handle_timeout(now);
        self.egress.carry_out_outputs(now, &mut self.server);
        self.look_after_streams(now);
        self.resume_paused(now);
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
                Command::EndUser(user) => self.server.end_user(now, &user),
                Command::SetAlternate(alternate) => self.server.set_alternate(alternate),
                // The control side may have stopped waiting.
                Command::Report(sender) => drop(sender.send(self.report())),
                Command::Stop => {
                    self.server.shut_down(now);
                    self.is_stopping = true;
                }
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

    /// Puts a source into the queue unless it is there already.
    pub(super) fn enqueue(&mut self, source: Source, has_errors: bool) {
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
pub(super) const READS_PER_TURN: usize = 4;
const ERRORS_PER_TURN: usize = 16;
