//! Problems of a configuration, printed like those of a good compiler.
//!
//! A [`Problem`] says where, what is wrong, why that is wrong and what to
//! write instead. It never contains the value of a secret. While the file is
//! being checked a problem is a [`Finding`]; `page` turns it into the final
//! form with line, column and the line itself.

use std::fmt::{self, Display, Formatter};
use std::ops::Range;

use serde::Serialize;

/// How bad a problem is.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// The configuration works, but probably not as meant.
    Warning,
    /// The configuration cannot be used.
    Error,
}

/// One thing that is wrong or doubtful.
///
/// `Display` gives several lines without a trailing line break.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Problem {
    /// Whether the configuration can be used in spite of it.
    pub severity: Severity,
    /// The key it is about, or empty when it is about the file.
    pub key: String,
    /// Where it was found: the name of a file or of an environment variable.
    pub source: String,
    /// Line in the file, from 1; `None` when it is about no line.
    pub line: Option<usize>,
    /// Column in the line in characters, from 1.
    pub column: Option<usize>,
    /// What is wrong.
    pub what: String,
    /// Why it is wrong; may be empty.
    pub why: String,
    /// What to write instead; may be empty.
    pub write: String,
    /// The line with the place marked, secrets replaced.
    #[serde(skip)]
    pub excerpt: Option<Excerpt>,
}

/// A line of the file with a part of it marked.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Excerpt {
    /// The line, with secrets and control characters replaced.
    pub text: String,
    /// The marked characters of `text`.
    pub marked: Range<usize>,
}

impl Display for Problem {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let severity = match self.severity {
            Severity::Warning => "warning",
            Severity::Error => "error",
        };
        if self.key.is_empty() {
            write!(f, "{severity}: {}", self.what)?;
        } else {
            write!(f, "{severity}: {}: {}", self.key, self.what)?;
        }
        let gutter = self.line.map_or(1, |line| line.to_string().len());
        self.fmt_place(f, gutter)?;
        if !self.why.is_empty() {
            write!(f, "\n{:gutter$} = why: {}", "", self.why)?;
        }
        if !self.write.is_empty() {
            write!(f, "\n{:gutter$} = write: {}", "", self.write)?;
        }
        Ok(())
    }
}

impl Problem {
    fn fmt_place(&self, f: &mut Formatter<'_>, gutter: usize) -> fmt::Result {
        if self.source.is_empty() {
            return Ok(());
        }
        write!(f, "\n{:gutter$}--> {}", "", self.source)?;
        let (Some(line), Some(column)) = (self.line, self.column) else {
            return Ok(());
        };
        write!(f, ":{line}:{column}")?;
        let Some(excerpt) = &self.excerpt else {
            return Ok(());
        };
        let marks = "^".repeat(excerpt.marked.len().max(1));
        write!(f, "\n{:gutter$} |", "")?;
        write!(f, "\n{line} | {}", excerpt.text)?;
        write!(
            f,
            "\n{:gutter$} | {:start$}{marks}",
            "",
            "",
            start = excerpt.marked.start
        )
    }
}

/// Every problem of one configuration, in the order of the file.
///
/// `Display` prints them all, separated by empty lines.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Problems(pub Vec<Problem>);

impl Problems {
    /// Returns how many of them are errors.
    #[must_use]
    pub fn errors(&self) -> usize {
        self.0
            .iter()
            .filter(|problem| problem.severity == Severity::Error)
            .count()
    }
}

impl Display for Problems {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for (i, problem) in self.0.iter().enumerate() {
            let separator = if i == 0 { "" } else { "\n\n" };
            write!(f, "{separator}{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

/// Where a value stands.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Place {
    /// Bytes of the configuration file.
    File(Range<usize>),
    /// An environment variable.
    Variable(String),
    /// Nowhere: the default was taken, or the file lacks something.
    Absent,
}

/// A problem whose place is not yet a line and a column.
#[derive(Clone, Debug)]
pub(crate) struct Finding {
    pub(crate) severity: Severity,
    pub(crate) key: String,
    pub(crate) place: Place,
    pub(crate) what: String,
    pub(crate) why: String,
    pub(crate) write: String,
}

impl Finding {
    pub(crate) fn error(key: impl Into<String>, place: &Place, what: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            key: key.into(),
            place: place.clone(),
            what: what.into(),
            why: String::new(),
            write: String::new(),
        }
    }

    pub(crate) fn warning(key: impl Into<String>, place: &Place, what: impl Into<String>) -> Self {
        Self {
            severity: Severity::Warning,
            ..Self::error(key, place, what)
        }
    }

    pub(crate) fn why(mut self, why: impl Into<String>) -> Self {
        self.why = why.into();
        self
    }

    pub(crate) fn write(mut self, write: impl Into<String>) -> Self {
        self.write = write.into();
        self
    }
}
