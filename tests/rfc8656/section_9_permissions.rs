//! RFC 8656 section 9: only peers with a permission get through, and a permission
//! is for an IP address, whatever the port.

use crate::support::config::TestConfig;
use crate::support::peer::Peer;
use crate::support::server::Server;
use crate::support::session::Session;
use crate::support::wire::{Draft, IPV6, attribute};
use crate::support::{SILENCE, over_each_transport};

#[test]
fn data_from_a_peer_without_a_permission_is_dropped() {
    let server = Server::start(TestConfig::standard());
    over_each_transport(&server, |transport| {
        let (stranger, friend) = (Peer::on("127.0.0.2"), Peer::v4());
        let mut session = Session::allocated(&server, transport);
        stranger.send(session.relayed(), b"before any permission");
        session.permit(&[friend.address()]);
        stranger.send(session.relayed(), b"from a stranger");
        friend.send(session.relayed(), b"from a friend");
        session.assert_receives(b"from a friend", friend.address());
    });
}

#[test]
fn data_to_a_peer_without_a_permission_is_dropped() {
    let server = Server::start(TestConfig::standard());
    over_each_transport(&server, |transport| {
        let (stranger, friend) = (Peer::on("127.0.0.2"), Peer::v4());
        let mut session = Session::allocated(&server, transport);
        session.permit(&[friend.address()]);
        session.send(stranger.address(), b"to a stranger");
        session.send(friend.address(), b"to a friend");
        friend.assert_receives(b"to a friend", session.relayed());
        // The friend's datagram was relayed after the stranger's would have been.
        session.permit(&[stranger.address()]);
        session.send(stranger.address(), b"to a friend too");
        stranger.assert_receives(b"to a friend too", session.relayed());
    });
}

#[test]
fn a_permission_covers_every_port_of_the_address() {
    let server = Server::start(TestConfig::standard());
    over_each_transport(&server, |transport| {
        let (one, other) = (Peer::on("127.0.0.3"), Peer::on("127.0.0.3"));
        let mut session = Session::allocated(&server, transport);
        session.permit(&[one.address()]);
        other.send(session.relayed(), b"from another port");
        session.assert_receives(b"from another port", other.address());
        session.send(other.address(), b"to another port");
        other.assert_receives(b"to another port", session.relayed());
    });
}

#[test]
fn an_ipv6_permission_covers_every_port_of_one_address() {
    let server = Server::start(TestConfig::standard());
    over_each_transport(&server, |transport| {
        let (one, other) = (Peer::v6(), Peer::v6());
        let mut session = Session::open(&server, transport);
        let request = Draft::allocate().family(attribute::REQUESTED_ADDRESS_FAMILY, IPV6);
        session.allocate_with(request);
        session.permit(&[one.address()]);
        other.send(session.relayed(), b"from another port");
        session.assert_receives(b"from another port", other.address());
    });
}

#[test]
fn a_channel_installs_a_permission_too() {
    let server = Server::start(TestConfig::standard());
    over_each_transport(&server, |transport| {
        let (bound, neighbour) = (Peer::on("127.0.0.4"), Peer::on("127.0.0.4"));
        let mut session = Session::allocated(&server, transport);
        session.bind(0x4000, bound.address());
        session.send(neighbour.address(), b"to the neighbour");
        neighbour.assert_receives(b"to the neighbour", session.relayed());
        neighbour.send(session.relayed(), b"from the neighbour");
        session.assert_receives(b"from the neighbour", neighbour.address());
    });
}

#[test]
fn permissions_of_one_allocation_say_nothing_about_another() {
    let server = Server::start(TestConfig::standard());
    over_each_transport(&server, |transport| {
        let (peer, other) = (Peer::v4(), Peer::on("127.0.0.2"));
        let mut first = Session::allocated(&server, transport);
        let mut second = Session::allocated(&server, transport);
        first.permit(&[peer.address()]);
        second.permit(&[other.address()]);
        peer.send(second.relayed(), b"not here");
        other.send(second.relayed(), b"here");
        second.assert_receives(b"here", other.address());
        second.send(peer.address(), b"not this");
        second.send(other.address(), b"in between");
        other.assert_receives(b"in between", second.relayed());
        first.send(peer.address(), b"but this");
        peer.assert_receives(b"but this", first.relayed());
    });
}

#[test]
fn a_peer_gets_through_only_once_it_has_a_permission() {
    let server = Server::start(TestConfig::standard());
    over_each_transport(&server, |transport| {
        let peer = Peer::v4();
        let mut session = Session::allocated(&server, transport);
        peer.send(session.relayed(), b"too early");
        // The relayed address and the client are two sockets, so only time tells.
        assert!(session.client.receive_within(SILENCE).is_none());
        session.permit(&[peer.address()]);
        peer.send(session.relayed(), b"in time");
        session.assert_receives(b"in time", peer.address());
    });
}
