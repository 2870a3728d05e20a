//! RFC 8489 section 6.2.3 and RFC 7443: STUN over TLS.

use rustls::version::{TLS12, TLS13};

use crate::support::Transport;
use crate::support::client::Client;
use crate::support::config::TestConfig;
use crate::support::credentials::Scheme;
use crate::support::server::Server;
use crate::support::session::Session;
use crate::support::wire::Draft;

#[test]
fn tls_1_2_and_1_3_are_spoken() {
    let server = Server::start(TestConfig::standard());
    for version in [&TLS12, &TLS13] {
        let address = server.address(Transport::Tls);
        let client = Client::over_tls(address, &[version], &[]);
        Session::start(client, server.alice(), Scheme::Sha1).allocate();
    }
}

#[test]
fn a_client_that_offers_stun_turn_by_alpn_gets_it() {
    let server = Server::start(TestConfig::standard());
    let address = server.address(Transport::Tls);
    let mut client = Client::over_tls(address, rustls::DEFAULT_VERSIONS, &[b"stun.turn"]);
    client.request(&Draft::binding()).assert_success();
    assert_eq!(client.alpn(), Some(&b"stun.turn"[..]));
}

#[test]
fn a_client_without_alpn_is_served_all_the_same() {
    let server = Server::start(TestConfig::standard());
    let mut client = Client::connect(&server, Transport::Tls);
    client.request(&Draft::binding()).assert_success();
    assert_eq!(client.alpn(), None);
}
