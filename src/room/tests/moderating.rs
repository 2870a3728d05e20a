//! `set`, `mute`, `kick`, `lock`, and who may.

use serde_json::json;

use crate::auth::Grants;
use crate::room::tests::sim::*;
use crate::room::*;

#[test]
fn a_change_is_seen_by_the_others() {
    let mut sim = Sim::new();
    let (ann, bob) = sim.pair("R");
    sim.ask_ok(
        ann.connection,
        json!({"t": "set", "name": "Ann", "state": {"audio": false}}),
    );
    let updated = sim.hear_only(bob.connection);
    assert_eq!(updated["peer"], ann.id);
    assert_eq!(updated["name"], "Ann");
    assert_eq!(updated["state"], json!({"audio": false}));
    assert!(updated.get("grants").is_none());
    sim.ask_ok(ann.connection, json!({"t": "set"}));
    assert!(sim.heard(bob.connection).is_empty(), "nothing changed");
    let eve = sim.guest();
    let joined = sim.ask(eve, json!({"t": "join", "room": "R"}));
    assert_eq!(joined["peers"][0]["name"], "Ann");
    assert_eq!(joined["peers"][0]["state"], json!({"audio": false}));
}

#[test]
fn without_the_grant_nobody_moderates() {
    let mut sim = Sim::new();
    let (ann, bob) = sim.pair("R");
    for message in [
        json!({"t": "mute", "peer": ann.id, "kind": "audio"}),
        json!({"t": "kick", "peer": ann.id}),
        json!({"t": "kick", "peer": "nobody"}),
        json!({"t": "lock", "locked": true}),
    ] {
        assert_eq!(sim.ask_code(bob.connection, message), "forbidden");
    }
    assert!(sim.heard(ann.connection).is_empty());
}

#[test]
fn mute_asks_the_peer() {
    let mut sim = Sim::new();
    let (ann, bob) = sim.pair("R");
    sim.ask_ok(
        ann.connection,
        json!({"t": "mute", "peer": bob.id, "kind": "video"}),
    );
    let mute = sim.hear_only(bob.connection);
    assert_eq!(
        (&mute["by"], &mute["kind"]),
        (&json!(ann.id), &json!("video"))
    );
}

#[test]
fn who_is_sent_out_learns_why_and_is_closed() {
    let mut sim = Sim::new();
    let (ann, bob) = sim.pair("R");
    let eve = sim.enter("R");
    sim.heard(ann.connection);
    sim.heard(bob.connection);
    let kick = json!({"t": "kick", "peer": bob.id, "reason": "enough"});
    sim.ask_ok(ann.connection, kick);
    let kicked = sim.hear_only(bob.connection);
    assert_eq!(
        (&kicked["by"], &kicked["reason"]),
        (&json!(ann.id), &json!("enough"))
    );
    assert_eq!(sim.closed(bob.connection), Some(CloseCode::Kicked));
    assert!(!sim.live.contains(&bob.id), "its relay ends at once");
    for me in [&ann, &eve] {
        assert_eq!(sim.hear_only(me.connection)["reason"], "kicked");
    }
    assert_eq!(sim.resume(&bob).1["code"], "session_gone");
}

#[test]
fn who_is_away_can_be_sent_out() {
    let mut sim = Sim::new();
    let (ann, bob) = sim.pair("R");
    sim.disconnect(bob.connection, false);
    sim.ask_ok(ann.connection, json!({"t": "kick", "peer": bob.id}));
    assert_eq!(sim.live.len(), 1);
}

#[test]
fn an_identity_that_was_sent_out_stays_out_while_the_room_lives() {
    let mut sim = Sim::new();
    let mia = sim.enter_with("R", moderator("mia"));
    let max = sim.enter_with("R", claims("max", Grants::PARTICIPANT));
    sim.ask_ok(mia.connection, json!({"t": "kick", "peer": max.id}));
    let again = sim.holder(claims("max", Grants::PARTICIPANT));
    let join = json!({"t": "join", "room": "R"});
    assert_eq!(sim.ask_code(again, join.clone()), "kicked");
    assert_eq!(
        sim.ask(again, json!({"t": "join", "room": "S"}))["t"],
        "joined"
    );
    sim.ask_ok(again, json!({"t": "leave"}));
    sim.ask_ok(mia.connection, json!({"t": "leave"}));
    assert_eq!(sim.ask(again, join)["t"], "joined", "that was another room");
}

#[test]
fn barred_identities_are_bounded() {
    let mut sim = Sim::new();
    let mia = sim.enter_with("R", moderator("mia"));
    for number in 0..=limits::BARRED {
        let guest = sim.enter_with("R", claims(&format!("max{number}"), Grants::PARTICIPANT));
        sim.say(mia.connection, &json!({"t": "kick", "peer": guest.id}));
        sim.pass(std::time::Duration::from_secs(1));
    }
    let barred: Vec<_> = sim
        .rooms
        .rooms
        .values()
        .map(|room| room.barred.len())
        .collect();
    assert_eq!(barred, [limits::BARRED]);
}

#[test]
fn a_locked_room_takes_moderators_only() {
    let mut sim = Sim::new();
    let mia = sim.enter_with("R", moderator("mia"));
    let bob = sim.enter("R");
    sim.heard(mia.connection);
    sim.ask_ok(mia.connection, json!({"t": "lock", "locked": true}));
    for me in [&mia, &bob] {
        assert_eq!(sim.hear_only(me.connection)["locked"], true);
    }
    sim.ask_ok(mia.connection, json!({"t": "lock", "locked": true}));
    assert!(sim.heard(bob.connection).is_empty(), "nothing changed");
    let eve = sim.guest();
    for wait in [false, true] {
        let join = json!({"t": "join", "room": "R", "wait": wait});
        assert_eq!(sim.ask_code(eve, join), "room_locked");
    }
    let moe = sim.holder(moderator("moe"));
    assert_eq!(
        sim.ask(moe, json!({"t": "join", "room": "R"}))["locked"],
        true
    );
    sim.ask_ok(moe, json!({"t": "lock", "locked": false}));
    assert_eq!(
        sim.ask(eve, json!({"t": "join", "room": "R"}))["t"],
        "joined"
    );
}

#[test]
fn the_guest_who_is_longest_there_moderates() {
    let mut sim = Sim::new();
    let (ann, bob) = sim.pair("R");
    let eve = sim.enter("R");
    sim.heard(bob.connection);
    sim.ask_ok(ann.connection, json!({"t": "leave"}));
    for me in [&bob, &eve] {
        assert_eq!(sim.hear(me.connection)["t"], "peer_left");
        let updated = sim.hear_only(me.connection);
        assert_eq!(updated["peer"], bob.id);
        assert_eq!(
            updated["grants"],
            json!(["publish", "subscribe", "moderate"])
        );
    }
    sim.ask_ok(bob.connection, json!({"t": "kick", "peer": eve.id}));
}

#[test]
fn a_moderator_by_token_takes_over_and_hands_back() {
    let mut sim = Sim::new();
    let (ann, bob) = sim.pair("R");
    let mia = sim.holder(moderator("mia"));
    let joined = sim.ask(mia, json!({"t": "join", "room": "R"}));
    assert_eq!(
        joined["peers"][0]["grants"],
        json!(["publish", "subscribe"])
    );
    assert!(sim.heard(mia).is_empty());
    for me in [&ann, &bob] {
        let heard = sim.heard(me.connection);
        let updated: Vec<_> = heard.iter().filter(|m| m["t"] == "peer_updated").collect();
        assert_eq!(updated.len(), 1);
        assert_eq!(updated[0]["peer"], ann.id);
        assert_eq!(updated[0]["grants"], json!(["publish", "subscribe"]));
    }
    let lock = json!({"t": "lock", "locked": true});
    assert_eq!(sim.ask_code(ann.connection, lock.clone()), "forbidden");
    sim.ask_ok(mia, json!({"t": "leave"}));
    sim.ask_ok(ann.connection, lock);
}

#[test]
fn a_token_without_the_grant_is_not_promoted() {
    let mut sim = Sim::new();
    let max = sim.enter_with("R", claims("max", Grants::PARTICIPANT));
    let lock = json!({"t": "lock", "locked": true});
    assert_eq!(sim.ask_code(max.connection, lock.clone()), "forbidden");
    let ann = sim.enter("R");
    sim.ask_ok(ann.connection, lock);
}
