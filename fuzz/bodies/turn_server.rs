//! Two workers' TURN servers and the world around them: clients that make
//! mistakes, sockets that cannot be had, peers, time. Whatever happens, nothing
//! panics, nobody is answered who did not ask, nothing is relayed without a
//! permission, and in the end nothing is left.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use turnstone::auth::{self, Directory};
use turnstone::clock;
use turnstone::stun::{
    AttributeType, Builder, Class, IntegrityAlgorithm, LongTermKey, Message, Method,
    PasswordAlgorithm, TransactionId, long_term_key,
};
use turnstone::turn::*;
use turnstone::unix_time::UnixTime;

/// Reads `data` as a list of steps, takes them, and lets everything run out.
pub(crate) fn turn_server(data: &[u8]) {
    let mut world = World::new();
    let mut input = Input(data);
    while let Some(step) = input.next() {
        world.take_step(step, &mut input);
        world.check();
    }
    world.run_out();
}

/// What the fuzzer says, byte by byte; zeros when it says no more.
struct Input<'d>(&'d [u8]);

impl<'d> Input<'d> {
    fn next(&mut self) -> Option<u8> {
        let (&first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(first)
    }

    fn byte(&mut self) -> u8 {
        self.next().unwrap_or(0)
    }

    fn index(&mut self, below: usize) -> usize {
        usize::from(self.byte()) % below.max(1)
    }

    fn bytes(&mut self, len: usize) -> &'d [u8] {
        let (taken, rest) = self.0.split_at(len.min(self.0.len()));
        self.0 = rest;
        taken
    }
}

struct World {
    start: Instant,
    now: Instant,
    nodes: Vec<Node>,
    clients: Vec<Client>,
    books: Arc<SharedBooks>,
    /// The server may not have these addresses.
    occupied: BTreeSet<SocketAddr>,
    /// Peers that a client was granted, and when at last.
    granted: BTreeMap<(SocketAddr, IpAddr), Instant>,
    /// Reservation tokens and connection ids that clients were told.
    tokens: Vec<Vec<u8>>,
    ids: Vec<u32>,
}

/// One worker, with the sockets it asked for.
struct Node {
    server: Server,
    bound: BTreeMap<RelayId, (SocketAddr, RelayKind)>,
    connecting: BTreeSet<ConnectionId>,
    connected: BTreeSet<ConnectionId>,
}

struct Client {
    path: ClientPath,
    node: usize,
    nonce: Vec<u8>,
}

/// Whose datagram is being handled, and what may be answered to it.
struct Asking {
    client: SocketAddr,
    transaction: Option<TransactionId>,
    answers: usize,
    is_signed: bool,
    grants: Vec<IpAddr>,
}

impl World {
    fn new() -> Self {
        let start = clock::now();
        let books = Arc::new(SharedBooks(Mutex::new(Books::new(QuotaTable::new(LIMITS)))));
        let (base, ports) = (options(0), RELAY_PORTS);
        let shared = Shared {
            directory: directory(true),
            nonce: NonceKey::new(start, &[1; 32]),
            ledger: Arc::clone(&books) as Arc<dyn Ledger>,
            relay_ports: Arc::new(RelayPorts::new(base.relay_addresses, ports, WORKERS)),
        };
        let seed = |worker: u16| [worker.to_le_bytes()[0]; 32];
        let node = |worker| Node {
            server: Server::new(start, options(worker), shared.clone(), seed(worker)),
            bound: BTreeMap::new(),
            connecting: BTreeSet::new(),
            connected: BTreeSet::new(),
        };
        let mut world = Self {
            start,
            now: start,
            nodes: (0..WORKERS).map(node).collect(),
            clients: (0..CLIENTS).map(client).collect(),
            books,
            occupied: BTreeSet::new(),
            granted: BTreeMap::new(),
            tokens: Vec::new(),
            ids: Vec::new(),
        };
        for index in 0..world.clients.len() {
            let hello = world.message(Method::ALLOCATE, Class::Request, |_| {});
            world.deliver(index, &hello);
        }
        world
    }

    fn take_step(&mut self, step: u8, input: &mut Input<'_>) {
        match step % 16 {
            0 => {
                let client = input.index(CLIENTS);
                let len = usize::from(input.byte());
                self.deliver(client, input.bytes(len));
            }
            1 => self.allocate(input),
            2..=4 => self.signed(input),
            5 => self.unsigned(input),
            6 => {
                let client = input.index(CLIENTS);
                let mut bytes = channel(input.byte()).to_be_bytes().to_vec();
                let len = input.byte();
                bytes.extend([0, len]);
                bytes.extend(vec![7; usize::from(len)]);
                bytes.truncate(bytes.len() - input.index(2).min(usize::from(len)));
                self.deliver(client, &bytes);
            }
            7 => {
                let client = input.index(CLIENTS);
                let (peer, len) = (self.peer(input), usize::from(input.byte()));
                let send = self.message(Method::SEND, Class::Indication, |b| {
                    b.xor_address(AttributeType::XOR_PEER_ADDRESS, peer);
                    b.attribute(AttributeType::DATA, &vec![7; len]);
                });
                self.deliver(client, &send);
            }
            8 => self.peer_datagram(input),
            9 => self.sibling_datagram(input),
            10 => {
                let address = SocketAddr::new(RELAYS[input.index(2)], port(input.byte()));
                if !self.occupied.remove(&address) {
                    self.occupied.insert(address);
                }
            }
            11 => self.pass(Duration::from_secs(u64::from(input.byte()) * 5)),
            12 => self.icmp(input),
            13 => {
                let client = input.index(CLIENTS);
                let Client { path, node, .. } = self.clients[client];
                let server = &mut self.nodes[node].server;
                server.handle_client_closed(self.now, path.five_tuple);
                self.carry_out(node, None);
            }
            14 => self.connection_event(input),
            _ => self.reload(input),
        }
    }

    /// A proper Allocate with some wishes: the door to everything else.
    fn allocate(&mut self, input: &mut Input<'_>) {
        let (client, wish) = (input.index(CLIENTS), input.byte());
        let token = self.tokens.last().cloned().unwrap_or_default();
        let protocol = if wish & 1 == 0 { 17 } else { 6 };
        self.request(client, Method::ALLOCATE, |b| {
            b.u32(AttributeType::REQUESTED_TRANSPORT, protocol << 24);
            match wish >> 1 & 7 {
                1 => b.u32(AttributeType::REQUESTED_ADDRESS_FAMILY, 2 << 24),
                2 => b.u32(AttributeType::ADDITIONAL_ADDRESS_FAMILY, 2 << 24),
                3 => b.attribute(AttributeType::EVEN_PORT, &[0]),
                4 => b.attribute(AttributeType::EVEN_PORT, &[0x80]),
                5 => b.attribute(AttributeType::RESERVATION_TOKEN, &token),
                6 => b.u32(AttributeType::LIFETIME, u32::from(wish)),
                _ => b,
            };
        });
    }

    /// A signed request with any attributes, some of them meant well.
    fn signed(&mut self, input: &mut Input<'_>) {
        let (client, method) = (input.index(CLIENTS), METHODS[input.index(METHODS.len())]);
        let attributes = self.attributes(input);
        let damage = input.byte();
        let mut request = self.build(client, method, |b| {
            for (kind, value) in &attributes {
                b.attribute(*kind, value);
            }
        });
        if damage >= 0xF0 {
            let at = input.index(request.len());
            request[at] ^= input.byte();
        }
        self.deliver(client, &request);
    }

    fn unsigned(&mut self, input: &mut Input<'_>) {
        let client = input.index(CLIENTS);
        let method = match input.index(METHODS.len() + 1) {
            0 => Method::BINDING,
            n => METHODS[n - 1],
        };
        let class = [Class::Request, Class::Indication, Class::ErrorResponse][input.index(3)];
        let attributes = self.attributes(input);
        let message = self.message(method, class, |b| {
            for (kind, value) in &attributes {
                b.attribute(*kind, value);
            }
        });
        self.deliver(client, &message);
    }

    fn attributes(&self, input: &mut Input<'_>) -> Vec<(AttributeType, Vec<u8>)> {
        (0..input.index(5))
            .map(|_| {
                let kind = ATTRIBUTES[input.index(ATTRIBUTES.len())];
                let value = self.value(kind, input);
                (kind, value)
            })
            .collect()
    }

    /// A value that fits `kind`, or any bytes.
    fn value(&self, kind: AttributeType, input: &mut Input<'_>) -> Vec<u8> {
        let pick = input.byte();
        if pick >= 0xE0 {
            let len = usize::from(pick & 0x1F);
            return input.bytes(len).to_vec();
        }
        let number = u32::from(pick);
        match kind {
            AttributeType::XOR_PEER_ADDRESS => {
                let (mut bytes, peer) = (Vec::new(), self.peer(input));
                Builder::new(&mut bytes, Class::Request, Method::SEND, transaction(0))
                    .xor_address(kind, peer);
                // IPv4 addresses do not depend on the transaction.
                bytes.split_off(24)
            }
            AttributeType::CHANNEL_NUMBER => (u32::from(channel(pick)) << 16).to_be_bytes().into(),
            AttributeType::LIFETIME => (number * 20).to_be_bytes().into(),
            AttributeType::RESERVATION_TOKEN => {
                let token = self
                    .tokens
                    .get(usize::from(pick) % self.tokens.len().max(1));
                token.cloned().unwrap_or_default()
            }
            AttributeType::CONNECTION_ID => {
                let id = self.ids.get(usize::from(pick) % self.ids.len().max(1));
                id.copied().unwrap_or(number << 24).to_be_bytes().into()
            }
            AttributeType::REQUESTED_TRANSPORT => ([17, 6, number][usize::from(pick) % 3] << 24)
                .to_be_bytes()
                .into(),
            _ => ((number % 4) << 24).to_be_bytes().into(),
        }
    }

    fn peer_datagram(&mut self, input: &mut Input<'_>) {
        let (node, peer) = (input.index(self.nodes.len()), self.peer(input));
        let Some(relay) = self.nodes[node].relay(RelayKind::Udp, input) else {
            return;
        };
        let payload = vec![9; usize::from(input.byte()) * usize::from(input.byte() % 8)];
        let server = &mut self.nodes[node].server;
        let verdict = server.handle_peer_datagram(self.now, relay, peer, &payload);
        let outcome = Outcome::of(verdict);
        self.judge(node, None, &payload, outcome, Some(peer));
    }

    fn sibling_datagram(&mut self, input: &mut Input<'_>) {
        let (node, from) = (input.index(self.nodes.len()), self.peer(input));
        let to = RelayPort {
            address: input.index(3),
            port: port(input.byte()),
        };
        let server = &mut self.nodes[node].server;
        let verdict = server.handle_sibling_datagram(self.now, to, from, b"sibling");
        let outcome = Outcome::of(verdict);
        self.judge(node, None, b"sibling", outcome, Some(from));
    }

    fn icmp(&mut self, input: &mut Input<'_>) {
        let (node, peer) = (input.index(self.nodes.len()), self.peer(input));
        let Some(relay) = self.nodes[node].relay(RelayKind::Udp, input) else {
            return;
        };
        let error = IcmpError {
            peer,
            icmp_type: input.byte(),
            code: input.byte(),
            data: 1400,
        };
        self.nodes[node]
            .server
            .handle_icmp_error(self.now, relay, error);
        self.carry_out(node, None);
    }

    /// What a driver of TCP relays has to tell.
    fn connection_event(&mut self, input: &mut Input<'_>) {
        let (node, what) = (input.index(self.nodes.len()), input.byte());
        let (now, peer) = (self.now, self.peer(input));
        let Node {
            server,
            connecting,
            connected,
            ..
        } = &mut self.nodes[node];
        match what % 4 {
            0 => {
                if let Some(id) = connecting.pop_first() {
                    connected.insert(id);
                    server.handle_peer_connected(now, id);
                }
            }
            1 => {
                if let Some(id) = connecting.pop_first() {
                    server.handle_peer_failed(now, id);
                }
            }
            2 => {
                if let Some(id) = connected.pop_last() {
                    server.handle_connection_data(now, id, what & 4 == 0, 1000);
                    server.handle_connection_closed(id);
                }
            }
            _ => {
                let Some(relay) = self.nodes[node].relay(RelayKind::Tcp, input) else {
                    return;
                };
                let Node {
                    server, connected, ..
                } = &mut self.nodes[node];
                connected.extend(server.handle_peer_connection(now, relay, peer));
            }
        }
        self.carry_out(node, None);
    }

    fn reload(&mut self, input: &mut Input<'_>) {
        let what = input.byte();
        for (worker, node) in (0..).zip(&mut self.nodes) {
            if what & 1 == 0 {
                let mut new = options(worker);
                if what & 2 == 0 {
                    let denied = vec![IpAddr::from([9, 9, 9, 1]).into()];
                    new.peer_policy = PeerPolicy::new(Vec::new(), denied, Vec::new());
                }
                node.server
                    .reconfigure(self.now, new, directory(what & 4 == 0));
            } else {
                let alternate = Alternate {
                    address: SocketAddr::from(([192, 0, 2, 9], 3478)),
                    domain: None,
                };
                node.server
                    .set_alternate((what & 2 == 0).then_some(alternate));
            }
        }
        for node in 0..self.nodes.len() {
            self.carry_out(node, None);
        }
    }

    fn pass(&mut self, span: Duration) {
        self.now += span;
        for node in 0..self.nodes.len() {
            self.nodes[node].server.handle_timeout(self.now);
            self.carry_out(node, None);
        }
    }

    fn request(&mut self, client: usize, method: Method, fill: impl FnOnce(&mut Builder<'_>)) {
        let request = self.build(client, method, fill);
        self.deliver(client, &request);
    }

    fn build(&self, client: usize, method: Method, fill: impl FnOnce(&mut Builder<'_>)) -> Vec<u8> {
        let user = USERS[client % USERS.len()];
        let nonce = &self.clients[client].nonce;
        self.message(method, Class::Request, |b| {
            fill(b);
            b.attribute(AttributeType::USERNAME, user.as_bytes());
            b.attribute(AttributeType::REALM, REALM.as_bytes());
            b.attribute(AttributeType::NONCE, nonce);
            b.integrity(IntegrityAlgorithm::Sha1, key(user).as_bytes());
        })
    }

    fn message(
        &self,
        method: Method,
        class: Class,
        fill: impl FnOnce(&mut Builder<'_>),
    ) -> Vec<u8> {
        let mut bytes = Vec::new();
        // Two requests of one moment may be a retransmission.
        let number = self.now.duration_since(self.start).as_secs();
        fill(&mut Builder::new(
            &mut bytes,
            class,
            method,
            transaction(number),
        ));
        bytes
    }

    fn deliver(&mut self, client: usize, datagram: &[u8]) {
        let Client { path, node, .. } = self.clients[client];
        self.deliver_to(node, path, datagram);
    }

    fn deliver_to(&mut self, node: usize, path: ClientPath, datagram: &[u8]) {
        let mut asking = Asking::of(path, datagram);
        let unix_now = UnixTime(1_800_000_000).plus(self.now - self.start);
        let server = &mut self.nodes[node].server;
        let verdict = server.handle_client_datagram(self.now, unix_now, path, datagram);
        let outcome = Outcome::of(verdict);
        self.judge(node, Some(path), datagram, outcome, None);
        self.carry_out(node, Some(&mut asking));
        assert!(asking.answers <= 1, "one request, one answer");
    }

    /// Checks that what a verdict relays is asked for, permitted and unchanged.
    fn judge(
        &mut self,
        node: usize,
        sender: Option<ClientPath>,
        input: &[u8],
        outcome: Outcome,
        peer: Option<SocketAddr>,
    ) {
        match outcome {
            Outcome::ToPeer {
                relay,
                peer,
                payload,
            } => {
                let Some(sender) = sender else {
                    unreachable!("a peer's datagram went to a peer");
                };
                let (_, kind) = self.nodes[node].bound[&relay];
                assert_eq!(kind, RelayKind::Udp);
                assert!(
                    self.is_granted(sender, peer.ip()),
                    "{peer} without permission"
                );
                assert!(contains(input, &payload));
            }
            Outcome::ToClient {
                client,
                frame,
                payload,
            } => {
                assert!(self.nodes[node].server.has_allocation(&client.five_tuple));
                let is_stream = client.five_tuple.transport.is_stream();
                assert!(!is_stream || frame.len().is_multiple_of(4));
                // From one client to another, the peer is a relayed address.
                let granted = match peer {
                    Some(peer) => self.is_granted(client, peer.ip()),
                    None => RELAYS.iter().any(|relay| self.is_granted(client, *relay)),
                };
                assert!(granted, "unsolicited data");
                assert!(contains(input, &payload) && contains(&frame, &payload));
            }
            Outcome::ToSibling {
                worker,
                to,
                from,
                payload,
            } => {
                let Some(sender) = sender else {
                    unreachable!("a peer's datagram went to a sibling");
                };
                assert!(contains(input, &payload) && usize::from(worker) != node);
                assert!(self.is_granted(sender, RELAYS[to.address]));
                let server = &mut self.nodes[usize::from(worker)].server;
                let verdict = server.handle_sibling_datagram(self.now, to, from, &payload);
                let next = Outcome::of(verdict);
                self.judge(usize::from(worker), None, &payload, next, Some(from));
            }
            Outcome::Nothing => {}
        }
    }

    /// Does what a driver does, and reads what the clients are told.
    fn carry_out(&mut self, node: usize, mut asking: Option<&mut Asking>) {
        let now = self.now;
        while let Some(output) = self.nodes[node].server.poll_output() {
            let Node {
                server,
                bound,
                connecting,
                connected,
            } = &mut self.nodes[node];
            match output {
                Output::Send { client, message } => {
                    self.hear(node, client, &message, asking.as_deref_mut());
                }
                Output::BindRelay {
                    relay,
                    address,
                    kind,
                } => {
                    let is_taken = bound.values().any(|held| *held == (address, kind));
                    assert!(!is_taken, "the server gave out a port twice");
                    if self.occupied.contains(&address) {
                        server.handle_relay_failed(now, relay);
                    } else {
                        assert!(bound.insert(relay, (address, kind)).is_none());
                        server.handle_relay_bound(now, relay);
                    }
                }
                Output::CloseRelay(relay) => assert!(bound.remove(&relay).is_some()),
                Output::ConnectPeer { connection, .. } => {
                    assert!(connecting.insert(connection));
                }
                Output::JoinConnection { connection, .. } => {
                    assert!(connected.contains(&connection));
                }
                Output::MoveClient {
                    client,
                    worker,
                    message,
                } => {
                    assert_ne!(usize::from(worker), node);
                    self.deliver_to(usize::from(worker), client, &message);
                }
                Output::CloseConnection(connection) => {
                    assert!(connecting.remove(&connection) || connected.remove(&connection));
                }
            }
        }
    }

    fn hear(&mut self, node: usize, to: ClientPath, bytes: &[u8], asking: Option<&mut Asking>) {
        let Ok(message) = Message::parse(bytes) else {
            unreachable!("the server made no message: {bytes:?}");
        };
        let client = to.five_tuple.client;
        let is_late = message.method() == Method::CONNECT;
        match (message.class(), asking) {
            (Class::Request, _) => unreachable!("servers ask nothing"),
            (Class::Indication, _) => {
                assert!(self.nodes[node].server.has_allocation(&to.five_tuple));
            }
            (Class::SuccessResponse | Class::ErrorResponse, Some(asking))
                if asking.client == client =>
            {
                asking.answers += 1;
                assert_eq!(asking.transaction, Some(message.transaction_id()));
                assert!(asking.is_signed || bytes.len() <= MAX_UNSIGNED);
                if message.class() == Class::SuccessResponse {
                    self.grant(to, &asking.grants);
                }
            }
            (Class::SuccessResponse | Class::ErrorResponse, _) => {
                assert!(is_late, "an answer to nobody's question");
            }
        }
        if let Some(nonce) = message.attribute(AttributeType::NONCE)
            && let Some(client) = self.clients.iter_mut().find(|c| c.path == to)
        {
            client.nonce = nonce.to_vec();
        }
        let token = message.attribute(AttributeType::RESERVATION_TOKEN);
        self.tokens.extend(token.map(<[u8]>::to_vec));
        self.ids.extend(message.u32(AttributeType::CONNECTION_ID));
    }

    fn grant(&mut self, client: ClientPath, peers: &[IpAddr]) {
        for peer in peers {
            self.granted
                .insert((client.five_tuple.client, *peer), self.now);
        }
    }

    fn is_granted(&self, client: ClientPath, peer: IpAddr) -> bool {
        let at = self.granted.get(&(client.five_tuple.client, peer));
        at.is_some_and(|at| self.now - *at < PERMISSION_LIFETIME)
    }

    /// What has to hold between any two steps.
    fn check(&mut self) {
        let mut made = 0;
        for (index, node) in self.nodes.iter().enumerate() {
            let of_node = self.clients.iter().filter(|c| c.node == index);
            let holders = of_node.filter(|c| node.server.has_allocation(&c.path.five_tuple));
            let allocations = node.server.allocations();
            assert_eq!(holders.count(), allocations);
            let counters = node.server.counters();
            let live = counters.allocations_created - counters.allocations_ended;
            assert_eq!(live, allocations as u64);
            assert!((allocations..=2 * allocations).contains(&node.bound.len()));
            let is_late = |at: Instant| at < self.now;
            assert!(!node.server.poll_timeout().is_some_and(is_late));
            made += allocations;
        }
        let books = self.books.books();
        assert_eq!(books.quota.total() as usize, made + books.reservations());
        drop(books);
        // A permission ends with its allocation.
        let (nodes, clients) = (&self.nodes, &self.clients);
        self.granted.retain(|(client, _), _| {
            let client = clients.iter().find(|c| c.path.five_tuple.client == *client);
            client.is_some_and(|c| nodes[c.node].server.has_allocation(&c.path.five_tuple))
        });
    }

    /// Nobody comes back: everything expires, and nothing is left.
    fn run_out(&mut self) {
        self.pass(Duration::from_secs(4_000));
        self.pass(Duration::from_secs(60));
        for node in &mut self.nodes {
            assert_eq!(node.server.allocations(), 0);
            assert_eq!(node.server.poll_timeout(), None);
            assert!(node.server.poll_output().is_none());
            assert!(node.bound.is_empty());
            assert!(node.connecting.is_empty() && node.connected.is_empty());
        }
        let books = self.books.books();
        assert_eq!((books.quota.total(), books.reservations()), (0, 0));
    }

    /// A peer on the internet, a forbidden one, or a relayed address.
    fn peer(&self, input: &mut Input<'_>) -> SocketAddr {
        let pick = input.byte();
        let sockets = self.nodes.iter().flat_map(|node| node.bound.values());
        let own: Vec<SocketAddr> = sockets.map(|(address, _)| *address).collect();
        match pick % 8 {
            0..=2 => SocketAddr::from(([9, 9, 9, pick % 8], 5000)),
            3 => SocketAddr::from(([10, 0, 0, 1], 22)),
            4 => SocketAddr::from(([0x2606, 0x4700, 0, 0, 0, 0, 0, 1], 53)),
            5 => SocketAddr::new(RELAYS[0], port(pick)),
            _ => {
                let chosen = own.get(usize::from(pick >> 3) % own.len().max(1));
                chosen.copied().unwrap_or(SocketAddr::new(RELAYS[0], 3478))
            }
        }
    }
}

impl Node {
    fn relay(&self, kind: RelayKind, input: &mut Input<'_>) -> Option<RelayId> {
        let of_kind = || self.bound.iter().filter(|(_, (_, k))| *k == kind);
        let index = input.index(of_kind().count());
        of_kind().nth(index).map(|(relay, _)| *relay)
    }
}

impl Asking {
    fn of(path: ClientPath, datagram: &[u8]) -> Self {
        let message = Message::parse(datagram).ok();
        let grants = |message: &Message<'_>| -> Vec<IpAddr> {
            let methods = [Method::CREATE_PERMISSION, Method::CHANNEL_BIND];
            if !methods.contains(&message.method()) {
                return Vec::new();
            }
            let peers = message.xor_addresses(AttributeType::XOR_PEER_ADDRESS);
            peers.flatten().map(|peer| peer.ip()).collect()
        };
        Self {
            client: path.five_tuple.client,
            transaction: message.as_ref().map(Message::transaction_id),
            answers: 0,
            is_signed: message.as_ref().is_some_and(|m| m.integrity().is_some()),
            grants: message.as_ref().map(grants).unwrap_or_default(),
        }
    }
}

/// A verdict without its borrow.
enum Outcome {
    ToPeer {
        relay: RelayId,
        peer: SocketAddr,
        payload: Vec<u8>,
    },
    ToClient {
        client: ClientPath,
        frame: Vec<u8>,
        payload: Vec<u8>,
    },
    ToSibling {
        worker: u16,
        to: RelayPort,
        from: SocketAddr,
        payload: Vec<u8>,
    },
    Nothing,
}

impl Outcome {
    fn of(verdict: Verdict<'_>) -> Self {
        match verdict {
            Verdict::ToPeer {
                relay,
                peer,
                payload,
                ..
            } => Self::ToPeer {
                relay,
                peer,
                payload: payload.to_vec(),
            },
            Verdict::ToClient {
                client,
                header,
                payload,
            } => {
                let padding = vec![0; header.padding()];
                Self::ToClient {
                    client,
                    frame: [header.as_bytes(), payload, &padding].concat(),
                    payload: payload.to_vec(),
                }
            }
            Verdict::ToSibling {
                worker,
                to,
                from,
                payload,
            } => Self::ToSibling {
                worker,
                to,
                from,
                payload: payload.to_vec(),
            },
            Verdict::Consumed | Verdict::Dropped(_) => Self::Nothing,
        }
    }
}

/// The books of both workers.
struct SharedBooks(Mutex<Books>);

impl SharedBooks {
    fn books(&self) -> MutexGuard<'_, Books> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ledger for SharedBooks {
    fn acquire(
        &self,
        now: Instant,
        user: &Arc<str>,
        client: IpAddr,
    ) -> Result<Option<Arc<Bucket>>, QuotaReached> {
        self.books().quota.acquire(now, user, client)
    }

    fn release(&self, user: &Arc<str>, client: IpAddr) {
        self.books().quota.release(user, client);
    }

    fn reserve(&self, token: ReservationToken, reservation: Reservation) {
        self.books().reserve(token, reservation);
    }

    fn claim(&self, token: ReservationToken, user: &str) -> Option<RelayPort> {
        self.books().claim(token, user)
    }

    fn withdraw(&self, token: ReservationToken) -> Option<RelayPort> {
        self.books().withdraw(token)
    }
}

fn options(worker: u16) -> Options {
    let relay_addresses = RELAYS.map(|ip| RelayAddress {
        local: ip,
        announced: ip,
    });
    Options {
        relay_addresses: relay_addresses.into(),
        relay_ports: RELAY_PORTS,
        worker,
        workers: WORKERS,
        default_lifetime: Duration::from_secs(600),
        max_lifetime: Duration::from_secs(3600),
        tcp_relay: true,
        peer_policy: PeerPolicy::new(vec![], peer_policy::recommended(), RELAYS.into()),
        permissions_per_allocation: 3,
        channels_per_allocation: 3,
        budget: BudgetOptions {
            per_prefix: 0,
            total: 0,
        },
        bandwidth: None,
    }
}

fn directory(has_all: bool) -> Arc<Directory> {
    let users = USERS.iter().take(if has_all { 2 } else { 1 });
    Arc::new(Directory::new(auth::Options {
        realm: REALM.to_owned(),
        users: users
            .map(|name| auth::User {
                name: (*name).to_owned(),
                credential: auth::Credential::Key(key(name)),
            })
            .collect(),
        rest_secrets: vec![],
        sessions: None,
    }))
}

fn client(index: usize) -> Client {
    let transport = [Transport::Udp, Transport::Tcp, Transport::Tls][index % 3];
    let port = 4000 + u16::try_from(index).unwrap_or(0);
    let five_tuple = FiveTuple {
        client: SocketAddr::from(([198, 51, 100, 7], port)),
        server: SocketAddr::new(RELAYS[0], 3478),
        transport,
    };
    Client {
        path: ClientPath {
            five_tuple,
            link: LinkId(u32::from(port)),
        },
        node: index % usize::from(WORKERS),
        nonce: Vec::new(),
    }
}

fn key(user: &str) -> LongTermKey {
    long_term_key(PasswordAlgorithm::Md5, user, REALM, user.as_bytes())
}

fn transaction(number: u64) -> TransactionId {
    let mut id = [0; 12];
    id[4..].copy_from_slice(&number.to_be_bytes());
    TransactionId::new(id)
}

fn channel(pick: u8) -> u16 {
    0x3FFF + u16::from(pick % 6)
}

fn port(pick: u8) -> u16 {
    49_999 + u16::from(pick % 18)
}

fn contains(whole: &[u8], part: &[u8]) -> bool {
    part.is_empty() || whole.windows(part.len()).any(|window| window == part)
}

const REALM: &str = "example.org";
const USERS: [&str; 2] = ["alice", "bob"];
const CLIENTS: usize = 8;
const WORKERS: u16 = 2;
const RELAY_PORTS: std::ops::RangeInclusive<u16> = 50_000..=50_015;
const RELAYS: [IpAddr; 2] = [
    IpAddr::V4(std::net::Ipv4Addr::new(203, 0, 113, 1)),
    IpAddr::V6(std::net::Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1)),
];
const LIMITS: QuotaLimits = QuotaLimits {
    per_user: 3,
    per_address: 0,
    total: 0,
    user_bandwidth: 0,
};

/// RFC 8656 section 9.
const PERMISSION_LIFETIME: Duration = Duration::from_secs(300);

/// A challenge with this realm and a nonce.
const MAX_UNSIGNED: usize = 120;

const METHODS: [Method; 8] = [
    Method::ALLOCATE,
    Method::REFRESH,
    Method::CREATE_PERMISSION,
    Method::CHANNEL_BIND,
    Method::CONNECT,
    Method::CONNECTION_BIND,
    Method::CONNECTION_ATTEMPT,
    Method(0x0FF),
];

const ATTRIBUTES: [AttributeType; 16] = [
    AttributeType::XOR_PEER_ADDRESS,
    AttributeType::CHANNEL_NUMBER,
    AttributeType::LIFETIME,
    AttributeType::REQUESTED_TRANSPORT,
    AttributeType::EVEN_PORT,
    AttributeType::RESERVATION_TOKEN,
    AttributeType::REQUESTED_ADDRESS_FAMILY,
    AttributeType::ADDITIONAL_ADDRESS_FAMILY,
    AttributeType::DONT_FRAGMENT,
    AttributeType::CONNECTION_ID,
    AttributeType::DATA,
    AttributeType::USERNAME,
    AttributeType::REALM,
    AttributeType::NONCE,
    AttributeType::PADDING,
    AttributeType(0x7777),
];
