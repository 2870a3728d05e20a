//! Beyond the RFCs: what a stranger gets is so short that our server is no use
//! for reflection. Over IPv4 a Binding answer has at most 36 bytes, a challenge
//! at most 120, everything else 28, and nothing a request carries makes its
//! answer longer.

use crate::support::answer::Frame;
use crate::support::client::Client;
use crate::support::config::TestConfig;
use crate::support::over_each_transport;
use crate::support::server::Server;
use crate::support::wire::{Draft, attribute, method};

/// Longest answer to a Binding request over IPv4.
const BINDING: usize = 36;
/// Longest 401 over IPv4, with a realm of a dozen characters.
const CHALLENGE: usize = 120;
/// Longest answer to anything malformed or unknown.
const REFUSAL: usize = 28;

#[test]
fn a_bare_binding_request_gets_at_most_36_bytes() {
    let server = Server::start(TestConfig::standard());
    over_each_transport(&server, |transport| {
        let mut client = Client::connect(&server, transport);
        let request = Draft::binding();
        assert_eq!(request.bytes().len(), 20);
        let answer = client.request(&request);
        answer.assert_success();
        assert!(answer.bytes().len() <= BINDING, "{answer:?}");
    });
}

#[test]
fn a_challenge_has_at_most_120_bytes() {
    let server = Server::start(TestConfig::standard());
    over_each_transport(&server, |transport| {
        let mut client = Client::connect(&server, transport);
        let answer = client.request(&Draft::allocate());
        answer.assert_error(401);
        assert!(answer.bytes().len() <= CHALLENGE, "{answer:?}");
    });
}

#[test]
fn requests_without_an_allocation_and_credentials_get_at_most_28_bytes() {
    let server = Server::start(TestConfig::standard());
    over_each_transport(&server, |transport| {
        let mut client = Client::connect(&server, transport);
        for method in [
            method::REFRESH,
            method::CREATE_PERMISSION,
            method::CHANNEL_BIND,
            method::CONNECT,
        ] {
            assert_at_most(REFUSAL, &client.provoke(&Draft::request(method).bytes()));
        }
    });
}

#[test]
fn unknown_methods_get_at_most_28_bytes() {
    let server = Server::start(TestConfig::standard());
    over_each_transport(&server, |transport| {
        let mut client = Client::connect(&server, transport);
        for method in [method::UNKNOWN, method::SEND, 0xfff] {
            assert_at_most(REFUSAL, &client.provoke(&Draft::request(method).bytes()));
        }
    });
}

#[test]
fn requests_that_miss_a_part_of_the_credentials_get_at_most_28_bytes() {
    let server = Server::start(TestConfig::standard());
    over_each_transport(&server, |transport| {
        let mut client = Client::connect(&server, transport);
        let request = Draft::allocate().integrity_sha1(b"any key");
        assert_at_most(REFUSAL, &client.provoke(&request.bytes()));
    });
}

#[test]
fn unknown_attributes_get_at_most_36_bytes_however_many_there_are() {
    let server = Server::start(TestConfig::standard());
    over_each_transport(&server, |transport| {
        let mut client = Client::connect(&server, transport);
        for count in [1, 2, 3, 50, 200] {
            let request = (0..count).fold(Draft::binding(), |draft, number| {
                draft.with(attribute::UNKNOWN_REQUIRED + number, b"")
            });
            let answer = client.request(&request);
            answer.assert_error(420);
            assert!(answer.bytes().len() <= BINDING, "{count}: {answer:?}");
            assert!(!answer.unknown_attributes().is_empty(), "{answer:?}");
        }
    });
}

#[test]
fn padding_never_makes_an_answer_longer() {
    let server = Server::start(TestConfig::standard());
    over_each_transport(&server, |transport| {
        let mut client = Client::connect(&server, transport);
        let padded = |draft: Draft| draft.with(attribute::PADDING, &[0; 1000]).bytes();
        assert_at_most(BINDING, &client.provoke(&padded(Draft::binding())));
        assert_at_most(CHALLENGE, &client.provoke(&padded(Draft::allocate())));
        let refresh = Draft::request(method::REFRESH);
        assert_at_most(REFUSAL, &client.provoke(&padded(refresh)));
    });
}

#[test]
fn long_attributes_of_any_kind_never_make_an_answer_longer() {
    let server = Server::start(TestConfig::standard());
    over_each_transport(&server, |transport| {
        let mut client = Client::connect(&server, transport);
        for kind in [
            attribute::USERNAME,
            attribute::REALM,
            attribute::NONCE,
            attribute::DATA,
            attribute::UNKNOWN_OPTIONAL,
            // SOFTWARE, RFC 5780 CACHE-TIMEOUT and RESPONSE-ORIGIN, ORIGIN.
            0x8022,
            0x8027,
            0x802b,
            0x802f,
        ] {
            let long = |draft: Draft| draft.with(kind, &[b'x'; 1000]).bytes();
            assert_at_most(BINDING, &client.provoke(&long(Draft::binding())));
            assert_at_most(CHALLENGE, &client.provoke(&long(Draft::allocate())));
        }
    });
}

#[test]
fn rfc5780_requests_are_refused_and_never_answered_elsewhere() {
    let server = Server::start(TestConfig::standard());
    over_each_transport(&server, |transport| {
        let mut client = Client::connect(&server, transport);
        // CHANGE-REQUEST for another address and port, and RESPONSE-PORT: a success
        // from here would tell the client something wrong about its NAT.
        let requests = [
            Draft::binding().with(0x0003, &[0, 0, 0, 6]),
            Draft::binding().with(0x0027, &[0x30, 0x39, 0, 0]),
        ];
        for request in requests {
            let answer = client.request(&request);
            answer.assert_error(420);
            assert!(answer.bytes().len() <= BINDING, "{answer:?}");
        }
    });
}

#[track_caller]
fn assert_at_most(limit: usize, frames: &[Frame]) {
    assert!(frames.len() <= 1, "{frames:?}");
    for frame in frames {
        let answer = frame.clone().stun();
        let length = answer.bytes().len();
        assert!(length <= limit, "more than {limit} bytes: {answer:?}");
    }
}
