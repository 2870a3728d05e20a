//! Random sequences of requests, data, failures and time, from several clients:
//! whatever happens, what the server holds adds up.

use std::net::SocketAddr;
use std::time::Duration;

use proptest::prelude::*;

use crate::stun::{AttributeType, Method};
use crate::turn::server::RelayOwner;
use crate::turn::tests::sim::*;
use crate::turn::*;

/// One thing that happens.
#[derive(Clone, Debug)]
enum Step {
    Allocate {
        client: usize,
        even: bool,
        reserve: bool,
        dual: bool,
        tcp: bool,
    },
    TakeReserved {
        client: usize,
    },
    Refresh {
        client: usize,
        lifetime: u32,
    },
    Permit {
        client: usize,
        peer: u8,
    },
    Bind {
        client: usize,
        number: u16,
        peer: u8,
    },
    Data {
        client: usize,
        number: u16,
        to: u8,
    },
    FromPeer {
        relay: usize,
        peer: u8,
    },
    Connect {
        client: usize,
        peer: u8,
    },
    ConnectEnds {
        index: usize,
        is_success: bool,
    },
    Disconnect {
        client: usize,
    },
    Occupy {
        port: u16,
    },
    Pass {
        seconds: u64,
    },
    Garbage {
        client: usize,
        bytes: Vec<u8>,
    },
    Reload {
        keeps_bob: bool,
    },
}

const CLIENTS: usize = 6;

fn step() -> impl Strategy<Value = Step> {
    let client = 0..CLIENTS;
    prop_oneof![
        4 => (client.clone(), any::<[bool; 3]>(), prop::bool::weighted(0.2)).prop_map(
            |(client, [even, reserve, dual], tcp)| Step::Allocate { client, even, reserve, dual, tcp }
        ),
        1 => client.clone().prop_map(|client| Step::TakeReserved { client }),
        2 => (client.clone(), prop_oneof![Just(0), 1..4000_u32])
            .prop_map(|(client, lifetime)| Step::Refresh { client, lifetime }),
        3 => (client.clone(), 0..4_u8).prop_map(|(client, peer)| Step::Permit { client, peer }),
        3 => (client.clone(), 0x4000..0x4004_u16, 0..4_u8)
            .prop_map(|(client, number, peer)| Step::Bind { client, number, peer }),
        4 => (client.clone(), 0x4000..0x4004_u16, 0..4_u8)
            .prop_map(|(client, number, to)| Step::Data { client, number, to }),
        3 => (0..8_usize, 0..4_u8).prop_map(|(relay, peer)| Step::FromPeer { relay, peer }),
        1 => (client.clone(), 0..4_u8).prop_map(|(client, peer)| Step::Connect { client, peer }),
        1 => (0..4_usize, any::<bool>())
            .prop_map(|(index, is_success)| Step::ConnectEnds { index, is_success }),
        1 => client.clone().prop_map(|client| Step::Disconnect { client }),
        1 => (50_000..50_016_u16).prop_map(|port| Step::Occupy { port }),
        2 => prop_oneof![1..40_u64, 250..700_u64].prop_map(|seconds| Step::Pass { seconds }),
        2 => (client, prop::collection::vec(any::<u8>(), 0..80))
            .prop_map(|(client, bytes)| Step::Garbage { client, bytes }),
        1 => any::<bool>().prop_map(|keeps_bob| Step::Reload { keeps_bob }),
    ]
}

fn peer(index: u8) -> SocketAddr {
    // The last one is a relayed address that may or may not be in use.
    match index {
        3 => format!("{RELAY_V4}:50004").parse().unwrap(),
        n => SocketAddr::new([9, 9, 9, n].into(), 5000),
    }
}

fn small_range() -> Options {
    Options {
        relay_ports: 50_000..=50_015,
        ..options()
    }
}

struct World {
    sim: Sim,
    clients: Vec<Client>,
    token: Option<Vec<u8>>,
}

impl World {
    fn new() -> Self {
        let mut sim = Sim::with(
            small_range(),
            QuotaLimits {
                per_user: 4,
                ..Default::default()
            },
        );
        let clients = (0..CLIENTS)
            .map(|n| {
                let user = if n % 2 == 0 { ALICE } else { BOB };
                let transport = if n < 3 {
                    Transport::Udp
                } else {
                    Transport::Tcp
                };
                sim.client_over(&format!("192.0.2.1:{}", 4000 + n), user, transport)
            })
            .collect();
        Self {
            sim,
            clients,
            token: None,
        }
    }

    fn signed(
        &mut self,
        client: usize,
        method: Method,
        fill: impl FnOnce(&mut crate::stun::Builder<'_>),
    ) {
        let client = self.clients[client].clone();
        let request = self.sim.build(&client, method, fill);
        self.sim.deliver(client.path, &request);
    }

    fn run(&mut self, step: Step) {
        match step {
            Step::Allocate {
                client,
                even,
                reserve,
                dual,
                tcp,
            } => {
                self.signed(client, Method::ALLOCATE, |b| {
                    b.u32(
                        AttributeType::REQUESTED_TRANSPORT,
                        if tcp { 6 } else { 17 } << 24,
                    );
                    if even {
                        b.attribute(AttributeType::EVEN_PORT, &[if reserve { 0x80 } else { 0 }]);
                    }
                    if dual {
                        b.u32(AttributeType::ADDITIONAL_ADDRESS_FAMILY, 2 << 24);
                    }
                });
            }
            Step::TakeReserved { client } => {
                let Some(token) = self.token.clone() else {
                    return;
                };
                self.signed(client, Method::ALLOCATE, |b| {
                    udp_transport(b);
                    b.attribute(AttributeType::RESERVATION_TOKEN, &token);
                });
            }
            Step::Refresh { client, lifetime } => self.signed(client, Method::REFRESH, |b| {
                b.u32(AttributeType::LIFETIME, lifetime);
            }),
            Step::Permit { client, peer: p } => {
                self.signed(client, Method::CREATE_PERMISSION, |b| {
                    b.xor_address(AttributeType::XOR_PEER_ADDRESS, peer(p));
                });
            }
            Step::Bind {
                client,
                number,
                peer: p,
            } => {
                self.signed(client, Method::CHANNEL_BIND, |b| {
                    b.u32(AttributeType::CHANNEL_NUMBER, u32::from(number) << 16);
                    b.xor_address(AttributeType::XOR_PEER_ADDRESS, peer(p));
                });
            }
            Step::Data { client, number, to } => {
                let path = self.clients[client].path;
                self.sim.deliver(path, &channel_data(number, b"data"));
                let indication = self.sim.send_indication(peer(to), b"data");
                self.sim.deliver(path, &indication);
            }
            Step::FromPeer { relay, peer: p } => {
                if let Some(address) = self.sim.bound.values().nth(relay).map(|bound| bound.0) {
                    self.sim.deliver_from_peer(address, peer(p), b"data");
                }
            }
            rare @ (Step::Connect { .. }
            | Step::ConnectEnds { .. }
            | Step::Disconnect { .. }
            | Step::Occupy { .. }
            | Step::Pass { .. }
            | Step::Garbage { .. }
            | Step::Reload { .. }) => self.run_rare(rare),
        }
        for (path, message) in std::mem::take(&mut self.sim.sent) {
            self.hear(path, message);
        }
    }

    fn run_rare(&mut self, step: Step) {
        match step {
            Step::Connect { client, peer: p } => self.signed(client, Method::CONNECT, |b| {
                b.xor_address(AttributeType::XOR_PEER_ADDRESS, peer(p));
            }),
            Step::ConnectEnds { index, is_success } => {
                if index < self.sim.connects.len() {
                    let (connection, ..) = self.sim.connects.remove(index);
                    let now = self.sim.now;
                    if is_success {
                        self.sim.server.handle_peer_connected(now, connection);
                    } else {
                        self.sim.server.handle_peer_failed(now, connection);
                    }
                    self.sim.carry_out();
                }
            }
            Step::Disconnect { client } => {
                let five_tuple = self.clients[client].path.five_tuple;
                self.sim
                    .server
                    .handle_client_closed(self.sim.now, five_tuple);
                self.sim.carry_out();
            }
            Step::Occupy { port } => {
                let address = format!("{RELAY_V4}:{port}").parse().unwrap();
                if !self.sim.occupied.remove(&address) {
                    self.sim.occupied.insert(address);
                }
            }
            Step::Pass { seconds } => self.sim.pass(Duration::from_secs(seconds)),
            Step::Garbage { client, bytes } => {
                let path = self.clients[client].path;
                self.sim.deliver(path, &bytes);
            }
            Step::Reload { keeps_bob } => {
                let users: &[&str] = if keeps_bob { &[ALICE, BOB] } else { &[ALICE] };
                self.sim
                    .server
                    .reconfigure(self.sim.now, small_range(), directory(users));
                self.sim.carry_out();
            }
            Step::Allocate { .. }
            | Step::TakeReserved { .. }
            | Step::Refresh { .. }
            | Step::Permit { .. }
            | Step::Bind { .. }
            | Step::Data { .. }
            | Step::FromPeer { .. } => unreachable!("handled by run"),
        }
    }

    /// Keeps the nonces fresh and remembers reservation tokens.
    fn hear(&mut self, path: ClientPath, message: Vec<u8>) {
        let answer = Answer(message);
        if let Some(nonce) = answer.message().attribute(AttributeType::NONCE)
            && let Some(client) = self.clients.iter_mut().find(|c| c.path == path)
        {
            client.nonce = nonce.to_vec();
        }
        if let Some(token) = answer.message().attribute(AttributeType::RESERVATION_TOKEN) {
            self.token = Some(token.to_vec());
        }
    }

    fn check(&self) {
        let server = &self.sim.server;
        // Nothing waits that the driver did not see; every relay has its socket.
        assert!(server.outputs.is_empty());
        assert_eq!(server.relays.len(), self.sim.bound.len());
        assert_eq!(server.by_port.len(), server.relays.len());
        assert_eq!(server.by_client.len(), server.allocations.len());
        // Every relay belongs to an allocation that knows it, or is reserved.
        let owned: usize = server.allocations.iter().map(|(_, a)| a.relays.len()).sum();
        assert_eq!(owned, server.relays.len());
        for (key, allocation) in &server.allocations {
            assert!(allocation.is_live());
            assert!(allocation.expires_at > self.sim.now);
            for (_, relay) in &allocation.relays {
                let owner = server.relays[relay.0 as usize].owner;
                assert_eq!(owner, RelayOwner::Allocation(key));
            }
            for id in &allocation.connections {
                assert_eq!(server.connections[id].allocation, key);
            }
        }
        let connections: usize = server
            .allocations
            .iter()
            .map(|(_, a)| a.connections.len())
            .sum();
        assert_eq!(connections, server.connections.len());
        // What can expire has a timer.
        let is_idle = server.allocations.is_empty() && self.sim.reservations() == 0;
        assert!(is_idle || server.poll_timeout().is_some());
        let made = server.counters().allocations_created - server.counters().allocations_ended;
        assert_eq!(made, server.allocations.len() as u64);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(debug_assertions) { 192 } else { 2_000 }))]

    #[test]
    fn whatever_happens_the_books_balance(steps in prop::collection::vec(step(), 1..80)) {
        let mut world = World::new();
        for step in steps {
            world.run(step);
            world.check();
        }
        // In the end, with everybody gone, nothing is left.
        world.sim.pass(Duration::from_secs(4_000));
        assert!(world.sim.bound.is_empty());
        assert!(world.sim.server.connections.is_empty());
        assert_eq!(world.sim.server.poll_timeout(), None);
        assert_eq!(world.sim.reservations(), 0);
        let ports = std::sync::Arc::clone(&world.sim.server.relay_ports);
        for address in 0..2 {
            let mut rng = <rand::rngs::StdRng as rand::SeedableRng>::seed_from_u64(0);
            let free = std::iter::from_fn(|| {
                ports.take(0, address, relay_ports::PortWish::Any, &mut rng)
            });
            assert_eq!(free.count(), 16);
        }
    }
}
