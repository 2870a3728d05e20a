//! Keys set in the environment: `TURNSTONE__SECTION__KEY`.
//!
//! They win over the file. A value is read as TOML where that fits the key
//! (`["[::]:3478"]`, `10`, `true`), and as plain text otherwise, so a password
//! needs no quotes even if it looks like a number.

use std::collections::BTreeMap;

use toml::de::DeValue;

use super::keys;
use super::keys::Key;
use super::keys::USERS;
use super::problem::Finding;
use super::problem::Place;
use super::raw::Entry;
use super::raw::Raw;
use super::raw::Record;
use super::raw::Value;
use super::suggest;

/// What the name of every variable of ours starts with.
pub const PREFIX: &str = "TURNSTONE__";

/// Returns the variable that sets a key: `TURNSTONE__TURN__REALM`.
#[must_use]
pub(crate) fn variable_of(key: &str) -> String {
    format!("{PREFIX}{}", key.replace('.', "__").to_uppercase())
}

/// Puts the keys of the environment over those of the file.
pub(crate) fn apply(
    variables: &BTreeMap<String, String>,
    raw: &mut Raw,
    findings: &mut Vec<Finding>,
) {
    for (variable, text) in variables {
        let Some(name) = variable.strip_prefix(PREFIX) else {
            continue;
        };
        let name = name.replace("__", ".").to_lowercase();
        let place = Place::Variable(variable.clone());
        if name == USERS {
            match users(text, &place) {
                Some(users) => raw.users = users,
                None => findings.push(not_users(&place)),
            }
        } else if let Some(key) = keys::find(&name).filter(|key| key.section() != USERS) {
            let value = value(key, text, &place);
            raw.file.entries.insert(key.name, Entry { value, place });
        } else {
            findings.push(unknown(&name, &place));
        }
    }
}

fn value(key: &Key, text: &str, place: &Place) -> Value {
    let parsed = DeValue::parse(text)
        .ok()
        .map(|value| Value::convert(value.get_ref(), &|_| place.clone()));
    let plain = || Value::Text(text.to_owned());
    match parsed {
        Some(Value::List(list)) if key.kind.is_list() => Value::List(list),
        _ if key.kind.is_list() => Value::List(vec![Entry {
            value: plain(),
            place: place.clone(),
        }]),
        Some(value) if !key.kind.is_text() || matches!(value, Value::Text(_)) => value,
        _ => plain(),
    }
}

fn users(text: &str, place: &Place) -> Option<Vec<Record>> {
    let value = DeValue::parse(text).ok()?;
    let blocks = value.get_ref().as_array()?;
    blocks
        .iter()
        .map(|block| user(block.get_ref(), place))
        .collect()
}

fn user(block: &DeValue<'_>, place: &Place) -> Option<Record> {
    let mut entries = BTreeMap::new();
    for (leaf, value) in block.as_table()? {
        let key = keys::find(&format!("{USERS}.{}", leaf.get_ref()))?;
        let value = Value::convert(value.get_ref(), &|_| place.clone());
        let place = place.clone();
        entries.insert(key.name, Entry { value, place });
    }
    let place = place.clone();
    Some(Record {
        entries,
        place,
        has_unknown: false,
    })
}

fn not_users(place: &Place) -> Finding {
    Finding::error(USERS, place, "this is not a list of users")
        .why("users in the environment are a TOML list of inline tables with the keys of [[turn.users]]")
        .write(format!(
            "{}='[{{ name = \"alice\", password_file = \"/run/secrets/alice\" }}]'",
            variable_of(USERS)
        ))
}

fn unknown(name: &str, place: &Place) -> Finding {
    // A name that is no key may be anything, but it is a name and no value.
    let finding = Finding::error("", place, "this variable sets no known key")
        .why("TURNSTONE__SECTION__KEY sets the key of that section");
    match suggest::nearest(name).filter(|near| !keys::is_section(near)) {
        Some(near) => finding.write(variable_of(near)),
        None => finding,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_toml_where_that_fits_and_text_otherwise() {
        let cases = [
            ("turn.realm", "\"quoted\"", Value::Text("quoted".to_owned())),
            ("turn.realm", "plain", Value::Text("plain".to_owned())),
            ("admin.token", "12345", Value::Text("12345".to_owned())),
            ("server.workers", "4", Value::Integer(4)),
            ("server.workers", "four", Value::Text("four".to_owned())),
            ("turn.tcp_relay", "true", Value::Boolean(true)),
        ];
        for (name, text, expected) in cases {
            let key = keys::find(name).unwrap();
            assert_eq!(value(key, text, &Place::Absent), expected, "{name}={text}");
        }
    }

    #[test]
    fn a_list_may_be_one_plain_entry() {
        let key = keys::find("listen.udp").unwrap();
        for (text, entries) in [("[\"a\", \"b\"]", 2), ("[::]:3478", 1), ("a", 1)] {
            let Value::List(list) = value(key, text, &Place::Absent) else {
                panic!("{text} must be a list");
            };
            assert_eq!(list.len(), entries, "{text}");
        }
    }

    #[test]
    fn a_misspelled_variable_is_an_error_with_a_suggestion() {
        let variables = BTreeMap::from([("TURNSTONE__TURN__RELM".to_owned(), "x".to_owned())]);
        let mut findings = Vec::new();
        apply(&variables, &mut Raw::empty(), &mut findings);
        assert_eq!(findings[0].write, "TURNSTONE__TURN__REALM");
    }

    #[test]
    fn users_come_as_a_list_of_tables() {
        let text = "[{ name = \"a\", password = \"p\" }]";
        assert_eq!(users(text, &Place::Absent).unwrap().len(), 1);
        assert!(users("[{ nam = \"a\" }]", &Place::Absent).is_none());
        assert!(users("alice", &Place::Absent).is_none());
    }
}
