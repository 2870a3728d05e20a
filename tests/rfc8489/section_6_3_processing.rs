//! RFC 8489 section 6.3: requests, indications, and attributes nobody knows.

use std::net::SocketAddr;

use crate::support::client::Client;
use crate::support::config::{TestConfig, strings};
use crate::support::peer::Peer;
use crate::support::server::Server;
use crate::support::session::Session;
use crate::support::wire::{Draft, attribute, method};
use crate::support::{Transport, over_each_transport};

#[test]
fn binding_returns_the_address_of_the_client() {
    let server = Server::start(TestConfig::standard());
    over_each_transport(&server, |transport| {
        let mut client = Client::connect(&server, transport);
        let answer = client.request(&Draft::binding());
        answer.assert_success();
        let seen = answer.address(attribute::XOR_MAPPED_ADDRESS);
        assert_eq!(seen, client.local());
    });
}

#[test]
fn binding_returns_the_address_of_an_ipv6_client() {
    let server = Server::start(TestConfig::standard());
    over_each_transport(&server, |transport| {
        let mut client = Client::connect_v6(&server, transport);
        let answer = client.request(&Draft::binding());
        answer.assert_success();
        let seen = answer.address(attribute::XOR_MAPPED_ADDRESS);
        assert_eq!(seen, client.local());
    });
}

#[test]
fn a_listener_on_the_ipv6_wildcard_sees_ipv4_clients_as_ipv4() {
    let wildcard = ["[::]:0"];
    let config = TestConfig::standard()
        .set("listen.udp", strings(&wildcard))
        .set("listen.tcp", strings(&wildcard))
        .set("listen.tls", strings(&wildcard));
    let Some(server) = Server::requires_own_server(config) else {
        return;
    };
    over_each_transport(&server, |transport| {
        for mut client in [
            Client::connect(&server, transport),
            Client::connect_v6(&server, transport),
        ] {
            let answer = client.request(&Draft::binding());
            let seen = answer.address(attribute::XOR_MAPPED_ADDRESS);
            assert_eq!(seen, client.local());
        }
    });
}

#[test]
fn a_repeated_binding_request_gets_the_same_answer() {
    let server = Server::start(TestConfig::standard());
    let mut client = Client::connect(&server, Transport::Udp);
    let request = Draft::binding();
    client.send(&request.bytes());
    let first = client.receive_bytes(crate::support::PATIENCE).unwrap();
    client.send(&request.bytes());
    let second = client.receive_bytes(crate::support::PATIENCE).unwrap();
    assert_eq!(first, second);
}

#[test]
fn the_answer_keeps_transaction_and_method() {
    let server = Server::start(TestConfig::standard());
    over_each_transport(&server, |transport| {
        let mut client = Client::connect(&server, transport);
        let request = Draft::request(method::ALLOCATE);
        let answer = client.request(&request);
        assert!(answer.is(crate::support::wire::Class::Error, method::ALLOCATE));
        assert_eq!(answer.transaction(), request.transaction());
    });
}

#[test]
fn unknown_comprehension_optional_attributes_are_ignored() {
    let server = Server::start(TestConfig::standard());
    over_each_transport(&server, |transport| {
        let mut client = Client::connect(&server, transport);
        let request = Draft::binding().with(attribute::UNKNOWN_OPTIONAL, b"whatever");
        client.request(&request).assert_success();
    });
}

#[test]
fn known_but_unexpected_attributes_are_ignored() {
    let server = Server::start(TestConfig::standard());
    over_each_transport(&server, |transport| {
        let mut client = Client::connect(&server, transport);
        let request = Draft::binding()
            .lifetime(600)
            .with(attribute::USERNAME, b"alice");
        client.request(&request).assert_success();
    });
}

#[test]
fn unknown_comprehension_required_attributes_get_420_and_are_listed() {
    let server = Server::start(TestConfig::standard());
    over_each_transport(&server, |transport| {
        let mut client = Client::connect(&server, transport);
        let request = Draft::binding().with(attribute::UNKNOWN_REQUIRED, b"what?");
        let answer = client.request(&request);
        answer.assert_error(420);
        assert_eq!(
            answer.unknown_attributes(),
            [attribute::UNKNOWN_REQUIRED],
            "{answer:?}"
        );
    });
}

#[test]
fn credentials_are_checked_before_unknown_attributes() {
    let server = Server::start(TestConfig::standard());
    over_each_transport(&server, |transport| {
        let mut client = Client::connect(&server, transport);
        let request = Draft::allocate().with(attribute::UNKNOWN_REQUIRED, b"what?");
        client.request(&request).assert_error(401);
    });
}

#[test]
fn an_authenticated_request_with_unknown_attributes_gets_a_protected_420() {
    let server = Server::start(TestConfig::standard());
    over_each_transport(&server, |transport| {
        let mut session = Session::open(&server, transport);
        let answer = session.request(&Draft::allocate().with(attribute::UNKNOWN_REQUIRED, b""));
        answer.assert_error(420);
        assert_eq!(answer.unknown_attributes(), [attribute::UNKNOWN_REQUIRED]);
        session.credentials.assert_protects(&answer);
    });
}

#[test]
fn binding_indications_are_not_answered() {
    let server = Server::start(TestConfig::standard());
    over_each_transport(&server, |transport| {
        let mut client = Client::connect(&server, transport);
        client.assert_ignored(&Draft::indication(method::BINDING).bytes());
        let odd = Draft::indication(method::BINDING).with(attribute::UNKNOWN_REQUIRED, b"");
        client.assert_ignored(&odd.bytes());
    });
}

#[test]
fn an_indication_with_unknown_required_attributes_is_discarded() {
    let server = Server::start(TestConfig::standard());
    over_each_transport(&server, |transport| {
        let peer = Peer::v4();
        let mut session = Session::allocated(&server, transport);
        session.permit(&[peer.address()]);
        let odd = Draft::send(peer.address(), b"odd").with(attribute::UNKNOWN_REQUIRED, b"");
        session.client.send(&odd.bytes());
        session.send(peer.address(), b"plain");
        peer.assert_receives(b"plain", session.relayed());
    });
}

#[test]
fn every_udp_source_port_gets_its_own_answer() {
    let server = Server::start(TestConfig::standard());
    let address: SocketAddr = server.address(Transport::Udp);
    for source in ["127.0.0.1:0", "127.0.0.2:0", "127.200.3.4:0"] {
        let mut client = Client::udp_from(source.parse().unwrap(), address);
        let answer = client.request(&Draft::binding());
        let seen = answer.address(attribute::XOR_MAPPED_ADDRESS);
        assert_eq!(seen, client.local());
    }
}
