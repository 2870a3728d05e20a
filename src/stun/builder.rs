//! Writes a STUN message into a buffer of the caller.
//!
//! After each call the buffer holds a whole message with the right length
//! field, so there is no "finish" to forget. The buffer keeps its capacity: a
//! caller that reuses it does not allocate.

use std::net::SocketAddr;

use super::attribute::{ATTRIBUTE_HEADER_LEN, AttributeType, encode_address};
use super::channel_data::ChannelNumber;
use super::error_code::{ErrorCode, MAX_REASON_LEN, encode_error_code};
use super::header::{Class, HEADER_LEN, Method, TransactionId, encode_type};
use super::integrity::{IntegrityAlgorithm, PasswordAlgorithm, fingerprint};

/// Builds one message, attribute by attribute, in the order of the calls.
///
/// A message holds at most 65,532 bytes of attributes. One that does not fit any
/// more is left out and [`Builder::is_complete`] tells; only DATA can get there.
#[derive(Debug)]
pub struct Builder<'b> {
    out: &'b mut Vec<u8>,
    transaction: TransactionId,
    is_complete: bool,
}

impl<'b> Builder<'b> {
    /// Clears `out` and writes a header without attributes.
    ///
    /// An answer takes the transaction id of its request, cookie or not.
    pub fn new(
        out: &'b mut Vec<u8>,
        class: Class,
        method: Method,
        transaction: TransactionId,
    ) -> Self {
        out.clear();
        out.extend_from_slice(&encode_type(class, method).to_be_bytes());
        out.extend_from_slice(&[0, 0]);
        out.extend_from_slice(transaction.as_bytes());
        Self {
            out,
            transaction,
            is_complete: true,
        }
    }

    /// Says whether every attribute so far found its place.
    #[must_use]
    pub const fn is_complete(&self) -> bool {
        self.is_complete
    }

    /// Appends an attribute of any kind.
    pub fn attribute(&mut self, kind: AttributeType, value: &[u8]) -> &mut Self {
        self.append(kind, &[value])
    }

    /// Appends an attribute without a value.
    pub fn flag(&mut self, kind: AttributeType) -> &mut Self {
        self.append(kind, &[])
    }

    /// Appends a number of four bytes.
    pub fn u32(&mut self, kind: AttributeType, value: u32) -> &mut Self {
        self.append(kind, &[&value.to_be_bytes()])
    }

    /// Appends an address XOR-ed with cookie and transaction id (RFC 8489
    /// section 14.2).
    pub fn xor_address(&mut self, kind: AttributeType, address: SocketAddr) -> &mut Self {
        let (value, len) = encode_address(address, Some(&self.transaction));
        self.append(kind, &[&value[..len]])
    }

    /// Appends an address in plain form (RFC 8489 section 14.1).
    pub fn address(&mut self, kind: AttributeType, address: SocketAddr) -> &mut Self {
        let (value, len) = encode_address(address, None);
        self.append(kind, &[&value[..len]])
    }

    /// Appends CHANNEL-NUMBER (RFC 8656 section 18.1).
    pub fn channel_number(&mut self, number: ChannelNumber) -> &mut Self {
        self.u32(AttributeType::CHANNEL_NUMBER, u32::from(number.get()) << 16)
    }

    /// Appends ERROR-CODE. The reason may be empty, which makes the attribute 8
    /// bytes long; it is cut at 763 bytes.
    pub fn error_code(&mut self, code: ErrorCode, reason: &str) -> &mut Self {
        let mut end = reason.len().min(MAX_REASON_LEN);
        while !reason.is_char_boundary(end) {
            end -= 1;
        }
        let value: [&[u8]; 2] = [&encode_error_code(code), &reason.as_bytes()[..end]];
        self.append(AttributeType::ERROR_CODE, &value)
    }

    /// Appends UNKNOWN-ATTRIBUTES (RFC 8489 section 14.9).
    pub fn unknown_attributes(&mut self, kinds: &[AttributeType]) -> &mut Self {
        let kinds = kinds.iter().map(|kind| kind.0.to_be_bytes());
        self.append_list(AttributeType::UNKNOWN_ATTRIBUTES, kinds)
    }

    /// Appends PASSWORD-ALGORITHMS, most preferred first (RFC 8489 section
    /// 14.11).
    pub fn password_algorithms(&mut self, algorithms: &[PasswordAlgorithm]) -> &mut Self {
        let entries = algorithms.iter().map(|algorithm| algorithm.encode());
        self.append_list(AttributeType::PASSWORD_ALGORITHMS, entries)
    }

    /// Appends PASSWORD-ALGORITHM, the choice of a client (RFC 8489 section
    /// 14.12).
    pub fn password_algorithm(&mut self, algorithm: PasswordAlgorithm) -> &mut Self {
        self.append(AttributeType::PASSWORD_ALGORITHM, &[&algorithm.encode()])
    }

    /// Appends MESSAGE-INTEGRITY or MESSAGE-INTEGRITY-SHA256, in full length,
    /// over everything so far. When both are wanted, SHA-1 comes first.
    pub fn integrity(&mut self, algorithm: IntegrityAlgorithm, key: &[u8]) -> &mut Self {
        let value_len = match algorithm {
            IntegrityAlgorithm::Sha1 => 20,
            IntegrityAlgorithm::Sha256 => 32,
        };
        let tag = algorithm.compute(key, self.out, value_len);
        self.append(algorithm.attribute(), &[tag.as_ref()])
    }

    /// Appends FINGERPRINT; nothing may come after it.
    pub fn fingerprint(&mut self) -> &mut Self {
        // The CRC covers the length field as it is once the attribute is there.
        let at = self.out.len();
        self.append(AttributeType::FINGERPRINT, &[&[0; 4]]);
        if let Some((covered, attribute)) = self.out.split_at_mut_checked(at)
            && let Some(value) = attribute.get_mut(ATTRIBUTE_HEADER_LEN..)
        {
            value.copy_from_slice(&fingerprint(covered));
        }
        self
    }

    fn append_list<const N: usize>(
        &mut self,
        kind: AttributeType,
        entries: impl ExactSizeIterator<Item = [u8; N]>,
    ) -> &mut Self {
        let Some(end) = self.begin(kind, entries.len() * N) else {
            return self;
        };
        entries.for_each(|entry| self.out.extend_from_slice(&entry));
        self.end(end)
    }

    fn append(&mut self, kind: AttributeType, value: &[&[u8]]) -> &mut Self {
        let len = value.iter().map(|part| part.len()).sum();
        let Some(end) = self.begin(kind, len) else {
            return self;
        };
        value
            .iter()
            .for_each(|part| self.out.extend_from_slice(part));
        self.end(end)
    }

    /// Writes an attribute's type and length and returns where it will end,
    /// padding included; `None` when there is no room for it.
    fn begin(&mut self, kind: AttributeType, len: usize) -> Option<usize> {
        let end = self.out.len() + ATTRIBUTE_HEADER_LEN + len.next_multiple_of(4);
        let (Ok(len), true) = (u16::try_from(len), end - HEADER_LEN <= MAX_ATTRIBUTES_LEN) else {
            self.is_complete = false;
            return None;
        };
        self.out.extend_from_slice(&kind.0.to_be_bytes());
        self.out.extend_from_slice(&len.to_be_bytes());
        Some(end)
    }

    fn end(&mut self, end: usize) -> &mut Self {
        self.out.resize(end, 0);
        let length = u16::try_from(end - HEADER_LEN).expect("checked in begin");
        self.out[2..4].copy_from_slice(&length.to_be_bytes());
        self
    }
}

/// The highest multiple of four that the length field can hold.
const MAX_ATTRIBUTES_LEN: usize = 0xFFFC;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stun::{Fingerprint, Message};

    const ID: TransactionId = TransactionId::new([7; 12]);

    #[test]
    fn the_message_is_whole_after_each_call() {
        let mut out = vec![1, 2, 3];
        let mut builder = Builder::new(&mut out, Class::Request, Method::ALLOCATE, ID);
        builder.attribute(AttributeType::SOFTWARE, b"abcde");
        builder.flag(AttributeType::DONT_FRAGMENT);
        assert!(Message::parse(builder.out).is_ok());
        builder.integrity(IntegrityAlgorithm::Sha1, b"key");
        assert!(Message::parse(builder.out).is_ok());
        builder.fingerprint();
        assert!(Message::parse(builder.out).is_ok());
        assert!(builder.is_complete());
    }

    #[test]
    fn padding_is_zero_even_in_a_used_buffer() {
        let mut out = vec![0xFF; 64];
        Builder::new(&mut out, Class::Request, Method::BINDING, ID)
            .attribute(AttributeType::SOFTWARE, b"abcde");
        assert_eq!(out[20..], *b"\x80\x22\x00\x05abcde\0\0\0");
    }

    #[test]
    fn an_error_without_a_reason_takes_28_bytes() {
        let mut out = Vec::new();
        Builder::new(&mut out, Class::ErrorResponse, Method::BINDING, ID)
            .error_code(ErrorCode::BadRequest, "");
        assert_eq!(out.len(), 28);
        assert_eq!(Message::parse(&out).unwrap().error_code(), Some((400, "")));
    }

    #[test]
    fn a_reason_is_cut_between_characters() {
        let mut out = Vec::new();
        let reason = "\u{e9}".repeat(400);
        Builder::new(&mut out, Class::ErrorResponse, Method::BINDING, ID)
            .error_code(ErrorCode::ServerError, &reason);
        let message = Message::parse(&out).unwrap();
        assert_eq!(message.error_code(), Some((500, &reason[..762])));
    }

    #[test]
    fn what_does_not_fit_is_left_out_and_told() {
        let mut out = Vec::new();
        let mut builder = Builder::new(&mut out, Class::Indication, Method::DATA, ID);
        builder.attribute(AttributeType::DATA, &vec![1; 65_528]);
        assert!(builder.is_complete());
        builder.flag(AttributeType::DONT_FRAGMENT).fingerprint();
        builder.integrity(IntegrityAlgorithm::Sha256, b"key");
        assert!(!builder.is_complete());
        let message = Message::parse(&out).unwrap();
        assert_eq!(message.attributes().count(), 1);
        assert_eq!(message.fingerprint(), Fingerprint::Absent);
        let mut builder = Builder::new(&mut out, Class::Indication, Method::DATA, ID);
        builder.attribute(AttributeType::DATA, &vec![1; 70_000]);
        assert!(!builder.is_complete());
        assert_eq!(out.len(), HEADER_LEN);
    }
}
