//! RFC 8656 section 7.2, step 10: quotas per user and per address.

use crate::support::client::Client;
use crate::support::config::TestConfig;
use crate::support::credentials::Scheme;
use crate::support::server::Server;
use crate::support::session::Session;
use crate::support::wire::Draft;
use crate::support::{Transport, over_each_stream, over_each_transport, wait_until};

#[test]
fn one_allocation_too_many_for_a_user_gets_486() {
    let config = TestConfig::standard().set("limits.allocations_per_user", 2);
    let Some(server) = Server::requires_own_server(config) else {
        return;
    };
    over_each_transport(&server, |transport| {
        let mut first = Session::allocated(&server, transport);
        let mut second = Session::allocated(&server, transport);
        let mut third = Session::open(&server, transport);
        let answer = third.request(&Draft::allocate());
        answer.assert_error(486);
        third.credentials.assert_protects(&answer);

        // Another user has a quota of her own.
        let bob = server.bob().unwrap();
        let mut other = Session::open_as(&server, transport, bob);
        other.allocate();
        other.refresh(Some(0)).assert_success();

        // What is given back can be used again.
        first.refresh(Some(0)).assert_success();
        third.allocate();
        third.refresh(Some(0)).assert_success();
        second.refresh(Some(0)).assert_success();
    });
}

#[test]
fn a_closed_stream_gives_its_share_of_the_quota_back() {
    let config = TestConfig::standard().set("limits.allocations_per_user", 1);
    let Some(server) = Server::requires_own_server(config) else {
        return;
    };
    over_each_stream(&server, |transport| {
        let first = Session::allocated(&server, transport);
        let mut second = Session::open(&server, transport);
        second.request(&Draft::allocate()).assert_error(486);
        first.client.close();
        wait_until("the quota is free", || {
            second.request(&Draft::allocate()).error_code().is_none()
        });
        second.client.close();
        wait_until("the next transport finds the quota free", || {
            let mut probe = Session::open(&server, transport);
            let free = probe.request(&Draft::allocate()).error_code().is_none();
            if free {
                probe.refresh(Some(0)).assert_success();
            }
            free
        });
    });
}

#[test]
fn one_allocation_too_many_for_an_address_gets_486() {
    let config = TestConfig::standard().set("limits.allocations_per_ip", 2);
    let Some(server) = Server::requires_own_server(config) else {
        return;
    };
    let open = |source: &str| {
        let source = source.parse().unwrap();
        let client = Client::udp_from(source, server.address(Transport::Udp));
        Session::start(client, server.alice(), Scheme::Sha1)
    };
    let mut here = [
        open("127.0.0.5:0"),
        open("127.0.0.5:0"),
        open("127.0.0.5:0"),
    ];
    here[0].allocate();
    here[1].allocate();
    here[2].request(&Draft::allocate()).assert_error(486);
    open("127.0.0.6:0").allocate();
    here[0].refresh(Some(0)).assert_success();
    here[2].allocate();
}

#[test]
fn one_allocation_too_many_for_the_server_is_refused() {
    let config = TestConfig::standard().set("limits.allocations", 2);
    let Some(server) = Server::requires_own_server(config) else {
        return;
    };
    over_each_transport(&server, |transport| {
        let mut first = Session::allocated(&server, transport);
        let mut second = Session::allocated(&server, transport);
        let mut third = Session::open(&server, transport);
        let answer = third.request(&Draft::allocate());
        assert!(matches!(answer.error_code(), Some(486 | 508)), "{answer:?}");
        first.refresh(Some(0)).assert_success();
        second.refresh(Some(0)).assert_success();
        third.allocate();
        third.refresh(Some(0)).assert_success();
    });
}
