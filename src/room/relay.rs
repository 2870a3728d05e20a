//! Offers, answers and candidates from one peer to another.
//!
//! A generation is one pair of PeerConnections. It is kept only above 1, where
//! every pair begins, and goes with either of the two.

use serde_json::value::RawValue;

use super::code::ErrorCode;
use super::event::Event;
use super::request::{Candidates, Refusal, SignalKind};
use super::rooms::{Rooms, refusal};
use super::session::SessionId;

impl Rooms {
    /// `offer` and `answer`.
    pub(super) fn relay_sdp(
        &mut self,
        from: &SessionId,
        to: &str,
        generation: Option<u32>,
        kind: SignalKind,
        sdp: &str,
    ) -> Result<(), Refusal> {
        let to = self.peer(from, to)?;
        // Only an offer begins anew.
        let steps = u32::from(kind == SignalKind::Offer);
        let r#gen = self.generation(from, &to, generation, steps)?;
        let event = match kind {
            SignalKind::Offer => Event::Offer { from, r#gen, sdp },
            SignalKind::Answer => Event::Answer { from, r#gen, sdp },
        };
        self.tell(&to, &event.text());
        Ok(())
    }

    /// `ice`.
    pub(super) fn relay_ice(
        &mut self,
        from: &SessionId,
        to: &str,
        generation: Option<u32>,
        candidates: &Candidates,
    ) -> Result<(), Refusal> {
        let to = self.peer(from, to)?;
        let r#gen = self.generation(from, &to, generation, 0)?;
        let (candidate, candidates): (Option<&RawValue>, Option<&RawValue>) = match candidates {
            Candidates::One(candidate) => (Some(candidate), None),
            Candidates::All(list) => (None, Some(list)),
        };
        let event = Event::Ice {
            from,
            r#gen,
            candidate,
            candidates,
        };
        self.tell(&to, &event.text());
        Ok(())
    }

    /// Returns the id of a peer in the same room.
    pub(super) fn peer(&self, from: &SessionId, to: &str) -> Result<SessionId, Refusal> {
        let none = || refusal(ErrorCode::NoSuchPeer, "there is no such peer in the room");
        let room = &self.sessions.get(from).ok_or_else(none)?.room;
        let peer = self.sessions.get(to).ok_or_else(none)?;
        if peer.room != *room || peer.id == *from {
            return Err(none());
        }
        Ok(peer.id.clone())
    }

    /// Judges the generation a message names, and takes a step when it may.
    fn generation(
        &mut self,
        from: &SessionId,
        to: &SessionId,
        named: Option<u32>,
        steps: u32,
    ) -> Result<u32, Refusal> {
        let room = &self.sessions[from].room;
        let room = self.rooms.get_mut(room).expect("a session's room is there");
        let pair = (from.min(to).clone(), from.max(to).clone());
        let present = room.generations.get(&pair).copied().unwrap_or(1);
        let named = named.unwrap_or(present);
        if named < present {
            let message = format!("gen {named} is over, {present} is the present one");
            return Err(refusal(ErrorCode::StaleGeneration, message));
        }
        if named - present > steps {
            let message =
                format!("gen {named} is ahead of {present}; only an offer goes one further");
            return Err(refusal(ErrorCode::BadGeneration, message));
        }
        if named > present {
            room.generations.insert(pair, named);
        }
        Ok(named)
    }
}
