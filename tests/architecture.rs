//! Checks that modules depend only on the modules below them.

#![expect(clippy::unwrap_used, reason = "a failed read is a failed test")]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// For each module: the crate modules it may name.
const ALLOWED: &[(&str, &[&str])] = &[
    // leaf
    ("unix_time", &[]),
    ("clock", &["unix_time"]),
    ("redact", &[]),
    ("secret", &[]),
    // codecs
    ("stun", &[]),
    ("rtp", &[]),
    // cores: no socket, clock, randomness of their own, lock, async
    ("auth", &["secret", "stun", "unix_time"]),
    ("turn", &["auth", "redact", "stun", "unix_time"]),
    ("room", &["auth", "redact"]),
    ("sfu", &["redact", "room", "rtp"]),
    // drivers
    ("net", &["clock", "redact", "secret", "stun", "unix_time"]),
    (
        "worker",
        &[
            "auth",
            "clock",
            "net",
            "redact",
            "rtp",
            "sfu",
            "stun",
            "turn",
            "unix_time",
        ],
    ),
    (
        "signaling",
        &["auth", "clock", "net", "redact", "room", "worker"],
    ),
    (
        "web",
        &[
            "auth",
            "clock",
            "net",
            "observability",
            "redact",
            "room",
            "secret",
            "signaling",
            "worker",
        ],
    ),
    // composition: config, observability, service, app, cli may use what lies below them
];

#[test]
fn modules_only_use_the_layers_below() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    for (module, allowed) in ALLOWED {
        for file in sources(&src, module) {
            let text = fs::read_to_string(&file).unwrap();
            for used in crate_paths(&text) {
                if used != *module && !allowed.contains(&used.as_str()) {
                    found.push(format!("{}: uses crate::{used}", file.display()));
                }
            }
        }
    }
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

fn sources(src: &Path, module: &str) -> Vec<std::path::PathBuf> {
    let mut out = Vec::new();
    let single = src.join(format!("{module}.rs"));
    if single.exists() {
        out.push(single);
    }
    let mut dirs = vec![src.join(module)];
    while let Some(dir) = dirs.pop() {
        let Ok(entries) = fs::read_dir(&dir) else {
            continue;
        };
        for entry in entries {
            let path = entry.unwrap().path();
            if path.is_dir() {
                dirs.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                out.push(path);
            }
        }
    }
    out
}

fn crate_paths(text: &str) -> BTreeSet<String> {
    text.lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .flat_map(|line| line.split("crate::").skip(1))
        .map(|rest| {
            rest.chars()
                .take_while(|c| c.is_alphanumeric() || *c == '_')
                .collect()
        })
        .collect()
}
