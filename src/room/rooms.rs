//! All rooms, sessions and connections: where requests come in and outputs go out.
//!
//! One request at a time, under the driver's lock. What a kind of request does is
//! in the file of its subject; this one owns the tables and sends.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

use crate::auth::{Claims, SessionCredentials, TokenError};
use crate::unix_time::UnixTime;

use super::code::{CloseCode, ErrorCode};
use super::event::{Event, Leaving};
use super::limits;
use super::rate::Bucket;
use super::request::{Body, Refusal, Request};
use super::session::{Session, SessionId};
use super::waiting::Waiter;

/// Settings of all rooms.
#[derive(Clone)]
pub struct Options {
    /// People in one room.
    pub max_participants: u32,
    /// People up to which a room is a mesh, which without an SFU is the most.
    pub mesh_up_to: u32,
    /// Whether people enter without a token.
    pub guests: bool,
    /// Sessions together.
    pub sessions: usize,
    /// `stun:` URLs.
    pub stun_urls: Vec<String>,
    /// `turn:` and `turns:` URLs.
    pub turn_urls: Vec<String>,
    /// Makes TURN credentials; without it no relay is announced.
    pub credentials: Option<SessionCredentials>,
}

/// One WebSocket, as the driver numbers them.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ConnectionId(pub u64);

/// What became of the token in a `hello`; `None` when there was none.
pub type Verdict = Option<Result<Claims, TokenError>>;

/// What the driver has to do, in order.
#[derive(Clone, Debug)]
pub enum Output {
    /// Send a text message.
    Send {
        /// To whom.
        connection: ConnectionId,
        /// JSON, in UTF-8.
        text: Bytes,
    },
    /// Close a connection after what was sent; it is forgotten here.
    Close {
        /// Which.
        connection: ConnectionId,
        /// Why.
        code: CloseCode,
    },
    /// From now on the TURN credentials of a session are good.
    SessionStarted {
        /// Its id.
        session: Arc<str>,
        /// Its room.
        room: Arc<str>,
    },
    /// They are no longer, and its allocations end.
    SessionEnded {
        /// Its id.
        session: Arc<str>,
        /// Its room.
        room: Arc<str>,
    },
}

/// The state machine.
pub struct Rooms {
    pub(super) options: Options,
    rng: StdRng,
    pub(super) connections: BTreeMap<ConnectionId, Connection>,
    pub(super) sessions: BTreeMap<SessionId, Session>,
    pub(super) rooms: BTreeMap<Arc<str>, Room>,
    deadlines: BTreeSet<(Instant, Due)>,
    pub(super) outputs: VecDeque<Output>,
    pub(super) is_draining: bool,
}

pub(super) struct Connection {
    rate: Bucket,
    refused: u32,
    pub(super) last_id: u64,
    pub(super) claims: Option<Arc<Claims>>,
    pub(super) phase: Phase,
}

/// How far a connection has come.
#[derive(Clone)]
pub(super) enum Phase {
    /// Has not said who it is.
    New { hello_by: Instant },
    /// May join.
    Greeted,
    /// Queues for this room.
    Waiting(Arc<str>),
    /// Is in a room.
    In(SessionId),
}

#[derive(Default)]
pub(super) struct Room {
    /// In the order they came.
    pub(super) members: Vec<SessionId>,
    pub(super) waiting: VecDeque<Waiter>,
    pub(super) is_locked: bool,
    pub(super) capacity: usize,
    /// Identities that were sent out, the oldest first.
    pub(super) barred: VecDeque<String>,
    /// Generations above 1, the lower id first.
    pub(super) generations: BTreeMap<(SessionId, SessionId), u32>,
}

impl Room {
    /// Keeps an identity out as long as the room lives.
    pub(super) fn bar(&mut self, identity: &str) {
        if self.has_barred(Some(identity)) {
            return;
        }
        if self.barred.len() >= limits::BARRED {
            self.barred.pop_front();
        }
        self.barred.push_back(identity.to_owned());
    }

    pub(super) fn has_barred(&self, identity: Option<&str>) -> bool {
        identity.is_some_and(|identity| self.barred.iter().any(|barred| barred == identity))
    }
}

#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Due {
    Hello(ConnectionId),
    Gone(SessionId),
    Refresh(SessionId),
    /// Somebody may enter the room from its queue.
    Fill(Arc<str>),
}

impl Rooms {
    /// Makes a server without anybody. `seed` is for ids and secrets.
    #[must_use]
    pub fn new(options: Options, seed: [u8; 32]) -> Self {
        Self {
            options,
            rng: StdRng::from_seed(seed),
            connections: BTreeMap::new(),
            sessions: BTreeMap::new(),
            rooms: BTreeMap::new(),
            deadlines: BTreeSet::new(),
            outputs: VecDeque::new(),
            is_draining: false,
        }
    }

    /// Takes new settings over; whoever is in a room stays.
    pub fn set_options(&mut self, options: Options) {
        self.options = options;
    }

    /// Returns how many sessions there are.
    #[must_use]
    pub fn sessions(&self) -> usize {
        self.sessions.len()
    }

    /// Returns how many rooms there are.
    #[must_use]
    pub fn rooms(&self) -> usize {
        self.rooms.len()
    }

    /// Greets a new connection. Its id was never used before.
    pub fn handle_connected(&mut self, now: Instant, connection: ConnectionId) {
        if self.is_draining {
            self.send_draining(connection);
            let code = CloseCode::Draining;
            self.outputs.push_back(Output::Close { connection, code });
            return;
        }
        let hello_by = now + limits::HELLO;
        let new = Connection {
            rate: Bucket::new(now),
            refused: 0,
            last_id: 0,
            claims: None,
            phase: Phase::New { hello_by },
        };
        self.connections.insert(connection, new);
        self.deadlines.insert((hello_by, Due::Hello(connection)));
        self.send(connection, &Event::welcome());
    }

    /// Carries a request out. `verdict` is that on the token of a `hello`.
    pub fn handle_request(
        &mut self,
        now: Instant,
        unix_now: UnixTime,
        connection: ConnectionId,
        request: Result<Request, Refusal>,
        verdict: Verdict,
    ) {
        let Some(id) = self.admit(now, connection, &request) else {
            return;
        };
        let result =
            request.and_then(|request| self.carry_out(now, unix_now, connection, request, verdict));
        match result {
            Ok(Answer::Ok) => self.reply_ok(connection, id),
            Ok(Answer::Given) => {}
            Err(refusal) => self.refuse(connection, id, &refusal),
        }
    }

    /// Notes that a connection has ended; `is_goodbye` when its client said so.
    pub fn handle_disconnected(
        &mut self,
        now: Instant,
        connection: ConnectionId,
        is_goodbye: bool,
    ) {
        let Some(gone) = self.connections.remove(&connection) else {
            return;
        };
        match gone.phase {
            Phase::New { hello_by } => self.clear(hello_by, Due::Hello(connection)),
            Phase::Greeted => {}
            Phase::Waiting(room) => self.stop_waiting(now, &room, connection),
            Phase::In(session) if is_goodbye => self.end_session(now, &session, Leaving::Left),
            Phase::In(session) => self.detach(now, &session, gone.last_id),
        }
    }

    /// Closes a connection that does not read what it is sent.
    pub fn connection_slow(&mut self, now: Instant, connection: ConnectionId) {
        self.close(now, connection, CloseCode::Rate);
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Instant, unix_now: UnixTime) {
        while let Some((at, _)) = self.deadlines.first()
            && *at <= now
        {
            let (_, due) = self.deadlines.pop_first().expect("it was there");
            match due {
                Due::Hello(connection) => self.close(now, connection, CloseCode::Protocol),
                Due::Gone(session) => self.end_session(now, &session, Leaving::Lost),
                Due::Refresh(session) => self.refresh(now, unix_now, &session),
                Due::Fill(room) => self.fill(now, unix_now, &room),
            }
        }
    }

    /// Returns when [`Self::handle_timeout`] is to be called.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.deadlines.first().map(|(at, _)| *at)
    }

    /// Returns the next thing to do.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// Tells everybody that the server stops, and closes.
    pub fn handle_drain(&mut self, now: Instant) {
        self.is_draining = true;
        let all: Vec<ConnectionId> = self.connections.keys().copied().collect();
        for connection in all {
            self.send_draining(connection);
            self.close(now, connection, CloseCode::Draining);
        }
    }

    /// Judges whether a request is looked at. Returns the number to answer.
    fn admit(
        &mut self,
        now: Instant,
        id: ConnectionId,
        request: &Result<Request, Refusal>,
    ) -> Option<Option<u64>> {
        let connection = self.connections.get_mut(&id)?;
        let re = match request {
            Ok(request) => request.id,
            Err(refusal) => refusal.id,
        };
        let Err(retry_after) = connection.rate.take(now) else {
            connection.refused = 0;
            return Some(re);
        };
        connection.refused += 1;
        if connection.refused >= limits::REFUSED {
            self.close(now, id, CloseCode::Rate);
            return None;
        }
        // Not kept for a resume: it was not carried out, and comes again.
        let refusal = Event::Error {
            re,
            code: ErrorCode::RateLimited,
            message: "too many messages",
            retry_after_ms: Some(retry_after),
            fatal: false,
        };
        self.send(id, &refusal);
        None
    }

    fn carry_out(
        &mut self,
        now: Instant,
        unix_now: UnixTime,
        id: ConnectionId,
        request: Request,
        verdict: Verdict,
    ) -> Result<Answer, Refusal> {
        let connection = self.connections.get_mut(&id).expect("admitted");
        if let Some(number) = request.id {
            if number <= connection.last_id {
                let last = connection.last_id;
                let message = format!("id {number} is not higher than {last}, the last one");
                return Err(refusal(ErrorCode::BadMessage, message));
            }
            connection.last_id = number;
        }
        let phase = connection.phase.clone();
        if let (Phase::In(session), Some(from)) = (&phase, &request.from)
            && **from != **session
        {
            return Err(refusal(ErrorCode::ForgedSender, "from is not your own id"));
        }
        match (request.body, phase) {
            (Body::Hello(hello), Phase::New { .. }) => self.hello(id, request.id, &hello, verdict),
            (_, Phase::New { .. }) => Err(refusal(ErrorCode::HelloRequired, "say hello first")),
            (Body::Hello(_), _) => Err(refusal(ErrorCode::BadMessage, "hello was said already")),
            (Body::Ping, _) => {
                self.send(id, &Event::Pong { re: request.id });
                Ok(Answer::Given)
            }
            (Body::Join(join), _) => self.join(now, unix_now, id, request.id, join),
            (Body::Leave, _) => self.leave(now, id).map(|()| Answer::Ok),
            (body, Phase::In(session)) => self.in_room(now, unix_now, &session, body),
            (_, Phase::Greeted | Phase::Waiting(_)) => {
                Err(refusal(ErrorCode::NotJoined, "join a room first"))
            }
        }
    }

    fn in_room(
        &mut self,
        now: Instant,
        unix_now: UnixTime,
        session: &SessionId,
        body: Body,
    ) -> Result<Answer, Refusal> {
        match body {
            Body::Sdp {
                kind,
                to,
                generation,
                sdp,
            } => self.relay_sdp(session, &to, generation, kind, &sdp),
            Body::Ice {
                to,
                generation,
                candidates,
            } => self.relay_ice(session, &to, generation, &candidates),
            Body::Chat { text, to } => self.chat(unix_now, session, &text, to.as_deref()),
            Body::Set { name, state } => {
                self.set(session, name, state);
                Ok(())
            }
            Body::Mute { peer, kind } => self.mute(session, &peer, kind),
            Body::Kick { peer, reason } => self.kick(now, session, &peer, reason.as_deref()),
            Body::Lock { locked } => self.lock(now, session, locked),
            Body::Hello(_) | Body::Join(_) | Body::Leave | Body::Ping => {
                unreachable!("carried out above")
            }
        }?;
        Ok(Answer::Ok)
    }

    pub(super) fn output(&mut self, output: Output) {
        self.outputs.push_back(output);
    }

    /// Closes from our side; the session of the connection goes on without it.
    pub(super) fn close(&mut self, now: Instant, connection: ConnectionId, code: CloseCode) {
        if self.connections.contains_key(&connection) {
            self.handle_disconnected(now, connection, false);
            self.outputs.push_back(Output::Close { connection, code });
        }
    }

    pub(super) fn set_deadline(&mut self, at: Instant, due: Due) {
        self.deadlines.insert((at, due));
    }

    pub(super) fn clear(&mut self, at: Instant, due: Due) {
        self.deadlines.remove(&(at, due));
    }

    /// Makes a text that nobody can guess, from `N` random bytes.
    pub(super) fn random_text<const N: usize>(&mut self) -> String {
        let mut bytes = [0; N];
        self.rng.fill_bytes(&mut bytes);
        URL_SAFE_NO_PAD.encode(bytes)
    }
}

/// How a request was answered.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Answer {
    /// `ok` is to be sent, if it has a number.
    Ok,
    /// It was.
    Given,
}

pub(super) fn refusal(code: ErrorCode, message: impl Into<String>) -> Refusal {
    Refusal {
        id: None,
        code,
        message: message.into(),
    }
}
