//! ChannelData messages (RFC 8656 section 12.4): four bytes and the payload.
//!
//! The data path of TURN. Over UDP a datagram is one message; over TCP and TLS
//! `framing` finds where one ends.

use std::ops::RangeInclusive;

/// The channel numbers this server takes. RFC 8656 narrowed the range to
/// 0x4000-0x4FFF; RFC 5766 clients use all of it, and a first byte of 0x50-0x7F
/// means nothing else on a TURN port.
pub const RANGE: RangeInclusive<u16> = 0x4000..=0x7FFF;

/// Length of the channel number and length fields.
pub const HEADER_LEN: usize = 4;

/// The number of a channel, always within [`RANGE`].
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ChannelNumber(u16);

impl ChannelNumber {
    /// The lowest channel number.
    pub const MIN: Self = Self(*RANGE.start());
    /// The highest channel number.
    pub const MAX: Self = Self(*RANGE.end());

    /// Returns the channel number, if it is within [`RANGE`].
    #[must_use]
    pub fn new(number: u16) -> Option<Self> {
        RANGE.contains(&number).then_some(Self(number))
    }

    /// Returns the number itself.
    #[must_use]
    pub const fn get(self) -> u16 {
        self.0
    }
}

impl TryFrom<u16> for ChannelNumber {
    type Error = ChannelNumberError;

    fn try_from(number: u16) -> Result<Self, Self::Error> {
        Self::new(number).ok_or(ChannelNumberError(number))
    }
}

/// A number that is no channel number.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{0:#06x} is not a channel number (0x4000 to 0x7fff)")]
pub struct ChannelNumberError(pub u16);

/// Splits a ChannelData message into channel number and payload.
///
/// What follows the payload is ignored: over UDP padding is allowed and not
/// counted by the length field. `None` when it is no ChannelData message or
/// the payload is cut short.
#[must_use]
pub fn parse(bytes: &[u8]) -> Option<(ChannelNumber, &[u8])> {
    let (&[number_high, number_low, len_high, len_low], rest) = bytes.split_first_chunk()?;
    let number = ChannelNumber::new(u16::from_be_bytes([number_high, number_low]))?;
    let len = usize::from(u16::from_be_bytes([len_high, len_low]));
    Some((number, rest.get(..len)?))
}

/// Returns the four bytes that go in front of a payload of `payload_len` bytes.
#[must_use]
pub const fn encode_header(number: ChannelNumber, payload_len: u16) -> [u8; HEADER_LEN] {
    let [number_high, number_low] = number.0.to_be_bytes();
    let [len_high, len_low] = payload_len.to_be_bytes();
    [number_high, number_low, len_high, len_low]
}

/// Returns how many zero bytes (0 to 3) follow a payload of `len` bytes over
/// TCP and TLS (RFC 8656 section 12.5); over UDP none need to.
#[must_use]
pub const fn padding(len: usize) -> usize {
    len.wrapping_neg() % 4
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_outside_the_range_are_refused() {
        assert_eq!(ChannelNumber::new(0x3FFF), None);
        assert_eq!(ChannelNumber::new(0x8000), None);
        assert_eq!(ChannelNumber::new(0x4000), Some(ChannelNumber::MIN));
        assert_eq!(ChannelNumber::try_from(0x7FFF), Ok(ChannelNumber::MAX));
        assert_eq!(
            ChannelNumber::try_from(0x8000).map_err(|e| e.to_string()),
            Err("0x8000 is not a channel number (0x4000 to 0x7fff)".to_owned())
        );
    }

    #[test]
    fn the_length_field_cuts_off_padding() {
        let bytes = [0x40, 0x01, 0, 3, b'a', b'b', b'c', 0];
        let (number, payload) = parse(&bytes).unwrap();
        assert_eq!(number.get(), 0x4001);
        assert_eq!(payload, b"abc");
        assert_eq!(encode_header(number, 3), bytes[..4]);
    }

    #[test]
    fn a_payload_cut_short_is_refused() {
        assert_eq!(parse(&[0x40, 0x01, 0, 3, b'a', b'b']), None);
        assert_eq!(parse(&[0x40, 0x01, 0]), None);
        assert_eq!(parse(&[]), None);
        assert_eq!(parse(&[0x00, 0x01, 0, 0]), None);
    }

    #[test]
    fn an_empty_payload_is_a_message() {
        assert_eq!(
            parse(&[0x7F, 0xFF, 0, 0]),
            Some((ChannelNumber::MAX, &[][..]))
        );
    }

    #[test]
    fn padding_fills_up_to_four_bytes() {
        assert_eq!([0, 1, 2, 3, 4, 5].map(padding), [0, 3, 2, 1, 0, 3]);
    }
}
