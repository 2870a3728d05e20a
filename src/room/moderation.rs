//! What people say, show, and may do to each other.

use std::time::Instant;

use serde_json::value::RawValue;

use crate::unix_time::UnixTime;

use super::code::{CloseCode, ErrorCode};
use super::event::{Event, Leaving};
use super::request::{Kind, Refusal};
use super::rooms::{Due, Output, Rooms, refusal};
use super::session::SessionId;

impl Rooms {
    /// `chat`: to all, or to one; the sender sees it as well.
    pub(super) fn chat(
        &mut self,
        unix_now: UnixTime,
        from: &SessionId,
        text: &str,
        to: Option<&str>,
    ) -> Result<(), Refusal> {
        let to = to.map(|to| self.peer(from, to)).transpose()?;
        let event = Event::Chat {
            from,
            text,
            at: unix_now.0.saturating_mul(1_000),
            to: to.as_deref(),
        };
        if let Some(to) = &to {
            let text = event.text();
            self.tell(to, &text);
            self.tell(from, &text);
        } else {
            let room = self.sessions[from].room.clone();
            self.tell_others(&room, None, &event);
        }
        Ok(())
    }

    /// `set`: a new name, a new state.
    pub(super) fn set(
        &mut self,
        id: &SessionId,
        name: Option<String>,
        state: Option<Box<RawValue>>,
    ) {
        if name.is_none() && state.is_none() {
            return;
        }
        let event = Event::PeerUpdated {
            peer: id,
            name: name.as_deref(),
            state: state.as_deref(),
            grants: None,
        };
        let text = event.text();
        let session = self.sessions.get_mut(id).expect("it asked");
        if let Some(name) = name {
            session.name = name;
        }
        if let Some(state) = state {
            session.state = state;
        }
        let room = session.room.clone();
        self.tell_text(&room, Some(id), &text);
    }

    /// `mute`: asks a peer to be quiet.
    pub(super) fn mute(&mut self, by: &SessionId, peer: &str, kind: Kind) -> Result<(), Refusal> {
        self.require_moderator(by)?;
        let peer = self.peer(by, peer)?;
        self.tell(&peer, &Event::Mute { by, kind }.text());
        Ok(())
    }

    /// `kick`: sends a peer out; with an identity it does not come back.
    pub(super) fn kick(
        &mut self,
        now: Instant,
        by: &SessionId,
        peer: &str,
        reason: Option<&str>,
    ) -> Result<(), Refusal> {
        self.require_moderator(by)?;
        let peer = self.peer(by, peer)?;
        self.tell(&peer, &Event::Kicked { by, reason }.text());
        let session = &self.sessions[&peer];
        let (connection, room) = (session.connection, session.room.clone());
        let identity = session.identity().map(str::to_owned);
        if let Some(identity) = identity {
            let there = self.rooms.get_mut(&room).expect("a peer is in it");
            there.bar(&identity);
            self.bar_waiting(&room, &identity);
        }
        self.end_session(now, &peer, Leaving::Kicked);
        if let Some(connection) = connection {
            self.connections.remove(&connection);
            let code = CloseCode::Kicked;
            self.output(Output::Close { connection, code });
        }
        Ok(())
    }

    /// `lock`: closes the room for newcomers, or opens it.
    pub(super) fn lock(
        &mut self,
        now: Instant,
        by: &SessionId,
        locked: bool,
    ) -> Result<(), Refusal> {
        self.require_moderator(by)?;
        let room = self.sessions[by].room.clone();
        let there = self
            .rooms
            .get_mut(&room)
            .expect("a session's room is there");
        if there.is_locked == locked {
            return Ok(());
        }
        there.is_locked = locked;
        self.tell_others(&room, None, &Event::RoomUpdated { locked });
        if !locked {
            self.set_deadline(now, Due::Fill(room));
        }
        Ok(())
    }

    fn require_moderator(&self, id: &SessionId) -> Result<(), Refusal> {
        if self.sessions[id].grants.moderate {
            return Ok(());
        }
        Err(refusal(
            ErrorCode::Forbidden,
            "only a moderator may do this",
        ))
    }
}
