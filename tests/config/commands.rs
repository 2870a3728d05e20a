//! The commands `check`, `config`, `credentials` and `run`, as a shell sees them.

use serde_json::Value;

use crate::support::{Dir, SECRET, stderr, stdout, turnstone};

const GOOD: &str = "\
[server]
domain = \"turn.example.org\"
[tls]
mode = \"self-signed\"
[turn.rest]
secrets_file = \"rest.secret\"
";

#[test]
fn check_says_ok_and_what_will_be_served() {
    let (_dir, file) = good();
    let output = turnstone(&["check", "--config", &file], &[]);
    assert_eq!(output.status.code(), Some(0), "{}", stdout(&output));
    let expected = format!(
        "\
ok: {file}
  listens      udp [::]:3478, tcp [::]:3478, tls [::]:443 [::]:5349, http [::]:80
  announces    an address found at start
  relays       UDP ports 49152-65535 of an address found at start
  realm        turn.example.org
  accepts      1 shared secret (issued for 1d)
  rooms        closed: no tokens and no guests
  limits       10 allocations per user, 20 allocations per address
  peers        everywhere but private and reserved networks
  certificate  self-signed, made at start
"
    );
    assert_eq!(stdout(&output), expected);
    assert_eq!(stderr(&output), "");
}

#[test]
fn check_tells_warnings_from_errors_by_its_status() {
    let dir = Dir::new();
    let warned = dir.write("w.toml", "[rooms]\nmax_participants = 6\n");
    let failed = dir.write("e.toml", "[rooms]\nmax_participants = 0\n");
    let status = |path: &std::path::Path| {
        let output = turnstone(&["check", "--config", path.to_str().unwrap()], &[]);
        output.status.code()
    };
    assert_eq!(status(&warned), Some(1));
    assert_eq!(status(&failed), Some(2));
    assert_eq!(status(&dir.path().join("missing.toml")), Some(2));
}

#[test]
fn check_gives_json_for_programs() {
    let dir = Dir::new();
    let text = format!("[turn]\nrelm = \"{SECRET}\"\n[admin]\ntoken = 5\n");
    let file = dir.write("t.toml", &text);
    let output = turnstone(
        &["check", "--json", "--config", file.to_str().unwrap()],
        &[],
    );
    assert_eq!(output.status.code(), Some(2));
    let text = stdout(&output);
    assert!(!text.contains(SECRET), "{text}");
    let found: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(found["status"], "errors");
    assert_eq!(found["source"], file.to_str().unwrap());
    let problem = &found["problems"][0];
    assert_eq!(problem["severity"], "error");
    assert_eq!(problem["key"], "turn.relm");
    assert_eq!(problem["line"], 2);
    assert_eq!(problem["column"], 1);
    assert_eq!(problem["what"], "there is no such key");
    assert_eq!(problem["write"], "realm = ...");
}

#[test]
fn the_environment_wins_over_the_file() {
    let (_dir, file) = good();
    let variables = [
        ("TURNSTONE__TURN__REALM", "from the environment"),
        ("TURNSTONE__LISTEN__TLS", "[]"),
        ("TURNSTONE__TURN__REST__SECRETS", SECRET),
    ];
    let output = turnstone(&["check", "--config", &file], &variables);
    let text = stdout(&output);
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert!(
        text.contains("realm        from the environment\n"),
        "{text}"
    );
    assert!(
        text.contains("listens      udp [::]:3478, tcp [::]:3478, http [::]:80\n"),
        "{text}"
    );
}

#[test]
fn a_mistake_in_the_environment_names_the_variable() {
    let (_dir, file) = good();
    let variables = [
        ("TURNSTONE__TURN__RELAY_PORTS", "9-8"),
        ("TURNSTONE__LOG__LEVL", "info"),
    ];
    let output = turnstone(&["check", "--config", &file], &variables);
    assert_eq!(output.status.code(), Some(2));
    let expected = format!(
        "\
error: this variable sets no known key
 --> environment variable TURNSTONE__LOG__LEVL
  = why: TURNSTONE__SECTION__KEY sets the key of that section
  = write: TURNSTONE__LOG__LEVEL

error: turn.relay_ports: \"9-8\" is not a port range
 --> environment variable TURNSTONE__TURN__RELAY_PORTS
  = why: the first port is higher than the last
  = write: TURNSTONE__TURN__RELAY_PORTS=8-9

2 errors: {file}
"
    );
    assert_eq!(stdout(&output), expected);
}

#[test]
fn a_relative_secret_file_is_a_systemd_credential_first() {
    let (dir, file) = good();
    let credentials = Dir::new();
    credentials.write("rest.secret", "");
    let variable = (
        "CREDENTIALS_DIRECTORY",
        credentials.path().to_str().unwrap(),
    );
    let output = turnstone(&["check", "--config", &file], &[variable]);
    // The one beside the file would do; the empty one of systemd does not.
    let shown = credentials.path().join("rest.secret").display().to_string();
    let text = stdout(&output);
    assert!(
        text.contains(&format!("the file {shown} is empty")),
        "{text}"
    );
    drop(dir);
}

#[test]
fn config_full_prints_the_sample_file() {
    let output = turnstone(&["config", "--full"], &[]);
    assert_eq!(output.status.code(), Some(0));
    let sample = include_str!("../../config/turnstone.toml");
    assert_eq!(stdout(&output), sample);
}

#[test]
fn config_explain_explains_or_suggests() {
    let output = turnstone(&["config", "--explain", "turn.relay_ports"], &[]);
    assert_eq!(output.status.code(), Some(0));
    let expected = "\
turn.relay_ports
  UDP ports for relaying; each allocation takes one, and a firewall must let them in.
  value:       a port range
  default:     \"49152-65535\"
  in the file: [turn]
               relay_ports = \"49152-65535\"
  environment: TURNSTONE__TURN__RELAY_PORTS
";
    assert_eq!(stdout(&output), expected);

    let output = turnstone(&["config", "--explain", "turn.relay_prots"], &[]);
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(stdout(&output), "");
    let expected = "\
error: there is no key \"turn.relay_prots\"
 = write: turnstone config --explain turn.relay_ports
";
    assert_eq!(stderr(&output), expected);
}

#[test]
fn credentials_are_what_a_peer_connection_takes() {
    let (_dir, file) = good();
    let arguments = [
        "credentials",
        "--config",
        &file,
        "--user",
        "alice",
        "--ttl",
        "1h",
    ];
    let output = turnstone(&arguments, &[]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let object: Value = serde_json::from_str(&stdout(&output)).unwrap();
    let [stun, turn] = object["iceServers"].as_array().unwrap().as_slice() else {
        panic!("one entry for STUN and one for TURN: {object}");
    };
    assert_eq!(stun["urls"][0], "stun:turn.example.org:3478");
    assert_eq!(turn["urls"].as_array().unwrap().len(), 4);
    assert_eq!(turn["urls"][0], "turn:turn.example.org:3478?transport=udp");
    let (expiry, user) = turn["username"].as_str().unwrap().split_once(':').unwrap();
    assert!(expiry.parse::<u64>().is_ok());
    assert_eq!(user, "alice");
    assert_eq!(turn["credential"].as_str().unwrap().len(), 28);
    assert!(stderr(&output).starts_with("valid for 1h, until 20"));
    assert!(!stdout(&output).contains(SECRET) && !stderr(&output).contains(SECRET));
}

#[test]
fn credentials_say_what_they_lack() {
    let dir = Dir::new();
    dir.write("rest.secret", SECRET);
    let cases = [
        (
            "[turn.rest]\nsecrets_file = \"rest.secret\"\n",
            "how clients reach this server",
        ),
        (
            "[server]\ndomain = \"turn.example.org\"\n",
            "no shared secret",
        ),
        (
            "[server]\ndomain = \"turn.example.org\"\n[listen]\nudp = [\"127.0.0.1:3478\"]\n\
             tcp = []\ntls = []\n[turn.rest]\nsecrets_file = \"rest.secret\"\n",
            "no listener can be reached as turn.example.org",
        ),
    ];
    for (text, reason) in cases {
        let file = dir.write("t.toml", text);
        let output = turnstone(&["credentials", "--config", file.to_str().unwrap()], &[]);
        assert_eq!(output.status.code(), Some(2), "{text}");
        assert_eq!(stdout(&output), "");
        let message = stderr(&output);
        assert!(
            message.contains(reason) && message.contains(" = write: "),
            "{message}"
        );
    }
}

#[test]
fn run_refuses_a_file_with_errors_and_says_all_of_them() {
    let dir = Dir::new();
    let file = dir.write("t.toml", "[turn]\nrelm = \"a\"\nrelay_ports = \"9-8\"\n");
    let output = turnstone(&["run", "--config", file.to_str().unwrap()], &[]);
    assert_eq!(output.status.code(), Some(2));
    let message = stderr(&output);
    assert!(
        message.contains("turn.relm") && message.contains("turn.relay_ports"),
        "{message}"
    );
    assert!(
        message.ends_with(&format!("2 errors: {}\n", file.display())),
        "{message}"
    );
}

fn good() -> (Dir, String) {
    let dir = Dir::new();
    dir.write("rest.secret", SECRET);
    let file = dir.write("turnstone.toml", GOOD);
    let file = file.to_str().unwrap().to_owned();
    (dir, file)
}
