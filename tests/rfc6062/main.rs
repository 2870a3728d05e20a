//! Conformance with RFC 6062 (TURN for TCP allocations), one module per section.
//!
//! The tests judge by the text of the RFC. They run our binary with
//! `turn.tcp_relay`, or any server named in `TURNSTONE_TEST_SERVER`; see
//! `tests/support/server.rs`.

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

mod back_pressure;
mod data_connection;
mod section_5_1_allocate;
mod section_5_2_connect;
mod section_5_3_attempt;
mod section_5_4_connection_bind;
mod section_5_5_maintenance;
