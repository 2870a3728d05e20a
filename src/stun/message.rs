//! A STUN message as a checked view over the bytes it came in.
//!
//! [`Message::parse`] checks the frame once; every question after that is
//! answered from the bytes, without a copy. Attributes that nobody may look at
//! (those behind the integrity attributes) are not there for the caller at all.

use std::net::SocketAddr;

use super::attribute::{ATTRIBUTE_HEADER_LEN, AttributeType, parse_address};
use super::channel_data::ChannelNumber;
use super::error_code::parse_error_code;
use super::header::{Class, Dialect, HEADER_LEN, Method, TransactionId, decode_type};
use super::integrity::{IntegrityAlgorithm, PasswordAlgorithm, fingerprint};

/// Why bytes are not a STUN message.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ParseError {
    /// Fewer than [`HEADER_LEN`] bytes.
    #[error("{0} bytes are too few for a header")]
    Short(usize),
    /// The first two bits are not zero.
    #[error("no STUN message starts with {0:#04x}")]
    FirstByte(u8),
    /// The length field is not a multiple of four, or not the length there is.
    #[error("the header says {declared} bytes of attributes, there are {actual}")]
    Length {
        /// What the length field says.
        declared: usize,
        /// How many bytes follow the header.
        actual: usize,
    },
    /// An attribute reaches over the end of the message.
    #[error("attribute {kind} at byte {at} reaches over the end")]
    Attribute {
        /// The type of the attribute.
        kind: AttributeType,
        /// Where it starts, counted from the start of the message.
        at: usize,
    },
}

/// What FINGERPRINT says about a message.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Fingerprint {
    /// There is none.
    Absent,
    /// It is the last attribute and matches.
    Valid,
    /// It does not match, or is not the last attribute.
    Invalid,
}

/// A STUN message of either dialect.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    /// At least a header; every attribute ends within.
    bytes: &'a [u8],
}

impl<'a> Message<'a> {
    /// Checks that `bytes` are one whole STUN message and nothing else.
    ///
    /// # Errors
    ///
    /// When the first two bits are not zero, the length field does not match, or
    /// an attribute does not fit. Unknown types and wrong values are no error.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, ParseError> {
        let Some((header, body)) = bytes.split_first_chunk::<HEADER_LEN>() else {
            return Err(ParseError::Short(bytes.len()));
        };
        if header[0] & 0xC0 != 0 {
            return Err(ParseError::FirstByte(header[0]));
        }
        let declared = usize::from(u16::from_be_bytes([header[2], header[3]]));
        let actual = body.len();
        if declared != actual || !declared.is_multiple_of(4) {
            return Err(ParseError::Length { declared, actual });
        }
        let mut at = HEADER_LEN;
        while at < bytes.len() {
            let Some((attribute, next)) = Located::read(bytes, at) else {
                let kind = AttributeType(u16::from_be_bytes([bytes[at], bytes[at + 1]]));
                return Err(ParseError::Attribute { kind, at });
            };
            debug_assert_eq!(attribute.at, at);
            at = next;
        }
        Ok(Self { bytes })
    }

    /// Returns the whole message.
    #[must_use]
    pub const fn as_bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Returns whether it is a request, an indication or a response.
    #[must_use]
    pub fn class(&self) -> Class {
        decode_type(self.type_bits()).0
    }

    /// Returns the method, known or not.
    #[must_use]
    pub fn method(&self) -> Method {
        decode_type(self.type_bits()).1
    }

    /// Returns the transaction id, to be repeated in the answer.
    #[must_use]
    pub fn transaction_id(&self) -> TransactionId {
        let id = self.bytes[4..].first_chunk();
        TransactionId::from_bytes(*id.expect("a whole header is checked in parse"))
    }

    /// Returns which standard the sender follows.
    #[must_use]
    pub fn dialect(&self) -> Dialect {
        self.transaction_id().dialect()
    }

    /// Goes over type and value of each attribute in order.
    ///
    /// What follows MESSAGE-INTEGRITY is left out except
    /// MESSAGE-INTEGRITY-SHA256 and FINGERPRINT, what follows
    /// MESSAGE-INTEGRITY-SHA256 except FINGERPRINT (RFC 8489 section 9), and
    /// everything after FINGERPRINT.
    #[must_use]
    pub fn attributes(&self) -> Attributes<'a> {
        Attributes(self.located())
    }

    /// Returns the value of the first attribute of this type.
    #[must_use]
    pub fn attribute(&self, kind: AttributeType) -> Option<&'a [u8]> {
        self.find(kind).map(|attribute| attribute.value)
    }

    /// Returns the address in an XOR-ed address attribute; `None` when it is
    /// absent or malformed.
    #[must_use]
    pub fn xor_address(&self, kind: AttributeType) -> Option<SocketAddr> {
        parse_address(self.attribute(kind)?, Some(&self.transaction_id()))
    }

    /// Goes over every attribute of this type; a malformed one is `None`.
    pub fn xor_addresses(
        &self,
        kind: AttributeType,
    ) -> impl Iterator<Item = Option<SocketAddr>> + 'a {
        let transaction = self.transaction_id();
        self.attributes()
            .filter(move |(found, _)| *found == kind)
            .map(move |(_, value)| parse_address(value, Some(&transaction)))
    }

    /// Returns the address in a plain address attribute (MAPPED-ADDRESS,
    /// ALTERNATE-SERVER); `None` when it is absent or malformed.
    #[must_use]
    pub fn address(&self, kind: AttributeType) -> Option<SocketAddr> {
        parse_address(self.attribute(kind)?, None)
    }

    /// Returns the first byte of an attribute; `None` when it is absent or
    /// empty. How long the attribute has to be is not checked.
    #[must_use]
    pub fn u8_first(&self, kind: AttributeType) -> Option<u8> {
        self.attribute(kind)?.first().copied()
    }

    /// Returns a number of four bytes; `None` when it is absent or longer or
    /// shorter.
    #[must_use]
    pub fn u32(&self, kind: AttributeType) -> Option<u32> {
        let value = self.attribute(kind)?.try_into().ok()?;
        Some(u32::from_be_bytes(value))
    }

    /// Returns a number of eight bytes; `None` when it is absent or longer or
    /// shorter.
    #[must_use]
    pub fn u64(&self, kind: AttributeType) -> Option<u64> {
        let value = self.attribute(kind)?.try_into().ok()?;
        Some(u64::from_be_bytes(value))
    }

    /// Returns text; `None` when it is absent or not UTF-8.
    #[must_use]
    pub fn text(&self, kind: AttributeType) -> Option<&'a str> {
        std::str::from_utf8(self.attribute(kind)?).ok()
    }

    /// Returns CHANNEL-NUMBER; `None` when it is absent, malformed or not the
    /// number of a channel (RFC 8656 section 18.1).
    #[must_use]
    pub fn channel_number(&self) -> Option<ChannelNumber> {
        let value = self.u32(AttributeType::CHANNEL_NUMBER)?;
        // The lower half is reserved and ignored.
        ChannelNumber::new(u16::try_from(value >> 16).ok()?)
    }

    /// Goes over the types that must be understood and are not; a type may come
    /// more than once.
    pub fn unknown_required(
        &self,
        is_known: fn(AttributeType) -> bool,
    ) -> impl Iterator<Item = AttributeType> + 'a {
        self.attributes()
            .map(|(kind, _)| kind)
            .filter(move |kind| kind.is_comprehension_required() && !is_known(*kind))
    }

    /// Returns which integrity attribute to verify: the SHA-256 one when both
    /// are there. One with a value of a wrong length does not count.
    #[must_use]
    pub fn integrity(&self) -> Option<IntegrityAlgorithm> {
        [IntegrityAlgorithm::Sha256, IntegrityAlgorithm::Sha1]
            .into_iter()
            .find(|&algorithm| self.find_integrity(algorithm).is_some())
    }

    /// Says whether the integrity attribute of this kind is there and was made
    /// with `key`, in constant time for messages of one length.
    ///
    /// A truncated MESSAGE-INTEGRITY-SHA256 is taken; who must not take it looks
    /// at the length of the attribute.
    #[must_use]
    pub fn verify_integrity(&self, algorithm: IntegrityAlgorithm, key: &[u8]) -> bool {
        let Some(attribute) = self.find_integrity(algorithm) else {
            return false;
        };
        algorithm.verify(key, &self.bytes[..attribute.at], attribute.value)
    }

    /// Checks FINGERPRINT.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        let Some(attribute) = self.find(AttributeType::FINGERPRINT) else {
            return Fingerprint::Absent;
        };
        let is_last = attribute.at + ATTRIBUTE_HEADER_LEN + 4 == self.bytes.len();
        if is_last && attribute.value == fingerprint(&self.bytes[..attribute.at]) {
            Fingerprint::Valid
        } else {
            Fingerprint::Invalid
        }
    }

    /// Returns PASSWORD-ALGORITHM; `None` when it is absent, malformed or
    /// neither MD5 nor SHA-256.
    #[must_use]
    pub fn password_algorithm(&self) -> Option<PasswordAlgorithm> {
        PasswordAlgorithm::parse(self.attribute(AttributeType::PASSWORD_ALGORITHM)?)
    }

    /// Says whether PASSWORD-ALGORITHMS is there and lists just these, in this
    /// order and without parameters.
    #[must_use]
    pub fn has_password_algorithms(&self, algorithms: &[PasswordAlgorithm]) -> bool {
        let Some(value) = self.attribute(AttributeType::PASSWORD_ALGORITHMS) else {
            return false;
        };
        let (entries, rest) = value.as_chunks();
        let expected = algorithms.iter().map(|algorithm| algorithm.encode());
        rest.is_empty() && entries.iter().copied().eq(expected)
    }

    /// Returns code (300 to 699) and reason phrase of ERROR-CODE; `None` when it
    /// is absent or malformed.
    #[must_use]
    pub fn error_code(&self) -> Option<(u16, &'a str)> {
        parse_error_code(self.attribute(AttributeType::ERROR_CODE)?)
    }

    fn type_bits(&self) -> u16 {
        u16::from_be_bytes([self.bytes[0], self.bytes[1]])
    }

    fn located(&self) -> LocatedAttributes<'a> {
        LocatedAttributes {
            bytes: self.bytes,
            at: HEADER_LEN,
            visible: Visible::All,
        }
    }

    fn find(&self, kind: AttributeType) -> Option<Located<'a>> {
        self.located().find(|attribute| attribute.kind == kind)
    }

    fn find_integrity(&self, algorithm: IntegrityAlgorithm) -> Option<Located<'a>> {
        self.find(algorithm.attribute())
            .filter(|attribute| algorithm.is_len_valid(attribute.value.len()))
    }
}

/// The attributes of a message; see [`Message::attributes`].
#[derive(Clone, Debug)]
pub struct Attributes<'a>(LocatedAttributes<'a>);

impl<'a> Iterator for Attributes<'a> {
    type Item = (AttributeType, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let attribute = self.0.next()?;
        Some((attribute.kind, attribute.value))
    }
}

/// An attribute and where it starts in the message.
#[derive(Clone, Copy, Debug)]
struct Located<'a> {
    kind: AttributeType,
    at: usize,
    value: &'a [u8],
}

impl<'a> Located<'a> {
    /// Reads the attribute at `at` and returns it with the place of the next;
    /// `None` when it does not fit.
    fn read(bytes: &'a [u8], at: usize) -> Option<(Self, usize)> {
        let (&[kind_high, kind_low, len_high, len_low], rest) =
            bytes.get(at..)?.split_first_chunk()?;
        let kind = AttributeType(u16::from_be_bytes([kind_high, kind_low]));
        let len = usize::from(u16::from_be_bytes([len_high, len_low]));
        let value = rest.get(..len)?;
        // Padding fits when the value does: messages are a multiple of four long.
        let next = at + ATTRIBUTE_HEADER_LEN + len.next_multiple_of(4);
        Some((Self { kind, at, value }, next))
    }
}

#[derive(Clone, Debug)]
struct LocatedAttributes<'a> {
    bytes: &'a [u8],
    at: usize,
    visible: Visible,
}

/// Which attributes may still be looked at, by what came before.
#[derive(Clone, Copy, Debug)]
enum Visible {
    All,
    AfterSha1,
    AfterSha256,
    Nothing,
}

impl Visible {
    fn shows(self, kind: AttributeType) -> bool {
        match self {
            Self::All => true,
            Self::AfterSha1 => {
                kind == AttributeType::MESSAGE_INTEGRITY_SHA256
                    || kind == AttributeType::FINGERPRINT
            }
            Self::AfterSha256 => kind == AttributeType::FINGERPRINT,
            Self::Nothing => false,
        }
    }

    fn after(self, kind: AttributeType) -> Self {
        match kind {
            AttributeType::MESSAGE_INTEGRITY => Self::AfterSha1,
            AttributeType::MESSAGE_INTEGRITY_SHA256 => Self::AfterSha256,
            AttributeType::FINGERPRINT => Self::Nothing,
            _ => self,
        }
    }
}

impl<'a> Iterator for LocatedAttributes<'a> {
    type Item = Located<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let (attribute, next) = Located::read(self.bytes, self.at)?;
            self.at = next;
            if self.visible.shows(attribute.kind) {
                self.visible = self.visible.after(attribute.kind);
                return Some(attribute);
            }
            if matches!(self.visible, Visible::Nothing) {
                return None;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stun::{Builder, ErrorCode};

    const ID: TransactionId = TransactionId::new([3; 12]);
    const KEY: &[u8] = b"key";

    fn request(build: impl FnOnce(&mut Builder<'_>)) -> Vec<u8> {
        let mut out = Vec::new();
        build(&mut Builder::new(
            &mut out,
            Class::Request,
            Method::ALLOCATE,
            ID,
        ));
        out
    }

    fn kinds(bytes: &[u8]) -> Vec<AttributeType> {
        let message = Message::parse(bytes).unwrap();
        message.attributes().map(|(kind, _)| kind).collect()
    }

    #[test]
    fn a_frame_that_is_not_a_message_is_refused() {
        let good = request(|message| {
            message.attribute(AttributeType::SOFTWARE, b"abcd");
        });
        let refused = |change: fn(&mut Vec<u8>)| {
            let mut bytes = good.clone();
            change(&mut bytes);
            Message::parse(&bytes).err()
        };
        assert_eq!(refused(|_| ()), None);
        assert_eq!(refused(|b| b.truncate(19)), Some(ParseError::Short(19)));
        assert_eq!(refused(|b| b[0] = 0x40), Some(ParseError::FirstByte(0x40)));
        let (declared, actual) = (8, 9);
        assert_eq!(
            refused(|b| b.push(0)),
            Some(ParseError::Length { declared, actual })
        );
        let (declared, actual) = (7, 7);
        assert_eq!(
            refused(|b| {
                b.pop();
                b[3] = 7;
            }),
            Some(ParseError::Length { declared, actual })
        );
        let (kind, at) = (AttributeType::SOFTWARE, 20);
        assert_eq!(
            refused(|b| b[23] = 5),
            Some(ParseError::Attribute { kind, at })
        );
    }

    #[test]
    fn the_cookie_tells_the_dialect() {
        let mut bytes = request(|_| ());
        assert_eq!(Message::parse(&bytes).unwrap().dialect(), Dialect::Rfc8489);
        bytes[4] = 0;
        let message = Message::parse(&bytes).unwrap();
        assert_eq!(message.dialect(), Dialect::Rfc3489);
        assert_eq!(message.transaction_id().as_bytes(), &bytes[4..20]);
    }

    #[test]
    fn attributes_behind_the_integrity_are_not_seen() {
        let bytes = request(|message| {
            message
                .u32(AttributeType::LIFETIME, 1)
                .integrity(IntegrityAlgorithm::Sha1, KEY)
                .u32(AttributeType::LIFETIME, 2)
                .flag(AttributeType(0x7F00))
                .integrity(IntegrityAlgorithm::Sha256, KEY)
                .integrity(IntegrityAlgorithm::Sha1, KEY)
                .flag(AttributeType::DONT_FRAGMENT)
                .fingerprint()
                .flag(AttributeType::DONT_FRAGMENT)
                .integrity(IntegrityAlgorithm::Sha256, KEY);
        });
        assert_eq!(
            kinds(&bytes),
            [
                AttributeType::LIFETIME,
                AttributeType::MESSAGE_INTEGRITY,
                AttributeType::MESSAGE_INTEGRITY_SHA256,
                AttributeType::FINGERPRINT,
            ]
        );
        let message = Message::parse(&bytes).unwrap();
        assert_eq!(message.u32(AttributeType::LIFETIME), Some(1));
        assert_eq!(message.unknown_required(|_| false).count(), 3);
    }

    #[test]
    fn no_other_integrity_is_seen_behind_sha256() {
        let bytes = request(|message| {
            message
                .integrity(IntegrityAlgorithm::Sha256, KEY)
                .integrity(IntegrityAlgorithm::Sha1, KEY)
                .integrity(IntegrityAlgorithm::Sha256, KEY);
        });
        assert_eq!(kinds(&bytes), [AttributeType::MESSAGE_INTEGRITY_SHA256]);
    }

    #[test]
    fn the_stronger_integrity_is_preferred_and_both_verify() {
        let bytes = request(|message| {
            message
                .attribute(AttributeType::USERNAME, b"u")
                .integrity(IntegrityAlgorithm::Sha1, KEY)
                .integrity(IntegrityAlgorithm::Sha256, KEY)
                .fingerprint();
        });
        let message = Message::parse(&bytes).unwrap();
        assert_eq!(message.integrity(), Some(IntegrityAlgorithm::Sha256));
        for algorithm in [IntegrityAlgorithm::Sha1, IntegrityAlgorithm::Sha256] {
            assert!(message.verify_integrity(algorithm, KEY));
            assert!(!message.verify_integrity(algorithm, b"other"));
        }
    }

    #[test]
    fn a_truncated_sha256_is_taken_down_to_16_bytes() {
        for (len, is_taken) in [(32, true), (28, true), (16, true), (12, false), (18, false)] {
            let mut bytes = request(|_| ());
            let tag = IntegrityAlgorithm::Sha256.compute(KEY, &bytes, len);
            let value = tag.as_ref()[..len].to_vec();
            Builder::new(&mut bytes, Class::Request, Method::ALLOCATE, ID)
                .attribute(AttributeType::MESSAGE_INTEGRITY_SHA256, &value);
            let message = Message::parse(&bytes).unwrap();
            assert_eq!(message.integrity().is_some(), is_taken, "{len} bytes");
            assert_eq!(
                message.verify_integrity(IntegrityAlgorithm::Sha256, KEY),
                is_taken
            );
        }
    }

    #[test]
    fn a_sha1_integrity_of_another_length_does_not_count() {
        let bytes = request(|message| {
            message.attribute(AttributeType::MESSAGE_INTEGRITY, &[0; 16]);
        });
        let message = Message::parse(&bytes).unwrap();
        assert_eq!(message.integrity(), None);
        assert!(!message.verify_integrity(IntegrityAlgorithm::Sha1, KEY));
    }

    #[test]
    fn a_fingerprint_must_be_last() {
        let mut bytes = request(|message| {
            message.fingerprint();
        });
        let parse = |bytes: &[u8]| Message::parse(bytes).unwrap().fingerprint();
        assert_eq!(parse(&bytes), Fingerprint::Valid);
        bytes.extend_from_slice(&[0x80, 0x22, 0, 0]);
        bytes[3] += 4;
        assert_eq!(parse(&bytes), Fingerprint::Invalid);
        let crc = fingerprint(&bytes[..HEADER_LEN]);
        bytes[24..28].copy_from_slice(&crc);
        assert_eq!(parse(&bytes), Fingerprint::Invalid);
        let long = request(|message| {
            message.attribute(AttributeType::FINGERPRINT, &[0; 8]);
        });
        assert_eq!(parse(&long), Fingerprint::Invalid);
        assert_eq!(parse(&request(|_| ())), Fingerprint::Absent);
    }

    #[test]
    fn the_first_of_two_attributes_wins() {
        let bytes = request(|message| {
            message
                .u32(AttributeType::LIFETIME, 600)
                .u32(AttributeType::LIFETIME, 0);
        });
        let message = Message::parse(&bytes).unwrap();
        assert_eq!(message.u32(AttributeType::LIFETIME), Some(600));
    }

    #[test]
    fn only_required_attributes_can_be_unknown() {
        let bytes = request(|message| {
            message
                .flag(AttributeType(0x7F01))
                .flag(AttributeType(0xFF01))
                .u32(AttributeType::LIFETIME, 600)
                .flag(AttributeType(0x7F02));
        });
        let message = Message::parse(&bytes).unwrap();
        let unknown: Vec<_> = message
            .unknown_required(|kind| kind == AttributeType::LIFETIME)
            .collect();
        assert_eq!(unknown, [AttributeType(0x7F01), AttributeType(0x7F02)]);
    }

    #[test]
    fn values_of_the_wrong_form_read_as_absent() {
        let bytes = request(|message| {
            message
                .attribute(AttributeType::LIFETIME, &[1, 2, 3])
                .attribute(AttributeType::USERNAME, &[0xFF])
                .flag(AttributeType::EVEN_PORT)
                .attribute(AttributeType::XOR_PEER_ADDRESS, &[0; 8])
                .attribute(AttributeType::RESERVATION_TOKEN, &[0; 9])
                .attribute(AttributeType::PASSWORD_ALGORITHM, &[0, 9, 0, 0])
                .attribute(AttributeType::CHANNEL_NUMBER, &[0x80, 0, 0, 0])
                .attribute(AttributeType::ERROR_CODE, &[0, 0, 9, 0]);
        });
        let message = Message::parse(&bytes).unwrap();
        assert_eq!(message.u32(AttributeType::LIFETIME), None);
        assert_eq!(message.text(AttributeType::USERNAME), None);
        assert_eq!(message.u8_first(AttributeType::EVEN_PORT), None);
        assert_eq!(message.xor_address(AttributeType::XOR_PEER_ADDRESS), None);
        assert_eq!(message.u64(AttributeType::RESERVATION_TOKEN), None);
        assert_eq!(message.password_algorithm(), None);
        assert_eq!(message.channel_number(), None);
        assert_eq!(message.error_code(), None);
        assert_eq!(message.attribute(AttributeType::NONCE), None);
    }

    #[test]
    fn a_list_of_password_algorithms_is_compared_as_a_whole() {
        const BOTH: [PasswordAlgorithm; 2] = [PasswordAlgorithm::Sha256, PasswordAlgorithm::Md5];
        let bytes = request(|message| {
            message.password_algorithms(&BOTH);
        });
        let message = Message::parse(&bytes).unwrap();
        assert!(message.has_password_algorithms(&BOTH));
        assert!(!message.has_password_algorithms(&BOTH[..1]));
        assert!(!message.has_password_algorithms(&[BOTH[1], BOTH[0]]));
        for odd in [
            &[0, 2, 0][..],
            &[0, 2, 0, 0, 0],
            &[0, 2, 0, 4, 1, 2, 3, 4],
            &[],
        ] {
            let bytes = request(|message| {
                message.attribute(AttributeType::PASSWORD_ALGORITHMS, odd);
            });
            let message = Message::parse(&bytes).unwrap();
            assert!(!message.has_password_algorithms(&BOTH[..1]), "{odd:?}");
        }
        let none = request(|_| ());
        assert!(!Message::parse(&none).unwrap().has_password_algorithms(&[]));
    }

    #[test]
    fn values_of_the_right_form_are_read() {
        let bytes = request(|message| {
            message
                .attribute(AttributeType::EVEN_PORT, &[0x80])
                .channel_number(ChannelNumber::MAX)
                .error_code(ErrorCode::StaleNonce, "Stale Nonce");
        });
        let message = Message::parse(&bytes).unwrap();
        assert_eq!(message.u8_first(AttributeType::EVEN_PORT), Some(0x80));
        assert_eq!(message.channel_number(), Some(ChannelNumber::MAX));
        assert_eq!(message.error_code(), Some((438, "Stale Nonce")));
    }
}
