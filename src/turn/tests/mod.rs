//! The server under virtual time, driven as a driver would.

mod allocating;
mod invariants;
mod lossy_wire;
mod relaying;
mod sessions;
mod sim;
mod strangers;
mod tcp;
