//! Allocate and Refresh.

use std::sync::Arc;
use std::time::Duration;

use crate::auth;
use crate::stun::{
    AttributeType, Builder, Class, IntegrityAlgorithm, Method, PasswordAlgorithm, long_term_key,
};
use crate::turn::tests::sim::*;
use crate::turn::*;
use crate::unix_time::UnixTime;

const ALICE_AT: &str = "192.0.2.1:4000";

#[test]
fn success_is_answered_only_after_the_port_is_bound() {
    let mut sim = Sim::new();
    let client = sim.client(ALICE_AT, ALICE);
    let request = sim.build(&client, Method::ALLOCATE, udp_transport);
    let _ = sim
        .server
        .handle_client_datagram(sim.now, sim.unix_now, client.path, &request);

    let Some(Output::BindRelay { relay, address, .. }) = sim.server.poll_output() else {
        panic!("the first output binds the relay");
    };
    assert!(sim.server.poll_output().is_none());
    sim.bound.insert(relay, (address, RelayKind::Udp));
    sim.server.handle_relay_bound(sim.now, relay);
    sim.carry_out();

    assert_eq!(sim.answer().relayed(), address);
}

#[test]
fn an_allocation_gets_the_default_lifetime_and_at_most_the_longest() {
    let mut sim = Sim::new();
    for (port, asked, granted) in [
        (1, None, 600),
        (2, Some(5), 600),
        (3, Some(900), 900),
        (4, Some(u32::MAX), 3600),
    ] {
        let client = sim.client(&format!("192.0.2.1:{port}"), ALICE);
        let answer = sim.request(&client, Method::ALLOCATE, |b| {
            udp_transport(b);
            if let Some(asked) = asked {
                b.u32(AttributeType::LIFETIME, asked);
            }
        });
        assert_eq!(answer.lifetime(), granted);
    }
}

#[test]
fn a_retransmitted_allocate_gets_the_same_answer_and_another_one_437() {
    let mut sim = Sim::new();
    let client = sim.client(ALICE_AT, ALICE);
    let request = sim.build(&client, Method::ALLOCATE, udp_transport);
    sim.deliver(client.path, &request);
    let first = sim.answer();
    sim.pass(Duration::from_secs(1));
    sim.deliver(client.path, &request);
    let second = sim.answer();

    assert_eq!(first.0, second.0);
    assert_eq!(
        sim.request(&client, Method::ALLOCATE, udp_transport).code(),
        Some(437)
    );
    assert_eq!(sim.bound.len(), 1);
}

#[test]
fn a_port_that_another_program_holds_is_passed_over() {
    let mut sim = Sim::new();
    for port in 50_000..=50_099_u16 {
        if port != 50_042 {
            sim.occupied
                .insert(format!("{RELAY_V4}:{port}").parse().unwrap());
        }
    }
    let found = (0..100).find_map(|n| {
        let client = sim.client(&format!("192.0.2.1:{}", 4000 + n), ALICE);
        let answer = sim.request(&client, Method::ALLOCATE, udp_transport);
        match answer.code() {
            None => Some(answer.relayed()),
            Some(code) => {
                assert_eq!(code, 508);
                None
            }
        }
    });

    assert_eq!(found.map(|a| a.port()), Some(50_042));
    assert_eq!(sim.bound.len(), 1);
}

#[test]
fn when_all_ports_are_used_508_is_answered_and_a_freed_port_serves_again() {
    let mut sim = Sim::new();
    let clients: Vec<Client> = (0..100)
        .map(|n| sim.allocated(&format!("192.0.2.1:{}", 4000 + n), ALICE).0)
        .collect();
    let late = sim.client("192.0.2.1:9000", ALICE);
    assert_eq!(
        sim.request(&late, Method::ALLOCATE, udp_transport).code(),
        Some(508)
    );

    let answer = sim.request(&clients[17], Method::REFRESH, |b| {
        b.u32(AttributeType::LIFETIME, 0);
    });
    assert_eq!(answer.lifetime(), 0);
    sim.request(&late, Method::ALLOCATE, udp_transport)
        .expect_success();
}

#[test]
fn an_allocation_ends_when_its_lifetime_is_over_unless_refreshed() {
    let mut sim = Sim::new();
    let (alice, _) = sim.allocated(ALICE_AT, ALICE);
    sim.allocated("192.0.2.2:4000", BOB);
    sim.pass(Duration::from_secs(599));
    let answer = sim.request(&alice, Method::REFRESH, |_| {});
    assert_eq!(answer.lifetime(), 600);
    assert_eq!(sim.bound.len(), 2);

    sim.pass(Duration::from_secs(1));
    assert_eq!(sim.bound.len(), 1);
    sim.pass(Duration::from_secs(599));
    assert_eq!(sim.bound.len(), 0);
    assert_eq!(sim.server.poll_timeout(), None);
}

#[test]
fn attributes_are_checked_as_the_standard_says() {
    type Fill = fn(&mut Builder<'_>);
    let cases: [(&str, Fill, u16); 9] = [
        ("no transport", |_| {}, 400),
        (
            "transport SCTP",
            |b| {
                b.u32(AttributeType::REQUESTED_TRANSPORT, 132 << 24);
            },
            442,
        ),
        (
            "TCP over UDP",
            |b| {
                b.u32(AttributeType::REQUESTED_TRANSPORT, 6 << 24);
            },
            400,
        ),
        (
            "unknown family",
            |b| {
                b.u32(AttributeType::REQUESTED_ADDRESS_FAMILY, 9 << 24);
            },
            440,
        ),
        (
            "both families",
            |b| {
                b.u32(AttributeType::REQUESTED_ADDRESS_FAMILY, 1 << 24);
                b.u32(AttributeType::ADDITIONAL_ADDRESS_FAMILY, 2 << 24);
            },
            400,
        ),
        (
            "additional IPv4",
            |b| {
                b.u32(AttributeType::ADDITIONAL_ADDRESS_FAMILY, 1 << 24);
            },
            400,
        ),
        (
            "unknown token",
            |b| {
                b.attribute(AttributeType::RESERVATION_TOKEN, &[1; 8]);
            },
            508,
        ),
        (
            "token and even port",
            |b| {
                b.attribute(AttributeType::RESERVATION_TOKEN, &[1; 8]);
                b.attribute(AttributeType::EVEN_PORT, &[0]);
            },
            400,
        ),
        (
            "unknown attribute",
            |b| {
                b.attribute(AttributeType(0x7FF0), &[1]);
            },
            420,
        ),
    ];
    let mut sim = Sim::new();
    let client = sim.client(ALICE_AT, ALICE);
    for (name, fill, code) in cases {
        let has_transport = matches!(name, "no transport" | "transport SCTP" | "TCP over UDP");
        let answer = sim.request(&client, Method::ALLOCATE, |b| {
            if !has_transport {
                udp_transport(b);
            }
            fill(b);
        });
        assert_eq!(answer.code(), Some(code), "{name}");
    }
    assert!(sim.bound.is_empty());
}

#[test]
fn a_second_family_comes_with_the_rfc_and_the_draft_attribute() {
    let mut sim = Sim::new();
    let attributes = [
        AttributeType::ADDITIONAL_ADDRESS_FAMILY,
        AttributeType::ADDITIONAL_ADDRESS_FAMILY_DRAFT,
    ];
    for (n, attribute) in attributes.into_iter().enumerate() {
        let client = sim.client(&format!("192.0.2.1:{}", 4000 + n), ALICE);
        let answer = sim.request(&client, Method::ALLOCATE, |b| {
            udp_transport(b);
            b.u32(attribute, 2 << 24);
        });
        let relayed: Vec<_> = answer
            .message()
            .xor_addresses(AttributeType::XOR_RELAYED_ADDRESS)
            .map(|a| a.unwrap().ip().to_string())
            .collect();
        assert_eq!(relayed, [RELAY_V4, RELAY_V6]);
    }
}

#[test]
fn a_family_that_cannot_be_had_is_told_and_the_other_one_given() {
    let mut sim = Sim::new();
    for port in 50_000..=50_099_u16 {
        sim.occupied
            .insert(format!("[{RELAY_V6}]:{port}").parse().unwrap());
    }
    let client = sim.client(ALICE_AT, ALICE);
    let answer = sim.request(&client, Method::ALLOCATE, |b| {
        udp_transport(b);
        b.u32(AttributeType::ADDITIONAL_ADDRESS_FAMILY, 2 << 24);
    });

    assert!(answer.relayed().is_ipv4());
    let error = answer
        .message()
        .attribute(AttributeType::ADDRESS_ERROR_CODE)
        .unwrap()
        .to_vec();
    assert_eq!(error, [0x02, 0, 5, 8]);
}

#[test]
fn one_family_of_two_can_be_released() {
    let mut sim = Sim::new();
    let client = sim.client(ALICE_AT, ALICE);
    sim.request(&client, Method::ALLOCATE, |b| {
        udp_transport(b);
        b.u32(AttributeType::ADDITIONAL_ADDRESS_FAMILY, 2 << 24);
    })
    .expect_success();
    assert_eq!(sim.bound.len(), 2);
    let release = |b: &mut Builder<'_>| {
        b.u32(AttributeType::LIFETIME, 0);
        b.u32(AttributeType::REQUESTED_ADDRESS_FAMILY, 2 << 24);
    };
    sim.request(&client, Method::REFRESH, release)
        .expect_success();

    assert_eq!(sim.bound.len(), 1);
    assert_eq!(
        sim.request(&client, Method::REFRESH, release).code(),
        Some(443)
    );
}

#[test]
fn an_even_port_with_its_neighbour_reserved_for_the_next_allocation() {
    let mut sim = Sim::new();
    let client = sim.client(ALICE_AT, ALICE);
    let answer = sim.request(&client, Method::ALLOCATE, |b| {
        udp_transport(b);
        b.attribute(AttributeType::EVEN_PORT, &[0x80]);
    });
    let token = answer
        .message()
        .attribute(AttributeType::RESERVATION_TOKEN)
        .unwrap()
        .to_vec();
    let even = answer.relayed();
    assert_eq!((even.port() % 2, sim.reservations()), (0, 1));

    let stranger = sim.client("192.0.2.2:4000", BOB);
    let take = |b: &mut Builder<'_>| {
        udp_transport(b);
        b.attribute(AttributeType::RESERVATION_TOKEN, &token);
    };
    assert_eq!(
        sim.request(&stranger, Method::ALLOCATE, take).code(),
        Some(508)
    );
    let second = sim.client("192.0.2.1:4001", ALICE);
    assert_eq!(
        sim.request(&second, Method::ALLOCATE, take)
            .relayed()
            .port(),
        even.port() + 1
    );
    let third = sim.client("192.0.2.1:4002", ALICE);
    assert_eq!(
        sim.request(&third, Method::ALLOCATE, take).code(),
        Some(508)
    );
}

#[test]
fn a_reserved_port_that_nobody_takes_is_freed_after_thirty_seconds() {
    let mut sim = Sim::new();
    let client = sim.client(ALICE_AT, ALICE);
    sim.request(&client, Method::ALLOCATE, |b| {
        udp_transport(b);
        b.attribute(AttributeType::EVEN_PORT, &[0x80]);
    })
    .expect_success();
    assert_eq!(sim.reservations(), 1);
    sim.pass(Duration::from_secs(30));

    assert_eq!(sim.reservations(), 0);
}

#[test]
fn a_reserved_port_counts_as_the_allocation_it_is_kept_for() {
    let limits = QuotaLimits {
        per_user: 2,
        ..QuotaLimits::default()
    };
    let mut sim = Sim::with(options(), limits);
    let clients = [4000, 4001, 4002].map(|port| sim.client(&format!("192.0.2.1:{port}"), ALICE));
    let pair = |b: &mut Builder<'_>| {
        udp_transport(b);
        b.attribute(AttributeType::EVEN_PORT, &[0x80]);
    };
    let first = sim.request(&clients[0], Method::ALLOCATE, pair);
    let token = first.message().attribute(AttributeType::RESERVATION_TOKEN);
    let token = token.unwrap().to_vec();
    // The allocation ends, and with the port kept there is room for one more.
    sim.request(&clients[0], Method::REFRESH, |b| {
        b.u32(AttributeType::LIFETIME, 0);
    });
    let again = sim.request(&clients[1], Method::ALLOCATE, pair);
    assert_eq!((again.code(), sim.reservations()), (Some(486), 1));
    let plain = sim.request(&clients[1], Method::ALLOCATE, udp_transport);
    plain.expect_success();

    let other = sim.request(&clients[2], Method::ALLOCATE, udp_transport);
    assert_eq!(other.code(), Some(486));
    let kept = sim.request(&clients[2], Method::ALLOCATE, |b| {
        udp_transport(b);
        b.attribute(AttributeType::RESERVATION_TOKEN, &token);
    });
    kept.expect_success();
}

#[test]
fn a_port_that_one_worker_reserved_can_be_taken_at_another_and_comes_back() {
    let two = |worker| Options {
        worker,
        workers: 2,
        ..options()
    };
    let together = Together::new(&two(0), QuotaLimits::default());
    let now = crate::clock::now();
    let make = |worker| Sim::beside(now, two(worker), together.clone());
    let (mut one, mut other) = (make(0), make(1));
    let client = one.client(ALICE_AT, ALICE);
    let answer = one.request(&client, Method::ALLOCATE, |b| {
        udp_transport(b);
        b.attribute(AttributeType::EVEN_PORT, &[0x80]);
    });
    let token = answer
        .message()
        .attribute(AttributeType::RESERVATION_TOKEN)
        .unwrap()
        .to_vec();
    let second = other.client("192.0.2.1:4001", ALICE);
    let taken = other.request(&second, Method::ALLOCATE, |b| {
        udp_transport(b);
        b.attribute(AttributeType::RESERVATION_TOKEN, &token);
    });
    assert_eq!(taken.relayed().port(), answer.relayed().port() + 1);
    other.request(&second, Method::REFRESH, |b| {
        b.u32(AttributeType::LIFETIME, 0);
    });
    one.pass(Duration::from_secs(30));
    // Both ports are free again for the worker whose slice they are in.
    one.request(&client, Method::REFRESH, |b| {
        b.u32(AttributeType::LIFETIME, 0);
    });
    let all = (0..50).filter(|n| {
        let client = one.client(&format!("192.0.2.1:{}", 5000 + n), ALICE);
        one.request(&client, Method::ALLOCATE, udp_transport)
            .code()
            .is_none()
    });
    assert_eq!(all.count(), 50);
}

#[test]
fn a_full_quota_is_answered_486_and_a_release_makes_room() {
    let limits = QuotaLimits {
        per_user: 2,
        ..QuotaLimits::default()
    };
    let mut sim = Sim::with(options(), limits);
    let (first, _) = sim.allocated("192.0.2.1:1", ALICE);
    sim.allocated("192.0.2.1:2", ALICE);
    let third = sim.client("192.0.2.1:3", ALICE);
    assert_eq!(
        sim.request(&third, Method::ALLOCATE, udp_transport).code(),
        Some(486)
    );
    sim.allocated("192.0.2.1:4", BOB);
    sim.request(&first, Method::REFRESH, |b| {
        b.u32(AttributeType::LIFETIME, 0);
    });

    sim.request(&third, Method::ALLOCATE, udp_transport)
        .expect_success();
}

#[test]
fn the_allocation_of_a_removed_user_ends_at_the_reload() {
    let mut sim = Sim::new();
    sim.allocated("192.0.2.1:1", ALICE);
    let (bob, _) = sim.allocated("192.0.2.1:2", BOB);
    sim.server
        .reconfigure(sim.now, options(), directory(&[BOB]));
    sim.carry_out();

    assert_eq!(sim.bound.len(), 1);
    sim.request(&bob, Method::REFRESH, |_| {}).expect_success();
}

#[test]
fn requests_of_another_user_on_the_same_five_tuple_are_refused() {
    let mut sim = Sim::new();
    let (alice, _) = sim.allocated(ALICE_AT, ALICE);
    let mallory = Client { user: BOB, ..alice };

    assert_eq!(
        sim.request(&mallory, Method::REFRESH, |_| {}).code(),
        Some(441)
    );
}

#[test]
fn a_rest_user_with_the_name_of_a_static_one_is_another_user() {
    let name = "1900000000:carol";
    let of_file = auth::User {
        name: name.to_owned(),
        credential: auth::Credential::Password(format!("password of {name}").as_str().into()),
    };
    let both = auth::Directory::new(auth::Options {
        realm: REALM.to_owned(),
        users: vec![of_file],
        rest_secrets: vec!["a secret".into()],
        sessions: None,
    });
    let mut sim = Sim::new();
    sim.server.reconfigure(sim.now, options(), Arc::new(both));
    let (carol, _) = sim.allocated(ALICE_AT, name);

    let before = UnixTime(1_899_999_999);
    let ttl = Duration::from_secs(1);
    let issued = auth::issue(&"a secret".into(), Some("carol"), before, ttl);
    assert_eq!(issued.username, name);
    let md5 = PasswordAlgorithm::Md5;
    let key = long_term_key(md5, name, REALM, issued.password.as_bytes());
    let mut refresh = Vec::new();
    let id = sim.transaction();
    Builder::new(&mut refresh, Class::Request, Method::REFRESH, id)
        .attribute(AttributeType::USERNAME, name.as_bytes())
        .attribute(AttributeType::REALM, REALM.as_bytes())
        .attribute(AttributeType::NONCE, &carol.nonce)
        .integrity(IntegrityAlgorithm::Sha1, key.as_bytes());
    sim.deliver(carol.path, &refresh);
    assert_eq!(sim.answer().code(), Some(441));
}

#[test]
fn a_draining_server_names_another_one() {
    let mut sim = Sim::new();
    let (alice, _) = sim.allocated(ALICE_AT, ALICE);
    let address = "198.51.100.7:3478".parse().unwrap();
    let domain = Some("other.example.org".to_owned());
    sim.server
        .set_alternate(Some(Alternate { address, domain }));
    let late = sim.client("192.0.2.2:4000", BOB);
    let answer = sim.request(&late, Method::ALLOCATE, udp_transport);

    assert_eq!(answer.code(), Some(300));
    assert_eq!(
        answer.message().address(AttributeType::ALTERNATE_SERVER),
        Some(address)
    );
    sim.request(&alice, Method::REFRESH, |_| {})
        .expect_success();
}

#[test]
fn a_client_that_disconnects_loses_its_allocation() {
    let mut sim = Sim::new();
    let client = sim.client_over(ALICE_AT, ALICE, Transport::Tcp);
    sim.request(&client, Method::ALLOCATE, udp_transport)
        .expect_success();
    sim.server
        .handle_client_closed(sim.now, client.path.five_tuple);
    sim.carry_out();

    assert!(sim.bound.is_empty());
}

#[test]
fn a_server_that_stops_ends_every_allocation_and_tells_clients_nothing() {
    let mut sim = Sim::new();
    sim.allocated("192.0.2.1:1", ALICE);
    sim.allocated("192.0.2.1:2", BOB);
    sim.server.shut_down(sim.now);
    sim.carry_out();

    assert_eq!(sim.server.counters().allocations_ended, 2);
    assert!(sim.bound.is_empty() && sim.sent.is_empty());
}
