//! A driver without sockets: it hears what clients are sent, judges it as a client
//! would, and moves time by hand.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::auth::{Claims, Grants, SessionCredentials, TokenError};
use crate::clock;
use crate::room::*;
use crate::unix_time::UnixTime;

use super::schema::{check_client, check_server};

/// Life of the TURN credentials.
pub(super) const TTL: Duration = Duration::from_secs(3_600);

/// The rooms, and all clients.
pub(super) struct Sim {
    pub(super) now: Instant,
    pub(super) unix_now: UnixTime,
    pub(super) rooms: Rooms,
    pub(super) clients: BTreeMap<ConnectionId, Client>,
    /// Sessions that were started and not ended.
    pub(super) live: BTreeSet<String>,
    /// The room of every session there ever was.
    room_of: BTreeMap<String, String>,
    /// Whose message is being handled.
    speaker: Option<ConnectionId>,
}

/// What a client knows.
#[derive(Default)]
pub(super) struct Client {
    pub(super) inbox: VecDeque<Value>,
    /// How the server closed it.
    pub(super) closed: Option<CloseCode>,
    /// Its socket was lost, or closed from its side.
    pub(super) is_gone: bool,
    /// Who it is in the room it is in.
    pub(super) me: Option<Me>,
    pub(super) last_seq: u64,
    pub(super) next_id: u64,
}

/// Somebody in a room.
#[derive(Clone, Debug)]
pub(super) struct Me {
    pub(super) connection: ConnectionId,
    pub(super) id: String,
    pub(super) secret: String,
    pub(super) room: String,
}

pub(super) fn options() -> Options {
    Options {
        max_participants: 50,
        mesh_up_to: 4,
        guests: true,
        sessions: 1_000,
        stun_urls: vec!["stun:call.example.org:3478".to_owned()],
        turn_urls: vec!["turn:call.example.org:3478?transport=udp".to_owned()],
        credentials: Some(SessionCredentials::new("session".into(), TTL)),
    }
}

pub(super) fn claims(identity: &str, grants: Grants) -> Claims {
    Claims {
        room: "*".to_owned(),
        identity: Some(identity.to_owned()),
        name: Some(format!("{identity} by token")),
        grants,
        expires: UnixTime(1_800_086_400),
        not_before: None,
        max_participants: None,
    }
}

pub(super) fn moderator(identity: &str) -> Claims {
    claims(
        identity,
        Grants {
            moderate: true,
            ..Grants::PARTICIPANT
        },
    )
}

impl Sim {
    pub(super) fn new() -> Self {
        Self::with(options())
    }

    pub(super) fn with(options: Options) -> Self {
        Self {
            now: clock::now(),
            unix_now: UnixTime(1_800_000_000),
            rooms: Rooms::new(options, [7; 32]),
            clients: BTreeMap::new(),
            live: BTreeSet::new(),
            room_of: BTreeMap::new(),
            speaker: None,
        }
    }

    /// A new connection, which was welcomed.
    pub(super) fn connect(&mut self) -> ConnectionId {
        let connection = ConnectionId(self.clients.len() as u64);
        let client = Client {
            next_id: 1,
            ..Client::default()
        };
        self.clients.insert(connection, client);
        self.rooms.handle_connected(self.now, connection);
        self.carry_out();
        connection
    }

    /// A connection that said hello as a guest.
    pub(super) fn guest(&mut self) -> ConnectionId {
        let connection = self.connect();
        let answer = self.ask(connection, json!({"t": "hello"}));
        assert_eq!(answer["t"], "ok");
        self.client(connection).inbox.clear();
        connection
    }

    /// A connection that said hello with a token.
    pub(super) fn holder(&mut self, claims: Claims) -> ConnectionId {
        let connection = self.connect();
        self.hello(connection, Ok(claims));
        assert_eq!(self.hear(connection)["t"], "welcome");
        assert_eq!(self.hear(connection)["t"], "ok");
        connection
    }

    /// Says hello with a token of which this is the verdict.
    pub(super) fn hello(&mut self, connection: ConnectionId, verdict: Result<Claims, TokenError>) {
        let id = self.next_id(connection);
        let text = json!({"t": "hello", "id": id, "token": "a.b.c"}).to_string();
        self.deliver(connection, &text, Some(verdict));
    }

    /// Somebody in a room, a guest, who has heard all there is.
    pub(super) fn enter(&mut self, room: &str) -> Me {
        let connection = self.guest();
        self.join(connection, room)
    }

    /// Somebody in a room with a token.
    pub(super) fn enter_with(&mut self, room: &str, claims: Claims) -> Me {
        let connection = self.holder(claims);
        self.join(connection, room)
    }

    fn join(&mut self, connection: ConnectionId, room: &str) -> Me {
        let joined = self.ask(connection, json!({"t": "join", "room": room}));
        assert_eq!(joined["t"], "joined", "{joined}");
        self.client(connection).inbox.clear();
        self.me(connection)
    }

    /// Two guests in a room; the first moderates.
    pub(super) fn pair(&mut self, room: &str) -> (Me, Me) {
        let (ann, bob) = (self.enter(room), self.enter(room));
        self.client(ann.connection).inbox.clear();
        (ann, bob)
    }

    /// Sends a message with a number, and takes the answer to it.
    pub(super) fn ask(&mut self, connection: ConnectionId, mut message: Value) -> Value {
        let id = self.next_id(connection);
        message["id"] = json!(id);
        self.say(connection, &message);
        let inbox = &mut self.client(connection).inbox;
        let place = inbox.iter().position(|message| message["re"] == id);
        inbox.remove(place.unwrap()).unwrap()
    }

    /// As [`Self::ask`], for the code of a refusal.
    pub(super) fn ask_code(&mut self, connection: ConnectionId, message: Value) -> String {
        let answer = self.ask(connection, message);
        assert_eq!(answer["t"], "error", "{answer}");
        answer["code"].as_str().unwrap().to_owned()
    }

    /// As [`Self::ask`], for `ok` and nothing else.
    pub(super) fn ask_ok(&mut self, connection: ConnectionId, message: Value) {
        let answer = self.ask(connection, message);
        assert_eq!(answer["t"], "ok", "{answer}");
    }

    /// Sends a message of the schema.
    pub(super) fn say(&mut self, connection: ConnectionId, message: &Value) {
        check_client(message);
        self.say_text(connection, &message.to_string());
    }

    /// Sends any text.
    pub(super) fn say_text(&mut self, connection: ConnectionId, text: &str) {
        self.deliver(connection, text, None);
    }

    fn deliver(&mut self, connection: ConnectionId, text: &str, verdict: Verdict) {
        let request = parse(text);
        self.speaker = Some(connection);
        self.rooms
            .handle_request(self.now, self.unix_now, connection, request, verdict);
        self.carry_out();
        self.speaker = None;
        self.settle();
    }

    /// Takes the next message.
    pub(super) fn hear(&mut self, connection: ConnectionId) -> Value {
        self.client(connection).inbox.pop_front().unwrap()
    }

    /// Takes the only message there is.
    pub(super) fn hear_only(&mut self, connection: ConnectionId) -> Value {
        let message = self.hear(connection);
        assert_eq!(self.heard(connection), Vec::<Value>::new());
        message
    }

    /// Takes all messages.
    pub(super) fn heard(&mut self, connection: ConnectionId) -> Vec<Value> {
        self.client(connection).inbox.drain(..).collect()
    }

    pub(super) fn closed(&self, connection: ConnectionId) -> Option<CloseCode> {
        self.clients[&connection].closed
    }

    pub(super) fn me(&mut self, connection: ConnectionId) -> Me {
        self.client(connection).me.clone().unwrap()
    }

    /// The socket is lost, or closed by its client.
    pub(super) fn disconnect(&mut self, connection: ConnectionId, is_goodbye: bool) {
        self.client(connection).is_gone = true;
        self.rooms
            .handle_disconnected(self.now, connection, is_goodbye);
        self.carry_out();
        self.settle();
    }

    /// A new connection that says hello with `resume`; it has heard the answer.
    pub(super) fn resume(&mut self, me: &Me) -> (ConnectionId, Value) {
        let last_seq = self.clients[&me.connection].last_seq;
        self.resume_from(me, last_seq)
    }

    pub(super) fn resume_from(&mut self, me: &Me, last_seq: u64) -> (ConnectionId, Value) {
        let connection = self.connect();
        self.client(connection).inbox.clear();
        self.client(connection).last_seq = last_seq;
        let resume = json!({"id": me.id, "secret": me.secret, "last_seq": last_seq});
        self.client(connection).me = Some(Me {
            connection,
            ..me.clone()
        });
        let answer = self.ask(connection, json!({"t": "hello", "resume": resume}));
        let client = self.client(connection);
        if let Some(last_id) = answer["resumed"]["last_id"].as_u64() {
            client.next_id = last_id + 1;
        } else {
            client.me = None;
        }
        (connection, answer)
    }

    pub(super) fn pass(&mut self, span: Duration) {
        self.now += span;
        self.unix_now = self.unix_now.plus(span);
        self.settle();
    }

    /// Runs what is due, as a driver that is never late.
    fn settle(&mut self) {
        self.rooms.handle_timeout(self.now, self.unix_now);
        self.carry_out();
        assert!(self.rooms.poll_timeout().is_none_or(|at| at > self.now));
    }

    pub(super) fn carry_out(&mut self) {
        let mut closed = Vec::new();
        while let Some(output) = self.rooms.poll_output() {
            match output {
                Output::Send { connection, text } => {
                    let message = serde_json::from_slice(&text).unwrap();
                    self.receive(connection, message);
                }
                Output::Close { connection, code } => {
                    let client = self.client(connection);
                    assert_eq!(client.closed.replace(code), None, "closed twice");
                    closed.push(connection);
                }
                Output::SessionStarted { session, room } => {
                    assert!(self.live.insert((*session).to_owned()), "started twice");
                    let room = (*room).to_owned();
                    self.room_of.insert((*session).to_owned(), room);
                }
                Output::SessionEnded { session, .. } => {
                    assert!(self.live.remove(&*session), "ended twice, or never started");
                    for client in self.clients.values_mut() {
                        client.me = client.me.take().filter(|me| *me.id != *session);
                    }
                }
            }
        }
        for connection in closed {
            // What a driver says when the socket has ended; the core knows it.
            self.rooms.handle_disconnected(self.now, connection, false);
            assert!(self.rooms.poll_output().is_none());
        }
        assert_eq!(self.rooms.sessions(), self.live.len());
    }

    /// Judges a message as its receiver would.
    fn receive(&mut self, connection: ConnectionId, message: Value) {
        check_server(&message);
        let client = &self.clients[&connection];
        assert_eq!(client.closed, None, "sent after close: {message}");
        assert!(!client.is_gone, "sent to nobody: {message}");
        if message["t"] == "joined" {
            self.note_joined(connection, &message);
        }
        let client = self.client(connection);
        if let Some(seq) = message["seq"].as_u64() {
            assert_eq!(seq, client.last_seq + 1, "{message}");
            client.last_seq = seq;
        }
        self.check_origin(connection, &message);
        self.client(connection).inbox.push_back(message);
    }

    fn note_joined(&mut self, connection: ConnectionId, message: &Value) {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        assert!(self.live.contains(&text(&message["you"]["id"])));
        assert_eq!(message["you"]["id"], message["resume"]["id"]);
        let client = self.client(connection);
        client.last_seq = 0;
        client.me = Some(Me {
            connection,
            id: text(&message["you"]["id"]),
            secret: text(&message["resume"]["secret"]),
            room: text(&message["room"]),
        });
    }

    /// Whoever is named in a message is in its receiver's room; what somebody says
    /// carries that one's name.
    fn check_origin(&self, connection: ConnectionId, message: &Value) {
        let speaker = self
            .speaker
            .and_then(|speaker| self.clients[&speaker].me.clone());
        let room = self.clients[&connection]
            .me
            .as_ref()
            .map(|me| me.room.clone());
        for field in ["from", "by", "peer", "to"] {
            let named = &message[field];
            let Some(id) = named["id"].as_str().or_else(|| named.as_str()) else {
                continue;
            };
            assert_eq!(self.room_of.get(id), room.as_ref(), "{message}");
            // What was missed is sent again while somebody resumes.
            let is_said = ["from", "by"].contains(&field);
            let is_again = speaker
                .as_ref()
                .is_none_or(|me| me.connection == connection);
            if is_said && !is_again {
                assert_eq!(Some(id), speaker.as_ref().map(|me| &*me.id), "{message}");
            }
        }
    }

    pub(super) fn client(&mut self, connection: ConnectionId) -> &mut Client {
        self.clients.get_mut(&connection).unwrap()
    }

    fn next_id(&mut self, connection: ConnectionId) -> u64 {
        let client = self.client(connection);
        client.next_id += 1;
        client.next_id - 1
    }
}
