//! The queue before a full room.

use std::time::Duration;

use serde_json::{Value, json};

use crate::auth::Grants;
use crate::room::tests::sim::*;
use crate::room::*;

fn join() -> Value {
    json!({"t": "join", "room": "R", "wait": true})
}

/// Four people in a room of four, of whom the first moderates.
fn full(sim: &mut Sim) -> Vec<Me> {
    let people: Vec<_> = (0..4).map(|_| sim.enter("R")).collect();
    for me in &people {
        sim.heard(me.connection);
    }
    people
}

#[test]
fn who_waits_learns_its_position_and_gets_in() {
    let mut sim = Sim::new();
    let people = full(&mut sim);
    let (first, second) = (sim.guest(), sim.guest());
    let waiting = sim.ask(first, join());
    assert_eq!(
        (&waiting["t"], &waiting["position"]),
        (&json!("waiting"), &json!(1))
    );
    assert_eq!(sim.ask(second, join())["position"], 2);
    assert!(
        sim.heard(people[0].connection).is_empty(),
        "nobody sees who waits"
    );
    sim.ask_ok(people[1].connection, json!({"t": "leave"}));
    let joined = sim.hear_only(first);
    assert_eq!(
        (&joined["t"], &joined["re"]),
        (&json!("joined"), &waiting["re"])
    );
    assert_eq!(sim.hear_only(second)["position"], 1);
}

#[test]
fn a_room_that_is_not_full_makes_nobody_wait() {
    let mut sim = Sim::new();
    let ann = sim.guest();
    assert_eq!(sim.ask(ann, join())["t"], "joined");
}

#[test]
fn who_waits_is_in_no_room() {
    let mut sim = Sim::new();
    let people = full(&mut sim);
    let ann = sim.guest();
    sim.ask(ann, join());
    let chat = json!({"t": "chat", "text": "hi", "to": people[0].id});
    assert_eq!(sim.ask_code(ann, chat), "not_joined");
    assert_eq!(sim.ask_code(ann, join()), "already_joined");
    assert!(sim.heard(people[0].connection).is_empty());
}

#[test]
fn who_gives_up_makes_way() {
    let mut sim = Sim::new();
    full(&mut sim);
    let waiting: Vec<_> = (0..4).map(|_| sim.guest()).collect();
    for connection in &waiting {
        sim.ask(*connection, join());
    }
    sim.ask_ok(waiting[1], json!({"t": "leave"}));
    assert!(sim.heard(waiting[0]).is_empty(), "its position is the same");
    assert_eq!(sim.hear_only(waiting[2])["position"], 2);
    assert_eq!(sim.hear_only(waiting[3])["position"], 3);
    sim.disconnect(waiting[3], false);
    assert!(sim.heard(waiting[2]).is_empty());
    sim.disconnect(waiting[0], false);
    assert_eq!(sim.hear_only(waiting[2])["position"], 1);
}

#[test]
fn a_full_queue_takes_nobody() {
    let mut sim = Sim::new();
    full(&mut sim);
    for _ in 0..limits::WAITING {
        let waiting = sim.guest();
        assert_eq!(sim.ask(waiting, join())["t"], "waiting");
    }
    let late = sim.guest();
    assert_eq!(sim.ask_code(late, join()), "room_full");
}

#[test]
fn nobody_passes_the_queue() {
    let mut sim = Sim::new();
    let people = full(&mut sim);
    let (first, second) = (sim.guest(), sim.guest());
    sim.ask(first, join());
    // A place is free, and the queue was not yet looked at.
    sim.rooms
        .handle_disconnected(sim.now, people[3].connection, true);
    sim.client(people[3].connection).is_gone = true;
    sim.carry_out();
    assert_eq!(sim.ask(second, join())["t"], "waiting");
    assert_eq!(sim.hear_only(first)["t"], "joined");
}

#[test]
fn a_locked_room_lets_its_queue_stand() {
    let mut sim = Sim::new();
    let people = full(&mut sim);
    let ann = sim.guest();
    sim.ask(ann, join());
    sim.ask_ok(people[0].connection, json!({"t": "lock", "locked": true}));
    sim.ask_ok(people[1].connection, json!({"t": "leave"}));
    assert!(sim.heard(ann).is_empty());
    // A moderator passes both.
    let moderator = sim.holder(moderator("mia"));
    assert_eq!(sim.ask(moderator, join())["t"], "joined");
    sim.ask_ok(people[2].connection, json!({"t": "leave"}));
    assert!(sim.heard(ann).is_empty());
    sim.ask_ok(moderator, json!({"t": "lock", "locked": false}));
    assert_eq!(sim.hear_only(ann)["t"], "joined");
}

#[test]
fn a_queue_outlives_the_room_before_it() {
    let mut sim = Sim::new();
    let people = full(&mut sim);
    let waiting: Vec<_> = (0..6).map(|_| sim.guest()).collect();
    for connection in &waiting {
        sim.ask(*connection, join());
    }
    sim.ask_ok(people[0].connection, json!({"t": "lock", "locked": true}));
    for me in &people {
        sim.disconnect(me.connection, false);
    }
    sim.pass(limits::RESUME);
    let joined: Vec<_> = waiting
        .iter()
        .filter(|connection| sim.clients[connection].me.is_some())
        .collect();
    assert_eq!(joined.len(), 4, "the lock went with the room");
    assert_eq!(
        sim.heard(waiting[5]).last().map(|m| m["position"].clone()),
        Some(json!(2))
    );
}

#[test]
fn who_reloads_keeps_its_place_before_the_queue() {
    let mut sim = Sim::new();
    let people = full(&mut sim);
    let ann = sim.guest();
    sim.ask(ann, join());
    let again = sim.guest();
    let ticket = json!({"id": people[2].id, "secret": people[2].secret});
    let reload = json!({"t": "join", "room": "R", "replaces": ticket});
    assert_eq!(sim.ask(again, reload)["t"], "joined");
    assert!(sim.heard(ann).is_empty());
}

#[test]
fn who_was_sent_out_waits_no_longer() {
    let mut sim = Sim::new();
    let mia = sim.enter_with("R", moderator("mia"));
    let max = sim.enter_with("R", claims("max", Grants::PARTICIPANT));
    sim.enter("R");
    sim.enter("R");
    let (other, again) = (sim.guest(), sim.holder(claims("max", Grants::PARTICIPANT)));
    let last = sim.guest();
    sim.ask(other, join());
    sim.ask(again, join());
    sim.ask(last, join());
    sim.ask_ok(mia.connection, json!({"t": "kick", "peer": max.id}));
    assert_eq!(sim.hear_only(again)["code"], "kicked");
    assert_eq!(sim.hear(other)["position"], 1);
    assert_eq!(sim.hear_only(other)["t"], "joined", "there was a place");
    let heard = sim.heard(last);
    assert_eq!(heard.last().map(|m| m["position"].clone()), Some(json!(1)));
    assert_eq!(sim.ask_code(again, join()), "kicked");
}

#[test]
fn a_full_server_turns_away_who_waited() {
    let mut sim = Sim::with(Options {
        sessions: 5,
        ..options()
    });
    let people = full(&mut sim);
    let ann = sim.guest();
    sim.ask(ann, join());
    sim.ask_ok(people[0].connection, json!({"t": "lock", "locked": true}));
    sim.ask_ok(people[1].connection, json!({"t": "leave"}));
    sim.enter("S");
    sim.enter("S");
    sim.ask_ok(people[0].connection, json!({"t": "lock", "locked": false}));
    assert_eq!(sim.hear_only(ann)["code"], "server_full");
    sim.pass(Duration::from_secs(1));
    sim.ask_ok(people[2].connection, json!({"t": "leave"}));
    assert_eq!(sim.ask(ann, join())["t"], "joined");
}
