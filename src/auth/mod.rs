//! Who may use the relay and who may enter rooms.
//!
//! A core without state that changes: a [`Directory`] and the keys of [`Tokens`]
//! are built from the configuration, shared by all threads, and replaced as a
//! whole on a reload. The directory judges the credentials of a TURN message;
//! nonces, expiry and quotas belong to the `turn` core. Read `directory.rs`
//! first, then `rest.rs` and `session.rs`; for rooms, `token.rs`.

mod claims;
mod directory;
mod identity;
mod issue;
mod rest;
mod session;
mod token;
mod token_key;

pub use claims::{ANY_ROOM, Claims, Grants, MAX_IDENTITY_LEN, MAX_NAME_LEN, is_room_name};
pub use directory::{AuthError, Credential, Directory, Options, PASSWORD_ALGORITHMS, User};
pub use identity::Identity;
pub use issue::{Credentials, issue};
pub use session::{SessionAccess, SessionCredentials, Sessions};
pub use token::{LEEWAY, MAX_TOKEN_LEN, TokenError, Tokens};
pub use token_key::{TokenKey, TokenKeyError};
