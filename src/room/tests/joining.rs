//! `join` and `leave`: who gets in, what they see, what is left.

use std::time::Duration;

use serde_json::json;

use crate::auth::{Claims, Grants};
use crate::room::tests::sim::*;
use crate::room::*;
use crate::unix_time::UnixTime;

#[test]
fn who_joins_sees_the_room_and_is_seen() {
    let mut sim = Sim::new();
    let ann = sim.enter("R");
    let bob = sim.holder(claims("bob", Grants::PARTICIPANT));
    let joined = sim.ask(
        bob,
        json!({"t": "join", "room": "R", "state": {"audio": false}}),
    );
    assert_eq!(joined["seq"], 1);
    assert_eq!(joined["room"], "R");
    assert_eq!(joined["mode"], "mesh");
    assert_eq!(joined["locked"], false);
    assert_eq!(joined["peers"].as_array().unwrap().len(), 1);
    let first = &joined["peers"][0];
    assert_eq!(
        (&first["id"], &first["name"]),
        (&json!(ann.id), &json!("Guest"))
    );
    assert_eq!(first["guest"], true);
    assert_eq!(first["grants"], json!(["publish", "subscribe", "moderate"]));
    let you = &joined["you"];
    assert_eq!(you["name"], "bob by token");
    assert_eq!(you["identity"], "bob");
    assert_eq!(you["guest"], false);
    assert_eq!(you["state"], json!({"audio": false}));
    let came = sim.hear_only(ann.connection);
    assert_eq!((&came["t"], &came["peer"]), (&json!("peer_joined"), you));
}

#[test]
fn a_name_of_ones_own_comes_before_that_of_the_token() {
    let mut sim = Sim::new();
    let ann = sim.holder(moderator("ann"));
    let joined = sim.ask(ann, json!({"t": "join", "room": "R", "name": " Ännchen "}));
    assert_eq!(joined["you"]["name"], "Ännchen");
}

#[test]
fn upper_and_lower_case_are_different_rooms() {
    let mut sim = Sim::new();
    let ann = sim.enter("room");
    sim.enter("Room");
    assert!(sim.heard(ann.connection).is_empty());
    assert_eq!(sim.rooms.rooms(), 2);
}

#[test]
fn credentials_belong_to_the_session() {
    let mut sim = Sim::new();
    let ann = sim.guest();
    let joined = sim.ask(ann, json!({"t": "join", "room": "R"}));
    let id = joined["you"]["id"].as_str().unwrap();
    let servers = &joined["ice_servers"];
    assert_eq!(servers[0], json!({"urls": ["stun:call.example.org:3478"]}));
    assert_eq!(servers[1]["username"], format!("1800003600:{id}"));
    assert_eq!(joined["ttl"], 3_600);
}

#[test]
fn credentials_are_fresh_at_half_of_their_life() {
    let mut sim = Sim::new();
    let ann = sim.enter("R");
    sim.pass(TTL / 2 - Duration::from_secs(1));
    assert!(sim.heard(ann.connection).is_empty());
    sim.pass(Duration::from_secs(1));
    let fresh = sim.hear_only(ann.connection);
    assert_eq!(fresh["t"], "ice_servers");
    assert_eq!(
        fresh["ice_servers"][1]["username"],
        format!("1800005400:{}", ann.id)
    );
    sim.pass(TTL / 2);
    assert_eq!(sim.hear_only(ann.connection)["t"], "ice_servers");
}

#[test]
fn without_a_relay_there_are_no_credentials() {
    let mut sim = Sim::with(Options {
        credentials: None,
        ..options()
    });
    let ann = sim.guest();
    let joined = sim.ask(ann, json!({"t": "join", "room": "R"}));
    assert_eq!(joined["ice_servers"].as_array().unwrap().len(), 1);
}

#[test]
fn one_is_in_one_room_at_a_time() {
    let mut sim = Sim::new();
    let ann = sim.enter("R");
    let again = json!({"t": "join", "room": "S"});
    assert_eq!(
        sim.ask_code(ann.connection, again.clone()),
        "already_joined"
    );
    sim.ask_ok(ann.connection, json!({"t": "leave"}));
    let joined = sim.ask(ann.connection, again);
    assert_eq!(joined["seq"], 1);
    assert_ne!(joined["you"]["id"], ann.id);
}

#[test]
fn who_leaves_is_gone_for_the_others() {
    let mut sim = Sim::new();
    let (ann, bob) = sim.pair("R");
    sim.ask_ok(bob.connection, json!({"t": "leave"}));
    let left = sim.hear_only(ann.connection);
    assert_eq!(
        (&left["peer"], &left["reason"]),
        (&json!(bob.id), &json!("left"))
    );
    assert!(!sim.live.contains(&bob.id));
    assert_eq!(
        sim.ask_code(bob.connection, json!({"t": "leave"})),
        "not_joined"
    );
    let offer = json!({"t": "offer", "to": bob.id, "sdp": "v=0"});
    assert_eq!(sim.ask_code(ann.connection, offer), "no_such_peer");
}

#[test]
fn who_closes_the_page_leaves_at_once() {
    let mut sim = Sim::new();
    let (ann, bob) = sim.pair("R");
    sim.disconnect(bob.connection, true);
    assert_eq!(sim.hear_only(ann.connection)["reason"], "left");
    assert_eq!(sim.live.len(), 1);
}

#[test]
fn a_room_ends_with_its_last_member() {
    let mut sim = Sim::new();
    let ann = sim.enter_with("R", moderator("ann"));
    sim.ask_ok(ann.connection, json!({"t": "lock", "locked": true}));
    sim.ask_ok(ann.connection, json!({"t": "leave"}));
    assert_eq!(sim.rooms.rooms(), 0);
    sim.enter("R");
}

#[test]
fn a_token_opens_its_room_only() {
    let mut sim = Sim::new();
    let ann = sim.holder(Claims {
        room: "R".to_owned(),
        ..moderator("ann")
    });
    assert_eq!(
        sim.ask_code(ann, json!({"t": "join", "room": "S"})),
        "wrong_room"
    );
    assert_eq!(
        sim.ask(ann, json!({"t": "join", "room": "R"}))["t"],
        "joined"
    );
}

#[test]
fn a_token_that_ran_out_since_hello_opens_nothing() {
    let mut sim = Sim::new();
    let ann = sim.enter_with("R", moderator("ann"));
    sim.pass(Duration::from_secs(86_400 + 3_600));
    sim.ask_ok(ann.connection, json!({"t": "leave"}));
    let code = sim.ask_code(ann.connection, json!({"t": "join", "room": "R"}));
    assert_eq!(code, "token_expired");
    assert_eq!(sim.closed(ann.connection), Some(CloseCode::Auth));
}

#[test]
fn a_room_is_no_sfu_yet() {
    let mut sim = Sim::new();
    let ann = sim.guest();
    let join = json!({"t": "join", "room": "R", "mode": "sfu"});
    assert_eq!(sim.ask_code(ann, join), "mode_unavailable");
    let join = json!({"t": "join", "room": "R", "mode": "mesh"});
    assert_eq!(sim.ask(ann, join)["t"], "joined");
}

#[test]
fn a_full_room_takes_nobody() {
    let mut sim = Sim::new();
    for _ in 0..4 {
        sim.enter("R");
    }
    let fifth = sim.guest();
    assert_eq!(
        sim.ask_code(fifth, json!({"t": "join", "room": "R"})),
        "room_full"
    );
}

#[test]
fn the_first_token_of_a_room_lowers_its_size() {
    let mut sim = Sim::new();
    let limited = |most| Claims {
        max_participants: Some(most),
        ..moderator("ann")
    };
    sim.enter_with("R", limited(2));
    sim.enter("R");
    let third = sim.guest();
    assert_eq!(
        sim.ask_code(third, json!({"t": "join", "room": "R"})),
        "room_full"
    );
    // The operator's limit is not raised.
    sim.enter_with("S", limited(100));
    for _ in 1..4 {
        sim.enter("S");
    }
    assert_eq!(
        sim.ask_code(third, json!({"t": "join", "room": "S"})),
        "room_full"
    );
}

#[test]
fn a_full_server_says_when_to_come_again() {
    let mut sim = Sim::with(Options {
        sessions: 2,
        ..options()
    });
    sim.pair("R");
    let third = sim.guest();
    let refused = sim.ask(third, json!({"t": "join", "room": "S"}));
    assert_eq!(refused["code"], "server_full");
    assert!(refused["retry_after_ms"].is_u64());
    assert_eq!(sim.rooms.rooms(), 1);
}

#[test]
fn a_page_loaded_anew_takes_its_place() {
    let mut sim = Sim::new();
    let (ann, bob) = sim.pair("R");
    sim.enter("R");
    sim.enter("R");
    sim.heard(bob.connection);
    let again = sim.guest();
    let ticket = json!({"id": ann.id, "secret": ann.secret});
    let joined = sim.ask(again, json!({"t": "join", "room": "R", "replaces": ticket}));
    assert_eq!(
        joined["t"], "joined",
        "the room is full, but the place is its own"
    );
    assert_eq!(sim.closed(ann.connection), Some(CloseCode::Replaced));
    let heard = sim.heard(bob.connection);
    assert_eq!(heard[0]["reason"], "replaced");
    assert_eq!(heard[1]["t"], "peer_joined");
    assert_eq!(heard.len(), 2, "nobody else becomes moderator meanwhile");
    assert_eq!(joined["you"]["grants"][2], "moderate");
    assert_eq!(sim.live.len(), 4);
}

#[test]
fn a_lock_does_not_keep_out_who_reloads() {
    let mut sim = Sim::new();
    let (ann, bob) = sim.pair("R");
    sim.ask_ok(ann.connection, json!({"t": "lock", "locked": true}));
    let again = sim.guest();
    let ticket = json!({"id": bob.id, "secret": bob.secret});
    let join = json!({"t": "join", "room": "R", "replaces": ticket});
    assert_eq!(sim.ask(again, join)["locked"], true);
}

#[test]
fn the_last_in_a_room_keeps_it_over_a_reload() {
    let mut sim = Sim::new();
    let ann = sim.enter_with("R", moderator("ann"));
    sim.ask_ok(ann.connection, json!({"t": "lock", "locked": true}));
    let again = sim.holder(moderator("ann"));
    let ticket = json!({"id": ann.id, "secret": ann.secret});
    let join = json!({"t": "join", "room": "R", "replaces": ticket});
    assert_eq!(sim.ask(again, join)["locked"], true);
}

#[test]
fn a_wrong_secret_replaces_nobody() {
    let mut sim = Sim::new();
    let (ann, bob) = sim.pair("R");
    let mallory = sim.guest();
    let ticket = json!({"id": ann.id, "secret": bob.secret});
    let join = json!({"t": "join", "room": "R", "replaces": ticket});
    assert_eq!(sim.ask(mallory, join)["t"], "joined");
    assert_eq!(sim.closed(ann.connection), None);
    assert_eq!(sim.live.len(), 3);
}

#[test]
fn a_refused_join_ends_no_earlier_session() {
    let mut sim = Sim::new();
    let ann = sim.enter("S");
    for _ in 0..4 {
        sim.enter("R");
    }
    let again = sim.guest();
    let ticket = json!({"id": ann.id, "secret": ann.secret});
    let join = json!({"t": "join", "room": "R", "replaces": ticket});
    assert_eq!(sim.ask_code(again, join), "room_full");
    assert!(sim.live.contains(&ann.id));
}

#[test]
fn who_comes_back_with_the_same_identity_finds_no_ghost() {
    let mut sim = Sim::new();
    let ann = sim.enter_with("R", moderator("ann"));
    let bob = sim.enter("R");
    sim.disconnect(ann.connection, false);
    assert_eq!(sim.hear_only(bob.connection)["t"], "peer_away");
    let again = sim.enter_with("R", moderator("ann"));
    let heard = sim.heard(bob.connection);
    assert_eq!(
        (&heard[0]["peer"], &heard[0]["reason"]),
        (&json!(ann.id), &json!("replaced"))
    );
    assert_eq!(heard[1]["peer"]["id"], again.id);
    // A second page of the same person, both there, is a second participant.
    let second = sim.enter_with("R", moderator("ann"));
    assert_ne!(second.id, again.id);
    assert_eq!(sim.live.len(), 3);
}

#[test]
fn time_before_a_token_ends_is_no_obstacle() {
    let mut sim = Sim::new();
    let ann = sim.holder(Claims {
        expires: UnixTime(1_800_000_001),
        ..moderator("ann")
    });
    assert_eq!(
        sim.ask(ann, json!({"t": "join", "room": "R"}))["t"],
        "joined"
    );
}
