//! What the server sends, decoded by the `stun` crate.
//!
//! Nothing that does not parse gets past here: a test that receives a frame knows
//! that it is well formed.

use std::fmt;
use std::net::SocketAddr;

use stun::attributes::AttrType;
use stun::fingerprint::FINGERPRINT;
use stun::integrity::MessageIntegrity;
use stun::message::Message;

use super::wire::{Class, HEADER, attribute, decode_address, set_length, type_field};

/// One message from the server.
#[derive(Clone, Debug)]
pub(crate) enum Frame {
    Stun(Answer),
    ChannelData { number: u16, data: Vec<u8> },
}

impl Frame {
    /// The STUN message, where ChannelData would be wrong.
    #[track_caller]
    pub(crate) fn stun(self) -> Answer {
        match self {
            Self::Stun(answer) => answer,
            Self::ChannelData { number, .. } => panic!("ChannelData on {number:#06x}"),
        }
    }

    /// Reads one datagram or one frame of a stream.
    #[track_caller]
    pub(crate) fn parse(bytes: Vec<u8>) -> Self {
        if bytes.first().is_some_and(|first| first >> 6 == 0) {
            return Self::Stun(Answer::parse(bytes));
        }
        assert!(bytes.len() >= 4, "the server sent {bytes:02x?}");
        let number = u16::from_be_bytes([bytes[0], bytes[1]]);
        let length = usize::from(u16::from_be_bytes([bytes[2], bytes[3]]));
        let data = bytes.get(4..4 + length).expect("ChannelData is complete");
        Self::ChannelData {
            number,
            data: data.to_vec(),
        }
    }
}

/// A STUN message from the server.
#[derive(Clone)]
pub(crate) struct Answer(Message);

impl Answer {
    #[track_caller]
    pub(crate) fn parse(bytes: Vec<u8>) -> Self {
        let mut message = Message::new();
        message.raw = bytes;
        message.decode().expect("the server sends valid STUN");
        assert_eq!(
            message.raw.len(),
            HEADER + usize::from(u16::from_be_bytes([message.raw[2], message.raw[3]])),
            "the Length field covers the whole message"
        );
        Self(message)
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0.raw
    }

    pub(crate) fn transaction(&self) -> [u8; 12] {
        self.0.transaction_id.0
    }

    pub(crate) fn is(&self, class: Class, method: u16) -> bool {
        self.0.typ.value() == type_field(class, method)
    }

    pub(crate) fn class(&self) -> Class {
        match self.0.typ.value() & 0x0110 {
            0x0000 => Class::Request,
            0x0010 => Class::Indication,
            0x0100 => Class::Success,
            _ => Class::Error,
        }
    }

    /// The first value of this attribute.
    pub(crate) fn attribute(&self, attribute: u16) -> Option<Vec<u8>> {
        self.0.get(AttrType(attribute)).ok()
    }

    pub(crate) fn has(&self, attribute: u16) -> bool {
        self.0.contains(AttrType(attribute))
    }

    /// The attribute types in their order.
    pub(crate) fn attributes(&self) -> Vec<u16> {
        self.0.attributes.0.iter().map(|a| a.typ.value()).collect()
    }

    /// Every address that this attribute gives, decoded by the `stun` crate.
    pub(crate) fn addresses(&self, attribute: u16) -> Vec<SocketAddr> {
        let values = &self.0.attributes.0;
        values
            .iter()
            .filter(|a| a.typ.value() == attribute)
            .map(|a| decode_address(&self.0, &a.value).expect("a well encoded address"))
            .collect()
    }

    /// The first address that this attribute gives.
    #[track_caller]
    pub(crate) fn address(&self, attribute: u16) -> SocketAddr {
        let addresses = self.addresses(attribute);
        assert!(!addresses.is_empty(), "no {attribute:#06x} in {self:?}");
        addresses[0]
    }

    #[track_caller]
    pub(crate) fn number(&self, attribute: u16) -> u32 {
        let value = self.attribute(attribute).unwrap_or_default();
        let bytes: Result<[u8; 4], _> = value.try_into();
        assert!(bytes.is_ok(), "no 32 bits of {attribute:#06x} in {self:?}");
        u32::from_be_bytes(bytes.unwrap_or_default())
    }

    #[track_caller]
    pub(crate) fn lifetime(&self) -> u32 {
        self.number(attribute::LIFETIME)
    }

    /// The code of an error response, for example 401.
    pub(crate) fn error_code(&self) -> Option<u16> {
        let value = self.attribute(attribute::ERROR_CODE)?;
        let (class, number) = (value.get(2)? & 0x07, *value.get(3)?);
        Some(u16::from(class) * 100 + u16::from(number))
    }

    /// The attribute types listed in UNKNOWN-ATTRIBUTES.
    pub(crate) fn unknown_attributes(&self) -> Vec<u16> {
        let value = self.attribute(attribute::UNKNOWN_ATTRIBUTES);
        value
            .unwrap_or_default()
            .chunks_exact(2)
            .map(|pair| u16::from_be_bytes([pair[0], pair[1]]))
            .collect()
    }

    #[track_caller]
    pub(crate) fn assert_success(&self) -> &Self {
        assert_eq!(self.class(), Class::Success, "{self:?}");
        self
    }

    #[track_caller]
    pub(crate) fn assert_error(&self, code: u16) -> &Self {
        assert_eq!(self.class(), Class::Error, "wanted {code}: {self:?}");
        assert_eq!(self.error_code(), Some(code), "{self:?}");
        self
    }

    /// Whether MESSAGE-INTEGRITY is there and right, as the `stun` crate checks it.
    pub(crate) fn has_valid_sha1(&self, key: &[u8]) -> bool {
        let mut copy = self.0.clone();
        MessageIntegrity(key.to_vec()).check(&mut copy).is_ok()
    }

    /// Whether FINGERPRINT is there and right, as the `stun` crate checks it.
    pub(crate) fn has_valid_fingerprint(&self) -> bool {
        FINGERPRINT.check(&self.0).is_ok()
    }

    /// The bytes before this attribute, with a Length field that ends after it.
    pub(crate) fn text_protected_by(&self, attribute: u16) -> Option<Vec<u8>> {
        let mut end = HEADER;
        for a in &self.0.attributes.0 {
            let size = 4 + a.value.len().next_multiple_of(4);
            if a.typ.value() == attribute {
                let mut text = self.0.raw[..end].to_vec();
                set_length(&mut text, end + size - HEADER);
                return Some(text);
            }
            end += size;
        }
        None
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {} bytes", self.0.typ, self.0.raw.len())?;
        if let Some(code) = self.error_code() {
            write!(f, ", error {code}")?;
        }
        write!(f, ", attributes {:04x?}", self.attributes())
    }
}
