//! RFC 8656 section 13: client and relay may be of different families, and a
//! listener for both families serves both.

use crate::support::config::{TestConfig, strings};
use crate::support::peer::Peer;
use crate::support::server::Server;
use crate::support::session::Session;
use crate::support::wire::{Draft, IPV4, IPV6, attribute};
use crate::support::{Transport, over_each_transport};

#[test]
fn every_mix_of_client_and_relay_family_works() {
    let server = Server::start(TestConfig::standard());
    over_each_transport(&server, |transport| every_mix(&server, transport));
}

#[test]
fn every_mix_works_on_listeners_for_both_families() {
    let wildcard = ["[::]:0"];
    let config = TestConfig::standard()
        .set("listen.udp", strings(&wildcard))
        .set("listen.tcp", strings(&wildcard))
        .set("listen.tls", strings(&wildcard));
    let Some(server) = Server::requires_own_server(config) else {
        return;
    };
    over_each_transport(&server, |transport| every_mix(&server, transport));
}

#[track_caller]
fn every_mix(server: &Server, transport: Transport) {
    for open in [Session::open, Session::open_v6] {
        for (family, peer) in [(IPV4, Peer::v4()), (IPV6, Peer::v6())] {
            let mut session = open(server, transport);
            let request = Draft::allocate().family(attribute::REQUESTED_ADDRESS_FAMILY, family);
            let answer = session.allocate_with(request);
            let mapped = answer.address(attribute::XOR_MAPPED_ADDRESS);
            assert_eq!(mapped, session.client.local());

            session.permit(&[peer.address()]);
            session.send(peer.address(), b"by indication");
            peer.assert_receives(b"by indication", session.relayed());
            peer.send(session.relayed(), b"and back");
            session.assert_receives(b"and back", peer.address());

            session.bind(0x4000, peer.address());
            session.send_channel(0x4000, b"by channel");
            peer.assert_receives(b"by channel", session.relayed());
            peer.send(session.relayed(), b"and back");
            session.assert_receives_on(0x4000, b"and back");
        }
    }
}
