//! What waits to be written to one WebSocket.
//!
//! Bounded in bytes: a client that does not read is closed rather than
//! remembered, and what it missed it can ask for again when it resumes.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio_tungstenite::tungstenite::Utf8Bytes;

/// A queue with one writer side, under the hub's lock, and one reader, the
/// connection's task.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    queue: Mutex<Queue>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct Queue {
    messages: VecDeque<Utf8Bytes>,
    bytes: usize,
    closing: Option<Closing>,
}

/// How a connection is to end.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Closing {
    /// The WebSocket close code.
    pub(super) code: u16,
    /// Why, for people.
    pub(super) reason: &'static str,
    /// Whether what waits is written before; a slow reader would never let us.
    pub(super) flushes: bool,
}

/// What the connection does next.
#[derive(Debug)]
pub(super) enum Next {
    /// Write these and come back.
    Write(Vec<Utf8Bytes>),
    /// Write these and close.
    Close(Vec<Utf8Bytes>, Closing),
    /// Wait for [`Outbox::changed`].
    Wait,
}

impl Outbox {
    /// Adds a message; `false` when it is not taken, because too much waits.
    ///
    /// One message is always taken, so that the largest one fits.
    #[must_use]
    pub(super) fn push(&self, message: Utf8Bytes) -> bool {
        let mut queue = self.lock();
        if queue.closing.is_some() {
            return true;
        }
        let bytes = queue.bytes + message.len();
        if bytes > MAX_QUEUED && !queue.messages.is_empty() {
            return false;
        }
        queue.bytes = bytes;
        queue.messages.push_back(message);
        drop(queue);
        self.changed.notify_one();
        true
    }

    /// Ends the connection; the first reason counts.
    pub(super) fn close(&self, closing: Closing) {
        let mut queue = self.lock();
        if queue.closing.is_none() {
            queue.closing = Some(closing);
        }
        drop(queue);
        self.changed.notify_one();
    }

    /// Takes what is to be done.
    pub(super) fn take(&self) -> Next {
        let mut queue = self.lock();
        let messages = Vec::from(std::mem::take(&mut queue.messages));
        queue.bytes = 0;
        match queue.closing {
            Some(closing) if closing.flushes => Next::Close(messages, closing),
            Some(closing) => Next::Close(Vec::new(), closing),
            None if messages.is_empty() => Next::Wait,
            None => Next::Write(messages),
        }
    }

    /// Returns how to end at once, without writing what waits.
    pub(super) fn closes_at_once(&self) -> Option<Closing> {
        self.lock().closing.filter(|closing| !closing.flushes)
    }

    /// Waits until something was added since the last call.
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }

    // The queue is consistent after every statement.
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Most bytes that wait for one connection.
const MAX_QUEUED: usize = 64 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_come_out_in_order_and_at_once() {
        let outbox = Outbox::default();
        assert!(outbox.push("a".into()) && outbox.push("b".into()));
        let Next::Write(messages) = outbox.take() else {
            panic!("messages wait");
        };
        assert_eq!(messages, ["a", "b"]);
        assert!(matches!(outbox.take(), Next::Wait));
    }

    #[test]
    fn what_does_not_fit_is_refused_but_the_largest_alone_is_taken() {
        let outbox = Outbox::default();
        let large = Utf8Bytes::from("x".repeat(MAX_QUEUED + 1));
        assert!(outbox.push(large.clone()));
        assert!(!outbox.push("y".into()));
        assert!(matches!(outbox.take(), Next::Write(messages) if messages == [large]));
        assert!(outbox.push("y".into()));
    }

    #[test]
    fn a_close_is_the_last_word_and_the_first_one_counts() {
        let outbox = Outbox::default();
        assert!(outbox.push("a".into()));
        let closing = |code, flushes| Closing {
            code,
            reason: "",
            flushes,
        };
        outbox.close(closing(4403, true));
        outbox.close(closing(4408, false));
        assert!(outbox.push("b".into()), "dropped, and nobody is slow");
        let Next::Close(messages, found) = outbox.take() else {
            panic!("it closes");
        };
        assert_eq!((messages.len(), found.code), (1, 4403));
        assert_eq!(outbox.closes_at_once(), None);
    }

    #[test]
    fn a_slow_reader_loses_what_waits() {
        let outbox = Outbox::default();
        assert!(outbox.push("a".into()));
        let slow = Closing {
            code: 4429,
            reason: "too slow",
            flushes: false,
        };
        outbox.close(slow);
        assert_eq!(outbox.closes_at_once(), Some(slow));
        assert!(matches!(outbox.take(), Next::Close(messages, _) if messages.is_empty()));
    }
}
