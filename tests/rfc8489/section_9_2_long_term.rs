//! RFC 8489 section 9.2: the long-term credential mechanism, with SHA-1 and MD5
//! as every client of today uses it.

use crate::support::answer::Answer;
use crate::support::client::Client;
use crate::support::config::{Account, TestConfig};
use crate::support::credentials::{Credentials, Scheme};
use crate::support::server::Server;
use crate::support::session::Session;
use crate::support::wire::{Draft, attribute, method};
use crate::support::{Transport, over_each_transport};

#[test]
fn a_request_without_credentials_gets_a_challenge() {
    let server = Server::start(TestConfig::standard());
    over_each_transport(&server, |transport| {
        let mut client = Client::connect(&server, transport);
        let answer = client.request(&Draft::allocate());
        answer.assert_error(401);
        assert!(answer.has(attribute::REALM), "{answer:?}");
        assert!(answer.has(attribute::NONCE), "{answer:?}");
        assert_without_identity(&answer);
        assert!(!answer.has(attribute::MESSAGE_INTEGRITY), "{answer:?}");
    });
}

#[test]
fn the_nonce_is_text_of_fewer_than_128_characters() {
    let server = Server::start(TestConfig::standard());
    let mut client = Client::connect(&server, Transport::Udp);
    let answer = client.request(&Draft::allocate());
    let nonce = answer.attribute(attribute::NONCE).unwrap();
    assert!(nonce.len() < 128, "{} bytes", nonce.len());
    assert!(
        nonce.iter().all(|byte| (0x21..0x7f).contains(byte)),
        "{nonce:02x?}"
    );
}

#[test]
fn two_ports_of_one_address_do_not_get_the_same_nonce() {
    let server = Server::start(TestConfig::standard());
    over_each_transport(&server, |transport| {
        let nonce = || {
            let mut client = match transport {
                Transport::Udp => {
                    let here = "127.0.0.8:0".parse().unwrap();
                    Client::udp_from(here, server.address(transport))
                }
                Transport::Tcp | Transport::Tls => Client::connect(&server, transport),
            };
            let answer = client.request(&Draft::allocate());
            answer.attribute(attribute::NONCE).unwrap()
        };
        assert_ne!(nonce(), nonce());
    });
}

#[test]
fn binding_needs_no_credentials() {
    let server = Server::start(TestConfig::standard());
    over_each_transport(&server, |transport| {
        let mut client = Client::connect(&server, transport);
        client.request(&Draft::binding()).assert_success();
    });
}

#[test]
fn right_credentials_are_accepted_and_the_answer_is_protected() {
    let server = Server::start(TestConfig::standard());
    over_each_transport(&server, |transport| {
        let mut session = Session::open(&server, transport);
        let answer = session.request(&Draft::allocate());
        answer.assert_success();
        session.credentials.assert_protects(&answer);
        assert_without_identity(&answer);
        assert!(!answer.has(attribute::REALM), "{answer:?}");
        assert!(!answer.has(attribute::NONCE), "{answer:?}");
    });
}

#[test]
fn errors_after_authentication_are_protected_too() {
    let server = Server::start(TestConfig::standard());
    over_each_transport(&server, |transport| {
        let mut session = Session::open(&server, transport);
        let answer = session.request(&Draft::request(method::ALLOCATE));
        answer.assert_error(400);
        session.credentials.assert_protects(&answer);
    });
}

#[test]
fn a_missing_username_realm_or_nonce_gets_400() {
    let server = Server::start(TestConfig::standard());
    over_each_transport(&server, |transport| {
        let session = Session::open(&server, transport);
        let Session {
            mut client,
            credentials,
            ..
        } = session;
        let username = credentials.account.username.as_bytes();
        let parts = [
            (attribute::USERNAME, username),
            (attribute::REALM, &credentials.realm[..]),
            (attribute::NONCE, &credentials.nonce[..]),
        ];
        for (missing, _) in parts {
            let identified = parts
                .iter()
                .filter(|(kind, _)| *kind != missing)
                .fold(Draft::allocate(), |d, (kind, value)| d.with(*kind, value));
            let answer = client.request(&credentials.seal(identified));
            answer.assert_error(400);
            assert_without_identity(&answer);
            assert!(!answer.has(attribute::REALM), "{answer:?}");
            assert!(!answer.has(attribute::NONCE), "{answer:?}");
            assert!(!answer.has(attribute::MESSAGE_INTEGRITY), "{answer:?}");
        }
    });
}

#[test]
fn credentials_without_an_integrity_attribute_get_a_challenge() {
    let server = Server::start(TestConfig::standard());
    over_each_transport(&server, |transport| {
        let mut session = Session::open(&server, transport);
        let unsealed = session.credentials.identify(Draft::allocate());
        let answer = session.client.request(&unsealed);
        answer.assert_error(401);
        assert!(answer.has(attribute::NONCE), "{answer:?}");
    });
}

#[test]
fn a_wrong_password_gets_401_with_a_new_challenge() {
    let server = Server::start(TestConfig::standard());
    let wrong = Account::new(&server.alice().username, "not her password");
    over_each_transport(&server, |transport| {
        let mut session = Session::open_as(&server, transport, wrong.clone());
        assert_challenged(&session.request(&Draft::allocate()));
    });
}

#[test]
fn an_unknown_user_gets_401_with_a_new_challenge() {
    let server = Server::start(TestConfig::standard());
    over_each_transport(&server, |transport| {
        let nobody = Account::new("nobody", "at all");
        let mut session = Session::open_as(&server, transport, nobody);
        assert_challenged(&session.request(&Draft::allocate()));
    });
}

#[test]
fn a_wrong_password_and_an_unknown_user_are_answered_alike() {
    let server = Server::start(TestConfig::standard());
    over_each_transport(&server, |transport| {
        let attributes = |account: Account| {
            let mut session = Session::open_as(&server, transport, account);
            let answer = session.request(&Draft::allocate());
            (answer.bytes().len(), answer.attributes())
        };
        let wrong = Account::new(&server.alice().username, "not her password");
        let nobody = Account::new("nobody", "at all");
        assert_eq!(attributes(wrong), attributes(nobody));
    });
}

#[test]
fn the_new_challenge_after_a_wrong_password_can_be_used() {
    let server = Server::start(TestConfig::standard());
    over_each_transport(&server, |transport| {
        let wrong = Account::new(&server.alice().username, "not her password");
        let mut session = Session::open_as(&server, transport, wrong);
        let challenge = session.request(&Draft::allocate());
        session.credentials = Credentials::new(server.alice(), Scheme::Sha1, &challenge);
        session.allocate();
    });
}

#[test]
fn a_realm_that_is_not_ours_is_refused() {
    let server = Server::start(TestConfig::standard());
    over_each_transport(&server, |transport| {
        let mut session = Session::open(&server, transport);
        session.credentials.realm = b"elsewhere.example".to_vec();
        let answer = session
            .client
            .request(&session.credentials.sign(Draft::allocate()));
        assert!(matches!(answer.error_code(), Some(400 | 401)), "{answer:?}");
    });
}

#[test]
fn a_nonce_we_did_not_make_is_stale_and_replaced() {
    let server = Server::start(TestConfig::standard());
    over_each_transport(&server, |transport| {
        let mut session = Session::open(&server, transport);
        let good = session.credentials.nonce.clone();
        let last = good.len() - 1;
        session.credentials.nonce[last] ^= 1;
        let request = session.credentials.sign(Draft::allocate());
        let answer = session.client.request(&request);
        answer.assert_error(438);
        assert!(answer.has(attribute::REALM), "{answer:?}");
        assert_without_identity(&answer);
        let fresh = answer.attribute(attribute::NONCE).unwrap();
        assert_ne!(fresh, session.credentials.nonce);
        session.credentials.nonce = fresh;
        session.allocate();
    });
}

#[test]
fn the_nonce_of_another_address_is_stale() {
    let server = Server::start(TestConfig::standard());
    let server_address = server.address(Transport::Udp);
    let mut elsewhere = Client::udp_from("127.0.0.7:0".parse().unwrap(), server_address);
    let challenge = elsewhere.request(&Draft::allocate());
    let stolen = challenge.attribute(attribute::NONCE).unwrap();
    let mut session = Session::open(&server, Transport::Udp);
    session.credentials.nonce = stolen;
    let request = session.credentials.sign(Draft::allocate());
    session.client.request(&request).assert_error(438);
}

#[test]
fn a_nonce_serves_many_requests() {
    let server = Server::start(TestConfig::standard());
    over_each_transport(&server, |transport| {
        let mut session = Session::allocated(&server, transport);
        for _ in 0..5 {
            let request = session.credentials.sign(Draft::refresh(None));
            session.client.request(&request).assert_success();
        }
    });
}

#[test]
fn attributes_after_the_integrity_attribute_are_ignored() {
    let server = Server::start(TestConfig::standard());
    over_each_transport(&server, |transport| {
        let mut session = Session::open(&server, transport);
        let request = session.credentials.sign(Draft::allocate());
        let request = request.with(attribute::UNKNOWN_REQUIRED, b"added by somebody");
        session.client.request(&request).assert_success();

        // Somebody on the path cannot turn a refresh into an end.
        let request = session.credentials.sign(Draft::refresh(None)).lifetime(0);
        let answer = session.client.request(&request);
        answer.assert_success();
        assert!(answer.lifetime() > 0, "{answer:?}");
        session.refresh(None).assert_success();
    });
}

#[test]
fn a_changed_request_fails_the_integrity_check() {
    let server = Server::start(TestConfig::standard());
    over_each_transport(&server, |transport| {
        let mut session = Session::allocated(&server, transport);
        let request = session.credentials.sign(Draft::refresh(Some(1200)));
        let mut bytes = request.bytes();
        // The first attribute is LIFETIME; its value follows the two headers.
        bytes[24..28].copy_from_slice(&0_u32.to_be_bytes());
        session.client.send(&bytes);
        let answer = session.client.receive().stun();
        answer.assert_error(401);
        session.refresh(None).assert_success();
    });
}

#[track_caller]
fn assert_challenged(answer: &Answer) {
    answer.assert_error(401);
    assert!(answer.has(attribute::REALM), "{answer:?}");
    assert!(answer.has(attribute::NONCE), "{answer:?}");
    assert_without_identity(answer);
}

#[track_caller]
fn assert_without_identity(answer: &Answer) {
    assert!(!answer.has(attribute::USERNAME), "{answer:?}");
    assert!(!answer.has(attribute::USERHASH), "{answer:?}");
}
