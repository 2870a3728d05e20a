//! A lost socket, and what comes after.

use std::time::Duration;

use serde_json::json;

use crate::room::tests::sim::*;
use crate::room::*;

#[test]
fn who_loses_its_socket_is_away_and_comes_back() {
    let mut sim = Sim::new();
    let (ann, bob) = sim.pair("R");
    sim.disconnect(bob.connection, false);
    let away = sim.hear_only(ann.connection);
    assert_eq!(
        (&away["t"], &away["peer"]),
        (&json!("peer_away"), &json!(bob.id))
    );
    let eve = sim.guest();
    let joined = sim.ask(eve, json!({"t": "join", "room": "R"}));
    assert_eq!(joined["peers"][1]["away"], true);
    sim.hear(ann.connection);
    sim.pass(limits::RESUME - Duration::from_millis(1));
    sim.resume(&bob);
    let back = sim.hear_only(ann.connection);
    assert_eq!(
        (&back["t"], &back["peer"]),
        (&json!("peer_back"), &json!(bob.id))
    );
    assert_eq!(sim.live.len(), 3);
}

#[test]
fn what_was_missed_comes_in_order() {
    let mut sim = Sim::new();
    let (ann, bob) = sim.pair("R");
    sim.disconnect(bob.connection, false);
    for text in ["one", "two"] {
        sim.ask_ok(ann.connection, json!({"t": "chat", "text": text}));
    }
    sim.ask_ok(
        ann.connection,
        json!({"t": "offer", "to": bob.id, "sdp": "v=0"}),
    );
    let (connection, answer) = sim.resume(&bob);
    assert!(answer.get("seq").is_none());
    let heard = sim.heard(connection);
    assert_eq!(heard[0]["text"], "one");
    assert_eq!(heard[1]["text"], "two");
    assert_eq!(heard[2]["t"], "offer");
    assert_eq!(heard.len(), 3);
    sim.ask_ok(ann.connection, json!({"t": "chat", "text": "three"}));
    assert_eq!(sim.hear_only(connection)["text"], "three");
}

#[test]
fn what_was_sent_into_the_void_comes_again() {
    let mut sim = Sim::new();
    let (ann, bob) = sim.pair("R");
    let seen = sim.clients[&bob.connection].last_seq;
    sim.ask_ok(ann.connection, json!({"t": "chat", "text": "lost"}));
    sim.disconnect(bob.connection, false);
    let (connection, _) = sim.resume_from(&bob, seen);
    assert_eq!(sim.hear_only(connection)["text"], "lost");
}

#[test]
fn the_highest_number_carried_out_is_told() {
    let mut sim = Sim::new();
    let (ann, bob) = sim.pair("R");
    sim.say(bob.connection, &json!({"t": "chat", "text": "a", "id": 40}));
    sim.disconnect(bob.connection, false);
    let (connection, answer) = sim.resume(&bob);
    assert_eq!(answer["resumed"]["last_id"], 40);
    // The number of hello does not stand in the way of what is sent again.
    sim.say(connection, &json!({"t": "chat", "text": "b", "id": 41}));
    sim.say(connection, &json!({"t": "chat", "text": "a", "id": 40}));
    let texts: Vec<_> = sim.heard(ann.connection);
    let texts: Vec<_> = texts.iter().filter(|m| m["t"] == "chat").collect();
    assert_eq!(texts.len(), 2);
    assert_eq!(sim.heard(connection).last().unwrap()["code"], "bad_message");
}

#[test]
fn a_high_number_of_hello_does_not_stand_in_the_way() {
    let mut sim = Sim::new();
    let (_, bob) = sim.pair("R");
    sim.disconnect(bob.connection, false);
    let connection = sim.connect();
    let last_seq = sim.clients[&bob.connection].last_seq;
    let client = sim.client(connection);
    (client.next_id, client.last_seq) = (1_000, last_seq);
    client.me = Some(Me {
        connection,
        ..bob.clone()
    });
    let resume = json!({"id": bob.id, "secret": bob.secret, "last_seq": last_seq});
    let answer = sim.ask(connection, json!({"t": "hello", "resume": resume}));
    let last_id = answer["resumed"]["last_id"].as_u64().unwrap();
    sim.client(connection).next_id = last_id + 1;
    sim.ask_ok(connection, json!({"t": "chat", "text": "again"}));
}

#[test]
fn who_does_not_come_back_is_lost() {
    let mut sim = Sim::new();
    let (ann, bob) = sim.pair("R");
    sim.disconnect(bob.connection, false);
    sim.pass(limits::RESUME);
    sim.hear(ann.connection);
    let left = sim.hear_only(ann.connection);
    assert_eq!(
        (&left["peer"], &left["reason"]),
        (&json!(bob.id), &json!("lost"))
    );
    assert_eq!(sim.resume(&bob).1["code"], "session_gone");
    assert_eq!(sim.live.len(), 1);
}

#[test]
fn session_gone_ends_nothing() {
    let mut sim = Sim::new();
    let (_, bob) = sim.pair("R");
    sim.ask_ok(bob.connection, json!({"t": "leave"}));
    let (connection, answer) = sim.resume(&bob);
    assert_eq!(answer["code"], "session_gone");
    assert!(answer.get("fatal").is_none());
    sim.ask_ok(connection, json!({"t": "hello"}));
    assert_eq!(
        sim.ask(connection, json!({"t": "join", "room": "R"}))["t"],
        "joined"
    );
}

#[test]
fn a_session_has_one_secret() {
    let mut sim = Sim::new();
    let (ann, bob) = sim.pair("R");
    for secret in [&*ann.secret, "", "x", &bob.secret[1..]] {
        let forged = Me {
            secret: secret.to_owned(),
            ..bob.clone()
        };
        assert_eq!(sim.resume(&forged).1["code"], "session_gone");
    }
    assert_eq!(sim.closed(bob.connection), None);
    assert_eq!(sim.resume(&bob).1["t"], "ok");
}

#[test]
fn the_newest_connection_wins() {
    let mut sim = Sim::new();
    let (ann, bob) = sim.pair("R");
    let (connection, answer) = sim.resume(&bob);
    assert_eq!(answer["t"], "ok");
    assert_eq!(sim.closed(bob.connection), Some(CloseCode::Replaced));
    assert!(sim.heard(ann.connection).is_empty(), "nobody was away");
    sim.ask_ok(ann.connection, json!({"t": "chat", "text": "hi"}));
    assert_eq!(sim.hear_only(connection)["text"], "hi");
    sim.ask_ok(connection, json!({"t": "leave"}));
    assert_eq!(sim.live.len(), 1);
}

#[test]
fn a_session_that_missed_too_much_is_gone() {
    let mut sim = Sim::new();
    let (ann, bob) = sim.pair("R");
    let seen = sim.clients[&bob.connection].last_seq;
    sim.disconnect(bob.connection, false);
    for number in 0..limits::RING + 1 {
        sim.pass(Duration::from_millis(25));
        sim.say(
            ann.connection,
            &json!({"t": "chat", "text": format!("{number}")}),
        );
    }
    assert_eq!(sim.resume_from(&bob, seen).1["code"], "session_gone");
    let (connection, answer) = sim.resume_from(&bob, seen + 1);
    assert_eq!(answer["t"], "ok");
    assert_eq!(sim.heard(connection).len(), limits::RING);
}

#[test]
fn what_is_kept_is_bounded_in_bytes() {
    let mut sim = Sim::new();
    let (ann, bob) = sim.pair("R");
    let seen = sim.clients[&bob.connection].last_seq;
    sim.disconnect(bob.connection, false);
    let sdp = "x".repeat(30_000);
    for _ in 0..3 {
        sim.ask_ok(
            ann.connection,
            json!({"t": "offer", "to": bob.id, "sdp": sdp}),
        );
    }
    assert_eq!(sim.resume_from(&bob, seen).1["code"], "session_gone");
    let (connection, _) = sim.resume_from(&bob, seen + 1);
    assert_eq!(sim.heard(connection).len(), 2);
}

#[test]
fn what_was_never_sent_cannot_have_been_seen() {
    let mut sim = Sim::new();
    let (_, bob) = sim.pair("R");
    let seen = sim.clients[&bob.connection].last_seq;
    sim.disconnect(bob.connection, false);
    for last_seq in [seen + 1, u64::from(u32::MAX), 1 << 53] {
        assert_eq!(sim.resume_from(&bob, last_seq).1["code"], "session_gone");
    }
}

#[test]
fn credentials_that_came_while_away_are_not_missed() {
    let mut sim = Sim::new();
    let (_, bob) = sim.pair("R");
    sim.pass(TTL / 2 - Duration::from_secs(10));
    sim.disconnect(bob.connection, false);
    sim.pass(Duration::from_secs(20));
    let (connection, _) = sim.resume(&bob);
    assert_eq!(sim.hear_only(connection)["t"], "ice_servers");
}

#[test]
fn a_resumed_guest_keeps_what_it_may_do() {
    let mut sim = Sim::new();
    let (ann, bob) = sim.pair("R");
    sim.disconnect(ann.connection, false);
    let (connection, _) = sim.resume(&ann);
    sim.ask_ok(
        connection,
        json!({"t": "mute", "peer": bob.id, "kind": "audio"}),
    );
}

#[test]
fn a_resumed_holder_of_a_token_may_join_again() {
    let mut sim = Sim::with(Options {
        guests: false,
        ..options()
    });
    let ann = sim.enter_with("R", moderator("ann"));
    sim.disconnect(ann.connection, false);
    let (connection, _) = sim.resume(&ann);
    sim.ask_ok(connection, json!({"t": "leave"}));
    let joined = sim.ask(connection, json!({"t": "join", "room": "S"}));
    assert_eq!(joined["you"]["identity"], "ann");
}
