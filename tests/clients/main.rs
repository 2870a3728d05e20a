//! Clients that are not ours against the server, on loopback.
//!
//! Debian's coturn brings `turnutils_uclient`, `turnutils_stunclient` and the echo
//! peer `turnutils_peer`; the `turn` crate brings its client. Browsers are in
//! `browser.rs`.

#![expect(clippy::panic, reason = "a helper that panics is a failed test")]

#[allow(
    dead_code,
    clippy::panic,
    reason = "shared by all whole-program tests, each of which uses a part"
)]
#[path = "../support/mod.rs"]
mod support;

mod echo_peer;
mod stunclient;
mod turn_crate;
mod uclient;
