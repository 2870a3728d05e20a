//! What is wrong with one value, before it is known where the value stands.
//!
//! Parsers of values return a [`Mistake`]; `fields` adds the key and the place.

/// A value that cannot be used: what, why, and what to write.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Mistake {
    /// What is wrong, with the value.
    pub(crate) what: String,
    /// The rule it breaks; never contains the value.
    pub(crate) why: String,
    /// A value that would do, as TOML.
    pub(crate) value: Option<String>,
}

impl Mistake {
    pub(crate) fn new(what: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            why: String::new(),
            value: None,
        }
    }

    pub(crate) fn why(mut self, why: impl Into<String>) -> Self {
        self.why = why.into();
        self
    }

    pub(crate) fn value(mut self, toml: impl Into<String>) -> Self {
        self.value = Some(toml.into());
        self
    }

    /// Returns `text` as a message may show it: in quotes, on one line, short.
    ///
    /// Text of several lines is not shown at all: in a file with a forgotten
    /// quote it holds other keys.
    pub(crate) fn quote(text: &str) -> String {
        if text.contains(['\n', '\r']) {
            return "text of several lines".to_owned();
        }
        let mut shown: String = text
            .chars()
            .take(QUOTED)
            .map(|c| if c.is_control() { '?' } else { c })
            .collect();
        if text.chars().nth(QUOTED).is_some() {
            shown.push_str("...");
        }
        format!("\"{shown}\"")
    }
}

// Long enough for an IPv6 address with prefix and for most host names.
const QUOTED: usize = 60;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quoted_value_is_one_short_line() {
        assert_eq!(Mistake::quote("a b"), "\"a b\"");
        assert_eq!(Mistake::quote("a\u{1b}[31m"), "\"a?[31m\"");
        assert_eq!(Mistake::quote("a\npassword"), "text of several lines");
        assert_eq!(Mistake::quote(&"x".repeat(100)).len(), QUOTED + 5);
    }
}
