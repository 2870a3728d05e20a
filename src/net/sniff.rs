//! Telling protocols apart by their first bytes.
//!
//! One TCP port serves TLS, STUN/TURN, ICE-TCP and HTTP, before and after
//! decryption, because browsers offer no ALPN for `turns:`. One UDP port serves
//! STUN, ChannelData, DTLS and RTP. Both functions are pure.

/// The bytes after which [`sniff`] always decides.
pub const SNIFF_LIMIT: usize = 10;

/// What a byte stream turns out to be.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Sniff {
    /// Fits more than one protocol so far: ask again with more bytes.
    NeedMore,
    /// A TLS handshake record (RFC 8446 section 5.1).
    Tls,
    /// STUN messages without framing, so a TURN client (RFC 8489 section 6.2.2).
    Stun,
    /// STUN messages behind a 2-byte length, so ICE-TCP (RFC 4571, RFC 6544).
    IceTcp,
    /// An HTTP request, version 1 or 2.
    Http,
    /// None of them, and no further byte can change that. ChannelData counts
    /// as such: no connection may begin with it.
    Unknown,
}

/// What a datagram is by its first byte (RFC 7983 section 7).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum DatagramKind {
    /// First byte 0 to 3.
    Stun,
    /// First byte 20 to 63.
    Dtls,
    /// First byte 64 to 127: the channel numbers of RFC 8656 (0x4000 to 0x4FFF)
    /// and the rest of the range that RFC 5766 had.
    ChannelData,
    /// First byte 128 to 191.
    Rtp,
    /// Anything else, and an empty datagram.
    Unknown,
}

/// Tells what a stream that begins with `bytes` carries.
///
/// Never takes back an answer: once it is not [`Sniff::NeedMore`], more bytes
/// do not change it. It is not [`Sniff::NeedMore`] from [`SNIFF_LIMIT`] bytes on.
#[must_use]
pub fn sniff(bytes: &[u8]) -> Sniff {
    let Some(&first) = bytes.first() else {
        return Sniff::NeedMore;
    };
    // An HTTP method, or the "PRI" of HTTP/2.
    if first.is_ascii_alphabetic() {
        return Sniff::Http;
    }
    if first == TLS_HANDSHAKE {
        return match bytes.get(1) {
            None => Sniff::NeedMore,
            Some(&TLS_MAJOR) => Sniff::Tls,
            Some(_) => Sniff::Unknown,
        };
    }
    let stun = begins_like_message(bytes);
    let ice = begins_like_frame(bytes);
    match (stun, ice) {
        (Likeness::Complete, _) => Sniff::Stun,
        (_, Likeness::Complete) => Sniff::IceTcp,
        (Likeness::None, Likeness::None) => Sniff::Unknown,
        (Likeness::SoFar, _) | (_, Likeness::SoFar) => Sniff::NeedMore,
    }
}

/// Tells what `datagram` is.
#[must_use]
pub fn datagram_kind(datagram: &[u8]) -> DatagramKind {
    match datagram.first() {
        Some(0..=3) => DatagramKind::Stun,
        Some(20..=63) => DatagramKind::Dtls,
        Some(64..=127) => DatagramKind::ChannelData,
        Some(128..=191) => DatagramKind::Rtp,
        Some(_) | None => DatagramKind::Unknown,
    }
}

/// How far some bytes are like a protocol.
#[derive(Clone, Copy)]
enum Likeness {
    None,
    SoFar,
    Complete,
}

/// Compares with a STUN header (RFC 8489 section 5): two zero bits, a length in
/// words of four bytes, and the magic cookie at offset 4.
fn begins_like_message(bytes: &[u8]) -> Likeness {
    let type_fits = bytes.first().is_none_or(|byte| byte & 0xC0 == 0);
    let length_fits = bytes.get(3).is_none_or(|byte| byte % 4 == 0);
    let cookie = bytes.get(4..).unwrap_or_default();
    let compared = cookie.len().min(MAGIC_COOKIE.len());
    if !type_fits || !length_fits || cookie[..compared] != MAGIC_COOKIE[..compared] {
        return Likeness::None;
    }
    if compared == MAGIC_COOKIE.len() {
        Likeness::Complete
    } else {
        Likeness::SoFar
    }
}

/// Compares with a frame of RFC 4571 that holds exactly one STUN message. The
/// first one is a Binding request, so a length that looks like TLS or like a
/// letter is not one.
fn begins_like_frame(bytes: &[u8]) -> Likeness {
    if bytes.first().is_some_and(|high| *high > MAX_FRAME_HIGH) {
        return Likeness::None;
    }
    let Some((prefix, message)) = bytes.split_first_chunk::<2>() else {
        return Likeness::SoFar;
    };
    let frame_length = u32::from(u16::from_be_bytes(*prefix));
    let fits = match message {
        [_, _, high, low, ..] => {
            let body_length = u32::from(u16::from_be_bytes([*high, *low]));
            frame_length == body_length + STUN_HEADER
        }
        _ => frame_length >= STUN_HEADER && frame_length.is_multiple_of(4),
    };
    if fits {
        begins_like_message(message)
    } else {
        Likeness::None
    }
}

/// Content type of a TLS handshake record (RFC 8446 section 5.1).
const TLS_HANDSHAKE: u8 = 22;

/// First byte of every version in a TLS record, 1.0 to 1.3.
const TLS_MAJOR: u8 = 3;

/// RFC 8489 section 5.
const MAGIC_COOKIE: [u8; 4] = [0x21, 0x12, 0xA4, 0x42];

/// First byte of the longest frame taken for a Binding request: 4,095 bytes,
/// where one with every attribute of RFC 8445 stays below 1,500.
const MAX_FRAME_HIGH: u8 = 0x0F;

/// Bytes of a STUN header (RFC 8489 section 5).
const STUN_HEADER: u32 = 20;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn known_openings_are_recognised() {
        let client_hello = [0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00];
        let allocate = [0x00, 0x03, 0x00, 0x08, 0x21, 0x12, 0xA4, 0x42, 1, 2, 3, 4];
        let framed = [0x00, 0x1C, 0x00, 0x01, 0x00, 0x08, 0x21, 0x12, 0xA4, 0x42];
        assert_eq!(sniff(&client_hello), Sniff::Tls);
        assert_eq!(sniff(&allocate), Sniff::Stun);
        assert_eq!(sniff(&framed), Sniff::IceTcp);
        assert_eq!(sniff(b"GET / HTTP/1.1\r\n"), Sniff::Http);
        assert_eq!(sniff(b"PRI * HTTP/2.0\r\n"), Sniff::Http);
    }

    #[test]
    fn other_openings_are_refused_as_soon_as_they_show() {
        for bytes in [
            &b"\x40\x00\x00\x10"[..],            // ChannelData
            b"\x80",                             // RTP
            b"\x15\x03\x03\x00\x02\x02\x28\x00", // a TLS alert
            b"\x16\x16",                         // not a TLS version
            b"\x00\x03\x00\x08\x21\x12\xA4\x43", // not the magic cookie
            b"\x00\x01\x00\x00ABCDEFGHIJKLMNOP", // RFC 3489, without cookie
            b"\x00\x1D\x00\x01",                 // a frame of odd length
            b"\x00\x20\x00\x01\x00\x08\x21\x12", // two things in one frame
            b"\r\n\r\n\x00\r\nQUIT\n",           // the PROXY protocol
        ] {
            assert_eq!(sniff(bytes), Sniff::Unknown, "{bytes:x?}");
        }
    }

    #[test]
    fn datagrams_are_told_apart_by_their_first_byte() {
        let expected = |first: u8| match first {
            0..=3 => DatagramKind::Stun,
            20..=63 => DatagramKind::Dtls,
            64..=127 => DatagramKind::ChannelData,
            128..=191 => DatagramKind::Rtp,
            4..=19 | 192..=255 => DatagramKind::Unknown,
        };
        for first in 0..=255 {
            assert_eq!(datagram_kind(&[first, 0]), expected(first));
        }
        assert_eq!(datagram_kind(&[]), DatagramKind::Unknown);
    }

    proptest! {
        #[test]
        fn no_split_of_a_stream_is_taken_for_something_else((kind, stream) in opening()) {
            for len in 0..=stream.len() {
                let found = sniff(&stream[..len]);
                prop_assert!(
                    found == kind || (found == Sniff::NeedMore && len < SNIFF_LIMIT),
                    "{} of {:x?} is {:?}", len, stream, found
                );
            }
            prop_assert_eq!(sniff(&stream), kind);
        }

        #[test]
        fn an_answer_is_final(stream in near_misses(), more in any::<[u8; 4]>()) {
            let mut decided = Sniff::NeedMore;
            for len in 0..=stream.len() {
                let found = sniff(&stream[..len]);
                prop_assert!(decided == Sniff::NeedMore || decided == found);
                decided = found;
            }
            if decided != Sniff::NeedMore {
                let longer = [&stream[..], &more].concat();
                prop_assert_eq!(sniff(&longer), decided);
            }
            prop_assert!(decided != Sniff::NeedMore || stream.len() < SNIFF_LIMIT);
        }
    }

    /// The start of a connection, and what it is.
    fn opening() -> impl Strategy<Value = (Sniff, Vec<u8>)> {
        let tls = (0..=4u8, any::<[u8; 12]>()).prop_map(|(minor, rest)| {
            let record = [&[22, 3, minor][..], &rest].concat();
            (Sniff::Tls, record)
        });
        let stun = message().prop_map(|bytes| (Sniff::Stun, bytes));
        let framed = message().prop_map(|bytes| {
            let length = u16::try_from(bytes.len()).unwrap().to_be_bytes();
            (Sniff::IceTcp, [&length[..], &bytes].concat())
        });
        let http = "[A-Z]{3,7} /[a-z]{0,9} HTTP/1\\.1\r\n"
            .prop_map(|text| (Sniff::Http, text.into_bytes()));
        prop_oneof![tls, stun, framed, http]
    }

    /// A STUN message of any method and up to 1,300 bytes.
    fn message() -> impl Strategy<Value = Vec<u8>> {
        let kind = prop_oneof![Just(0x0001u16), Just(0x0003), 0u16..0x3FFF]
            // A first byte of 22 belongs to TLS; no method is that high.
            .prop_filter("reserved for TLS", |kind| kind >> 8 != 22);
        (kind, 0..320usize, any::<[u8; 12]>()).prop_map(|(kind, words, transaction)| {
            let length = u16::try_from(words * 4).unwrap();
            let mut bytes = kind.to_be_bytes().to_vec();
            bytes.extend(length.to_be_bytes());
            bytes.extend(MAGIC_COOKIE);
            bytes.extend(transaction);
            bytes.resize(20 + words * 4, 0xA5);
            bytes
        })
    }

    /// Arbitrary bytes, and valid openings with one byte changed.
    fn near_misses() -> impl Strategy<Value = Vec<u8>> {
        let damaged =
            (opening(), 0..SNIFF_LIMIT, any::<u8>()).prop_map(|((_, bytes), at, byte)| {
                let mut bytes = bytes[..bytes.len().min(14)].to_vec();
                bytes[at] = byte;
                bytes
            });
        prop_oneof![proptest::collection::vec(any::<u8>(), 0..14), damaged]
    }
}
