//! RFC 8656 sections 12.4 to 12.7: ChannelData messages.

use crate::support::client::Client;
use crate::support::config::TestConfig;
use crate::support::peer::Peer;
use crate::support::server::Server;
use crate::support::session::{Relayed, Session};
use crate::support::wire::{Draft, channel_data, padded_channel_data};
use crate::support::{PATIENCE, Transport, over_each_stream, over_each_transport};

const CHANNEL: u16 = 0x4abc;

#[test]
fn data_goes_both_ways() {
    let server = Server::start(TestConfig::standard());
    over_each_transport(&server, |transport| {
        let (peer, mut session) = bound(&server, transport);
        for round in 0..20 {
            let text = format!("datagram {round}");
            session.send_channel(CHANNEL, text.as_bytes());
            peer.assert_receives(text.as_bytes(), session.relayed());
            peer.send(session.relayed(), text.as_bytes());
            session.assert_receives_on(CHANNEL, text.as_bytes());
        }
    });
}

#[test]
fn empty_datagrams_are_relayed_both_ways() {
    let server = Server::start(TestConfig::standard());
    over_each_transport(&server, |transport| {
        let (peer, mut session) = bound(&server, transport);
        session.send_channel(CHANNEL, b"");
        peer.assert_receives(b"", session.relayed());
        peer.send(session.relayed(), b"");
        session.assert_receives_on(CHANNEL, b"");
    });
}

#[test]
fn every_length_up_to_the_mtu_and_beyond_arrives_whole() {
    let server = Server::start(TestConfig::standard());
    over_each_transport(&server, |transport| {
        let (peer, mut session) = bound(&server, transport);
        let lengths = (1..=9).chain([160, 1199, 1200, 1201, 1400, 1452, 1472, 4000]);
        for length in lengths {
            let data: Vec<u8> = (0..length).map(|i| b'a' + (i % 23) as u8).collect();
            session.send_channel(CHANNEL, &data);
            peer.assert_receives(&data, session.relayed());
            peer.send(session.relayed(), &data);
            session.assert_receives_on(CHANNEL, &data);
        }
    });
}

#[test]
fn bursts_keep_their_boundaries_and_their_order() {
    let server = Server::start(TestConfig::standard());
    over_each_transport(&server, |transport| {
        let (peer, mut session) = bound(&server, transport);
        // Equal lengths with a shorter one in between: the trains of GRO and GSO.
        let datagrams: Vec<Vec<u8>> = (0..16_u8)
            .map(|i| vec![b'a' + i % 26; if i % 5 == 4 { 300 } else { 1200 }])
            .collect();
        for data in &datagrams {
            session.send_channel(CHANNEL, data);
        }
        for data in &datagrams {
            peer.assert_receives(data, session.relayed());
        }
        for data in &datagrams {
            peer.send(session.relayed(), data);
        }
        for data in &datagrams {
            session.assert_receives_on(CHANNEL, data);
        }
    });
}

#[test]
fn a_bound_peer_is_heard_on_its_channel_and_others_by_indication() {
    let server = Server::start(TestConfig::standard());
    over_each_transport(&server, |transport| {
        let (peer, other) = (Peer::v4(), Peer::v4());
        let mut session = Session::allocated(&server, transport);
        session.permit(&[peer.address()]);
        peer.send(session.relayed(), b"before");
        session.assert_receives(b"before", peer.address());
        session.bind(CHANNEL, peer.address());
        peer.send(session.relayed(), b"after");
        session.assert_receives_on(CHANNEL, b"after");
        other.send(session.relayed(), b"unbound");
        session.assert_receives(b"unbound", other.address());
    });
}

#[test]
fn a_client_may_use_send_indications_to_a_bound_peer() {
    let server = Server::start(TestConfig::standard());
    over_each_transport(&server, |transport| {
        let (peer, mut session) = bound(&server, transport);
        session.send(peer.address(), b"by indication");
        peer.assert_receives(b"by indication", session.relayed());
        session.send_channel(CHANNEL, b"by channel");
        peer.assert_receives(b"by channel", session.relayed());
    });
}

#[test]
fn an_unbound_channel_is_ignored() {
    let server = Server::start(TestConfig::standard());
    over_each_transport(&server, |transport| {
        let (peer, mut session) = bound(&server, transport);
        session
            .client
            .assert_ignored(&padded_channel_data(CHANNEL + 1, b"nobody"));
        session.send_channel(CHANNEL, b"somebody");
        peer.assert_receives(b"somebody", session.relayed());
    });
}

#[test]
fn over_udp_a_datagram_longer_than_its_channel_data_is_accepted() {
    let server = Server::start(TestConfig::standard());
    let (peer, mut session) = bound(&server, Transport::Udp);
    let padded = padded_channel_data(CHANNEL, b"12345");
    assert_eq!(padded.len(), 12);
    session.client.send(&padded);
    peer.assert_receives(b"12345", session.relayed());
}

#[test]
fn over_udp_a_datagram_shorter_than_its_channel_data_is_dropped() {
    let server = Server::start(TestConfig::standard());
    let (peer, mut session) = bound(&server, Transport::Udp);
    for claimed in [6_u16, 100, u16::MAX] {
        let mut cut = channel_data(CHANNEL, b"12345");
        cut[2..4].copy_from_slice(&claimed.to_be_bytes());
        session.client.assert_ignored(&cut);
    }
    for header in [&[0x4a, 0xbc][..], &[0x4a, 0xbc, 0]] {
        session.client.assert_ignored(header);
    }
    session.send_channel(CHANNEL, b"whole");
    peer.assert_receives(b"whole", session.relayed());
}

#[test]
fn over_udp_channel_data_needs_no_padding() {
    let server = Server::start(TestConfig::standard());
    let (peer, session) = bound(&server, Transport::Udp);
    let mut client = session.client;
    client.send(&channel_data(CHANNEL, b"123"));
    let (data, relayed) = peer.receive();
    assert_eq!(data, b"123");
    peer.send(relayed, b"12345");
    let bytes = client.receive_bytes(PATIENCE).unwrap();
    assert!(bytes.len() == 9 || bytes.len() == 12, "{bytes:02x?}");
    assert_eq!(bytes[..9], channel_data(CHANNEL, b"12345")[..]);
}

#[test]
fn over_a_stream_channel_data_is_padded_to_four_bytes() {
    let server = Server::start(TestConfig::standard());
    over_each_stream(&server, |transport| {
        let (peer, mut session) = bound(&server, transport);
        for length in 0..=8 {
            let data = vec![b'x'; length];
            peer.send(session.relayed(), &data);
            let padded = (4 + length).next_multiple_of(4);
            let bytes = session.client.receive_exactly(padded);
            assert_eq!(bytes.len(), padded, "{length} bytes of data");
            assert_eq!(bytes[..4 + length], channel_data(CHANNEL, &data)[..]);
        }
    });
}

#[test]
fn over_a_stream_channel_data_and_stun_mix_in_one_segment() {
    let server = Server::start(TestConfig::standard());
    over_each_stream(&server, |transport| {
        let (peer, mut session) = bound(&server, transport);
        let mut together = padded_channel_data(CHANNEL, b"one");
        together.extend(Draft::send(peer.address(), b"two").bytes());
        together.extend(padded_channel_data(CHANNEL, b""));
        together.extend(padded_channel_data(CHANNEL, b"three"));
        session.client.send(&together);
        for data in [&b"one"[..], b"two", b"", b"three"] {
            peer.assert_receives(data, session.relayed());
        }
    });
}

#[test]
fn over_a_stream_channel_data_may_be_split_at_any_byte() {
    let server = Server::start(TestConfig::standard());
    over_each_stream(&server, |transport| {
        let (peer, mut session) = bound(&server, transport);
        let bytes = padded_channel_data(CHANNEL, b"five!");
        for cut in 1..bytes.len() {
            session.client.send(&bytes[..cut]);
            session.client.send(&bytes[cut..]);
            peer.assert_receives(b"five!", session.relayed());
        }
    });
}

#[test]
fn channel_data_does_not_pass_for_another_client() {
    let server = Server::start(TestConfig::standard());
    over_each_transport(&server, |transport| {
        let (peer, mut session) = bound(&server, transport);
        let mut other = Client::connect(&server, transport);
        other.request(&Draft::binding()).assert_success();
        other.assert_ignored(&padded_channel_data(CHANNEL, b"forged"));
        session.send_channel(CHANNEL, b"genuine");
        peer.assert_receives(b"genuine", session.relayed());
    });
}

#[test]
fn a_rebound_channel_keeps_working() {
    let server = Server::start(TestConfig::standard());
    over_each_transport(&server, |transport| {
        let (peer, mut session) = bound(&server, transport);
        session.bind(CHANNEL, peer.address());
        peer.send(session.relayed(), b"again");
        let expected = Relayed::Channel {
            number: CHANNEL,
            data: b"again".to_vec(),
        };
        assert_eq!(session.receive(), expected);
    });
}

/// A peer, and a session that holds an allocation with a channel to it.
#[track_caller]
fn bound(server: &Server, transport: Transport) -> (Peer, Session) {
    let peer = Peer::v4();
    let mut session = Session::allocated(server, transport);
    session.bind(CHANNEL, peer.address());
    (peer, session)
}
