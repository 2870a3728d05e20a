//! `offer`, `answer`, `ice` and `chat`: what reaches whom, and as it was said.

use serde_json::{Value, json};

use crate::room::tests::sim::*;
use crate::room::*;

const SDP: &str = "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=\u{1f98a} \"quoted\" \\ \r\n";

#[test]
fn an_offer_reaches_its_peer_and_nobody_else() {
    let mut sim = Sim::new();
    let (ann, bob) = sim.pair("R");
    let eve = sim.enter("R");
    let far = sim.enter("S");
    sim.heard(ann.connection);
    sim.heard(bob.connection);
    sim.ask_ok(
        bob.connection,
        json!({"t": "offer", "to": ann.id, "sdp": SDP}),
    );
    let offer = sim.hear_only(ann.connection);
    assert_eq!(offer["t"], "offer");
    assert_eq!(offer["from"], bob.id);
    assert_eq!(offer["gen"], 1);
    assert_eq!(offer["sdp"], SDP);
    assert!(sim.heard(eve.connection).is_empty());
    assert!(sim.heard(far.connection).is_empty());
    sim.ask_ok(
        ann.connection,
        json!({"t": "answer", "to": bob.id, "sdp": SDP}),
    );
    assert_eq!(sim.hear_only(bob.connection)["t"], "answer");
}

#[test]
fn candidates_pass_as_they_are() {
    let mut sim = Sim::new();
    let (ann, bob) = sim.pair("R");
    let one = r#"{"candidate":"candidate:1 1 UDP 1 192.0.2.1 9 typ host","sdpMid":"0","sdpMLineIndex":0,"usernameFragment":null,"x":1.50}"#;
    let text = format!(r#"{{"t":"ice","to":"{}","candidate": {one} }}"#, bob.id);
    sim.say_text(ann.connection, &text);
    let heard = sim.hear_only(bob.connection);
    assert_eq!(
        heard["candidate"],
        serde_json::from_str::<Value>(one).unwrap_or_default()
    );
    let list = json!([{"candidate": "a"}, {"candidate": ""}]);
    sim.ask_ok(
        ann.connection,
        json!({"t": "ice", "to": bob.id, "candidates": list}),
    );
    assert_eq!(sim.hear_only(bob.connection)["candidates"], list);
}

#[test]
fn what_is_too_large_is_refused() {
    let mut sim = Sim::new();
    let (ann, bob) = sim.pair("R");
    let long = |length| "x".repeat(length);
    let candidate = |length| json!({"candidate": long(length)});
    for message in [
        json!({"t": "offer", "to": bob.id, "id": 100, "sdp": long(limits::SDP + 1)}),
        json!({"t": "ice", "to": bob.id, "id": 101, "candidate": candidate(limits::CANDIDATE)}),
        json!({"t": "ice", "to": bob.id, "id": 102, "candidates": vec![json!({}); limits::CANDIDATES + 1]}),
        json!({"t": "chat", "id": 103, "text": long(limits::CHAT + 1)}),
        json!({"t": "set", "id": 104, "name": long(limits::NAME + 1)}),
        json!({"t": "set", "id": 105, "state": {"a": long(limits::STATE)}}),
    ] {
        sim.say_text(ann.connection, &message.to_string());
        let answer = sim.hear_only(ann.connection);
        assert_eq!(
            (&answer["code"], &answer["re"]),
            (&json!("too_large"), &message["id"])
        );
    }
    let most = json!({"t": "offer", "to": bob.id, "sdp": long(limits::SDP)});
    sim.ask_ok(ann.connection, most);
    assert_eq!(sim.heard(bob.connection).len(), 1);
}

#[test]
fn a_peer_is_somebody_else_in_the_same_room() {
    let mut sim = Sim::new();
    let (ann, bob) = sim.pair("R");
    let far = sim.enter("S");
    for to in [&far.id, &ann.id, "", "x", &"A".repeat(16)] {
        for message in [
            json!({"t": "offer", "to": to, "sdp": "v=0"}),
            json!({"t": "ice", "to": to, "candidate": {}}),
            json!({"t": "chat", "to": to, "text": "hi"}),
            json!({"t": "kick", "peer": to}),
            json!({"t": "mute", "peer": to, "kind": "audio"}),
        ] {
            assert_eq!(sim.ask_code(ann.connection, message), "no_such_peer");
        }
    }
    assert!(sim.heard(far.connection).is_empty());
    assert!(sim.heard(bob.connection).is_empty());
}

#[test]
fn nobody_speaks_for_another() {
    let mut sim = Sim::new();
    let (ann, bob) = sim.pair("R");
    let forged = json!({"t": "chat", "text": "hi", "from": bob.id});
    assert_eq!(sim.ask_code(ann.connection, forged), "forged_sender");
    assert!(sim.heard(bob.connection).is_empty());
    sim.ask_ok(
        ann.connection,
        json!({"t": "chat", "text": "hi", "from": ann.id}),
    );
    assert_eq!(sim.hear_only(bob.connection)["from"], ann.id);
}

#[test]
fn outside_of_rooms_there_is_nobody_to_speak_to() {
    let mut sim = Sim::new();
    let (ann, _) = sim.pair("R");
    let eve = sim.guest();
    for message in [
        json!({"t": "offer", "to": ann.id, "sdp": "v=0"}),
        json!({"t": "chat", "text": "hi"}),
        json!({"t": "set", "name": "Eve"}),
        json!({"t": "kick", "peer": ann.id}),
        json!({"t": "lock", "locked": true}),
        json!({"t": "leave"}),
    ] {
        assert_eq!(sim.ask_code(eve, message), "not_joined");
    }
    assert!(sim.heard(ann.connection).is_empty());
}

#[test]
fn a_generation_begins_with_an_offer() {
    let mut sim = Sim::new();
    let (ann, bob) = sim.pair("R");
    let offer = |r#gen: u32| json!({"t": "offer", "to": bob.id, "sdp": "v=0", "gen": r#gen});
    sim.ask_ok(ann.connection, offer(1));
    assert_eq!(sim.ask_code(ann.connection, offer(3)), "bad_generation");
    let early = json!({"t": "ice", "to": bob.id, "candidate": {}, "gen": 2});
    assert_eq!(
        sim.ask_code(ann.connection, early.clone()),
        "bad_generation"
    );
    sim.ask_ok(ann.connection, offer(2));
    sim.ask_ok(ann.connection, early);
    assert_eq!(sim.ask_code(ann.connection, offer(1)), "stale_generation");
    // It is one for both directions, and the present one when it is not named.
    let stale = json!({"t": "answer", "to": ann.id, "sdp": "v=0", "gen": 1});
    assert_eq!(sim.ask_code(bob.connection, stale), "stale_generation");
    sim.ask_ok(
        bob.connection,
        json!({"t": "answer", "to": ann.id, "sdp": "v=0"}),
    );
    assert_eq!(sim.hear(ann.connection)["gen"], 2);
    let heard = sim.heard(bob.connection);
    assert_eq!(
        heard.iter().map(|m| m["gen"].clone()).collect::<Vec<_>>(),
        [1, 2, 2]
    );
}

#[test]
fn both_may_start_over_at_once() {
    let mut sim = Sim::new();
    let (ann, bob) = sim.pair("R");
    sim.ask_ok(
        ann.connection,
        json!({"t": "offer", "to": bob.id, "sdp": "v=0", "gen": 2}),
    );
    sim.ask_ok(
        bob.connection,
        json!({"t": "offer", "to": ann.id, "sdp": "v=0", "gen": 2}),
    );
}

#[test]
fn every_pair_has_its_own_generation_and_takes_it_along() {
    let mut sim = Sim::new();
    let (ann, bob) = sim.pair("R");
    let eve = sim.enter("R");
    let offer =
        |to: &Me, r#gen: u32| json!({"t": "offer", "to": to.id, "sdp": "v=0", "gen": r#gen});
    sim.ask_ok(ann.connection, offer(&bob, 2));
    sim.ask_ok(ann.connection, offer(&bob, 3));
    sim.ask_ok(ann.connection, offer(&eve, 1));
    assert_eq!(
        sim.ask_code(ann.connection, offer(&eve, 3)),
        "bad_generation"
    );
    sim.ask_ok(bob.connection, json!({"t": "leave"}));
    let kept: usize = sim
        .rooms
        .rooms
        .values()
        .map(|room| room.generations.len())
        .sum();
    assert_eq!(kept, 0);
}

#[test]
fn chat_reaches_all_and_oneself() {
    let mut sim = Sim::new();
    let (ann, bob) = sim.pair("R");
    let eve = sim.enter("R");
    sim.heard(ann.connection);
    sim.heard(bob.connection);
    sim.ask_ok(
        ann.connection,
        json!({"t": "chat", "text": "Grüße <b>&</b>"}),
    );
    for me in [&ann, &bob, &eve] {
        let chat = sim.hear_only(me.connection);
        assert_eq!(
            (&chat["from"], &chat["text"]),
            (&json!(ann.id), &json!("Grüße <b>&</b>"))
        );
        assert_eq!(chat["at"], 1_800_000_000_000_u64);
        assert!(chat.get("to").is_none());
    }
    sim.ask_ok(
        ann.connection,
        json!({"t": "chat", "text": "psst", "to": bob.id}),
    );
    for me in [&ann, &bob] {
        assert_eq!(sim.hear_only(me.connection)["to"], bob.id);
    }
    assert!(sim.heard(eve.connection).is_empty());
}
