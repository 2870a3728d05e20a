//! The queue before a full room.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use crate::unix_time::UnixTime;

use super::code::ErrorCode;
use super::event::Event;
use super::membership::BARRED;
use super::request::{Join, Refusal};
use super::rooms::{ConnectionId, Due, Phase, Room, Rooms, refusal};

/// Somebody in the queue.
pub(super) struct Waiter {
    pub(super) connection: ConnectionId,
    /// The number of its `join`, which `joined` will answer.
    pub(super) re: Option<u64>,
    pub(super) join: Box<Join>,
}

impl Rooms {
    /// Puts a connection at the end of a room's queue, which has a place.
    pub(super) fn wait(&mut self, room: &Arc<str>, waiter: Waiter) {
        let there = self.rooms.get_mut(room).expect("a room that is full");
        let last = there.waiting.len();
        let connection = waiter.connection;
        there.waiting.push_back(waiter);
        let member = self.connections.get_mut(&connection).expect("it spoke");
        member.phase = Phase::Waiting(room.clone());
        self.tell_positions(room, last);
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
            && (there.members.is_empty() || there.members.len() < there.capacity)
            && let Some(waiter) = there.waiting.pop_front()
        {
            came += 1;
            if self.sessions.len() < self.options.sessions {
                self.enter(now, unix_now, room, waiter, None);
            } else {
                let message = "the server has no more places";
                self.turn_away(&waiter, refusal(ErrorCode::ServerFull, message));
            }
        }
        if came > 0 {
            self.tell_positions(room, 0);
        }
        let is_over = |there: &Room| there.members.is_empty() && there.waiting.is_empty();
        if self.rooms.get(room).is_some_and(is_over) {
            self.rooms.remove(room);
        }
    }

    /// Takes everybody of this identity out of the queue.
    pub(super) fn bar_waiting(&mut self, room: &Arc<str>, identity: &str) {
        let Some(there) = self.rooms.get_mut(room) else {
            return;
        };
        let connections = &self.connections;
        let is_barred = |waiter: &Waiter| {
            let claims = connections[&waiter.connection].claims.as_ref();
            claims.and_then(|claims| claims.identity.as_deref()) == Some(identity)
        };
        let waiting = std::mem::take(&mut there.waiting);
        let (barred, waiting): (VecDeque<_>, VecDeque<_>) =
            waiting.into_iter().partition(is_barred);
        there.waiting = waiting;
        for waiter in &barred {
            self.turn_away(waiter, refusal(ErrorCode::Kicked, BARRED));
        }
        if !barred.is_empty() {
            self.tell_positions(room, 0);
        }
    }

    /// Answers a `join` that waited in vain.
    fn turn_away(&mut self, waiter: &Waiter, why: Refusal) {
        let member = self.connections.get_mut(&waiter.connection);
        member.expect("it waited").phase = Phase::Greeted;
        self.refuse(waiter.connection, waiter.re, &why);
    }

    /// Tells those from `first` on how many are before them.
    fn tell_positions(&mut self, room: &Arc<str>, first: usize) {
        let Some(there) = self.rooms.get(room) else {
            return;
        };
        let waiting = there.waiting.iter().enumerate().skip(first);
        let waiting: Vec<_> = waiting
            .map(|(index, waiter)| (waiter.connection, waiter.re, index + 1))
            .collect();
        for (connection, re, position) in waiting {
            self.send(connection, &Event::Waiting { re, position });
        }
    }
}
