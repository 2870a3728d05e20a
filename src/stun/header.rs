//! The twenty bytes every STUN message starts with (RFC 8489 section 5).
//!
//! Owns the words of the header: class, method, transaction id and dialect.
//! `message.rs` reads them from a buffer and `builder.rs` writes them.

use std::fmt;

/// Length of the STUN header in bytes.
pub const HEADER_LEN: usize = 20;

/// Bytes 4 to 7 of every message since RFC 5389 (RFC 8489 section 5).
pub const MAGIC_COOKIE: u32 = 0x2112_A442;

/// What kind of message it is.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Class {
    /// Wants a response.
    Request,
    /// Is never answered.
    Indication,
    /// Answers a request that succeeded.
    SuccessResponse,
    /// Answers a request that failed; carries ERROR-CODE.
    ErrorResponse,
}

/// What the message is about; 12 bits, the upper four are not encoded.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Method(pub u16);

impl Method {
    /// Binding (RFC 8489).
    pub const BINDING: Self = Self(0x001);
    /// Allocate (RFC 8656).
    pub const ALLOCATE: Self = Self(0x003);
    /// Refresh (RFC 8656).
    pub const REFRESH: Self = Self(0x004);
    /// Send, an indication from the client (RFC 8656).
    pub const SEND: Self = Self(0x006);
    /// Data, an indication from the server (RFC 8656).
    pub const DATA: Self = Self(0x007);
    /// CreatePermission (RFC 8656).
    pub const CREATE_PERMISSION: Self = Self(0x008);
    /// ChannelBind (RFC 8656).
    pub const CHANNEL_BIND: Self = Self(0x009);
    /// Connect (RFC 6062).
    pub const CONNECT: Self = Self(0x00A);
    /// ConnectionBind (RFC 6062).
    pub const CONNECTION_BIND: Self = Self(0x00B);
    /// ConnectionAttempt, an indication from the server (RFC 6062).
    pub const CONNECTION_ATTEMPT: Self = Self(0x00C);
}

/// Which standard the sender follows, told by the magic cookie.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Dialect {
    /// RFC 5389 and RFC 8489: the cookie is there.
    Rfc8489,
    /// RFC 3489: the cookie's place belongs to the transaction id. Such a client
    /// knows no XOR-MAPPED-ADDRESS, no FINGERPRINT and no TURN.
    Rfc3489,
}

/// Bytes 4 to 19 of the header: the cookie (or what an RFC 3489 client has in
/// its place) and the 96 bits that pair a response with its request.
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct TransactionId([u8; 16]);

impl TransactionId {
    /// Makes the id of a message with the magic cookie from its 96 bits.
    #[must_use]
    pub const fn new(id: [u8; 12]) -> Self {
        let mut bytes = [0; 16];
        let cookie = MAGIC_COOKIE.to_be_bytes();
        let mut at = 0;
        while at < 16 {
            bytes[at] = if at < 4 { cookie[at] } else { id[at - 4] };
            at += 1;
        }
        Self(bytes)
    }

    /// Takes over bytes 4 to 19 of a header as they are.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// Returns bytes 4 to 19 of the header: what the XOR-ed addresses are
    /// XOR-ed with (RFC 8489 section 14.2).
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// Returns the dialect that this id belongs to.
    #[must_use]
    pub fn dialect(&self) -> Dialect {
        if self.0[..4] == MAGIC_COOKIE.to_be_bytes() {
            Dialect::Rfc8489
        } else {
            Dialect::Rfc3489
        }
    }
}

impl fmt::Debug for TransactionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Splits a message type into its interleaved bits (RFC 8489 figure 3).
pub(super) const fn decode_type(bits: u16) -> (Class, Method) {
    let class = match (bits & 0x0100 != 0, bits & 0x0010 != 0) {
        (false, false) => Class::Request,
        (false, true) => Class::Indication,
        (true, false) => Class::SuccessResponse,
        (true, true) => Class::ErrorResponse,
    };
    let method = (bits & 0x000F) | ((bits & 0x00E0) >> 1) | ((bits & 0x3E00) >> 2);
    (class, Method(method))
}

/// Interleaves class and method; the inverse of [`decode_type`].
pub(super) const fn encode_type(class: Class, method: Method) -> u16 {
    let class = match class {
        Class::Request => 0x0000,
        Class::Indication => 0x0010,
        Class::SuccessResponse => 0x0100,
        Class::ErrorResponse => 0x0110,
    };
    let method = method.0;
    class | (method & 0x000F) | ((method & 0x0070) << 1) | ((method & 0x0F80) << 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_survives_the_way_through_class_and_method() {
        for bits in 0..0x4000 {
            let (class, method) = decode_type(bits);
            assert_eq!(encode_type(class, method), bits);
            assert!(method.0 < 0x1000);
        }
    }

    #[test]
    fn known_types_have_the_values_of_the_standards() {
        assert_eq!(encode_type(Class::Request, Method::BINDING), 0x0001);
        assert_eq!(encode_type(Class::ErrorResponse, Method::ALLOCATE), 0x0113);
        assert_eq!(encode_type(Class::Indication, Method::DATA), 0x0017);
        assert_eq!(
            encode_type(Class::SuccessResponse, Method::CONNECTION_BIND),
            0x010B
        );
    }

    #[test]
    fn a_transaction_id_knows_its_dialect() {
        let id = TransactionId::new([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
        assert_eq!(id.dialect(), Dialect::Rfc8489);
        assert_eq!(format!("{id:?}"), "2112a4420102030405060708090a0b0c");
        let old = TransactionId::from_bytes([9; 16]);
        assert_eq!(old.dialect(), Dialect::Rfc3489);
    }
}
