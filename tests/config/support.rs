//! Files and the program for the tests of this directory.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;
use turnstone::config::{Loaded, Problems, Source, load};

/// A secret no message may contain and no check finds weak.
pub(crate) const SECRET: &str = "q3v0cX2l7R8nJm4TtY6wZs1aKf5hUe9i";

/// Loads a text as the file `t.toml` with no environment.
pub(crate) fn load_text(text: &str) -> Result<Loaded, Problems> {
    load(&Source::text("t.toml", text, BTreeMap::new()))
}

/// Returns every problem of a text as it is printed.
pub(crate) fn problems(text: &str) -> String {
    match load_text(text) {
        Ok(loaded) => Problems(loaded.warnings).to_string(),
        Err(problems) => problems.to_string(),
    }
}

/// A directory with files only their owner may read.
pub(crate) struct Dir(TempDir);

impl Dir {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn write(&self, name: &str, content: &str) -> PathBuf {
        let path = self.0.path().join(name);
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        path
    }

    /// Writes a fresh certificate and its key.
    pub(crate) fn write_certificate(&self, cert: &str, key: &str) {
        let made = rcgen::generate_simple_self_signed(["turn.example.org".to_owned()]).unwrap();
        self.write(cert, &made.cert.pem());
        self.write(key, &made.signing_key.serialize_pem());
    }
}

/// Runs the program with only these variables in its environment.
pub(crate) fn turnstone(arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_turnstone"))
        .args(arguments)
        .env_clear()
        .envs(environment.iter().copied())
        .output()
        .unwrap()
}

pub(crate) fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}
