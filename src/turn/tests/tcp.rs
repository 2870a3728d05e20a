//! TCP relaying (RFC 6062).

use std::net::SocketAddr;
use std::time::Duration;

use crate::stun::{AttributeType, Builder, Method};
use crate::turn::tests::sim::*;
use crate::turn::*;

fn tcp_transport(builder: &mut Builder<'_>) {
    builder.u32(AttributeType::REQUESTED_TRANSPORT, 6 << 24);
}

fn tcp_allocated(sim: &mut Sim, address: &str) -> (Client, SocketAddr) {
    let client = sim.client_over(address, ALICE, Transport::Tcp);
    let relayed = sim
        .request(&client, Method::ALLOCATE, tcp_transport)
        .relayed();
    (client, relayed)
}

fn connect(sim: &mut Sim, client: &Client, peer: SocketAddr) {
    let request = sim.build(client, Method::CONNECT, |b| {
        b.xor_address(AttributeType::XOR_PEER_ADDRESS, peer);
    });
    sim.deliver(client.path, &request);
}

fn bind(sim: &mut Sim, client: &Client, id: u32) -> Option<u16> {
    let answer = sim.request(client, Method::CONNECTION_BIND, |b| {
        b.u32(AttributeType::CONNECTION_ID, id);
    });
    answer.code()
}

#[test]
fn a_connect_is_answered_when_the_peer_is_reached_and_then_bound_once() {
    let mut sim = Sim::new();
    let (alice, relayed) = tcp_allocated(&mut sim, "192.0.2.1:4000");
    connect(&mut sim, &alice, PEER);
    assert!(sim.sent.is_empty());
    let (connection, local, peer) = sim.connects[0];
    assert_eq!((local, peer), (relayed, PEER));
    sim.server.handle_peer_connected(sim.now, connection);
    sim.carry_out();
    let id = sim
        .answer()
        .message()
        .u32(AttributeType::CONNECTION_ID)
        .unwrap();
    assert_eq!(ConnectionId(id), connection);

    let data = sim.client_over("192.0.2.1:4001", ALICE, Transport::Tcp);
    assert_eq!(bind(&mut sim, &data, id ^ 1), Some(400));
    assert_eq!(bind(&mut sim, &data, id), None);
    assert_eq!(sim.joins, [(connection, data.path)]);
    assert_eq!(bind(&mut sim, &data, id), Some(400));
}

#[test]
fn a_second_connect_to_the_same_peer_is_446_and_a_denied_one_403() {
    let mut sim = Sim::new();
    let (alice, _) = tcp_allocated(&mut sim, "192.0.2.1:4000");
    connect(&mut sim, &alice, PEER);
    connect(&mut sim, &alice, PEER);
    assert_eq!(sim.answer().code(), Some(446));
    connect(&mut sim, &alice, "10.0.0.1:22".parse().unwrap());
    assert_eq!(sim.answer().code(), Some(403));
}

#[test]
fn a_peer_that_cannot_be_reached_is_447() {
    let mut sim = Sim::new();
    let (alice, _) = tcp_allocated(&mut sim, "192.0.2.1:4000");
    connect(&mut sim, &alice, PEER);
    let (connection, ..) = sim.connects[0];
    sim.server.handle_peer_failed(sim.now, connection);
    sim.carry_out();
    assert_eq!(sim.answer().code(), Some(447));

    connect(&mut sim, &alice, PEER);
    sim.pass(Duration::from_secs(30));
    assert_eq!(sim.answer().code(), Some(447));
    assert_eq!(sim.closed_connections, [sim.connects[1].0]);
}

#[test]
fn a_peer_may_connect_when_it_has_a_permission() {
    let mut sim = Sim::new();
    let (alice, relayed) = tcp_allocated(&mut sim, "192.0.2.1:4000");
    let relay = sim.relay_at(relayed);
    assert_eq!(
        sim.server.handle_peer_connection(sim.now, relay, PEER),
        None
    );
    sim.permit(&alice, PEER);
    let connection = sim
        .server
        .handle_peer_connection(sim.now, relay, PEER)
        .unwrap();
    sim.carry_out();
    let attempt = sim.answer();

    assert_eq!(attempt.message().method(), Method::CONNECTION_ATTEMPT);
    assert_eq!(
        attempt
            .message()
            .xor_address(AttributeType::XOR_PEER_ADDRESS),
        Some(PEER)
    );
    let id = attempt.message().u32(AttributeType::CONNECTION_ID).unwrap();
    assert_eq!(ConnectionId(id), connection);
    sim.pass(Duration::from_secs(30));
    assert_eq!(sim.closed_connections, [connection]);
}

#[test]
fn peer_connections_end_with_their_allocation() {
    let mut sim = Sim::new();
    let (alice, _) = tcp_allocated(&mut sim, "192.0.2.1:4000");
    connect(&mut sim, &alice, PEER);
    let (connection, ..) = sim.connects[0];
    sim.server.handle_peer_connected(sim.now, connection);
    sim.carry_out();
    sim.sent.clear();
    sim.server
        .handle_client_closed(sim.now, alice.path.five_tuple);
    sim.carry_out();

    assert_eq!(sim.closed_connections, [connection]);
    assert_eq!(sim.server.poll_timeout(), None);
}

#[test]
fn a_reload_ends_connections_to_peers_that_are_denied_now() {
    let mut sim = Sim::new();
    let (alice, _) = tcp_allocated(&mut sim, "192.0.2.1:4000");
    let other = SocketAddr::from(([9, 9, 9, 10], 5000));
    for peer in [PEER, other] {
        connect(&mut sim, &alice, peer);
    }
    let (denied, allowed) = (sim.connects[0].0, sim.connects[1].0);
    sim.server.handle_peer_connected(sim.now, denied);
    sim.carry_out();
    let policy = PeerPolicy::new(vec![], vec![PEER.ip().into()], vec![]);
    let new = Options {
        peer_policy: policy,
        ..options()
    };
    let users = directory(&[ALICE, BOB]);
    sim.server.reconfigure(sim.now, new, users);
    sim.carry_out();

    assert_eq!(sim.closed_connections, [denied]);
    sim.sent.clear();
    sim.server.handle_peer_connected(sim.now, allowed);
    sim.carry_out();
    sim.answer().expect_success();
}

#[test]
fn connections_of_a_family_end_with_its_relayed_address() {
    let mut sim = Sim::new();
    let alice = sim.client_over("192.0.2.1:4000", ALICE, Transport::Tcp);
    let both = sim.request(&alice, Method::ALLOCATE, |b| {
        tcp_transport(b);
        b.u32(AttributeType::ADDITIONAL_ADDRESS_FAMILY, 2 << 24);
    });
    both.expect_success();
    let peer_v6: SocketAddr = "[2606:4700::1]:5000".parse().unwrap();
    for peer in [PEER, peer_v6] {
        connect(&mut sim, &alice, peer);
    }
    let of_v6 = sim.connects[1].0;
    sim.server.handle_peer_connected(sim.now, of_v6);
    sim.carry_out();
    sim.sent.clear();
    let half = sim.request(&alice, Method::REFRESH, |b| {
        b.u32(AttributeType::LIFETIME, 0);
        b.u32(AttributeType::REQUESTED_ADDRESS_FAMILY, 2 << 24);
    });
    half.expect_success();

    assert_eq!(sim.closed_connections, [of_v6]);
}

#[test]
fn a_tcp_allocation_has_no_channels_and_no_even_port() {
    let mut sim = Sim::new();
    let (alice, _) = tcp_allocated(&mut sim, "192.0.2.1:4000");
    assert_eq!(sim.bind_channel(&alice, 0x4001, PEER).code(), Some(400));
    let other = sim.client_over("192.0.2.1:4001", ALICE, Transport::Tcp);
    let answer = sim.request(&other, Method::ALLOCATE, |b| {
        tcp_transport(b);
        b.attribute(AttributeType::EVEN_PORT, &[0]);
    });
    assert_eq!(answer.code(), Some(400));
}

#[test]
fn where_tcp_relaying_is_off_it_is_442() {
    let mut sim = Sim::with(
        Options {
            tcp_relay: false,
            ..options()
        },
        QuotaLimits::default(),
    );
    let client = sim.client_over("192.0.2.1:4000", ALICE, Transport::Tcp);
    assert_eq!(
        sim.request(&client, Method::ALLOCATE, tcp_transport).code(),
        Some(442)
    );
}

#[test]
fn a_data_connection_is_sent_to_the_worker_that_holds_the_peer_connection() {
    let two = |worker| Options {
        worker,
        workers: 2,
        ..options()
    };
    let together = Together::new(&two(0), QuotaLimits::default());
    let now = crate::clock::now();
    let make = |worker| Sim::beside(now, two(worker), together.clone());
    let (mut one, mut other) = (make(0), make(1));
    let (alice, _) = tcp_allocated(&mut one, "192.0.2.1:4000");
    connect(&mut one, &alice, PEER);
    let (connection, ..) = one.connects[0];
    one.server.handle_peer_connected(one.now, connection);
    one.carry_out();
    let id = one
        .answer()
        .message()
        .u32(AttributeType::CONNECTION_ID)
        .unwrap();

    let data = other.client_over("192.0.2.1:4001", ALICE, Transport::Tcp);
    let request = other.build(&data, Method::CONNECTION_BIND, |b| {
        b.u32(AttributeType::CONNECTION_ID, id);
    });
    other.deliver(data.path, &request);
    assert!(other.sent.is_empty());
    let (worker, message) = other.moved.remove(0);
    assert_eq!((worker, &message), (0, &request));
    one.deliver(data.path, &message);
    one.answer().expect_success();
    assert_eq!(one.joins, [(connection, data.path)]);
}
