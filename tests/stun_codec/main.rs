//! The STUN codec against the samples of the standards, against a codec that is
//! not ours, and against whatever proptest thinks of.

#![expect(clippy::unwrap_used, reason = "a failed step is a failed test")]

mod properties;
mod second_opinion;
mod standards;
