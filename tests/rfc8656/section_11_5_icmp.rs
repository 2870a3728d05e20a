//! RFC 8656 sections 11.5 and 18.13: ICMP errors about what was relayed reach
//! the client as Data indications.

use crate::support::config::TestConfig;
use crate::support::over_each_transport;
use crate::support::peer::{Peer, closed_port};
use crate::support::server::Server;
use crate::support::session::{Relayed, Session};
use crate::support::wire::{Draft, IPV6, attribute};

#[test]
fn port_unreachable_is_reported() {
    let server = Server::start(TestConfig::standard());
    over_each_transport(&server, |transport| {
        let nobody = closed_port("127.0.0.1");
        let mut session = Session::allocated(&server, transport);
        session.permit(&[nobody]);
        session.send(nobody, b"is anybody there?");
        let Relayed::Icmp {
            peer,
            kind,
            code,
            error_data,
        } = session.receive()
        else {
            panic!("no ICMP");
        };
        // ICMPv4: destination unreachable, port unreachable.
        assert_eq!((kind, code, error_data), (3, 3, [0; 4]));
        assert_eq!(peer.ip(), nobody.ip());
        assert!(peer.port() == nobody.port() || peer.port() == 0, "{peer}");
    });
}

#[test]
fn icmpv6_port_unreachable_is_reported() {
    let server = Server::start(TestConfig::standard());
    over_each_transport(&server, |transport| {
        let nobody = closed_port("::1");
        let mut session = Session::open(&server, transport);
        let request = Draft::allocate().family(attribute::REQUESTED_ADDRESS_FAMILY, IPV6);
        session.allocate_with(request);
        session.permit(&[nobody]);
        session.send(nobody, b"is anybody there?");
        let Relayed::Icmp {
            peer, kind, code, ..
        } = session.receive()
        else {
            panic!("no ICMP");
        };
        // ICMPv6: destination unreachable, port unreachable.
        assert_eq!((kind, code), (1, 4));
        assert_eq!(peer.ip(), nobody.ip());
    });
}

#[test]
fn errors_on_a_channel_come_as_data_indications_too() {
    let server = Server::start(TestConfig::standard());
    over_each_transport(&server, |transport| {
        let nobody = closed_port("127.0.0.1");
        let mut session = Session::allocated(&server, transport);
        session.bind(0x4000, nobody);
        session.send_channel(0x4000, b"is anybody there?");
        let received = session.receive();
        assert!(
            matches!(received, Relayed::Icmp { peer, .. } if peer.ip() == nobody.ip()),
            "{received:?}"
        );
    });
}

#[test]
fn an_error_does_not_disturb_what_follows() {
    let server = Server::start(TestConfig::standard());
    over_each_transport(&server, |transport| {
        let nobody = closed_port("127.0.0.1");
        let peer = Peer::on("127.0.0.2");
        let mut session = Session::allocated(&server, transport);
        session.permit(&[nobody, peer.address()]);
        for _ in 0..5 {
            session.send(nobody, b"is anybody there?");
            session.send(peer.address(), b"you are");
            peer.assert_receives(b"you are", session.relayed());
            peer.send(session.relayed(), b"I am");
            let expected = Relayed::Data {
                peer: peer.address(),
                data: b"I am".to_vec(),
            };
            while session.receive() != expected {}
        }
    });
}
