//! Cuts a stream into frames, however it arrives.

use turnstone::stun::framing::{self, FramingError};

/// The first byte says how many of the next are sizes of pieces; the rest is the
/// stream that arrives in these pieces, over and over, or all at once.
pub(crate) fn stream_framing(data: &[u8]) {
    let Some((&count, rest)) = data.split_first() else {
        return;
    };
    let (sizes, stream) = rest.split_at(rest.len().min(usize::from(count % 16)));
    let whole = frames(std::iter::once(stream));
    assert_eq!(frames(pieces(stream, sizes)), whole);
    assert_eq!(frames(stream.chunks(1)), whole);
    let cut: usize = whole.frames.iter().map(Vec::len).sum();
    assert_eq!(whole.frames.concat(), stream[..cut]);
    assert_eq!(whole.rest, stream[cut..]);
}

#[derive(Debug, PartialEq)]
struct Frames {
    frames: Vec<Vec<u8>>,
    rest: Vec<u8>,
    error: Option<FramingError>,
}

/// Reads the way a connection does: cuts off frames while there are whole ones.
fn frames<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> Frames {
    let mut read = Frames {
        frames: Vec::new(),
        rest: Vec::new(),
        error: None,
    };
    for piece in pieces {
        read.rest.extend_from_slice(piece);
        while read.error.is_none() {
            match framing::frame_len(&read.rest) {
                Ok(Some(len)) if len <= read.rest.len() => {
                    assert!(len.is_multiple_of(4) && (4..=framing::MAX_FRAME_LEN).contains(&len));
                    let rest = read.rest.split_off(len);
                    read.frames.push(std::mem::replace(&mut read.rest, rest));
                }
                Ok(_) => break,
                Err(error) => read.error = Some(error),
            }
        }
    }
    read
}

fn pieces<'a>(mut stream: &'a [u8], sizes: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
    let mut sizes = sizes.iter().cycle();
    std::iter::from_fn(move || {
        if stream.is_empty() {
            return None;
        }
        // Without a size, or with size zero, a piece is one byte.
        let size = sizes.next().map_or(1, |&size| usize::from(size).max(1));
        let (piece, rest) = stream.split_at(size.min(stream.len()));
        stream = rest;
        Some(piece)
    })
}
