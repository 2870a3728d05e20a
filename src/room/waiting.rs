//! The queue before a full room.

use std::sync::Arc;
use std::time::Instant;

use crate::unix_time::UnixTime;

use super::code::ErrorCode;
use super::event::Event;
use super::limits;
use super::request::{Join, Refusal};
use super::rooms::{ConnectionId, Due, Phase, Rooms, refusal};

/// Somebody in the queue.
pub(super) struct Waiter {
    pub(super) connection: ConnectionId,
    /// The number of its `join`, which `joined` will answer.
    pub(super) re: Option<u64>,
    pub(super) join: Box<Join>,
}

impl Rooms {
    /// Puts a connection at the end of a room's queue.
    pub(super) fn wait(&mut self, room: &Arc<str>, waiter: Waiter) -> Result<(), Refusal> {
        let there = self.rooms.get_mut(room).expect("a room that is full");
        if there.waiting.len() >= limits::WAITING {
            return Err(refusal(
                ErrorCode::RoomFull,
                "the room and its queue are full",
            ));
        }
        let connection = waiter.connection;
        there.waiting.push_back(waiter);
        let member = self.connections.get_mut(&connection).expect("it spoke");
        member.phase = Phase::Waiting(room.clone());
        self.tell_positions(room, usize::MAX);
        Ok(())
    }

    /// Takes a connection out of a queue.
    pub(super) fn stop_waiting(&mut self, now: Instant, room: &Arc<str>, connection: ConnectionId) {
        let Some(there) = self.rooms.get_mut(room) else {
            return;
        };
        let place = there
            .waiting
            .iter()
            .position(|w| w.connection == connection);
        if let Some(place) = place {
            there.waiting.remove(place);
            self.tell_positions(room, place);
            // The last one to wait may have kept an empty room.
            self.vacate(now, room);
        }
    }

    /// After somebody left: a place for who waits, or the end of the room.
    pub(super) fn vacate(&mut self, now: Instant, room: &Arc<str>) {
        let Some(there) = self.rooms.get_mut(room) else {
            return;
        };
        if there.members.is_empty() {
            there.is_locked = false;
            there.barred.clear();
        }
        if !there.waiting.is_empty() {
            // Entering needs the time of day, which a timeout brings.
            self.set_deadline(now, Due::Fill(room.clone()));
        } else if there.members.is_empty() {
            self.rooms.remove(room);
        }
    }

    /// Lets in as many as there are places for.
    pub(super) fn fill(&mut self, now: Instant, unix_now: UnixTime, room: &Arc<str>) {
        let mut came = 0;
        while let Some(there) = self.rooms.get_mut(room)
            && !there.is_locked
            && there.members.len() < there.capacity
            && let Some(waiter) = there.waiting.pop_front()
        {
            came += 1;
            self.enter(now, unix_now, room, waiter);
        }
        if came > 0 {
            self.tell_positions(room, 0);
        }
        if self
            .rooms
            .get(room)
            .is_some_and(|there| there.members.is_empty() && there.waiting.is_empty())
        {
            self.rooms.remove(room);
        }
    }

    /// Tells those from `first` on how many are before them, or the last alone.
    fn tell_positions(&mut self, room: &Arc<str>, first: usize) {
        let Some(there) = self.rooms.get(room) else {
            return;
        };
        let first = first.min(there.waiting.len().saturating_sub(1));
        let waiting: Vec<_> = there
            .waiting
            .iter()
            .enumerate()
            .skip(first)
            .map(|(index, waiter)| (waiter.connection, waiter.re, index + 1))
            .collect();
        for (connection, re, position) in waiting {
            self.send(connection, &Event::Waiting { re, position });
        }
    }
}
