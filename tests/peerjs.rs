//! The PeerJS client of npm, unchanged, in pages of another web site.
//!
//! Two pages of one Chromium meet through the server: ids, data, media, taken
//! ids, reconnects, absent peers. All media is relayed, so that the test does not
//! depend on what a machine offers beside loopback.

#[allow(
    dead_code,
    clippy::panic,
    reason = "shared by all whole-program tests, each of which uses a part"
)]
#[path = "support/mod.rs"]
mod support;

use serde_json::{Value, json};
use turnstone::auth::{Claims, Grants, TokenKey, Tokens};
use turnstone::clock;
use turnstone::unix_time::UnixTime;

use support::Transport;
use support::browser::{PeerJsPages, rtc_configuration};
use support::config::{TestConfig, strings};
use support::server::Server;

#[test]
fn apps_with_the_peerjs_client_work_unchanged() {
    let pages = PeerJsPages::open();
    let config = TestConfig::standard()
        .set("signaling.guests", true)
        .set("signaling.origins", strings(&[pages.origin()]));
    let server = Server::start(config);
    let seen = pages.run("everything", &options(&server));

    assert!(is_uuid(&seen["any"]), "{seen}");
    assert!(is_uuid(&seen["anyBelow"]), "{seen}");
    assert_eq!(seen["chosen"], "ben-1");
    let echo = json!({"echo": {"text": "hello", "bytes": 3}});
    assert_eq!(seen["data"], echo);
    assert_eq!(seen["frames"], json!([30, 30]));
    assert_eq!(seen["taken"], "unavailable-id");
    assert_eq!(seen["wrongKey"], "invalid-key");
    assert_eq!(seen["listing"], "server-error");

    assert_eq!(seen["back"], seen["any"], "a reconnect keeps the id");
    assert_eq!(seen["dataAfter"], json!({"echo": "still"}));
    assert_eq!(seen["dataBack"], json!({"echo": "again"}));
    assert_eq!(seen["absent"], "peer-unavailable");
    assert_eq!(seen["late"], json!({"echo": "early"}));
}

#[test]
fn without_guests_the_key_is_a_room_token() {
    let pages = PeerJsPages::open();
    let config = TestConfig::standard()
        .set("signaling.origins", strings(&[pages.origin()]))
        .set("signaling.tokens.secret", SECRET);
    let server = Server::start(config);
    let mut options = options(&server);
    options["green"] = token("green").into();
    options["red"] = token("red").into();
    let seen = pages.run("rooms", &options);

    assert_eq!(seen["guest"], "invalid-key");
    assert_eq!(seen["expired"], "invalid-key");
    assert_eq!(seen["data"], json!({"echo": "hello"}));
    assert_eq!(seen["otherRoom"], "peer-unavailable");
}

/// What `new Peer(...)` takes, for the default path and the one below it.
fn options(server: &Server) -> Value {
    let tls = server.address(Transport::Tls);
    let url = format!("turn:{}?transport=udp", server.address(Transport::Udp));
    let root = json!({
        "host": tls.ip().to_string(),
        "port": tls.port(),
        "secure": true,
        "config": rtc_configuration("relay", &[url], &server.alice()),
    });
    let mut below = root.clone();
    below["path"] = "/peerjs".into();
    json!({"root": root, "below": below})
}

fn token(room: &str) -> String {
    let now = clock::unix_now();
    let claims = Claims {
        room: room.to_owned(),
        identity: None,
        name: None,
        grants: Grants::of_names(["publish", "subscribe"]),
        expires: UnixTime(now.0 + 3600),
        not_before: None,
        max_participants: None,
    };
    let tokens = Tokens::new(vec![TokenKey::hs256(&SECRET.into())]);
    tokens.sign(&claims, now).expect("the key signs")
}

fn is_uuid(id: &Value) -> bool {
    let id = id.as_str().unwrap_or_default();
    id.len() == 36 && id.chars().filter(|c| *c == '-').count() == 4
}

const SECRET: &str = "a secret that is long enough for the check of the file";
