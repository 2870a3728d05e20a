//! The one core of all rooms behind a lock, and who is connected to it.
//!
//! A message is parsed and its token verified outside the lock; inside, the core
//! decides and its outputs are put into outboxes. Nothing waits while the lock is
//! held, and no media ever passes here.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{Notify, watch};
use tokio_tungstenite::tungstenite::Utf8Bytes;
use tracing::{debug, info};

use crate::auth::Tokens;
use crate::clock;
use crate::redact::Redacted;
use crate::room::limits;
use crate::room::{self, Body, CloseCode, ConnectionId, Output, Refusal, Request, Rooms, Verdict};
use crate::unix_time::UnixTime;
use crate::worker::WorkerHandle;

use super::live::LiveSessions;
use super::outbox::{Closing, Outbox};
use super::revocation::Revocations;
use super::socket::{self, End};
use super::timer;

/// What a hub is made from.
pub struct Options {
    /// Settings of the core.
    pub rooms: room::Options,
    /// Who may enter.
    pub tokens: Tokens,
}

/// Whom a WebSocket belongs to.
#[derive(Clone, Copy, Debug)]
pub struct Client {
    /// Where it comes from.
    pub address: SocketAddr,
}

/// How much there is at this moment.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Size {
    /// WebSockets.
    pub connections: usize,
    /// People in rooms, those whose socket was lost a moment ago too.
    pub sessions: usize,
    /// Rooms with somebody in them.
    pub rooms: usize,
}

/// Brings people of a room together.
pub struct Hub {
    state: Mutex<State>,
    tokens: ArcSwap<Tokens>,
    live: Arc<LiveSessions>,
    /// The next timeout may have come closer.
    sooner: Notify,
}

struct State {
    rooms: Rooms,
    connections: HashMap<ConnectionId, Arc<Outbox>>,
    next_connection: u64,
    revocations: Revocations,
    /// Whether revocations wait for a worker with a full mailbox.
    is_behind: bool,
}

impl Hub {
    /// Makes a hub without anybody. `live` is what workers ask about sessions.
    #[must_use]
    pub fn new(
        options: Options,
        seed: [u8; 32],
        live: Arc<LiveSessions>,
        workers: Arc<Vec<WorkerHandle>>,
    ) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(State {
                rooms: Rooms::new(options.rooms, seed),
                connections: HashMap::new(),
                next_connection: 0,
                revocations: Revocations::new(workers),
                is_behind: false,
            }),
            tokens: ArcSwap::from_pointee(options.tokens),
            live,
            sooner: Notify::new(),
        })
    }

    /// Takes over new settings after a reload; whoever is in a room stays.
    pub fn set_options(&self, options: Options) {
        self.tokens.store(Arc::new(options.tokens));
        self.turn(|rooms, _, _| rooms.set_options(options.rooms));
    }

    /// Returns how much there is.
    #[must_use]
    pub fn size(&self) -> Size {
        let state = self.lock();
        Size {
            connections: state.connections.len(),
            sessions: state.rooms.sessions(),
            rooms: state.rooms.rooms(),
        }
    }

    /// Runs one WebSocket after its upgrade, until it ends.
    pub async fn serve(
        self: Arc<Self>,
        io: impl AsyncRead + AsyncWrite + Unpin + Send,
        client: Client,
    ) {
        let (connection, outbox) = self.connect();
        debug!(client = %Redacted(client.address), ?connection, "WebSocket opened");
        let end = socket::run(io, SOCKET, &outbox, |text| self.receive(connection, text)).await;
        self.disconnect(connection, end);
        debug!(?connection, ?end, "WebSocket ended");
    }

    /// Runs the timers until `stop` changes.
    pub async fn run(self: Arc<Self>, stop: watch::Receiver<bool>) {
        timer::run(
            stop,
            &self.sooner,
            || self.next_timeout(),
            || self.turn(Rooms::handle_timeout),
        )
        .await;
    }

    /// Tells everybody to come back later, and closes their WebSockets.
    pub fn drain(&self) {
        self.turn(|rooms, now, _| rooms.handle_drain(now));
    }

    fn connect(&self) -> (ConnectionId, Arc<Outbox>) {
        let outbox = Arc::new(Outbox::default());
        let connection = {
            let mut state = self.lock();
            let connection = ConnectionId(state.next_connection);
            state.next_connection += 1;
            state.connections.insert(connection, Arc::clone(&outbox));
            connection
        };
        self.turn(|rooms, now, _| rooms.handle_connected(now, connection));
        (connection, outbox)
    }

    fn receive(&self, connection: ConnectionId, text: &str) {
        let request = room::parse(text);
        let verdict = self.verify(&request);
        self.turn(|rooms, now, unix_now| {
            rooms.handle_request(now, unix_now, connection, request, verdict);
        });
    }

    /// Verifies the token of a `hello`: a signature takes longer than the lock
    /// should be held.
    fn verify(&self, request: &Result<Request, Refusal>) -> Verdict {
        let Ok(Request {
            body: Body::Hello(hello),
            ..
        }) = request
        else {
            return None;
        };
        let token = hello.token.as_deref()?;
        Some(self.tokens.load().verify(token, clock::unix_now()))
    }

    fn disconnect(&self, connection: ConnectionId, end: End) {
        let is_clean = end == End::Goodbye;
        self.lock().connections.remove(&connection);
        self.turn(|rooms, now, _| rooms.handle_disconnected(now, connection, is_clean));
    }

    /// Lets the core work, and carries out what it says.
    fn turn(&self, work: impl FnOnce(&mut Rooms, Instant, UnixTime)) {
        let (now, unix_now) = (clock::now(), clock::unix_now());
        let mut state = self.lock();
        let before = state.rooms.poll_timeout();
        work(&mut state.rooms, now, unix_now);
        state.carry_out(now, &self.live);
        let after = state.rooms.poll_timeout();
        let is_sooner = timer::is_sooner(before, after);
        let is_behind = state.is_behind;
        drop(state);
        if is_sooner || is_behind {
            self.sooner.notify_one();
        }
    }

    fn next_timeout(&self) -> Option<Instant> {
        let state = self.lock();
        let retry = state.is_behind.then(|| clock::now() + RETRY);
        [state.rooms.poll_timeout(), retry]
            .into_iter()
            .flatten()
            .min()
    }

    // The core keeps its invariants after every call; a panic in one is a fault of
    // that call, and everybody else's calls go on.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn carry_out(&mut self, now: Instant, live: &LiveSessions) {
        while let Some(output) = self.rooms.poll_output() {
            match output {
                Output::Send { connection, text } => self.send(now, connection, text),
                Output::Close { connection, code } => self.close(connection, code),
                Output::SessionStarted { session, room } => {
                    info!(%session, %room, "session started");
                    live.insert(session);
                }
                Output::SessionEnded { session, room } => {
                    info!(%session, %room, "session ended");
                    live.remove(&session);
                    self.revocations.push(&session);
                }
            }
        }
        self.is_behind = !self.revocations.flush();
    }

    fn send(&mut self, now: Instant, connection: ConnectionId, text: Bytes) {
        let Some(outbox) = self.connections.get(&connection) else {
            return;
        };
        let text = Utf8Bytes::try_from(text).expect("the core writes JSON, which is UTF-8");
        if !outbox.push(text) {
            debug!(?connection, "WebSocket is too slow");
            self.rooms.connection_slow(now, connection);
        }
    }

    fn close(&self, connection: ConnectionId, code: CloseCode) {
        let Some(outbox) = self.connections.get(&connection) else {
            return;
        };
        outbox.close(Closing {
            code: code.number(),
            reason: code.reason(),
            // Whoever is too slow would not read what waits.
            flushes: code != CloseCode::Rate,
        });
    }
}

const SOCKET: socket::Limits = socket::Limits {
    message: limits::MESSAGE,
    ping_after: limits::PING,
    dead_after: limits::DEAD,
    codes: socket::Codes {
        binary: CloseCode::Protocol.number(),
        idle: CloseCode::Idle.number(),
    },
};

/// How long to wait for a worker whose mailbox is full.
const RETRY: Duration = Duration::from_millis(50);
