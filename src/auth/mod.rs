//! Who may use the relay: static users and REST credentials.
//!
//! A core without state that changes: a [`Directory`] is built from the
//! configuration, shared by all workers, and replaced as a whole on a reload. It
//! judges the credentials of a message; nonces, expiry and quotas belong to the
//! `turn` core. Read `directory.rs` first, then `rest.rs`.

mod directory;
mod identity;
mod issue;
mod rest;

pub use directory::{AuthError, Credential, Directory, Options, PASSWORD_ALGORITHMS, User};
pub use identity::Identity;
pub use issue::{Credentials, issue};
