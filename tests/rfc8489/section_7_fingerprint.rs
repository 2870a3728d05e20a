//! RFC 8489 section 7: FINGERPRINT is checked where it is present.

use crate::support::client::Client;
use crate::support::config::TestConfig;
use crate::support::over_each_transport;
use crate::support::server::Server;
use crate::support::session::Session;
use crate::support::wire::{Draft, attribute};

#[test]
fn a_request_with_a_fingerprint_is_answered() {
    let server = Server::start(TestConfig::standard());
    over_each_transport(&server, |transport| {
        let mut client = Client::connect(&server, transport);
        let request = Draft::binding().fingerprint();
        client.request(&request).assert_success();
    });
}

#[test]
fn a_request_with_a_wrong_fingerprint_is_ignored() {
    let server = Server::start(TestConfig::standard());
    over_each_transport(&server, |transport| {
        let mut client = Client::connect(&server, transport);
        let mut bytes = Draft::binding().fingerprint().bytes();
        let last = bytes.len() - 1;
        bytes[last] ^= 1;
        client.assert_ignored(&bytes);
    });
}

#[test]
fn a_fingerprint_may_follow_the_integrity_attribute() {
    let server = Server::start(TestConfig::standard());
    over_each_transport(&server, |transport| {
        let mut session = Session::open(&server, transport);
        let request = session.credentials.sign(Draft::allocate()).fingerprint();
        let answer = session.client.request(&request);
        answer.assert_success();
        session.credentials.assert_protects(&answer);
    });
}

#[test]
fn a_fingerprint_in_an_answer_is_right() {
    let server = Server::start(TestConfig::standard());
    over_each_transport(&server, |transport| {
        let mut client = Client::connect(&server, transport);
        let answer = client.request(&Draft::binding().fingerprint());
        if answer.has(attribute::FINGERPRINT) {
            assert!(answer.has_valid_fingerprint(), "{answer:?}");
        }
    });
}
