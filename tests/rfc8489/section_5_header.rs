//! RFC 8489 section 5 and the basic checks of section 6.3: what is not a
//! sensible STUN message is dropped without an answer.

use crate::support::answer::Frame;
use crate::support::client::Client;
use crate::support::config::TestConfig;
use crate::support::server::Server;
use crate::support::wire::{Class, Draft, attribute, method, set_length};
use crate::support::{Transport, over_each_transport};

#[test]
fn datagrams_that_are_not_stun_are_ignored() {
    let server = Server::start(TestConfig::standard());
    let mut client = Client::connect(&server, Transport::Udp);
    client.assert_ignored(&[]);
    client.assert_ignored(&[0]);
    client.assert_ignored(&[0; 19]);
    client.assert_ignored(b"GET / HTTP/1.1\r\nHost: example.org\r\n\r\n");
    // The ranges of RFC 7983: ZRTP, DTLS, TURN channel, RTP, reserved.
    for first in [16, 20, 63, 64, 79, 127, 128, 191, 192, 255] {
        client.assert_ignored(&[first; 48]);
    }
}

#[test]
fn a_first_bit_that_is_set_makes_it_no_stun_message() {
    let server = Server::start(TestConfig::standard());
    let mut client = Client::connect(&server, Transport::Udp);
    for bits in [0x80, 0xc0] {
        let mut bytes = Draft::binding().bytes();
        bytes[0] |= bits;
        client.assert_ignored(&bytes);
    }
}

#[test]
fn a_length_that_is_no_multiple_of_four_is_ignored() {
    let server = Server::start(TestConfig::standard());
    let mut client = Client::connect(&server, Transport::Udp);
    for length in [1, 2, 3] {
        let mut bytes = Draft::binding().bytes();
        bytes.resize(20 + length, 0);
        set_length(&mut bytes, length);
        client.assert_ignored(&bytes);
    }
}

#[test]
fn a_length_beyond_the_datagram_is_ignored() {
    let server = Server::start(TestConfig::standard());
    let mut client = Client::connect(&server, Transport::Udp);
    for length in [4, 8, 1000, 65_532] {
        let mut bytes = Draft::binding().bytes();
        set_length(&mut bytes, length);
        client.assert_ignored(&bytes);
    }
}

#[test]
fn turn_requests_without_the_magic_cookie_are_ignored() {
    let server = Server::start(TestConfig::standard());
    let mut client = Client::connect(&server, Transport::Udp);
    for method in [method::ALLOCATE, method::REFRESH, method::CHANNEL_BIND] {
        let mut bytes = Draft::request(method).bytes();
        bytes[4..8].copy_from_slice(b"none");
        client.assert_ignored(&bytes);
    }
}

#[test]
fn an_attribute_longer_than_the_message_gets_no_more_than_a_short_400() {
    let server = Server::start(TestConfig::standard());
    over_each_transport(&server, |transport| {
        let mut client = Client::connect(&server, transport);
        for length in [5_u16, 8, 200, 65_535] {
            let mut bytes = Draft::binding()
                .with(attribute::UNKNOWN_OPTIONAL, b"four")
                .bytes();
            bytes[22..24].copy_from_slice(&length.to_be_bytes());
            assert_refused_shortly(&client.provoke(&bytes));
        }
    });
}

#[test]
fn an_attribute_header_cut_by_the_end_gets_no_more_than_a_short_400() {
    let server = Server::start(TestConfig::standard());
    over_each_transport(&server, |transport| {
        let mut client = Client::connect(&server, transport);
        // An empty attribute says it has one byte, whose padding does not exist.
        let mut bytes = Draft::binding()
            .with(attribute::UNKNOWN_OPTIONAL, b"")
            .bytes();
        bytes[22..24].copy_from_slice(&[0, 1]);
        assert_refused_shortly(&client.provoke(&bytes));
    });
}

#[test]
fn responses_nobody_waits_for_are_ignored() {
    let server = Server::start(TestConfig::standard());
    over_each_transport(&server, |transport| {
        let mut client = Client::connect(&server, transport);
        for method in [method::BINDING, method::ALLOCATE, method::CONNECT] {
            client.assert_ignored(&Draft::new(Class::Success, method).bytes());
            client.assert_ignored(&Draft::new(Class::Error, method).bytes());
        }
    });
}

#[test]
fn a_class_the_method_does_not_have_is_not_served() {
    let server = Server::start(TestConfig::standard());
    over_each_transport(&server, |transport| {
        let mut client = Client::connect(&server, transport);
        for method in [method::SEND, method::DATA, method::CONNECTION_ATTEMPT] {
            assert_refused_shortly(&client.provoke(&Draft::request(method).bytes()));
        }
        for method in [method::ALLOCATE, method::REFRESH, method::CHANNEL_BIND] {
            client.assert_ignored(&Draft::indication(method).bytes());
        }
    });
}

#[test]
fn an_unknown_method_gets_no_more_than_a_short_400() {
    let server = Server::start(TestConfig::standard());
    over_each_transport(&server, |transport| {
        let mut client = Client::connect(&server, transport);
        for method in [0x000, method::UNKNOWN, 0xfff] {
            assert_refused_shortly(&client.provoke(&Draft::request(method).bytes()));
            client.assert_ignored(&Draft::indication(method).bytes());
        }
    });
}

/// Section 6.3 drops such messages silently; a 400 of 28 bytes, which tells the
/// sender nothing and amplifies nothing, is as good.
#[track_caller]
fn assert_refused_shortly(frames: &[Frame]) {
    assert!(frames.len() <= 1, "{frames:?}");
    for frame in frames {
        let answer = frame.clone().stun();
        answer.assert_error(400);
        assert!(answer.bytes().len() <= 28, "{answer:?}");
    }
}
