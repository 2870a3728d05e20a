//! Attribute types, and the form of the address attributes.
//!
//! Owns the numbers of the attributes that STUN, TURN, ICE and NAT behaviour
//! discovery define, and how an address is laid out, plain or XOR-ed
//! (RFC 8489 sections 14.1 and 14.2). Which of them a server understands is
//! the business of the server, not of this list.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::header::TransactionId;

/// The type of an attribute.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct AttributeType(pub u16);

macro_rules! attribute_types {
    ($($(#[$doc:meta])* $name:ident = $value:literal;)*) => {
        impl AttributeType {
            $($(#[$doc])* pub const $name: Self = Self($value);)*
        }
    };
}

attribute_types! {
    /// MAPPED-ADDRESS (RFC 8489): the plain form, for RFC 3489 clients.
    MAPPED_ADDRESS = 0x0001;
    /// RESPONSE-ADDRESS (RFC 3489, removed since).
    RESPONSE_ADDRESS = 0x0002;
    /// CHANGE-REQUEST (RFC 5780).
    CHANGE_REQUEST = 0x0003;
    /// SOURCE-ADDRESS (RFC 3489, removed since).
    SOURCE_ADDRESS = 0x0004;
    /// CHANGED-ADDRESS (RFC 3489, removed since).
    CHANGED_ADDRESS = 0x0005;
    /// USERNAME (RFC 8489), UTF-8.
    USERNAME = 0x0006;
    /// PASSWORD (RFC 3489, removed since).
    PASSWORD = 0x0007;
    /// MESSAGE-INTEGRITY (RFC 8489), 20 bytes of HMAC-SHA1.
    MESSAGE_INTEGRITY = 0x0008;
    /// ERROR-CODE (RFC 8489).
    ERROR_CODE = 0x0009;
    /// UNKNOWN-ATTRIBUTES (RFC 8489).
    UNKNOWN_ATTRIBUTES = 0x000A;
    /// REFLECTED-FROM (RFC 3489, removed since).
    REFLECTED_FROM = 0x000B;
    /// CHANNEL-NUMBER (RFC 8656).
    CHANNEL_NUMBER = 0x000C;
    /// LIFETIME (RFC 8656), in seconds.
    LIFETIME = 0x000D;
    /// BANDWIDTH (drafts of TURN only).
    BANDWIDTH = 0x0010;
    /// XOR-PEER-ADDRESS (RFC 8656).
    XOR_PEER_ADDRESS = 0x0012;
    /// DATA (RFC 8656).
    DATA = 0x0013;
    /// REALM (RFC 8489), UTF-8.
    REALM = 0x0014;
    /// NONCE (RFC 8489).
    NONCE = 0x0015;
    /// XOR-RELAYED-ADDRESS (RFC 8656).
    XOR_RELAYED_ADDRESS = 0x0016;
    /// REQUESTED-ADDRESS-FAMILY (RFC 8656).
    REQUESTED_ADDRESS_FAMILY = 0x0017;
    /// EVEN-PORT (RFC 8656).
    EVEN_PORT = 0x0018;
    /// REQUESTED-TRANSPORT (RFC 8656).
    REQUESTED_TRANSPORT = 0x0019;
    /// DONT-FRAGMENT (RFC 8656).
    DONT_FRAGMENT = 0x001A;
    /// ACCESS-TOKEN (RFC 7635).
    ACCESS_TOKEN = 0x001B;
    /// MESSAGE-INTEGRITY-SHA256 (RFC 8489), 16 to 32 bytes of HMAC-SHA256.
    MESSAGE_INTEGRITY_SHA256 = 0x001C;
    /// PASSWORD-ALGORITHM (RFC 8489): the one the client chose.
    PASSWORD_ALGORITHM = 0x001D;
    /// USERHASH (RFC 8489), 32 bytes.
    USERHASH = 0x001E;
    /// XOR-MAPPED-ADDRESS (RFC 8489).
    XOR_MAPPED_ADDRESS = 0x0020;
    /// TIMER-VAL (drafts of TURN only).
    TIMER_VAL = 0x0021;
    /// RESERVATION-TOKEN (RFC 8656), 8 bytes.
    RESERVATION_TOKEN = 0x0022;
    /// PRIORITY (RFC 8445).
    PRIORITY = 0x0024;
    /// USE-CANDIDATE (RFC 8445).
    USE_CANDIDATE = 0x0025;
    /// PADDING (RFC 5780).
    PADDING = 0x0026;
    /// RESPONSE-PORT (RFC 5780).
    RESPONSE_PORT = 0x0027;
    /// CONNECTION-ID (RFC 6062), 4 bytes.
    CONNECTION_ID = 0x002A;
    /// ADDITIONAL-ADDRESS-FAMILY (RFC 8656).
    ADDITIONAL_ADDRESS_FAMILY = 0x8000;
    /// ADDRESS-ERROR-CODE (RFC 8656).
    ADDRESS_ERROR_CODE = 0x8001;
    /// PASSWORD-ALGORITHMS (RFC 8489): the ones the server offers.
    PASSWORD_ALGORITHMS = 0x8002;
    /// ALTERNATE-DOMAIN (RFC 8489).
    ALTERNATE_DOMAIN = 0x8003;
    /// ICMP (RFC 8656).
    ICMP = 0x8004;
    /// SOFTWARE (RFC 8489), UTF-8.
    SOFTWARE = 0x8022;
    /// ALTERNATE-SERVER (RFC 8489), in the plain address form.
    ALTERNATE_SERVER = 0x8023;
    /// TRANSACTION-TRANSMIT-COUNTER (RFC 7982).
    TRANSACTION_TRANSMIT_COUNTER = 0x8025;
    /// CACHE-TIMEOUT (RFC 5780).
    CACHE_TIMEOUT = 0x8027;
    /// FINGERPRINT (RFC 8489), 4 bytes of CRC-32.
    FINGERPRINT = 0x8028;
    /// ICE-CONTROLLED (RFC 8445).
    ICE_CONTROLLED = 0x8029;
    /// ICE-CONTROLLING (RFC 8445).
    ICE_CONTROLLING = 0x802A;
    /// RESPONSE-ORIGIN (RFC 5780).
    RESPONSE_ORIGIN = 0x802B;
    /// OTHER-ADDRESS (RFC 5780).
    OTHER_ADDRESS = 0x802C;
    /// THIRD-PARTY-AUTHORIZATION (RFC 7635).
    THIRD_PARTY_AUTHORIZATION = 0x802E;
    /// ORIGIN (draft-ietf-tram-stun-origin).
    ORIGIN = 0x802F;
    /// MOBILITY-TICKET (RFC 8016).
    MOBILITY_TICKET = 0x8030;
    /// ADDITIONAL-ADDRESS-FAMILY as it was numbered before RFC 8656 and as
    /// `turnutils_uclient` still sends it.
    ADDITIONAL_ADDRESS_FAMILY_DRAFT = 0x8032;
}

impl AttributeType {
    /// Says whether a message with this attribute must be refused by who does
    /// not understand it (RFC 8489 section 14).
    #[must_use]
    pub const fn is_comprehension_required(self) -> bool {
        self.0 < 0x8000
    }
}

impl fmt::Display for AttributeType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "0x{:04x}", self.0)
    }
}

/// Length of an attribute's type and length fields.
pub(super) const ATTRIBUTE_HEADER_LEN: usize = 4;

const FAMILY_IPV4: u8 = 0x01;
const FAMILY_IPV6: u8 = 0x02;

/// Reads an address attribute; the transaction id undoes the XOR.
pub(super) fn parse_address(value: &[u8], xor: Option<&TransactionId>) -> Option<SocketAddr> {
    let mask = xor.map_or(&[0; 16], TransactionId::as_bytes);
    let (&[_, family, port_high, port_low], address) = value.split_first_chunk()?;
    let port = u16::from_be_bytes([port_high ^ mask[0], port_low ^ mask[1]]);
    let ip = match family {
        FAMILY_IPV4 => {
            let octets: [u8; 4] = address.try_into().ok()?;
            IpAddr::V4(Ipv4Addr::from(masked(octets, mask)))
        }
        FAMILY_IPV6 => {
            let octets: [u8; 16] = address.try_into().ok()?;
            IpAddr::V6(Ipv6Addr::from(masked(octets, mask)))
        }
        _ => return None,
    };
    Some(SocketAddr::new(ip, port))
}

/// Lays out an address attribute's value: 8 bytes for IPv4, 20 for IPv6.
pub(super) fn encode_address(
    address: SocketAddr,
    xor: Option<&TransactionId>,
) -> ([u8; 20], usize) {
    let mask = xor.map_or(&[0; 16], TransactionId::as_bytes);
    let mut value = [0; 20];
    value[2..4].copy_from_slice(&masked(address.port().to_be_bytes(), mask));
    match address.ip() {
        IpAddr::V4(ip) => {
            value[1] = FAMILY_IPV4;
            value[4..8].copy_from_slice(&masked(ip.octets(), mask));
            (value, 8)
        }
        IpAddr::V6(ip) => {
            value[1] = FAMILY_IPV6;
            value[4..20].copy_from_slice(&masked(ip.octets(), mask));
            (value, 20)
        }
    }
}

fn masked<const N: usize>(mut bytes: [u8; N], mask: &[u8; 16]) -> [u8; N] {
    for (byte, mask) in bytes.iter_mut().zip(mask) {
        *byte ^= mask;
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_upper_half_of_the_types_may_be_ignored() {
        assert!(AttributeType::PADDING.is_comprehension_required());
        assert!(AttributeType(0x7FFF).is_comprehension_required());
        assert!(!AttributeType::ADDITIONAL_ADDRESS_FAMILY.is_comprehension_required());
    }

    #[test]
    fn an_address_of_the_wrong_length_or_family_is_refused() {
        let good = [0, 1, 0x12, 0x34, 192, 0, 2, 1];
        assert_eq!(
            parse_address(&good, None),
            Some("192.0.2.1:4660".parse().unwrap())
        );
        assert_eq!(parse_address(&good[..7], None), None);
        assert_eq!(parse_address(&[0, 2, 0x12, 0x34, 192, 0, 2, 1], None), None);
        assert_eq!(parse_address(&[0, 3, 0x12, 0x34, 192, 0, 2, 1], None), None);
        assert_eq!(parse_address(&[], None), None);
        let mut long = good.to_vec();
        long.push(0);
        assert_eq!(parse_address(&long, None), None);
    }
}
