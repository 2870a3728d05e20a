//! The PeerJS server protocol as a state machine: peers with ids of their own
//! choice, and messages from one to another.
//!
//! It has no socket, clock or random source: a driver feeds it connections and
//! messages with the time they came at, carries out its outputs, and calls it
//! when a timer is due. Start at `broker.rs`; `docs/peerjs.md` says what of the
//! protocol is there.

mod allowance;
mod broker;
mod counters;
pub mod limits;
mod mailboxes;
mod message;
mod output;
mod peer_id;
mod url;

#[cfg(test)]
mod tests;

pub use broker::{Access, Broker, Options};
pub use counters::Counters;
pub use message::{Kind, Malformed, Request, parse};
pub use output::{CloseCode, ConnectionId, Output};
pub use peer_id::is_peer_id;
pub use url::{DEFAULT_KEY, Params, Route, route};
