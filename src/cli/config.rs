//! `turnstone config`: the keys of the configuration file in words.

use std::process::ExitCode;

use super::FAILED;
use super::output;
use crate::config::explain;

#[derive(clap::Args)]
#[group(required = true, multiple = false)]
pub(super) struct Arguments {
    /// Print a file with every key, its sentence and its default
    #[arg(long)]
    full: bool,
    /// Explain a key (turn.realm), a section (turn) or a last name (realm)
    #[arg(long, value_name = "KEY")]
    explain: Option<String>,
}

pub(super) fn config(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let Some(name) = &arguments.explain else {
        output::result(explain::full().trim_end())?;
        return Ok(ExitCode::SUCCESS);
    };
    if let Some(text) = explain::explain(name) {
        output::result(text.trim_end())?;
        return Ok(ExitCode::SUCCESS);
    }
    output::hint(&format!("error: there is no key {name:?}"));
    output::hint(&match explain::nearest(name) {
        Some(near) => format!(" = write: turnstone config --explain {near}"),
        None => " = write: turnstone config --full, which lists every key".to_owned(),
    });
    Ok(ExitCode::from(FAILED))
}
