//! `config/turnstone.toml` and the examples: they load, and they agree with the
//! table of keys.

use std::collections::BTreeMap;
use std::fs;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use turnstone::config::keys::{KEYS, USERS};
use turnstone::config::{Problems, Severity, Source, explain, load};

use crate::support::{Dir, SECRET, load_text};

#[test]
fn the_sample_file_is_what_config_full_prints() {
    let file = fs::read_to_string(directory().join("turnstone.toml")).unwrap();
    assert_eq!(
        file,
        explain::full(),
        "write it anew: cargo run -- config --full > config/turnstone.toml"
    );
}

#[test]
fn the_sample_file_has_every_key_with_its_default() {
    let file = fs::read_to_string(directory().join("turnstone.toml")).unwrap();
    let mut section = String::new();
    let mut found = BTreeMap::new();
    for line in file.lines() {
        let line = line.strip_prefix('#').unwrap_or(line);
        if let Some(name) = line.strip_prefix('[') {
            section = name.trim_end_matches(']').to_owned();
        } else if let Some((leaf, default)) = line.split_once(" = ")
            && !line.starts_with(' ')
        {
            found.insert(format!("{section}.{leaf}"), default.to_owned());
        }
    }
    let expected: BTreeMap<_, _> = KEYS
        .iter()
        .filter(|key| key.section() != USERS)
        .map(|key| (key.name.to_owned(), key.default.to_owned()))
        .collect();
    assert_eq!(found, expected);
}

#[test]
fn the_sample_file_changes_nothing() {
    let file = fs::read_to_string(directory().join("turnstone.toml")).unwrap();
    let sample = load_text(&file).map_err(|p| p.to_string()).unwrap();
    let empty = load_text("").map_err(|p| p.to_string()).unwrap();
    assert_eq!(sample.warnings, empty.warnings);
    assert_eq!(sample.config.summary(), empty.config.summary());
}

#[test]
fn the_sample_file_loads_with_every_key_set() {
    let file = fs::read_to_string(directory().join("turnstone.toml")).unwrap();
    let set: Vec<_> = file
        .lines()
        .map(|line| match line.strip_prefix('#') {
            Some(key) if !key.starts_with(' ') => key,
            _ => line,
        })
        .collect();
    let loaded = load_text(&set.join("\n"))
        .map_err(|p| p.to_string())
        .unwrap();
    let mut later: Vec<_> = loaded
        .warnings
        .iter()
        .filter(|warning| warning.what == "not available in this version")
        .map(|warning| warning.key.as_str())
        .collect();
    later.sort_unstable();
    let mut expected: Vec<_> = KEYS
        .iter()
        .filter(|key| !key.available)
        .map(|key| key.name)
        .collect();
    expected.sort_unstable();
    assert_eq!(later, expected);
    // Beside these only that nobody has credentials or can enter rooms.
    assert_eq!(loaded.warnings.len(), expected.len() + 2);
}

#[test]
fn every_key_is_checked() {
    for key in KEYS {
        let text = if key.section() == USERS {
            format!("[[turn.users]]\n{} = 1979-05-27\n", key.leaf())
        } else {
            format!("{} = 1979-05-27\n", key.name)
        };
        let problems = load_text(&text).err().expect("no key takes a date");
        let about_it = |p: &&turnstone::config::Problem| p.key == key.name;
        let problem = problems.0.iter().find(about_it).expect(key.name);
        assert_eq!(problem.severity, Severity::Error, "{}", key.name);
        assert!(problem.what.starts_with("a date, where "), "{problem}");
    }
}

#[test]
fn every_example_loads_without_a_problem() {
    let dir = Dir::new();
    dir.write_certificate("fullchain.pem", "privkey.pem");
    dir.write("rest.secret", SECRET);
    dir.write("token.secret", SECRET);
    dir.write("alice.password", "tq8-Zk_5w1");
    let mut names = Vec::new();
    for example in fs::read_dir(directory().join("examples")).unwrap() {
        let example = example.unwrap().path();
        let name = example.file_name().unwrap().to_str().unwrap().to_owned();
        let copy = dir.write(&name, &fs::read_to_string(&example).unwrap());
        let source = Source::file(copy, BTreeMap::new()).with_cores(eight());
        let loaded = load(&source).map_err(|p| p.to_string()).unwrap();
        let warnings = Problems(loaded.warnings);
        assert!(warnings.0.is_empty(), "{name}:\n{warnings}");
        names.push(name);
    }
    names.sort_unstable();
    assert_eq!(
        names,
        [
            "behind-nat.toml",
            "lan.toml",
            "minimal.toml",
            "proxy.toml",
            "relay-only.toml"
        ]
    );
}

fn eight() -> NonZeroUsize {
    NonZeroUsize::new(8).unwrap()
}

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("config")
}
