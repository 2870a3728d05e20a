//! WebSocket frames and the upgrade request, from the client's side (RFC 6455).
//!
//! Only what the generator needs: whole frames without extensions. Frames that a
//! server must not mask are taken masked as well, as the floor forwards them.

/// A text frame.
pub const TEXT: u8 = 0x1;
/// A close frame.
pub const CLOSE: u8 = 0x8;
/// A ping frame.
pub const PING: u8 = 0x9;
/// A pong frame.
pub const PONG: u8 = 0xA;

/// A frame that arrived.
#[derive(Clone, Copy)]
pub struct Frame {
    /// What it is.
    pub opcode: u8,
    /// Where its payload begins.
    pub start: usize,
    /// Where it ends.
    pub end: usize,
}

/// Returns the upgrade request for `path`, offering `subprotocol` unless empty.
pub fn upgrade(path: &str, subprotocol: &str) -> String {
    let mut request = format!(
        "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: c2lnbmFsaW5nIGJlbmNoIQ==\r\n"
    );
    if !subprotocol.is_empty() {
        request += &format!("Sec-WebSocket-Protocol: {subprotocol}\r\n");
    }
    request + "\r\n"
}

/// Appends a masked frame to `out`.
pub fn encode(opcode: u8, payload: &[u8], mask: [u8; 4], out: &mut Vec<u8>) {
    out.push(0x80 | opcode);
    match payload.len() {
        length @ 0..126 => out.push(0x80 | length as u8),
        length @ 126..0x1_0000 => {
            out.push(0x80 | 126);
            out.extend_from_slice(&(length as u16).to_be_bytes());
        }
        length => {
            out.push(0x80 | 127);
            out.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
    out.extend_from_slice(&mask);
    out.extend(payload.iter().zip(mask.iter().cycle()).map(|(a, b)| a ^ b));
}

/// Finds the frame that begins at `at`, and takes its mask off; nothing until all
/// of it is there.
pub fn decode(bytes: &mut [u8], at: usize) -> Option<Frame> {
    let head = bytes.get(at..at + 2)?;
    let (opcode, is_masked) = (head[0] & 0x0F, head[1] & 0x80 != 0);
    let (length, mut start) = match head[1] & 0x7F {
        126 => {
            let field = bytes.get(at + 2..at + 4)?;
            (
                usize::from(u16::from_be_bytes(field.try_into().ok()?)),
                at + 4,
            )
        }
        127 => {
            let field = bytes.get(at + 2..at + 10)?;
            (u64::from_be_bytes(field.try_into().ok()?) as usize, at + 10)
        }
        short => (usize::from(short), at + 2),
    };
    let mut mask = [0; 4];
    if is_masked {
        mask.copy_from_slice(bytes.get(start..start + 4)?);
        start += 4;
    }
    let end = start.checked_add(length)?;
    let payload = bytes.get_mut(start..end)?;
    if is_masked {
        for (byte, mask) in payload.iter_mut().zip(mask.iter().cycle()) {
            *byte ^= mask;
        }
    }
    Some(Frame { opcode, start, end })
}
