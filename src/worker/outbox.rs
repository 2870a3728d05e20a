//! What a TCP or TLS client has not taken yet.
//!
//! Bounded by bytes. A relay carries datagrams, so when a reader is too slow the
//! oldest of them go first, never a STUN response and never half a frame.

use std::collections::VecDeque;

/// A queue of frames for one stream.
#[derive(Debug)]
pub(super) struct Outbox {
    bytes: Vec<u8>,
    /// Bytes at the front of `bytes` that are written already.
    start: usize,
    frames: VecDeque<Frame>,
    limit: usize,
}

#[derive(Clone, Copy, Debug)]
struct Frame {
    /// Bytes not written yet.
    len: usize,
    is_data: bool,
    is_started: bool,
}

impl Outbox {
    /// An empty queue that keeps at most about `limit` bytes; responses may exceed it by 64 KiB.
    pub(super) fn new(limit: usize) -> Self {
        Self {
            bytes: Vec::new(),
            start: 0,
            frames: VecDeque::new(),
            limit,
        }
    }

    /// Returns how many bytes wait.
    pub(super) fn len(&self) -> usize {
        self.bytes.len() - self.start
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Adds a frame of application data; returns how many frames were dropped for it.
    pub(super) fn push_data(&mut self, header: &[u8], payload: &[u8], padding: usize) -> u64 {
        let len = header.len() + payload.len() + padding;
        let dropped = if self.len() + len > self.limit {
            self.drop_oldest(len)
        } else {
            0
        };
        if self.len() + len > self.limit {
            return dropped + 1;
        }
        self.bytes.extend_from_slice(header);
        self.bytes.extend_from_slice(payload);
        self.bytes.resize(self.bytes.len() + padding, 0);
        self.frames.push_back(Frame {
            len,
            is_data: true,
            is_started: false,
        });
        dropped
    }

    /// Adds a message that must arrive; false when the reader is hopeless and
    /// the stream should be closed.
    pub(super) fn push_message(&mut self, message: &[u8]) -> bool {
        if self.len() + message.len() > self.limit + MESSAGE_RESERVE {
            return false;
        }
        self.bytes.extend_from_slice(message);
        self.frames.push_back(Frame {
            len: message.len(),
            is_data: false,
            is_started: false,
        });
        true
    }

    /// Adds bytes of a byte stream, whose order and completeness count; the
    /// caller looks at [`Outbox::len`] before it reads them.
    pub(super) fn push_bytes(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
        self.frames.push_back(Frame {
            len: bytes.len(),
            is_data: false,
            is_started: false,
        });
    }

    /// Returns the bytes to write next.
    pub(super) fn pending(&self) -> &[u8] {
        &self.bytes[self.start..]
    }

    /// Returns the bytes of the first frame, or what is left of it.
    pub(super) fn first_frame(&self) -> &[u8] {
        let len = self.frames.front().map_or(0, |frame| frame.len);
        &self.pending()[..len]
    }

    /// Forgets the first `len` bytes, which are written.
    pub(super) fn consume(&mut self, len: usize) {
        self.start += len;
        let mut left = len;
        while let Some(frame) = self.frames.front_mut() {
            if left < frame.len {
                frame.len -= left;
                frame.is_started |= left > 0;
                break;
            }
            left -= frame.len;
            self.frames.pop_front();
        }
        if self.start == self.bytes.len() {
            self.bytes.clear();
            self.start = 0;
            // A burst must not pin its memory for the life of the stream.
            if self.bytes.capacity() > KEPT_CAPACITY {
                self.bytes.shrink_to(KEPT_CAPACITY);
            }
        } else if self.start > KEPT_CAPACITY {
            self.bytes.drain(..self.start);
            self.start = 0;
        }
    }

    /// Makes room for `len` bytes by dropping data, a quarter of the limit at
    /// once so that the cost of moving the rest is spread over many packets.
    fn drop_oldest(&mut self, len: usize) -> u64 {
        let target = (self.limit * 3 / 4).saturating_sub(len);
        let mut kept = VecDeque::with_capacity(self.frames.len());
        let mut bytes = Vec::with_capacity(self.bytes.len());
        let (mut at, mut left, mut dropped) = (self.start, self.len(), 0);
        for frame in self.frames.drain(..) {
            if left > target && frame.is_data && !frame.is_started {
                left -= frame.len;
                dropped += 1;
            } else {
                bytes.extend_from_slice(&self.bytes[at..at + frame.len]);
                kept.push_back(frame);
            }
            at += frame.len;
        }
        self.bytes = bytes;
        self.start = 0;
        self.frames = kept;
        dropped
    }
}

/// How far responses may exceed the limit: a client that does not read its
/// responses any more is not worth keeping.
const MESSAGE_RESERVE: usize = 64 * 1024;

const KEPT_CAPACITY: usize = 16 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_reader_loses_the_oldest_data_and_no_response() {
        let mut outbox = Outbox::new(1_000);
        let mut dropped = 0;
        assert!(outbox.push_message(b"response"));
        for number in 0..100_u8 {
            dropped += outbox.push_data(&[number], &[number; 98], 1);
        }

        assert!(outbox.len() <= 1_000);
        assert!(outbox.pending().starts_with(b"response"));
        let data = &outbox.pending()[8..];
        let numbers: Vec<u8> = data.chunks(100).map(|frame| frame[0]).collect();
        assert_eq!(numbers.last(), Some(&99));
        assert_eq!(numbers.len() as u64, 100 - dropped);
        assert!(numbers.is_sorted_by(|a, b| *b == a + 1));
    }

    #[test]
    fn a_frame_that_is_partly_written_is_never_dropped() {
        let mut outbox = Outbox::new(300);
        assert_eq!(outbox.push_data(b"", &[1; 100], 0), 0);
        outbox.consume(40);
        for _ in 0..10 {
            outbox.push_data(b"", &[2; 100], 0);
        }

        assert_eq!(&outbox.pending()[..60], &[1; 60]);
        assert_eq!((outbox.pending().len() - 60) % 100, 0);
    }

    #[test]
    fn what_is_consumed_is_gone_and_the_rest_follows() {
        let mut outbox = Outbox::new(100_000);
        let mut expected = Vec::new();
        for number in 0..50_u8 {
            outbox.push_data(&[number; 4], &vec![number; usize::from(number) * 10], 0);
            expected.extend(vec![number; 4 + usize::from(number) * 10]);
        }
        let mut got = Vec::new();
        while !outbox.is_empty() {
            let take = outbox.pending().len().min(777);
            got.extend_from_slice(&outbox.pending()[..take]);
            outbox.consume(take);
        }

        assert_eq!(got, expected);
    }

    #[test]
    fn responses_have_a_limit_too() {
        let mut outbox = Outbox::new(1_000);
        let accepted = (0..10_000)
            .take_while(|_| outbox.push_message(&[0; 100]))
            .count();

        assert_eq!(accepted, (1_000 + MESSAGE_RESERVE) / 100);
    }
}
