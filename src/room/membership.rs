//! Entering and leaving a room.

use std::sync::Arc;
use std::time::Instant;

use serde_json::value::RawValue;

use crate::auth::Grants;
use crate::unix_time::UnixTime;

use super::code::ErrorCode;
use super::event::{Event, IceServer, Leaving, ResumeTicket};
use super::request::{Join, Mode, Refusal};
use super::rooms::{Answer, ConnectionId, Due, Output, Phase, Room, Rooms, refusal};
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
            return Err(refusal(ErrorCode::AlreadyJoined, "leave the room first"));
        }
        let claims = connection.claims.clone();
        if claims
            .as_ref()
            .is_some_and(|claims| !claims.opens(&join.room))
        {
            return Err(refusal(
                ErrorCode::WrongRoom,
                "the token is for another room",
            ));
        }
        if join.mode == Some(Mode::Sfu) {
            return Err(refusal(ErrorCode::ModeUnavailable, "rooms here are a mesh"));
        }
        let identity = claims
            .as_ref()
            .and_then(|claims| claims.identity.as_deref());
        self.replace(now, &join, identity);
        if self.sessions.len() >= self.options.sessions {
            return Err(refusal(
                ErrorCode::ServerFull,
                "the server has no more places",
            ));
        }
        let room: Arc<str> = join.room.as_str().into();
        let may_moderate = claims.as_ref().is_some_and(|claims| claims.grants.moderate);
        let limit = claims.as_ref().and_then(|claims| claims.max_participants);
        let capacity = self.capacity(limit);
        let there = self.rooms.entry(room.clone()).or_insert_with(|| Room {
            capacity,
            ..Room::default()
        });
        if identity.is_some_and(|identity| there.barred.iter().any(|barred| barred == identity)) {
            return Err(refusal(ErrorCode::Kicked, "you were sent out of this room"));
        }
        if there.is_locked && !may_moderate {
            return Err(refusal(
                ErrorCode::RoomLocked,
                "a moderator locked the room",
            ));
        }
        let is_full = there.members.len() >= there.capacity || !there.waiting.is_empty();
        if is_full && !join.wait {
            let message = format!("the room has its {} people", there.capacity);
            return Err(refusal(ErrorCode::RoomFull, message));
        }
        let waiter = Waiter {
            connection: id,
            re,
            join,
        };
        if is_full {
            self.wait(&room, waiter)?;
        } else {
            self.enter(now, unix_now, &room, waiter);
        }
        Ok(Answer::Given)
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

    /// Makes the session of a connection for which there is a place.
    pub(super) fn enter(
        &mut self,
        now: Instant,
        unix_now: UnixTime,
        room: &Arc<str>,
        waiter: Waiter,
    ) {
        let Waiter {
            connection,
            re,
            join,
        } = waiter;
        let id: SessionId = self.random_text::<12>().into();
        let secret = self.random_text::<18>();
        let claims = self.connections[&connection].claims.clone();
        let granted = claims
            .as_ref()
            .map_or(Grants::PARTICIPANT, |claims| claims.grants);
        let shown = claims.as_ref().and_then(|claims| claims.name.clone());
        let name = join.name.or(shown).unwrap_or_else(|| GUEST.to_owned());
        let mut session = Session::new(Seat {
            id: id.clone(),
            secret,
            room: room.clone(),
            connection,
            claims,
            name,
            grants: granted,
            state: join.state.unwrap_or_else(empty_state),
            refresh_at: now + self.refresh_after(),
        });
        session.grants.moderate |= session.claims.is_none() && !self.is_moderated(room);
        self.set_deadline(session.refresh_at, Due::Refresh(id.clone()));
        self.output(Output::SessionStarted {
            session: id.clone(),
            room: room.clone(),
        });
        let ice_servers = self.ice_servers(&id, unix_now);
        let there = self.rooms.get_mut(room).expect("the caller has it");
        let peers = there
            .members
            .iter()
            .map(|peer| self.sessions[peer].person());
        let joined = Event::Joined {
            re,
            room,
            you: session.person(),
            peers: peers.collect(),
            tracks: [],
            mode: "mesh",
            locked: there.is_locked,
            ice_servers: &ice_servers,
            ttl: self.ttl(),
            resume: ResumeTicket {
                id: &id,
                secret: &session.secret,
            },
        };
        let joined = joined.text();
        let came = Event::PeerJoined {
            peer: session.person(),
        };
        let came = came.text();
        self.tell_text(room, None, &came);
        self.sessions.insert(id.clone(), session);
        let there = self.rooms.get_mut(room).expect("the caller has it");
        there.members.push(id.clone());
        let member = self.connections.get_mut(&connection).expect("it waited");
        member.phase = Phase::In(id.clone());
        self.tell(&id, &joined);
    }

    /// Ends a session: its place, its credentials, and what peers know of it.
    pub(super) fn end_session(&mut self, now: Instant, id: &SessionId, reason: Leaving) {
        let Some(session) = self.sessions.remove(id) else {
            return;
        };
        self.clear(session.refresh_at, Due::Refresh(id.clone()));
        if let Some(at) = session.gone_at {
            self.clear(at, Due::Gone(id.clone()));
        }
        let room = session.room;
        if let Some(there) = self.rooms.get_mut(&room) {
            there.members.retain(|member| member != id);
            there.generations.retain(|(a, b), _| a != id && b != id);
        }
        self.output(Output::SessionEnded {
            session: id.clone(),
            room: room.clone(),
        });
        self.tell_others(&room, None, &Event::PeerLeft { peer: id, reason });
        self.promote(&room);
        self.vacate(now, &room);
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

    /// Ends the earlier session of the same page, or of the same identity when
    /// its client is away: one who comes back finds no ghost of itself.
    fn replace(&mut self, now: Instant, join: &Join, identity: Option<&str>) {
        let named = join.replaces.as_ref().and_then(|r| self.owned_session(r));
        let ghost = || {
            let members = &self.rooms.get(&*join.room)?.members;
            let mut members = members.iter().map(|id| &self.sessions[id]);
            members.find(|session| {
                session.connection.is_none() && identity.is_some() && session.identity() == identity
            })
        };
        let Some(old) = named.or_else(ghost) else {
            return;
        };
        let (id, connection) = (old.id.clone(), old.connection);
        self.end_session(now, &id, Leaving::Replaced);
        if let Some(connection) = connection {
            self.connections.remove(&connection);
            self.output(Output::Close {
                connection,
                code: super::code::CloseCode::Replaced,
            });
        }
    }

    /// Lets the guest who is longest there moderate when nobody does.
    fn promote(&mut self, room: &Arc<str>) {
        if self.is_moderated(room) {
            return;
        }
        let Some(there) = self.rooms.get(room) else {
            return;
        };
        let is_guest = |id: &&SessionId| self.sessions[*id].claims.is_none();
        let Some(id) = there.members.iter().find(is_guest).cloned() else {
            return;
        };
        let session = self.sessions.get_mut(&id).expect("members have sessions");
        session.grants.moderate = true;
        let event = Event::PeerUpdated {
            peer: &id,
            name: None,
            state: None,
            grants: Some(session.grants.names()),
        };
        self.tell_others(room, None, &event);
    }

    fn is_moderated(&self, room: &Arc<str>) -> bool {
        self.rooms.get(room).is_some_and(|there| {
            let mut members = there.members.iter();
            members.any(|id| self.sessions[id].grants.moderate)
        })
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

/// Whoever gives no name.
const GUEST: &str = "Guest";

/// Nothing ends where no relay is announced; one day is as good as any.
const NO_RELAY_TTL: u64 = 86_400;
