//! RFC 6062 section 5.3: connections that peers open to the relayed address.

use crate::data_connection::{PeerStream, allocated, attempt, bound};
use crate::support::answer::Frame;
use crate::support::client::is_indication;
use crate::support::over_each_stream;
use crate::support::server::Server;
use crate::support::wire::{Draft, method};

#[test]
fn a_permitted_peer_is_announced_and_can_be_bound() {
    let Some(server) = Server::with_tcp_relay() else {
        return;
    };
    over_each_stream(&server, |transport| {
        let mut session = allocated(&server, transport);
        session.permit(&["127.0.0.1:9".parse().unwrap()]);
        let mut peer = PeerStream::connect(session.relayed());
        let (id, from) = attempt(&mut session);
        assert_eq!(from, peer.address());
        let mut data = bound(&server, transport, &session.credentials, id);
        peer.send(b"hello");
        assert_eq!(data.receive_exactly(5), b"hello");
        data.send(b"hello yourself");
        peer.assert_receives(b"hello yourself");
    });
}

#[test]
fn a_peer_without_a_permission_is_disconnected_and_not_announced() {
    let Some(server) = Server::with_tcp_relay() else {
        return;
    };
    over_each_stream(&server, |transport| {
        let mut session = allocated(&server, transport);
        PeerStream::assert_refused(session.relayed());
        let frames: Vec<Frame> = session.client.provoke(&Draft::binding().bytes());
        let announced = frames
            .iter()
            .any(|frame| is_indication(frame, method::CONNECTION_ATTEMPT));
        assert!(!announced, "{frames:?}");
    });
}

#[test]
fn two_connections_of_one_peer_have_two_ids() {
    let Some(server) = Server::with_tcp_relay() else {
        return;
    };
    over_each_stream(&server, |transport| {
        let mut session = allocated(&server, transport);
        session.permit(&["127.0.0.1:9".parse().unwrap()]);
        let mut first = PeerStream::connect(session.relayed());
        let (one, _) = attempt(&mut session);
        let mut second = PeerStream::connect(session.relayed());
        let (two, _) = attempt(&mut session);
        assert_ne!(one, two);

        // Each id leads to its own peer, in any order.
        let mut to_second = bound(&server, transport, &session.credentials, two);
        let mut to_first = bound(&server, transport, &session.credentials, one);
        to_first.send(b"first");
        to_second.send(b"second");
        first.assert_receives(b"first");
        second.assert_receives(b"second");
    });
}
