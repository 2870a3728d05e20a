//! RFC 8489 section 6.2.2: STUN over TCP and TLS has no framing but its own
//! Length field, so cuts between segments mean nothing.

use crate::support::client::Client;
use crate::support::config::TestConfig;
use crate::support::over_each_stream;
use crate::support::server::Server;
use crate::support::wire::{Draft, attribute, set_length};

#[test]
fn a_request_split_at_any_byte_is_answered() {
    let server = Server::start(TestConfig::standard());
    over_each_stream(&server, |transport| {
        let mut client = Client::connect(&server, transport);
        let length = Draft::binding().bytes().len();
        for cut in 1..length {
            let request = Draft::binding();
            let bytes = request.bytes();
            client.send(&bytes[..cut]);
            client.send(&bytes[cut..]);
            assert_answers(&mut client, &[request]);
        }
    });
}

#[test]
fn a_request_sent_byte_by_byte_is_answered() {
    let server = Server::start(TestConfig::standard());
    over_each_stream(&server, |transport| {
        let mut client = Client::connect(&server, transport);
        let request = Draft::binding().with(attribute::UNKNOWN_OPTIONAL, b"hello");
        for byte in request.bytes() {
            client.send(&[byte]);
        }
        assert_answers(&mut client, &[request]);
    });
}

#[test]
fn requests_in_one_segment_are_all_answered() {
    let server = Server::start(TestConfig::standard());
    over_each_stream(&server, |transport| {
        let mut client = Client::connect(&server, transport);
        let requests: Vec<Draft> = (0..10).map(|_| Draft::binding()).collect();
        let together: Vec<u8> = requests.iter().flat_map(Draft::bytes).collect();
        client.send(&together);
        assert_answers(&mut client, &requests);
    });
}

#[test]
fn a_segment_that_ends_inside_the_next_request_loses_nothing() {
    let server = Server::start(TestConfig::standard());
    over_each_stream(&server, |transport| {
        let mut client = Client::connect(&server, transport);
        let requests = [Draft::binding(), Draft::binding()];
        let together: Vec<u8> = requests.iter().flat_map(Draft::bytes).collect();
        client.send(&together[..33]);
        client.send(&together[33..]);
        assert_answers(&mut client, &requests);
    });
}

#[test]
fn the_connection_stays_open_after_an_answer() {
    let server = Server::start(TestConfig::standard());
    over_each_stream(&server, |transport| {
        let mut client = Client::connect(&server, transport);
        client.request(&Draft::binding()).assert_success();
        client.request(&Draft::allocate()).assert_error(401);
        client.request(&Draft::binding()).assert_success();
        assert!(!client.is_closed());
    });
}

#[test]
fn bytes_that_are_neither_stun_nor_channel_data_end_the_stream() {
    let server = Server::start(TestConfig::standard());
    over_each_stream(&server, |transport| {
        let mut client = Client::connect(&server, transport);
        client.request(&Draft::binding()).assert_success();
        client.send(&[0xff; 64]);
        client.assert_closed_by_server();
    });
}

#[test]
fn a_message_without_the_magic_cookie_ends_the_stream() {
    let server = Server::start(TestConfig::standard());
    over_each_stream(&server, |transport| {
        let mut client = Client::connect(&server, transport);
        client.request(&Draft::binding()).assert_success();
        let mut bytes = Draft::binding().bytes();
        bytes[4..8].copy_from_slice(b"none");
        client.send(&bytes);
        client.assert_closed_by_server();
    });
}

#[test]
fn a_length_that_is_no_multiple_of_four_ends_the_stream() {
    let server = Server::start(TestConfig::standard());
    over_each_stream(&server, |transport| {
        let mut client = Client::connect(&server, transport);
        client.request(&Draft::binding()).assert_success();
        let mut bytes = Draft::binding().bytes();
        bytes.extend([0; 3]);
        set_length(&mut bytes, 3);
        client.send(&bytes);
        client.assert_closed_by_server();
    });
}

/// Panics unless exactly these requests are answered, in any order.
#[track_caller]
fn assert_answers(client: &mut Client, requests: &[Draft]) {
    let mut open: Vec<[u8; 12]> = requests.iter().map(Draft::transaction).collect();
    while !open.is_empty() {
        let answer = client.receive().stun();
        answer.assert_success();
        let before = open.len();
        open.retain(|transaction| *transaction != answer.transaction());
        assert_eq!(open.len() + 1, before, "an answer nobody asked for");
    }
}
