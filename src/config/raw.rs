//! The file as it was written: each known key with its value and its place.
//!
//! Only what concerns the form of the file is checked here: that it is TOML,
//! that sections are sections and that every key is known. Types and ranges
//! are the business of `fields`, meaning is that of `check`. A derived
//! deserializer is not used because it stops at the first problem.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::keys;
use super::keys::Key;
use super::keys::USERS;
use super::page::Page;
use super::problem::Finding;
use super::problem::Place;
use super::suggest;
use super::syntax;

/// A TOML value without its place, as far as keys can use it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Value {
    /// Text in quotes.
    Text(String),
    /// A whole number that fits 64 bits.
    Integer(i64),
    /// `true` or `false`.
    Boolean(bool),
    /// A list; each entry has its own place.
    List(Vec<Entry>),
    /// What no key takes, by name: "a date", "a section" and so on.
    Other(&'static str),
}

/// A value and where it stands.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Entry {
    pub(crate) value: Value,
    pub(crate) place: Place,
}

/// The keys of the file, or of one `[[turn.users]]` block.
#[derive(Debug)]
pub(crate) struct Record {
    pub(crate) entries: BTreeMap<&'static str, Entry>,
    /// The header of the block; absent for the file as a whole.
    pub(crate) place: Place,
    /// Whether something in it is not known, which may be a key that is missed.
    pub(crate) has_unknown: bool,
}

/// Everything the file and the environment say.
#[derive(Debug)]
pub(crate) struct Raw {
    pub(crate) file: Record,
    pub(crate) users: Vec<Record>,
    /// The lines, from 1, that are not TOML; empty when all of it is.
    pub(crate) broken: BTreeSet<usize>,
}

/// Reads the text of the page, and hides its secrets on the page.
pub(crate) fn read(page: &mut Page<'_>, text: &str, findings: &mut Vec<Finding>) -> Raw {
    let (table, errors) = DeTable::parse_recoverable(text);
    if !errors.is_empty() {
        page.hide_doubtful_lines();
    }
    let syntax = syntax::syntax(page, text, &errors);
    findings.extend(syntax.findings);
    let mut reader = Reader {
        raw: Raw {
            broken: syntax.broken,
            ..Raw::empty()
        },
        page,
        findings,
    };
    reader.section("", table.get_ref());
    reader.raw
}

impl Raw {
    pub(crate) fn empty() -> Self {
        Self {
            file: Record::at(Place::Absent),
            users: Vec::new(),
            broken: BTreeSet::new(),
        }
    }
}

impl Record {
    fn at(place: Place) -> Self {
        Self {
            entries: BTreeMap::new(),
            place,
            has_unknown: false,
        }
    }
}

impl Value {
    /// Converts a parsed value; entries of a list keep their places by `at`.
    pub(crate) fn convert(value: &DeValue<'_>, at: &impl Fn(Range<usize>) -> Place) -> Self {
        match value {
            DeValue::String(text) => Self::Text(text.clone().into_owned()),
            DeValue::Integer(integer) => i64::from_str_radix(integer.as_str(), integer.radix())
                .map_or(Self::Other("a number that is too large"), Self::Integer),
            DeValue::Boolean(boolean) => Self::Boolean(*boolean),
            DeValue::Array(list) => Self::List(
                list.iter()
                    .map(|entry| Entry {
                        value: Self::convert(entry.get_ref(), at),
                        place: at(entry.span()),
                    })
                    .collect(),
            ),
            DeValue::Float(_) => Self::Other("a number with a fraction"),
            DeValue::Datetime(_) => Self::Other("a date"),
            DeValue::Table(_) => Self::Other("a section"),
        }
    }

    /// Returns the default of a key.
    pub(crate) fn default_of(key: &Key) -> Self {
        let value = DeValue::parse(key.default).expect("a test parses every default of the table");
        Self::convert(value.get_ref(), &|_| Place::Absent)
    }
}

struct Reader<'r, 'p> {
    page: &'r mut Page<'p>,
    findings: &'r mut Vec<Finding>,
    raw: Raw,
}

impl Reader<'_, '_> {
    fn section(&mut self, section: &str, table: &DeTable<'_>) {
        for (leaf, value) in table {
            let name = join(section, leaf.get_ref());
            if name == USERS {
                self.users(leaf.span(), value);
            } else if let Some(key) = keys::find(&name).filter(|key| key.section() != USERS) {
                let entry = self.entry(key, value);
                self.raw.file.entries.insert(key.name, entry);
            } else if keys::is_section(&name) {
                match value.get_ref().as_table() {
                    Some(table) => self.section(&name, table),
                    None => self.not_a_section(&name, leaf.span(), value),
                }
            } else {
                self.unknown(&name, leaf.span(), value);
                self.raw.file.has_unknown = true;
            }
        }
    }

    fn users(&mut self, header: Range<usize>, value: &Spanned<DeValue<'_>>) {
        let Some(blocks) = value.get_ref().as_array() else {
            return self.not_a_section(USERS, header, value);
        };
        for block in blocks {
            match block.get_ref().as_table() {
                Some(table) => self.user(Place::File(block.span()), table),
                None => self.not_a_section(USERS, block.span(), block),
            }
        }
    }

    fn user(&mut self, place: Place, table: &DeTable<'_>) {
        let mut user = Record::at(place);
        for (leaf, value) in table {
            let name = join(USERS, leaf.get_ref());
            if let Some(key) = keys::find(&name) {
                let entry = self.entry(key, value);
                user.entries.insert(key.name, entry);
            } else {
                self.unknown(&name, leaf.span(), value);
                user.has_unknown = true;
            }
        }
        self.raw.users.push(user);
    }

    fn entry(&mut self, key: &Key, value: &Spanned<DeValue<'_>>) -> Entry {
        if key.kind.is_secret() {
            self.hide(value);
        } else {
            self.hide_tables(value);
        }
        Entry {
            value: Value::convert(value.get_ref(), &Place::File),
            place: Place::File(value.span()),
        }
    }

    fn not_a_section(&mut self, name: &str, at: Range<usize>, value: &Spanned<DeValue<'_>>) {
        self.raw.file.has_unknown = true;
        // The value may be a secret that slipped to the wrong line.
        self.hide(value);
        let write = if name == USERS {
            "[[turn.users]] on a line of its own, for each user".to_owned()
        } else {
            format!("[{name}] on a line of its own, and its keys below")
        };
        let what = if name == USERS {
            "users are written as blocks that repeat"
        } else {
            "this is a section, not a key with a value"
        };
        let finding = Finding::error(name, &Place::File(at), what);
        self.findings.push(finding.write(write));
    }

    fn unknown(&mut self, name: &str, at: Range<usize>, value: &Spanned<DeValue<'_>>) {
        self.hide(value);
        // In broken text a secret may have been taken for a key.
        if !self.page.may_show(&at) || !suggest::is_plain(name) {
            let what = "there is a key here that is not known";
            self.findings
                .push(Finding::error("", &Place::File(at), what));
            return;
        }
        let what = if matches!(value.get_ref(), DeValue::Table(_)) {
            "there is no such section"
        } else {
            "there is no such key"
        };
        let (why, write) = suggest::for_unknown(name);
        let finding = Finding::error(name, &Place::File(at), what);
        self.findings.push(finding.why(why).write(write));
    }

    // No key takes a table: whatever is in one may belong to another key.
    fn hide_tables(&mut self, value: &Spanned<DeValue<'_>>) {
        if value.get_ref().is_table() {
            self.page.hide(value.span());
            self.hide(value);
        } else if let Some(list) = value.get_ref().as_array() {
            list.iter().for_each(|entry| self.hide_tables(entry));
        }
    }

    // The span of a table written with a header is the header; what must be
    // hidden are the values below it.
    fn hide(&mut self, value: &Spanned<DeValue<'_>>) {
        let blocks = value.get_ref().as_array();
        if let Some(table) = value.get_ref().as_table() {
            table.values().for_each(|value| self.hide(value));
        } else if let Some(blocks) = blocks.filter(|b| b.iter().any(|b| b.get_ref().is_table())) {
            blocks.iter().for_each(|block| self.hide(block));
        } else {
            self.page.hide(value.span());
        }
    }
}

/// Joins a section and a name inside it.
pub(crate) fn join(section: &str, leaf: &str) -> String {
    if section.is_empty() {
        leaf.to_owned()
    } else {
        format!("{section}.{leaf}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::keys::KEYS;

    #[test]
    fn every_default_of_the_table_parses() {
        for key in KEYS {
            assert!(DeValue::parse(key.default).is_ok(), "{}", key.name);
        }
    }

    #[test]
    fn values_come_with_their_places() {
        let text = "[turn]\nrealm = \"r\"\nrest.secrets = [\"a\", \"b\"]\n";
        let (raw, findings) = read_text(text);
        assert!(findings.is_empty(), "{findings:?}");
        assert_eq!(
            raw.file.entries["turn.realm"],
            Entry {
                value: Value::Text("r".to_owned()),
                place: Place::File(15..18),
            }
        );
        let Value::List(secrets) = &raw.file.entries["turn.rest.secrets"].value else {
            panic!("a list was written");
        };
        assert_eq!(secrets[1].place, Place::File(40..43));
    }

    #[test]
    fn every_unknown_key_is_found_in_one_go() {
        let text = "x = 1\n[turn]\nrelm = \"r\"\n[nonsense]\ny = 2\n[[turn.users]]\npass = \"p\"\n";
        let (_, findings) = read_text(text);
        let mut keys: Vec<_> = findings.iter().map(|f| f.key.as_str()).collect();
        keys.sort_unstable();
        assert_eq!(keys, ["nonsense", "turn.relm", "turn.users.pass", "x"]);
    }

    #[test]
    fn syntax_errors_do_not_hide_unknown_keys() {
        let (raw, findings) = read_text("[turn]\nrealm = r\nrelay_port = 5\nzzz = 1\n");
        assert_eq!(raw.broken, BTreeSet::from([2]));
        let keys: Vec<_> = findings.iter().map(|f| f.key.as_str()).collect();
        // Where the text is broken, a name that resembles no key may be a value.
        assert_eq!(keys, ["", "turn.relay_port", ""]);
    }

    #[test]
    fn users_may_be_written_inline() {
        let (raw, findings) = read_text("turn.users = [{ name = \"a\" }, { name = \"b\" }]\n");
        assert!(findings.is_empty(), "{findings:?}");
        assert_eq!(raw.users.len(), 2);
    }

    fn read_text(text: &str) -> (Raw, Vec<Finding>) {
        let mut findings = Vec::new();
        let mut page = Page::new("t.toml", text);
        let raw = read(&mut page, text, &mut findings);
        (raw, findings)
    }
}
