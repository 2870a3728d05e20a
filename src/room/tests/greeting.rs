//! `welcome` and `hello`, and what a connection is closed for.

use std::time::Duration;

use serde_json::json;

use crate::auth::TokenError;
use crate::room::tests::sim::*;
use crate::room::*;

#[test]
fn the_server_speaks_first() {
    let mut sim = Sim::new();
    let ann = sim.connect();
    let welcome = sim.hear_only(ann);
    assert_eq!(welcome["version"], 1);
    assert_eq!(welcome["limits"]["message"], limits::MESSAGE);
}

#[test]
fn who_says_no_hello_in_time_is_closed() {
    let mut sim = Sim::new();
    let (late, early) = (sim.connect(), sim.guest());
    sim.pass(Duration::from_millis(4_999));
    assert_eq!(sim.closed(late), None);
    sim.pass(Duration::from_millis(1));
    assert_eq!(sim.closed(late), Some(CloseCode::Protocol));
    assert_eq!(sim.closed(early), None);
}

#[test]
fn a_message_before_hello_ends_the_connection() {
    for message in [json!({"t": "join", "room": "R"}), json!({"t": "ping"})] {
        let mut sim = Sim::new();
        let ann = sim.connect();
        let answer = sim.ask(ann, message);
        assert_eq!(answer["code"], "hello_required");
        assert_eq!(answer["fatal"], true);
        assert_eq!(sim.closed(ann), Some(CloseCode::Protocol));
    }
}

#[test]
fn what_is_no_message_ends_nothing() {
    let mut sim = Sim::new();
    let ann = sim.connect();
    sim.hear(ann);
    for text in ["", "hello", "[]", "{\"t\":\"join\",\"id\":1}", "{\"t\":1}"] {
        sim.say_text(ann, text);
        assert_eq!(sim.hear_only(ann)["code"], "bad_message", "{text}");
    }
    sim.say_text(ann, r#"{"t":"fly","id":3}"#);
    let answer = sim.hear_only(ann);
    assert_eq!(
        (&answer["code"], &answer["re"]),
        (&json!("unknown_type"), &json!(3))
    );
    assert_eq!(sim.closed(ann), None);
}

#[test]
fn hello_is_said_once() {
    let mut sim = Sim::new();
    let ann = sim.guest();
    assert_eq!(sim.ask_code(ann, json!({"t": "hello"})), "bad_message");
    assert_eq!(sim.closed(ann), None);
}

#[test]
fn without_guests_a_token_is_needed() {
    let mut sim = Sim::with(Options {
        guests: false,
        ..options()
    });
    let ann = sim.connect();
    let answer = sim.ask(ann, json!({"t": "hello"}));
    assert_eq!(answer["code"], "unauthorized");
    assert_eq!(answer["fatal"], true);
    assert_eq!(sim.closed(ann), Some(CloseCode::Auth));
    sim.holder(moderator("bob"));
}

#[test]
fn a_token_that_does_not_hold_ends_the_connection() {
    for (error, code) in [
        (TokenError::Expired, "token_expired"),
        (TokenError::WrongSignature, "unauthorized"),
        (TokenError::Malformed, "unauthorized"),
    ] {
        let mut sim = Sim::new();
        let ann = sim.connect();
        sim.hear(ann);
        sim.hello(ann, Err(error));
        let answer = sim.hear_only(ann);
        assert_eq!(
            (&answer["code"], &answer["fatal"]),
            (&json!(code), &json!(true))
        );
        assert_eq!(sim.closed(ann), Some(CloseCode::Auth));
    }
}

#[test]
fn a_token_that_nobody_verified_is_none() {
    let mut sim = Sim::with(Options {
        guests: false,
        ..options()
    });
    let ann = sim.connect();
    let answer = sim.ask(ann, json!({"t": "hello", "token": "a.b.c"}));
    assert_eq!(answer["code"], "unauthorized");
}

#[test]
fn numbers_of_requests_rise() {
    let mut sim = Sim::new();
    let ann = sim.guest();
    sim.say(ann, &json!({"t": "ping", "id": 10}));
    assert_eq!(sim.hear_only(ann)["re"], 10);
    for id in [10, 9, 1] {
        sim.say(ann, &json!({"t": "ping", "id": id}));
        assert_eq!(sim.hear_only(ann)["code"], "bad_message");
    }
    sim.say(ann, &json!({"t": "ping", "id": 11}));
    assert_eq!(sim.hear_only(ann)["t"], "pong");
}

#[test]
fn without_a_number_only_failure_is_answered() {
    let mut sim = Sim::new();
    let (ann, bob) = sim.pair("R");
    sim.say(
        ann.connection,
        &json!({"t": "offer", "to": bob.id, "sdp": "v=0"}),
    );
    assert!(sim.heard(ann.connection).is_empty());
    sim.say(
        ann.connection,
        &json!({"t": "offer", "to": "nobody", "sdp": "v=0"}),
    );
    let answer = sim.hear_only(ann.connection);
    assert_eq!(answer["code"], "no_such_peer");
    assert!(answer.get("re").is_none());
    sim.say(ann.connection, &json!({"t": "ping"}));
    assert!(sim.hear_only(ann.connection).get("re").is_none());
}

#[test]
fn too_many_messages_are_refused_and_may_come_again() {
    let mut sim = Sim::new();
    let (ann, bob) = sim.pair("R");
    // Hello and join were two of the burst.
    for _ in 2..limits::BURST {
        sim.say(ann.connection, &json!({"t": "ping"}));
    }
    sim.heard(ann.connection);
    let chat = json!({"t": "chat", "text": "hi"});
    let refused = sim.ask(ann.connection, chat.clone());
    assert_eq!(refused["code"], "rate_limited");
    assert!(
        sim.heard(bob.connection).is_empty(),
        "it was not carried out"
    );
    sim.pass(Duration::from_millis(
        refused["retry_after_ms"].as_u64().unwrap(),
    ));
    sim.ask_ok(ann.connection, chat);
    assert_eq!(sim.hear(bob.connection)["text"], "hi");
}

#[test]
fn a_refused_message_may_come_again_under_its_number() {
    let mut sim = Sim::new();
    let ann = sim.guest();
    for _ in 0..limits::BURST {
        sim.say(ann, &json!({"t": "ping"}));
    }
    sim.heard(ann);
    sim.say(ann, &json!({"t": "ping", "id": 7}));
    assert_eq!(sim.hear_only(ann)["code"], "rate_limited");
    sim.pass(Duration::from_secs(1));
    sim.say(ann, &json!({"t": "ping", "id": 7}));
    assert_eq!(sim.hear_only(ann)["t"], "pong");
}

#[test]
fn who_ignores_the_rate_is_closed_and_may_resume() {
    let mut sim = Sim::new();
    let (ann, bob) = sim.pair("R");
    let mut sent = 0;
    while sim.closed(ann.connection).is_none() {
        sim.say(ann.connection, &json!({"t": "ping"}));
        sent += 1;
    }
    assert_eq!(sent, limits::BURST - 2 + limits::REFUSED);
    assert_eq!(sim.closed(ann.connection), Some(CloseCode::Rate));
    assert_eq!(sim.hear_only(bob.connection)["t"], "peer_away");
    assert_eq!(sim.resume(&ann).1["t"], "ok");
}

#[test]
fn who_slows_down_in_time_is_not_closed() {
    let mut sim = Sim::new();
    let ann = sim.guest();
    for _ in 0..10 {
        for _ in 0..limits::REFUSED {
            sim.say(ann, &json!({"t": "ping"}));
        }
        sim.pass(Duration::from_secs(1));
    }
    assert_eq!(sim.closed(ann), None);
}

#[test]
fn who_does_not_read_is_closed_and_may_resume() {
    let mut sim = Sim::new();
    let (ann, bob) = sim.pair("R");
    sim.rooms.connection_slow(sim.now, bob.connection);
    sim.carry_out();
    assert_eq!(sim.closed(bob.connection), Some(CloseCode::Rate));
    assert_eq!(sim.hear_only(ann.connection)["t"], "peer_away");
    assert_eq!(sim.resume(&bob).1["t"], "ok");
    sim.rooms.connection_slow(sim.now, bob.connection);
    assert!(sim.rooms.poll_output().is_none(), "it is closed already");
}

#[test]
fn a_server_that_stops_tells_everybody_and_takes_nobody() {
    let mut sim = Sim::new();
    let (ann, bob) = sim.pair("R");
    let (new, known) = (sim.connect(), sim.guest());
    sim.hear(new);
    let waiting = sim.guest();
    sim.rooms.handle_drain(sim.now);
    sim.carry_out();
    for connection in [ann.connection, bob.connection, new, known, waiting] {
        let message = sim.hear_only(connection);
        assert_eq!(
            (&message["code"], &message["fatal"]),
            (&json!("draining"), &json!(true))
        );
        assert_eq!(sim.closed(connection), Some(CloseCode::Draining));
    }
    let late = sim.connect();
    assert_eq!(sim.hear_only(late)["code"], "draining");
    assert_eq!(sim.closed(late), Some(CloseCode::Draining));
    // Calls go on over the relay while clients look for the next server.
    assert_eq!(sim.live.len(), 2);
    sim.pass(limits::RESUME);
    assert_eq!(sim.live.len(), 0);
}
