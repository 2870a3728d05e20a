//! Reads a ChannelData message, writes it again and asks the framing about it.

use turnstone::stun::{channel_data, framing};

/// Takes `data` as a datagram and as the start of a stream.
pub(crate) fn channel_data(data: &[u8]) {
    let Some((number, payload)) = channel_data::parse(data) else {
        return;
    };
    assert!(channel_data::RANGE.contains(&number.get()));
    let len = u16::try_from(payload.len()).expect("the length field has 16 bits");
    let header = channel_data::encode_header(number, len);
    assert!(data.starts_with(&header));
    assert!(data[header.len()..].starts_with(payload));

    let framed = header.len() + payload.len() + channel_data::padding(payload.len());
    assert_eq!(framed % 4, 0);
    assert_eq!(framing::frame_len(data), Ok(Some(framed)));
}
