//! RFC 8489 section 14: padding, repeated attributes, long user names.

use crate::support::answer::Answer;
use crate::support::client::Client;
use crate::support::config::{Account, TestConfig};
use crate::support::over_each_transport;
use crate::support::server::Server;
use crate::support::session::Session;
use crate::support::wire::{Draft, UDP, attribute};

#[test]
fn padding_that_is_not_zero_is_accepted() {
    let server = Server::start(TestConfig::standard());
    over_each_transport(&server, |transport| {
        let mut client = Client::connect(&server, transport);
        let request = Draft::binding().with(attribute::UNKNOWN_OPTIONAL, b"x");
        let mut bytes = request.bytes();
        let end = bytes.len();
        bytes[end - 3..].fill(0xff);
        client.send(&bytes);
        let answer = client.receive().stun();
        answer.assert_success();
    });
}

#[test]
fn the_padding_of_answers_is_zero() {
    let server = Server::start(TestConfig::standard());
    over_each_transport(&server, |transport| {
        let mut client = Client::connect(&server, transport);
        let answer = client.request(&Draft::allocate());
        answer.assert_error(401);
        assert!(padding(&answer).iter().all(|byte| *byte == 0), "{answer:?}");
    });
}

#[test]
fn the_first_of_repeated_attributes_counts() {
    let server = Server::start(TestConfig::standard());
    over_each_transport(&server, |transport| {
        // The second one names a protocol that nobody supports.
        let mut session = Session::open(&server, transport);
        session.allocate_with(Draft::allocate().transport(99));
        // The second one would end the allocation.
        let answer = session.request(&Draft::refresh(Some(1200)).lifetime(0));
        answer.assert_success();
        assert!(answer.lifetime() > 0, "{answer:?}");

        let mut session = Session::open(&server, transport);
        let reversed = Draft::request(crate::support::wire::method::ALLOCATE)
            .transport(99)
            .transport(UDP);
        session.request(&reversed).assert_error(442);
    });
}

#[test]
fn a_user_name_of_508_bytes_works() {
    let long = Account::new(&"u".repeat(508), "a password");
    let config = TestConfig::standard().accounts(vec![long]);
    let Some(server) = Server::requires_own_server(config) else {
        return;
    };
    over_each_transport(&server, |transport| {
        Session::open(&server, transport).allocate();
    });
}

#[test]
fn a_user_name_in_utf8_works() {
    let account = Account::new("žofie 🦀", "pâté de forêt");
    let config = TestConfig::standard().accounts(vec![account]);
    let Some(server) = Server::requires_own_server(config) else {
        return;
    };
    over_each_transport(&server, |transport| {
        Session::open(&server, transport).allocate();
    });
}

#[test]
fn user_names_that_are_too_long_or_no_utf8_get_an_error() {
    let server = Server::start(TestConfig::standard());
    over_each_transport(&server, |transport| {
        let Session {
            mut client,
            credentials,
            ..
        } = Session::open(&server, transport);
        for name in [&[b'u'; 1000][..], &[0xff, 0xfe, 0x00]] {
            let draft = Draft::allocate()
                .with(attribute::USERNAME, name)
                .with(attribute::REALM, &credentials.realm)
                .with(attribute::NONCE, &credentials.nonce);
            let answer = client.request(&credentials.seal(draft));
            let code = answer.error_code();
            assert!(matches!(code, Some(400 | 401)), "{answer:?}");
        }
    });
}

/// The padding bytes of every attribute.
fn padding(answer: &Answer) -> Vec<u8> {
    let mut padding = Vec::new();
    let mut rest = &answer.bytes()[20..];
    while let [_, _, l1, l0, after @ ..] = rest {
        let length = usize::from(u16::from_be_bytes([*l1, *l0]));
        let padded = length.next_multiple_of(4);
        padding.extend(&after[length..padded]);
        rest = &after[padded..];
    }
    padding
}
