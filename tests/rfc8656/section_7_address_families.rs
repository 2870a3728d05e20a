//! RFC 8656 section 7.2, steps 6, 7 and 9: which family a relayed address has.

use crate::support::answer::Answer;
use crate::support::config::{TestConfig, strings};
use crate::support::peer::Peer;
use crate::support::server::Server;
use crate::support::session::Session;
use crate::support::wire::{Draft, IPV4, IPV6, attribute};
use crate::support::{Transport, over_each_transport};

#[test]
fn without_a_wish_the_relayed_address_is_ipv4() {
    let server = Server::start(TestConfig::standard());
    over_each_transport(&server, |transport| {
        assert!(Session::open(&server, transport).allocate().is_ipv4());
        assert!(Session::open_v6(&server, transport).allocate().is_ipv4());
    });
}

#[test]
fn the_requested_family_is_granted() {
    let server = Server::start(TestConfig::standard());
    over_each_transport(&server, |transport| {
        for (family, is_ipv4) in [(IPV4, true), (IPV6, false)] {
            let request = Draft::allocate().family(attribute::REQUESTED_ADDRESS_FAMILY, family);
            let mut session = Session::open(&server, transport);
            session.allocate_with(request);
            assert_eq!(session.all_relayed().len(), 1);
            assert_eq!(session.relayed().is_ipv4(), is_ipv4);
        }
    });
}

#[test]
fn an_unknown_family_gets_440() {
    let server = Server::start(TestConfig::standard());
    over_each_transport(&server, |transport| {
        let mut session = Session::open(&server, transport);
        for family in [0, 3, 255] {
            let request = Draft::allocate().family(attribute::REQUESTED_ADDRESS_FAMILY, family);
            session.request(&request).assert_error(440);
        }
    });
}

#[test]
fn an_additional_family_gives_one_relayed_address_of_each() {
    let server = Server::start(TestConfig::standard());
    over_each_transport(&server, |transport| {
        assert_dual(&server, transport, attribute::ADDITIONAL_ADDRESS_FAMILY);
    });
}

#[test]
fn the_draft_attribute_gives_one_relayed_address_of_each_too() {
    // Clients of coturn send the number the attribute had in the draft.
    let server = Server::start(TestConfig::standard());
    over_each_transport(&server, |transport| {
        assert_dual(
            &server,
            transport,
            attribute::DRAFT_ADDITIONAL_ADDRESS_FAMILY,
        );
    });
}

#[test]
fn both_relayed_addresses_of_a_dual_allocation_work() {
    let server = Server::start(TestConfig::standard());
    over_each_transport(&server, |transport| {
        let (v4, v6) = (Peer::v4(), Peer::v6());
        let mut session = Session::open(&server, transport);
        session.allocate_with(dual());
        session.permit(&[v4.address(), v6.address()]);
        for peer in [&v4, &v6] {
            let relayed = session.relayed_like(peer.address());
            session.send(peer.address(), b"there");
            peer.assert_receives(b"there", relayed);
            peer.send(relayed, b"and back");
            session.assert_receives(b"and back", peer.address());
        }
    });
}

#[test]
fn a_requested_and_an_additional_family_together_get_400() {
    let server = Server::start(TestConfig::standard());
    over_each_transport(&server, |transport| {
        let mut session = Session::open(&server, transport);
        for family in [IPV4, IPV6] {
            let request = dual().family(attribute::REQUESTED_ADDRESS_FAMILY, family);
            session.request(&request).assert_error(400);
        }
    });
}

#[test]
fn an_additional_family_that_is_not_ipv6_gets_400() {
    let server = Server::start(TestConfig::standard());
    over_each_transport(&server, |transport| {
        let mut session = Session::open(&server, transport);
        let request = Draft::allocate().family(attribute::ADDITIONAL_ADDRESS_FAMILY, IPV4);
        session.request(&request).assert_error(400);
    });
}

#[test]
fn a_family_the_server_does_not_relay_gets_440() {
    let config = TestConfig::standard()
        .set("turn.relay_ips", strings(&["127.0.0.1"]))
        .set("server.public_ips", strings(&["127.0.0.1"]));
    let Some(server) = Server::requires_own_server(config) else {
        return;
    };
    over_each_transport(&server, |transport| {
        let mut session = Session::open(&server, transport);
        let request = Draft::allocate().family(attribute::REQUESTED_ADDRESS_FAMILY, IPV6);
        session.request(&request).assert_error(440);
    });
}

#[test]
fn a_server_that_relays_ipv6_alone_refuses_requests_without_a_wish_with_440() {
    let config = TestConfig::standard()
        .set("turn.relay_ips", strings(&["::1"]))
        .set("server.public_ips", strings(&["::1"]));
    let Some(server) = Server::requires_own_server(config) else {
        return;
    };
    over_each_transport(&server, |transport| {
        let mut session = Session::open(&server, transport);
        session.request(&Draft::allocate()).assert_error(440);
        let request = Draft::allocate().family(attribute::REQUESTED_ADDRESS_FAMILY, IPV6);
        session.allocate_with(request);
    });
}

#[test]
fn half_a_dual_allocation_says_which_half_is_missing_and_why() {
    let config = TestConfig::standard()
        .set("turn.relay_ips", strings(&["127.0.0.1"]))
        .set("server.public_ips", strings(&["127.0.0.1"]));
    let Some(server) = Server::requires_own_server(config) else {
        return;
    };
    over_each_transport(&server, |transport| {
        let mut session = Session::open(&server, transport);
        let answer = session.allocate_with(dual());
        assert_eq!(session.all_relayed().len(), 1, "{answer:?}");
        assert!(session.relayed().is_ipv4());
        assert_eq!(address_error(&answer), Some((IPV6, 440)));
    });
}

#[track_caller]
fn assert_dual(server: &Server, transport: Transport, attribute: u16) {
    let mut session = Session::open(server, transport);
    let answer = session.allocate_with(Draft::allocate().family(attribute, IPV6));
    assert_eq!(session.all_relayed().len(), 2, "{answer:?}");
    let ipv4 = session.all_relayed().iter().filter(|a| a.is_ipv4());
    assert_eq!(ipv4.count(), 1, "{answer:?}");
    assert!(!answer.has(attribute::ADDRESS_ERROR_CODE), "{answer:?}");
}

fn dual() -> Draft {
    Draft::allocate().family(attribute::ADDITIONAL_ADDRESS_FAMILY, IPV6)
}

/// Family and code of ADDRESS-ERROR-CODE. RFC 8656 section 18.12.
fn address_error(answer: &Answer) -> Option<(u8, u16)> {
    let value = answer.attribute(attribute::ADDRESS_ERROR_CODE)?;
    let [family, _, class, number, ..] = value[..] else {
        return None;
    };
    Some((family, u16::from(class & 7) * 100 + u16::from(number)))
}
