//! The driver of `turn`: one thread per worker, one readiness loop each.
//!
//! A worker owns its front sockets, the relay sockets of its allocations, its
//! TCP and TLS clients and one `turn::Server`; workers share nothing on the data
//! path but byte rings between each two. Read `event_loop.rs` first.

mod client_streams;
mod command;
mod egress;
mod event_loop;
mod outbox;
mod peer_stream;
mod peer_streams;
mod relay_socket;
mod shared_ledger;
mod sibling;
mod source;
mod stream;

pub use command::{Command, DriverCounters, NewClient, Report, WorkerHandle};
pub use event_loop::{Options, Prepared, Worker};
pub use shared_ledger::SharedLedger;
