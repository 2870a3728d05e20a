//! RFC 8656 section 5: what holds for every message of a five-tuple.

use crate::support::client::Client;
use crate::support::config::TestConfig;
use crate::support::credentials::Credentials;
use crate::support::peer::{Peer, is_free};
use crate::support::server::Server;
use crate::support::session::Session;
use crate::support::wire::{Draft, channel_data, padded_channel_data};
use crate::support::{Transport, over_each_stream, over_each_transport, wait_until};

#[test]
fn requests_without_an_allocation_get_a_protected_437() {
    let server = Server::start(TestConfig::standard());
    over_each_transport(&server, |transport| {
        let peer = Peer::v4().address();
        let mut session = Session::open(&server, transport);
        for request in [
            Draft::refresh(None),
            Draft::refresh(Some(0)),
            Draft::create_permission(&[peer]),
            Draft::channel_bind(0x4000, peer),
        ] {
            let answer = session.request(&request);
            answer.assert_error(437);
            session.credentials.assert_protects(&answer);
        }
    });
}

#[test]
fn indications_and_channel_data_without_an_allocation_are_ignored() {
    let server = Server::start(TestConfig::standard());
    over_each_transport(&server, |transport| {
        let peer = Peer::v4();
        let mut client = Client::connect(&server, transport);
        // A stream starts with a request, which tells the server what it is.
        client.request(&Draft::binding()).assert_success();
        client.assert_ignored(&Draft::send(peer.address(), b"data").bytes());
        client.assert_ignored(&padded_channel_data(0x4000, b"data"));
        client.assert_ignored(&channel_data(0x4000, b""));
    });
}

#[test]
fn another_user_gets_441_and_changes_nothing() {
    let server = Server::start(TestConfig::standard());
    let Some(bob) = server.bob() else { return };
    over_each_transport(&server, |transport| {
        let peer = Peer::v4();
        let mut session = Session::allocated(&server, transport);
        let alice = session.credentials.clone();
        session.credentials = Credentials {
            account: bob.clone(),
            ..alice.clone()
        };
        for request in [
            Draft::refresh(None),
            Draft::refresh(Some(0)),
            Draft::create_permission(&[peer.address()]),
            Draft::channel_bind(0x4000, peer.address()),
        ] {
            session.request(&request).assert_error(441);
        }
        session.credentials = alice;
        session.permit(&[peer.address()]);
        session.send(peer.address(), b"still alice's");
        peer.assert_receives(b"still alice's", session.relayed());
    });
}

#[test]
fn each_five_tuple_has_its_own_allocation() {
    let server = Server::start(TestConfig::standard());
    over_each_transport(&server, |transport| {
        let peer = Peer::v4();
        let mut first = Session::allocated(&server, transport);
        let mut second = Session::allocated(&server, transport);
        assert_ne!(first.relayed(), second.relayed());
        first.permit(&[peer.address()]);
        second.permit(&[peer.address()]);
        first.send(peer.address(), b"one");
        peer.assert_receives(b"one", first.relayed());
        second.send(peer.address(), b"two");
        peer.assert_receives(b"two", second.relayed());
    });
}

#[test]
fn the_allocation_ends_when_its_stream_is_closed() {
    let server = Server::start(TestConfig::standard());
    over_each_stream(&server, |transport| {
        let session = Session::allocated(&server, transport);
        let relayed = session.relayed();
        assert!(!is_free(relayed));
        session.client.close();
        wait_until("the relayed address is free", || is_free(relayed));
    });
}

#[test]
fn one_client_address_may_use_udp_and_tcp_at_once() {
    let server = Server::start(TestConfig::standard());
    if !server.offers(Transport::Tcp) {
        return;
    }
    let mut tcp = Session::allocated(&server, Transport::Tcp);
    let client = Client::udp_from(tcp.client.local(), server.address(Transport::Udp));
    let scheme = tcp.credentials.scheme;
    let mut udp = Session::start(client, server.alice(), scheme);
    udp.allocate();
    assert_ne!(udp.relayed(), tcp.relayed());
    udp.refresh(Some(0)).assert_success();
    tcp.refresh(None).assert_success();
}
