//! RFC 6062 section 5.4: ConnectionBind turns a client connection into a data
//! connection.

use crate::data_connection::{Listener, allocated, bind, bound, connected};
use crate::support::client::Client;
use crate::support::config::Account;
use crate::support::credentials::Credentials;
use crate::support::server::Server;
use crate::support::session::Session;
use crate::support::wire::{Draft, attribute, method};
use crate::support::{Transport, over_each_stream};

#[test]
fn data_goes_both_ways_as_it_is() {
    let Some(server) = Server::with_tcp_relay() else {
        return;
    };
    over_each_stream(&server, |transport| {
        let peer = Listener::v4();
        let mut session = allocated(&server, transport);
        let id = connected(&mut session, peer.address());
        let (mut stream, _) = peer.accept();
        let mut data = bound(&server, transport, &session.credentials, id);
        data.send(b"hello");
        stream.assert_receives(b"hello");
        stream.send(b"hello yourself");
        assert_eq!(data.receive_exactly(14), b"hello yourself");
        // What looks like STUN is data now.
        let request = Draft::binding().bytes();
        data.send(&request);
        stream.assert_receives(&request);
    });
}

#[test]
fn a_megabyte_goes_through_unchanged() {
    let Some(server) = Server::with_tcp_relay() else {
        return;
    };
    over_each_stream(&server, |transport| {
        let peer = Listener::v4();
        let mut session = allocated(&server, transport);
        let id = connected(&mut session, peer.address());
        let (mut stream, _) = peer.accept();
        let mut data = bound(&server, transport, &session.credentials, id);
        let megabyte: Vec<u8> = (0..1_u32 << 20).map(|i| (i % 251) as u8).collect();
        std::thread::scope(|scope| {
            scope.spawn(|| stream.assert_receives(&megabyte));
            data.send(&megabyte);
        });
        std::thread::scope(|scope| {
            scope.spawn(|| stream.send(&megabyte));
            assert!(data.receive_exactly(megabyte.len()) == megabyte);
        });
    });
}

#[test]
fn data_that_came_before_the_binding_is_not_lost() {
    let Some(server) = Server::with_tcp_relay() else {
        return;
    };
    over_each_stream(&server, |transport| {
        let peer = Listener::v4();
        let mut session = allocated(&server, transport);
        let id = connected(&mut session, peer.address());
        let (mut stream, _) = peer.accept();
        stream.send(b"early");
        let mut data = bound(&server, transport, &session.credentials, id);
        stream.send(b" and late");
        assert_eq!(data.receive_exactly(14), b"early and late");
    });
}

#[test]
fn the_data_connection_may_use_another_transport_than_the_control_connection() {
    let Some(server) = Server::with_tcp_relay() else {
        return;
    };
    if !server.offers(Transport::Tls) {
        return;
    }
    for (control, other) in [
        (Transport::Tcp, Transport::Tls),
        (Transport::Tls, Transport::Tcp),
    ] {
        let peer = Listener::v4();
        let mut session = allocated(&server, control);
        let id = connected(&mut session, peer.address());
        let (mut stream, _) = peer.accept();
        let mut data = bound(&server, other, &session.credentials, id);
        data.send(b"hello");
        stream.assert_receives(b"hello");
    }
}

#[test]
fn an_unknown_or_missing_id_gets_400() {
    let Some(server) = Server::with_tcp_relay() else {
        return;
    };
    over_each_stream(&server, |transport| {
        let peer = Listener::v4();
        let mut session = allocated(&server, transport);
        let id = connected(&mut session, peer.address());
        // The first byte of our ids names a worker; there are fewer than 256.
        for unknown in [id ^ 1, id | 0xFF00_0000] {
            let (_, answer) = bind(&server, transport, &session.credentials, unknown);
            answer.assert_error(400);
        }

        let mut second = Session::open(&server, transport);
        let bare = Draft::request(method::CONNECTION_BIND);
        second.request(&bare).assert_error(400);
        let malformed = bare.with(attribute::CONNECTION_ID, &[0, 1]);
        second.request(&malformed).assert_error(400);
    });
}

#[test]
fn an_id_serves_once() {
    let Some(server) = Server::with_tcp_relay() else {
        return;
    };
    over_each_stream(&server, |transport| {
        let peer = Listener::v4();
        let mut session = allocated(&server, transport);
        let id = connected(&mut session, peer.address());
        let (mut stream, _) = peer.accept();
        let mut data = bound(&server, transport, &session.credentials, id);
        let (_, answer) = bind(&server, transport, &session.credentials, id);
        answer.assert_error(400);
        data.send(b"still the first");
        stream.assert_receives(b"still the first");
    });
}

#[test]
fn over_udp_it_gets_400() {
    let Some(server) = Server::with_tcp_relay() else {
        return;
    };
    let peer = Listener::v4();
    let mut session = allocated(&server, Transport::Tcp);
    let id = connected(&mut session, peer.address());
    let (_, answer) = bind(&server, Transport::Udp, &session.credentials, id);
    answer.assert_error(400);
}

#[test]
fn another_user_cannot_take_the_connection() {
    let Some(server) = Server::with_tcp_relay() else {
        return;
    };
    let Some(bob) = server.bob() else { return };
    over_each_stream(&server, |transport| {
        let peer = Listener::v4();
        let mut session = allocated(&server, transport);
        let id = connected(&mut session, peer.address());
        let (mut stream, _) = peer.accept();
        let credentials = as_user(&session.credentials, bob.clone());
        let (_, answer) = bind(&server, transport, &credentials, id);
        assert!(answer.error_code().is_some(), "{answer:?}");
        let mut data = bound(&server, transport, &session.credentials, id);
        data.send(b"alice's");
        stream.assert_receives(b"alice's");
    });
}

#[test]
fn a_data_connection_may_ask_for_a_challenge_of_its_own() {
    let Some(server) = Server::with_tcp_relay() else {
        return;
    };
    over_each_stream(&server, |transport| {
        let peer = Listener::v4();
        let mut session = allocated(&server, transport);
        let id = connected(&mut session, peer.address());
        let (mut stream, _) = peer.accept();
        let mut second = Session::open(&server, transport);
        let request = Draft::request(method::CONNECTION_BIND).connection_id(id);
        second.request(&request).assert_success();
        second.client.send(b"hello");
        stream.assert_receives(b"hello");
    });
}

#[test]
fn without_credentials_it_gets_a_challenge() {
    let Some(server) = Server::with_tcp_relay() else {
        return;
    };
    over_each_stream(&server, |transport| {
        let peer = Listener::v4();
        let mut session = allocated(&server, transport);
        let id = connected(&mut session, peer.address());
        let mut client = Client::connect(&server, transport);
        let request = Draft::request(method::CONNECTION_BIND).connection_id(id);
        let challenge = client.request(&request);
        challenge.assert_error(401);
        let scheme = session.credentials.scheme;
        let credentials = Credentials::new(server.alice(), scheme, &challenge);
        let mut second = Session::resume(client, credentials);
        second.request(&request).assert_success();
    });
}

fn as_user(credentials: &Credentials, account: Account) -> Credentials {
    Credentials {
        account,
        ..credentials.clone()
    }
}
