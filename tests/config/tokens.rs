//! `turnstone token create`, as a shell sees it.

use std::process::Output;

use turnstone::auth::{Claims, Grants, TokenKey, Tokens};
use turnstone::clock;
use turnstone::secret::Secret;

use crate::support::{Dir, SECRET, stderr, stdout, turnstone};

#[test]
fn a_token_comes_with_its_link() {
    let output = create(GOOD, &["--room", "team"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let token = stdout(&output);
    let token = token.strip_suffix('\n').unwrap();
    let claims = verified(token);
    assert_eq!(claims.room, "team");
    assert_eq!(claims.grants, Grants::PARTICIPANT);
    assert_eq!((claims.identity, claims.name), (None, None));
    assert_eq!(claims.max_participants, None);
    let hint = stderr(&output);
    assert!(hint.starts_with("valid for 1h, until 20"), "{hint}");
    let link = format!("\nhttps://call.example.org/r/team#token={token}\n");
    assert!(hint.ends_with(&link), "{hint}");
    assert!(!hint.contains(SECRET));
}

#[test]
fn everything_asked_for_is_in_the_token() {
    let arguments = [
        "--room",
        "*",
        "--name",
        "Ann \u{1f98a}",
        "--identity",
        "ann@example.org",
        "--can",
        "subscribe,moderate",
        "--ttl",
        "10m",
        "--max",
        "2",
    ];
    let output = create(GOOD, &arguments);
    let claims = verified(stdout(&output).trim_end());
    assert_eq!(claims.room, "*");
    assert_eq!(claims.name.as_deref(), Some("Ann \u{1f98a}"));
    assert_eq!(claims.identity.as_deref(), Some("ann@example.org"));
    assert_eq!(claims.grants.names(), ["subscribe", "moderate"]);
    assert_eq!(claims.max_participants, Some(2));
    let left = clock::unix_now().until(claims.expires).as_secs();
    assert!((590..=600).contains(&left), "{left}");
    let hint = stderr(&output);
    assert!(hint.ends_with("\nit opens every room of this server\n"));
}

#[test]
fn a_token_can_be_made_without_a_link() {
    let keys = format!("[signaling.tokens]\nsecret = \"{SECRET}\"\n");
    let output = create(&keys, &["--room", "team"]);
    assert_eq!(output.status.code(), Some(0));
    verified(stdout(&output).trim_end());
    let hint = stderr(&output);
    assert!(hint.contains("domain in [server]"), "{hint}");
}

#[test]
fn what_is_missing_or_wrong_is_said() {
    let public = "[signaling.tokens]\nkeys = [\"\"\"\n-----BEGIN PUBLIC KEY-----\n\
        MCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\n\
        -----END PUBLIC KEY-----\n\"\"\"]\n";
    for (text, reason) in [
        ("", "there is no key to sign tokens with"),
        (public, "none of them can sign"),
    ] {
        let output = create(text, &["--room", "team"]);
        assert_eq!(output.status.code(), Some(2), "{text}");
        assert_eq!(stdout(&output), "");
        let message = stderr(&output);
        let is_helpful = message.contains(reason) && message.contains(" = write: ");
        assert!(is_helpful, "{message}");
    }
    for (arguments, reason) in [
        (vec!["--room", "a b"], "a room has 1 to 64"),
        (
            vec!["--room", "r", "--can", "fly"],
            "publish, subscribe, moderate",
        ),
        (vec!["--room", "r", "--ttl", "10"], "\"10s\""),
        (vec!["--room", "r", "--max", "0"], "1..=1000"),
        (vec![], "--room"),
    ] {
        let output = create(GOOD, &arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert_eq!(stdout(&output), "");
        let message = stderr(&output);
        assert!(message.contains(reason), "{message}");
    }
}

const GOOD: &str = "\
[server]
domain = \"call.example.org\"
[tls]
mode = \"self-signed\"
[signaling.tokens]
secret_file = \"token.secret\"
";

fn create(config: &str, arguments: &[&str]) -> Output {
    let dir = Dir::new();
    dir.write("token.secret", SECRET);
    let file = dir.write("turnstone.toml", config);
    let mut all = vec!["token", "create", "--config", file.to_str().unwrap()];
    all.extend(arguments);
    turnstone(&all, &[])
}

fn verified(token: &str) -> Claims {
    let tokens = Tokens::new(vec![TokenKey::hs256(&Secret::from(SECRET))]);
    tokens.verify(token, clock::unix_now()).unwrap()
}
