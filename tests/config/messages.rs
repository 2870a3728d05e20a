//! The whole message of the mistakes that are made most, as an operator reads it.
//!
//! Each message must be enough to correct the file without another document.

use turnstone::config::Problems;

use crate::support::{Dir, SECRET, load_text, problems};

#[test]
fn a_misspelled_key() {
    says(
        "relay_port = \"50000-50999\"",
        "turn",
        "\
error: turn.relay_port: there is no such key
 --> t.toml:2:1
  |
2 | relay_port = ***
  | ^^^^^^^^^^
  = why: unknown keys are errors, or a misspelled one would silently do nothing
  = write: relay_ports = ...",
    );
}

#[test]
fn a_key_in_the_wrong_section() {
    says(
        "realm = \"example.org\"",
        "server",
        "\
error: server.realm: there is no such key
 --> t.toml:2:1
  |
2 | realm = ***
  | ^^^^^
  = why: realm belongs to section [turn]
  = write: realm = ... below [turn]",
    );
}

#[test]
fn text_without_quotes() {
    says(
        "domain = call.example.org",
        "server",
        "\
error: text without quotes
 --> t.toml:2:10
  |
2 | domain = call.example.org
  |          ^^^^^^^^^^^^^^^^
  = why: only numbers, true and false stand without quotes
  = write: \"call.example.org\"",
    );
}

#[test]
fn one_text_where_a_list_belongs() {
    says(
        "public_ips = \"203.0.113.5\"",
        "server",
        "\
error: server.public_ips: text in quotes, where a list belongs
 --> t.toml:2:14
  |
2 | public_ips = \"203.0.113.5\"
  |              ^^^^^^^^^^^^^
  = why: it must be a list of addresses, \"dns:NAME\", or \"auto\" alone
  = write: public_ips = [\"203.0.113.5\"]",
    );
}

#[test]
fn a_duration_without_a_unit() {
    says(
        "default_lifetime = 600",
        "turn",
        "\
error: turn.default_lifetime: 600 has no unit
 --> t.toml:2:20
  |
2 | default_lifetime = 600
  |                    ^^^
  = why: it must be a duration (units s, m, h, d) from 1s to 1h
  = write: default_lifetime = \"600s\"",
    );
}

#[test]
fn a_listener_without_an_address() {
    says(
        "udp = [\":3478\"]",
        "listen",
        "\
error: listen.udp: \":3478\" is not an address with port
 --> t.toml:2:8
  |
2 | udp = [\":3478\"]
  |        ^^^^^^^
  = why: it needs an address and a port; [::] stands for every address, IPv4 as well
  = write: \"[::]:3478\"",
    );
}

#[test]
fn a_port_used_twice() {
    says(
        "tls = [\"[::]:3478\"]",
        "listen",
        "\
error: listen.tls: [::]:3478 is taken by listen.tcp
 --> t.toml:2:8
  |
2 | tls = [\"[::]:3478\"]
  |        ^^^^^^^^^^^
  = why: an address and port can be listened on once for each protocol
  = write: another port, or leave one of them out",
    );
}

#[test]
fn a_url_where_a_host_name_belongs() {
    says(
        "domain = \"https://call.example.org/\"",
        "server",
        "\
error: server.domain: \"https://call.example.org/\" is not a host name
 --> t.toml:2:10
  |
2 | domain = \"https://call.example.org/\"
  |          ^^^^^^^^^^^^^^^^^^^^^^^^^^^
  = why: a host name has letters, digits, hyphens and dots, and no scheme, port or path
  = write: domain = \"call.example.org\"",
    );
}

#[test]
fn a_broken_peer_list() {
    says(
        "allow_peers = [\"10.0.0.5/8\", \"private\"]",
        "turn",
        "\
error: turn.allow_peers: \"10.0.0.5/8\" has bits set behind the prefix
 --> t.toml:2:16
  |
2 | allow_peers = [\"10.0.0.5/8\", \"private\"]
  |                ^^^^^^^^^^^^
  = why: it is not clear whether the whole network or one address is meant
  = write: \"10.0.0.0/8\" or \"10.0.0.5\"

error: turn.allow_peers: \"private\" is not a network
 --> t.toml:2:30
  |
2 | allow_peers = [\"10.0.0.5/8\", \"private\"]
  |                              ^^^^^^^^^
  = why: a network is an address and the length of its prefix
  = write: \"192.168.1.0/24\"",
    );
}

#[test]
fn certificate_files_that_are_missing() {
    says(
        "mode = \"files\"\ncert = \"/nowhere/fullchain.pem\"",
        "tls",
        "\
error: tls.key: mode \"files\" needs this file
 --> t.toml:2:8
  |
2 | mode = \"files\"
  |        ^^^^^^^
  = write: key = \"/etc/turnstone/privkey.pem\"

error: tls.cert: the file /nowhere/fullchain.pem cannot be read
 --> t.toml:3:8
  |
3 | cert = \"/nowhere/fullchain.pem\"
  |        ^^^^^^^^^^^^^^^^^^^^^^^^
  = why: there is no such file
  = write: the path of a PEM file that the user of this service may read",
    );
}

#[test]
fn acme_which_comes_later() {
    says(
        "mode = \"acme\"",
        "tls",
        "\
error: tls.mode: \"acme\" is not available in this version
 --> t.toml:2:8
  |
2 | mode = \"acme\"
  |        ^^^^^^
  = why: certificates cannot be fetched yet
  = write: mode = \"files\" with cert and key, or mode = \"self-signed\"",
    );
}

#[test]
fn a_key_without_effect() {
    says(
        "trusted_proxies = [\"127.0.0.1\"]",
        "listen",
        "\
warning: listen.trusted_proxies: not available in this version
 --> t.toml:2:19
  |
2 | trusted_proxies = [\"127.0.0.1\"]
  |                   ^^^^^^^^^^^^^
  = why: the value is checked, but it has no effect yet",
    );
}

#[test]
fn a_sample_secret() {
    let expected = "\
warning: turn.rest.secrets: this secret is easy to guess
 --> t.toml:2:12
  |
2 | secrets = ***
  |           ^^^
  = why: samples and tutorials contain it, and attackers try those first
  = write: the output of: openssl rand -base64 32";
    assert_eq!(
        problems("[turn.rest]\nsecrets = [\"changeme\"]\n"),
        expected
    );
}

#[test]
fn a_user_written_wrongly_in_every_way() {
    let text = "\
[[turn.users]]
name = \"alice\"

[[turn.users]]
name = \"alice\"
password = \"tq8-Zk_5w1\"
key = \"0123\"
";
    let expected = "\
error: turn.users.password: this user has no password
 --> t.toml:1:1
  |
1 | [[turn.users]]
  | ^^^^^^^^^^^^^^
  = why: a user without one could never authenticate
  = write: password_file = \"alice.password\"

error: turn.users.name: this user is listed twice
 --> t.toml:5:8
  |
5 | name = \"alice\"
  |        ^^^^^^^
  = why: it would not be clear which password counts
  = write: each user once

error: turn.users.key: this user has a password and a key
 --> t.toml:7:7
  |
7 | key = ***
  |       ^^^
  = why: the key is made from the password, so one of the two is enough
  = write: either password or key";
    assert_eq!(problems(text), expected);
}

#[test]
fn users_written_as_a_section() {
    let text = "[turn.users]\nname = \"alice\"\n";
    let expected = "\
error: turn.users: users are written as blocks that repeat
 --> t.toml:1:7
  |
1 | [turn.users]
  |       ^^^^^
  = write: [[turn.users]] on a line of its own, for each user";
    assert_eq!(problems(text), expected);
}

#[test]
fn a_secret_file_that_is_missing() {
    let expected = "\
error: turn.rest.secrets_file: the file /nowhere/rest.secret cannot be read
 --> t.toml:2:16
  |
2 | secrets_file = \"/nowhere/rest.secret\"
  |                ^^^^^^^^^^^^^^^^^^^^^^
  = why: there is no such file
  = write: openssl rand -base64 32 > /nowhere/rest.secret, which makes one";
    let text = "[turn.rest]\nsecrets_file = \"/nowhere/rest.secret\"\n";
    assert_eq!(problems(text), expected);
}

#[test]
fn nobody_who_could_use_the_relay() {
    let expected = "\
warning: turn.rest.secrets: nobody has credentials yet
 --> t.toml
  = why: without secrets and users a secret is made at each start and lost at its end
  = write: [turn.rest] with secrets_file, or a [[turn.users]] block

warning: signaling.tokens.secret: nobody can enter rooms
 --> t.toml
  = why: guests are not let in, and there is no key to verify tokens with
  = write: [signaling.tokens] with secret_file, or guests = true in [signaling]";
    assert_eq!(problems(""), expected);
    // Whoever may enter rooms needs no other credentials.
    assert_eq!(problems("[signaling]\nguests = true\n"), "");
    let tokens = format!("[signaling.tokens]\nsecret = \"{SECRET}\"\n");
    assert_eq!(problems(&tokens), "");
}

#[test]
fn rooms_that_nobody_can_enter() {
    let relay = format!("[turn.rest]\nsecrets = [\"{SECRET}\"]\n");
    assert_eq!(problems(&relay), "", "a relay for applications");
    for about_rooms in [
        "[signaling]\norigins = [\"https://www.example.org\"]\n".to_owned(),
        "[rooms]\nmax_participants = 2\n".to_owned(),
        format!("[admin]\ntoken = \"{SECRET}\"\n"),
    ] {
        let found = problems(&format!("{relay}{about_rooms}"));
        let what = "warning: signaling.tokens.secret: nobody can enter rooms";
        assert!(found.starts_with(what), "{found}");
    }
}

#[test]
fn a_room_too_small_to_meet_in() {
    let text = "[signaling]\nguests = true\n[rooms]\nmesh_up_to = 1\n";
    let expected = "\
warning: rooms.mesh_up_to: nobody can call anybody
 --> t.toml:4:14
  |
4 | mesh_up_to = 1
  |              ^
  = why: this version has no SFU: a room holds as many people as a mesh
  = write: mesh_up_to = 2";
    assert_eq!(problems(text), expected);
}

#[test]
fn a_token_key_that_is_no_ed25519_key() {
    let text = format!(
        "[signaling.tokens]\nkeys = [\n\"{SECRET}\", \"\"\"\n-----BEGIN PRIVATE KEY-----\n{P256}\n\
         -----END PRIVATE KEY-----\n\"\"\"]\n"
    );
    let found = problems(&text);
    let expected = "\
error: signaling.tokens.keys: this is not an Ed25519 key
 --> t.toml:3:37
  |
3 | ***
  | ^^^
  = why: tokens are signed with EdDSA or HS256, nothing else
  = write: the output of: openssl genpkey -algorithm ed25519, or of: openssl pkey -pubout";
    assert_eq!(found, expected);
    for (key, what) in [
        (PUBLIC.replace("MCow", "M!ow"), "this PEM text is damaged"),
        (
            PUBLIC.replace("PUBLIC", "ENCRYPTED PRIVATE"),
            "there is no PRIVATE KEY and no PUBLIC KEY in this PEM text",
        ),
    ] {
        let text = format!("[signaling.tokens]\nkeys = [\"\"\"\n{key}\"\"\"]\n");
        let found = problems(&text);
        assert!(found.contains(what), "{found}");
        assert!(!found.contains("qYAYKxCrfVS"), "{found}");
    }
}

#[test]
fn a_pem_key_where_a_secret_belongs() {
    let text = format!("[signaling.tokens]\nsecret = \"\"\"\n{PUBLIC}\"\"\"\n");
    let found = problems(&text);
    assert!(
        found.starts_with("error: signaling.tokens.secret: this is a PEM key\n"),
        "{found}"
    );
    assert!(!found.contains("MCow"), "{found}");
}

#[test]
fn keys_of_tokens_come_from_their_file() {
    let dir = Dir::new();
    let file = dir.write("token.keys", &format!("{PRIVATE}{SECRET}\n{PUBLIC}"));
    let text = format!(
        "[signaling.tokens]\nsecret = \"first-{SECRET}\"\nkeys_file = \"{}\"\n",
        file.display()
    );
    let loaded = load_text(&text).map_err(|p| p.to_string()).unwrap();
    assert_eq!(Problems(loaded.warnings).to_string(), "");
    let keys = loaded.config.signaling.token_keys;
    let can_sign: Vec<_> = keys.iter().map(|key| key.can_sign()).collect();
    assert_eq!(can_sign, [true, true, true, false]);
}

#[test]
fn addresses_that_do_not_pair() {
    let text = "\
[server]
public_ips = [\"203.0.113.10\", \"2001:db8::10\"]
[turn]
relay_ips = [\"10.0.0.5\", \"10.0.0.6\"]
";
    let found = problems(text);
    assert!(
        found.contains("2 IPv4 here and 1 IPv4 in server.public_ips"),
        "{found}"
    );
    assert!(
        found.contains("0 IPv6 here and 1 IPv6 in server.public_ips"),
        "{found}"
    );
}

#[test]
fn limits_that_contradict_each_other() {
    let cases = [
        (
            "[turn]\ndefault_lifetime = \"30m\"\nmax_lifetime = \"10m\"\n",
            "turn.max_lifetime: default_lifetime is 30m and max_lifetime only 10m",
        ),
        (
            "[server]\nworkers = 8\n[turn]\nrelay_ports = \"50000-50014\"\n",
            "turn.relay_ports: 15 relay ports are too few for 8 workers",
        ),
        (
            "[listen]\nhttp = [\"[::]:443\"]\n",
            "listen.http: [::]:443 is taken by listen.tls",
        ),
        (
            "[listen]\nudp = []\ntcp = []\ntls = []\n",
            "listen.udp: nothing listens",
        ),
        (
            "[listen]\nudp = [\"[::]:3478\", \"0.0.0.0:3478\"]\n",
            "listen.udp: 0.0.0.0:3478 is taken by listen.udp",
        ),
        (
            "[listen]\nudp = [\"[::]:50000\"]\n",
            "listen.udp: [::]:50000 lies inside turn.relay_ports",
        ),
        (
            "[server]\npublic_ips = [\"auto\", \"203.0.113.1\"]\n",
            "server.public_ips: \"auto\" stands beside other entries",
        ),
        (
            "[turn]\ndeny_peers = []\n",
            "turn.deny_peers: clients can reach private networks",
        ),
        (
            "[turn.rest]\nsecrets = [\"a\"]\nsecrets_file = \"b\"\n",
            "turn.rest.secrets: it is given here and in a file",
        ),
        (
            "[turn]\nrealm = \"a\\nb\"\n",
            "turn.realm: this realm has characters",
        ),
    ];
    for (text, what) in cases {
        let found = problems(text);
        assert!(found.contains(what), "{text}:\n{found}");
    }
}

#[test]
fn a_default_http_listener_makes_room_for_others() {
    let text = "[signaling]\nguests = true\n[listen]\ntcp = [\"0.0.0.0:80\"]\n";
    let loaded = load_text(text).map_err(|p| p.to_string()).unwrap();
    assert!(loaded.config.listen.http.is_empty());
    assert_eq!(loaded.config.listen.tcp.len(), 1);
}

#[test]
fn certificates_are_looked_into() {
    let dir = Dir::new();
    dir.write_certificate("cert.pem", "key.pem");
    dir.write_certificate("other.pem", "other.key");
    dir.write("empty.pem", "");
    let cases = [
        ("cert.pem", "key.pem", None),
        (
            "cert.pem",
            "other.key",
            Some("this key does not belong to tls.cert"),
        ),
        (
            "empty.pem",
            "key.pem",
            Some("holds no usable PEM block CERTIFICATE"),
        ),
        (
            "key.pem",
            "key.pem",
            Some("holds no usable PEM block CERTIFICATE"),
        ),
        (
            "cert.pem",
            "cert.pem",
            Some("holds no usable PEM block PRIVATE KEY"),
        ),
    ];
    for (cert, key, what) in cases {
        let [cert, key] = [cert, key].map(|name| dir.path().join(name).display().to_string());
        let text = format!("[tls]\nmode = \"files\"\ncert = \"{cert}\"\nkey = \"{key}\"\n");
        let found = problems(&text);
        match what {
            Some(what) => assert!(found.contains(what), "{found}"),
            None => assert!(!found.contains("tls."), "{found}"),
        }
    }
}

#[test]
fn secrets_come_from_the_lines_of_a_file() {
    let dir = Dir::new();
    let file = dir.write("secrets", &format!("{SECRET}\n\n  second-{SECRET}\r\n"));
    let text = format!("[turn.rest]\nsecrets_file = \"{}\"\n", file.display());
    let loaded = load_text(&text).map_err(|p| p.to_string()).unwrap();
    assert!(loaded.warnings.is_empty());
    let secrets: Vec<_> = loaded
        .config
        .turn
        .rest
        .secrets
        .iter()
        .map(|s| s.expose())
        .collect();
    let second = format!("second-{SECRET}");
    assert_eq!(secrets, [SECRET.as_bytes(), second.as_bytes()]);
}

/// A P-256 key in PKCS #8, which signs no tokens.
const P256: &str = "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgN7UeMWTkxFYFRJLM
OlvG8JSe1Aj8EPUn1qqqTrDZtzOhRANCAARTZxwEqBYs2PykqKLw5r/+yG/eyHPA
IqXBOQz9nmJaIZnlB7LkEP7PyljjHAJvRu1gx03K5ehkpaE1okeiaesp";

/// The key of RFC 8037 appendix A.1.
const PRIVATE: &str = "-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g
-----END PRIVATE KEY-----
";
const PUBLIC: &str = "-----BEGIN PUBLIC KEY-----
MCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=
-----END PUBLIC KEY-----
";

/// Checks what is said about one key of a section; that nobody has credentials
/// is left aside.
fn says(line: &str, section: &str, expected: &str) {
    let text = format!("[{section}]\n{line}\n");
    let found = problems(&text);
    let nobody = "warning: turn.rest.secrets: nobody has credentials yet";
    let found = found.split(nobody).next().unwrap().trim_end();
    assert_eq!(found, expected);
}
