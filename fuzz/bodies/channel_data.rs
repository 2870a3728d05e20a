//! Reads a ChannelData message, writes it again and asks the framing about it.

use turnstone::stun::{channel_data, framing};

/// Takes `data` as a datagram and as the start of a stream, as it is and with a
/// header made to fit.
pub(crate) fn channel_data(data: &[u8]) {
    check(data);
    let mut fitted = data.to_vec();
    if let Some((header, payload)) = fitted.split_first_chunk_mut::<4>()
        && let Ok(len) = u16::try_from(payload.len())
    {
        header[0] = header[0] & 0x3F | 0x40;
        header[2..4].copy_from_slice(&len.to_be_bytes());
        check(&fitted);
    }
}

fn check(bytes: &[u8]) {
    let Some((number, payload)) = channel_data::parse(bytes) else {
        return;
    };
    assert!(channel_data::RANGE.contains(&number.get()));
    let len = u16::try_from(payload.len()).expect("the length field has 16 bits");
    let header = channel_data::encode_header(number, len);
    assert!(bytes.starts_with(&header));
    assert!(bytes[header.len()..].starts_with(payload));

    let framed = header.len() + payload.len() + channel_data::padding(payload.len());
    assert_eq!(framed % 4, 0);
    assert_eq!(framing::frame_len(bytes), Ok(Some(framed)));
}
