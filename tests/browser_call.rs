//! Calls through `client.js`, from pages of another web site than the server's.
//!
//! What people do and see is in `tests/browser/call.mjs`; a scenario fails when something that it
//! waits for does not come. Here stands what must be so in the end.

#[allow(
    dead_code,
    clippy::panic,
    reason = "shared by all whole-program tests, each of which uses a part"
)]
#[path = "support/mod.rs"]
mod support;

use serde_json::{Value, json};

use support::config::TestConfig;
use support::scenario::play;

#[test]
fn two_people_in_chromium() {
    two_people("chromium");
}

#[test]
fn two_people_in_firefox() {
    two_people("firefox");
}

#[test]
fn four_people_see_each_other() {
    let report = play(
        "chromium",
        "four_people",
        guests().set("rooms.mesh_up_to", 4),
    );
    assert_eq!(report, json!({"errors": []}));
}

#[test]
fn a_lost_socket_resumes_with_the_same_connections() {
    let report = play("chromium", "lost_socket", guests());
    assert_eq!(report["newConnections"], 0, "{report}");
    assert_eq!(report["joined"], 1, "{report}");
    // One from each side, neither lost nor said twice.
    assert_eq!(report["chats"], 2, "{report}");
}

#[test]
fn clients_come_back_when_the_server_restarts() {
    let report = play("chromium", "server_restart", guests());
    assert_eq!(report, json!({"peers": 1, "reason": null}));
}

#[test]
fn a_dead_connection_is_replaced() {
    let report = play("chromium", "dead_connection", guests());
    // The peer stays the same: it is the connection that is made anew.
    assert_eq!(report, json!({"connections": 2, "peers": 1}));
}

#[test]
fn relayed_media_outlives_its_credentials() {
    let config = guests().set("turn.rest.ttl", "1m");
    let report = play("chromium", "renewed_credentials", config);
    assert_eq!(report, json!({"path": "relay", "gaps": []}));
}

#[test]
fn a_page_that_is_loaded_anew_takes_its_old_place() {
    // In a room of two there is no third place.
    let report = play("chromium", "reload", guests());
    assert_eq!(report, json!({"stored": 0, "left": 1, "peers": 1}));
}

#[test]
fn a_wrong_token_ends_the_call_and_says_so() {
    let report = play("chromium", "refused", guests());
    let unauthorized = json!({"code": "unauthorized", "state": "closed", "reason": "unauthorized"});
    assert_eq!(report, unauthorized);
}

#[test]
fn the_first_page_of_the_documentation_makes_a_call() {
    both_see_the_other(&play("chromium", "documented", guests()));
}

#[test]
fn the_protocol_page_is_enough_for_a_client() {
    let report = play("chromium", "minimal", guests());
    assert_eq!(report["errors"], json!([]), "{report}");
}

#[test]
fn the_protocol_page_is_enough_for_a_client_in_firefox() {
    let report = play("firefox", "minimal", guests());
    assert_eq!(report["errors"], json!([]), "{report}");
}

#[test]
fn the_migrated_app_connects() {
    both_see_the_other(&play("chromium", "migrate", guests()));
}

#[track_caller]
fn both_see_the_other(report: &Value) {
    let frames = report["frames"].as_array();
    let are_seen = frames.is_some_and(|ends| ends.len() == 2 && ends.iter().all(|end| *end != 0));
    assert!(are_seen, "{report}");
}

#[track_caller]
fn two_people(browser: &str) {
    let report = play(browser, "two_people", guests());
    assert_eq!(report["isMuted"], true, "{report}");
    assert_eq!(report["isStillMuted"], true, "{report}");
    assert_eq!(report["offersForDevice"], 0, "{report}");
    assert_eq!(report["newLines"], 0, "{report}");
    assert_eq!(report["newConnections"], 0, "{report}");
    assert_eq!(report["stats"]["path"], "direct", "{report}");
    assert_eq!(report["stats"]["protocol"], "udp", "{report}");
    assert_eq!(report["errors"], json!([]), "{report}");
}

fn guests() -> TestConfig {
    TestConfig::standard().set("signaling.guests", true)
}
