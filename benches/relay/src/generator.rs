//! The load side of the generator: all clients and all peers in one thread.
//!
//! One socket sends and receives for all clients and one for all peers, each
//! packet with its own source address. `packet.rs` says what is in one.

use std::net::{Ipv4Addr, SocketAddrV4};

use crate::addresses::{CLIENT_PORT, PEER_PORT};
use crate::clients::{Setup, Step};
use crate::measure::{Run, Usage};
use crate::options::{Mode, Options, Transport};
use crate::packet::{self, Expected, Stamp};
use crate::process;
use crate::socket::{self, Envelope, Fd, RECEIVE_BATCH, Receiver, Sender};
use crate::stream::Connections;
use crate::stun::Credentials;

/// The most that one datagram train may hold, below the 64 KiB of one send.
const MAX_TRAIN_BYTES: usize = 60_000;

/// The most datagrams of a train, below the kernel's 64.
const MAX_TRAIN: usize = 60;

/// The most packets of one turn of the sending loop.
const MAX_DUE: usize = 128;

/// Packets that may be in arrears before they are given up.
const MAX_ARREARS: f64 = 2000.0;

/// How long a run sends before it counts, in nanoseconds.
const WARM_UP: u64 = 150_000_000;

/// The part of what is sent during the measured time that has to come out during
/// it: buffers hide overload, megabytes of them for longer than a run lasts.
const MIN_IN_TIME: f64 = 0.97;

/// The median delay that counts as overload, in nanoseconds.
const MAX_DELAY: u32 = 20_000_000;

/// All clients and peers.
pub struct Generator {
    /// What it was told.
    pub options: Options,
    /// Each client's credential, as far as the server has told it.
    pub credentials: Vec<Credentials>,
    /// Each client's relayed transport address.
    pub relays: Vec<SocketAddrV4>,
    clients: Fd,
    peers: Fd,
    streams: Option<Connections>,
    receiver: Receiver,
    from_clients: Sender,
    from_peers: Sender,
    flows: Vec<Flow>,
    next_flow: usize,
    run: u16,
    payload: Vec<u8>,
}

/// Packets of one client, or of one peer.
#[derive(Clone, Copy)]
struct Flow {
    is_client: bool,
    index: usize,
    source: Ipv4Addr,
    to: SocketAddrV4,
}

/// The highest rate that a search found.
pub struct Found {
    /// The run at that rate.
    pub run: Run,
    /// That rate.
    pub rate: f64,
    /// Whether the generator was the limit, not the server.
    pub is_generator_limited: bool,
}

impl Generator {
    /// Opens the sockets, and the connections of stream clients.
    pub fn open(options: Options) -> Self {
        let any = Ipv4Addr::UNSPECIFIED;
        let clients = socket::open_udp(SocketAddrV4::new(any, CLIENT_PORT), 64 << 20, 16 << 20);
        let peers = socket::open_udp(SocketAddrV4::new(any, PEER_PORT), 64 << 20, 16 << 20);
        for fd in [clients, peers] {
            socket::enable_gro_and_metadata(fd);
        }
        let is_stream = options.transport != Transport::Udp;
        let streams = is_stream.then(|| {
            let locals: Vec<_> = (0..options.allocations)
                .map(|index| SocketAddrV4::new(options.net.client(index), 0))
                .collect();
            let is_tls = options.transport == Transport::Tls;
            Connections::connect(options.server, &locals, is_tls)
        });
        Self {
            credentials: Vec::new(),
            relays: Vec::new(),
            clients,
            peers,
            streams,
            receiver: Receiver::new(RECEIVE_BATCH),
            from_clients: Sender::new(256, 256),
            from_peers: Sender::new(256, 256),
            flows: Vec::new(),
            next_flow: 0,
            run: 0,
            payload: (0..600 * 1400_u32)
                .map(|at| ((at * 31) >> 3) as u8)
                .collect(),
            options,
        }
    }

    /// Makes what the mode needs: allocations, permissions, channels.
    pub fn set_up(&mut self) -> Setup {
        let mut setup = Setup::default();
        if self.options.is_floor {
            let net = self.options.net;
            self.relays = (0..self.options.allocations)
                .map(|index| net.fixed_relay(index))
                .collect();
        } else if self.options.mode != Mode::Binding {
            setup = self.request(&[Step::Allocate]);
            if setup.failed == 0 {
                setup.failed = self.request(&[Step::Permit, Step::Bind]).failed;
            }
        }
        self.flows = self.flows();
        setup
    }

    fn flows(&self) -> Vec<Flow> {
        let net = self.options.net;
        let mode = self.options.mode;
        let mut flows = Vec::new();
        for index in 0..self.options.allocations {
            if mode != Mode::PeerToClient {
                flows.push(Flow {
                    is_client: true,
                    index,
                    source: net.client(index),
                    to: self.options.server,
                });
            }
            if mode == Mode::PeerToClient || mode == Mode::Both {
                flows.push(Flow {
                    is_client: false,
                    index,
                    source: *net.peer(index).ip(),
                    to: self.relays[index],
                });
            }
        }
        flows
    }

    /// Sends one control message of client `index`.
    pub fn send_control(&mut self, index: usize, bytes: &[u8]) {
        if let Some(streams) = &mut self.streams {
            streams.queue(index, bytes);
            streams.flush(index);
            return;
        }
        let envelope = Envelope {
            to: &socket::to_sockaddr(self.options.server),
            source: self.options.net.client(index),
            stride: 0,
        };
        // SAFETY: `bytes` lives until after `send`.
        unsafe { self.from_clients.push(envelope, bytes) };
        self.from_clients.send(self.clients);
    }

    /// Receives control messages, each with its client's index.
    pub fn receive_control(&mut self, out: &mut Vec<(usize, Vec<u8>)>) {
        if let Some(streams) = &mut self.streams {
            streams.receive(|index, frame| out.push((index, frame.to_vec())));
            return;
        }
        for at in 0..self.receiver.receive(self.clients) {
            let received = self.receiver.message(at);
            let index = self.options.net.client_index(received.to);
            out.extend(received.datagrams().map(|bytes| (index, bytes.to_vec())));
        }
    }

    /// Sends at `rate` packets per second, `burst` at a time, for `seconds`.
    pub fn run(&mut self, rate: f64, seconds: f64, burst: usize) -> Run {
        self.run = self.run.wrapping_add(1);
        self.drop_leftovers();
        let mut run = Run {
            target: rate,
            delays: Vec::with_capacity((rate * seconds * 1.1) as usize + 1000),
            ..Run::default()
        };
        let start = process::now();
        let counted_from = start + WARM_UP;
        let end = counted_from + (seconds * 1e9) as u64;
        let mut sent = 0.0;
        let mut is_warm_up = true;
        let mut usage = Usage::default();
        let mut seen_before = 0;
        let mut now = start;
        while now < end {
            if is_warm_up && now >= counted_from {
                is_warm_up = false;
                usage = Usage::read(&self.options);
                seen_before = run.seen;
                // Reading the counters took time, which must not make a burst.
                sent = (process::now() - start) as f64 * rate / 1e9;
            }
            let mut due = (process::now() - start) as f64 * rate / 1e9 - sent;
            if due > MAX_ARREARS {
                // Too far behind: give them up, which shows as a low rate.
                sent += due - MAX_ARREARS;
                due = MAX_ARREARS;
            }
            if due >= burst as f64 {
                let count = self.send_some((due as usize).min(MAX_DUE), is_warm_up);
                sent += count as f64;
                run.sent += if is_warm_up { 0 } else { count as u64 };
            }
            self.receive_some(&mut run);
            now = process::now();
        }
        run.usage = Usage::read(&self.options).since(usage);
        run.seen -= seen_before;
        run.seconds = (now - counted_from) as f64 / 1e9;
        self.receive_rest(&mut run);
        run
    }

    /// Finds the highest rate with less than 0.1 % loss and no growing queue, by
    /// raising and halving.
    pub fn search(&mut self, start: f64, seconds: f64) -> Found {
        let (mut good, mut bad) = (0.0_f64, f64::INFINITY);
        let mut found = Found {
            run: Run::default(),
            rate: 0.0,
            is_generator_limited: false,
        };
        let mut rate = start;
        while bad / good > 1.06 && bad > 500.0 {
            let (run, passed) = self.try_rate(rate, seconds);
            if passed {
                let sent_rate = run.sent_rate();
                let fell_behind = sent_rate < 0.95 * rate;
                good = if fell_behind {
                    sent_rate.max(good)
                } else {
                    rate
                };
                found = Found {
                    run,
                    rate: good,
                    is_generator_limited: fell_behind,
                };
                if fell_behind {
                    break;
                }
            } else {
                bad = rate;
            }
            rate = match (good > 0.0, bad.is_finite()) {
                (true, true) => (good * bad).sqrt(),
                (true, false) => good * 1.7,
                (false, _) => bad / 2.0,
            };
        }
        found
    }

    /// Runs at `rate` up to three times, for a single loss may be the machine's.
    fn try_rate(&mut self, rate: f64, seconds: f64) -> (Run, bool) {
        let mut tries = 0;
        loop {
            let run = self.run(rate, seconds, self.options.burst);
            let is_queued = (run.seen as f64) < MIN_IN_TIME * run.sent as f64
                || run.median_delay().is_some_and(|delay| delay > MAX_DELAY);
            let passed = run.loss() < 0.001 && !is_queued;
            tries += 1;
            if passed || run.loss() > 0.05 || tries == 3 {
                return (run, passed);
            }
        }
    }

    /// Sends up to `due` packets, one train for each flow in turn.
    fn send_some(&mut self, due: usize, is_warm_up: bool) -> usize {
        let mut sent = 0;
        let mut at = 0;
        while sent < due && self.from_clients.has_room(1) && self.from_peers.has_room(1) {
            let flow = self.flows[self.next_flow];
            let length = self.packet_length(flow);
            let mut count = self.options.train.min(due - sent);
            if self.flows.len() == 1 {
                // A single flow sends what is due as one train.
                count = due - sent;
            }
            count = count.clamp(1, MAX_TRAIN).min(MAX_TRAIN_BYTES / length);
            if at + count * length > self.payload.len() {
                break;
            }
            self.next_flow = (self.next_flow + 1) % self.flows.len();
            self.write_packets(flow, at, count, is_warm_up);
            self.push_packets(flow, at, count);
            at += count * length;
            sent += count;
        }
        if !self.from_clients.is_empty() {
            self.from_clients.send(self.clients);
        }
        if !self.from_peers.is_empty() {
            self.from_peers.send(self.peers);
        }
        sent
    }

    fn packet_length(&self, flow: Flow) -> usize {
        match self.options.mode {
            Mode::Binding => packet::BINDING,
            Mode::ClientToPeer | Mode::PeerToClient | Mode::Both | Mode::Hairpin => {
                self.options.size + if flow.is_client { 4 } else { 0 }
            }
        }
    }

    /// Writes `count` packets of `flow` into the payload from `at` on.
    fn write_packets(&mut self, flow: Flow, at: usize, count: usize, is_warm_up: bool) {
        let length = self.packet_length(flow);
        let stamp = Stamp {
            run: self.run,
            is_warm_up,
            sent_at: process::wall_now(),
        };
        let is_binding = self.options.mode == Mode::Binding;
        for bytes in self.payload[at..at + count * length].chunks_exact_mut(length) {
            if is_binding {
                stamp.write_binding(bytes);
            } else if flow.is_client {
                stamp.write_channel_data(bytes);
            } else {
                stamp.write(bytes);
            }
        }
    }

    /// Puts written packets into the batch or the stream they go out by.
    fn push_packets(&mut self, flow: Flow, at: usize, count: usize) {
        let length = self.packet_length(flow);
        let bytes = &self.payload[at..at + count * length];
        if let Some(streams) = self.streams.as_mut().filter(|_| flow.is_client) {
            for packet in bytes.chunks_exact(length) {
                streams.queue(flow.index, packet);
            }
            streams.flush(flow.index);
            return;
        }
        let envelope = Envelope {
            to: &socket::to_sockaddr(flow.to),
            source: flow.source,
            stride: if count > 1 { length as u16 } else { 0 },
        };
        let sender = if flow.is_client {
            &mut self.from_clients
        } else {
            &mut self.from_peers
        };
        // SAFETY: the payload is neither moved nor written there before `send`.
        unsafe { sender.push(envelope, bytes) };
    }

    /// Receives what is there and counts it; returns whether there was anything.
    fn receive_some(&mut self, run: &mut Run) -> bool {
        let expected = Expected {
            run: self.run,
            size: self.options.size,
            is_binding: self.options.mode == Mode::Binding,
        };
        let before = run.seen + run.bad;
        let mode = self.options.mode;
        if mode == Mode::ClientToPeer || mode == Mode::Both {
            drain(&mut self.receiver, self.peers, |bytes, at| {
                expected.count(bytes, at, false, run);
            });
        }
        if mode != Mode::ClientToPeer {
            match &mut self.streams {
                Some(streams) => {
                    let at = process::wall_now();
                    streams.receive(|_, frame| expected.count(frame, at, true, run));
                }
                None => drain(&mut self.receiver, self.clients, |bytes, at| {
                    expected.count(bytes, at, true, run);
                }),
            }
        }
        run.seen + run.bad > before
    }

    /// Forgets what an earlier run left on its way.
    fn drop_leftovers(&mut self) {
        let mut ignored = Run::default();
        while self.receive_some(&mut ignored) {}
        if let Some(streams) = &mut self.streams {
            streams.take_refused();
        }
    }

    /// Waits for packets still on their way, for 60 ms without one and a second in all.
    fn receive_rest(&mut self, run: &mut Run) {
        let start = process::now();
        let mut last = start;
        let seen = run.seen;
        while run.received < run.sent {
            let now = process::now();
            if now > last + 60_000_000 || now > start + 1_000_000_000 {
                break;
            }
            if self.receive_some(run) {
                last = now;
            }
            if let Some(streams) = &mut self.streams {
                streams.flush_all();
            }
        }
        // The CPU time was read before these came.
        run.seen = seen;
        if let Some(streams) = &mut self.streams {
            run.refused = streams.take_refused();
        }
    }
}

/// Receives from `fd` until it is empty, a few batches at most.
fn drain(receiver: &mut Receiver, fd: Fd, mut take: impl FnMut(&[u8], u64)) {
    for _ in 0..4 {
        let count = receiver.receive(fd);
        for at in 0..count {
            let received = receiver.message(at);
            for bytes in received.datagrams() {
                take(bytes, received.at);
            }
        }
        if count < RECEIVE_BATCH {
            break;
        }
    }
}
