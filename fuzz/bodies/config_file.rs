//! Loads any text as a configuration file and looks for secrets in the answer.

use std::collections::BTreeMap;

use turnstone::config::{Problems, Source, load};

/// The first byte chooses a key that holds a secret, the second the line before
/// which it is put; the rest is the file.
pub(crate) fn config_file(data: &[u8]) {
    let Some((&[kind, line], text)) = data.split_first_chunk() else {
        return;
    };
    let text = String::from_utf8_lossy(text);
    check(&text, BTreeMap::new());
    check(&with_secret(&text, kind, line), BTreeMap::new());

    // What the environment sets is any text as well, and may be a secret too.
    let variables = [
        ("TURNSTONE__ADMIN__TOKEN", SECRET),
        ("TURNSTONE__TURN__REST__SECRETS", SECRET),
        ("TURNSTONE__TURN__RELAY_PORTS", &text),
        ("TURNSTONE__LISTEN__UDP", &text),
        ("TURNSTONE__TURN__USERS", &text),
    ];
    let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
    check("", BTreeMap::from(variables));
}

fn check(text: &str, environment: BTreeMap<String, String>) {
    let shown = match load(&Source::text("fuzz.toml", text, environment)) {
        Ok(loaded) => loaded.config.summary() + &Problems(loaded.warnings).to_string(),
        Err(problems) => {
            assert!(problems.errors() > 0, "refused without an error");
            format!("{problems} {problems:?}")
        }
    };
    assert!(!shown.contains(SECRET), "a secret is shown:\n{shown}");
}

/// Puts a line with a secret between the lines of a text.
fn with_secret(text: &str, kind: u8, line: u8) -> String {
    let secret = SECRETS[usize::from(kind) % SECRETS.len()];
    let mut lines: Vec<&str> = text.split('\n').collect();
    let at = usize::from(line) % (lines.len() + 1);
    let secret = secret.replace("SECRET", SECRET);
    lines.insert(at, &secret);
    lines.join("\n")
}

// Each on a line of its own, whatever stands around it.
const SECRETS: [&str; 10] = [
    "password = \"SECRET\"",
    "[[turn.users]]\nkey = 'SECRET'",
    "secrets = [\"SECRET\", \"SECRET\"]",
    "[turn.rest]\nsecrets = [\n\"SECRET\"\n]",
    "[[turn.users]]\nname = \"alice\"\npassword = \"SECRET\"",
    "turn = { rest = { secrets = [\"SECRET\"] } }",
    "token = SECRET",
    "admin.token = \"SECRET",
    "pasword = \"SECRET\"",
    "secret = \"\"\"SECRET\"\"\"",
];
const SECRET: &str = "xB3qf7Lw";
