//! Messages for peers that are not there, until they come or the wait is over.
//!
//! Bounded for each pair, each receiver, each sender and in all. What one sender
//! left for one receiver is kept and ends together: half a negotiation is of no use.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;

use super::limits;
use super::peer_id::Address;

/// All that waits.
#[derive(Default)]
pub(super) struct Mailboxes {
    by_receiver: BTreeMap<Address, Mailbox>,
    /// Bytes with their overhead, for each sender that has any.
    by_sender: BTreeMap<Address, usize>,
    /// The same of all senders.
    total: usize,
    deadlines: BTreeSet<(Instant, Pair)>,
}

/// What waits for one receiver.
#[derive(Default)]
struct Mailbox {
    /// Without overhead.
    bytes: usize,
    by_sender: BTreeMap<Arc<str>, Letters>,
}

/// What one sender left for one receiver.
struct Letters {
    expires_at: Instant,
    texts: Vec<String>,
}

/// A receiver and the id of a sender in the same scope.
#[derive(Clone, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct Pair {
    pub(super) to: Address,
    pub(super) from: Arc<str>,
}

/// Why a message is not kept.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Full {
    /// Earlier ones of this pair are, and their end is still to be told.
    Later,
    /// Nothing of this pair is kept.
    Wholly,
}

impl Mailboxes {
    /// Keeps a message for [`limits::WAIT`] after the first of its pair.
    pub(super) fn put(
        &mut self,
        now: Instant,
        from: &Address,
        to: &Address,
        text: String,
    ) -> Result<(), Full> {
        let mailbox = self.by_receiver.get(to);
        let letters = mailbox.and_then(|mailbox| mailbox.by_sender.get(&from.id));
        let cost = cost(&text);
        let fits = letters.map_or(0, |letters| letters.texts.len()) < limits::WAITING_MESSAGES
            && mailbox.map_or(0, |mailbox| mailbox.bytes) + text.len() <= limits::WAITING_FOR_ONE
            && self.by_sender.get(from).copied().unwrap_or(0) + cost <= limits::WAITING_FROM_ONE
            && self.total + cost <= limits::WAITING;
        if !fits {
            return Err(letters.map_or(Full::Wholly, |_| Full::Later));
        }
        self.total += cost;
        *self.by_sender.entry(from.clone()).or_default() += cost;
        let mailbox = self.by_receiver.entry(to.clone()).or_default();
        mailbox.bytes += text.len();
        let deadlines = &mut self.deadlines;
        let letters = mailbox
            .by_sender
            .entry(Arc::clone(&from.id))
            .or_insert_with(|| {
                let expires_at = now + limits::WAIT;
                let (to, from) = (to.clone(), Arc::clone(&from.id));
                deadlines.insert((expires_at, Pair { to, from }));
                Letters {
                    expires_at,
                    texts: Vec::new(),
                }
            });
        letters.texts.push(text);
        Ok(())
    }

    /// Takes all that waits for a peer: sender by sender, each in order.
    pub(super) fn take(&mut self, to: &Address) -> Vec<String> {
        let mut texts = Vec::new();
        let Some(mailbox) = self.by_receiver.remove(to) else {
            return texts;
        };
        for (from, mut letters) in mailbox.by_sender {
            let to = to.clone();
            self.uncharge(&to.of_other(&from), &letters);
            self.deadlines
                .remove(&(letters.expires_at, Pair { to, from }));
            texts.append(&mut letters.texts);
        }
        texts
    }

    /// Drops what the next pair left whose wait is over at `now`, and returns the pair.
    pub(super) fn pop_due(&mut self, now: Instant) -> Option<Pair> {
        let (due, _) = self.deadlines.first()?;
        if *due > now {
            return None;
        }
        let (_, pair) = self.deadlines.pop_first()?;
        // A deadline goes with its mailbox and its letters.
        let mailbox = self.by_receiver.get_mut(&pair.to)?;
        let letters = mailbox.by_sender.remove(&pair.from)?;
        mailbox.bytes -= letters.texts.iter().map(String::len).sum::<usize>();
        if mailbox.by_sender.is_empty() {
            self.by_receiver.remove(&pair.to);
        }
        self.uncharge(&pair.to.of_other(&pair.from), &letters);
        Some(pair)
    }

    /// Returns when [`Mailboxes::pop_due`] has something next.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.deadlines.first().map(|(due, _)| *due)
    }

    /// Returns how many bytes wait, with their overhead.
    pub(super) const fn total(&self) -> usize {
        self.total
    }

    fn uncharge(&mut self, from: &Address, letters: &Letters) {
        let freed: usize = letters.texts.iter().map(|text| cost(text)).sum();
        self.total -= freed;
        let held = self
            .by_sender
            .get_mut(from)
            .expect("a sender of letters is charged for them");
        *held -= freed;
        if *held == 0 {
            self.by_sender.remove(from);
        }
    }
}

/// What a message takes away from the bounds that count overhead.
const fn cost(text: &str) -> usize {
    text.len() + limits::OVERHEAD
}
