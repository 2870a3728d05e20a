//! HTTP: the pages, the browser client, the API, and the way to a WebSocket.
//!
//! [`Site`] owns the connections, `connection.rs` is the life of one, and
//! `routes.rs` says which file answers what. The limits are those of a server that
//! serves small files to strangers.

mod api;
mod assets;
mod connection;
mod credentials;
mod headers;
mod host;
mod pace;
mod redirect;
mod reply;
mod routes;
mod site;
mod upgrade;

pub use credentials::TurnAccess;
pub use site::{Door, Options, Site};
