//! The configuration and the commands that work on it.

#![expect(
    clippy::unwrap_used,
    reason = "what a test cannot set up is a failed test"
)]

mod commands;
mod messages;
mod properties;
mod samples;
mod support;
mod tokens;
