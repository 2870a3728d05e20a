//! STUN (RFC 8489) and the TURN framing around it (RFC 8656): bytes to values
//! and back.
//!
//! A codec: no state, no socket, no clock. Reading is a checked view over the
//! receive buffer ([`Message`]) that neither copies nor allocates and cannot
//! panic, whatever the bytes; writing appends to a buffer of the caller
//! ([`Builder`]). Read `message.rs` first, then `builder.rs`.
//!
//! ```
//! use turnstone::stun::{AttributeType, Builder, Class, Message, Method, TransactionId};
//!
//! let client = "192.0.2.1:32853".parse()?;
//! let mut out = Vec::new();
//! Builder::new(&mut out, Class::SuccessResponse, Method::BINDING, TransactionId::new([7; 12]))
//!     .xor_address(AttributeType::XOR_MAPPED_ADDRESS, client);
//!
//! let message = Message::parse(&out)?;
//! assert_eq!(message.xor_address(AttributeType::XOR_MAPPED_ADDRESS), Some(client));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod channel_data;
pub mod framing;
pub mod nonce_cookie;

mod attribute;
mod builder;
mod error_code;
mod header;
mod integrity;
mod message;

pub use attribute::AttributeType;
pub use builder::Builder;
pub use channel_data::ChannelNumber;
pub use error_code::ErrorCode;
pub use framing::FramingError;
pub use header::{Class, Dialect, HEADER_LEN, MAGIC_COOKIE, Method, TransactionId};
pub use integrity::{IntegrityAlgorithm, LongTermKey, PasswordAlgorithm, long_term_key, user_hash};
pub use message::{Attributes, Fingerprint, Message, ParseError};
pub use nonce_cookie::SecurityFeatures;
