//! Which configuration a command works on.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::bail;

use super::check::verdict;
use super::output;
use crate::config;
use crate::config::Config;
use crate::config::Source;
use crate::config::VARIABLE_PREFIX;

/// Returns the file that was asked for, else the usual one, else the built-in
/// settings; with the variables that belong to it.
pub(super) fn source(config: Option<PathBuf>) -> Source {
    let usual = || Some(PathBuf::from(USUAL)).filter(|path| path.exists());
    match config.or_else(usual) {
        Some(path) => Source::file(path, environment()),
        None => Source::local(environment()),
    }
}

/// Loads the file that was asked for or else the usual one, for a command that has
/// no use for the built-in settings; `without` says what those do instead.
///
/// Prints the problems of a file that has errors and returns `None` then.
pub(super) fn load_file(config: Option<PathBuf>, without: &str) -> anyhow::Result<Option<Config>> {
    let source = source(config);
    if source.path().is_none() {
        bail!(
            "there is no configuration file at {USUAL}\n = write: --config with its path; {without}"
        );
    }
    match config::load(&source) {
        Ok(loaded) => Ok(Some(loaded.config)),
        Err(problems) => {
            let verdict = verdict(&problems);
            output::hint(&format!("{problems}\n\n{verdict}: {}", source.name()));
            Ok(None)
        }
    }
}

fn environment() -> BTreeMap<String, String> {
    std::env::vars_os()
        .map(|(name, value)| {
            let name = name.to_string_lossy().into_owned();
            (name, value.to_string_lossy().into_owned())
        })
        .filter(|(name, _)| name.starts_with(VARIABLE_PREFIX) || name == "CREDENTIALS_DIRECTORY")
        .collect()
}

const USUAL: &str = "/etc/turnstone/turnstone.toml";
