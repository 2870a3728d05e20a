//! Judges the dependencies by the rules in `deny.toml`, with cargo alone.
//!
//! `cargo tree` answers what is compiled into the program, `cargo metadata` what
//! every package (tests included) says of itself; `dependencies/licence.rs`
//! reads licence expressions.

#![expect(clippy::unwrap_used, reason = "an unreadable answer is a failed test")]

#[path = "dependencies/licence.rs"]
mod licence;

use std::collections::{BTreeMap, BTreeSet};
use std::env::consts::ARCH;
use std::fs;
use std::process::Command;

use licence::Licence;
use serde::Deserialize;

#[test]
fn every_licence_is_allowed_and_every_allowance_is_needed() {
    let allowed = rules().licenses.allow;
    let mut used = BTreeSet::new();
    let mut found = Vec::new();
    for package in metadata().packages {
        let text = package.license.unwrap_or_default();
        match Licence::parse(&text).and_then(|licence| licence.accepted(&allowed)) {
            Some(names) => used.extend(names),
            None => found.push(format!("{} {}: {text:?}", package.name, package.version)),
        }
    }
    assert!(found.is_empty(), "not allowed:\n{}", found.join("\n"));
    let unused: Vec<_> = allowed
        .iter()
        .filter(|name| !used.contains(*name))
        .collect();
    assert!(unused.is_empty(), "allowed but not needed: {unused:?}");
}

#[test]
fn no_crate_is_in_the_program_twice() {
    let mut versions: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for pair in tree("normal") {
        let Crate { name, version } = pair.used;
        versions.entry(name).or_default().insert(version);
    }
    let mut skips = rules().bans.skip;
    let mut found = Vec::new();
    for (name, mut twice) in versions.into_iter().filter(|(_, seen)| seen.len() > 1) {
        skips.retain(|skip| {
            let before = twice.len();
            twice.retain(|version| !skip.covers(&name, version));
            twice.len() == before
        });
        if twice.len() > 1 {
            found.push(format!("{name}: {twice:?}"));
        }
    }
    assert!(found.is_empty(), "twice:\n{}", found.join("\n"));
    let unused: Vec<_> = skips.iter().map(|skip| &skip.name).collect();
    assert!(unused.is_empty(), "skipped but not needed: {unused:?}");
}

#[test]
fn no_banned_crate_is_in_the_program() {
    let pairs = tree("normal,build");
    for ban in rules().bans.deny {
        let found = pairs.iter().find(|pair| pair.used.name == ban.name);
        let user = found.map(|pair| &pair.user.name);
        assert_eq!(user, None, "uses {}: {}", ban.name, ban.reason);
    }
}

#[test]
fn a_banned_crate_is_used_only_through_its_wrappers() {
    let pairs = tree("normal,build,dev");
    for ban in rules().bans.deny {
        for pair in pairs.iter().filter(|pair| pair.used.name == ban.name) {
            let user = &pair.user.name;
            assert!(
                ban.wrappers.contains(user),
                "{user} uses {}: {}",
                ban.name,
                ban.reason
            );
        }
    }
}

#[test]
fn every_dependency_comes_from_the_public_registry() {
    let metadata = metadata();
    for package in &metadata.packages {
        let Some(source) = &package.source else {
            assert_eq!(package.name, env!("CARGO_PKG_NAME"), "a path dependency");
            continue;
        };
        assert!(
            source.starts_with("registry+") && source.ends_with("/crates.io-index"),
            "{} comes from {source}",
            package.name
        );
    }
    assert!(metadata.packages.len() > 1);
}

#[test]
fn every_dependency_names_a_version() {
    let metadata = metadata();
    let ours = metadata
        .packages
        .iter()
        .find(|package| package.source.is_none());
    for dependency in &ours.unwrap().dependencies {
        assert_ne!(dependency.req, "*", "{}", dependency.name);
    }
}

#[test]
fn a_skip_covers_its_version_and_no_other() {
    let skip = Spec {
        name: "syn@2".to_owned(),
        wrappers: Vec::new(),
        reason: String::new(),
    };
    assert!(skip.covers("syn", "2.0.119"));
    assert!(!skip.covers("syn", "20.1.0"));
    assert!(!skip.covers("syn", "3.0.0"));
    assert!(!skip.covers("sync", "2.0.0"));
}

#[test]
fn who_uses_whom_is_read_from_the_depth() {
    let text = "0 a v1.0.0 (/path)\n1 b v2.0.0\n2 c v3.0.0\n[dev-dependencies]\n1 c v3.0.0 (*)\n";
    let pairs = pairs(text);
    let names: Vec<_> = pairs
        .iter()
        .map(|pair| (pair.user.name.as_str(), pair.used.name.as_str()))
        .collect();
    assert_eq!(names, [("a", "b"), ("b", "c"), ("a", "c")]);
    assert_eq!(pairs[1].used.version, "3.0.0");
}

/// The parts of `deny.toml` that are checked here.
#[derive(Deserialize)]
struct Rules {
    licenses: Licenses,
    bans: Bans,
}

#[derive(Deserialize)]
struct Licenses {
    allow: Vec<String>,
}

#[derive(Deserialize)]
struct Bans {
    deny: Vec<Spec>,
    skip: Vec<Spec>,
}

#[derive(Deserialize)]
struct Spec {
    #[serde(rename = "crate")]
    name: String,
    #[serde(default)]
    wrappers: Vec<String>,
    reason: String,
}

impl Spec {
    /// Tells whether this is `name` at `version`, written `name@version` or
    /// `name@leading-part`.
    fn covers(&self, name: &str, version: &str) -> bool {
        let (spec_name, spec_version) = self.name.split_once('@').unwrap();
        spec_name == name && format!("{version}.").starts_with(&format!("{spec_version}."))
    }
}

/// The parts of `cargo metadata` that are judged.
#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    version: String,
    license: Option<String>,
    source: Option<String>,
    dependencies: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    name: String,
    req: String,
}

/// One crate that is compiled.
#[derive(Clone)]
struct Crate {
    name: String,
    version: String,
}

/// One crate's use of another.
struct Pair {
    user: Crate,
    used: Crate,
}

fn rules() -> Rules {
    let text = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/deny.toml")).unwrap();
    toml::from_str(&text).unwrap()
}

fn metadata() -> Metadata {
    let text = cargo(&[
        "metadata",
        "--format-version",
        "1",
        "--filter-platform",
        &host(),
    ]);
    serde_json::from_str(&text).unwrap()
}

/// Returns who uses whom by `edges`, with the features a build of just these
/// gives each crate (`cargo metadata` mixes in those of the tests).
fn tree(edges: &str) -> Vec<Pair> {
    let host = host();
    let text = cargo(&[
        "tree", "--edges", edges, "--prefix", "depth", "--format", " {p}", "--target", &host,
    ]);
    let pairs = pairs(&text);
    let has_tls = pairs.iter().any(|pair| pair.used.name == "rustls");
    assert!(has_tls, "cargo tree printed something unexpected:\n{text}");
    pairs
}

/// Reads lines of `DEPTH NAME vVERSION ...`, where a crate's uses follow it one
/// level deeper.
fn pairs(text: &str) -> Vec<Pair> {
    let mut ancestors: Vec<Crate> = Vec::new();
    let mut pairs = Vec::new();
    for line in text.lines() {
        let mut words = line.split_whitespace();
        // Headings such as `[dev-dependencies]` have no depth.
        let Some(depth) = words.next().and_then(|word| word.parse().ok()) else {
            continue;
        };
        let used = Crate {
            name: words.next().unwrap().to_owned(),
            version: words.next().unwrap().trim_start_matches('v').to_owned(),
        };
        ancestors.truncate(depth);
        if let Some(user) = ancestors.last().cloned() {
            let used = used.clone();
            pairs.push(Pair { user, used });
        }
        ancestors.push(used);
    }
    pairs
}

fn host() -> String {
    format!("{ARCH}-unknown-linux-gnu")
}

fn cargo(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO"))
        .args(arguments)
        .args(["--locked", "--offline"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "cargo {arguments:?}: {errors}");
    String::from_utf8(output.stdout).unwrap()
}
