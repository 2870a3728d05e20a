//! Entering and leaving a room.

use std::sync::Arc;
use std::time::Instant;

use serde_json::value::RawValue;

use crate::auth::{Claims, Grants, LEEWAY};
use crate::unix_time::UnixTime;

use super::code::{CloseCode, ErrorCode};
use super::event::{Event, IceServer, Leaving, ResumeTicket};
use super::limits;
use super::request::{Join, Mode, Refusal};
use super::rooms::{Answer, ConnectionId, Due, Output, Phase, Rooms, refusal};
use super::session::{Seat, Session, SessionId};
use super::waiting::Waiter;

impl Rooms {
    /// `join`: enters, queues, or says why not.
    pub(super) fn join(
        &mut self,
        now: Instant,
        unix_now: UnixTime,
        id: ConnectionId,
        re: Option<u64>,
        join: Box<Join>,
    ) -> Result<Answer, Refusal> {
        let connection = self.connections.get(&id).expect("it spoke");
        if !matches!(connection.phase, Phase::Greeted) {
            let message = "leave the room first";
            return Err(refusal(ErrorCode::AlreadyJoined, message));
        }
        let claims = connection.claims.clone();
        self.judge_claims(unix_now, claims.as_deref(), &join)?;
        let old = self.replaced(&join, claims.as_deref());
        // Who comes back to the same room is no newcomer, and has a place.
        let is_back = old
            .as_ref()
            .is_some_and(|old| *self.sessions[old].room == *join.room);
        let others = self.sessions.len() - usize::from(old.is_some());
        if others >= self.options.sessions {
            let message = "the server has no more places";
            return Err(refusal(ErrorCode::ServerFull, message));
        }
        let room: Arc<str> = join.room.as_str().into();
        let is_full = !is_back && self.is_closed(&room, claims.as_deref(), join.wait)?;
        let place = old.and_then(|old| self.replace(now, old, is_back));
        let waiter = Waiter {
            connection: id,
            re,
            join,
        };
        if is_full {
            self.wait(&room, waiter);
        } else {
            self.enter(now, unix_now, &room, waiter, place);
        }
        Ok(Answer::Given)
    }

    /// Judges what the token says about a `join`; a guest has none.
    fn judge_claims(
        &self,
        unix_now: UnixTime,
        claims: Option<&Claims>,
        join: &Join,
    ) -> Result<(), Refusal> {
        if let Some(claims) = claims {
            // The connection may be older than the token allows.
            if claims.expires.0.saturating_add(LEEWAY) <= unix_now.0 {
                return Err(refusal(ErrorCode::TokenExpired, "the token's time is over"));
            }
            if !claims.opens(&join.room) {
                let message = "the token is for another room";
                return Err(refusal(ErrorCode::WrongRoom, message));
            }
        }
        if join.mode == Some(Mode::Sfu) {
            let message = "rooms here are a mesh";
            return Err(refusal(ErrorCode::ModeUnavailable, message));
        }
        let room = self.rooms.get(&*join.room);
        let identity = claims.and_then(|claims| claims.identity.as_deref());
        if room.is_some_and(|room| room.has_barred(identity)) {
            return Err(refusal(ErrorCode::Kicked, BARRED));
        }
        Ok(())
    }

    /// Says whether a newcomer has to wait for a place.
    ///
    /// # Errors
    /// `room_locked`, or `room_full` when it does not want to or cannot wait.
    fn is_closed(&self, room: &str, claims: Option<&Claims>, wait: bool) -> Result<bool, Refusal> {
        let Some(there) = self.rooms.get(room) else {
            return Ok(false);
        };
        let may_moderate = claims.is_some_and(|claims| claims.grants.moderate);
        if there.is_locked && !may_moderate {
            let message = "a moderator locked the room";
            return Err(refusal(ErrorCode::RoomLocked, message));
        }
        // Before a locked room nobody is let in from the queue.
        let has_queue = !there.waiting.is_empty() && !there.is_locked;
        if there.members.len() < there.capacity && !has_queue {
            return Ok(false);
        }
        if !wait {
            let message = format!("the room has its {} people", there.capacity);
            return Err(refusal(ErrorCode::RoomFull, message));
        }
        if there.waiting.len() >= limits::WAITING {
            let message = "the room and its queue are full";
            return Err(refusal(ErrorCode::RoomFull, message));
        }
        Ok(true)
    }

    /// `leave`: ends the session, or the waiting; the connection stays.
    pub(super) fn leave(&mut self, now: Instant, id: ConnectionId) -> Result<(), Refusal> {
        let connection = self.connections.get_mut(&id).expect("it spoke");
        match std::mem::replace(&mut connection.phase, Phase::Greeted) {
            Phase::In(session) => self.end_session(now, &session, Leaving::Left),
            Phase::Waiting(room) => self.stop_waiting(now, &room, id),
            Phase::New { .. } | Phase::Greeted => {
                return Err(refusal(ErrorCode::NotJoined, "you are in no room"));
            }
        }
        Ok(())
    }

    /// Makes the session of a connection for which there is a place: the one it
    /// had, or the last.
    pub(super) fn enter(
        &mut self,
        now: Instant,
        unix_now: UnixTime,
        room: &Arc<str>,
        waiter: Waiter,
        place: Option<usize>,
    ) {
        let Waiter {
            connection,
            re,
            join,
        } = waiter;
        let id: SessionId = self.random_text::<12>().into();
        let secret = self.random_text::<18>();
        let claims = self.connections[&connection].claims.clone();
        let grants = claims
            .as_ref()
            .map_or(Grants::PARTICIPANT, |claims| claims.grants);
        let shown = claims.as_ref().and_then(|claims| claims.name.clone());
        let limit = claims.as_ref().and_then(|claims| claims.max_participants);
        let session = Session::new(Seat {
            id: id.clone(),
            secret,
            room: room.clone(),
            connection,
            claims,
            name: join.name.or(shown).unwrap_or_else(|| GUEST.to_owned()),
            grants,
            state: join.state.unwrap_or_else(empty_state),
            refresh_at: now + self.refresh_after(),
        });
        self.set_deadline(session.refresh_at, Due::Refresh(id.clone()));
        self.sessions.insert(id.clone(), session);
        let capacity = self.capacity(limit);
        let there = self.rooms.entry(room.clone()).or_default();
        if there.members.is_empty() {
            there.capacity = capacity;
        }
        let place = place.map_or(there.members.len(), |place| place.min(there.members.len()));
        there.members.insert(place, id.clone());
        let member = self.connections.get_mut(&connection).expect("it waited");
        member.phase = Phase::In(id.clone());
        self.output(Output::SessionStarted {
            session: id.clone(),
            room: room.clone(),
        });
        self.choose_moderator(room, Some(&id));
        self.introduce(unix_now, &id, re);
    }

    /// Tells somebody who is there, and those that somebody came.
    fn introduce(&mut self, unix_now: UnixTime, id: &SessionId, re: Option<u64>) {
        let session = &self.sessions[id];
        let room = session.room.clone();
        let there = &self.rooms[&room];
        let peers = there.members.iter().filter(|member| *member != id);
        let joined = Event::Joined {
            re,
            room: &room,
            you: session.person(),
            peers: peers.map(|peer| self.sessions[peer].person()).collect(),
            tracks: [],
            mode: "mesh",
            locked: there.is_locked,
            ice_servers: &self.ice_servers(id, unix_now),
            ttl: self.ttl(),
            resume: ResumeTicket {
                id,
                secret: &session.secret,
            },
        };
        let joined = joined.text();
        let came = Event::PeerJoined {
            peer: session.person(),
        };
        let came = came.text();
        self.tell(id, &joined);
        self.tell_text(&room, Some(id), &came);
    }

    /// Ends a session: its place, its credentials, and what peers know of it.
    pub(super) fn end_session(&mut self, now: Instant, id: &SessionId, reason: Leaving) {
        if let Some((room, _)) = self.remove_session(id, reason) {
            self.choose_moderator(&room, None);
            self.vacate(now, &room);
        }
    }

    /// Takes a session out of its room; returns both the room and the place it had.
    fn remove_session(&mut self, id: &SessionId, reason: Leaving) -> Option<(Arc<str>, usize)> {
        let session = self.sessions.remove(id)?;
        self.clear(session.refresh_at, Due::Refresh(id.clone()));
        if let Some(at) = session.gone_at {
            self.clear(at, Due::Gone(id.clone()));
        }
        let room = session.room;
        let there = self.rooms.get_mut(&room)?;
        let place = there.members.iter().position(|member| member == id)?;
        there.members.remove(place);
        there.generations.retain(|(a, b), _| a != id && b != id);
        self.output(Output::SessionEnded {
            session: id.clone(),
            room: room.clone(),
        });
        self.tell_others(&room, None, &Event::PeerLeft { peer: id, reason });
        Some((room, place))
    }

    /// Sends fresh credentials at half of the life of the last.
    pub(super) fn refresh(&mut self, now: Instant, unix_now: UnixTime, id: &SessionId) {
        let refresh_at = now + self.refresh_after();
        let Some(session) = self.sessions.get_mut(id) else {
            return;
        };
        session.refresh_at = refresh_at;
        self.set_deadline(refresh_at, Due::Refresh(id.clone()));
        let event = Event::IceServers {
            ice_servers: &self.ice_servers(id, unix_now),
            ttl: self.ttl(),
        };
        self.tell(id, &event.text());
    }

    /// Returns the earlier session of the same page, or one of the same identity
    /// whose client is away: who comes back finds no ghost of itself.
    fn replaced(&self, join: &Join, claims: Option<&Claims>) -> Option<SessionId> {
        let named = join.replaces.as_ref().and_then(|r| self.owned_session(r));
        if let Some(named) = named {
            return Some(named.id.clone());
        }
        let identity = claims?.identity.as_deref()?;
        let members = &self.rooms.get(&*join.room)?.members;
        let is_ghost = |id: &&SessionId| {
            let session = &self.sessions[*id];
            session.connection.is_none() && session.identity() == Some(identity)
        };
        members.iter().find(is_ghost).cloned()
    }

    /// Ends a session for the one that takes its place, when it stays in the room.
    fn replace(&mut self, now: Instant, old: SessionId, keeps_place: bool) -> Option<usize> {
        let connection = self.sessions.get(&old)?.connection;
        let place = if keeps_place {
            let removed = self.remove_session(&old, Leaving::Replaced);
            removed.map(|(_, place)| place)
        } else {
            self.end_session(now, &old, Leaving::Replaced);
            None
        };
        if let Some(connection) = connection {
            self.connections.remove(&connection);
            let code = CloseCode::Replaced;
            self.output(Output::Close { connection, code });
        }
        place
    }

    /// Lets the guest who is longest there moderate as long as nobody does by
    /// token. `newcomer` learns of itself by `joined`.
    fn choose_moderator(&mut self, room: &Arc<str>, newcomer: Option<&SessionId>) {
        let Some(there) = self.rooms.get(room) else {
            return;
        };
        let members = || there.members.iter().map(|id| &self.sessions[id]);
        let by_token = |session: &Session| session.claims.is_some() && session.grants.moderate;
        let is_moderated = members().any(by_token);
        let chosen = members()
            .find(|session| session.claims.is_none())
            .filter(|_| !is_moderated)
            .map(|session| session.id.clone());
        let is_wrong = |session: &&Session| {
            let is_chosen = chosen.as_ref() == Some(&session.id);
            session.claims.is_none() && session.grants.moderate != is_chosen
        };
        let wrong = members().filter(is_wrong);
        let wrong: Vec<_> = wrong.map(|session| session.id.clone()).collect();
        for id in wrong {
            let session = self.sessions.get_mut(&id).expect("members have sessions");
            session.grants.moderate = !session.grants.moderate;
            if newcomer == Some(&id) {
                continue;
            }
            let event = Event::PeerUpdated {
                peer: &id,
                name: None,
                state: None,
                grants: Some(session.grants.names()),
            };
            let text = event.text();
            self.tell_text(room, newcomer.map(|id| &**id), &text);
        }
    }

    /// Returns how many people a room holds: without an SFU a mesh is all there is.
    fn capacity(&self, token: Option<u32>) -> usize {
        let own = self.options.max_participants.min(self.options.mesh_up_to);
        let capacity = token.map_or(own, |token| token.min(own));
        usize::try_from(capacity.max(1)).unwrap_or(usize::MAX)
    }

    fn ice_servers(&self, id: &SessionId, unix_now: UnixTime) -> Vec<IceServer> {
        let mut servers = Vec::new();
        if !self.options.stun_urls.is_empty() {
            servers.push(IceServer {
                urls: self.options.stun_urls.clone(),
                username: None,
                credential: None,
            });
        }
        if let Some(credentials) = &self.options.credentials
            && !self.options.turn_urls.is_empty()
        {
            let issued = credentials.issue(id, unix_now);
            servers.push(IceServer {
                urls: self.options.turn_urls.clone(),
                username: Some(issued.username),
                credential: Some(issued.password),
            });
        }
        servers
    }

    /// Returns the life of credentials in seconds.
    fn ttl(&self) -> u64 {
        let credentials = self.options.credentials.as_ref();
        credentials.map_or(NO_RELAY_TTL, |c| c.ttl().as_secs())
    }

    fn refresh_after(&self) -> std::time::Duration {
        std::time::Duration::from_secs((self.ttl() / 2).max(1))
    }
}

fn empty_state() -> Box<RawValue> {
    RawValue::from_string("{}".to_owned()).expect("an object")
}

/// What somebody who was sent out is told.
pub(super) const BARRED: &str = "you were sent out of this room";

/// Whoever gives no name.
const GUEST: &str = "Guest";

/// Nothing ends where no relay is announced; one day is as good as any.
const NO_RELAY_TTL: u64 = 86_400;
