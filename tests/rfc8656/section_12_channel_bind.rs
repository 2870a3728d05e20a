//! RFC 8656 sections 12.1 to 12.3: binding channels.

use std::net::SocketAddr;

use crate::support::config::TestConfig;
use crate::support::peer::Peer;
use crate::support::server::Server;
use crate::support::session::Session;
use crate::support::wire::{Draft, attribute, method};
use crate::support::{Transport, over_each_transport};

#[test]
fn the_channels_of_rfc8656_can_be_bound() {
    let server = Server::start(TestConfig::standard());
    over_each_transport(&server, |transport| {
        let mut session = Session::allocated(&server, transport);
        for number in [0x4000, 0x4001, 0x4fff] {
            session.bind(number, Peer::v4().address());
        }
    });
}

#[test]
fn the_channels_of_rfc5766_can_be_bound_as_well() {
    // RFC 8656 narrows the range to 0x4FFF; clients in use do not.
    let server = Server::start(TestConfig::standard());
    over_each_transport(&server, |transport| {
        let peer = Peer::v4();
        let mut session = Session::allocated(&server, transport);
        session.bind(0x5000, Peer::v4().address());
        session.bind(0x7fff, peer.address());
        session.send_channel(0x7fff, b"the last one");
        peer.assert_receives(b"the last one", session.relayed());
        peer.send(session.relayed(), b"and back");
        session.assert_receives_on(0x7fff, b"and back");
    });
}

#[test]
fn numbers_outside_the_range_get_400() {
    let server = Server::start(TestConfig::standard());
    over_each_transport(&server, |transport| {
        let peer = Peer::v4().address();
        let mut session = Session::allocated(&server, transport);
        for number in [0x0000, 0x0001, 0x3fff, 0x8000, 0xffff] {
            let answer = session.request(&Draft::channel_bind(number, peer));
            answer.assert_error(400);
            session.credentials.assert_protects(&answer);
        }
    });
}

#[test]
fn a_missing_number_or_peer_gets_400() {
    let server = Server::start(TestConfig::standard());
    over_each_transport(&server, |transport| {
        let mut session = Session::allocated(&server, transport);
        let bare = Draft::request(method::CHANNEL_BIND);
        for request in [
            bare.clone(),
            bare.clone().channel(0x4000),
            bare.clone().peer(Peer::v4().address()),
            bare.clone()
                .with(attribute::CHANNEL_NUMBER, &[0x40, 0])
                .peer(Peer::v4().address()),
            bare.channel(0x4000)
                .with(attribute::XOR_PEER_ADDRESS, &[0, 1, 2, 3]),
        ] {
            session.request(&request).assert_error(400);
        }
    });
}

#[test]
fn reserved_bits_of_the_number_are_ignored() {
    let server = Server::start(TestConfig::standard());
    over_each_transport(&server, |transport| {
        let mut session = Session::allocated(&server, transport);
        let request = Draft::request(method::CHANNEL_BIND)
            .with(attribute::CHANNEL_NUMBER, &[0x40, 0, 0xff, 0xff])
            .peer(Peer::v4().address());
        session.request(&request).assert_success();
    });
}

#[test]
fn a_channel_cannot_be_bound_to_a_second_peer() {
    let server = Server::start(TestConfig::standard());
    over_each_transport(&server, |transport| {
        let (first, second) = (Peer::v4(), Peer::v4());
        let mut session = Session::allocated(&server, transport);
        session.bind(0x4000, first.address());
        let request = Draft::channel_bind(0x4000, second.address());
        session.request(&request).assert_error(400);
        session.send_channel(0x4000, b"to the first");
        first.assert_receives(b"to the first", session.relayed());
    });
}

#[test]
fn a_peer_cannot_be_bound_to_a_second_channel() {
    let server = Server::start(TestConfig::standard());
    over_each_transport(&server, |transport| {
        let peer = Peer::v4();
        let mut session = Session::allocated(&server, transport);
        session.bind(0x4000, peer.address());
        let request = Draft::channel_bind(0x4001, peer.address());
        session.request(&request).assert_error(400);
        peer.send(session.relayed(), b"on the first");
        session.assert_receives_on(0x4000, b"on the first");
    });
}

#[test]
fn two_ports_of_one_address_are_two_peers() {
    let server = Server::start(TestConfig::standard());
    over_each_transport(&server, |transport| {
        let (first, second) = (Peer::v4(), Peer::v4());
        let mut session = Session::allocated(&server, transport);
        session.bind(0x4000, first.address());
        session.bind(0x4001, second.address());
        first.send(session.relayed(), b"one");
        session.assert_receives_on(0x4000, b"one");
        second.send(session.relayed(), b"two");
        session.assert_receives_on(0x4001, b"two");
    });
}

#[test]
fn a_binding_can_be_refreshed() {
    let server = Server::start(TestConfig::standard());
    over_each_transport(&server, |transport| {
        let peer = Peer::v4();
        let mut session = Session::allocated(&server, transport);
        for _ in 0..3 {
            session.bind(0x4000, peer.address());
        }
    });
}

#[test]
fn a_retransmitted_request_succeeds_again() {
    let server = Server::start(TestConfig::standard());
    let mut session = Session::allocated(&server, Transport::Udp);
    let draft = Draft::channel_bind(0x4000, Peer::v4().address());
    let request = session.credentials.sign(draft).bytes();
    for _ in 0..2 {
        session.client.send(&request);
        let answer = session.client.receive().stun();
        answer.assert_success();
    }
}

#[test]
fn channels_of_two_allocations_are_unrelated() {
    let server = Server::start(TestConfig::standard());
    over_each_transport(&server, |transport| {
        let (first_peer, second_peer) = (Peer::v4(), Peer::v4());
        let mut first = Session::allocated(&server, transport);
        let mut second = Session::allocated(&server, transport);
        first.bind(0x4000, first_peer.address());
        second.bind(0x4000, second_peer.address());
        first.send_channel(0x4000, b"one");
        first_peer.assert_receives(b"one", first.relayed());
        second.send_channel(0x4000, b"two");
        second_peer.assert_receives(b"two", second.relayed());
    });
}

#[test]
fn a_peer_of_the_other_family_gets_443() {
    let server = Server::start(TestConfig::standard());
    over_each_transport(&server, |transport| {
        let mut session = Session::allocated(&server, transport);
        let request = Draft::channel_bind(0x4000, Peer::v6().address());
        session.request(&request).assert_error(443);
    });
}

#[test]
fn more_channels_than_the_cap_get_508() {
    let Some(server) = Server::requires_own_server(TestConfig::standard()) else {
        return;
    };
    let mut session = Session::allocated(&server, Transport::Udp);
    let peer = |number: u16| SocketAddr::from(([127, 0, 0, 1], 1000 + number));
    for number in 0..64 {
        session.bind(0x4000 + number, peer(number));
    }
    let request = Draft::channel_bind(0x4000 + 64, peer(64));
    session.request(&request).assert_error(508);
    session.bind(0x4000, peer(0));
}
