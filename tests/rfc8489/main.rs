//! Conformance with RFC 8489 (STUN), one module per section.
//!
//! The tests judge by the text of the RFC, and by what this project promises
//! beyond it (`answer_sizes`). They run our binary, or any server named in
//! `TURNSTONE_TEST_SERVER`; see `tests/support/server.rs`.

#[allow(
    dead_code,
    clippy::panic,
    reason = "shared by all whole-program tests, each of which uses a part"
)]
#[path = "../support/mod.rs"]
mod support;

mod answer_sizes;
mod section_11_classic_stun;
mod section_14_attributes;
mod section_5_header;
mod section_6_2_2_streams;
mod section_6_2_3_tls;
mod section_6_3_processing;
mod section_7_fingerprint;
mod section_9_2_algorithms;
mod section_9_2_long_term;
