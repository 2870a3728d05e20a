//! RFC 8489 section 9.2 for clients that know its security features: the nonce
//! cookie, password algorithms, SHA-256, anonymous user names, and the checks
//! against an attacker who takes them away.

use crate::support::client::Client;
use crate::support::config::{Account, TestConfig, strings};
use crate::support::credentials::{
    ALGORITHM_MD5, ALGORITHM_SHA256, Credentials, SHA256_LENGTH, Scheme,
};
use crate::support::server::Server;
use crate::support::session::Session;
use crate::support::wire::{Draft, attribute};
use crate::support::{Transport, over_each_transport};

/// The nonce cookie without its security features. RFC 8489 section 9.2.
const COOKIE: &[u8] = b"obMatJos2";

/// "Password algorithms" and "Username anonymity" in base64: bits 0 and 1 of 24,
/// counted from the right as the verified erratum 6290 and appendix B.1 have it.
const BOTH_FEATURES: &[u8] = b"AAAD";
/// "Password algorithms" alone.
const PASSWORD_ALGORITHMS_ALONE: &[u8] = b"AAAB";

#[test]
fn the_nonce_starts_with_the_cookie_and_names_the_password_algorithms() {
    let server = Server::start(TestConfig::standard());
    over_each_transport(&server, |transport| {
        let mut client = Client::connect(&server, transport);
        let answer = client.request(&Draft::allocate());
        let nonce = answer.attribute(attribute::NONCE).unwrap();
        assert!(nonce.starts_with(COOKIE), "{nonce:02x?}");
        let features = &nonce[COOKIE.len()..COOKIE.len() + 4];
        assert!(
            features == BOTH_FEATURES || features == PASSWORD_ALGORITHMS_ALONE,
            "{}",
            String::from_utf8_lossy(features)
        );
        let algorithms = answer.attribute(attribute::PASSWORD_ALGORITHMS).unwrap();
        let mut listed: Vec<&[u8]> = algorithms.chunks(4).collect();
        listed.sort_unstable();
        assert_eq!(listed, [&ALGORITHM_MD5[..], &ALGORITHM_SHA256[..]]);
    });
}

#[test]
fn static_users_may_stay_anonymous_and_the_cookie_says_so() {
    let Some(server) = Server::requires_own_server(TestConfig::standard()) else {
        return;
    };
    over_each_transport(&server, |transport| {
        let client = Client::connect(&server, transport);
        let mut session = Session::start(client, server.alice(), Scheme::UserHash);
        let features = &session.credentials.nonce[COOKIE.len()..COOKIE.len() + 4];
        assert_eq!(features, BOTH_FEATURES);
        session.allocate();
        session.refresh(None).assert_success();
    });
}

#[test]
fn where_user_names_cannot_be_listed_the_cookie_offers_no_anonymity() {
    let config = TestConfig::standard().set(
        "turn.rest.secrets",
        strings(&["a shared secret of the organization"]),
    );
    let Some(server) = Server::requires_own_server(config) else {
        return;
    };
    let mut client = Client::connect(&server, Transport::Udp);
    let answer = client.request(&Draft::allocate());
    let nonce = answer.attribute(attribute::NONCE).unwrap();
    let features = &nonce[COOKIE.len()..COOKIE.len() + 4];
    assert_eq!(features, PASSWORD_ALGORITHMS_ALONE);
}

#[test]
fn an_unknown_userhash_gets_401() {
    let server = Server::start(TestConfig::standard());
    over_each_transport(&server, |transport| {
        let client = Client::connect(&server, transport);
        let nobody = Account::new("nobody", "at all");
        let mut session = Session::start(client, nobody, Scheme::UserHash);
        session.request(&Draft::allocate()).assert_error(401);
    });
}

#[test]
fn sha256_is_accepted_and_answered_with_sha256() {
    let server = Server::start(TestConfig::standard());
    over_each_transport(&server, |transport| {
        let mut session = open(&server, transport, Scheme::Sha256);
        session.allocate();
        session.refresh(None).assert_success();
    });
}

#[test]
fn an_md5_key_with_password_algorithm_is_answered_with_sha256() {
    let server = Server::start(TestConfig::standard());
    over_each_transport(&server, |transport| {
        open(&server, transport, Scheme::Md5Sha256).allocate();
    });
}

#[test]
fn errors_of_a_sha256_client_are_protected_with_sha256() {
    let server = Server::start(TestConfig::standard());
    over_each_transport(&server, |transport| {
        let mut session = open(&server, transport, Scheme::Sha256);
        let answer = session.request(&Draft::refresh(None));
        answer.assert_error(437);
        session.credentials.assert_protects(&answer);
    });
}

#[test]
fn a_wrong_password_gets_401_with_the_algorithms_again() {
    let server = Server::start(TestConfig::standard());
    over_each_transport(&server, |transport| {
        let mut session = open(&server, transport, Scheme::Sha256);
        session.credentials.account.password = "not her password".to_owned();
        let answer = session.request(&Draft::allocate());
        answer.assert_error(401);
        assert!(answer.has(attribute::PASSWORD_ALGORITHMS), "{answer:?}");
    });
}

#[test]
fn a_stale_nonce_gets_438_with_the_algorithms_again() {
    let server = Server::start(TestConfig::standard());
    over_each_transport(&server, |transport| {
        let mut session = open(&server, transport, Scheme::Sha256);
        let last = session.credentials.nonce.len() - 1;
        session.credentials.nonce[last] ^= 1;
        let request = session.credentials.sign(Draft::allocate());
        let answer = session.client.request(&request);
        answer.assert_error(438);
        assert!(answer.has(attribute::PASSWORD_ALGORITHMS), "{answer:?}");
        session.credentials = Credentials::new(server.alice(), Scheme::Sha256, &answer);
        session.allocate();
    });
}

#[test]
fn an_altered_list_of_algorithms_gets_400() {
    let server = Server::start(TestConfig::standard());
    over_each_transport(&server, |transport| {
        let mut session = open(&server, transport, Scheme::Md5Sha256);
        // As if somebody on the path had left only the weaker one.
        session.credentials.algorithms = ALGORITHM_MD5.to_vec();
        let request = session.credentials.sign(Draft::allocate());
        session.client.request(&request).assert_error(400);
    });
}

#[test]
fn a_list_without_a_choice_gets_400() {
    let server = Server::start(TestConfig::standard());
    over_each_transport(&server, |transport| {
        let mut session = open(&server, transport, Scheme::Sha256);
        let credentials = &session.credentials;
        let identified = named(credentials, Draft::allocate())
            .with(attribute::PASSWORD_ALGORITHMS, &credentials.algorithms);
        let request = credentials.seal(identified);
        session.client.request(&request).assert_error(400);
    });
}

#[test]
fn a_choice_without_the_list_gets_400() {
    let server = Server::start(TestConfig::standard());
    over_each_transport(&server, |transport| {
        let mut session = open(&server, transport, Scheme::Sha256);
        let credentials = &session.credentials;
        let identified = named(credentials, Draft::allocate())
            .with(attribute::PASSWORD_ALGORITHM, &ALGORITHM_SHA256);
        let request = credentials.seal(identified);
        session.client.request(&request).assert_error(400);
    });
}

#[test]
fn a_choice_that_is_not_on_the_list_gets_400() {
    let server = Server::start(TestConfig::standard());
    over_each_transport(&server, |transport| {
        let mut session = open(&server, transport, Scheme::Sha256);
        let credentials = &session.credentials;
        let identified = named(credentials, Draft::allocate())
            .with(attribute::PASSWORD_ALGORITHMS, &credentials.algorithms)
            .with(attribute::PASSWORD_ALGORITHM, &[0, 9, 0, 0]);
        let request = credentials.seal(identified);
        session.client.request(&request).assert_error(400);
    });
}

#[test]
fn a_nonce_without_its_features_is_not_ours_any_more() {
    let server = Server::start(TestConfig::standard());
    over_each_transport(&server, |transport| {
        // As if somebody on the path had cleared the bits, so that the client
        // falls back to what RFC 5389 knows.
        let mut session = open(&server, transport, Scheme::Sha1);
        session.credentials.nonce[COOKIE.len()..COOKIE.len() + 4].copy_from_slice(b"AAAA");
        let request = session.credentials.sign(Draft::allocate());
        session.client.request(&request).assert_error(438);
    });
}

#[test]
fn a_shortened_sha256_value_is_refused() {
    let server = Server::start(TestConfig::standard());
    over_each_transport(&server, |transport| {
        let mut session = open(&server, transport, Scheme::Sha256);
        for length in [4, 16, 28] {
            let credentials = &session.credentials;
            let identified = credentials.identify(Draft::allocate());
            let request = credentials.seal_sha256(identified, length);
            let answer = session.client.request(&request);
            assert!(
                matches!(answer.error_code(), Some(400 | 401)),
                "{length} of {SHA256_LENGTH} bytes: {answer:?}"
            );
        }
    });
}

#[test]
fn attributes_after_the_sha256_value_are_ignored() {
    let server = Server::start(TestConfig::standard());
    over_each_transport(&server, |transport| {
        let mut session = open(&server, transport, Scheme::Sha256);
        session.allocate();
        let request = session.credentials.sign(Draft::refresh(None)).lifetime(0);
        let answer = session.client.request(&request);
        answer.assert_success();
        assert!(answer.lifetime() > 0, "{answer:?}");
    });
}

fn open(server: &Server, transport: Transport, scheme: Scheme) -> Session {
    let client = Client::connect(server, transport);
    let session = Session::start(client, server.alice(), scheme);
    assert!(
        !session.credentials.algorithms.is_empty(),
        "the server offers no password algorithms"
    );
    session
}

/// Appends user name, realm and nonce without any algorithm.
fn named(credentials: &Credentials, draft: Draft) -> Draft {
    draft
        .with(attribute::USERNAME, credentials.account.username.as_bytes())
        .with(attribute::REALM, &credentials.realm)
        .with(attribute::NONCE, &credentials.nonce)
}
