//! Random sequences of messages, lost sockets, resumes, faults and time, from many
//! clients: whatever happens, what the core holds adds up, and every client sees
//! one consistent story (`sim.rs` judges each message as its receiver would).

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;
use serde_json::{Value, json};

use crate::auth::{Claims, Grants, TokenError};
use crate::room::rooms::Phase;
use crate::room::session::Session;
use crate::room::tests::sim::*;
use crate::room::*;

/// One thing that happens. Numbers pick among what there is.
#[derive(Clone, Debug)]
enum Step {
    /// Connects, says hello and joins, as far as it gets.
    Enter {
        holder: usize,
        room: usize,
    },
    Connect,
    Hello {
        who: usize,
        holder: usize,
    },
    Join {
        who: usize,
        room: usize,
        wait: bool,
        replaces: Option<usize>,
    },
    Leave {
        who: usize,
    },
    Relay {
        who: usize,
        to: usize,
        kind: usize,
        r#gen: Option<u32>,
    },
    Chat {
        who: usize,
        to: Option<usize>,
    },
    Set {
        who: usize,
    },
    Mute {
        who: usize,
        peer: usize,
    },
    Kick {
        who: usize,
        peer: usize,
    },
    Lock {
        who: usize,
        locked: bool,
    },
    Rare(Rare),
}

/// What is not said in a message of the schema.
#[derive(Clone, Debug)]
enum Rare {
    Disconnect {
        who: usize,
        is_goodbye: bool,
    },
    Slow {
        who: usize,
    },
    Resume {
        whom: usize,
        forgotten: u64,
    },
    Flood {
        who: usize,
    },
    Text {
        who: usize,
        text: String,
    },
    Pass {
        millis: u64,
    },
    Options {
        sessions: usize,
        guests: bool,
        mesh_up_to: u32,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let who = || 0..64_usize;
    prop_oneof![
        12 => (0..4_usize, 0..2_usize).prop_map(|(holder, room)| Step::Enter { holder, room }),
        1 => Just(Step::Connect),
        1 => (who(), 0..5_usize).prop_map(|(who, holder)| Step::Hello { who, holder }),
        8 => (who(), 0..3_usize, any::<bool>(), prop::option::weighted(0.2, who()))
            .prop_map(|(who, room, wait, replaces)| Step::Join { who, room, wait, replaces }),
        2 => who().prop_map(|who| Step::Leave { who }),
        8 => (who(), who(), 0..4_usize, prop::option::of(0..4_u32))
            .prop_map(|(who, to, kind, r#gen)| Step::Relay { who, to, kind, r#gen }),
        3 => (who(), prop::option::of(who())).prop_map(|(who, to)| Step::Chat { who, to }),
        2 => who().prop_map(|who| Step::Set { who }),
        1 => (who(), who()).prop_map(|(who, peer)| Step::Mute { who, peer }),
        2 => (who(), who()).prop_map(|(who, peer)| Step::Kick { who, peer }),
        2 => (who(), any::<bool>()).prop_map(|(who, locked)| Step::Lock { who, locked }),
        18 => rare().prop_map(Step::Rare),
    ]
}

fn rare() -> impl Strategy<Value = Rare> {
    let who = || 0..64_usize;
    prop_oneof![
        4 => (who(), prop::bool::weighted(0.3))
            .prop_map(|(who, is_goodbye)| Rare::Disconnect { who, is_goodbye }),
        1 => who().prop_map(|who| Rare::Slow { who }),
        5 => (who(), 0..6_u64).prop_map(|(whom, forgotten)| Rare::Resume { whom, forgotten }),
        1 => who().prop_map(|who| Rare::Flood { who }),
        2 => (who(), text()).prop_map(|(who, text)| Rare::Text { who, text }),
        4 => prop_oneof![1..3_000_u64, 25_000..40_000_u64, Just(1_900_000)]
            .prop_map(|millis| Rare::Pass { millis }),
        1 => (1..20_usize, any::<bool>(), 1..6_u32).prop_map(|(sessions, guests, mesh_up_to)| {
            Rare::Options { sessions, guests, mesh_up_to }
        }),
    ]
}

/// Text that is no message, or almost one.
fn text() -> impl Strategy<Value = String> {
    let field = prop::sample::select(vec![
        "\"id\":1",
        "\"id\":-1",
        "\"t\":\"ping\"",
        "\"t\":\"join\"",
        "\"t\":\"ice\"",
        "\"t\":\"set\"",
        "\"t\":\"hello\"",
        "\"room\":\"R0\"",
        "\"room\":7",
        "\"wait\":true",
        "\"state\":{\"a\":[]}",
        "\"state\":{",
        "\"gen\":1e9",
        "\"to\":null",
        "\"candidate\":{}",
        "\"candidates\":[{},{}]",
        "\"replaces\":{}",
        "\"resume\":{\"id\":\"\"}",
        "\"from\":\"x\"",
    ]);
    prop_oneof![
        3 => prop::collection::vec(field, 0..5).prop_map(|f| format!("{{{}}}", f.join(","))),
        1 => ".{0,40}",
    ]
}

/// Most connections at a time.
const MOST: usize = 16;

struct World {
    sim: Sim,
    /// Everybody who ever was in a room, with what is needed to come back.
    people: Vec<Me>,
}

impl World {
    fn new() -> Self {
        let options = Options {
            mesh_up_to: 3,
            sessions: 12,
            ..options()
        };
        Self {
            sim: Sim::with(options),
            people: Vec::new(),
        }
    }

    fn run(&mut self, step: Step) {
        match step {
            Step::Enter { holder, room } if self.open().len() < MOST => {
                let who = self.open().len();
                self.sim.connect();
                self.hello(who, holder);
                self.say(
                    who,
                    json!({"t": "join", "room": format!("R{room}"), "wait": true}),
                );
            }
            Step::Connect if self.open().len() < MOST => {
                self.sim.connect();
            }
            Step::Enter { .. } | Step::Connect => {}
            Step::Hello { who, holder } => self.hello(who, holder),
            Step::Join {
                who,
                room,
                wait,
                replaces,
            } => {
                let mut join = json!({"t": "join", "room": format!("R{room}"), "wait": wait});
                if let Some(me) = replaces.and_then(|whom| self.person(whom)) {
                    join["replaces"] = json!({"id": me.id, "secret": me.secret});
                }
                self.say(who, join);
            }
            Step::Leave { who } => self.say(who, json!({"t": "leave"})),
            Step::Relay {
                who,
                to,
                kind,
                r#gen,
            } => self.relay(who, to, kind, r#gen),
            Step::Chat { who, to } => {
                let mut chat = json!({"t": "chat", "text": "hi"});
                if let Some(to) = to {
                    chat["to"] = json!(self.peer(who, to));
                }
                self.say(who, chat);
            }
            Step::Set { who } => {
                self.say(who, json!({"t": "set", "name": "N", "state": {"n": who}}))
            }
            Step::Mute { who, peer } => {
                let peer = self.peer(who, peer);
                self.say(who, json!({"t": "mute", "peer": peer, "kind": "audio"}));
            }
            Step::Kick { who, peer } => {
                let peer = self.peer(who, peer);
                self.say(who, json!({"t": "kick", "peer": peer}));
            }
            Step::Lock { who, locked } => self.say(who, json!({"t": "lock", "locked": locked})),
            Step::Rare(rare) => self.run_rare(rare),
        }
        self.learn();
        self.check();
    }

    fn run_rare(&mut self, rare: Rare) {
        match rare {
            Rare::Disconnect { who, is_goodbye } => {
                if let Some(connection) = self.pick(who) {
                    self.sim.disconnect(connection, is_goodbye);
                }
            }
            Rare::Slow { who } => {
                if let Some(connection) = self.pick(who) {
                    self.sim.rooms.connection_slow(self.sim.now, connection);
                    self.sim.carry_out();
                }
            }
            Rare::Resume { whom, forgotten } => self.resume(whom, forgotten),
            Rare::Flood { who } => {
                for _ in 0..limits::BURST + limits::REFUSED {
                    self.say(who, json!({"t": "ping"}));
                }
            }
            Rare::Text { who, text } => {
                if let Some(connection) = self.pick(who) {
                    self.sim.say_text(connection, &text);
                }
            }
            Rare::Pass { millis } => self.sim.pass(Duration::from_millis(millis)),
            Rare::Options {
                sessions,
                guests,
                mesh_up_to,
            } => {
                self.sim.rooms.set_options(Options {
                    sessions,
                    guests,
                    mesh_up_to,
                    ..options()
                });
            }
        }
    }

    /// Says hello as a guest, with one of three tokens, or with a wrong one.
    fn hello(&mut self, who: usize, holder: usize) {
        let Some(connection) = self.pick(who) else {
            return;
        };
        let small = Claims {
            max_participants: Some(2),
            ..claims("small", Grants::NONE)
        };
        let verdict = match holder {
            0 => return self.say(who, json!({"t": "hello"})),
            1 => Ok(moderator("mia")),
            2 => Ok(claims("max", Grants::PARTICIPANT)),
            3 => Ok(small),
            _ => Err(TokenError::WrongSignature),
        };
        self.sim.hello(connection, verdict);
    }

    fn relay(&mut self, who: usize, to: usize, kind: usize, r#gen: Option<u32>) {
        let to = self.peer(who, to);
        let mut message = match kind {
            0 => json!({"t": "offer", "to": to, "sdp": "v=0\r\n"}),
            1 => json!({"t": "answer", "to": to, "sdp": "v=0\r\n"}),
            2 => json!({"t": "ice", "to": to, "candidate": {"candidate": ""}}),
            _ => json!({"t": "ice", "to": to, "candidates": [{"candidate": "a"}]}),
        };
        if let Some(r#gen) = r#gen.filter(|r#gen| *r#gen > 0) {
            message["gen"] = json!(r#gen);
        }
        self.say(who, message);
    }

    /// Comes back to a session as a client that has heard all but the last few.
    fn resume(&mut self, whom: usize, forgotten: u64) {
        let Some(me) = self.person(whom) else {
            return;
        };
        let last_seq = self.sim.clients[&me.connection].last_seq;
        let is_there = self.sim.live.contains(&me.id);
        let kept = self.sim.clients[&me.connection]
            .me
            .as_ref()
            .map(|me| me.id.clone());
        let last_seq = last_seq.saturating_sub(forgotten);
        let (connection, answer) = self.sim.resume_from(&me, last_seq);
        let is_same = kept.as_ref() == Some(&me.id);
        if answer["t"] == "ok" {
            assert!(is_there);
            let client = &self.sim.clients[&connection];
            let session = self.sim.rooms.sessions.get(&*me.id).unwrap();
            assert_eq!(session.connection, Some(connection));
            assert!(client.last_seq >= last_seq);
        } else {
            assert!(!is_there || !is_same, "{answer}");
        }
    }

    fn say(&mut self, who: usize, message: Value) {
        let Some(connection) = self.pick(who) else {
            return;
        };
        let mut message = message;
        let client = self.sim.client(connection);
        message["id"] = json!(client.next_id);
        client.next_id += 1;
        self.sim.say(connection, &message);
    }

    /// Returns the connections that are open on both sides.
    fn open(&self) -> Vec<ConnectionId> {
        let clients = self.sim.clients.iter();
        let open = clients.filter(|(_, client)| client.closed.is_none() && !client.is_gone);
        open.map(|(connection, _)| *connection).collect()
    }

    fn pick(&self, who: usize) -> Option<ConnectionId> {
        let open = self.open();
        open.get(who % open.len().max(1)).copied()
    }

    /// One of the last who were in a room.
    fn person(&self, whom: usize) -> Option<Me> {
        let last = self.people.len().min(12);
        let index = self.people.len().checked_sub(1 + whom % last.max(1))?;
        self.people.get(index).cloned()
    }

    /// Mostly somebody in the same room, now and then anybody.
    fn peer(&self, who: usize, whom: usize) -> String {
        let me = self
            .pick(who)
            .and_then(|who| self.sim.clients[&who].me.clone());
        let room = me.and_then(|me| self.sim.rooms.rooms.get(&*me.room));
        if let Some(room) = room.filter(|_| !whom.is_multiple_of(4)) {
            return room.members[whom % room.members.len()].to_string();
        }
        let anybody = self.person(whom).map(|me| me.id);
        anybody.unwrap_or_else(|| "nobody".to_owned())
    }

    /// Notes who is in a room, and over which connection at last.
    fn learn(&mut self) {
        for client in self.sim.clients.values() {
            let Some(me) = &client.me else {
                continue;
            };
            match self.people.iter_mut().find(|known| known.id == me.id) {
                Some(known) if known.connection < me.connection => *known = me.clone(),
                Some(_) => {}
                None => self.people.push(me.clone()),
            }
        }
        for client in self.sim.clients.values_mut() {
            client.inbox.clear();
        }
    }

    /// What has to hold between any two steps.
    fn check(&self) {
        let rooms = &self.sim.rooms;
        let mut places = BTreeMap::new();
        for (name, room) in &rooms.rooms {
            assert!(!room.members.is_empty(), "an empty room");
            assert!(room.members.len() <= room.capacity);
            assert!(room.waiting.len() <= limits::WAITING);
            assert!(room.barred.len() <= limits::BARRED);
            for member in &room.members {
                assert_eq!(
                    places.insert(member.clone(), name.clone()),
                    None,
                    "in two rooms"
                );
            }
            for (a, b) in room.generations.keys() {
                assert!(room.members.contains(a) && room.members.contains(b));
            }
            for waiter in &room.waiting {
                let phase = &rooms.connections[&waiter.connection].phase;
                assert!(matches!(phase, Phase::Waiting(room) if room == name));
            }
            self.check_moderators(room.members.iter().map(|id| &rooms.sessions[id]));
        }
        assert_eq!(places.len(), rooms.sessions.len());
        for (id, session) in &rooms.sessions {
            assert_eq!(places.get(id), Some(&session.room));
            assert_eq!(session.connection.is_none(), session.gone_at.is_some());
            if let Some(connection) = session.connection {
                let phase = &rooms.connections[&connection].phase;
                assert!(matches!(phase, Phase::In(of) if of == id));
            }
        }
        let queued: usize = rooms.rooms.values().map(|room| room.waiting.len()).sum();
        let phases = || {
            rooms
                .connections
                .values()
                .map(|connection| &connection.phase)
        };
        let waiting = phases().filter(|phase| matches!(phase, Phase::Waiting(_)));
        assert_eq!(waiting.count(), queued);
        let inside = phases().filter(|phase| matches!(phase, Phase::In(_)));
        let there = rooms.sessions.values().filter(|s| s.connection.is_some());
        assert_eq!(inside.count(), there.count());
        assert_eq!(rooms.connections.len(), self.open().len());
    }

    /// The guest who is longest there moderates when nobody does by token.
    fn check_moderators<'a>(&self, members: impl Iterator<Item = &'a Session>) {
        let members: Vec<_> = members.collect();
        let by_token = members
            .iter()
            .any(|s| s.claims.is_some() && s.grants.moderate);
        let guests = members.iter().filter(|s| s.claims.is_none());
        for (place, guest) in guests.enumerate() {
            assert_eq!(guest.grants.moderate, place == 0 && !by_token);
        }
    }

    /// Everybody goes, and nothing is left.
    fn run_out(&mut self) {
        for connection in self.open() {
            self.sim
                .disconnect(connection, connection.0.is_multiple_of(2));
        }
        self.sim.pass(limits::RESUME);
        let rooms = &self.sim.rooms;
        assert_eq!((rooms.sessions(), rooms.rooms()), (0, 0));
        assert!(rooms.connections.is_empty());
        assert!(self.sim.live.is_empty());
        assert_eq!(rooms.poll_timeout(), None);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, ..ProptestConfig::default() })]

    #[test]
    fn any_sequence_keeps_the_invariants(steps in prop::collection::vec(step(), 1..200)) {
        let mut world = World::new();
        for step in steps {
            world.run(step);
        }
        world.run_out();
    }
}
