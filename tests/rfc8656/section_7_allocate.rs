//! RFC 8656 section 7.2: the Allocate request, but for address families, port
//! pairs and quotas, which have files of their own.

use std::net::SocketAddr;

use crate::support::answer::Frame;
use crate::support::client::Client;
use crate::support::config::TestConfig;
use crate::support::peer::{Peer, is_free};
use crate::support::server::Server;
use crate::support::session::Session;
use crate::support::wire::{Draft, attribute, method};
use crate::support::{Transport, over_each_transport};

/// Default and longest lifetime in seconds, the configured defaults.
const DEFAULT: u32 = 600;
/// See [`DEFAULT`].
const LONGEST: u32 = 3600;

#[test]
fn a_success_carries_relayed_address_lifetime_and_mapped_address() {
    let server = Server::start(TestConfig::standard());
    over_each_transport(&server, |transport| {
        let mut session = Session::open(&server, transport);
        let answer = session.allocate_with(Draft::allocate());
        assert_eq!(session.all_relayed().len(), 1, "{answer:?}");
        assert!(session.relayed().is_ipv4());
        assert!(session.relayed().port() >= 49_152);
        assert_eq!(answer.lifetime(), DEFAULT);
        let mapped = answer.address(attribute::XOR_MAPPED_ADDRESS);
        assert_eq!(mapped, session.client.local());
        assert!(!answer.has(attribute::RESERVATION_TOKEN), "{answer:?}");
        assert!(!answer.has(attribute::ADDRESS_ERROR_CODE), "{answer:?}");
    });
}

#[test]
fn the_relayed_address_is_in_use_when_the_success_arrives() {
    let server = Server::start(TestConfig::standard());
    over_each_transport(&server, |transport| {
        let session = Session::allocated(&server, transport);
        assert!(!is_free(session.relayed()));
    });
}

#[test]
fn a_retransmitted_request_gets_the_same_answer() {
    let server = Server::start(TestConfig::standard());
    let mut session = Session::open(&server, Transport::Udp);
    let request = session.credentials.sign(Draft::allocate());
    let relayed: Vec<_> = (0..3)
        .map(|_| {
            session.client.send(&request.bytes());
            let answer = session.client.receive().stun();
            answer.assert_success();
            session.credentials.assert_protects(&answer);
            answer.address(attribute::XOR_RELAYED_ADDRESS)
        })
        .collect();
    assert_eq!(relayed[0], relayed[1]);
    assert_eq!(relayed[0], relayed[2]);
}

#[test]
fn a_request_sent_three_times_at_once_makes_one_allocation() {
    let server = Server::start(TestConfig::standard());
    let mut session = Session::open(&server, Transport::Udp);
    let request = session.credentials.sign(Draft::allocate()).bytes();
    for _ in 0..3 {
        session.client.send(&request);
    }
    let mut relayed = Vec::new();
    while let Some(Frame::Stun(answer)) = session.client.receive_within(crate::support::SILENCE) {
        answer.assert_success();
        relayed.push(answer.address(attribute::XOR_RELAYED_ADDRESS));
    }
    assert!(!relayed.is_empty(), "no answer");
    assert!(relayed.iter().all(|address| *address == relayed[0]));
}

#[test]
fn a_second_allocation_on_the_five_tuple_gets_437() {
    let server = Server::start(TestConfig::standard());
    over_each_transport(&server, |transport| {
        let mut session = Session::allocated(&server, transport);
        let answer = session.request(&Draft::allocate());
        answer.assert_error(437);
        session.credentials.assert_protects(&answer);
        session.refresh(None).assert_success();
    });
}

#[test]
fn a_missing_or_malformed_requested_transport_gets_400() {
    let server = Server::start(TestConfig::standard());
    over_each_transport(&server, |transport| {
        let bare = Draft::request(method::ALLOCATE);
        let mut session = Session::open(&server, transport);
        session.request(&bare).assert_error(400);
        for malformed in [&[17][..], &[17, 0], &[17, 0, 0, 0, 0, 0, 0, 0]] {
            let request = bare.clone().with(attribute::REQUESTED_TRANSPORT, malformed);
            session.request(&request).assert_error(400);
        }
    });
}

#[test]
fn an_unsupported_transport_protocol_gets_442() {
    let server = Server::start(TestConfig::standard());
    over_each_transport(&server, |transport| {
        let mut session = Session::open(&server, transport);
        for protocol in [0, 1, 33, 132, 255] {
            let request = Draft::request(method::ALLOCATE).transport(protocol);
            session.request(&request).assert_error(442);
        }
    });
}

#[test]
fn reserved_bits_of_requested_transport_are_ignored() {
    let server = Server::start(TestConfig::standard());
    over_each_transport(&server, |transport| {
        let mut session = Session::open(&server, transport);
        let request = Draft::request(method::ALLOCATE)
            .with(attribute::REQUESTED_TRANSPORT, &[17, 0xff, 0xff, 0xff]);
        session.allocate_with(request);
    });
}

#[test]
fn the_lifetime_stays_between_default_and_maximum() {
    let server = Server::start(TestConfig::standard());
    over_each_transport(&server, |transport| {
        for (wanted, granted) in [
            (0, DEFAULT),
            (1, DEFAULT),
            (599, DEFAULT),
            (1200, 1200),
            (3600, LONGEST),
            (3601, LONGEST),
            (u32::MAX, LONGEST),
        ] {
            let mut session = Session::open(&server, transport);
            let answer = session.allocate_with(Draft::allocate().lifetime(wanted));
            assert_eq!(answer.lifetime(), granted, "asked for {wanted}");
        }
    });
}

#[test]
fn dont_fragment_is_accepted() {
    let server = Server::start(TestConfig::standard());
    over_each_transport(&server, |transport| {
        let mut session = Session::open(&server, transport);
        session.allocate_with(Draft::allocate().with(attribute::DONT_FRAGMENT, b""));
    });
}

#[test]
fn a_request_that_was_refused_can_be_repeated_better() {
    let server = Server::start(TestConfig::standard());
    over_each_transport(&server, |transport| {
        let peer = Peer::v4();
        let mut session = Session::open(&server, transport);
        let bare = Draft::request(method::ALLOCATE);
        session.request(&bare).assert_error(400);
        session.allocate();
        session.permit(&[peer.address()]);
        session.send(peer.address(), b"at last");
        peer.assert_receives(b"at last", session.relayed());
    });
}

#[test]
fn relayed_ports_are_not_predictable() {
    let server = Server::start(TestConfig::standard());
    let ports: Vec<u16> = (0..8)
        .map(|_| {
            let session = Session::allocated(&server, Transport::Udp);
            session.relayed().port()
        })
        .collect();
    let in_order = ports.windows(2).all(|pair| pair[1] == pair[0] + 1);
    assert!(!in_order, "{ports:?}");
}

#[test]
fn exhausted_relay_ports_get_508() {
    // Two ports somewhere in the dynamic range, free as the server will find.
    let range = free_pair();
    let config = TestConfig::standard()
        .set("server.workers", 1)
        .set("turn.relay_ports", range);
    let Some(server) = Server::requires_own_server(config) else {
        return;
    };
    let mut sessions: Vec<Session> = (0..3)
        .map(|_| Session::open(&server, Transport::Udp))
        .collect();
    sessions[0].allocate();
    sessions[1].allocate();
    let answer = sessions[2].request(&Draft::allocate());
    answer.assert_error(508);
    sessions[0].refresh(Some(0)).assert_success();
    sessions[2].allocate();
}

#[test]
fn the_tuple_of_a_deleted_allocation_can_allocate_again() {
    let server = Server::start(TestConfig::standard());
    over_each_transport(&server, |transport| {
        let mut session = Session::start(
            Client::connect(&server, transport),
            server.alice(),
            crate::support::credentials::Scheme::Sha1,
        );
        for _ in 0..3 {
            session.allocate();
            session.refresh(Some(0)).assert_success();
        }
    });
}

/// Finds two neighbouring UDP ports that are free now, as a range of the configuration.
fn free_pair() -> String {
    let found = (0..1000).find_map(|_| {
        let port = Peer::v4().address().port();
        let next = port.checked_add(1)?;
        is_free(SocketAddr::from(([127, 0, 0, 1], next))).then(|| format!("{port}-{next}"))
    });
    found.expect("two neighbouring ports are free")
}
