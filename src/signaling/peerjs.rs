//! The driver of `peerjs`: the same WebSockets and outboxes, another core.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{Notify, watch};
use tracing::debug;

use crate::auth::Tokens;
use crate::clock;
use crate::peerjs::{self, Access, Broker, CloseCode, ConnectionId, DEFAULT_KEY, Output, Params};
use crate::peerjs::{Options, limits};
use crate::redact::Redacted;

use super::hub::Client;
use super::outbox::{Closing, Outbox};
use super::socket;
use super::timer;

/// Passes messages between PeerJS clients.
pub struct PeerJs {
    state: Mutex<State>,
    tokens: ArcSwap<Tokens>,
    /// The next timeout may have come closer.
    sooner: Notify,
}

struct State {
    broker: Broker,
    connections: HashMap<ConnectionId, Arc<Outbox>>,
    next_connection: u64,
}

impl PeerJs {
    /// Makes a broker without anybody. `tokens` are those that may stand in the
    /// `key` option of a client.
    #[must_use]
    pub fn new(options: Options, tokens: Tokens, seed: [u8; 32]) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(State {
                broker: Broker::new(options, seed),
                connections: HashMap::new(),
                next_connection: 0,
            }),
            tokens: ArcSwap::from_pointee(tokens),
            sooner: Notify::new(),
        })
    }

    /// Takes over new settings after a reload; whoever is connected stays.
    pub fn set_options(&self, options: Options, tokens: Tokens) {
        self.tokens.store(Arc::new(tokens));
        self.lock().broker.set_options(options);
    }

    /// Returns an id that nobody has.
    pub fn new_id(&self) -> String {
        self.lock().broker.new_id()
    }

    /// Runs one WebSocket after its upgrade, until it ends.
    pub async fn serve(
        self: Arc<Self>,
        io: impl AsyncRead + AsyncWrite + Unpin + Send,
        client: Client,
        params: Params,
    ) {
        let outbox = Arc::new(Outbox::default());
        let connection = self.connect(&outbox, &params);
        debug!(client = %Redacted(client.address), ?connection, "PeerJS WebSocket opened");
        drop(params); // nobody needs its secrets for hours
        let receive = |text: &str| {
            let request = peerjs::parse(text);
            self.turn(|broker, now| broker.handle_message(now, connection, request));
        };
        let end = socket::run(io, SOCKET, &outbox, receive).await;
        self.lock().connections.remove(&connection);
        self.turn(|broker, _| broker.handle_disconnected(connection));
        debug!(?connection, ?end, "PeerJS WebSocket ended");
    }

    /// Runs the timers until `stop` changes.
    pub async fn run(self: Arc<Self>, stop: watch::Receiver<bool>) {
        timer::run(
            stop,
            &self.sooner,
            || self.lock().broker.poll_timeout(),
            || self.turn(Broker::handle_timeout),
        )
        .await;
    }

    /// Closes all WebSockets.
    pub fn drain(&self) {
        self.turn(|broker, _| broker.handle_drain());
    }

    fn connect(&self, outbox: &Arc<Outbox>, params: &Params) -> ConnectionId {
        let access = self.access(&params.key);
        let connection = {
            let mut state = self.lock();
            let connection = ConnectionId(state.next_connection);
            state.next_connection += 1;
            state.connections.insert(connection, Arc::clone(outbox));
            connection
        };
        self.turn(|broker, now| {
            broker.handle_connected(now, connection, &params.id, &params.token, access);
        });
        connection
    }

    /// Judges the `key` of a client: outside the lock, for it may be a token.
    fn access(&self, key: &str) -> Access {
        if key == DEFAULT_KEY {
            return Access::Guest;
        }
        match self.tokens.load().verify(key, clock::unix_now()) {
            Ok(claims) => Access::Room(claims.room.into()),
            Err(_) => Access::Refused,
        }
    }

    /// Lets the core work, and carries out what it says.
    fn turn(&self, work: impl FnOnce(&mut Broker, Instant)) {
        let now = clock::now();
        let mut state = self.lock();
        let before = state.broker.poll_timeout();
        work(&mut state.broker, now);
        state.carry_out();
        let after = state.broker.poll_timeout();
        drop(state);
        if timer::is_sooner(before, after) {
            self.sooner.notify_one();
        }
    }

    // The core keeps its invariants after every call.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn carry_out(&mut self) {
        while let Some(output) = self.broker.poll_output() {
            match output {
                Output::Send { connection, text } => {
                    let Some(outbox) = self.connections.get(&connection) else {
                        continue;
                    };
                    if !outbox.push(text.into()) {
                        outbox.close(closing(CloseCode::TooMany, false));
                        self.broker.handle_disconnected(connection);
                    }
                }
                Output::Close { connection, code } => {
                    if let Some(outbox) = self.connections.get(&connection) {
                        outbox.close(closing(code, true));
                    }
                }
            }
        }
    }
}

const fn closing(code: CloseCode, flushes: bool) -> Closing {
    Closing {
        code: code.number(),
        reason: code.reason(),
        flushes,
    }
}

/// The clients send a heartbeat of their own, which the core watches; pings are
/// for those who do not.
const SOCKET: socket::Limits = socket::Limits {
    message: limits::MESSAGE,
    ping_after: Duration::from_secs(20),
    dead_after: limits::SILENCE,
    codes: socket::Codes {
        binary: CloseCode::BadRequest.number(),
        idle: CloseCode::Silent.number(),
    },
};

#[cfg(test)]
mod tests;
