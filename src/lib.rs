//! turnstone: a TURN relay, a signaling endpoint and an SFU in one process.
//!
//! Modules are layered, and calls go down only; `tests/architecture.rs` holds
//! the table. See `docs/architecture.md` for the way of a packet through them.

pub mod app;
pub mod auth;
pub mod cli;
pub mod clock;
pub mod config;
pub mod net;
pub mod observability;
pub mod peerjs;
pub mod redact;
pub mod room;
pub mod secret;
pub mod service;
pub mod signaling;
pub mod stun;
pub mod turn;
pub mod unix_time;
pub mod web;
pub mod worker;
