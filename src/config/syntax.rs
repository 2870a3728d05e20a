//! Errors of the TOML parser in words that say what to do.
//!
//! The parser goes on after an error, and one forgotten bracket makes it
//! complain about every line below. Only the first complaint of each line is
//! kept, and of an unfinished list only where it was noticed.

use std::collections::BTreeSet;
use std::ops::Range;

use super::page::Page;
use super::problem::Finding;
use super::problem::Place;

/// What the parser complained about.
pub(crate) struct Syntax {
    /// Its complaints that do not only follow from others.
    pub(crate) findings: Vec<Finding>,
    /// The lines, from 1, on which nothing is certain.
    pub(crate) broken: BTreeSet<usize>,
}

/// Turns parser errors into findings.
pub(crate) fn syntax(page: &Page<'_>, text: &str, errors: &[toml::de::Error]) -> Syntax {
    let mut found = Syntax {
        findings: Vec::new(),
        broken: BTreeSet::new(),
    };
    let list_is_open = errors
        .iter()
        .any(|error| error.message().starts_with("unclosed array"));
    let mut errors: Vec<_> = errors
        .iter()
        .map(|error| {
            (
                error.span().unwrap_or(text.len()..text.len()),
                error.message(),
            )
        })
        .collect();
    errors.sort_by_key(|(span, _)| span.start);
    for (span, message) in errors {
        let in_open_list = list_is_open && message.contains("array");
        let Some(line) = page.line_of(&Place::File(span.clone())) else {
            continue;
        };
        if found.broken.insert(line) && found.findings.len() < MOST {
            found
                .findings
                .push(finding(page, text, message, span, in_open_list));
        }
        if in_open_list {
            // All the rest was taken for entries of the list.
            found.broken.extend(line..=text.lines().count());
            break;
        }
    }
    found
}

fn finding(
    page: &Page<'_>,
    text: &str,
    message: &str,
    span: Range<usize>,
    in_open_list: bool,
) -> Finding {
    let place = Place::File(span.clone());
    let error = |what: &str| Finding::error("", &place, what);
    let begins = |start: &str| message.starts_with(start);
    if in_open_list {
        error("this does not belong into a list, and the list above is not closed")
            .why("a list ends with ]")
            .write("] at the end of the list")
    } else if begins("string values must be quoted") || begins("invalid boolean") {
        let bare = text.get(span.clone()).filter(|_| page.may_show(&span));
        let bare = bare.filter(|bare| !bare.contains(['"', '\n', '\\']));
        error("text without quotes")
            .why("only numbers, true and false stand without quotes")
            .write(format!("\"{}\"", bare.unwrap_or("...")))
    } else if begins("invalid basic string") || begins("invalid literal string") {
        error("text that does not end")
            .why("a text in quotes ends on its line")
            .write("the closing quote")
    } else if begins("missing comma between array elements") {
        error("a comma is missing before this").why("entries of a list stand between commas")
    } else if begins("duplicate key") {
        error("this is written twice")
            .why("a key or section stands once in a file; the first one is further up")
            .write("one of the two")
    } else if begins("key with no value")
        || text[..span.start].ends_with(':')
        || at_colon(text, &span)
    {
        error("a key without a value")
            .why("a key is followed by = and its value")
            .write("KEY = VALUE")
    } else {
        error(message).why("the file is not valid TOML here")
    }
}

// People who know YAML write "realm: x".
fn at_colon(text: &str, span: &Range<usize>) -> bool {
    text.get(span.start..)
        .is_some_and(|rest| rest.starts_with(':'))
}

// More than this help nobody who reads them one by one.
const MOST: usize = 20;

#[cfg(test)]
mod tests {
    use toml::de::DeTable;

    use super::*;

    #[test]
    fn common_slips_are_said_in_words() {
        let cases = [
            ("realm = call.example.org\n", "text without quotes"),
            ("realm = turnstone\n", "text without quotes"),
            ("realm = \"call\nx = 1\n", "text that does not end"),
            ("realm = 'call\nx = 1\n", "text that does not end"),
            ("udp = [\"a\" \"b\"]\n", "a comma is missing before this"),
            ("realm = \"a\"\nrealm = \"b\"\n", "this is written twice"),
            ("[turn]\n[turn]\n", "this is written twice"),
            ("realm\n", "a key without a value"),
            ("realm: \"a\"\n", "a key without a value"),
            (
                "udp = [\"a\"\ntcp = []\n[turn]\nx = 1\n",
                "this does not belong into a list, and the list above is not closed",
            ),
        ];
        for (text, what) in cases {
            let whats = whats(text);
            assert_eq!(whats, [what], "{text}");
        }
    }

    #[test]
    fn errors_on_different_lines_are_all_said() {
        assert_eq!(whats("a = b c\nb = 1\nc = d\n").len(), 2);
    }

    fn whats(text: &str) -> Vec<String> {
        let (_, errors) = DeTable::parse_recoverable(text);
        let found = syntax(&Page::new("t.toml", text), text, &errors);
        found
            .findings
            .into_iter()
            .map(|finding| finding.what)
            .collect()
    }
}
