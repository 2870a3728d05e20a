//! Rooms: who is in them, and what they say to each other.
//!
//! The core of the signaling protocol `turnstone.v1` (docs/protocol.md), without
//! sockets and clocks. [`parse`] reads a client's message, [`Rooms`] decides what
//! it does; `signaling` carries that out. Read `rooms.rs` first.

mod code;
mod event;
mod gone;
mod hello;
pub mod limits;
mod membership;
mod moderation;
mod rate;
mod relay;
mod request;
mod rooms;
mod sending;
mod session;
mod sound;
#[cfg(test)]
mod tests;
mod waiting;

pub use code::{CloseCode, ErrorCode};
pub use request::{
    Body, Candidates, Hello, Join, Kind, Mode, Refusal, Request, Resume, SignalKind, parse,
};
pub use rooms::{ConnectionId, Options, Output, Rooms, Verdict};
