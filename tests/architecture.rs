//! Holds the module table and the rules every file in `src/` keeps.
//!
//! A module names only the modules its row allows; a core stays free of
//! sockets, clocks, locks and `async`; every file says what it is and stays
//! short. `architecture/source.rs` reads Rust text, `architecture/rules.rs` judges
//! one file of it; this file walks the tree and applies them.

#![expect(clippy::unwrap_used, reason = "a failed read is a failed test")]

#[path = "architecture/rules.rs"]
mod rules;
#[path = "architecture/source.rs"]
mod source;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use rules::SourceFile;

/// For each module: the crate modules it may name.
///
/// A row names only rows above it. A new pair is a commit of its own that says
/// why.
const LAYERS: &[(&str, &[&str])] = &[
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
    ("room", &["auth", "redact", "unix_time"]),
    ("peerjs", &["redact"]),
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
        &[
            "auth",
            "clock",
            "net",
            "peerjs",
            "redact",
            "room",
            "unix_time",
            "worker",
        ],
    ),
    // composition that `web` uses, so it has a row
    ("observability", &["clock", "redact", "unix_time"]),
    (
        "web",
        &[
            "auth",
            "clock",
            "net",
            "observability",
            "peerjs",
            "redact",
            "room",
            "secret",
            "signaling",
            "unix_time",
            "worker",
        ],
    ),
];

/// Modules that put the program together: each may name every layer, and those
/// written before it in this list.
const COMPOSITION: &[&str] = &["service", "config", "app", "cli"];

/// Codecs and cores: state machines and views, without anything of the outside.
const PURE: &[&str] = &["auth", "peerjs", "room", "rtp", "sfu", "stun", "turn"];

/// What test code may name beside its module's row: a first instant has to come
/// from somewhere.
const ALLOWED_IN_TESTS: &[&str] = &["clock"];

#[test]
fn every_module_is_in_the_table() {
    let unknown: Vec<String> = modules_in_tree()
        .into_iter()
        .filter(|module| !is_known(module))
        .collect();
    assert!(
        unknown.is_empty(),
        "in src/ but in no row of tests/architecture.rs: {unknown:?}"
    );
}

#[test]
fn a_row_names_only_rows_above_it() {
    let mut above = BTreeSet::new();
    for (module, allowed) in LAYERS {
        for name in *allowed {
            assert!(
                above.contains(name),
                "{module} names {name}, which is not above"
            );
        }
        assert!(above.insert(module), "{module} has two rows");
    }
}

#[test]
fn modules_only_use_the_layers_below() {
    report(|file| {
        let module = file.module.as_str();
        let known: Vec<&str> = all_modules().collect();
        let mut found = rules::forbidden_pairs(file, &known, &allowed_for(module));
        found.extend(rules::unreadable_paths(file));
        found
    });
}

#[test]
fn cores_have_no_socket_clock_lock_or_async() {
    report(|file| {
        if PURE.contains(&file.module.as_str()) {
            rules::impure_words(file)
        } else {
            Vec::new()
        }
    });
}

#[test]
fn nothing_is_reexported_past_the_table() {
    report(|file| {
        if file.module == "lib" {
            rules::reexports(file)
        } else {
            Vec::new()
        }
    });
}

#[test]
fn every_file_opens_with_its_purpose_and_stays_short() {
    report(|file| {
        let mut found = rules::missing_module_doc(file);
        found.extend(rules::too_long(file));
        found
    });
}

/// Runs `rule` over every file in `src/` and fails with all that it found.
fn report(rule: impl Fn(&SourceFile) -> Vec<String>) {
    let src = src();
    let mut found = Vec::new();
    for path in sources(&src) {
        let text = fs::read_to_string(&path).unwrap();
        let relative = path.strip_prefix(&src).unwrap();
        let file = SourceFile::new(relative, &text);
        for problem in rule(&file) {
            found.push(format!("src/{}: {problem}", relative.display()));
        }
    }
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

fn src() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

fn all_modules() -> impl Iterator<Item = &'static str> {
    let layers = LAYERS.iter().map(|(module, _)| *module);
    layers.chain(COMPOSITION.iter().copied())
}

fn is_known(module: &str) -> bool {
    all_modules().any(|known| known == module)
}

/// Returns what `module` may name, without itself.
fn allowed_for(module: &str) -> Vec<&'static str> {
    if let Some((_, allowed)) = LAYERS.iter().find(|(row, _)| *row == module) {
        return allowed.to_vec();
    }
    let before = COMPOSITION.iter().position(|name| *name == module);
    // `lib` and `main` stand above everything.
    let before = before.unwrap_or(COMPOSITION.len());
    let layers = LAYERS.iter().map(|(row, _)| *row);
    layers
        .chain(COMPOSITION[..before].iter().copied())
        .collect()
}

fn modules_in_tree() -> BTreeSet<String> {
    let entries = fs::read_dir(src()).unwrap();
    entries
        .map(|entry| {
            let path = entry.unwrap().path();
            path.file_stem().unwrap().to_string_lossy().into_owned()
        })
        .filter(|name| name != "lib" && name != "main")
        .collect()
}

/// Returns every Rust file below `dir`, sorted.
fn sources(dir: &Path) -> Vec<PathBuf> {
    let mut out = Vec::new();
    let mut dirs = vec![dir.to_owned()];
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                dirs.push(path);
            } else if path.extension().is_some_and(|ext| ext == "rs") {
                out.push(path);
            }
        }
    }
    out.sort();
    out
}
