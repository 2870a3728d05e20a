//! RFC 6062 section 5.1: the Allocate request for a TCP relay.

use std::net::TcpListener;

use crate::data_connection::{allocate_tcp, allocated};
use crate::support::config::TestConfig;
use crate::support::server::Server;
use crate::support::session::Session;
use crate::support::wire::{Draft, IPV6, attribute};
use crate::support::{Transport, over_each_stream, over_each_transport, wait_until};

#[test]
fn a_tcp_relay_is_granted_over_streams() {
    let Some(server) = Server::with_tcp_relay() else {
        return;
    };
    over_each_stream(&server, |transport| {
        let mut session = Session::open(&server, transport);
        let answer = session.allocate_with(allocate_tcp());
        assert!(session.relayed().is_ipv4());
        assert_eq!(answer.lifetime(), 600);
        let mapped = answer.address(attribute::XOR_MAPPED_ADDRESS);
        assert_eq!(mapped, session.client.local());
        assert!(!answer.has(attribute::RESERVATION_TOKEN), "{answer:?}");
    });
}

#[test]
fn an_ipv6_tcp_relay_is_granted() {
    let Some(server) = Server::with_tcp_relay() else {
        return;
    };
    over_each_stream(&server, |transport| {
        let mut session = Session::open(&server, transport);
        let request = allocate_tcp().family(attribute::REQUESTED_ADDRESS_FAMILY, IPV6);
        session.allocate_with(request);
        assert!(session.relayed().is_ipv6());
    });
}

#[test]
fn over_udp_a_tcp_relay_gets_400() {
    let Some(server) = Server::with_tcp_relay() else {
        return;
    };
    let mut session = Session::open(&server, Transport::Udp);
    session.request(&allocate_tcp()).assert_error(400);
}

#[test]
fn attributes_of_udp_relays_get_400() {
    let Some(server) = Server::with_tcp_relay() else {
        return;
    };
    over_each_stream(&server, |transport| {
        let mut session = Session::open(&server, transport);
        for request in [
            allocate_tcp().with(attribute::DONT_FRAGMENT, b""),
            allocate_tcp().with(attribute::EVEN_PORT, &[0]),
            allocate_tcp().with(attribute::EVEN_PORT, &[0x80]),
            allocate_tcp().with(attribute::RESERVATION_TOKEN, b"no token"),
        ] {
            session.request(&request).assert_error(400);
        }
        session.allocate_with(allocate_tcp());
    });
}

#[test]
fn a_second_allocation_gets_437() {
    let Some(server) = Server::with_tcp_relay() else {
        return;
    };
    over_each_stream(&server, |transport| {
        let mut session = allocated(&server, transport);
        session.request(&allocate_tcp()).assert_error(437);
        session.request(&Draft::allocate()).assert_error(437);
    });
}

#[test]
fn udp_relays_are_still_granted() {
    let Some(server) = Server::with_tcp_relay() else {
        return;
    };
    over_each_transport(&server, |transport| {
        Session::open(&server, transport).allocate();
    });
}

#[test]
fn a_refresh_of_zero_ends_it_and_frees_the_port() {
    let Some(server) = Server::with_tcp_relay() else {
        return;
    };
    over_each_stream(&server, |transport| {
        let mut session = allocated(&server, transport);
        let relayed = session.relayed();
        session.refresh(None).assert_success();
        session.refresh(Some(0)).assert_success();
        wait_until("nobody listens on the relayed address", || {
            TcpListener::bind(relayed).is_ok()
        });
    });
}

#[test]
fn without_the_switch_a_tcp_relay_gets_442() {
    let Some(server) = Server::requires_own_server(TestConfig::standard()) else {
        return;
    };
    over_each_transport(&server, |transport| {
        let mut session = Session::open(&server, transport);
        session.request(&allocate_tcp()).assert_error(442);
    });
}
