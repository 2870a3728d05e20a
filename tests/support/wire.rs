//! STUN messages and ChannelData as the tests write them; `answer` reads them.
//!
//! Well-formed messages come from the `stun` crate; what that crate does not
//! know, and everything malformed, is put together byte by byte.

use std::net::SocketAddr;

use stun::agent::TransactionId;
use stun::attributes::{ATTR_XORMAPPED_ADDRESS, AttrType};
use stun::fingerprint::FINGERPRINT;
use stun::integrity::MessageIntegrity;
use stun::message::{Getter, Message, MessageType, Setter};
use stun::xoraddr::XorMappedAddress;

/// Attribute types. RFC 8489 section 18.3, RFC 8656 section 18, RFC 6062 section 6.2.
pub(crate) mod attribute {
    pub(crate) const MAPPED_ADDRESS: u16 = 0x0001;
    pub(crate) const USERNAME: u16 = 0x0006;
    pub(crate) const MESSAGE_INTEGRITY: u16 = 0x0008;
    pub(crate) const ERROR_CODE: u16 = 0x0009;
    pub(crate) const UNKNOWN_ATTRIBUTES: u16 = 0x000a;
    pub(crate) const CHANNEL_NUMBER: u16 = 0x000c;
    pub(crate) const LIFETIME: u16 = 0x000d;
    pub(crate) const XOR_PEER_ADDRESS: u16 = 0x0012;
    pub(crate) const DATA: u16 = 0x0013;
    pub(crate) const REALM: u16 = 0x0014;
    pub(crate) const NONCE: u16 = 0x0015;
    pub(crate) const XOR_RELAYED_ADDRESS: u16 = 0x0016;
    pub(crate) const REQUESTED_ADDRESS_FAMILY: u16 = 0x0017;
    pub(crate) const EVEN_PORT: u16 = 0x0018;
    pub(crate) const REQUESTED_TRANSPORT: u16 = 0x0019;
    pub(crate) const DONT_FRAGMENT: u16 = 0x001a;
    pub(crate) const MESSAGE_INTEGRITY_SHA256: u16 = 0x001c;
    pub(crate) const PASSWORD_ALGORITHM: u16 = 0x001d;
    pub(crate) const USERHASH: u16 = 0x001e;
    pub(crate) const XOR_MAPPED_ADDRESS: u16 = 0x0020;
    pub(crate) const RESERVATION_TOKEN: u16 = 0x0022;
    /// RFC 5780: a request for longer answers, which nobody must grant.
    pub(crate) const PADDING: u16 = 0x0026;
    pub(crate) const CONNECTION_ID: u16 = 0x002a;
    /// Comprehension-required and assigned to nobody.
    pub(crate) const UNKNOWN_REQUIRED: u16 = 0x7abc;
    /// Comprehension-optional and assigned to nobody.
    pub(crate) const UNKNOWN_OPTIONAL: u16 = 0xfabc;
    pub(crate) const ADDITIONAL_ADDRESS_FAMILY: u16 = 0x8000;
    /// ADDITIONAL-ADDRESS-FAMILY before it had its number; coturn's clients send it.
    pub(crate) const DRAFT_ADDITIONAL_ADDRESS_FAMILY: u16 = 0x8032;
    pub(crate) const ADDRESS_ERROR_CODE: u16 = 0x8001;
    pub(crate) const PASSWORD_ALGORITHMS: u16 = 0x8002;
    pub(crate) const ICMP: u16 = 0x8004;
    pub(crate) const FINGERPRINT: u16 = 0x8028;
}

/// Methods. RFC 8489 section 18.2, RFC 8656 section 17, RFC 6062 section 6.1.
pub(crate) mod method {
    pub(crate) const BINDING: u16 = 0x001;
    pub(crate) const ALLOCATE: u16 = 0x003;
    pub(crate) const REFRESH: u16 = 0x004;
    pub(crate) const SEND: u16 = 0x006;
    pub(crate) const DATA: u16 = 0x007;
    pub(crate) const CREATE_PERMISSION: u16 = 0x008;
    pub(crate) const CHANNEL_BIND: u16 = 0x009;
    pub(crate) const CONNECT: u16 = 0x00a;
    pub(crate) const CONNECTION_BIND: u16 = 0x00b;
    pub(crate) const CONNECTION_ATTEMPT: u16 = 0x00c;
    /// Assigned to nobody.
    pub(crate) const UNKNOWN: u16 = 0x0fe;
}

/// Classes. RFC 8489 section 5.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Class {
    Request,
    Indication,
    Success,
    Error,
}

/// Address families of REQUESTED-ADDRESS-FAMILY and its like. RFC 8489 section 14.1.
pub(crate) const IPV4: u8 = 0x01;
/// See [`IPV4`].
pub(crate) const IPV6: u8 = 0x02;

/// Protocol numbers for REQUESTED-TRANSPORT.
pub(crate) const UDP: u8 = 17;
/// See [`UDP`].
pub(crate) const TCP: u8 = 6;

/// Length of a STUN header.
pub(crate) const HEADER: usize = 20;

/// A STUN message under construction.
#[derive(Clone)]
pub(crate) struct Draft(Message);

impl Draft {
    pub(crate) fn new(class: Class, method: u16) -> Self {
        let mut message = Message::new();
        message.typ = MessageType::default();
        message.typ.read_value(type_field(class, method));
        message.transaction_id = TransactionId::new();
        message.write_header();
        Self(message)
    }

    pub(crate) fn request(method: u16) -> Self {
        Self::new(Class::Request, method)
    }

    pub(crate) fn indication(method: u16) -> Self {
        Self::new(Class::Indication, method)
    }

    pub(crate) fn binding() -> Self {
        Self::request(method::BINDING)
    }

    /// An Allocate request for a UDP relay.
    pub(crate) fn allocate() -> Self {
        Self::request(method::ALLOCATE).transport(UDP)
    }

    /// A Refresh request; without a lifetime the default is asked for.
    pub(crate) fn refresh(lifetime: Option<u32>) -> Self {
        let draft = Self::request(method::REFRESH);
        match lifetime {
            Some(seconds) => draft.lifetime(seconds),
            None => draft,
        }
    }

    /// A CreatePermission request for these peers.
    pub(crate) fn create_permission(peers: &[SocketAddr]) -> Self {
        let draft = Self::request(method::CREATE_PERMISSION);
        peers.iter().fold(draft, |draft, peer| draft.peer(*peer))
    }

    pub(crate) fn channel_bind(number: u16, peer: SocketAddr) -> Self {
        Self::request(method::CHANNEL_BIND)
            .channel(number)
            .peer(peer)
    }

    pub(crate) fn send(peer: SocketAddr, data: &[u8]) -> Self {
        Self::indication(method::SEND)
            .peer(peer)
            .with(attribute::DATA, data)
    }

    /// Appends an attribute, padded with zeros.
    pub(crate) fn with(mut self, attribute: u16, value: &[u8]) -> Self {
        self.0.add(AttrType(attribute), value);
        self
    }

    pub(crate) fn with_address(mut self, attribute: u16, address: SocketAddr) -> Self {
        let address = XorMappedAddress {
            ip: address.ip(),
            port: address.port(),
        };
        address
            .add_to_as(&mut self.0, AttrType(attribute))
            .expect("every IP address can be encoded");
        self
    }

    pub(crate) fn peer(self, address: SocketAddr) -> Self {
        self.with_address(attribute::XOR_PEER_ADDRESS, address)
    }

    pub(crate) fn channel(self, number: u16) -> Self {
        let [high, low] = number.to_be_bytes();
        self.with(attribute::CHANNEL_NUMBER, &[high, low, 0, 0])
    }

    pub(crate) fn lifetime(self, seconds: u32) -> Self {
        self.with(attribute::LIFETIME, &seconds.to_be_bytes())
    }

    pub(crate) fn transport(self, protocol: u8) -> Self {
        self.with(attribute::REQUESTED_TRANSPORT, &[protocol, 0, 0, 0])
    }

    pub(crate) fn family(self, attribute: u16, family: u8) -> Self {
        self.with(attribute, &[family, 0, 0, 0])
    }

    pub(crate) fn connection_id(self, id: u32) -> Self {
        self.with(attribute::CONNECTION_ID, &id.to_be_bytes())
    }

    /// Appends MESSAGE-INTEGRITY over `key`, as the `stun` crate computes it.
    pub(crate) fn integrity_sha1(mut self, key: &[u8]) -> Self {
        MessageIntegrity(key.to_vec())
            .add_to(&mut self.0)
            .expect("FINGERPRINT is added last");
        self
    }

    /// Appends a correct FINGERPRINT.
    pub(crate) fn fingerprint(mut self) -> Self {
        FINGERPRINT
            .add_to(&mut self.0)
            .expect("a message takes a fingerprint");
        self
    }

    /// The same message in a new transaction; addresses are obscured anew.
    pub(crate) fn in_new_transaction(&self) -> Self {
        let mut message = Message::new();
        message.typ = self.0.typ;
        message.transaction_id = TransactionId::new();
        message.write_header();
        let mut draft = Self(message);
        for old in &self.0.attributes.0 {
            let address = match old.typ.value() {
                attribute::XOR_PEER_ADDRESS => decode_address(&self.0, &old.value),
                _ => None,
            };
            draft = match address {
                Some(address) => draft.with_address(old.typ.value(), address),
                None => draft.with(old.typ.value(), &old.value),
            };
        }
        draft
    }

    /// The bytes so far, with a Length field that already counts `more` bytes.
    pub(crate) fn bytes_announcing(&self, more: usize) -> Vec<u8> {
        let mut bytes = self.bytes();
        set_length(&mut bytes, self.0.raw.len() - HEADER + more);
        bytes
    }

    pub(crate) fn transaction(&self) -> [u8; 12] {
        self.0.transaction_id.0
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.0.raw.clone()
    }
}

/// Writes the Length field of a STUN header.
pub(crate) fn set_length(message: &mut [u8], length: usize) {
    let length = u16::try_from(length).expect("a STUN message is shorter than 64 KB");
    message[2..4].copy_from_slice(&length.to_be_bytes());
}

/// Spreads a method and a class over the first 16 bits. RFC 8489 section 5.
pub(crate) fn type_field(class: Class, method: u16) -> u16 {
    let class = match class {
        Class::Request => 0x0000,
        Class::Indication => 0x0010,
        Class::Success => 0x0100,
        Class::Error => 0x0110,
    };
    (method & 0x000f) | (method & 0x0070) << 1 | (method & 0x0f80) << 2 | class
}

/// Decodes one XOR address as the `stun` crate does, which accepts short ones;
/// `message` gives the transaction id.
pub(crate) fn decode_address(message: &Message, value: &[u8]) -> Option<SocketAddr> {
    let length = match value.get(1).copied()? {
        IPV4 => 8,
        IPV6 => 20,
        _ => return None,
    };
    if value.len() != length {
        return None;
    }
    let mut single = Message::new();
    single.transaction_id = message.transaction_id;
    single.add(ATTR_XORMAPPED_ADDRESS, value);
    let mut address = XorMappedAddress::default();
    address.get_from(&single).ok()?;
    Some(SocketAddr::new(address.ip, address.port))
}

/// A ChannelData message without padding. RFC 8656 section 12.4.
pub(crate) fn channel_data(number: u16, data: &[u8]) -> Vec<u8> {
    let length = u16::try_from(data.len()).expect("ChannelData is shorter than 64 KB");
    let mut bytes = number.to_be_bytes().to_vec();
    bytes.extend(length.to_be_bytes());
    bytes.extend(data);
    bytes
}

/// A ChannelData message padded as streams need it. RFC 8656 section 12.5.
pub(crate) fn padded_channel_data(number: u16, data: &[u8]) -> Vec<u8> {
    let mut bytes = channel_data(number, data);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}
