//! The rules themselves, each judging one file and answering with sentences.
//!
//! They know no module names; `architecture.rs` holds the tables. Each is proven on a
//! small text below it.

use std::path::Path;

use crate::source;

/// The most lines of a file, its tests aside.
const MAX_LINES: usize = 800;

/// What a codec or core must not name, and whom to leave it to.
const IMPURE: &[(&str, &str)] = &[
    ("UdpSocket", "a driver owns sockets"),
    ("TcpStream", "a driver owns sockets"),
    ("TcpListener", "a driver owns sockets"),
    ("mio", "a driver owns the loop"),
    ("tokio", "a driver owns the tasks"),
    ("async", "a driver waits"),
    ("await", "a driver waits"),
    ("std::thread", "a driver owns threads"),
    ("thread::spawn", "a driver owns threads"),
    ("Mutex", "state has one owner"),
    ("RwLock", "state has one owner"),
    ("Instant::now", "take `now` as an argument"),
    ("SystemTime", "take a `UnixTime` as an argument"),
    ("rand::rng", "take a seeded generator"),
    ("rand::random", "take a seeded generator"),
    ("thread_rng", "take a seeded generator"),
    ("from_os_rng", "take a seeded generator"),
    ("std::fs", "`config` reads files"),
    ("std::env", "`config` reads the environment"),
];

/// One file of `src/`, read for the rules.
pub(crate) struct SourceFile {
    /// The top-level module it belongs to.
    pub(crate) module: String,
    /// Whether it is the root of that module, where `super` is the crate.
    is_module_root: bool,
    text: String,
    /// Its code outside of tests, comments and literals blanked.
    code: String,
    /// Its test code, likewise.
    tests: String,
}

impl SourceFile {
    /// Reads `text`, the file at `path` below `src/`.
    pub(crate) fn new(path: &Path, text: &str) -> Self {
        let mut parts: Vec<&str> = path.iter().filter_map(|part| part.to_str()).collect();
        let name = parts.pop().unwrap_or_default().trim_end_matches(".rs");
        let is_test_file = name == "tests" || parts.contains(&"tests");
        let code = source::code(text);
        let (plain, tests) = if is_test_file {
            ("", code.as_str())
        } else {
            source::split_tests(&code)
        };
        Self {
            module: (*parts.first().unwrap_or(&name)).to_owned(),
            is_module_root: parts.is_empty() || (parts.len() == 1 && name == "mod"),
            text: text.to_owned(),
            code: plain.to_owned(),
            tests: tests.to_owned(),
        }
    }

    /// Returns the top-level modules that `code`, a part of this file, names.
    fn used_modules(&self, code: &str, known: &[&str]) -> Vec<String> {
        let mut used = source::paths_after(code, "crate::");
        if self.is_module_root {
            let through_super = source::paths_after(code, "super::");
            used.extend(
                through_super
                    .into_iter()
                    .filter(|name| known.contains(&name.as_str())),
            );
        }
        used.retain(|name| known.contains(&name.as_str()) && *name != self.module);
        used.sort();
        used.dedup();
        used
    }
}

/// Finds the modules in `known` that the file names beyond `allowed`.
pub(crate) fn forbidden_pairs(file: &SourceFile, known: &[&str], allowed: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for name in file.used_modules(&file.code, known) {
        if !allowed.contains(&name.as_str()) {
            found.push(format!("uses crate::{name}"));
        }
    }
    for name in file.used_modules(&file.tests, known) {
        let name = name.as_str();
        if !allowed.contains(&name) && !crate::ALLOWED_IN_TESTS.contains(&name) {
            found.push(format!("its tests use crate::{name}"));
        }
    }
    found
}

/// Finds paths that hide which module they name.
pub(crate) fn unreadable_paths(file: &SourceFile) -> Vec<String> {
    let mut found = Vec::new();
    for code in [&file.code, &file.tests] {
        if !source::paths_after(code, "super::super::").is_empty() {
            found.push("`super::super::`: write the path from `crate::`".to_owned());
        }
        let grouped = source::paths_after(code, "crate::");
        if grouped.iter().any(String::is_empty) {
            found.push("`crate::{` or `crate::*`: one line per module".to_owned());
        }
    }
    found
}

/// Finds what a codec or core must not name, its tests aside.
pub(crate) fn impure_words(file: &SourceFile) -> Vec<String> {
    IMPURE
        .iter()
        .filter(|(word, _)| source::names(&file.code, word))
        .map(|(word, instead)| format!("names `{word}`: {instead}"))
        .collect()
}

/// Finds names at the crate root that would hide the module they come from.
pub(crate) fn reexports(file: &SourceFile) -> Vec<String> {
    if source::names(&file.code, "pub use") {
        return vec!["re-exports a name: let users name its module".to_owned()];
    }
    Vec::new()
}

/// Finds a file that does not say what it is.
pub(crate) fn missing_module_doc(file: &SourceFile) -> Vec<String> {
    if file.text.starts_with("//!") {
        return Vec::new();
    }
    vec!["does not open with `//!`: what it owns, what it may not do".to_owned()]
}

/// Finds a file that should be split by subject.
pub(crate) fn too_long(file: &SourceFile) -> Vec<String> {
    let lines = file.code.lines().count();
    if lines <= MAX_LINES {
        return Vec::new();
    }
    vec![format!(
        "{lines} lines without tests, more than {MAX_LINES}: split it by subject"
    )]
}

const KNOWN: &[&str] = &["clock", "net", "stun", "turn", "worker"];

fn file(path: &str, text: &str) -> SourceFile {
    SourceFile::new(Path::new(path), text)
}

#[test]
fn a_file_belongs_to_its_top_level_module() {
    assert_eq!(file("turn/tests/sim.rs", "").module, "turn");
    assert_eq!(file("clock.rs", "").module, "clock");
    assert_eq!(file("net/mod.rs", "").module, "net");
}

#[test]
fn a_core_that_names_its_driver_is_found() {
    let core = file(
        "turn/server.rs",
        "use crate::stun::Message;\nuse crate::worker::Wake;",
    );
    let found = forbidden_pairs(&core, KNOWN, &["stun"]);
    assert_eq!(found, ["uses crate::worker"]);
}

#[test]
fn a_name_in_a_comment_is_no_use() {
    let core = file(
        "turn/server.rs",
        "// see crate::worker\nconst A: &str = \"crate::net\";",
    );
    assert!(forbidden_pairs(&core, KNOWN, &[]).is_empty());
}

#[test]
fn a_module_root_cannot_pass_through_super() {
    let root = file("stun.rs", "use super::worker::Wake;");
    assert_eq!(forbidden_pairs(&root, KNOWN, &[]), ["uses crate::worker"]);
    let inner = file("turn/server.rs", "use super::worker::Wake;");
    assert!(forbidden_pairs(&inner, KNOWN, &[]).is_empty());
}

#[test]
fn tests_may_read_the_clock_and_nothing_else_beyond_the_row() {
    let text = "fn a() {}\n#[cfg(test)]\nmod tests {\n use crate::clock;\n use crate::net::x;\n}";
    let core = file("turn/server.rs", text);
    let found = forbidden_pairs(&core, KNOWN, &[]);
    assert_eq!(found, ["its tests use crate::net"]);
}

#[test]
fn paths_that_climb_or_group_are_found() {
    let climbing = file("turn/tests/sim.rs", "use super::super::server;");
    assert_eq!(unreadable_paths(&climbing).len(), 1);
    let grouped = file("turn/server.rs", "use crate::{net, stun};");
    assert_eq!(unreadable_paths(&grouped).len(), 1);
    let plain = file("turn/server.rs", "use super::quota;\nuse crate::stun::X;");
    assert!(unreadable_paths(&plain).is_empty());
}

#[test]
fn a_core_with_a_socket_clock_or_lock_is_found() {
    for (word, _) in IMPURE {
        let core = file("turn/server.rs", &format!("fn a() {{ {word}; }}"));
        assert!(!impure_words(&core).is_empty(), "{word}");
    }
    let clean = file(
        "turn/server.rs",
        "//! No tokio here.\nuse std::time::Instant;",
    );
    assert!(impure_words(&clean).is_empty());
}

#[test]
fn a_reexport_is_found() {
    assert_eq!(reexports(&file("lib.rs", "pub use clock::now;")).len(), 1);
    assert!(reexports(&file("lib.rs", "pub mod clock;")).is_empty());
}

#[test]
fn a_file_without_purpose_is_found() {
    assert_eq!(missing_module_doc(&file("a.rs", "use x;")).len(), 1);
    assert!(missing_module_doc(&file("a.rs", "//! Does a.\n")).is_empty());
}

#[test]
fn a_long_file_is_found_but_its_tests_do_not_count() {
    let body = "fn a() {}\n".repeat(MAX_LINES);
    assert!(too_long(&file("a.rs", &body)).is_empty());
    assert_eq!(too_long(&file("a.rs", &format!("{body}x"))).len(), 1);
    let tested = format!("{body}#[cfg(test)]\nmod tests {{\n{body}}}");
    assert!(too_long(&file("a.rs", &tested)).is_empty());
}
