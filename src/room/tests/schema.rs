//! `docs/protocol.schema.json`: a judge of messages for all tests here, and what
//! the schema and the page beside it have to agree on with the code.

use std::collections::BTreeMap;
use std::sync::{LazyLock, OnceLock};

use jsonschema::Validator;
use serde_json::{Value, json};

use crate::room::event::Event;
use crate::room::{ErrorCode, parse};

/// Fails when `message` is none that docs/protocol.schema.json lets a server send.
pub(super) fn check_server(message: &Value) {
    check("server", message);
}

/// Fails when `message` is none that a client may send.
pub(super) fn check_client(message: &Value) {
    check("client", message);
}

fn check(side: &str, message: &Value) {
    if let Err(problem) = judge(side, message) {
        panic!("{problem}: {message}");
    }
}

fn judge(side: &str, message: &Value) -> Result<(), String> {
    let name = format!("{side}_{}", message["t"].as_str().unwrap_or_default());
    let Some(made) = VALIDATORS.get(&name) else {
        return Err(format!("the schema has no {name}"));
    };
    let validator = made.get_or_init(|| validator(&name));
    validator
        .validate(message)
        .map_err(|error| error.to_string())
}

/// One for each message, made when it is needed: quicker than to try them all, and
/// its errors are clear.
static VALIDATORS: LazyLock<BTreeMap<String, OnceLock<Validator>>> = LazyLock::new(|| {
    let names = message_names().into_iter();
    names.map(|name| (name, OnceLock::new())).collect()
});

static SCHEMA: LazyLock<Value> = LazyLock::new(|| {
    serde_json::from_str(include_str!("../../../docs/protocol.schema.json")).unwrap()
});

const PAGE: &str = include_str!("../../../docs/protocol.md");

fn validator(definition: &str) -> Validator {
    let mut schema = SCHEMA.clone();
    let root = schema.as_object_mut().unwrap();
    root.remove("anyOf");
    root.insert("$ref".to_owned(), json!(format!("#/$defs/{definition}")));
    jsonschema::draft202012::new(&schema).unwrap()
}

/// Returns `client_*` and `server_*`, sorted.
fn message_names() -> Vec<String> {
    let definitions = SCHEMA["$defs"].as_object().unwrap();
    let is_message = |name: &&String| name.starts_with("client_") || name.starts_with("server_");
    definitions.keys().filter(is_message).cloned().collect()
}

#[test]
fn the_schema_is_one_and_lists_every_message() {
    assert!(jsonschema::draft202012::meta::is_valid(&SCHEMA));
    let mut listed: Vec<String> = Vec::new();
    for side in ["client", "server"] {
        for entry in SCHEMA["$defs"][side]["oneOf"].as_array().unwrap() {
            let name = entry["$ref"].as_str().unwrap();
            listed.push(name.trim_start_matches("#/$defs/").to_owned());
        }
    }
    listed.sort();
    assert_eq!(listed, message_names());
}

#[test]
fn the_schema_as_a_whole_takes_what_its_parts_take() {
    let whole = jsonschema::draft202012::new(&SCHEMA).unwrap();
    assert!(whole.is_valid(&json!({"t": "pong", "re": 1})));
    assert!(whole.is_valid(&json!({"t": "ping", "id": 1})));
    assert!(!whole.is_valid(&json!({"t": "fly"})));
}

#[test]
fn a_misspelt_field_of_the_server_is_found() {
    for wrong in [
        json!({"t": "pong", "er": 1}),
        json!({"t": "pong", "seq": 1}),
        json!({"t": "ok"}),
        json!({"t": "error", "code": "no_such_code", "message": "m"}),
        json!({"t": "error", "code": "rate_limited", "message": "m"}),
        json!({"t": "peer_updated", "seq": 1, "peer": "AAAAAAAAAAAAAAAA"}),
        json!({"t": "peer_left", "peer": "AAAAAAAAAAAAAAAA", "reason": "left"}),
        json!({"t": "peer_left", "seq": 1, "peer": "AAAA", "reason": "left"}),
        json!({"t": "room_updated", "seq": 1, "locked": 1}),
    ] {
        assert!(judge("server", &wrong).is_err(), "{wrong}");
    }
}

#[test]
fn the_schema_and_the_parser_agree_on_client_messages() {
    let long = |length: usize| "x".repeat(length);
    for (message, is_right) in [
        (json!({"t": "hello", "id": 1}), true),
        (json!({"t": "hello", "token": "a.b.c"}), true),
        (
            json!({"t": "hello", "resume": {"id": "a", "secret": "b", "last_seq": 1}}),
            true,
        ),
        (json!({"t": "hello", "resume": {"id": "a"}}), false),
        (
            json!({"t": "hello", "token": "a", "resume": {"id": "a", "secret": "b"}}),
            false,
        ),
        (json!({"t": "join", "room": "R_1.x-y"}), true),
        (
            json!({"t": "join", "room": "R", "mode": "sfu", "wait": true, "state": {"a": 1}}),
            true,
        ),
        (
            json!({"t": "join", "room": "R", "replaces": {"id": "a", "secret": "b"}}),
            true,
        ),
        (json!({"t": "join", "room": "a b"}), false),
        (json!({"t": "join", "room": "R", "name": long(65)}), false),
        (json!({"t": "join", "room": "R", "name": "a\u{7}"}), false),
        (json!({"t": "join", "room": "R", "mode": "star"}), false),
        (json!({"t": "join", "room": "R", "wait": 1}), false),
        (json!({"t": "join", "room": "R", "state": []}), false),
        (json!({"t": "leave", "id": 1u64 << 53}), true),
        (json!({"t": "leave", "id": (1u64 << 53) + 1}), false),
        (json!({"t": "leave", "id": 0}), false),
        (
            json!({"t": "offer", "to": "p", "sdp": "v=0", "gen": 1}),
            true,
        ),
        (
            json!({"t": "offer", "to": "p", "sdp": "v=0", "gen": 0}),
            false,
        ),
        (json!({"t": "offer", "to": "p", "sdp": long(49_153)}), false),
        (json!({"t": "answer", "to": "p"}), false),
        (
            json!({"t": "ice", "to": "p", "candidate": {"candidate": ""}}),
            true,
        ),
        (json!({"t": "ice", "to": "p", "candidates": []}), true),
        (
            json!({"t": "ice", "to": "p", "candidate": {}, "candidates": []}),
            false,
        ),
        (json!({"t": "ice", "to": "p"}), false),
        (
            json!({"t": "chat", "text": "a", "to": "p", "more": [1]}),
            true,
        ),
        (json!({"t": "chat", "text": ""}), false),
        (json!({"t": "chat", "text": long(4_001)}), false),
        (json!({"t": "set", "name": "a", "state": {}}), true),
        (json!({"t": "mute", "peer": "p", "kind": "video"}), true),
        (json!({"t": "mute", "peer": "p", "kind": "screen"}), false),
        (
            json!({"t": "kick", "peer": "p", "reason": long(201)}),
            false,
        ),
        (json!({"t": "lock", "locked": "yes"}), false),
        (json!({"t": "ping"}), true),
        (json!({"t": "fly"}), false),
    ] {
        assert_eq!(parse(&message.to_string()).is_ok(), is_right, "{message}");
        assert_eq!(judge("client", &message).is_ok(), is_right, "{message}");
    }
}

#[test]
fn the_page_names_every_message_with_its_fields() {
    for name in message_names() {
        let (_, t) = name.split_once('_').unwrap();
        let row = format!("`{t}`");
        let mut lines = PAGE.lines().filter(|line| line.starts_with('|'));
        assert!(lines.any(|line| line.contains(&row)), "no row for {name}");
    }
}

#[test]
fn the_page_shows_the_welcome_that_is_sent() {
    let shown = PAGE.split("```json\n").nth(1).unwrap();
    let shown: Value = serde_json::from_str(shown.split("```").next().unwrap()).unwrap();
    let sent: Value = serde_json::from_str(&Event::welcome().text()).unwrap();
    assert_eq!(shown, sent);
}

#[test]
fn the_page_and_the_schema_have_every_error_code() {
    let codes = SCHEMA["$defs"]["error_code"]["enum"].as_array().unwrap();
    let known: Vec<Value> = ErrorCode::ALL.iter().map(|code| json!(code)).collect();
    assert_eq!(*codes, known);
    for code in &known {
        let name = format!("`{}`", code.as_str().unwrap());
        let mut lines = PAGE.lines().filter(|line| line.starts_with("| `"));
        assert!(lines.any(|line| line.contains(&name)), "no row for {name}");
    }
}
