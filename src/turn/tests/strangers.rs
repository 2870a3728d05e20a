//! What someone without a credential can draw from the server: little.

use std::net::IpAddr;
use std::time::Duration;

use crate::stun::{AttributeType, Builder, Class, IntegrityAlgorithm, Message, Method};
use crate::turn::tests::sim::*;
use crate::turn::*;

const ALICE_AT: &str = "192.0.2.1:4000";

fn stranger() -> ClientPath {
    let five_tuple = FiveTuple {
        client: ALICE_AT.parse().unwrap(),
        server: "203.0.113.1:3478".parse().unwrap(),
        transport: Transport::Udp,
    };
    ClientPath {
        five_tuple,
        link: LinkId(0),
    }
}

fn request(sim: &Sim, method: Method, fill: impl FnOnce(&mut Builder<'_>)) -> Vec<u8> {
    let mut bytes = Vec::new();
    fill(&mut Builder::new(
        &mut bytes,
        Class::Request,
        method,
        sim.transaction(),
    ));
    bytes
}

#[test]
fn answers_to_strangers_are_small() {
    let mut sim = Sim::new();
    let ask = |sim: &mut Sim, bytes: &[u8]| {
        sim.deliver(stranger(), bytes);
        sim.sent.pop().map_or(0, |(_, message)| message.len())
    };
    let bare = request(&sim, Method::BINDING, |_| {});
    assert_eq!((bare.len(), ask(&mut sim, &bare)), (20, 32));
    let padded = request(&sim, Method::BINDING, |b| {
        b.attribute(AttributeType::PADDING, &[0; 1000]);
    });
    assert_eq!(ask(&mut sim, &padded), 32);
    let many_unknown = request(&sim, Method::BINDING, |b| {
        for n in 0..100 {
            b.attribute(AttributeType(0x7000 + n), &[]);
        }
    });
    assert_eq!(ask(&mut sim, &many_unknown), 36);
    let allocate = request(&sim, Method::ALLOCATE, udp_transport);
    assert!(ask(&mut sim, &allocate) <= 120);
    for method in [
        Method::REFRESH,
        Method::CREATE_PERMISSION,
        Method::CHANNEL_BIND,
    ] {
        let bytes = request(&sim, method, |_| {});
        assert_eq!(ask(&mut sim, &bytes), 28);
    }
    let incomplete = request(&sim, Method::ALLOCATE, |b| {
        b.integrity(IntegrityAlgorithm::Sha1, b"key");
    });
    assert_eq!(ask(&mut sim, &incomplete), 28);
    let unknown = request(&sim, Method(0x0FF), |_| {});
    assert_eq!(ask(&mut sim, &unknown), 0);
}

#[test]
fn an_old_stun_client_gets_the_plain_form() {
    let mut sim = Sim::new();
    let mut bytes = request(&sim, Method::BINDING, |_| {});
    bytes[4..8].copy_from_slice(&[1, 2, 3, 4]);
    sim.deliver(stranger(), &bytes);
    let answer = sim.answer();
    let mapped = answer.message().address(AttributeType::MAPPED_ADDRESS);

    assert_eq!(mapped, Some(ALICE_AT.parse().unwrap()));
    assert_eq!(answer.0[4..20], bytes[4..20]);
}

#[test]
fn a_wrong_password_is_401_and_a_wrong_nonce_438() {
    let mut sim = Sim::new();
    let alice = sim.client(ALICE_AT, ALICE);
    let unknown = Client {
        user: "nobody",
        ..alice.clone()
    };
    assert_eq!(
        sim.request(&unknown, Method::ALLOCATE, udp_transport)
            .code(),
        Some(401)
    );
    let old = Client {
        nonce: b"an old nonce".to_vec(),
        ..alice.clone()
    };
    assert_eq!(
        sim.request(&old, Method::ALLOCATE, udp_transport).code(),
        Some(438)
    );
    sim.pass(Duration::from_secs(601));
    let answer = sim.request(&alice, Method::ALLOCATE, udp_transport);
    assert_eq!(answer.code(), Some(438));

    let nonce = answer
        .message()
        .attribute(AttributeType::NONCE)
        .unwrap()
        .to_vec();
    let fresh = Client { nonce, ..alice };
    sim.request(&fresh, Method::ALLOCATE, udp_transport)
        .expect_success();
}

#[test]
fn the_offer_of_password_algorithms_cannot_be_altered_on_the_way() {
    let mut sim = Sim::new();
    let alice = sim.client(ALICE_AT, ALICE);
    let with = |list: &'static [u8], choice: &'static [u8]| {
        move |b: &mut Builder<'_>| {
            udp_transport(b);
            b.attribute(AttributeType::PASSWORD_ALGORITHMS, list);
            b.attribute(AttributeType::PASSWORD_ALGORITHM, choice);
        }
    };
    let weakened = with(&[0, 1, 0, 0], &[0, 1, 0, 0]);
    assert_eq!(
        sim.request(&alice, Method::ALLOCATE, weakened).code(),
        Some(400)
    );
    let unaltered = with(&[0, 2, 0, 0, 0, 1, 0, 0], &[0, 1, 0, 0]);
    sim.request(&alice, Method::ALLOCATE, unaltered)
        .expect_success();
}

#[test]
fn a_flood_from_one_address_is_answered_at_its_budget() {
    let limited = Options {
        budget: BudgetOptions {
            per_prefix: 20,
            total: 1_000,
        },
        ..options()
    };
    let mut sim = Sim::with(limited, QuotaLimits::default());
    for _ in 0..10_000 {
        let bytes = request(&sim, Method::ALLOCATE, udp_transport);
        sim.deliver(stranger(), &bytes);
    }

    assert_eq!(sim.sent.len(), 201);
    assert_eq!(
        sim.server.counters().dropped[DropReason::OverBudget as usize],
        9_799
    );
}

#[test]
fn a_flood_from_many_addresses_leaves_no_state() {
    let limited = Options {
        budget: BudgetOptions {
            per_prefix: 20,
            total: 1_000,
        },
        ..options()
    };
    let mut sim = Sim::with(limited, QuotaLimits::default());
    for n in 0..100_000_u32 {
        let mut path = stranger();
        path.five_tuple
            .client
            .set_ip(IpAddr::V4((0x0B00_0000 + n).into()));
        let bytes = request(&sim, Method::ALLOCATE, udp_transport);
        sim.deliver(path, &bytes);
        sim.sent.clear();
    }

    assert_eq!(sim.server.allocations(), 0);
    assert!(sim.server.by_client.is_empty() && sim.server.outputs.is_empty());
    assert_eq!(sim.server.poll_timeout(), None);
}

#[test]
fn answers_and_stray_indications_are_not_answered() {
    let mut sim = Sim::new();
    for class in [
        Class::SuccessResponse,
        Class::ErrorResponse,
        Class::Indication,
    ] {
        let mut bytes = Vec::new();
        Builder::new(&mut bytes, class, Method::ALLOCATE, sim.transaction());
        let outcome = sim.deliver(stranger(), &bytes);
        assert_eq!(outcome, Outcome::Dropped(DropReason::UnexpectedClass));
    }
    assert!(sim.sent.is_empty());
}

#[test]
fn a_challenge_offers_what_the_directory_can_verify() {
    let mut sim = Sim::new();
    let bytes = request(&sim, Method::ALLOCATE, udp_transport);
    sim.deliver(stranger(), &bytes);
    let answer = sim.answer();
    let message: Message<'_> = answer.message();

    assert_eq!(message.text(AttributeType::REALM), Some(REALM));
    assert!(
        message
            .text(AttributeType::NONCE)
            .unwrap()
            .starts_with("obMatJos2")
    );
    let algorithms = message.attribute(AttributeType::PASSWORD_ALGORITHMS);
    assert_eq!(algorithms, Some(&[0, 2, 0, 0, 0, 1, 0, 0][..]));
}
