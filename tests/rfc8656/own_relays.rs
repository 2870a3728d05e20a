//! Both ends of a call may be relayed by the same server: another allocation's
//! relayed address is a good peer, while the server's other ports are not.

use std::net::SocketAddr;

use crate::support::config::{TestConfig, strings};
use crate::support::peer::Peer;
use crate::support::server::Server;
use crate::support::session::Session;
use crate::support::wire::Draft;
use crate::support::{SILENCE, Transport, over_each_transport};

#[test]
fn two_clients_of_one_server_reach_each_other() {
    let server = Server::start(TestConfig::standard());
    over_each_transport(&server, |transport| talk(&server, transport));
}

#[test]
fn two_clients_reach_each_other_although_private_peers_are_denied() {
    let config = TestConfig::standard().set("turn.allow_peers", strings(&[]));
    let Some(server) = Server::requires_own_server(config) else {
        return;
    };
    over_each_transport(&server, |transport| talk(&server, transport));
}

#[test]
fn a_permission_works_in_one_direction() {
    let server = Server::start(TestConfig::standard());
    over_each_transport(&server, |transport| {
        let mut alice = Session::allocated(&server, transport);
        let mut other = Session::allocated(&server, Transport::Udp);
        alice.permit(&[other.relayed()]);
        alice.send(other.relayed(), b"not permitted over there");
        // The two clients may be served side by side, so only time tells.
        assert!(other.client.receive_within(SILENCE).is_none());
        other.permit(&[alice.relayed()]);
        alice.send(other.relayed(), b"permitted over there");
        other.assert_receives(b"permitted over there", alice.relayed());
    });
}

#[test]
fn both_ends_may_be_on_any_worker() {
    let server = Server::start(TestConfig::standard());
    let mut sessions: Vec<Session> = (0..8)
        .map(|_| Session::allocated(&server, Transport::Udp))
        .collect();
    let relayed: Vec<SocketAddr> = sessions.iter().map(Session::relayed).collect();
    for session in &mut sessions {
        session.permit(&relayed);
    }
    for from in 0..sessions.len() {
        for to in 0..sessions.len() {
            if from == to {
                continue;
            }
            let text = format!("from {from} to {to}");
            sessions[from].send(relayed[to], text.as_bytes());
            sessions[to].assert_receives(text.as_bytes(), relayed[from]);
        }
    }
}

#[test]
fn a_client_may_talk_to_its_own_relayed_address() {
    let server = Server::start(TestConfig::standard());
    over_each_transport(&server, |transport| {
        let mut session = Session::allocated(&server, transport);
        let own = session.relayed();
        session.permit(&[own]);
        session.send(own, b"echo");
        session.assert_receives(b"echo", own);
    });
}

#[test]
fn other_ports_of_the_server_are_out_of_reach() {
    let config = TestConfig::standard().set("turn.allow_peers", strings(&[]));
    let Some(server) = Server::requires_own_server(config) else {
        return;
    };
    over_each_transport(&server, |transport| {
        // Any service on the server's address; the listener itself is one.
        let service = Peer::v4();
        let listener = server.address(Transport::Udp);
        let mut other = Session::allocated(&server, Transport::Udp);
        let mut session = Session::allocated(&server, transport);
        for (number, port) in (0x4000..).zip([service.address(), listener]) {
            let request = Draft::channel_bind(number, port);
            session.request(&request).assert_error(403);
        }
        // The permission for the other client covers the address, not these ports.
        session.permit(&[other.relayed()]);
        session.send(service.address(), b"to the service");
        session.send(listener, &Draft::binding().bytes());
        assert!(service.receive_within(SILENCE).is_none());
        other.permit(&[session.relayed()]);
        session.send(other.relayed(), b"to the other client");
        other.assert_receives(b"to the other client", session.relayed());
    });
}

#[test]
fn the_address_of_an_ended_allocation_is_no_peer_any_more() {
    let config = TestConfig::standard().set("turn.allow_peers", strings(&[]));
    let Some(server) = Server::requires_own_server(config) else {
        return;
    };
    let mut session = Session::allocated(&server, Transport::Udp);
    let mut other = Session::allocated(&server, Transport::Udp);
    let gone = other.relayed();
    session.permit(&[gone]);
    other.refresh(Some(0)).assert_success();
    crate::support::wait_until("the port is free", || crate::support::peer::is_free(gone));
    let request = Draft::channel_bind(0x4000, gone);
    session.request(&request).assert_error(403);
}

/// Lets a client over `transport` and one over UDP talk, by indication and by channel.
#[track_caller]
fn talk(server: &Server, transport: Transport) {
    let mut alice = Session::allocated(server, transport);
    let mut other = Session::allocated(server, Transport::Udp);
    let (here, there) = (alice.relayed(), other.relayed());
    alice.permit(&[there]);
    other.permit(&[here]);
    alice.send(there, b"hello");
    other.assert_receives(b"hello", here);
    other.send(here, b"hello yourself");
    alice.assert_receives(b"hello yourself", there);

    alice.bind(0x4000, there);
    other.bind(0x4001, here);
    for round in 0..20 {
        let text = format!("datagram {round}");
        alice.send_channel(0x4000, text.as_bytes());
        other.assert_receives_on(0x4001, text.as_bytes());
        other.send_channel(0x4001, text.as_bytes());
        alice.assert_receives_on(0x4000, text.as_bytes());
    }
}
