//! One-to-one calls of the room app between browser processes, on loopback.

#[allow(
    dead_code,
    clippy::panic,
    reason = "shared by all whole-program tests, each of which uses a part"
)]
#[path = "support/mod.rs"]
mod support;

use std::process::Command;

use support::Transport;
use support::browser::{Browser, PersonReport, meet, node};
use support::config::TestConfig;
use support::server::Server;

#[test]
fn firefox_with_firefox() {
    call(Browser::Firefox, Browser::Firefox);
}

#[test]
fn firefox_with_chromium() {
    call(Browser::Firefox, Browser::Chromium);
}

#[track_caller]
fn call(first: Browser, second: Browser) {
    let server = Server::start(TestConfig::standard().set("signaling.guests", true));
    let url = format!("https://{}/r/interview", server.address(Transport::Tls));
    let [mut ann, mut ben] = [node(), node()].map(Command::new);
    let people = meet([(&mut ann, first), (&mut ben, second)], &url);
    people.iter().for_each(PersonReport::assert_media_arrived);
}
