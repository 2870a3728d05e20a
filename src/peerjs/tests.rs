//! What peers see of the broker, under virtual time: each test names a behaviour.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use proptest::prelude::*;
use serde_json::{Value, json};

use crate::clock;

use super::*;

const OPTIONS: Options = Options {
    guests: true,
    peers: 4,
};

#[test]
fn a_client_is_told_that_its_id_is_its_own() {
    let mut world = World::new(OPTIONS);
    let ann = world.guest("ann");
    assert_eq!(world.heard(ann), [json!({"type": "OPEN"})]);
    assert_eq!(world.broker.peers(), 1);
}

#[test]
fn messages_reach_the_other_with_the_senders_name_stamped() {
    let mut world = World::new(OPTIONS);
    let [ann, bob] = world.two();
    for kind in ["OFFER", "ANSWER", "CANDIDATE", "LEAVE"] {
        let forged = json!({"type": kind, "src": "eve", "dst": "bob", "payload": {"a": [1, null]}});
        world.say(ann, &forged);
        let expected =
            json!({"type": kind, "src": "ann", "dst": "bob", "payload": {"a": [1, null]}});
        assert_eq!(world.heard(bob), [expected]);
    }
    assert!(world.heard(ann).is_empty());
    assert_eq!(world.broker.counters().relayed, 4);
}

#[test]
fn a_taken_id_is_refused_and_its_owner_undisturbed() {
    let mut world = World::new(OPTIONS);
    let ann = world.guest("ann");
    world.heard(ann);
    let other = world.connect("ann", "another token", Access::Guest);
    assert_eq!(world.heard(other)[0]["type"], "ID-TAKEN");
    assert_eq!(world.closed(other), Some(CloseCode::Replaced));
    assert_eq!(world.closed(ann), None);
    world.say(other, &json!({"type": "OFFER", "dst": "ann"}));
    assert!(world.heard(ann).is_empty());
}

#[test]
fn the_same_token_takes_the_id_over() {
    let mut world = World::new(OPTIONS);
    let [ann, bob] = world.two();
    let again = world.guest("ann");
    assert_eq!(world.closed(ann), Some(CloseCode::Replaced));
    assert_eq!(world.heard(again), [json!({"type": "OPEN"})]);
    // The old connection's end comes late and changes nothing.
    world.broker.handle_disconnected(ann);
    world.say(bob, &json!({"type": "OFFER", "dst": "ann"}));
    assert_eq!(world.heard(again)[0]["src"], "bob");
    assert!(world.heard(ann).is_empty());
}

#[test]
fn a_full_server_still_lets_its_peers_back_in() {
    let mut world = World::new(Options {
        peers: 1,
        ..OPTIONS
    });
    let ann = world.guest("ann");
    world.broker.set_options(Options {
        peers: 0,
        ..OPTIONS
    });
    let again = world.guest("ann");
    assert_eq!(world.closed(ann), Some(CloseCode::Replaced));
    assert_eq!(world.heard(again), [json!({"type": "OPEN"})]);
}

#[test]
fn a_disconnected_peer_leaves_its_id_to_anybody() {
    let mut world = World::new(OPTIONS);
    let ann = world.guest("ann");
    world.broker.handle_disconnected(ann);
    let other = world.connect("ann", "another token", Access::Guest);
    assert_eq!(world.heard(other), [json!({"type": "OPEN"})]);
}

#[test]
fn a_message_waits_for_a_peer_that_comes_in_time() {
    let mut world = World::new(OPTIONS);
    let ann = world.guest("ann");
    world.heard(ann);
    world.say(ann, &json!({"type": "OFFER", "dst": "bob", "payload": 1}));
    world.say(
        ann,
        &json!({"type": "CANDIDATE", "dst": "bob", "payload": 2}),
    );
    world.pass(limits::WAIT - Duration::from_millis(1));
    let bob = world.guest("bob");
    let heard = world.heard(bob);
    let kinds: Vec<_> = heard.iter().map(|message| &message["type"]).collect();
    assert_eq!(kinds, ["OPEN", "OFFER", "CANDIDATE"]);
    assert_eq!(heard[1]["src"], "ann");
    world.pass(limits::WAIT);
    assert!(world.heard(ann).is_empty());
    assert_eq!(world.broker.waiting(), 0);
}

#[test]
fn the_sender_is_told_once_that_nobody_came() {
    let mut world = World::new(OPTIONS);
    let ann = world.guest("ann");
    world.heard(ann);
    world.say(ann, &json!({"type": "OFFER", "dst": "bob", "payload": 1}));
    world.pass(Duration::from_secs(1));
    world.say(
        ann,
        &json!({"type": "CANDIDATE", "dst": "bob", "payload": 2}),
    );
    world.pass(limits::WAIT - Duration::from_secs(1) - Duration::from_millis(1));
    assert!(world.heard(ann).is_empty());
    world.pass(Duration::from_millis(1));
    let expired = json!({"type": "EXPIRE", "src": "bob", "dst": "ann"});
    assert_eq!(world.heard(ann), [expired]);
    let bob = world.guest("bob");
    assert_eq!(world.heard(bob), [json!({"type": "OPEN"})]);
    world.pass(limits::WAIT);
    assert!(world.heard(ann).is_empty());
}

#[test]
fn the_answer_waits_for_a_sender_that_comes_back() {
    let mut world = World::new(OPTIONS);
    let [ann, bob] = world.two();
    world.broker.handle_disconnected(ann);
    world.say(bob, &json!({"type": "ANSWER", "dst": "ann"}));
    let again = world.guest("ann");
    assert_eq!(world.heard(again)[1]["type"], "ANSWER");
}

#[test]
fn a_name_that_nobody_can_have_expires_at_once() {
    let mut world = World::new(OPTIONS);
    let ann = world.guest("ann");
    world.heard(ann);
    world.say(ann, &json!({"type": "OFFER", "dst": "no\"body!"}));
    let expired = json!({"type": "EXPIRE", "src": "no\"body!", "dst": "ann"});
    assert_eq!(world.heard(ann), [expired]);
    assert_eq!(world.broker.waiting(), 0);
}

#[test]
fn goodbye_to_somebody_absent_does_not_wait() {
    let mut world = World::new(OPTIONS);
    let ann = world.guest("ann");
    world.heard(ann);
    world.say(ann, &json!({"type": "LEAVE", "dst": "bob"}));
    assert_eq!(world.broker.waiting(), 0);
    world.pass(limits::WAIT);
    assert!(world.heard(ann).is_empty());
}

#[test]
fn leave_without_a_destination_gives_the_id_back() {
    let mut world = World::new(OPTIONS);
    let ann = world.guest("ann");
    world.say(ann, &json!({"type": "LEAVE"}));
    assert_eq!(world.closed(ann), Some(CloseCode::Left));
    assert_eq!(world.broker.peers(), 0);
}

#[test]
fn what_waits_is_bounded_and_the_first_refused_message_expires_at_once() {
    let mut world = World::new(OPTIONS);
    let [ann, bob] = world.two();
    let large = "x".repeat(limits::WAITING_FOR_ONE - 200);
    world.say(
        ann,
        &json!({"type": "OFFER", "dst": "carl", "payload": large}),
    );
    world.say(
        ann,
        &json!({"type": "OFFER", "dst": "carl", "payload": large}),
    );
    assert!(world.heard(ann).is_empty(), "its end is still to be told");
    world.say(
        bob,
        &json!({"type": "OFFER", "dst": "carl", "payload": large}),
    );
    assert_eq!(world.heard(bob)[0]["type"], "EXPIRE");
    assert_eq!(world.broker.counters().overflowed, 2);
    let carl = world.guest("carl");
    assert_eq!(world.heard(carl).len(), 2);
}

#[test]
fn one_pair_has_so_many_messages_waiting() {
    let mut world = World::new(OPTIONS);
    let ann = world.guest("ann");
    for _ in 0..=limits::WAITING_MESSAGES {
        world.say(ann, &json!({"type": "CANDIDATE", "dst": "bob"}));
    }
    let bob = world.guest("bob");
    assert_eq!(world.heard(bob).len(), 1 + limits::WAITING_MESSAGES);
}

#[test]
fn one_sender_cannot_leave_more_than_its_part() {
    let mut world = World::new(OPTIONS);
    let ann = world.guest("ann");
    world.heard(ann);
    let large = "x".repeat(40 << 10);
    for number in 0..20 {
        let dst = format!("absent-{number}");
        world.say(ann, &json!({"type": "OFFER", "dst": dst, "payload": large}));
    }
    assert!(world.broker.waiting() <= limits::WAITING_FROM_ONE);
    let told = world.heard(ann).len();
    assert_eq!(told, 20 - limits::WAITING_FROM_ONE / (40 << 10));
    world.pass(limits::WAIT);
    assert_eq!(world.heard(ann).len(), 20 - told);
    assert_eq!(world.broker.waiting(), 0);
}

#[test]
fn all_senders_together_leave_no_more_than_there_is_room_for() {
    let mut world = World::new(Options {
        peers: 1000,
        ..OPTIONS
    });
    let large = "x".repeat(40 << 10);
    for number in 0..100 {
        let sender = world.guest(&format!("sender-{number}"));
        for absent in 0..6 {
            let dst = format!("absent-{number}-{absent}");
            world.say(
                sender,
                &json!({"type": "OFFER", "dst": dst, "payload": large}),
            );
        }
    }
    assert!(world.broker.waiting() <= limits::WAITING);
    assert!(world.broker.counters().overflowed > 0);
    world.pass(limits::WAIT);
    assert_eq!(world.broker.waiting(), 0);
}

#[test]
fn a_heartbeat_keeps_a_peer_and_silence_ends_it() {
    let mut world = World::new(OPTIONS);
    let [ann, bob] = world.two();
    for _ in 0..5 {
        world.pass(limits::SILENCE - Duration::from_secs(1));
        world.say(ann, &json!({"type": "HEARTBEAT"}));
    }
    assert_eq!(world.closed(bob), Some(CloseCode::Silent));
    assert_eq!(world.closed(ann), None);
    world.pass(limits::SILENCE);
    assert_eq!(world.closed(ann), Some(CloseCode::Silent));
    assert_eq!(world.broker.counters().timed_out, 2);
    assert_eq!(world.broker.poll_timeout(), None);
}

#[test]
fn whoever_says_too_much_is_closed_and_the_others_go_on() {
    let mut world = World::new(OPTIONS);
    let [ann, bob] = world.two();
    for _ in 0..limits::BURST {
        world.say(ann, &json!({"type": "HEARTBEAT"}));
    }
    assert_eq!(world.closed(ann), None);
    // Coming back does not help.
    let again = world.guest("ann");
    world.heard(again);
    world.say(again, &json!({"type": "HEARTBEAT"}));
    assert_eq!(world.heard(again)[0]["type"], "ERROR");
    assert_eq!(world.closed(again), Some(CloseCode::TooMany));
    assert_eq!(world.closed(bob), None);
    assert_eq!(world.broker.counters().rate_limited, 1);
}

#[test]
fn unreadable_and_unknown_messages_are_counted_and_end_nothing() {
    let mut world = World::new(OPTIONS);
    let [ann, bob] = world.two();
    for text in [
        "",
        "{",
        r#"{"type":"OPEN","dst":"bob"}"#,
        r#"{"type":"EXPIRE","dst":"bob"}"#,
    ] {
        world.say_text(ann, text);
    }
    assert_eq!(world.closed(ann), None);
    assert!(world.heard(ann).is_empty() && world.heard(bob).is_empty());
    let counters = world.broker.counters();
    assert_eq!((counters.malformed, counters.unknown), (2, 2));
}

#[test]
fn ids_and_tokens_must_be_usable() {
    let mut world = World::new(OPTIONS);
    let long = "x".repeat(limits::TOKEN + 1);
    for (id, token) in [("", "t"), ("a b!", "t"), ("ann", ""), ("ann", &*long)] {
        let connection = world.connect(id, token, Access::Guest);
        assert_eq!(world.heard(connection)[0]["type"], "ERROR");
        assert_eq!(world.closed(connection), Some(CloseCode::BadRequest));
    }
    assert_eq!(world.broker.peers(), 0);
}

#[test]
fn the_last_place_can_be_taken_and_no_more() {
    let mut world = World::new(Options {
        peers: 1,
        ..OPTIONS
    });
    world.guest("ann");
    let bob = world.guest("bob");
    let heard = world.heard(bob);
    assert_eq!(heard[0]["type"], "ERROR");
    assert!(heard[0]["payload"]["msg"].is_string());
    assert_eq!(world.closed(bob), Some(CloseCode::Unavailable));
}

#[test]
fn without_guests_a_key_must_be_a_token() {
    let mut world = World::new(Options {
        guests: false,
        ..OPTIONS
    });
    for access in [Access::Guest, Access::Refused] {
        let connection = world.connect("ann", "t", access);
        assert_eq!(world.heard(connection)[0]["type"], "INVALID-KEY");
        assert_eq!(world.closed(connection), Some(CloseCode::InvalidKey));
    }
    let ann = world.connect("ann", "t", Access::Room("green".into()));
    assert_eq!(world.heard(ann), [json!({"type": "OPEN"})]);
}

#[test]
fn a_wrong_key_is_refused_though_guests_are_let_in() {
    let mut world = World::new(OPTIONS);
    let connection = world.connect("ann", "t", Access::Refused);
    assert_eq!(world.closed(connection), Some(CloseCode::InvalidKey));
}

#[test]
fn a_room_token_shows_the_peers_of_its_room_only() {
    let mut world = World::new(OPTIONS);
    let green = world.connect("ann", "t", Access::Room("green".into()));
    let red = world.connect("ann", "u", Access::Room("red".into()));
    let any = world.connect("bob", "v", Access::Room("*".into()));
    let guest = world.guest("ann");
    for connection in [green, red, any, guest] {
        assert_eq!(world.heard(connection), [json!({"type": "OPEN"})]);
    }
    let carl = world.connect("carl", "w", Access::Room("red".into()));
    assert_eq!(
        world.closed(carl),
        Some(CloseCode::Unavailable),
        "rooms share the places"
    );
    world.say(green, &json!({"type": "OFFER", "dst": "bob"}));
    world.pass(limits::WAIT);
    assert_eq!(world.heard(green)[0]["type"], "EXPIRE");
    world.say(any, &json!({"type": "OFFER", "dst": "ann"}));
    assert!(world.heard(green).is_empty() && world.heard(red).is_empty());
    assert_eq!(world.heard(guest)[0]["src"], "bob");
}

#[test]
fn a_drain_closes_all_and_refuses_newcomers() {
    let mut world = World::new(OPTIONS);
    let [ann, bob] = world.two();
    world.broker.handle_drain();
    assert_eq!(world.closed(ann), Some(CloseCode::Unavailable));
    assert_eq!(world.closed(bob), Some(CloseCode::Unavailable));
    let carl = world.guest("carl");
    assert_eq!(world.closed(carl), Some(CloseCode::Unavailable));
    assert_eq!(world.broker.peers(), 0);
}

#[test]
fn all_that_can_wait_for_one_fits_what_a_driver_holds() {
    let mut world = World::new(OPTIONS);
    let [ann, bob] = world.two();
    for size in [10, 1000, 20 << 10, 16 << 10, 8 << 10, 4 << 10, 40] {
        let payload = "x".repeat(size);
        for sender in [ann, bob] {
            world.say(
                sender,
                &json!({"type": "OFFER", "dst": "carl", "payload": payload}),
            );
        }
    }
    let carl = world.connect("carl", "t", Access::Guest);
    world.carry_out();
    let bytes: usize = world.sent[&carl].iter().map(String::len).sum();
    assert!(bytes > 40 << 10 && bytes <= 64 << 10, "{bytes}");
}

#[test]
fn ids_that_the_server_gives_are_free() {
    let mut broker = Broker::new(OPTIONS, [3; 32]);
    let ids: BTreeSet<String> = (0..1000).map(|_| broker.new_id()).collect();
    assert_eq!(ids.len(), 1000);
    assert!(ids.iter().all(|id| is_peer_id(id)));
}

proptest! {
    #[test]
    fn whatever_happens_tables_stay_bounded_and_end_empty(steps in proptest::collection::vec(step(), 0..120)) {
        let mut world = World::new(OPTIONS);
        for step in steps {
            world.take_step(step);
            world.check();
        }
        for connection in world.live() {
            world.broker.handle_disconnected(connection);
        }
        world.pass(limits::WAIT);
        prop_assert_eq!(world.broker.peers(), 0);
        prop_assert_eq!(world.broker.waiting(), 0);
        prop_assert_eq!(world.broker.poll_timeout(), None);
    }
}

/// Something that may happen to a broker; numbers choose among what is there.
#[derive(Clone, Debug)]
enum Step {
    Connect {
        name: usize,
        token: usize,
        room: usize,
    },
    Say {
        from: usize,
        kind: usize,
        to: usize,
        size: usize,
    },
    Text {
        from: usize,
        text: String,
    },
    Disconnect(usize),
    Pass(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (0..6_usize, 0..2_usize, 0..4_usize)
            .prop_map(|(name, token, room)| Step::Connect { name, token, room }),
        8 => (any::<usize>(), 0..6_usize, 0..8_usize, 0..50_000_usize)
            .prop_map(|(from, kind, to, size)| Step::Say { from, kind, to, size }),
        1 => (any::<usize>(), ".{0,40}").prop_map(|(from, text)| Step::Text { from, text }),
        1 => any::<usize>().prop_map(Step::Disconnect),
        2 => (0..100_000_u64).prop_map(Step::Pass),
    ]
}

const NAMES: [&str; 8] = ["ann", "bob", "carl", "dora", "eve", "f!", "", "nobody"];
const KINDS: [&str; 6] = ["OFFER", "ANSWER", "CANDIDATE", "LEAVE", "HEARTBEAT", "OPEN"];

/// A broker, what it said to whom, and who is where.
struct World {
    now: Instant,
    broker: Broker,
    next: u64,
    /// The id and scope that each connection asked for.
    asked: BTreeMap<ConnectionId, (String, Access)>,
    sent: BTreeMap<ConnectionId, Vec<String>>,
    closed: BTreeMap<ConnectionId, CloseCode>,
}

impl World {
    fn new(options: Options) -> Self {
        Self {
            now: clock::now(),
            broker: Broker::new(options, [7; 32]),
            next: 0,
            asked: BTreeMap::new(),
            sent: BTreeMap::new(),
            closed: BTreeMap::new(),
        }
    }

    /// Connects a guest whose token is made of its id.
    fn guest(&mut self, id: &str) -> ConnectionId {
        self.connect(id, &format!("token of {id}"), Access::Guest)
    }

    fn two(&mut self) -> [ConnectionId; 2] {
        let both = [self.guest("ann"), self.guest("bob")];
        for connection in both {
            self.heard(connection);
        }
        both
    }

    fn connect(&mut self, id: &str, token: &str, access: Access) -> ConnectionId {
        self.next += 1;
        let connection = ConnectionId(self.next);
        self.asked
            .insert(connection, (id.to_owned(), access.clone()));
        self.broker
            .handle_connected(self.now, connection, id, token, access);
        connection
    }

    fn say(&mut self, from: ConnectionId, message: &Value) {
        self.say_text(from, &message.to_string());
    }

    fn say_text(&mut self, from: ConnectionId, text: &str) {
        self.broker.handle_message(self.now, from, parse(text));
    }

    /// Lets time pass, from timer to timer.
    fn pass(&mut self, time: Duration) {
        let until = self.now + time;
        while let Some(due) = self.broker.poll_timeout().filter(|due| *due <= until) {
            assert!(due >= self.now, "a timer was missed");
            self.now = due;
            self.broker.handle_timeout(due);
            assert!(self.broker.poll_timeout().is_none_or(|next| next > due));
        }
        self.now = until;
    }

    /// Takes what a connection was sent since the last call.
    fn heard(&mut self, connection: ConnectionId) -> Vec<Value> {
        self.carry_out();
        let texts = self.sent.remove(&connection).unwrap_or_default();
        let parsed = texts.iter().map(|text| serde_json::from_str(text));
        parsed.map(|message| message.unwrap()).collect()
    }

    fn closed(&mut self, connection: ConnectionId) -> Option<CloseCode> {
        self.carry_out();
        self.closed.get(&connection).copied()
    }

    fn live(&mut self) -> Vec<ConnectionId> {
        self.carry_out();
        let open = self.asked.keys().filter(|c| !self.closed.contains_key(*c));
        open.copied().collect()
    }

    fn carry_out(&mut self) {
        while let Some(output) = self.broker.poll_output() {
            match output {
                Output::Send { connection, text } => {
                    assert!(!self.closed.contains_key(&connection), "sent after its end");
                    self.sent.entry(connection).or_default().push(text);
                }
                Output::Close { connection, code } => {
                    assert!(
                        self.closed.insert(connection, code).is_none(),
                        "closed twice"
                    );
                }
            }
        }
    }

    fn take_step(&mut self, step: Step) {
        let live = self.live();
        let pick = |number: usize| live.get(number % live.len().max(1)).copied();
        match step {
            Step::Connect { name, token, room } => {
                let access = [
                    Access::Guest,
                    Access::Room("green".into()),
                    Access::Room("*".into()),
                    Access::Refused,
                ];
                self.connect(NAMES[name], ["t", "u"][token], access[room].clone());
            }
            Step::Say {
                from,
                kind,
                to,
                size,
            } => {
                let Some(from) = pick(from) else { return };
                let payload = "x".repeat(size);
                let message = json!({"type": KINDS[kind], "dst": NAMES[to], "payload": payload});
                self.say(from, &message);
            }
            Step::Text { from, text } => {
                let Some(from) = pick(from) else { return };
                self.say_text(from, &text);
            }
            Step::Disconnect(which) => {
                let Some(which) = pick(which) else { return };
                self.broker.handle_disconnected(which);
                self.closed.insert(which, CloseCode::Left);
            }
            Step::Pass(millis) => self.pass(Duration::from_millis(millis)),
        }
    }

    /// What holds between any two steps.
    fn check(&mut self) {
        self.carry_out();
        assert!(self.broker.peers() <= OPTIONS.peers);
        assert_eq!(self.broker.peers(), self.live().len());
        assert!(self.broker.waiting() <= limits::WAITING);
        for (connection, texts) in std::mem::take(&mut self.sent) {
            let (id, access) = &self.asked[&connection];
            for text in texts {
                let message: Value = serde_json::from_str(&text).unwrap();
                let is_open = message["dst"].is_null();
                assert!(
                    is_open || message["dst"] == id.as_str(),
                    "{message} to {id}"
                );
                let is_refused = matches!(access, Access::Refused);
                assert!(!is_refused || message["type"] != "OPEN");
            }
        }
    }
}
