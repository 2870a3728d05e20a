//! The Data indication (RFC 8656 section 11.3).

use std::net::{IpAddr, SocketAddr};

use rand::Rng;

use crate::stun::{AttributeType, MAGIC_COOKIE};

use super::verdict::{Header, MAX_HEADER_LEN};

/// Makes what goes around `len` bytes of payload from `peer`.
///
/// It is written by hand and not by `stun::Builder`, since this runs once per
/// packet and the payload must not be copied twice. `None` when the message
/// would be longer than a STUN message can be.
pub(super) fn data_indication(rng: &mut impl Rng, peer: SocketAddr, len: u16) -> Option<Header> {
    let padding = len.checked_next_multiple_of(4)? - len;
    let mut transaction = [0; 12];
    rng.fill_bytes(&mut transaction);

    let mut bytes = [0; MAX_HEADER_LEN];
    bytes[4..8].copy_from_slice(&MAGIC_COOKIE.to_be_bytes());
    bytes[8..20].copy_from_slice(&transaction);
    let address_len = write_peer(&mut bytes, peer);
    let data = 24 + address_len;
    bytes[data..data + 2].copy_from_slice(&AttributeType::DATA.0.to_be_bytes());
    bytes[data + 2..data + 4].copy_from_slice(&len.to_be_bytes());
    let header_len = u8::try_from(data + 4).expect("at most MAX_HEADER_LEN");

    let body = u16::from(header_len - 20)
        .checked_add(len)?
        .checked_add(padding)?;
    bytes[0..2].copy_from_slice(&DATA_INDICATION.to_be_bytes());
    bytes[2..4].copy_from_slice(&body.to_be_bytes());
    Some(Header {
        bytes,
        len: header_len,
        padding: u8::try_from(padding).expect("at most 3"),
    })
}

/// Writes XOR-PEER-ADDRESS after the header; returns the length of its value.
fn write_peer(bytes: &mut [u8; MAX_HEADER_LEN], peer: SocketAddr) -> usize {
    // The cookie and the transaction id, which IPv6 addresses are xored with.
    let key: [u8; 16] = bytes[4..20].try_into().expect("sixteen bytes");
    let port = peer.port() ^ u16::from_be_bytes([key[0], key[1]]);
    let (family, len) = match peer.ip() {
        IpAddr::V4(ip) => {
            for (index, octet) in ip.octets().into_iter().enumerate() {
                bytes[28 + index] = octet ^ key[index];
            }
            (0x01, 8_u8)
        }
        IpAddr::V6(ip) => {
            for (index, octet) in ip.octets().into_iter().enumerate() {
                bytes[28 + index] = octet ^ key[index];
            }
            (0x02, 20)
        }
    };
    bytes[20..22].copy_from_slice(&AttributeType::XOR_PEER_ADDRESS.0.to_be_bytes());
    bytes[23] = len;
    bytes[25] = family;
    bytes[26..28].copy_from_slice(&port.to_be_bytes());
    usize::from(len)
}

/// Method 0x007, class indication (RFC 8489 section 5).
const DATA_INDICATION: u16 = 0x0017;

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;
    use rand::rngs::StdRng;

    use crate::stun::{Class, Message, Method};

    use super::*;

    #[test]
    fn the_codec_reads_what_is_written_here() {
        let mut rng = StdRng::seed_from_u64(1);
        for peer in ["192.0.2.1:5000", "[2001:db8::1]:5001"] {
            for payload in [&b""[..], b"a", b"abc", b"abcd", b"abcde"] {
                let peer: SocketAddr = peer.parse().unwrap();
                let len = u16::try_from(payload.len()).unwrap();
                let header = data_indication(&mut rng, peer, len).unwrap();
                let mut bytes = header.as_bytes().to_vec();
                bytes.extend_from_slice(payload);
                bytes.extend(std::iter::repeat_n(0, header.padding()));

                let message = Message::parse(&bytes).unwrap();
                assert_eq!(message.class(), Class::Indication);
                assert_eq!(message.method(), Method::DATA);
                assert_eq!(
                    message.xor_address(AttributeType::XOR_PEER_ADDRESS),
                    Some(peer)
                );
                assert_eq!(message.attribute(AttributeType::DATA), Some(payload));
            }
        }
    }

    #[test]
    fn a_payload_that_does_not_fit_a_message_is_refused() {
        let mut rng = StdRng::seed_from_u64(1);
        let peer: SocketAddr = "192.0.2.1:5000".parse().unwrap();

        assert!(data_indication(&mut rng, peer, 65_532).is_none());
        assert!(data_indication(&mut rng, peer, u16::MAX).is_none());
        assert!(data_indication(&mut rng, peer, 65_500).is_some());
    }
}
