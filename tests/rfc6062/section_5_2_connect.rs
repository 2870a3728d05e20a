//! RFC 6062 section 5.2: the Connect request.

use crate::data_connection::{Listener, allocated, bound, closed_port, connect, connected};
use crate::support::config::{TestConfig, strings};
use crate::support::over_each_stream;
use crate::support::peer::Peer;
use crate::support::server::Server;
use crate::support::session::Session;
use crate::support::wire::{Draft, attribute, method};

#[test]
fn the_server_connects_from_the_relayed_address() {
    let Some(server) = Server::with_tcp_relay() else {
        return;
    };
    over_each_stream(&server, |transport| {
        let peer = Listener::v4();
        let mut session = allocated(&server, transport);
        connected(&mut session, peer.address());
        let (_stream, from) = peer.accept();
        assert_eq!(from, session.relayed());
    });
}

#[test]
fn connections_to_two_peers_have_two_ids() {
    let Some(server) = Server::with_tcp_relay() else {
        return;
    };
    over_each_stream(&server, |transport| {
        let (first, second) = (Listener::v4(), Listener::v4());
        let mut session = allocated(&server, transport);
        let one = connected(&mut session, first.address());
        let two = connected(&mut session, second.address());
        assert_ne!(one, two);
    });
}

#[test]
fn a_second_connection_to_the_same_peer_gets_446() {
    let Some(server) = Server::with_tcp_relay() else {
        return;
    };
    over_each_stream(&server, |transport| {
        let peer = Listener::v4();
        let mut session = allocated(&server, transport);
        let id = connected(&mut session, peer.address());
        session.request(&connect(peer.address())).assert_error(446);
        // Nor once it is in use.
        let _data = bound(&server, transport, &session.credentials, id);
        session.request(&connect(peer.address())).assert_error(446);
    });
}

#[test]
fn a_peer_that_does_not_accept_gets_447() {
    let Some(server) = Server::with_tcp_relay() else {
        return;
    };
    over_each_stream(&server, |transport| {
        let mut session = allocated(&server, transport);
        let answer = session.request(&connect(closed_port()));
        answer.assert_error(447);
        session.credentials.assert_protects(&answer);
        session.refresh(None).assert_success();
    });
}

#[test]
fn after_a_failure_the_peer_can_be_tried_again() {
    let Some(server) = Server::with_tcp_relay() else {
        return;
    };
    over_each_stream(&server, |transport| {
        let mut session = allocated(&server, transport);
        let nobody = closed_port();
        for _ in 0..2 {
            session.request(&connect(nobody)).assert_error(447);
        }
    });
}

#[test]
fn a_missing_or_malformed_peer_gets_400() {
    let Some(server) = Server::with_tcp_relay() else {
        return;
    };
    over_each_stream(&server, |transport| {
        let mut session = allocated(&server, transport);
        let bare = Draft::request(method::CONNECT);
        session.request(&bare).assert_error(400);
        let malformed = bare.with(attribute::XOR_PEER_ADDRESS, &[0, 1, 2, 3]);
        session.request(&malformed).assert_error(400);
    });
}

#[test]
fn without_an_allocation_it_gets_437() {
    let Some(server) = Server::with_tcp_relay() else {
        return;
    };
    over_each_stream(&server, |transport| {
        let mut session = Session::open(&server, transport);
        session.request(&connect(closed_port())).assert_error(437);
    });
}

#[test]
fn on_a_udp_allocation_it_is_refused() {
    let Some(server) = Server::with_tcp_relay() else {
        return;
    };
    over_each_stream(&server, |transport| {
        let peer = Listener::v4();
        let mut session = Session::allocated(&server, transport);
        let answer = session.request(&connect(peer.address()));
        assert!(answer.error_code().is_some(), "{answer:?}");
    });
}

#[test]
fn a_peer_of_the_other_family_gets_443() {
    let Some(server) = Server::with_tcp_relay() else {
        return;
    };
    over_each_stream(&server, |transport| {
        let mut session = allocated(&server, transport);
        let request = connect(Peer::v6().address());
        session.request(&request).assert_error(443);
    });
}

#[test]
fn a_denied_peer_gets_403() {
    let config = TestConfig::tcp_relay().set("turn.allow_peers", strings(&[]));
    let Some(server) = Server::requires_own_server(config) else {
        return;
    };
    over_each_stream(&server, |transport| {
        let mut session = allocated(&server, transport);
        for peer in ["127.0.0.1:80", "10.0.0.1:80", "169.254.169.254:80"] {
            let answer = session.request(&connect(peer.parse().unwrap()));
            assert_eq!(answer.error_code(), Some(403), "{peer}: {answer:?}");
        }
    });
}
