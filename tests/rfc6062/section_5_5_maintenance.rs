//! RFC 6062 section 5.5: the two halves of a data connection, and the allocation
//! they belong to, end together.

use crate::data_connection::{Listener, allocated, bound, connect, connected};
use crate::support::over_each_stream;
use crate::support::server::Server;
use crate::support::wait_until;

#[test]
fn when_the_client_closes_the_peer_is_closed() {
    let Some(server) = Server::with_tcp_relay() else {
        return;
    };
    over_each_stream(&server, |transport| {
        let peer = Listener::v4();
        let mut session = allocated(&server, transport);
        let id = connected(&mut session, peer.address());
        let (mut stream, _) = peer.accept();
        let data = bound(&server, transport, &session.credentials, id);
        data.close();
        stream.assert_closed_by_server();
        session.refresh(None).assert_success();
    });
}

#[test]
fn when_the_peer_closes_the_client_is_closed() {
    let Some(server) = Server::with_tcp_relay() else {
        return;
    };
    over_each_stream(&server, |transport| {
        let peer = Listener::v4();
        let mut session = allocated(&server, transport);
        let id = connected(&mut session, peer.address());
        let (mut stream, _) = peer.accept();
        let mut data = bound(&server, transport, &session.credentials, id);
        stream.send(b"last words");
        drop(stream);
        assert_eq!(data.receive_exactly(10), b"last words");
        data.assert_closed_by_server();
        session.refresh(None).assert_success();
    });
}

#[test]
fn a_closed_connection_can_be_made_again() {
    let Some(server) = Server::with_tcp_relay() else {
        return;
    };
    over_each_stream(&server, |transport| {
        let peer = Listener::v4();
        let mut session = allocated(&server, transport);
        let id = connected(&mut session, peer.address());
        let (mut stream, _) = peer.accept();
        bound(&server, transport, &session.credentials, id).close();
        stream.assert_closed_by_server();
        drop(stream);
        wait_until("the peer can be connected to again", || {
            let answer = session.request(&connect(peer.address()));
            answer.error_code().is_none()
        });
    });
}

#[test]
fn when_the_allocation_ends_its_data_connections_end() {
    let Some(server) = Server::with_tcp_relay() else {
        return;
    };
    over_each_stream(&server, |transport| {
        let peer = Listener::v4();
        let mut session = allocated(&server, transport);
        let id = connected(&mut session, peer.address());
        let (mut stream, _) = peer.accept();
        let mut data = bound(&server, transport, &session.credentials, id);
        session.refresh(Some(0)).assert_success();
        stream.assert_closed_by_server();
        data.assert_closed_by_server();
    });
}

#[test]
fn when_the_control_connection_ends_everything_ends() {
    let Some(server) = Server::with_tcp_relay() else {
        return;
    };
    over_each_stream(&server, |transport| {
        let peer = Listener::v4();
        let mut session = allocated(&server, transport);
        let id = connected(&mut session, peer.address());
        let (mut stream, _) = peer.accept();
        let mut data = bound(&server, transport, &session.credentials, id);
        session.client.close();
        stream.assert_closed_by_server();
        data.assert_closed_by_server();
    });
}
