//! Typed access to the keys of a record.
//!
//! Each method reads one key by its name in the table of `keys`, notes a
//! finding when the value does not fit, and goes on with the default. The
//! caller always gets a value, so that every problem is found in one run.

use std::num::NonZeroU32;
use std::time::Duration;

use super::bitrate;
use super::bitrate::Bitrate;
use super::duration;
use super::files::Files;
use super::keys;
use super::keys::Key;
use super::kind::Kind;
use super::mistake::Mistake;
use super::problem::Finding;
use super::problem::Place;
use super::raw::Entry;
use super::raw::Record;
use super::raw::Value;
use super::size;
use super::size::ByteSize;

/// The keys of one record, read one by one.
pub(crate) struct Fields<'a> {
    pub(crate) record: &'a Record,
    pub(crate) files: &'a Files,
    pub(crate) findings: &'a mut Vec<Finding>,
}

/// A value and where it came from.
#[derive(Clone, Debug)]
pub(crate) struct Found<T> {
    pub(crate) value: T,
    pub(crate) place: Place,
    /// Whether somebody wrote it: the default, also in place of a wrong value,
    /// is not given.
    pub(crate) given: bool,
}

impl<T> Found<T> {
    fn given(value: T, place: &Place) -> Self {
        Self {
            value,
            place: place.clone(),
            given: true,
        }
    }
}

impl Fields<'_> {
    /// Reads a key with a parser for its value.
    pub(crate) fn one<T>(
        &mut self,
        name: &str,
        parse: impl Fn(&Value) -> Result<T, Mistake>,
    ) -> Found<T> {
        let key = known(name);
        if let Some(entry) = self.record.entries.get(name) {
            match parse(&entry.value) {
                Ok(value) => return Found::given(value, &entry.place),
                Err(mistake) => self.mistake(key, &entry.place, mistake),
            }
        }
        let value = parse(&Value::default_of(key));
        Found {
            value: value.unwrap_or_else(|_| unreachable!("a test loads every default")),
            place: Place::Absent,
            given: false,
        }
    }

    /// Reads a list with a parser for the text of one entry.
    ///
    /// Wrong entries are left out; a list that lost all its entries so is not
    /// the default either.
    pub(crate) fn many<T>(
        &mut self,
        name: &str,
        parse: impl Fn(&str) -> Result<T, Mistake>,
    ) -> Found<Vec<Found<T>>> {
        let list = self.one(name, |value| list(known(name), value));
        let mut values = Vec::new();
        for entry in list.value {
            match text(known(name), &entry.value).and_then(&parse) {
                Ok(value) => values.push(Found {
                    value,
                    place: entry.place,
                    given: list.given,
                }),
                Err(mistake) => self.mistake_in_list(known(name), &entry.place, mistake),
            }
        }
        Found {
            value: values,
            place: list.place,
            given: list.given,
        }
    }

    /// Reads text with a parser.
    pub(crate) fn parsed<T>(
        &mut self,
        name: &str,
        parse: impl Fn(&str) -> Result<T, Mistake>,
    ) -> Found<T> {
        self.one(name, |value| text(known(name), value).and_then(&parse))
    }

    pub(crate) fn text(&mut self, name: &str) -> Found<String> {
        self.parsed(name, |text| Ok(text.to_owned()))
    }

    pub(crate) fn boolean(&mut self, name: &str) -> Found<bool> {
        self.one(name, |value| {
            let Value::Boolean(boolean) = value else {
                return Err(wrong_type(known(name), value));
            };
            Ok(*boolean)
        })
    }

    pub(crate) fn integer(&mut self, name: &str) -> Found<u32> {
        let key = known(name);
        let Kind::Integer { min, max } = key.kind else {
            unreachable!("{name} is declared as an integer");
        };
        self.one(name, |value| integer(key, value, min, max))
    }

    /// Reads a number where 0 means no limit.
    pub(crate) fn limit(&mut self, name: &str) -> Option<NonZeroU32> {
        let number = self.one(name, |value| integer(known(name), value, 0, u32::MAX));
        NonZeroU32::new(number.value)
    }

    pub(crate) fn duration(&mut self, name: &str) -> Found<Duration> {
        let key = known(name);
        let Kind::Duration { min, max } = key.kind else {
            unreachable!("{name} is declared as a duration");
        };
        let range = [min, max].map(duration::human);
        self.parsed(name, |text| {
            let span = duration::parse(text)?;
            if (min..=max).contains(&span) {
                return Ok(span);
            }
            Err(out_of_range(text, &range, span < min))
        })
    }

    pub(crate) fn size(&mut self, name: &str) -> ByteSize {
        let key = known(name);
        let Kind::Size { min, max } = key.kind else {
            unreachable!("{name} is declared as a size");
        };
        let range = [min, max].map(size::human);
        let found = self.parsed(name, |text| {
            let size = size::parse(text)?;
            if (min..=max).contains(&size.bytes()) {
                return Ok(size);
            }
            Err(out_of_range(text, &range, size.bytes() < min))
        });
        found.value
    }

    pub(crate) fn bitrate(&mut self, name: &str) -> Option<Bitrate> {
        self.parsed(name, bitrate::parse).value
    }

    /// Reads one of some words; `meanings` are in the order of the table.
    pub(crate) fn choice<T: Copy>(&mut self, name: &str, meanings: &[T]) -> Found<T> {
        let Kind::Choice(words) = known(name).kind else {
            unreachable!("{name} is declared as a choice");
        };
        self.parsed(name, |text| {
            let meaning = words.iter().zip(meanings).find(|(word, _)| **word == text);
            let Some((_, meaning)) = meaning else {
                return Err(
                    Mistake::new(format!("{} is not known", Mistake::quote(text)))
                        .why(format!("it is one of {}", words.join(", ")))
                        .value(nearest_word(known(name), text, words)),
                );
            };
            Ok(*meaning)
        })
    }

    /// Returns where a key was written.
    pub(crate) fn place(&self, name: &str) -> Place {
        let entry = self.record.entries.get(name);
        entry.map_or(Place::Absent, |entry| entry.place.clone())
    }

    /// Notes a finding.
    pub(crate) fn push(&mut self, finding: Finding) {
        self.findings.push(finding);
    }

    fn mistake(&mut self, key: &Key, place: &Place, mistake: Mistake) {
        let write = mistake.value.as_ref().map(|value| match place {
            Place::Variable(name) => format!("{name}={}", in_shell(value)),
            Place::File(_) | Place::Absent => format!("{} = {value}", key.leaf()),
        });
        self.findings.push(
            Finding::error(key.name, place, mistake.what)
                .why(mistake.why)
                .write(write.unwrap_or_default()),
        );
    }

    fn mistake_in_list(&mut self, key: &Key, place: &Place, mistake: Mistake) {
        self.findings.push(
            Finding::error(key.name, place, mistake.what)
                .why(mistake.why)
                .write(mistake.value.unwrap_or_default()),
        );
    }
}

// A TOML value as it is written behind the name of a variable.
fn in_shell(value: &str) -> String {
    let bare = value.trim_matches('"');
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.:/".contains(c);
    if bare.chars().all(is_plain) && !bare.is_empty() {
        bare.to_owned()
    } else {
        format!("'{value}'")
    }
}

fn known(name: &str) -> &'static Key {
    keys::find(name).unwrap_or_else(|| unreachable!("a test loads a file, which reads every key"))
}

fn list(key: &Key, value: &Value) -> Result<Vec<Entry>, Mistake> {
    if let Value::List(entries) = value {
        return Ok(entries.clone());
    }
    let mistake = wrong_type(key, value);
    Err(match value {
        Value::Text(text) if !key.kind.is_secret() => {
            mistake.value(format!("[{}]", Mistake::quote(text)))
        }
        Value::Text(_)
        | Value::Integer(_)
        | Value::Boolean(_)
        | Value::List(_)
        | Value::Other(_) => mistake,
    })
}

fn text<'v>(key: &Key, value: &'v Value) -> Result<&'v str, Mistake> {
    let Value::Text(text) = value else {
        return Err(wrong_type(key, value));
    };
    Ok(text)
}

fn integer(key: &Key, value: &Value, min: u32, max: u32) -> Result<u32, Mistake> {
    let Value::Integer(number) = *value else {
        return Err(wrong_type(key, value));
    };
    u32::try_from(number)
        .ok()
        .filter(|number| (min..=max).contains(number))
        .ok_or_else(|| {
            let nearest = number.clamp(i64::from(min), i64::from(max));
            Mistake::new(format!("{number} is out of range"))
                .why(format!("it must be {}", key.kind.describe()))
                .value(nearest.to_string())
        })
}

fn wrong_type(key: &Key, value: &Value) -> Mistake {
    let found = match value {
        Value::Text(_) => "text in quotes",
        Value::Integer(_) => "a number",
        Value::Boolean(_) => "true or false",
        Value::List(_) => "a list",
        Value::Other(name) => name,
    };
    // A list within a list is asked for text, its entries being text.
    let is_list = key.kind.is_list() && !matches!(value, Value::List(_));
    let belongs = if is_list {
        "a list"
    } else if key.kind.is_text() || key.kind.is_list() {
        "text in quotes"
    } else if key.kind == Kind::Boolean {
        "true or false"
    } else {
        "a number"
    };
    let example = key.kind.example();
    let example = if is_list {
        format!("[{example}]")
    } else {
        example
    };
    let meant = meant(key, value).unwrap_or(example);
    if let (Kind::Duration { .. } | Kind::Size { .. }, Value::Integer(number)) = (key.kind, value) {
        return Mistake::new(format!("{number} has no unit"))
            .why(format!("it must be {}", key.kind.describe()))
            .value(meant);
    }
    Mistake::new(format!("{found}, where {belongs} belongs"))
        .why(format!("it must be {}", key.kind.describe()))
        .value(meant)
}

// The value with the right type, where it is plain what was meant.
fn meant(key: &Key, value: &Value) -> Option<String> {
    if key.kind.is_secret() {
        return None;
    }
    match (key.kind, value) {
        (Kind::Duration { .. }, Value::Integer(number)) => Some(format!("\"{number}s\"")),
        (Kind::Size { .. }, Value::Integer(number)) => Some(format!("\"{number}B\"")),
        (Kind::Bitrate, Value::Integer(0)) => Some("\"\"".to_owned()),
        (Kind::Text, Value::Integer(number)) => Some(format!("\"{number}\"")),
        (Kind::Integer { .. } | Kind::Limit, Value::Text(text)) => {
            text.trim().parse::<u32>().ok().map(|n| n.to_string())
        }
        (Kind::Boolean, Value::Text(text)) => match text.to_lowercase().as_str() {
            "true" | "yes" | "on" | "1" => Some("true".to_owned()),
            "false" | "no" | "off" | "0" => Some("false".to_owned()),
            _ => None,
        },
        _ => None,
    }
}

fn out_of_range(text: &str, range: &[String; 2], too_small: bool) -> Mistake {
    let [min, max] = range;
    let nearest = if too_small { min } else { max };
    Mistake::new(format!("{} is out of range", Mistake::quote(text)))
        .why(format!("it must be from {min} to {max}"))
        .value(format!("\"{nearest}\""))
}

// The word that was probably meant, or else the default.
fn nearest_word(key: &Key, text: &str, words: &[&str]) -> String {
    let text = text.to_lowercase();
    words
        .iter()
        .find(|word| strsim::damerau_levenshtein(&text, word) <= 2 || text.starts_with(**word))
        .map_or_else(|| key.default.to_owned(), |word| format!("\"{word}\""))
}
