//! The driver of `room` and `peerjs`: WebSockets, timers and the lock around each
//! core.
//!
//! [`Hub`] holds the core and carries out what it says; `socket.rs` runs one
//! WebSocket, `outbox.rs` keeps what waits for it. Decisions are the core's.
//! Read `hub.rs` first.

mod hub;
mod live;
mod outbox;
mod peerjs;
mod revocation;
mod socket;
#[cfg(test)]
mod test_client;
#[cfg(test)]
mod tests;
mod timer;

pub use hub::{Client, Hub, Options, Size};
pub use live::LiveSessions;
pub use peerjs::PeerJs;
