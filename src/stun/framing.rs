//! Where a message ends in a TCP or TLS stream (RFC 8489 section 6.2.2, RFC
//! 8656 section 12.5).
//!
//! Answers from the first bytes alone and keeps no state: the caller owns the
//! buffer, asks again when more has arrived, and cuts off what it was told.
//! After an error the stream cannot be resynchronised and must be closed.

use super::channel_data;
use super::header::{HEADER_LEN, MAGIC_COOKIE};

/// Longest frame there can be: a ChannelData message with the longest payload
/// and its padding, or the longest STUN message, whichever is more.
pub const MAX_FRAME_LEN: usize = HEADER_LEN + 0xFFFC;

/// Why a stream carries neither STUN nor ChannelData.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum FramingError {
    /// The first byte, 0x80 or higher, starts neither.
    #[error("no STUN or ChannelData message starts with {0:#04x}")]
    FirstByte(u8),
    /// The length field of a STUN message is not a multiple of four.
    #[error("STUN length {0} is not a multiple of four")]
    Length(u16),
    /// The magic cookie of a STUN message is missing.
    #[error("no magic cookie")]
    Cookie,
}

/// Returns the whole length of the frame at the start of `bytes`, padding
/// included, as soon as it is known; the frame itself may not be there yet.
///
/// `Ok(None)` means that more bytes are needed to tell: 8 for STUN (up to and
/// with the magic cookie), 4 for ChannelData. More bytes never change an answer
/// that was given.
///
/// # Errors
///
/// When no STUN message and no ChannelData message starts like this.
pub fn frame_len(bytes: &[u8]) -> Result<Option<usize>, FramingError> {
    let Some(&first) = bytes.first() else {
        return Ok(None);
    };
    match first {
        0x00..=0x3F => stun_len(bytes),
        0x40..=0x7F => Ok(channel_data_len(bytes)),
        0x80..=0xFF => Err(FramingError::FirstByte(first)),
    }
}

fn stun_len(bytes: &[u8]) -> Result<Option<usize>, FramingError> {
    let Some(&[_, _, len_high, len_low]) = bytes.first_chunk() else {
        return Ok(None);
    };
    let len = u16::from_be_bytes([len_high, len_low]);
    if !len.is_multiple_of(4) {
        return Err(FramingError::Length(len));
    }
    let Some(cookie) = bytes[4..].first_chunk() else {
        return Ok(None);
    };
    if u32::from_be_bytes(*cookie) != MAGIC_COOKIE {
        return Err(FramingError::Cookie);
    }
    Ok(Some(HEADER_LEN + usize::from(len)))
}

fn channel_data_len(bytes: &[u8]) -> Option<usize> {
    let &[_, _, len_high, len_low] = bytes.first_chunk()?;
    let len = usize::from(u16::from_be_bytes([len_high, len_low]));
    Some(channel_data::HEADER_LEN + len + channel_data::padding(len))
}

#[cfg(test)]
mod tests {
    use super::*;

    const STUN: [u8; 8] = [0x00, 0x01, 0x00, 0x08, 0x21, 0x12, 0xA4, 0x42];

    #[test]
    fn a_stun_message_is_as_long_as_its_header_says() {
        assert_eq!(frame_len(&STUN), Ok(Some(28)));
        for cut in 0..STUN.len() {
            assert_eq!(frame_len(&STUN[..cut]), Ok(None), "{cut} bytes");
        }
    }

    #[test]
    fn a_channel_data_message_is_padded_to_four_bytes() {
        assert_eq!(frame_len(&[0x40, 0, 0, 0]), Ok(Some(4)));
        assert_eq!(frame_len(&[0x40, 0, 0, 1]), Ok(Some(8)));
        assert_eq!(frame_len(&[0x7F, 0xFF, 0, 4, 9, 9]), Ok(Some(8)));
        assert_eq!(frame_len(&[0x40, 0, 0]), Ok(None));
    }

    #[test]
    fn the_longest_frame_is_within_the_limit() {
        let stun = [0x00, 0x01, 0xFF, 0xFC, 0x21, 0x12, 0xA4, 0x42];
        assert_eq!(frame_len(&stun), Ok(Some(MAX_FRAME_LEN)));
        let channel = frame_len(&[0x40, 0, 0xFF, 0xFF]).unwrap().unwrap();
        assert_eq!(channel, 65_540);
        assert!(channel <= MAX_FRAME_LEN);
    }

    #[test]
    fn anything_else_is_an_error() {
        assert_eq!(frame_len(&[0x80]), Err(FramingError::FirstByte(0x80)));
        assert_eq!(frame_len(b"GET "), Ok(Some(4 + 0x5420)));
        assert_eq!(frame_len(&[0, 1, 0, 7]), Err(FramingError::Length(7)));
        let mut other = STUN;
        other[7] = 0x43;
        assert_eq!(frame_len(&other), Err(FramingError::Cookie));
    }
}
