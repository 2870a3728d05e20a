//! RFC 8656 section 11: Send and Data indications.

use crate::support::config::TestConfig;
use crate::support::over_each_transport;
use crate::support::peer::Peer;
use crate::support::server::Server;
use crate::support::session::Session;
use crate::support::wire::{Class, Draft, attribute, method};

#[test]
fn data_goes_both_ways() {
    let server = Server::start(TestConfig::standard());
    over_each_transport(&server, |transport| {
        let (peer, mut session) = connected(&server, transport);
        for round in 0..20 {
            let text = format!("datagram {round}");
            session.send(peer.address(), text.as_bytes());
            peer.assert_receives(text.as_bytes(), session.relayed());
            peer.send(session.relayed(), text.as_bytes());
            session.assert_receives(text.as_bytes(), peer.address());
        }
    });
}

#[test]
fn a_data_indication_has_a_peer_and_the_data_and_nothing_that_must_be_understood() {
    let server = Server::start(TestConfig::standard());
    over_each_transport(&server, |transport| {
        let (peer, mut session) = connected(&server, transport);
        peer.send(session.relayed(), b"five!");
        let message = session.client.receive().stun();
        assert!(message.is(Class::Indication, method::DATA), "{message:?}");
        let mut required: Vec<u16> = message
            .attributes()
            .into_iter()
            .filter(|kind| *kind < 0x8000)
            .collect();
        required.sort_unstable();
        assert_eq!(required, [attribute::XOR_PEER_ADDRESS, attribute::DATA]);
        assert_eq!(message.attribute(attribute::DATA).unwrap(), b"five!");
    });
}

#[test]
fn empty_datagrams_are_relayed_both_ways() {
    let server = Server::start(TestConfig::standard());
    over_each_transport(&server, |transport| {
        let (peer, mut session) = connected(&server, transport);
        session.send(peer.address(), b"");
        peer.assert_receives(b"", session.relayed());
        peer.send(session.relayed(), b"");
        session.assert_receives(b"", peer.address());
    });
}

#[test]
fn every_length_up_to_the_mtu_and_beyond_arrives_whole() {
    let server = Server::start(TestConfig::standard());
    over_each_transport(&server, |transport| {
        let (peer, mut session) = connected(&server, transport);
        let lengths = (1..=9).chain([160, 1199, 1200, 1201, 1400, 1452, 1472, 4000]);
        for length in lengths {
            let data: Vec<u8> = (0..length).map(|i| b'a' + (i % 23) as u8).collect();
            session.send(peer.address(), &data);
            peer.assert_receives(&data, session.relayed());
            peer.send(session.relayed(), &data);
            session.assert_receives(&data, peer.address());
        }
    });
}

#[test]
fn bursts_keep_their_boundaries_and_their_order() {
    let server = Server::start(TestConfig::standard());
    over_each_transport(&server, |transport| {
        let (peer, mut session) = connected(&server, transport);
        let datagrams: Vec<Vec<u8>> = (0..16_u8)
            .map(|i| vec![b'a' + i % 26; if i % 5 == 4 { 300 } else { 1200 }])
            .collect();
        for data in &datagrams {
            session.send(peer.address(), data);
        }
        for data in &datagrams {
            peer.assert_receives(data, session.relayed());
        }
        for data in &datagrams {
            peer.send(session.relayed(), data);
        }
        for data in &datagrams {
            session.assert_receives(data, peer.address());
        }
    });
}

#[test]
fn a_send_indication_without_data_or_peer_is_dropped() {
    let server = Server::start(TestConfig::standard());
    over_each_transport(&server, |transport| {
        let (peer, mut session) = connected(&server, transport);
        let without_data = Draft::indication(method::SEND).peer(peer.address());
        let without_peer = Draft::indication(method::SEND).with(attribute::DATA, b"data");
        let bad_peer = Draft::indication(method::SEND)
            .with(attribute::XOR_PEER_ADDRESS, &[0, 1, 2])
            .with(attribute::DATA, b"data");
        for message in [without_data, without_peer, bad_peer] {
            session.client.assert_ignored(&message.bytes());
        }
        session.send(peer.address(), b"complete");
        peer.assert_receives(b"complete", session.relayed());
    });
}

#[test]
fn the_first_peer_of_a_send_indication_counts() {
    let server = Server::start(TestConfig::standard());
    over_each_transport(&server, |transport| {
        let (peer, mut session) = connected(&server, transport);
        let other = Peer::v4();
        let twice = Draft::indication(method::SEND)
            .peer(peer.address())
            .peer(other.address())
            .with(attribute::DATA, b"first")
            .with(attribute::DATA, b"second");
        session.client.send(&twice.bytes());
        peer.assert_receives(b"first", session.relayed());
    });
}

#[test]
fn dont_fragment_on_a_send_indication_is_accepted() {
    let server = Server::start(TestConfig::standard());
    over_each_transport(&server, |transport| {
        let (peer, mut session) = connected(&server, transport);
        let message = Draft::indication(method::SEND)
            .peer(peer.address())
            .with(attribute::DONT_FRAGMENT, b"")
            .with(attribute::DATA, b"in one piece");
        session.client.send(&message.bytes());
        peer.assert_receives(b"in one piece", session.relayed());
        // It holds for one datagram, not for the allocation.
        session.send(peer.address(), b"as you like");
        peer.assert_receives(b"as you like", session.relayed());
    });
}

#[test]
fn a_peer_of_the_other_family_is_dropped() {
    let server = Server::start(TestConfig::standard());
    over_each_transport(&server, |transport| {
        let (peer, mut session) = connected(&server, transport);
        let message = Draft::send(Peer::v6().address(), b"data");
        session.client.assert_ignored(&message.bytes());
        session.send(peer.address(), b"this family");
        peer.assert_receives(b"this family", session.relayed());
    });
}

#[test]
fn indications_are_never_answered() {
    let server = Server::start(TestConfig::standard());
    over_each_transport(&server, |transport| {
        let (peer, mut session) = connected(&server, transport);
        let message = Draft::send(peer.address(), b"data");
        session.client.assert_ignored(&message.bytes());
        let data = Draft::indication(method::DATA)
            .peer(peer.address())
            .with(attribute::DATA, b"data");
        session.client.assert_ignored(&data.bytes());
    });
}

/// A peer, and a session that holds an allocation with a permission for it.
#[track_caller]
fn connected(server: &Server, transport: crate::support::Transport) -> (Peer, Session) {
    let peer = Peer::v4();
    let mut session = Session::allocated(server, transport);
    session.permit(&[peer.address()]);
    (peer, session)
}
