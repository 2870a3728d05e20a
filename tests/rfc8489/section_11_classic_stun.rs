//! RFC 8489 section 11: clients of RFC 3489, which know no magic cookie and no
//! XOR-MAPPED-ADDRESS, still learn their address over UDP.

use std::net::SocketAddr;

use crate::support::client::Client;
use crate::support::config::TestConfig;
use crate::support::server::Server;
use crate::support::wire::{Draft, attribute};
use crate::support::{PATIENCE, Transport};

#[test]
fn a_classic_binding_request_gets_a_plain_mapped_address() {
    let server = Server::start(TestConfig::standard());
    let mut client = Client::connect(&server, Transport::Udp);
    let request = classic_binding();
    client.send(&request);
    let answer = client.receive_bytes(PATIENCE).unwrap();
    assert_eq!(answer[..2], [0x01, 0x01], "a Binding success");
    assert_eq!(answer[4..20], request[4..20], "all 128 bits of the id");
    let address = plain_address(&answer).unwrap();
    assert_eq!(address, client.local());
}

#[test]
fn a_classic_answer_is_no_longer_than_the_modern_one() {
    let Some(server) = Server::requires_own_server(TestConfig::standard()) else {
        return;
    };
    let mut client = Client::connect(&server, Transport::Udp);
    client.send(&classic_binding());
    let answer = client.receive_bytes(PATIENCE).unwrap();
    assert!(answer.len() <= 36, "{} bytes", answer.len());
}

fn classic_binding() -> Vec<u8> {
    let mut bytes = Draft::binding().bytes();
    bytes[4..8].copy_from_slice(&[0xde, 0xad, 0xbe, 0xef]);
    bytes
}

/// Finds MAPPED-ADDRESS for IPv4.
fn plain_address(message: &[u8]) -> Option<SocketAddr> {
    let mut attributes = &message[20..];
    while let [t1, t0, l1, l0, rest @ ..] = attributes {
        let length = usize::from(u16::from_be_bytes([*l1, *l0]));
        if u16::from_be_bytes([*t1, *t0]) == attribute::MAPPED_ADDRESS {
            let [_, 1, p1, p0, a, b, c, d, ..] = rest else {
                return None;
            };
            let port = u16::from_be_bytes([*p1, *p0]);
            return Some(SocketAddr::from(([*a, *b, *c, *d], port)));
        }
        attributes = rest.get(length.next_multiple_of(4)..)?;
    }
    None
}
