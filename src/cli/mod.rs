//! The command line: one file per command.
//!
//! Commands other than `run` work on the configuration alone. `run` is handed
//! the server as a closure, so that this module knows nothing of it. Results
//! go to stdout, hints and problems to stderr.

mod check;
mod config;
mod credentials;
mod output;
mod run;
mod source;
mod token;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

pub use run::Greeting;
pub use run::RunRequest;

/// Reads the command line and does what it asks.
///
/// `serve` is called for `turnstone run` and for `turnstone` alone, with a
/// configuration that was checked; it returns when the server has stopped.
pub fn main(serve: impl FnOnce(RunRequest) -> anyhow::Result<()>) -> ExitCode {
    let arguments = Arguments::parse();
    let command = arguments
        .command
        .unwrap_or(Command::Run(WithConfig { config: None }));
    let done = match command {
        Command::Run(arguments) => run::run(arguments.config, serve),
        Command::Check(arguments) => check::check(&arguments),
        Command::Credentials(arguments) => credentials::credentials(&arguments),
        Command::Token(command) => token::token(&command),
        Command::Config(arguments) => config::config(&arguments),
    };
    done.unwrap_or_else(|error| {
        output::hint(&format!("error: {error:#}"));
        ExitCode::from(FAILED)
    })
}

#[derive(Parser)]
#[command(name = "turnstone", version, about, max_term_width = 100)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Serve; this is what turnstone does without a command
    Run(WithConfig),
    /// Look for mistakes in the configuration
    ///
    /// Exit status: 0 when nothing was found, 1 for warnings, 2 for errors.
    Check(check::Arguments),
    /// Print fresh credentials as iceServers JSON, ready for RTCPeerConnection
    Credentials(credentials::Arguments),
    /// Make tokens that open rooms
    #[command(subcommand)]
    Token(token::Command),
    /// Explain the keys of the configuration file
    Config(config::Arguments),
}

/// The option every command has that needs a configuration.
#[derive(clap::Args)]
struct WithConfig {
    /// Configuration file [default: /etc/turnstone/turnstone.toml if it exists,
    /// built-in settings for a first try otherwise]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

// The status of `check` for warnings, and of everything for errors; clap uses
// 2 as well for a wrong command line.
const WARNED: u8 = 1;
const FAILED: u8 = 2;
