//! The rooms under virtual time, driven as a driver would.

mod greeting;
mod invariants;
mod joining;
mod moderating;
mod relaying;
mod resuming;
mod schema;
mod sim;
mod waiting;
