//! RFC 8656 section 8: refreshing and deleting an allocation.

use crate::support::config::TestConfig;
use crate::support::over_each_transport;
use crate::support::peer::{Peer, is_free};
use crate::support::server::Server;
use crate::support::session::Session;
use crate::support::wait_until;
use crate::support::wire::{Draft, IPV4, IPV6, attribute};

#[test]
fn a_refresh_sets_the_lifetime_between_default_and_maximum() {
    let server = Server::start(TestConfig::standard());
    over_each_transport(&server, |transport| {
        let mut session = Session::allocated(&server, transport);
        for (wanted, granted) in [
            (None, 600),
            (Some(1), 600),
            (Some(1800), 1800),
            (Some(3600), 3600),
            (Some(u32::MAX), 3600),
        ] {
            let answer = session.refresh(wanted);
            answer.assert_success();
            assert_eq!(answer.lifetime(), granted, "asked for {wanted:?}");
        }
    });
}

#[test]
fn a_lifetime_of_zero_deletes_the_allocation_and_frees_the_port() {
    let server = Server::start(TestConfig::standard());
    over_each_transport(&server, |transport| {
        let mut session = Session::allocated(&server, transport);
        let relayed = session.relayed();
        let answer = session.refresh(Some(0));
        answer.assert_success();
        assert_eq!(answer.lifetime(), 0);
        session.refresh(None).assert_error(437);
        wait_until("the relayed address is free", || is_free(relayed));
    });
}

#[test]
fn a_repeated_deletion_gets_437() {
    let server = Server::start(TestConfig::standard());
    over_each_transport(&server, |transport| {
        let mut session = Session::allocated(&server, transport);
        session.refresh(Some(0)).assert_success();
        session.refresh(Some(0)).assert_error(437);
    });
}

#[test]
fn nothing_is_relayed_after_the_deletion() {
    let server = Server::start(TestConfig::standard());
    over_each_transport(&server, |transport| {
        let peer = Peer::v4();
        let mut session = Session::allocated(&server, transport);
        session.bind(0x4000, peer.address());
        let before = session.relayed();
        session.refresh(Some(0)).assert_success();
        session.send(peer.address(), b"too late");
        session.send_channel(0x4000, b"too late");
        peer.send(before, b"too late");

        // A new allocation does not inherit anything either.
        session.allocate();
        session.send(peer.address(), b"no permission");
        session.send_channel(0x4000, b"no channel");
        session.permit(&[peer.address()]);
        session.send(peer.address(), b"now");
        peer.assert_receives(b"now", session.relayed());
    });
}

#[test]
fn a_malformed_lifetime_does_not_end_the_allocation() {
    let server = Server::start(TestConfig::standard());
    over_each_transport(&server, |transport| {
        let mut session = Session::allocated(&server, transport);
        for malformed in [&[][..], &[0, 0], &[0; 8]] {
            let request = Draft::refresh(None).with(attribute::LIFETIME, malformed);
            let answer = session.request(&request);
            if answer.error_code() != Some(400) {
                answer.assert_success();
                assert_eq!(answer.lifetime(), 600);
            }
        }
        session.refresh(None).assert_success();
    });
}

#[test]
fn a_family_the_allocation_does_not_have_gets_443() {
    let server = Server::start(TestConfig::standard());
    over_each_transport(&server, |transport| {
        let mut session = Session::allocated(&server, transport);
        for lifetime in [None, Some(0)] {
            let request =
                Draft::refresh(lifetime).family(attribute::REQUESTED_ADDRESS_FAMILY, IPV6);
            session.request(&request).assert_error(443);
        }
        let request = Draft::refresh(None).family(attribute::REQUESTED_ADDRESS_FAMILY, IPV4);
        session.request(&request).assert_success();
    });
}

#[test]
fn half_of_a_dual_allocation_can_be_deleted() {
    let server = Server::start(TestConfig::standard());
    over_each_transport(&server, |transport| {
        let (v4, v6) = (Peer::v4(), Peer::v6());
        let mut session = Session::open(&server, transport);
        session.allocate_with(Draft::allocate().family(attribute::ADDITIONAL_ADDRESS_FAMILY, IPV6));
        session.permit(&[v4.address(), v6.address()]);
        session.bind(0x4001, v4.address());
        let gone = session.relayed_like(v6.address());

        let only_v6 =
            |lifetime| Draft::refresh(lifetime).family(attribute::REQUESTED_ADDRESS_FAMILY, IPV6);
        session.request(&only_v6(Some(0))).assert_success();
        session.request(&only_v6(None)).assert_error(443);
        wait_until("the IPv6 relayed address is free", || is_free(gone));

        // The other half keeps its permission and its channel.
        let relayed = session.relayed_like(v4.address());
        session.send(v6.address(), b"gone");
        session.send_channel(0x4001, b"still here");
        v4.assert_receives(b"still here", relayed);
        v4.send(relayed, b"so am I");
        session.assert_receives_on(0x4001, b"so am I");
        session.refresh(None).assert_success();
    });
}

#[test]
fn a_refresh_without_a_family_applies_to_both() {
    let server = Server::start(TestConfig::standard());
    over_each_transport(&server, |transport| {
        let mut session = Session::open(&server, transport);
        session.allocate_with(Draft::allocate().family(attribute::ADDITIONAL_ADDRESS_FAMILY, IPV6));
        let relayed = session.all_relayed().to_vec();
        session.refresh(Some(0)).assert_success();
        session.refresh(None).assert_error(437);
        for address in relayed {
            wait_until("a relayed address is free", || is_free(address));
        }
    });
}
