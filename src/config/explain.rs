//! The table of keys in words: `config --explain` and `config --full`.

use std::fmt::Write;

use super::environment;
use super::keys;
use super::keys::KEYS;
use super::keys::Key;
use super::keys::SECTIONS;
use super::keys::Section;
use super::keys::USERS;
use super::kind::Kind;

pub use super::suggest::nearest;

/// Explains a key, a section, or every key with that last name.
///
/// Returns `None` when there is no such key; [`nearest`] may know a better
/// name.
#[must_use]
pub fn explain(name: &str) -> Option<String> {
    let name = name.trim_matches(['[', ']']);
    if let Some(key) = keys::find(name) {
        return Some(explain_key(key));
    }
    if let Some(section) = SECTIONS.iter().find(|section| section.name == name) {
        return Some(explain_section(section));
    }
    let same_leaf: Vec<_> = KEYS.iter().filter(|key| key.leaf() == name).collect();
    if same_leaf.is_empty() {
        return None;
    }
    let texts: Vec<_> = same_leaf.into_iter().map(explain_key).collect();
    Some(texts.join("\n"))
}

/// Writes a file with every section and key: sentence, type and default.
///
/// Keys are commented out, so the file as it is changes nothing. It is the
/// text of `config/turnstone.toml`.
#[must_use]
pub fn full() -> String {
    let mut text = String::from(HEAD);
    for section in SECTIONS {
        text.push('\n');
        if section.name == USERS {
            users_block(&mut text, section);
            continue;
        }
        comment(&mut text, section.about);
        line(&mut text, format_args!("[{}]", section.name));
        for key in KEYS.iter().filter(|key| key.section() == section.name) {
            text.push('\n');
            comment(&mut text, key.about);
            comment(&mut text, &describe(key));
            line(&mut text, format_args!("#{} = {}", key.leaf(), key.default));
        }
    }
    text
}

fn explain_key(key: &Key) -> String {
    let mut text = String::new();
    line(&mut text, format_args!("{}", key.name));
    line(&mut text, format_args!("  {}", key.about));
    line(
        &mut text,
        format_args!("  value:       {}", key.kind.describe()),
    );
    if key.section() != USERS {
        let default = match (key.default, key.kind) {
            ("\"\"", Kind::Secret | Kind::Path | Kind::Text | Kind::Host) => "none",
            (default, _) => default,
        };
        line(&mut text, format_args!("  default:     {default}"));
    }
    line(
        &mut text,
        format_args!("  in the file: {}", header(key.section())),
    );
    line(
        &mut text,
        format_args!("               {} = {}", key.leaf(), example(key)),
    );
    if key.section() != USERS {
        let variable = environment::variable_of(key.name);
        line(&mut text, format_args!("  environment: {variable}"));
    }
    if !key.available {
        line(
            &mut text,
            format_args!("  Not available in this version: it is checked, but has no effect."),
        );
    }
    text
}

fn explain_section(section: &Section) -> String {
    let mut text = String::new();
    line(&mut text, format_args!("{}", header(section.name)));
    line(&mut text, format_args!("  {}", section.about));
    for key in KEYS.iter().filter(|key| key.section() == section.name) {
        line(
            &mut text,
            format_args!("  {:<22} {}", key.leaf(), key.about),
        );
    }
    let prefix = format!("{}.", section.name);
    for below in SECTIONS
        .iter()
        .filter(|below| below.name.starts_with(&prefix))
    {
        let header = header(below.name);
        line(&mut text, format_args!("  {header:<22} {}", below.about));
    }
    text
}

fn header(section: &str) -> String {
    if section == USERS {
        format!("[[{section}]]")
    } else {
        format!("[{section}]")
    }
}

// A value worth copying: the default, unless that is empty.
fn example(key: &Key) -> String {
    match key.default {
        "\"\"" | "[]" if key.kind.is_list() => format!("[{}]", key.kind.example()),
        "\"\"" => key.kind.example(),
        default => default.to_owned(),
    }
}

fn describe(key: &Key) -> String {
    let later = if key.available {
        ""
    } else {
        "; not available in this version"
    };
    format!("Value: {}{later}.", key.kind.describe())
}

// There is no default user, so the block shows one as an example.
fn users_block(text: &mut String, section: &Section) {
    comment(text, section.about);
    for key in KEYS.iter().filter(|key| key.section() == USERS) {
        comment(text, &format!("{}: {}", key.leaf(), key.about));
    }
    line(text, format_args!("# [[{USERS}]]"));
    line(text, format_args!("# name = \"alice\""));
    line(text, format_args!("# password_file = \"alice.password\""));
}

// Writes comment lines that fit an editor.
fn comment(text: &mut String, sentence: &str) {
    let mut current = String::from("#");
    for word in sentence.split(' ') {
        if current.len() + 1 + word.len() > WIDTH {
            line(text, format_args!("{current}"));
            current = String::from("#");
        }
        current.push(' ');
        current.push_str(word);
    }
    line(text, format_args!("{current}"));
}

fn line(text: &mut String, content: std::fmt::Arguments<'_>) {
    text.write_fmt(content)
        .expect("writing to a String cannot fail");
    text.push('\n');
}

const WIDTH: usize = 100;

const HEAD: &str = "\
# turnstone: every key with its default.
#
# A key that is commented out has the default shown. Unknown keys are errors.
# `turnstone check` finds mistakes, `turnstone config --explain KEY` explains.
# Secrets may stand in files of their own (password_file, secrets_file, ...);
# `openssl rand -base64 32` makes one. A relative path starts at systemd's
# credentials directory, or at the directory of this file.
# TURNSTONE__SECTION__KEY in the environment wins over this file.
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_and_section_is_explained() {
        for name in KEYS.iter().map(|key| key.name) {
            let text = explain(name).unwrap();
            assert!(text.starts_with(name), "{text}");
        }
        for section in SECTIONS {
            assert!(explain(section.name).is_some(), "{}", section.name);
        }
    }

    #[test]
    fn a_last_name_explains_every_key_that_has_it() {
        let text = explain("secret").unwrap();
        assert!(text.starts_with("signaling.tokens.secret\n"));
        let text = explain("key").unwrap();
        assert!(text.contains("tls.key\n") && text.contains("turn.users.key\n"));
        assert_eq!(explain("nonsense"), None);
    }

    #[test]
    fn a_key_is_explained_with_type_default_place_and_variable() {
        let expected = "\
turn.rest.ttl
  How long credentials issued by this server are valid.
  value:       a duration (units s, m, h, d) from 1m to 30d
  default:     \"24h\"
  in the file: [turn.rest]
               ttl = \"24h\"
  environment: TURNSTONE__TURN__REST__TTL
";
        assert_eq!(explain("turn.rest.ttl").unwrap(), expected);
    }
}
