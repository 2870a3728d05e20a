//! Permissions, channels, and the way of application data.

use std::net::SocketAddr;
use std::time::Duration;

use crate::stun::{AttributeType, Class, Message, Method};
use crate::turn::tests::sim::*;
use crate::turn::*;

const ALICE_AT: &str = "192.0.2.1:4000";
const BOB_AT: &str = "192.0.2.2:4000";

fn data_of(bytes: &[u8]) -> (SocketAddr, Vec<u8>) {
    let message = Message::parse(bytes).unwrap();
    assert_eq!(
        (message.class(), message.method()),
        (Class::Indication, Method::DATA)
    );
    let peer = message
        .xor_address(AttributeType::XOR_PEER_ADDRESS)
        .unwrap();
    (
        peer,
        message.attribute(AttributeType::DATA).unwrap().to_vec(),
    )
}

#[test]
fn a_permission_opens_both_directions_for_five_minutes() {
    let mut sim = Sim::new();
    let (alice, relayed) = sim.allocated(ALICE_AT, ALICE);
    let indication = sim.send_indication(PEER, b"hello");
    assert_eq!(
        sim.deliver(alice.path, &indication),
        Outcome::Dropped(DropReason::NoPermission)
    );
    sim.permit(&alice, PEER);

    let relay = sim.relay_at(relayed);
    let sent = Outcome::ToPeer(relay, PEER, b"hello".to_vec());
    assert_eq!(sim.deliver(alice.path, &indication), sent);
    let other_port = SocketAddr::new(PEER.ip(), 6000);
    let Outcome::ToClient(to, bytes) = sim.deliver_from_peer(relayed, other_port, b"hi") else {
        panic!("relayed to the client");
    };
    assert_eq!(
        (to, data_of(&bytes)),
        (alice.path.five_tuple.client, (other_port, b"hi".to_vec()))
    );

    sim.pass(Duration::from_secs(300));
    assert_eq!(
        sim.deliver(alice.path, &indication),
        Outcome::Dropped(DropReason::NoPermission)
    );
    let back = sim.deliver_from_peer(relayed, PEER, b"hi");
    assert_eq!(back, Outcome::Dropped(DropReason::NoPermission));
}

#[test]
fn a_channel_carries_data_both_ways() {
    let mut sim = Sim::new();
    let (alice, relayed) = sim.allocated(ALICE_AT, ALICE);
    sim.bind_channel(&alice, 0x4001, PEER).expect_success();

    let relay = sim.relay_at(relayed);
    let out = sim.deliver(alice.path, &channel_data(0x4001, b"hello"));
    assert_eq!(out, Outcome::ToPeer(relay, PEER, b"hello".to_vec()));
    let back = sim.deliver_from_peer(relayed, PEER, b"hi");
    assert_eq!(
        back,
        Outcome::ToClient(alice.path.five_tuple.client, channel_data(0x4001, b"hi"))
    );
    let unbound = sim.deliver(alice.path, &channel_data(0x4002, b"x"));
    assert_eq!(unbound, Outcome::Dropped(DropReason::NoChannel));
}

#[test]
fn channel_data_to_a_stream_is_padded() {
    let mut sim = Sim::new();
    let client = sim.client_over(ALICE_AT, ALICE, Transport::Tls);
    let relayed = sim
        .request(&client, Method::ALLOCATE, udp_transport)
        .relayed();
    sim.bind_channel(&client, 0x4001, PEER).expect_success();
    let Outcome::ToClient(_, bytes) = sim.deliver_from_peer(relayed, PEER, b"hello") else {
        panic!("relayed to the client");
    };

    assert_eq!(bytes, b"\x40\x01\x00\x05hello\0\0\0");
}

#[test]
fn a_channel_lives_ten_minutes_but_its_permission_only_five() {
    let mut sim = Sim::new();
    let (alice, relayed) = sim.allocated(ALICE_AT, ALICE);
    let lifetime = sim.request(&alice, Method::REFRESH, |b| {
        b.u32(AttributeType::LIFETIME, 3600);
    });
    assert_eq!(lifetime.lifetime(), 3600);
    sim.bind_channel(&alice, 0x4001, PEER).expect_success();
    sim.pass(Duration::from_secs(301));
    let alice = Client {
        nonce: sim.client("192.0.2.1:1", ALICE).nonce,
        ..alice
    };
    let data = channel_data(0x4001, b"x");
    assert_eq!(
        sim.deliver(alice.path, &data),
        Outcome::Dropped(DropReason::NoPermission)
    );

    sim.permit(&alice, PEER);
    assert!(matches!(
        sim.deliver(alice.path, &data),
        Outcome::ToPeer(..)
    ));
    assert!(matches!(
        sim.deliver_from_peer(relayed, PEER, b"y"),
        Outcome::ToClient(..)
    ));
    sim.pass(Duration::from_secs(299));
    assert_eq!(
        sim.deliver(alice.path, &data),
        Outcome::Dropped(DropReason::NoChannel)
    );
}

#[test]
fn channel_numbers_and_peers_are_bound_one_to_one() {
    let mut sim = Sim::new();
    let (alice, _) = sim.allocated(ALICE_AT, ALICE);
    let other = SocketAddr::new(PEER.ip(), 6000);
    sim.bind_channel(&alice, 0x4001, PEER).expect_success();
    sim.bind_channel(&alice, 0x4001, PEER).expect_success();

    assert_eq!(sim.bind_channel(&alice, 0x4001, other).code(), Some(400));
    assert_eq!(sim.bind_channel(&alice, 0x4002, PEER).code(), Some(400));
    assert_eq!(sim.bind_channel(&alice, 0x3FFF, other).code(), Some(400));
    assert_eq!(sim.bind_channel(&alice, 0x8000, other).code(), Some(400));
    sim.bind_channel(&alice, 0x7FFF, other).expect_success();
}

#[test]
fn denied_peers_are_refused_at_every_door() {
    let mut sim = Sim::new();
    let (alice, _) = sim.allocated(ALICE_AT, ALICE);
    for denied in [
        "127.0.0.1:80",
        "10.1.2.3:80",
        "169.254.169.254:80",
        "0.0.0.0:80",
    ] {
        let denied: SocketAddr = denied.parse().unwrap();
        let answer = sim.request(&alice, Method::CREATE_PERMISSION, |b| {
            b.xor_address(AttributeType::XOR_PEER_ADDRESS, PEER);
            b.xor_address(AttributeType::XOR_PEER_ADDRESS, denied);
        });
        assert_eq!(answer.code(), Some(403), "{denied}");
        assert_eq!(
            sim.bind_channel(&alice, 0x4001, denied).code(),
            Some(403),
            "{denied}"
        );
    }
    // All or nothing: the good peer of a refused request has no permission.
    let indication = sim.send_indication(PEER, b"x");
    assert_eq!(
        sim.deliver(alice.path, &indication),
        Outcome::Dropped(DropReason::NoPermission)
    );
}

#[test]
fn our_own_address_is_a_peer_only_where_a_relay_lives() {
    let mut sim = Sim::new();
    let (alice, _) = sim.allocated(ALICE_AT, ALICE);
    let (_, bobs) = sim.allocated(BOB_AT, BOB);
    let ours = |port| SocketAddr::new(RELAY_V4.parse().unwrap(), port);
    sim.permit(&alice, ours(22));

    let ssh = sim.send_indication(ours(22), b"x");
    assert_eq!(
        sim.deliver(alice.path, &ssh),
        Outcome::Dropped(DropReason::DeniedPeer)
    );
    assert_eq!(
        sim.bind_channel(&alice, 0x4001, ours(3478)).code(),
        Some(403)
    );
    sim.bind_channel(&alice, 0x4001, bobs).expect_success();
}

#[test]
fn two_clients_of_this_server_reach_each_other_in_memory() {
    let mut sim = Sim::new();
    let (alice, alices) = sim.allocated(ALICE_AT, ALICE);
    let (bob, bobs) = sim.allocated(BOB_AT, BOB);
    sim.bind_channel(&alice, 0x4001, bobs).expect_success();
    let data = channel_data(0x4001, b"hello");
    assert_eq!(
        sim.deliver(alice.path, &data),
        Outcome::Dropped(DropReason::NoPermission)
    );

    sim.permit(&bob, alices);
    let Outcome::ToClient(to, bytes) = sim.deliver(alice.path, &data) else {
        panic!("handed over");
    };
    assert_eq!(
        (to, data_of(&bytes)),
        (bob.path.five_tuple.client, (alices, b"hello".to_vec()))
    );
    sim.bind_channel(&bob, 0x5000, alices).expect_success();
    let handed = Outcome::ToClient(bob.path.five_tuple.client, channel_data(0x5000, b"hello"));
    assert_eq!(sim.deliver(alice.path, &data), handed);
}

#[test]
fn when_the_other_end_is_gone_its_address_is_ours_again_and_denied() {
    let mut sim = Sim::new();
    let (alice, _) = sim.allocated(ALICE_AT, ALICE);
    let (bob, bobs) = sim.allocated(BOB_AT, BOB);
    sim.bind_channel(&alice, 0x4001, bobs).expect_success();
    sim.request(&bob, Method::REFRESH, |b| {
        b.u32(AttributeType::LIFETIME, 0);
    });

    let out = sim.deliver(alice.path, &channel_data(0x4001, b"x"));
    assert_eq!(out, Outcome::Dropped(DropReason::NoSuchRelay));
}

#[test]
fn a_relay_of_another_worker_is_reached_through_it() {
    let two = |worker| Options {
        worker,
        workers: 2,
        ..options()
    };
    let together = Together::new(&two(0), QuotaLimits::default());
    let now = crate::clock::now();
    let make = |worker| Sim::beside(now, two(worker), together.clone());
    let (mut one, mut other) = (make(0), make(1));
    let (alice, alices) = one.allocated(ALICE_AT, ALICE);
    let (bob, bobs) = other.allocated(BOB_AT, BOB);
    assert!(alices.port() < 50_050 && bobs.port() >= 50_050);
    one.bind_channel(&alice, 0x4001, bobs).expect_success();
    other.bind_channel(&bob, 0x4002, alices).expect_success();

    let out = one.deliver(alice.path, &channel_data(0x4001, b"hello"));
    let Outcome::ToSibling(1, to, from, payload) = out else {
        panic!("{out:?}")
    };
    let verdict = other
        .server
        .handle_sibling_datagram(now, to, from, &payload);
    let handed = Outcome::ToClient(bob.path.five_tuple.client, channel_data(0x4002, b"hello"));
    assert_eq!(Outcome::of(&verdict), handed);
}

#[test]
fn the_public_address_is_told_where_the_server_is_behind_nat() {
    let mut behind_nat = options();
    behind_nat.relay_addresses = vec![RelayAddress {
        local: "10.0.0.5".parse().unwrap(),
        announced: "8.8.4.4".parse().unwrap(),
    }];
    let mut sim = Sim::with(behind_nat, QuotaLimits::default());
    let client = sim.client(ALICE_AT, ALICE);
    let relayed = sim
        .request(&client, Method::ALLOCATE, udp_transport)
        .relayed();
    let (bound, _) = sim.bound.values().next().unwrap();

    assert_eq!(relayed.ip().to_string(), "8.8.4.4");
    assert_eq!(
        *bound,
        SocketAddr::new("10.0.0.5".parse().unwrap(), relayed.port())
    );
}

#[test]
fn an_icmp_error_reaches_the_client_when_the_peer_is_permitted() {
    let mut sim = Sim::new();
    let (alice, relayed) = sim.allocated(ALICE_AT, ALICE);
    let relay = sim.relay_at(relayed);
    let error = IcmpError {
        peer: PEER,
        icmp_type: 3,
        code: 3,
        data: 0,
    };
    sim.server.handle_icmp_error(sim.now, relay, error);
    sim.carry_out();
    assert!(sim.sent.is_empty());

    sim.permit(&alice, PEER);
    sim.server.handle_icmp_error(sim.now, relay, error);
    sim.carry_out();
    let answer = sim.answer();
    let message = answer.message();
    assert_eq!(
        message.xor_address(AttributeType::XOR_PEER_ADDRESS),
        Some(PEER)
    );
    let value = message.attribute(AttributeType::ICMP).unwrap();
    assert_eq!(value, [0, 0, 3 << 1, 3, 0, 0, 0, 0]);
    assert_eq!(message.attribute(AttributeType::DATA), None);
}

#[test]
fn over_the_bandwidth_of_a_user_packets_are_dropped_and_counted() {
    let limits = QuotaLimits {
        user_bandwidth: 10_000,
        ..QuotaLimits::default()
    };
    let mut sim = Sim::with(options(), limits);
    let (alice, _) = sim.allocated(ALICE_AT, ALICE);
    sim.bind_channel(&alice, 0x4001, PEER).expect_success();
    let data = channel_data(0x4001, &[7; 1_000]);
    let mut passed = 0;
    for _ in 0..100 {
        sim.pass(Duration::from_millis(10));
        passed += usize::from(matches!(
            sim.deliver(alice.path, &data),
            Outcome::ToPeer(..)
        ));
    }

    assert!((10..=14).contains(&passed), "{passed}");
    let dropped = sim.server.counters().dropped[DropReason::OverBandwidth as usize];
    assert_eq!(dropped, 100 - passed as u64);
}

#[test]
fn permissions_and_channels_have_a_limit() {
    let mut sim = Sim::new();
    let (alice, _) = sim.allocated(ALICE_AT, ALICE);
    let peer = |n: u8| SocketAddr::new([9, 9, 9, n].into(), 5000);
    for n in 0..64 {
        sim.permit(&alice, peer(n));
    }
    let answer = sim.request(&alice, Method::CREATE_PERMISSION, |b| {
        b.xor_address(AttributeType::XOR_PEER_ADDRESS, peer(64));
    });
    assert_eq!(answer.code(), Some(508));
    sim.permit(&alice, peer(63));
    for n in 0..64_u16 {
        let port = SocketAddr::new(peer(0).ip(), 5000 + n);
        sim.bind_channel(&alice, 0x4000 + n, port).expect_success();
    }
    let more = SocketAddr::new(peer(0).ip(), 6000);
    assert_eq!(sim.bind_channel(&alice, 0x5000, more).code(), Some(508));
}
