//! What sort of value a key takes: its type, unit and range.
//!
//! A [`Kind`] describes itself in words for `config --explain`, for the sample
//! file and for error messages, so the three cannot disagree. The parsers are
//! in `values`, `duration`, `size` and `bitrate`.

use std::time::Duration;

use super::duration;
use super::size;

/// The type, unit and range of one key.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// Any text; what else it must be is said in the key's sentence.
    Text,
    /// A host name.
    Host,
    /// A path of a file or directory.
    Path,
    /// `true` or `false`.
    Boolean,
    /// A whole number in a range, both ends included.
    Integer {
        /// The smallest value.
        min: u32,
        /// The largest value.
        max: u32,
    },
    /// A whole number where 0 stands for "no limit".
    Limit,
    /// A span of time.
    Duration {
        /// The shortest value.
        min: Duration,
        /// The longest value.
        max: Duration,
    },
    /// A number of bytes.
    Size {
        /// The smallest value, in bytes.
        min: u64,
        /// The largest value, in bytes.
        max: u64,
    },
    /// A bandwidth, or empty for "no limit".
    Bitrate,
    /// A range of ports.
    Ports,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// One listening address, or empty for none.
    Listener,
    /// Listening addresses.
    Listeners,
    /// Networks in CIDR notation or single addresses.
    Networks,
    /// A list of text, described by these words, with one entry as example.
    List(&'static str, &'static str),
    /// A secret.
    Secret,
    /// A list of secrets.
    Secrets,
}

impl Kind {
    /// Says whether a value of this kind must never be printed.
    #[must_use]
    pub const fn is_secret(self) -> bool {
        matches!(self, Self::Secret | Self::Secrets)
    }

    /// Says whether the value is a TOML list.
    #[must_use]
    pub const fn is_list(self) -> bool {
        matches!(
            self,
            Self::Listeners | Self::Networks | Self::List(..) | Self::Secrets
        )
    }

    /// Says whether the value is TOML text in quotes.
    #[must_use]
    pub const fn is_text(self) -> bool {
        !self.is_list() && !matches!(self, Self::Boolean | Self::Integer { .. } | Self::Limit)
    }

    /// Describes the value in words, as the end of "it must be ...".
    #[must_use]
    pub fn describe(self) -> String {
        match self {
            Self::Text => "text".to_owned(),
            Self::Host => "a host name".to_owned(),
            Self::Path => "a path".to_owned(),
            Self::Boolean => "true or false".to_owned(),
            Self::Integer { min, max } => format!("a whole number from {min} to {max}"),
            Self::Limit => "a whole number, 0 for no limit".to_owned(),
            Self::Duration { min, max } => format!(
                "a duration (units s, m, h, d) from {} to {}",
                duration::human(min),
                duration::human(max)
            ),
            Self::Size { min, max } => format!(
                "a size (units B, KiB, MiB, GiB) from {} to {}",
                size::human(min),
                size::human(max)
            ),
            Self::Bitrate => {
                "a bandwidth (units bit/s, kbit/s, Mbit/s, Gbit/s), empty for no limit".to_owned()
            }
            Self::Ports => "a port range".to_owned(),
            Self::Choice(words) => format!("one of {}", words.join(", ")),
            Self::Listener => "an address with port, empty for none".to_owned(),
            Self::Listeners => "a list of addresses with port".to_owned(),
            Self::Networks => "a list of networks or addresses".to_owned(),
            Self::List(words, _) => words.to_owned(),
            Self::Secret => "a secret".to_owned(),
            Self::Secrets => "a list of secrets".to_owned(),
        }
    }

    /// Returns one entry of a list of this kind, or a value, as TOML.
    #[must_use]
    pub fn example(self) -> String {
        let text = match self {
            Self::Text | Self::Path | Self::Secret | Self::Secrets => "...",
            Self::Host => "call.example.org",
            Self::Boolean => return "true".to_owned(),
            Self::Integer { min, .. } => return min.to_string(),
            Self::Limit => return "0".to_owned(),
            Self::Duration { max, .. } => return format!("\"{}\"", duration::human(max)),
            Self::Size { max, .. } => return format!("\"{}\"", size::human(max)),
            Self::Bitrate => "10Mbit/s",
            Self::Ports => "49152-65535",
            Self::Choice(words) => words[0],
            Self::Listener => "127.0.0.1:9641",
            Self::Listeners => "[::]:3478",
            Self::Networks => "192.168.1.0/24",
            Self::List(_, example) => example,
        };
        format!("\"{text}\"")
    }
}
