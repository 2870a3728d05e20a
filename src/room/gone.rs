//! Sessions without a connection: they wait, come back, or end.

use std::time::Instant;

use subtle::ConstantTimeEq as _;

use super::code::{CloseCode, ErrorCode};
use super::event::{Event, Resumed};
use super::limits;
use super::request::{Refusal, Resume};
use super::rooms::{ConnectionId, Due, Output, Phase, Rooms, refusal};
use super::session::{Session, SessionId};

impl Rooms {
    /// Takes the connection away from a session, which waits for another.
    pub(super) fn detach(&mut self, now: Instant, id: &SessionId, last_id: u64) {
        let Some(session) = self.sessions.get_mut(id) else {
            return;
        };
        let gone_at = now + limits::RESUME;
        session.connection = None;
        session.gone_at = Some(gone_at);
        session.last_id = last_id;
        let room = session.room.clone();
        self.set_deadline(gone_at, Due::Gone(id.clone()));
        // At the end everybody goes, and nobody has to hear of each.
        if !self.is_draining {
            self.tell_others(&room, Some(id), &Event::PeerAway { peer: id });
        }
    }

    /// Goes on with a session on a new connection: the newest wins.
    pub(super) fn resume(
        &mut self,
        connection: ConnectionId,
        re: Option<u64>,
        resume: &Resume,
    ) -> Result<(), Refusal> {
        let gone = || {
            refusal(
                ErrorCode::SessionGone,
                "there is nothing to resume; join anew",
            )
        };
        let session = self.owned_session(resume).ok_or_else(gone)?;
        let missed = session.missed(resume.last_seq).ok_or_else(gone)?;
        let (id, claims) = (session.id.clone(), session.claims.clone());
        let (room, before) = (session.room.clone(), session.connection);
        if let Some(before) = before {
            self.take_over(&id, before);
        }
        let session = self.sessions.get_mut(&id).expect("found above");
        session.connection = Some(connection);
        let gone_at = session.gone_at.take();
        let last_id = session.last_id;
        if let Some(at) = gone_at {
            self.clear(at, Due::Gone(id.clone()));
        }
        self.greet(connection, claims, Phase::In(id.clone()));
        let there = self.connections.get_mut(&connection).expect("greeted");
        // What was lost is sent again with the numbers it had: `hello`, which came
        // before it, is not counted.
        there.last_id = last_id;
        if let Some(re) = re {
            let resumed = Some(Resumed { last_id });
            self.send(connection, &Event::Ok { re, resumed });
        }
        for text in missed {
            self.send_again(connection, text);
        }
        if gone_at.is_some() {
            self.tell_others(&room, Some(&id), &Event::PeerBack { peer: &id });
        }
        Ok(())
    }

    /// Returns the session that `resume` proves to be one's own.
    pub(super) fn owned_session(&self, resume: &Resume) -> Option<&Session> {
        let session = self.sessions.get(&*resume.id)?;
        let is_own = session.secret.as_bytes().ct_eq(resume.secret.as_bytes());
        bool::from(is_own).then_some(session)
    }

    /// Closes the older connection of a session, which keeps its place.
    fn take_over(&mut self, id: &SessionId, before: ConnectionId) {
        if let Some(older) = self.connections.remove(&before) {
            let session = self.sessions.get_mut(id).expect("it has a connection");
            session.last_id = older.last_id;
        }
        self.output(Output::Close {
            connection: before,
            code: CloseCode::Replaced,
        });
    }
}
