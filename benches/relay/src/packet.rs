//! What is in one packet of load: a mark, the run it belongs to and the time it
//! was sent, so that it can be counted where it comes out.
//!
//! A Binding request carries the same in its transaction id.

use crate::measure::Run;
use crate::stun::{CHANNEL, COOKIE};

/// Bytes of a Binding request without attributes.
pub const BINDING: usize = 20;

/// The fewest bytes of payload that hold mark and stamp.
pub const MIN_SIZE: usize = 4 + STAMP;

/// Marks a packet of ours.
const MARK: u32 = 0x7B17_BE0C;

/// Bytes of a stamp: those of a transaction id.
const STAMP: usize = 12;

/// What a packet says of itself.
#[derive(Clone, Copy)]
pub struct Stamp {
    /// The run it belongs to.
    pub run: u16,
    /// Whether it was sent before that run counts.
    pub is_warm_up: bool,
    /// Wall-clock time in nanoseconds.
    pub sent_at: u64,
}

impl Stamp {
    /// Writes the head of a payload.
    pub fn write(self, payload: &mut [u8]) {
        payload[..4].copy_from_slice(&MARK.to_be_bytes());
        self.encode(&mut payload[4..MIN_SIZE]);
    }

    /// Writes the heads of a ChannelData message and its payload.
    pub fn write_channel_data(self, message: &mut [u8]) {
        let size = message.len() as u16 - 4;
        message[..2].copy_from_slice(&CHANNEL.to_be_bytes());
        message[2..4].copy_from_slice(&size.to_be_bytes());
        self.write(&mut message[4..]);
    }

    /// Writes a Binding request.
    pub fn write_binding(self, message: &mut [u8]) {
        message[..4].copy_from_slice(&[0, 1, 0, 0]);
        message[4..8].copy_from_slice(&COOKIE.to_be_bytes());
        self.encode(&mut message[8..BINDING]);
    }

    fn encode(self, bytes: &mut [u8]) {
        bytes[..2].copy_from_slice(&self.run.to_be_bytes());
        bytes[2..4].copy_from_slice(&[u8::from(self.is_warm_up), 0]);
        bytes[4..].copy_from_slice(&self.sent_at.to_be_bytes());
    }

    fn parse(bytes: &[u8]) -> Option<Self> {
        let (head, rest) = bytes.split_at_checked(4)?;
        Some(Self {
            run: u16::from_be_bytes([head[0], head[1]]),
            is_warm_up: head[2] != 0,
            sent_at: u64::from_be_bytes(rest.get(..8)?.try_into().ok()?),
        })
    }
}

/// What a packet is checked against where it comes out.
#[derive(Clone, Copy)]
pub struct Expected {
    /// The run under way.
    pub run: u16,
    /// Bytes of payload.
    pub size: usize,
    /// Whether Binding responses come instead of payload.
    pub is_binding: bool,
}

impl Expected {
    /// Counts one packet that came out at wall-clock time `at`, at a client or at
    /// a peer.
    pub fn count(self, bytes: &[u8], at: u64, is_client: bool, run: &mut Run) {
        let Some(stamp) = self.read(bytes, is_client) else {
            run.bad += 1;
            return;
        };
        run.seen += 1;
        if stamp.run == self.run && !stamp.is_warm_up {
            run.received += 1;
            let delay = at.saturating_sub(stamp.sent_at);
            run.delays.push(u32::try_from(delay).unwrap_or(u32::MAX));
        }
    }

    /// Returns the stamp of a packet; nothing when it is none of ours.
    fn read(self, bytes: &[u8], is_client: bool) -> Option<Stamp> {
        if self.is_binding {
            let is_success = bytes.starts_with(&[1, 1]);
            let id = bytes.get(8..BINDING).filter(|_| is_success)?;
            return Stamp::parse(id);
        }
        let payload = if is_client {
            let (head, payload) = bytes.split_at_checked(4)?;
            let length = usize::from(u16::from_be_bytes([head[2], head[3]]));
            (head[0] & 0xC0 == 0x40 && length == self.size).then_some(payload)?
        } else {
            bytes
        };
        let is_ours = payload.len() >= self.size && payload.starts_with(&MARK.to_be_bytes());
        is_ours.then(|| Stamp::parse(payload.get(4..)?)).flatten()
    }
}
