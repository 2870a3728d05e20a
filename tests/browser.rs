//! Browsers that talk to themselves through the server, on loopback.
//!
//! Both ends are in one page and may use relayed candidates only. A data channel
//! and fake video must arrive, and both ends must use the transport that the URL
//! names.

#[allow(
    dead_code,
    clippy::panic,
    reason = "shared by all whole-program tests, each of which uses a part"
)]
#[path = "support/mod.rs"]
mod support;

use support::Transport;
use support::browser::{Browser, connect_in_one_page, rtc_configuration};
use support::config::TestConfig;
use support::server::Server;

#[test]
fn chromium_over_udp() {
    connects(Browser::Chromium, Transport::Udp);
}

#[test]
fn chromium_over_tcp() {
    connects(Browser::Chromium, Transport::Tcp);
}

#[test]
fn chromium_over_tls() {
    connects(Browser::Chromium, Transport::Tls);
}

#[test]
fn firefox_over_udp() {
    connects(Browser::Firefox, Transport::Udp);
}

#[test]
fn firefox_over_tcp() {
    connects(Browser::Firefox, Transport::Tcp);
}

#[track_caller]
fn connects(browser: Browser, transport: Transport) {
    let server = Server::start(TestConfig::standard());
    let (scheme, protocol, relay_protocol) = match transport {
        Transport::Udp => ("turn", "udp", "udp"),
        Transport::Tcp => ("turn", "tcp", "tcp"),
        Transport::Tls => ("turns", "tcp", "tls"),
    };
    let url = format!(
        "{scheme}:{}?transport={protocol}",
        server.address(transport)
    );
    let rtc = rtc_configuration("relay", &[url], &server.alice());
    for end in connect_in_one_page(browser, &rtc) {
        end.assert_media_arrived();
        // Both ends are relays, so the pair is relay to relay. The other end may still be called
        // peer reflexive where its check came before its candidate.
        assert_eq!(end.local_type, "relay", "{end:?}");
        assert_eq!(end.relay_protocol, relay_protocol, "{end:?}");
        assert!(
            ["relay", "prflx"].contains(&end.remote_type.as_str()),
            "{end:?}"
        );
    }
}
