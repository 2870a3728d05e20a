//! A sequence of datagrams, failures and time into a whole `turn::Server`.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use turnstone::auth::{self, Directory};
use turnstone::clock;
use turnstone::stun::{
    AttributeType, Builder, Class, IntegrityAlgorithm, Message, Method, PasswordAlgorithm,
    TransactionId, long_term_key,
};
use turnstone::turn::*;
use turnstone::unix_time::UnixTime;
use turnstone::worker::SharedLedger;

/// The bytes are a program: each step takes an opcode, a client and what it needs.
pub(crate) fn turn_server(data: &[u8]) {
    let mut world = World::new();
    let mut input = Input(data);
    for _ in 0..MAX_STEPS {
        let (Some(op), Some(who)) = (input.byte(), input.byte()) else {
            break;
        };
        world.step(op, usize::from(who) % CLIENTS, &mut input);
        world.check();
    }
    // With everybody gone nothing is left.
    world.pass(Duration::from_secs(4_000));
    assert!(world.bound.is_empty(), "relay sockets stay open");
    assert_eq!(world.server.allocations(), 0);
    assert_eq!(world.server.poll_timeout(), None);
}

const CLIENTS: usize = 4;
const MAX_STEPS: usize = 200;
const REALM: &str = "example.org";
const PASSWORD: &[u8] = b"password";

struct World {
    now: Instant,
    unix_now: UnixTime,
    server: Server,
    bound: BTreeMap<RelayId, SocketAddr>,
    clients: Vec<ClientPath>,
    nonces: Vec<Vec<u8>>,
    connections: Vec<ConnectionId>,
    binds_fail: bool,
    transaction: u64,
}

struct Input<'d>(&'d [u8]);

impl Input<'_> {
    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    fn number(&mut self) -> u8 {
        self.byte().unwrap_or(0)
    }

    fn bytes(&mut self) -> Vec<u8> {
        let len = usize::from(self.number()).min(self.0.len());
        let (taken, rest) = self.0.split_at(len);
        self.0 = rest;
        taken.to_vec()
    }
}

impl World {
    fn new() -> Self {
        let now = clock::now();
        let relay = |ip: &str| {
            let ip: IpAddr = ip.parse().expect("an address");
            RelayAddress {
                local: ip,
                announced: ip,
            }
        };
        let addresses = vec![relay("203.0.113.1"), relay("2001:db8::1")];
        let ports = 50_000..=50_015;
        let options = Options {
            peer_policy: PeerPolicy::new(
                vec![],
                peer_policy::recommended(),
                addresses.iter().map(|a| a.local).collect(),
            ),
            relay_addresses: addresses.clone(),
            relay_ports: ports.clone(),
            worker: 0,
            workers: 2,
            default_lifetime: Duration::from_secs(600),
            max_lifetime: Duration::from_secs(3600),
            tcp_relay: true,
            permissions_per_allocation: 4,
            channels_per_allocation: 4,
            budget: BudgetOptions {
                per_prefix: 0,
                total: 0,
            },
            bandwidth: None,
        };
        let shared = Shared {
            directory: directory(),
            nonce: NonceKey::new(now, &[1; 32]),
            ledger: Arc::new(SharedLedger::new(QuotaLimits {
                per_user: 3,
                ..Default::default()
            })),
            relay_ports: Arc::new(RelayPorts::new(addresses, ports, 2)),
        };
        let transports = [
            Transport::Udp,
            Transport::Udp,
            Transport::Tcp,
            Transport::Tls,
        ];
        let clients = (0..).zip(transports).map(|(n, transport)| ClientPath {
            five_tuple: FiveTuple {
                client: SocketAddr::new([192, 0, 2, 1 + n].into(), 4000),
                server: "203.0.113.1:3478".parse().expect("an address"),
                transport,
            },
            link: LinkId(u32::from(n)),
        });
        Self {
            now,
            unix_now: UnixTime(1_800_000_000),
            server: Server::new(now, options, shared, [7; 32]),
            bound: BTreeMap::new(),
            clients: clients.collect(),
            nonces: vec![Vec::new(); CLIENTS],
            connections: Vec::new(),
            binds_fail: false,
            transaction: 0,
        }
    }

    fn step(&mut self, op: u8, who: usize, input: &mut Input<'_>) {
        match op % 12 {
            0 => {
                let bytes = input.bytes();
                self.deliver(who, &bytes);
            }
            1..=4 => {
                let request = self.request(input, who);
                self.deliver(who, &request);
            }
            5 => {
                let mut bytes = (0x4000 + u16::from(input.number() % 4))
                    .to_be_bytes()
                    .to_vec();
                let payload = input.bytes();
                bytes.extend(u16::try_from(payload.len()).unwrap_or(0).to_be_bytes());
                bytes.extend(payload);
                self.deliver(who, &bytes);
            }
            6 => {
                let (peer, payload) = (peer(input.number()), input.bytes());
                let nth = usize::from(input.number()) % self.bound.len().max(1);
                if let Some(relay) = self.bound.keys().nth(nth).copied() {
                    let _ = self
                        .server
                        .handle_peer_datagram(self.now, relay, peer, &payload);
                    let (icmp_type, code) = (input.number(), input.number());
                    let error = IcmpError {
                        peer,
                        icmp_type,
                        code,
                        data: 0,
                    };
                    self.server.handle_icmp_error(self.now, relay, error);
                    if let Some(id) = self.server.handle_peer_connection(self.now, relay, peer) {
                        self.connections.push(id);
                    }
                }
            }
            7 => self.pass(Duration::from_secs(u64::from(input.number()) * 4)),
            8 => self.binds_fail = input.number().is_multiple_of(2),
            9 => {
                let to = RelayPort {
                    address: 0,
                    port: 50_000 + u16::from(input.number() % 16),
                };
                let (from, payload) = (peer(input.number()), input.bytes());
                let _ = self
                    .server
                    .handle_sibling_datagram(self.now, to, from, &payload);
            }
            10 => self
                .server
                .handle_client_closed(self.now, self.clients[who].five_tuple),
            _ => {
                let Some(id) = self.connections.pop() else {
                    return;
                };
                match input.number() % 4 {
                    0 => self.server.handle_peer_connected(self.now, id),
                    1 => self.server.handle_peer_failed(self.now, id),
                    2 => self.server.handle_connection_closed(id),
                    _ => drop(self.server.handle_connection_data(self.now, id, true, 1)),
                }
                self.connections.push(id);
            }
        }
        self.carry_out();
    }

    /// A signed request of any method, with attributes that are mostly right.
    fn request(&mut self, input: &mut Input<'_>, who: usize) -> Vec<u8> {
        const METHODS: [Method; 7] = [
            Method::ALLOCATE,
            Method::REFRESH,
            Method::CREATE_PERMISSION,
            Method::CHANNEL_BIND,
            Method::CONNECT,
            Method::CONNECTION_BIND,
            Method::SEND,
        ];
        let method = METHODS[usize::from(input.number()) % METHODS.len()];
        let class = if method == Method::SEND {
            Class::Indication
        } else {
            Class::Request
        };
        let mut id = [0; 12];
        self.transaction += 1;
        id[4..].copy_from_slice(&self.transaction.to_be_bytes());
        let mut bytes = Vec::new();
        let mut builder = Builder::new(&mut bytes, class, method, TransactionId::new(id));
        for _ in 0..input.number() % 6 {
            let value = input.number();
            let high = u32::from(value) << 24;
            match input.number() % 11 {
                0 => builder.u32(AttributeType::REQUESTED_TRANSPORT, high),
                1 => builder.u32(AttributeType::REQUESTED_TRANSPORT, 17 << 24),
                2 => builder.xor_address(AttributeType::XOR_PEER_ADDRESS, peer(value)),
                3 => builder.u32(
                    AttributeType::CHANNEL_NUMBER,
                    (0x4000 + u32::from(value % 4)) << 16,
                ),
                4 => builder.u32(AttributeType::LIFETIME, u32::from(value) * 20),
                5 => builder.attribute(AttributeType::EVEN_PORT, &[value]),
                6 => builder.u32(AttributeType::REQUESTED_ADDRESS_FAMILY, high),
                7 => builder.u32(AttributeType::ADDITIONAL_ADDRESS_FAMILY, high),
                8 => builder.attribute(AttributeType::DATA, &input.bytes()),
                9 => match self.connections.first() {
                    Some(id) => builder.u32(AttributeType::CONNECTION_ID, id.0),
                    None => builder.u32(AttributeType::CONNECTION_ID, high),
                },
                _ => {
                    let kind = u16::from_be_bytes([value & 0x80, input.number()]);
                    builder.attribute(AttributeType(kind), &input.bytes())
                }
            };
        }
        if class == Class::Request {
            let user = if input.number().is_multiple_of(8) {
                "bob"
            } else {
                "alice"
            };
            let key = long_term_key(PasswordAlgorithm::Md5, user, REALM, PASSWORD);
            builder.attribute(AttributeType::USERNAME, user.as_bytes());
            builder.attribute(AttributeType::REALM, REALM.as_bytes());
            builder.attribute(AttributeType::NONCE, &self.nonces[who]);
            builder.integrity(IntegrityAlgorithm::Sha1, key.as_bytes());
        }
        bytes
    }

    fn deliver(&mut self, who: usize, bytes: &[u8]) {
        let path = self.clients[who];
        let is_stranger = !self.server.has_allocation(&path.five_tuple);
        let verdict = self
            .server
            .handle_client_datagram(self.now, self.unix_now, path, bytes);
        if is_stranger {
            let relays = matches!(
                verdict,
                Verdict::ToPeer { .. } | Verdict::ToClient { .. } | Verdict::ToSibling { .. }
            );
            assert!(!relays, "relayed without an allocation");
        }
        // Whatever was asked is answered to the one who asked.
        let answered = self.carry_out();
        assert!(
            answered.iter().all(|to| *to == path),
            "answered somebody else"
        );
    }

    fn pass(&mut self, span: Duration) {
        self.now += span;
        self.unix_now = self.unix_now.plus(span);
        self.server.handle_timeout(self.now);
        self.carry_out();
    }

    fn carry_out(&mut self) -> Vec<ClientPath> {
        let mut answered = Vec::new();
        while let Some(output) = self.server.poll_output() {
            match output {
                Output::Send { client, message } => {
                    let parsed = Message::parse(&message).expect("we send what we can read");
                    if let Some(nonce) = parsed.attribute(AttributeType::NONCE)
                        && let Some(who) = self.clients.iter().position(|path| *path == client)
                    {
                        self.nonces[who] = nonce.to_vec();
                    }
                    answered.push(client);
                }
                Output::BindRelay { relay, .. } if self.binds_fail => {
                    self.server.handle_relay_failed(self.now, relay);
                }
                Output::BindRelay { relay, address, .. } => {
                    let was = self.bound.insert(relay, address);
                    assert!(was.is_none(), "a relay id in use is given again");
                    self.server.handle_relay_bound(self.now, relay);
                }
                Output::CloseRelay(relay) => {
                    assert!(self.bound.remove(&relay).is_some(), "closed twice");
                }
                Output::ConnectPeer { connection, .. } => self.connections.push(connection),
                Output::CloseConnection(_)
                | Output::JoinConnection { .. }
                | Output::MoveClient { .. } => {}
            }
        }
        answered
    }

    fn check(&self) {
        assert!(self.server.allocations() <= CLIENTS);
        assert!(self.bound.len() <= 2 * self.server.allocations());
        let counters = self.server.counters();
        let live = counters.allocations_created - counters.allocations_ended;
        assert_eq!(live, self.server.allocations() as u64);
    }
}

fn peer(value: u8) -> SocketAddr {
    let text = match value % 6 {
        0 => "9.9.9.9:5000",
        1 => "9.9.9.8:5000",
        2 => "[2a00::9]:5000",
        3 => "127.0.0.1:80",
        4 => "203.0.113.1:50002",
        _ => "203.0.113.1:50012",
    };
    text.parse().expect("an address")
}

fn directory() -> Arc<Directory> {
    let user = |name: &str| auth::User {
        name: name.to_owned(),
        credential: auth::Credential::Password("password".into()),
    };
    Arc::new(Directory::new(auth::Options {
        realm: REALM.to_owned(),
        users: vec![user("alice"), user("bob")],
        rest_secrets: vec![],
    }))
}
