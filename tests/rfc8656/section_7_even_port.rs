//! RFC 8656 section 7.2, steps 5 and 8: even ports, and pairs of ports whose
//! second one is reserved for a later allocation.

use crate::support::config::TestConfig;
use crate::support::peer::Peer;
use crate::support::server::Server;
use crate::support::session::Session;
use crate::support::wire::{Draft, IPV6, attribute};
use crate::support::{Transport, over_each_transport};

/// EVEN-PORT with and without the R bit. RFC 8656 section 18.7.
const RESERVE: [u8; 1] = [0x80];
/// See [`RESERVE`].
const JUST_EVEN: [u8; 1] = [0x00];

#[test]
fn an_even_port_is_granted_without_a_reservation() {
    let server = Server::start(TestConfig::standard());
    over_each_transport(&server, |transport| {
        for _ in 0..4 {
            let mut session = Session::open(&server, transport);
            let answer =
                session.allocate_with(Draft::allocate().with(attribute::EVEN_PORT, &JUST_EVEN));
            assert_eq!(session.relayed().port() % 2, 0);
            assert!(!answer.has(attribute::RESERVATION_TOKEN), "{answer:?}");
        }
    });
}

#[test]
fn the_token_gives_another_five_tuple_the_next_port() {
    let server = Server::start(TestConfig::standard());
    over_each_transport(&server, |transport| {
        let (first, token) = reserve(&server, transport);
        let relayed = first.relayed();
        assert_eq!(relayed.port() % 2, 0);
        let mut second = Session::open(&server, transport);
        second.allocate_with(Draft::allocate().with(attribute::RESERVATION_TOKEN, &token));
        assert_eq!(second.relayed().ip(), relayed.ip());
        assert_eq!(second.relayed().port(), relayed.port() + 1);

        let peer = Peer::v4();
        second.permit(&[peer.address()]);
        second.send(peer.address(), b"from the odd port");
        peer.assert_receives(b"from the odd port", second.relayed());
    });
}

#[test]
fn the_token_may_be_used_over_another_transport() {
    let server = Server::start(TestConfig::standard());
    over_each_transport(&server, |transport| {
        let (first, token) = reserve(&server, Transport::Udp);
        let mut second = Session::open(&server, transport);
        second.allocate_with(Draft::allocate().with(attribute::RESERVATION_TOKEN, &token));
        assert_eq!(second.relayed().port(), first.relayed().port() + 1);
    });
}

#[test]
fn many_clients_find_their_reservations() {
    // Whichever worker or thread serves the second five-tuple.
    let server = Server::start(TestConfig::standard());
    for _ in 0..12 {
        let (first, token) = reserve(&server, Transport::Udp);
        let mut second = Session::open(&server, Transport::Udp);
        second.allocate_with(Draft::allocate().with(attribute::RESERVATION_TOKEN, &token));
        assert_eq!(second.relayed().port(), first.relayed().port() + 1);
    }
}

#[test]
fn a_token_serves_once() {
    let server = Server::start(TestConfig::standard());
    over_each_transport(&server, |transport| {
        let (_first, token) = reserve(&server, transport);
        let request = Draft::allocate().with(attribute::RESERVATION_TOKEN, &token);
        let mut second = Session::open(&server, transport);
        second.allocate_with(request.clone());
        let mut third = Session::open(&server, transport);
        third.request(&request).assert_error(508);
    });
}

#[test]
fn a_retransmission_gets_the_same_token() {
    let server = Server::start(TestConfig::standard());
    let mut session = Session::open(&server, Transport::Udp);
    let draft = Draft::allocate().with(attribute::EVEN_PORT, &RESERVE);
    let request = session.credentials.sign(draft).bytes();
    let mut tokens = Vec::new();
    for _ in 0..2 {
        session.client.send(&request);
        let answer = session.client.receive().stun();
        answer.assert_success();
        tokens.push(answer.attribute(attribute::RESERVATION_TOKEN).unwrap());
    }
    assert_eq!(tokens[0], tokens[1]);
}

#[test]
fn an_unknown_token_gets_508() {
    let server = Server::start(TestConfig::standard());
    over_each_transport(&server, |transport| {
        let mut session = Session::open(&server, transport);
        let request = Draft::allocate().with(attribute::RESERVATION_TOKEN, b"no token");
        session.request(&request).assert_error(508);
    });
}

#[test]
fn a_token_with_another_wish_gets_400() {
    let server = Server::start(TestConfig::standard());
    over_each_transport(&server, |transport| {
        let (_first, token) = reserve(&server, transport);
        let request = Draft::allocate().with(attribute::RESERVATION_TOKEN, &token);
        let mut session = Session::open(&server, transport);
        for wish in [
            request.clone().with(attribute::EVEN_PORT, &JUST_EVEN),
            request.clone().with(attribute::EVEN_PORT, &RESERVE),
            request
                .clone()
                .family(attribute::REQUESTED_ADDRESS_FAMILY, IPV6),
            request
                .clone()
                .family(attribute::ADDITIONAL_ADDRESS_FAMILY, IPV6),
        ] {
            session.request(&wish).assert_error(400);
        }
        session.allocate_with(request);
    });
}

#[test]
fn a_pair_of_ports_in_a_dual_allocation_gets_400() {
    let server = Server::start(TestConfig::standard());
    over_each_transport(&server, |transport| {
        let mut session = Session::open(&server, transport);
        let request = Draft::allocate()
            .with(attribute::EVEN_PORT, &RESERVE)
            .family(attribute::ADDITIONAL_ADDRESS_FAMILY, IPV6);
        session.request(&request).assert_error(400);
    });
}

#[test]
fn an_ipv6_pair_of_ports_works_too() {
    let server = Server::start(TestConfig::standard());
    over_each_transport(&server, |transport| {
        let mut first = Session::open(&server, transport);
        let request = Draft::allocate()
            .family(attribute::REQUESTED_ADDRESS_FAMILY, IPV6)
            .with(attribute::EVEN_PORT, &RESERVE);
        let answer = first.allocate_with(request);
        let token = answer.attribute(attribute::RESERVATION_TOKEN).unwrap();
        let mut second = Session::open(&server, transport);
        second.allocate_with(Draft::allocate().with(attribute::RESERVATION_TOKEN, &token));
        assert_eq!(second.relayed().ip(), first.relayed().ip());
        assert_eq!(second.relayed().port(), first.relayed().port() + 1);
    });
}

/// Makes an allocation on an even port and returns it with the token for the next one.
#[track_caller]
fn reserve(server: &Server, transport: Transport) -> (Session, Vec<u8>) {
    let mut session = Session::open(server, transport);
    let answer = session.allocate_with(Draft::allocate().with(attribute::EVEN_PORT, &RESERVE));
    let token = answer.attribute(attribute::RESERVATION_TOKEN).unwrap();
    assert_eq!(token.len(), 8, "{answer:?}");
    (session, token)
}
