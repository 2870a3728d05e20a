//! The TURN server (RFC 8656, RFC 6062) as a state machine.
//!
//! It has no socket, clock or random source: a driver feeds it datagrams with
//! the time they came at, carries out its outputs, and calls it when a timer is
//! due. Start at `server.rs`; `relaying.rs` is the way of application data,
//! `request.rs` the way of a request to the file of its method.

mod allocate;
mod allocation;
mod bandwidth;
mod binding;
mod budget;
mod channel_bind;
mod connect;
mod connection_bind;
mod counters;
mod create_permission;
mod data;
mod deadlines;
mod five_tuple;
mod icmp;
mod ledger;
mod nonce;
mod options;
pub mod peer_policy;
mod quota;
mod refresh;
mod refusal;
mod relay_ports;
mod relaying;
mod request;
mod send;
mod server;
mod tcp_relay;
mod verdict;

#[cfg(test)]
mod tests;

pub use bandwidth::Bucket;
pub use budget::BudgetOptions;
pub use counters::{Counters, DropReason, Traffic};
pub use five_tuple::{ClientPath, Family, FiveTuple, LinkId, RelayId, Transport};
pub use icmp::IcmpError;
pub use ledger::{Books, Ledger, Reservation, ReservationToken};
pub use nonce::NonceKey;
pub use options::{Options, RelayAddress};
pub use peer_policy::PeerPolicy;
pub use quota::{QuotaLimits, QuotaReached, QuotaTable};
pub use refusal::Alternate;
pub use relay_ports::{RelayKind, RelayPort, RelayPorts};
pub use server::{Server, Shared};
pub use tcp_relay::ConnectionId;
pub use verdict::{Header, MAX_HEADER_LEN, Output, Verdict};
