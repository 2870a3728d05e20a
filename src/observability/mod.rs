//! Logs. Context is in fields, so that the same line serves people and machines.

use std::io::{self, IsTerminal as _};

use tracing::Level;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::reload;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Layer as _, Registry, fmt};

/// How lines look.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Format {
    /// With colours on a terminal; without time under systemd, which adds it.
    Auto,
    /// Text, with the time.
    Text,
    /// One JSON object a line.
    Json,
}

/// Changes the level of the log while the program runs.
#[derive(Clone)]
pub struct LogLevel(reload::Handle<LevelFilter, Registry>);

impl LogLevel {
    /// Lets lines of `level` and above through from now on.
    pub fn set(&self, level: Level) {
        // It fails only when the subscriber is gone, and so is the log.
        let _ = self.0.reload(LevelFilter::from_level(level));
    }
}

/// Starts logging to standard error.
///
/// # Errors
/// When the process has a subscriber already.
pub fn init(format: Format, level: Level) -> io::Result<LogLevel> {
    let (filter, handle) = reload::Layer::new(LevelFilter::from_level(level));
    let is_terminal = io::stderr().is_terminal();
    // Under systemd every line gets its time from the journal.
    let is_journal = std::env::var_os("JOURNAL_STREAM").is_some();
    let text = || {
        fmt::layer()
            .with_writer(io::stderr)
            .with_target(false)
            .with_ansi(is_terminal)
    };
    let registry = tracing_subscriber::registry().with(filter);
    let result = match format {
        Format::Auto if is_journal && !is_terminal => {
            registry.with(text().without_time().boxed()).try_init()
        }
        Format::Auto | Format::Text => registry.with(text().boxed()).try_init(),
        Format::Json => {
            let layer = fmt::layer()
                .json()
                .with_writer(io::stderr)
                .with_target(false);
            registry.with(layer.boxed()).try_init()
        }
    };
    result.map_err(io::Error::other)?;
    Ok(LogLevel(handle))
}
