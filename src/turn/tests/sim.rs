//! A driver without sockets: it binds what is free, keeps what is sent, and
//! moves time by hand.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use crate::auth::{self, Directory};
use crate::stun::{
    AttributeType, Builder, Class, IntegrityAlgorithm, LongTermKey, Message, Method,
    PasswordAlgorithm, TransactionId, long_term_key,
};
use crate::turn::*;
use crate::unix_time::UnixTime;

pub(super) const REALM: &str = "example.org";
pub(super) const ALICE: &str = "alice";
pub(super) const BOB: &str = "bob";
pub(super) const PEER: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(9, 9, 9, 9)), 5000);
pub(super) const RELAY_V4: &str = "203.0.113.1";
pub(super) const RELAY_V6: &str = "2001:db8::1";

/// The server, and the world around it.
pub(super) struct Sim {
    pub(super) now: Instant,
    pub(super) unix_now: UnixTime,
    pub(super) server: Server,
    together: Together,
    /// Relay sockets that are open.
    pub(super) bound: BTreeMap<RelayId, (SocketAddr, RelayKind)>,
    /// Addresses that another program holds.
    pub(super) occupied: BTreeSet<SocketAddr>,
    /// Messages to clients, oldest first.
    pub(super) sent: Vec<(ClientPath, Vec<u8>)>,
    pub(super) connects: Vec<(ConnectionId, SocketAddr, SocketAddr)>,
    pub(super) joins: Vec<(ConnectionId, ClientPath)>,
    pub(super) closed_connections: Vec<ConnectionId>,
    /// Messages that other workers should take up.
    pub(super) moved: Vec<(u16, Vec<u8>)>,
    next_transaction: Cell<u64>,
}

/// A client with its credential and what the server told it.
#[derive(Clone)]
pub(super) struct Client {
    pub(super) path: ClientPath,
    pub(super) user: &'static str,
    pub(super) nonce: Vec<u8>,
}

/// A response, owned.
pub(super) struct Answer(pub(super) Vec<u8>);

struct TestLedger(Mutex<Books>);

impl TestLedger {
    fn books(&self) -> MutexGuard<'_, Books> {
        self.0.lock().unwrap()
    }
}

impl Ledger for TestLedger {
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

/// What workers of one process share.
#[derive(Clone)]
pub(super) struct Together {
    ports: Arc<RelayPorts>,
    ledger: Arc<TestLedger>,
}

impl Together {
    pub(super) fn new(options: &Options, limits: QuotaLimits) -> Self {
        Self {
            ports: Arc::new(RelayPorts::new(
                options.relay_addresses.clone(),
                options.relay_ports.clone(),
                options.workers,
            )),
            ledger: Arc::new(TestLedger(Mutex::new(Books::new(QuotaTable::new(limits))))),
        }
    }
}

pub(super) fn options() -> Options {
    let relay = |ip: &str| RelayAddress {
        local: ip.parse().unwrap(),
        announced: ip.parse().unwrap(),
    };
    let addresses = vec![relay(RELAY_V4), relay(RELAY_V6)];
    let own = addresses.iter().map(|a| a.local).collect();
    Options {
        relay_addresses: addresses,
        relay_ports: 50_000..=50_099,
        worker: 0,
        workers: 1,
        default_lifetime: Duration::from_secs(600),
        max_lifetime: Duration::from_secs(3600),
        tcp_relay: true,
        peer_policy: PeerPolicy::new(vec![], peer_policy::recommended(), own),
        permissions_per_allocation: 64,
        channels_per_allocation: 64,
        budget: BudgetOptions {
            per_prefix: 0,
            total: 0,
        },
        bandwidth: None,
    }
}

pub(super) fn directory(users: &[&str]) -> Arc<Directory> {
    let user = |name: &&str| auth::User {
        name: (*name).to_owned(),
        credential: auth::Credential::Password(password(name).as_str().into()),
    };
    Arc::new(Directory::new(auth::Options {
        realm: REALM.to_owned(),
        users: users.iter().map(user).collect(),
        rest_secrets: vec![],
        sessions: None,
    }))
}

/// Signs the credentials of users whose name has the form `expiry:session-...`.
pub(super) const SESSION_SECRET: &str = "known to this server only";

fn password(user: &str) -> String {
    let Some((expires, session)) = user.split_once(':').filter(|(_, s)| is_session(s)) else {
        return format!("password of {user}");
    };
    let expires = UnixTime(expires.parse().unwrap());
    auth::issue(
        &SESSION_SECRET.into(),
        Some(session),
        expires,
        Duration::ZERO,
    )
    .password
}

fn is_session(user: &str) -> bool {
    user.starts_with("session-")
}

impl Sim {
    pub(super) fn new() -> Self {
        Self::with(options(), QuotaLimits::default())
    }

    pub(super) fn with(options: Options, limits: QuotaLimits) -> Self {
        let together = Together::new(&options, limits);
        Self::beside(crate::clock::now(), options, together)
    }

    pub(super) fn beside(now: Instant, options: Options, together: Together) -> Self {
        let shared = Shared {
            directory: directory(&[ALICE, BOB]),
            nonce: NonceKey::new(now, &[1; 32]),
            ledger: Arc::clone(&together.ledger) as Arc<dyn Ledger>,
            relay_ports: Arc::clone(&together.ports),
        };
        Self {
            now,
            unix_now: UnixTime(1_800_000_000),
            server: Server::new(now, options, shared, [7; 32]),
            together,
            bound: BTreeMap::new(),
            occupied: BTreeSet::new(),
            sent: Vec::new(),
            connects: Vec::new(),
            joins: Vec::new(),
            closed_connections: Vec::new(),
            moved: Vec::new(),
            next_transaction: Cell::new(1),
        }
    }

    /// Returns how many reservations wait.
    pub(super) fn reservations(&self) -> usize {
        self.together.ledger.books().reservations()
    }

    pub(super) fn pass(&mut self, span: Duration) {
        self.now += span;
        self.unix_now = self.unix_now.plus(span);
        self.server.handle_timeout(self.now);
        self.carry_out();
    }

    /// Gives the server a datagram; returns what the verdict was, owned.
    pub(super) fn deliver(&mut self, from: ClientPath, datagram: &[u8]) -> Outcome {
        let verdict = self
            .server
            .handle_client_datagram(self.now, self.unix_now, from, datagram);
        let outcome = Outcome::of(&verdict);
        self.carry_out();
        outcome
    }

    pub(super) fn deliver_from_peer(
        &mut self,
        relayed: SocketAddr,
        peer: SocketAddr,
        payload: &[u8],
    ) -> Outcome {
        let relay = self.relay_at(relayed);
        Outcome::of(
            &self
                .server
                .handle_peer_datagram(self.now, relay, peer, payload),
        )
    }

    pub(super) fn relay_at(&self, relayed: SocketAddr) -> RelayId {
        *self
            .bound
            .iter()
            .find(|(_, (address, _))| *address == relayed)
            .unwrap()
            .0
    }

    pub(super) fn carry_out(&mut self) {
        while let Some(output) = self.server.poll_output() {
            match output {
                Output::Send { client, message } => self.sent.push((client, message)),
                Output::BindRelay {
                    relay,
                    address,
                    kind,
                } => {
                    let is_taken = self.occupied.contains(&address)
                        || self.bound.values().any(|bound| *bound == (address, kind));
                    if is_taken {
                        self.server.handle_relay_failed(self.now, relay);
                    } else {
                        assert!(self.bound.insert(relay, (address, kind)).is_none());
                        self.server.handle_relay_bound(self.now, relay);
                    }
                }
                Output::CloseRelay(relay) => assert!(self.bound.remove(&relay).is_some()),
                Output::ConnectPeer {
                    connection,
                    local,
                    peer,
                } => {
                    self.connects.push((connection, local, peer));
                }
                Output::JoinConnection { connection, client } => {
                    self.joins.push((connection, client));
                }
                Output::CloseConnection(connection) => self.closed_connections.push(connection),
                Output::MoveClient {
                    worker, message, ..
                } => self.moved.push((worker, message)),
            }
        }
    }

    /// Takes the only answer that is waiting.
    pub(super) fn answer(&mut self) -> Answer {
        assert_eq!(self.sent.len(), 1, "one answer");
        Answer(self.sent.remove(0).1)
    }

    pub(super) fn transaction(&self) -> TransactionId {
        let number = self.next_transaction.get();
        self.next_transaction.set(number + 1);
        let mut id = [0; 12];
        id[4..].copy_from_slice(&number.to_be_bytes());
        TransactionId::new(id)
    }

    /// Sends a signed request and takes its answer.
    pub(super) fn request(
        &mut self,
        client: &Client,
        method: Method,
        fill: impl FnOnce(&mut Builder<'_>),
    ) -> Answer {
        let request = self.build(client, method, fill);
        self.deliver(client.path, &request);
        self.answer()
    }

    pub(super) fn build(
        &self,
        client: &Client,
        method: Method,
        fill: impl FnOnce(&mut Builder<'_>),
    ) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut builder = Builder::new(&mut bytes, Class::Request, method, self.transaction());
        fill(&mut builder);
        builder.attribute(AttributeType::USERNAME, client.user.as_bytes());
        builder.attribute(AttributeType::REALM, REALM.as_bytes());
        builder.attribute(AttributeType::NONCE, &client.nonce);
        builder.integrity(IntegrityAlgorithm::Sha1, client.key().as_bytes());
        bytes
    }

    /// A client at `address` that has a nonce but no allocation.
    pub(super) fn client(&mut self, address: &str, user: &'static str) -> Client {
        self.client_over(address, user, Transport::Udp)
    }

    pub(super) fn client_over(
        &mut self,
        address: &str,
        user: &'static str,
        transport: Transport,
    ) -> Client {
        let five_tuple = FiveTuple {
            client: address.parse().unwrap(),
            server: "203.0.113.1:3478".parse().unwrap(),
            transport,
        };
        let path = ClientPath {
            five_tuple,
            link: LinkId(0),
        };
        self.challenged(path, user)
    }

    /// A client with a nonce for its path that was made just now.
    pub(super) fn challenged(&mut self, path: ClientPath, user: &'static str) -> Client {
        let mut bytes = Vec::new();
        Builder::new(
            &mut bytes,
            Class::Request,
            Method::ALLOCATE,
            self.transaction(),
        );
        self.deliver(path, &bytes);
        let challenge = self.answer();
        let nonce = challenge.message().attribute(AttributeType::NONCE);
        let nonce = nonce.unwrap().to_vec();
        Client { path, user, nonce }
    }

    /// A client with a UDP allocation; also returns its relayed address.
    pub(super) fn allocated(&mut self, address: &str, user: &'static str) -> (Client, SocketAddr) {
        let client = self.client(address, user);
        let answer = self.request(&client, Method::ALLOCATE, udp_transport);
        (client, answer.relayed())
    }

    pub(super) fn permit(&mut self, client: &Client, peer: SocketAddr) {
        let answer = self.request(client, Method::CREATE_PERMISSION, |b| {
            b.xor_address(AttributeType::XOR_PEER_ADDRESS, peer);
        });
        answer.expect_success();
    }

    pub(super) fn bind_channel(
        &mut self,
        client: &Client,
        number: u16,
        peer: SocketAddr,
    ) -> Answer {
        self.request(client, Method::CHANNEL_BIND, |b| {
            b.u32(AttributeType::CHANNEL_NUMBER, u32::from(number) << 16);
            b.xor_address(AttributeType::XOR_PEER_ADDRESS, peer);
        })
    }

    pub(super) fn send_indication(&self, peer: SocketAddr, payload: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        Builder::new(
            &mut bytes,
            Class::Indication,
            Method::SEND,
            self.transaction(),
        )
        .xor_address(AttributeType::XOR_PEER_ADDRESS, peer)
        .attribute(AttributeType::DATA, payload);
        bytes
    }
}

pub(super) fn udp_transport(builder: &mut Builder<'_>) {
    builder.u32(AttributeType::REQUESTED_TRANSPORT, 17 << 24);
}

pub(super) fn channel_data(number: u16, payload: &[u8]) -> Vec<u8> {
    let mut bytes = number.to_be_bytes().to_vec();
    bytes.extend(u16::try_from(payload.len()).unwrap().to_be_bytes());
    bytes.extend(payload);
    bytes
}

impl Client {
    pub(super) fn key(&self) -> LongTermKey {
        let password = password(self.user);
        long_term_key(
            PasswordAlgorithm::Md5,
            self.user,
            REALM,
            password.as_bytes(),
        )
    }
}

impl Answer {
    pub(super) fn message(&self) -> Message<'_> {
        Message::parse(&self.0).unwrap()
    }

    pub(super) fn code(&self) -> Option<u16> {
        self.message().error_code().map(|(code, _)| code)
    }

    pub(super) fn expect_success(&self) {
        assert_eq!(self.code(), None);
        assert_eq!(self.message().class(), Class::SuccessResponse);
    }

    pub(super) fn relayed(&self) -> SocketAddr {
        self.expect_success();
        self.message()
            .xor_address(AttributeType::XOR_RELAYED_ADDRESS)
            .unwrap()
    }

    pub(super) fn lifetime(&self) -> u32 {
        self.message().u32(AttributeType::LIFETIME).unwrap()
    }
}

/// A verdict without its borrow.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Outcome {
    ToPeer(RelayId, SocketAddr, Vec<u8>),
    /// The whole datagram or frame.
    ToClient(SocketAddr, Vec<u8>),
    ToSibling(u16, RelayPort, SocketAddr, Vec<u8>),
    Consumed,
    Dropped(DropReason),
}

impl Outcome {
    pub(super) fn of(verdict: &Verdict<'_>) -> Self {
        match verdict {
            Verdict::ToPeer {
                relay,
                peer,
                payload,
                ..
            } => Self::ToPeer(*relay, *peer, payload.to_vec()),
            Verdict::ToClient {
                client,
                header,
                payload,
            } => {
                let mut bytes = header.as_bytes().to_vec();
                bytes.extend_from_slice(payload);
                bytes.extend(std::iter::repeat_n(0, header.padding()));
                Self::ToClient(client.five_tuple.client, bytes)
            }
            Verdict::ToSibling {
                worker,
                to,
                from,
                payload,
            } => Self::ToSibling(*worker, *to, *from, payload.to_vec()),
            Verdict::Consumed => Self::Consumed,
            Verdict::Dropped(reason) => Self::Dropped(*reason),
        }
    }
}
