//! One person in one room: what the others see, and what was said to it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use serde_json::value::RawValue;

use crate::auth::{Claims, Grants};

use super::event::{Person, numbered};
use super::limits::{RING, RING_BYTES};
use super::rooms::{ConnectionId, Output};

/// Names a session; peers know it by this.
pub(super) type SessionId = Arc<str>;

/// From `joined` until it leaves, is sent out, or does not come back.
pub(super) struct Session {
    pub(super) id: SessionId,
    /// Proves to be the same client on a new connection.
    pub(super) secret: String,
    pub(super) room: Arc<str>,
    /// `None` while the client is away.
    pub(super) connection: Option<ConnectionId>,
    /// What its token says; a guest has none.
    pub(super) claims: Option<Arc<Claims>>,
    pub(super) name: String,
    pub(super) grants: Grants,
    pub(super) state: Box<RawValue>,
    /// When it ends, while it is away.
    pub(super) gone_at: Option<Instant>,
    pub(super) refresh_at: Instant,
    /// Highest request number, kept while the client is away.
    pub(super) last_id: u64,
    seq: u64,
    /// The last messages; the newest has number `seq`.
    ring: VecDeque<Bytes>,
    ring_bytes: usize,
}

/// What a session is made from.
pub(super) struct Seat {
    pub(super) id: SessionId,
    pub(super) secret: String,
    pub(super) room: Arc<str>,
    pub(super) connection: ConnectionId,
    pub(super) claims: Option<Arc<Claims>>,
    pub(super) name: String,
    pub(super) grants: Grants,
    pub(super) state: Box<RawValue>,
    pub(super) refresh_at: Instant,
}

impl Session {
    pub(super) fn new(seat: Seat) -> Self {
        Self {
            id: seat.id,
            secret: seat.secret,
            room: seat.room,
            connection: Some(seat.connection),
            claims: seat.claims,
            name: seat.name,
            grants: seat.grants,
            state: seat.state,
            gone_at: None,
            refresh_at: seat.refresh_at,
            last_id: 0,
            seq: 0,
            ring: VecDeque::new(),
            ring_bytes: 0,
        }
    }

    pub(super) fn identity(&self) -> Option<&str> {
        self.claims.as_ref()?.identity.as_deref()
    }

    /// Returns what others see.
    pub(super) fn person(&self) -> Person<'_> {
        Person {
            id: &self.id,
            name: &self.name,
            identity: self.identity(),
            guest: self.claims.is_none(),
            grants: self.grants.names(),
            state: &self.state,
            away: self.connection.is_none(),
        }
    }

    /// Sends a message, or keeps it until its client is back.
    pub(super) fn tell(&mut self, text: &str, outputs: &mut VecDeque<Output>) {
        let text = self.number(text);
        if let Some(connection) = self.connection {
            outputs.push_back(Output::Send { connection, text });
        }
    }

    /// Numbers a message and keeps it for a resume.
    fn number(&mut self, text: &str) -> Bytes {
        self.seq += 1;
        let numbered = numbered(text, self.seq);
        self.ring_bytes += numbered.len();
        self.ring.push_back(numbered.clone());
        while self.ring.len() > RING || (self.ring_bytes > RING_BYTES && self.ring.len() > 1) {
            let oldest = self.ring.pop_front().expect("longer than one");
            self.ring_bytes -= oldest.len();
        }
        numbered
    }

    /// Returns what came after `last_seq`, or `None` when some of it is no
    /// longer kept, or was never sent.
    pub(super) fn missed(&self, last_seq: u64) -> Option<Vec<Bytes>> {
        let missed = self.seq.checked_sub(last_seq)?;
        let missed = usize::try_from(missed).ok()?;
        let skipped = self.ring.len().checked_sub(missed)?;
        Some(self.ring.iter().skip(skipped).cloned().collect())
    }
}
