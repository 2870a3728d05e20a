//! Which configuration a command works on.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

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

/// Says whether a file would be found without `--config`.
pub(super) fn usual_file() -> &'static Path {
    Path::new(USUAL)
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
