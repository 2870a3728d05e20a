//! Joined connections whose ends do not read: nothing is lost, nothing stops
//! that could go on, and nothing reaches anybody else (RFC 6062 sections 5.4
//! and 5.5).

use std::time::Duration;

use turnstone::clock;

use crate::data_connection::{Listener, allocated, bound, connect, connected};
use crate::support::Transport;
use crate::support::config::TestConfig;
use crate::support::server::Server;
use crate::support::wire::attribute;

#[test]
fn what_the_client_wrote_before_it_closed_reaches_a_slow_peer() {
    let Some(server) = Server::with_tcp_relay() else {
        return;
    };
    let peer = Listener::v4();
    let mut session = allocated(&server, Transport::Tcp);
    let id = connected(&mut session, peer.address());
    let (mut stream, _) = peer.accept();
    let data = bound(&server, Transport::Tcp, &session.credentials, id);
    let sent = data.fill();
    data.end();
    assert_eq!(stream.read_to_end(), sent);
}

#[test]
fn what_the_peer_wrote_before_it_closed_reaches_a_slow_client() {
    let Some(server) = Server::with_tcp_relay() else {
        return;
    };
    let peer = Listener::v4();
    let mut session = allocated(&server, Transport::Tcp);
    let id = connected(&mut session, peer.address());
    let (stream, _) = peer.accept();
    let mut data = bound(&server, Transport::Tcp, &session.credentials, id);
    let sent = stream.fill();
    drop(stream);
    data.receive_exactly(sent);
    data.assert_closed_by_server();
}

#[test]
fn a_client_that_reads_is_served_while_its_peer_does_not() {
    let Some(server) = Server::with_tcp_relay() else {
        return;
    };
    let peer = Listener::v4();
    let mut session = allocated(&server, Transport::Tcp);
    let id = connected(&mut session, peer.address());
    let (stream, _) = peer.accept();
    let mut data = bound(&server, Transport::Tcp, &session.credentials, id);
    data.fill();
    let sent = stream.fill();
    data.receive_exactly(sent);
}

#[test]
fn a_peer_that_reads_is_served_while_its_client_does_not() {
    let Some(server) = Server::with_tcp_relay() else {
        return;
    };
    let peer = Listener::v4();
    let mut session = allocated(&server, Transport::Tcp);
    let id = connected(&mut session, peer.address());
    let (stream, _) = peer.accept();
    let data = bound(&server, Transport::Tcp, &session.credentials, id);
    stream.fill();
    let sent = data.fill();
    stream.receive_exactly(sent);
}

#[test]
fn what_comes_after_the_peer_has_closed_reaches_nobody() {
    // One worker: the next peer connection takes the place of the closed one.
    let config = TestConfig::tcp_relay().set("server.workers", 1);
    let Some(server) = Server::requires_own_server(config) else {
        return;
    };
    let peer = Listener::v4();
    let mut session = allocated(&server, Transport::Tcp);
    let first = connected(&mut session, peer.address());
    let (stream, _) = peer.accept();
    let mut old_data = bound(&server, Transport::Tcp, &session.credentials, first);
    stream.fill();
    drop(stream);
    // The client reads until the server has seen the peer's end, and stops: its
    // connection waits with the last bytes.
    let second = loop {
        old_data.receive_exactly(1);
        let answer = session.request(&connect(peer.address()));
        if answer.error_code().is_none() {
            break answer.number(attribute::CONNECTION_ID);
        }
        answer.assert_error(446);
    };
    let (mut stream, _) = peer.accept();
    old_data.send(b"for the peer that has gone");
    let mut data = bound(&server, Transport::Tcp, &session.credentials, second);
    data.send(b"for the new one");
    stream.assert_receives(b"for the new one");
    data.send(b"still there");
    stream.assert_receives(b"still there");
}

#[test]
fn a_bandwidth_limit_slows_a_joined_connection_and_loses_nothing() {
    // 125,000 bytes per second, and a quarter of a second's worth at once.
    let config = TestConfig::tcp_relay().set("limits.bandwidth", "1Mbit/s");
    let Some(server) = Server::requires_own_server(config) else {
        return;
    };
    let peer = Listener::v4();
    let mut session = allocated(&server, Transport::Tcp);
    let id = connected(&mut session, peer.address());
    let (mut stream, _) = peer.accept();
    let mut data = bound(&server, Transport::Tcp, &session.credentials, id);
    let payload: Vec<u8> = (0..150_000_u32).map(|i| (i % 251) as u8).collect();
    let start = clock::now();
    data.send(&payload);
    stream.assert_receives(&payload);
    stream.send(&payload);
    assert!(data.receive_exactly(payload.len()) == payload);
    let took = clock::now() - start;
    assert!(took > Duration::from_millis(1_200), "{took:?}");
}
