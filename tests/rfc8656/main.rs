//! Conformance with RFC 8656 (TURN), one module per section or part of one.
//!
//! The tests judge by the text of the RFC, and by what this project promises
//! beyond it (`peer_policy`, `own_relays`). They run our binary, or any server
//! named in `TURNSTONE_TEST_SERVER`; see `tests/support/server.rs`.

#![expect(
    clippy::unwrap_used,
    reason = "a failed step of a helper is a failed test"
)]

#[allow(
    dead_code,
    clippy::panic,
    reason = "shared by all whole-program tests, each of which uses a part"
)]
#[path = "../support/mod.rs"]
mod support;

mod own_relays;
mod peer_policy;
mod section_10_create_permission;
mod section_11_5_icmp;
mod section_11_send_and_data;
mod section_12_channel_bind;
mod section_12_channel_data;
mod section_13_mixed_families;
mod section_5_general;
mod section_7_address_families;
mod section_7_allocate;
mod section_7_even_port;
mod section_7_quota;
mod section_8_refresh;
mod section_9_permissions;
