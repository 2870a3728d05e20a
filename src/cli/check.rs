//! `turnstone check`: mistakes in the configuration, or what it will serve.

use std::process::ExitCode;

use serde_json::json;

use super::FAILED;
use super::WARNED;
use super::WithConfig;
use super::output;
use super::source::source;
use crate::config;
use crate::config::Problems;

#[derive(clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    with: WithConfig,
    /// Print the findings as one JSON object
    #[arg(long)]
    json: bool,
}

pub(super) fn check(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let source = source(arguments.with.config.clone());
    let (problems, summary) = match config::load(&source) {
        Ok(loaded) => (Problems(loaded.warnings), Some(loaded.config.summary())),
        Err(problems) => (problems, None),
    };
    let status = Status::of(&problems);
    let text = if arguments.json {
        as_json(&source.name(), &problems, status)
    } else {
        as_text(&source.name(), &problems, summary.as_deref())
    };
    output::result(&text)?;
    Ok(status.exit_code())
}

#[derive(Clone, Copy)]
enum Status {
    Ok,
    Warnings,
    Errors,
}

impl Status {
    fn of(problems: &Problems) -> Self {
        if problems.errors() > 0 {
            Self::Errors
        } else if problems.0.is_empty() {
            Self::Ok
        } else {
            Self::Warnings
        }
    }

    fn exit_code(self) -> ExitCode {
        match self {
            Self::Ok => ExitCode::SUCCESS,
            Self::Warnings => ExitCode::from(WARNED),
            Self::Errors => ExitCode::from(FAILED),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warnings => "warnings",
            Self::Errors => "errors",
        }
    }
}

fn as_json(source: &str, problems: &Problems, status: Status) -> String {
    let object = json!({
        "status": status.name(),
        "source": source,
        "problems": problems.0,
    });
    format!("{object:#}")
}

fn as_text(source: &str, problems: &Problems, summary: Option<&str>) -> String {
    let mut parts = Vec::new();
    if !problems.0.is_empty() {
        parts.push(format!("{problems}\n"));
    }
    let verdict = verdict(problems);
    parts.push(format!("{verdict}: {source}"));
    if let Some(summary) = summary {
        parts.push(summary.trim_end().to_owned());
    }
    parts.join("\n")
}

/// Counts the problems: "2 errors, 1 warning", or "ok".
pub(super) fn verdict(problems: &Problems) -> String {
    let errors = problems.errors();
    let counts = [(errors, "error"), (problems.0.len() - errors, "warning")];
    let words: Vec<_> = counts
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!("{count} {what}{}", if *count == 1 { "" } else { "s" }))
        .collect();
    if words.is_empty() {
        "ok".to_owned()
    } else {
        words.join(", ")
    }
}
