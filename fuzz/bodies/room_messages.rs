//! Messages of several connections into the rooms, mended a little so that they get
//! far: whatever they say, nothing panics, nobody hears of a room it is not in, what
//! a session hears is numbered without a gap, and in the end nothing is left.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use serde_json::Value;
use turnstone::auth::{Claims, Grants, SessionCredentials, TokenError};
use turnstone::clock;
use turnstone::room::*;
use turnstone::secret::Secret;
use turnstone::unix_time::UnixTime;

/// Reads `data` as a list of steps, one a line, takes them, and lets everything run
/// out.
///
/// The first byte of a line chooses the connection, the second what happens; the
/// rest is a message. In it `@0` to `@7` stand for the id of whoever is behind that
/// connection, and `#0` to `#7` for its secret.
pub(crate) fn room_messages(data: &[u8]) {
    let mut world = World::new();
    for line in data.split(|&byte| byte == b'\n') {
        if let [who, step, message @ ..] = line {
            world.take_step(usize::from(*who) % CLIENTS, *step, message);
            world.check();
        }
    }
    world.run_out();
}

struct World {
    now: Instant,
    unix_now: UnixTime,
    rooms: Rooms,
    clients: Vec<Client>,
    by_connection: BTreeMap<ConnectionId, usize>,
    connections: u64,
    /// Sessions that were started and not ended.
    live: BTreeSet<String>,
    /// The room of every session there was.
    room_of: BTreeMap<String, String>,
}

#[derive(Default)]
struct Client {
    connection: Option<ConnectionId>,
    /// Who it is or was at last.
    id: String,
    secret: String,
    /// The room it knows to be in.
    room: Option<String>,
    last_seq: u64,
}

impl World {
    fn new() -> Self {
        Self {
            now: clock::now(),
            unix_now: UnixTime(1_800_000_000),
            rooms: Rooms::new(options(true), [3; 32]),
            clients: (0..CLIENTS).map(|_| Client::default()).collect(),
            by_connection: BTreeMap::new(),
            connections: 0,
            live: BTreeSet::new(),
            room_of: BTreeMap::new(),
        }
    }

    fn take_step(&mut self, who: usize, step: u8, message: &[u8]) {
        match step {
            b'+' => self.connect(who),
            b'-' => self.disconnect(who, false),
            b'.' => self.disconnect(who, true),
            b'~' => {
                if let Some(connection) = self.clients[who].connection {
                    self.rooms.connection_slow(self.now, connection);
                }
            }
            b'>' => self.now_passes(message),
            b'=' => self.rooms.set_options(options(message.is_empty())),
            b'!' if message == b"drain" => self.rooms.handle_drain(self.now),
            _ => self.say(who, step, message),
        }
        self.carry_out();
        self.rooms.handle_timeout(self.now, self.unix_now);
        self.carry_out();
    }

    fn connect(&mut self, who: usize) {
        self.disconnect(who, false);
        self.carry_out();
        let connection = ConnectionId(self.connections);
        self.connections += 1;
        self.by_connection.insert(connection, who);
        let client = &mut self.clients[who];
        client.connection = Some(connection);
        client.room = None;
        self.rooms.handle_connected(self.now, connection);
    }

    fn disconnect(&mut self, who: usize, is_clean: bool) {
        if let Some(connection) = self.clients[who].connection.take() {
            self.by_connection.remove(&connection);
            self.rooms
                .handle_disconnected(self.now, connection, is_clean);
        }
    }

    fn now_passes(&mut self, amount: &[u8]) {
        let millis = amount.iter().fold(0_u64, |sum, &byte| {
            sum.saturating_mul(3).saturating_add(u64::from(byte))
        });
        let span = Duration::from_millis(millis.min(4_000_000));
        self.now += span;
        self.unix_now = self.unix_now.plus(span);
    }

    /// Says a message, after whatever the step makes of its token.
    fn say(&mut self, who: usize, step: u8, message: &[u8]) {
        let Some(connection) = self.clients[who].connection else {
            return;
        };
        let text = self.filled(&String::from_utf8_lossy(message));
        let request = parse(&text);
        if let Ok(request) = &request {
            assert!(text.len() <= limits::MESSAGE && is_bounded(&request.body));
        }
        let verdict = match step % 8 {
            0 => Some(Ok(claims("mia", true))),
            1 => Some(Ok(claims("max", false))),
            2 => Some(Err(TokenError::Expired)),
            _ => None,
        };
        self.rooms
            .handle_request(self.now, self.unix_now, connection, request, verdict);
    }

    /// Puts ids and secrets into a message.
    fn filled(&self, message: &str) -> String {
        let mut text = message.to_owned();
        for (number, client) in self.clients.iter().enumerate() {
            text = text.replace(&format!("@{number}"), &client.id);
            text = text.replace(&format!("#{number}"), &client.secret);
        }
        text
    }

    fn carry_out(&mut self) {
        while let Some(output) = self.rooms.poll_output() {
            match output {
                Output::Send { connection, text } => {
                    let message = serde_json::from_slice(&text);
                    self.hear(connection, &message.expect("the core sends JSON"));
                }
                Output::Close { connection, .. } => {
                    let who = self.by_connection.remove(&connection);
                    let who = who.expect("closed while it was open");
                    self.clients[who].connection = None;
                }
                Output::SessionStarted { session, room } => {
                    assert!(self.live.insert((*session).to_owned()));
                    self.room_of
                        .insert((*session).to_owned(), (*room).to_owned());
                }
                Output::SessionEnded { session, .. } => {
                    assert!(self.live.remove(&*session));
                    for client in self.clients.iter_mut().filter(|c| *c.id == *session) {
                        client.room = None;
                    }
                }
            }
        }
    }

    /// Judges a message as its receiver would.
    fn hear(&mut self, connection: ConnectionId, message: &Value) {
        let who = self.by_connection.get(&connection);
        let who = *who.expect("sent while it was open");
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let t = text(&message["t"]);
        let seq = message["seq"].as_u64();
        let client = &mut self.clients[who];
        if t == "joined" {
            client.id = text(&message["you"]["id"]);
            client.secret = text(&message["resume"]["secret"]);
            client.room = Some(text(&message["room"]));
            client.last_seq = 0;
            assert!(self.live.contains(&client.id));
        } else if client.room.is_none() && seq.is_some() {
            // It resumed, perhaps the session of another: the first number tells
            // where that one stands.
            client.room = Some(String::new());
            client.last_seq = seq.map_or(0, |seq| seq - 1);
        }
        if let Some(seq) = seq {
            assert_eq!(seq, client.last_seq + 1, "{message}");
            client.last_seq = seq;
        }
        let room = client.room.clone().filter(|room| !room.is_empty());
        for field in ["from", "by", "peer", "to"] {
            let named = &message[field];
            let id = named["id"].as_str().or_else(|| named.as_str());
            if let (Some(id), Some(room)) = (id, &room) {
                assert_eq!(self.room_of.get(id), Some(room), "{message}");
            }
        }
    }

    fn check(&self) {
        assert_eq!(self.rooms.sessions(), self.live.len());
        assert!(self.rooms.rooms() <= self.live.len());
        assert!(self.live.len() <= SESSIONS);
        assert!(self.rooms.poll_timeout().is_none_or(|at| at > self.now));
    }

    /// Everybody goes, and nothing is left.
    fn run_out(&mut self) {
        for who in 0..CLIENTS {
            self.disconnect(who, who.is_multiple_of(2));
            self.carry_out();
        }
        self.now += limits::RESUME;
        self.rooms.handle_timeout(self.now, self.unix_now);
        self.carry_out();
        assert_eq!((self.rooms.sessions(), self.rooms.rooms()), (0, 0));
        assert_eq!(self.rooms.poll_timeout(), None);
        assert!(self.live.is_empty());
    }
}

/// Says whether what was read keeps the limits.
fn is_bounded(body: &Body) -> bool {
    match body {
        Body::Sdp { sdp, .. } => sdp.len() <= limits::SDP,
        Body::Chat { text, .. } => text.len() <= limits::CHAT,
        Body::Set { name, state } => {
            let name = name.as_ref().map_or(0, |name| name.chars().count());
            let state = state.as_ref().map_or(0, |state| state.get().len());
            name <= limits::NAME && state <= limits::STATE
        }
        Body::Kick { reason, .. } => reason.as_ref().map_or(0, String::len) <= limits::REASON,
        Body::Hello(_)
        | Body::Join(_)
        | Body::Leave
        | Body::Ice { .. }
        | Body::Mute { .. }
        | Body::Lock { .. }
        | Body::Ping => true,
    }
}

fn claims(identity: &str, moderate: bool) -> Claims {
    Claims {
        room: "*".to_owned(),
        identity: Some(identity.to_owned()),
        name: None,
        grants: Grants {
            moderate,
            ..Grants::PARTICIPANT
        },
        expires: UnixTime(1_800_003_600),
        not_before: None,
        max_participants: moderate.then_some(2),
    }
}

fn options(guests: bool) -> Options {
    Options {
        max_participants: 50,
        mesh_up_to: 3,
        guests,
        sessions: SESSIONS,
        stun_urls: vec!["stun:call.example.org:3478".to_owned()],
        turn_urls: vec!["turn:call.example.org:3478".to_owned()],
        credentials: Some(SessionCredentials::new(
            Secret::from("session"),
            Duration::from_secs(600),
        )),
    }
}

const CLIENTS: usize = 8;
const SESSIONS: usize = 6;
